"""Titles on the in-process chain with holders' own keys: statements, whole proofs, refusals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import rlp

from ledger.receipt_trie import ReceiptTrie
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Refused
from protocols.evm.holder_keys import (
    HolderKey,
    carrier_signer,
    sign_statement,
    title_signer,
)
from protocols.evm.proof import EventProof, verify_event
from protocols.evm.refusal import EvmRefusal
from protocols.evm.title import EvmArbiterId, EvmOperation, SignedEvmOperation, sign_operation
from protocols.evm.title_proof import EvmTitleProof, Step
from protocols.evm.title_text import to_text
from protocols.members.arbiters import ArbiterEntry
from protocols.title.machine import Bill, Kind
from tests.support.evm_world import EvmWorld, two_carriers
from tests.support.title_world import TRADERS, did, ecdsa

SEEDS = {name: sha256(f"{name} seed".encode()) for name in ("nhl", *TRADERS)}
MEMBERS = two_carriers()
TITLE = sha256(b"a title on the chain")
ARBITER = EvmArbiterId(1337, bytes([9]) * 20, bytes([8]) * 32)


def stated(
    name: str, title: bytes | None, arbiter: EvmArbiterId = ARBITER
) -> tuple[HolderKey, str]:
    """A party's statement about its key for a title, or (None) about a carrier's."""
    key = carrier_signer(SEEDS[name]) if title is None else title_signer(SEEDS[name], title)
    statement = HolderKey(MEMBERS.network, arbiter, did(name), key.address, title)
    return statement, sign_statement(statement, ecdsa(name, "title"), key)


@dataclass
class ChainTitle:
    """One title, moved on a chain of its own; `steps` are what was applied."""

    world: EvmWorld = field(default_factory=EvmWorld)
    steps: list[Step] = field(default_factory=list)
    seq: int = 0

    def __post_init__(self) -> None:
        key = carrier_signer(SEEDS["nhl"]).address
        assert self.world.govern(evm_calls.LIST, carrier=7, key=key).ok

    @property
    def entry(self) -> ArbiterEntry:
        where = self.world.arbiter
        return ArbiterEntry("chain-1", where.chain_id, where.contract, where.code_hash, "finalized")

    def sign(
        self, kind: Kind, who: str, to: str | None = None, **more: object
    ) -> SignedEvmOperation:
        """The next operation on the title by that party."""
        signer = carrier_signer(SEEDS[who]) if who == "nhl" else title_signer(SEEDS[who], TITLE)
        plain = EvmOperation(
            title=TITLE,
            seq=self.seq,
            kind=kind,
            sender=signer.address,
            recipient=title_signer(SEEDS[to], TITLE).address if to else None,
            entry=bytes(32),
            deadline=self.world.chain.now + 10**6,
        )
        return sign_operation(
            replace(plain, **more),
            self.world.domain,
            signer,
        )

    def issue(self) -> SignedEvmOperation:
        holder = title_signer(SEEDS["bank"], TITLE).address
        return self.sign(Kind.ISSUE, "nhl", "exp-a", bill=Bill.TO_ORDER, holder=holder)

    def send(self, signed: SignedEvmOperation) -> EventProof:
        """Mine one operation; the proof of its event."""
        block, receipt, _ = self.world.chain.mine(self.world.registry, evm_calls.apply_one(signed))
        trie = ReceiptTrie([receipt.encode()])
        return EventProof(bytes(rlp.encode(block.header)), 0, trie.path(0), 0)

    def move(self, signed: SignedEvmOperation) -> None:
        """Mine an operation that holds."""
        self.steps.append(Step(to_text(signed), self.send(signed)))
        self.seq += 1

    def refuse(self, signed: SignedEvmOperation, winner: bytes | None = None) -> EvmRefusal:
        """Mine an operation that does not hold; the evidence."""
        proof = self.send(signed)
        proven = verify_event(proof, self.world.registry)
        said = evm_calls.read_event(proven.log)
        assert isinstance(said, Refused)
        return EvmRefusal(self.entry.id, said, proven.header.time, proof, winner)

    def keys(self) -> tuple[str, ...]:
        where = self.world.arbiter
        named = [stated("nhl", None, where)[1]]
        return (*named, *(stated(name, TITLE, where)[1] for name in ("bank", "exp-a", "imp-a")))

    def proof(self) -> EvmTitleProof:
        return EvmTitleProof(self.entry.id, tuple(self.steps), self.keys())


@cache
def moved() -> ChainTitle:
    """Issued to exp-a and the bank as titleholder, passed to the bank, endorsed to imp-a."""
    made = ChainTitle()
    made.move(made.issue())
    made.move(made.sign(Kind.TRANSFER, "exp-a", "bank"))
    made.move(made.sign(Kind.ENDORSE, "bank", "imp-a"))
    return made
