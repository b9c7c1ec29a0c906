"""A receipt of the evidence world whose log was anchored on a chain in this process.

The document's leaf is third of five; seven leaves are anchored. Blocks go on after the anchor's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import rlp

from ledger.receipt_trie import ReceiptTrie
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.anchor_proof import AnchorProof, origin_hash
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.proof import EventProof
from protocols.evm.title import word
from protocols.log import merkle, note
from protocols.member_list import AnchorContractEntry, AnchorSender, MemberList
from protocols.members.arbiters import ArbiterEntry, ValidatorEpoch
from protocols.verify import Receipt
from tests.support import evidence_world as world
from tests.support.evm_chain import CHAIN_ID
from tests.support.evm_world import EvmWorld

ORIGIN = world.log_key("nl-port").name
FILE = world.issued()
VALIDATORS = tuple(SoftwareEvmSigner(sha256(b"validator %d" % number)) for number in range(4))
CONFIRMATIONS = 3


@dataclass(frozen=True)
class Anchored:
    """A receipt's parts before any anchor, the anchor's proof, and the headers on top of it."""

    receipt: Receipt
    proof: AnchorProof
    headers: tuple[bytes, ...]

    def receipt_with(
        self, proof: AnchorProof | None = None, headers: Sequence[bytes] | None = None
    ) -> Receipt:
        """The receipt with that anchor, by default the genuine one."""
        body: dict[str, Any] = dict((proof or self.proof).to_json())
        wanted = self.headers if headers is None else headers
        body["headers"] = [note.encode64(each) for each in wanted]
        return replace(self.receipt, anchor=body)


@cache
def anchored() -> Anchored:
    log = world.Log("nl-port")
    for number in range(2):
        log.add(b"before %d" % number)
    entry = world.leaf_of(FILE)
    index = log.add(entry)
    log.add(b"beside")
    log.add(b"after")
    receipt = Receipt(entry, log.proof(index))
    for number in range(2):
        log.add(b"later %d" % number)
    tree = merkle.Tree(map(merkle.leaf_hash, log.entries))
    chain = EvmWorld()
    origin = origin_hash(ORIGIN)
    assert chain.chain.transact(chain.anchors, evm_calls.call(evm_calls.OPEN, origin)).ok
    call = evm_calls.call(evm_calls.ANCHOR, origin, word(tree.size), tree.root())
    block, done, _ = chain.chain.mine(chain.anchors, call)
    headers = tuple(
        bytes(rlp.encode(chain.chain.mine(chain.anchors, call)[0].header))
        for _ in range(CONFIRMATIONS)
    )
    proof = AnchorProof(
        chain_id=CHAIN_ID,
        contract=chain.anchors,
        code_hash=keccak256(chain.chain.code(chain.anchors)),
        sender=chain.chain.address,
        origin=ORIGIN,
        size=tree.size,
        root=tree.root(),
        event=EventProof(
            bytes(rlp.encode(block.header)), 0, ReceiptTrie([done.encode()]).path(0), 0
        ),
        consistency=tuple(tree.consistency_proof(5, tree.size)),
    )
    return Anchored(receipt, proof, headers)


def sealed(header: bytes, signers: Sequence[SoftwareEvmSigner]) -> bytes:
    """The header as validators seal it on a QBFT chain."""
    fields = rlp.decode(header)
    named = [signer.address for signer in VALIDATORS]
    fields[12] = rlp.encode([bytes(32), named, [], b"", []])
    digest = keccak256(rlp.encode(fields))
    seals = [signer.sign_digest(digest).to_bytes() for signer in signers]
    seals = [raw[:64] + bytes([raw[64] - 27]) for raw in seals]
    fields[12] = rlp.encode([bytes(32), named, [], b"", seals])
    return bytes(rlp.encode(fields))


def entry(finality: str = "depth:3", **changes: object) -> AnchorContractEntry:
    """The contract as the list names it, with the log's sender."""
    proof = anchored().proof
    epochs = (ValidatorEpoch(0, tuple(sorted(each.address for each in VALIDATORS))),)
    place = ArbiterEntry(
        name="anchors",
        chain_id=proof.chain_id,
        contract=proof.contract,
        code_hash=proof.code_hash,
        finality=finality,
        validators=epochs if finality == "qbft" else (),
    )
    senders = (AnchorSender(ORIGIN, proof.sender),)
    given: Mapping[str, Any] = {"senders": senders, **changes}
    return AnchorContractEntry(replace(place, **given.get("place", {})), given["senders"])


def members(*entries: AnchorContractEntry) -> MemberList:
    """The evidence world's next list with these contracts."""
    return world.following(anchor_contracts=entries)
