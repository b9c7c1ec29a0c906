"""What verifying a log receipt costs: cold, and with its checkpoint checked before.

The receipt is of a log of a million leaves (20 hashes in its path) whose checkpoint four witnesses
cosigned; everything goes the way of `protocols.verify`, from the texts on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log import policy as log_policy
from protocols.log.proof import LogProof
from protocols.member_list import ListedKey, LogEntry, MemberList, MemberListDraft, NodeEntry, Roots
from protocols.members.proposal import sign_list
from protocols.members.trust import open_founding
from protocols.verify.receipt_steps import CheckedCheckpoints, verify_in_listed_log
from testnet.bench.nodes import LIFETIME, did

if TYPE_CHECKING:
    from datetime import datetime

SIZE: Final = 1_000_000
CHECKPOINTS: Final = 64
WITNESSES: Final = ("w1", "w2", "w3", "w4")


@dataclass(slots=True)
class Receipts:
    """Receipts of one leaf each under checkpoints of their own, and of many leaves under one."""

    members: MemberList
    entries: list[bytes]
    apart: list[str]
    together: list[str]
    held: CheckedCheckpoints
    turn: int = 0

    def cold(self) -> None:
        """One receipt with nothing kept from one before."""
        self.turn += 1
        at = self.turn % len(self.apart)
        result = verify_in_listed_log(self.members, self.entries[at], self.apart[at])
        if not result.witnessed:
            raise AssertionError("the measured receipt is not witnessed")

    def cached(self) -> None:
        """One receipt whose checkpoint was checked before."""
        self.turn += 1
        at = self.turn % len(self.together)
        result = verify_in_listed_log(
            self.members, self.entries[at], self.together[at], checked=self.held
        )
        if not result.witnessed:
            raise AssertionError("the measured receipt is not witnessed")


def made(at: datetime) -> Receipts:
    """Signed and cosigned now, with keys that nobody keeps."""
    log, witnesses = _signer("log", "log"), [_signer(name, "witness") for name in WITNESSES]
    key = note.log_key(did("log"), log.public().raw())
    cosigners = [note.witness_key(did(name), one.public().raw())
                 for name, one in zip(WITNESSES, witnesses, strict=True)]  # fmt: skip
    members = _members(log, witnesses, key, cosigners, at)
    entries = [b"entry %d" % number for number in range(CHECKPOINTS)]
    tree = merkle.Tree(merkle.leaf_hash(entry) for entry in entries)
    tree.extend(sha256(b"%d" % number) for number in range(SIZE))
    proofs = []
    for size in range(SIZE, SIZE + CHECKPOINTS):
        signed = checkpoint.sign(checkpoint.Checkpoint(key.name, size, tree.root(size)), key,
                                 log.sign)  # fmt: skip
        lines = [cosignature.sign(signed.text, int(at.timestamp()), cosigner, one.sign)
                 for cosigner, one in zip(cosigners, witnesses, strict=True)]  # fmt: skip
        proofs.append((size, signed.with_signatures(lines).to_text()))
    held = CheckedCheckpoints(members)
    return Receipts(
        members,
        entries,
        [_proof(tree, index, *proofs[index]) for index in range(CHECKPOINTS)],
        [_proof(tree, index, *proofs[0]) for index in range(CHECKPOINTS)],
        held,
    )


def _proof(tree: merkle.Tree, index: int, size: int, text: str) -> str:
    return LogProof(index, tree.inclusion_proof(index, size), text).to_text()


def _signer(name: str, purpose: str) -> SoftwareSigner:
    return SoftwareSigner(f"{did(name)}#{purpose}-1", ed25519.Ed25519PrivateKey.generate())


def _members(
    log: SoftwareSigner,
    witnesses: list[SoftwareSigner],
    key: note.VerifierKey,
    cosigners: list[note.VerifierKey],
    at: datetime,
) -> MemberList:
    from datetime import timedelta

    start = at - timedelta(days=1)
    policy = log_policy.threshold_policy(key, [(one, "") for one in cosigners], 3)
    owners = (("log", log, "log"), *((name, one, "witness") for name, one in
                                     zip(WITNESSES, witnesses, strict=True)))  # fmt: skip
    nodes = tuple(
        NodeEntry(did(name), name, ("port",), "CN", f"https://{name}.example",
                  (ListedKey(one.public(), purpose, did(name), start),))
        for name, one, purpose in owners
    )  # fmt: skip
    root = _signer("log", "root")
    draft = MemberListDraft(
        name="Bench",
        test=True,
        issued_at=start,
        expires=at + LIFETIME,
        roots=Roots(1, (root.public(),)),
        nodes=nodes,
        logs=(LogEntry(key.name, did("log"), key.to_text(), 1, policy),),
    )
    return open_founding(sign_list(draft.payload(), [root]))
