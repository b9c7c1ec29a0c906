"""LOG-05 … LOG-08: the steps over the anchor of a receipt in a contract on a chain.

An anchor bounds the time of a receipt from above: what its tree holds existed before the block.
Which contract, whose calls, and what vouches for a block comes from the member list, never from
beside the receipt (R5, R7). Without a network a block is believed when a quorum of the validators
listed for it sealed it, or when the verifier holds the hash of it, or of one on top. On networks
flagged `test` as many headers on top as the list asks for are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocols.evm.anchor_proof import AnchorProof, origin_hash, read_anchor_proof
from protocols.evm.calls import Anchored, read_event
from protocols.evm.proof import read_header, verify_event, verify_seals
from protocols.fields import Fields
from protocols.log import merkle
from protocols.log.receipt import CODE, read_headers
from protocols.times import from_ms, to_text
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocols.evm.proof import Header
    from protocols.log.proof import ProofResult
    from protocols.members.anchor_contracts import AnchorContractEntry
    from protocols.verify.case import Case
    from schemas.strict_json import JsonValue

STEPS: Final = ("LOG-05", "LOG-06", "LOG-07", "LOG-08")


@dataclass(slots=True)
class Anchoring:
    """An anchor under verification: given, and found so far.

    origin, placed: the log that the receipt leads to, and its place there
    """

    case: Case
    origin: str
    placed: ProofResult
    given: Mapping[str, JsonValue]
    proof: AnchorProof | None = None
    entry: AnchorContractEntry | None = None
    header: Header | None = None


def anchor_checks(case: Case, origin: str) -> tuple[Check, ...]:
    """The four checks, where the receipt has an anchor. Sets `case.anchored_at` when it is sound.

    origin: the log of the receipt. An anchor says nothing about a receipt that does not lead to
            its log's checkpoint.
    """
    if case.receipt is None or case.receipt.anchor is None:
        return ()
    if case.proof is None:
        return tuple(map(not_reached, STEPS))
    anchoring = Anchoring(case, origin, case.proof, case.receipt.anchor)
    found: list[Check] = []
    for check_id, step in zip(STEPS, _ORDER, strict=True):
        if found and found[-1].outcome is not PASSED:
            found.append(not_reached(check_id))
            continue
        try:
            found.append(step(anchoring))
        except TradeError as error:
            found.append(fault(check_id, error))
    if all(check.outcome is PASSED for check in found):
        assert anchoring.header is not None
        case.anchored_at = from_ms(anchoring.header.time * 1000 + 999)
    return tuple(found)


def log_05_contract(anchoring: Anchoring) -> Check:
    """LOG-05: chain, contract and code are listed, and the sender is listed for this log."""
    case = anchoring.case
    proof = anchoring.proof = read_anchor_proof(anchoring.given)
    listed = case.logs or case.members
    entry = listed.anchor_contract(proof.chain_id, proof.contract, proof.code_hash)
    if entry is None:
        return Check("LOG-05", UNKNOWN, code="anchor_contract_unlisted")
    senders = entry.senders_of(proof.origin)
    if not senders:
        return Check("LOG-05", UNKNOWN, code="anchor_sender_unlisted")
    if proof.sender not in senders:
        return Check("LOG-05", FAILED, code="anchor_other_sender")
    anchoring.entry = entry
    return Check("LOG-05", PASSED, evidence={"contract": entry.name, "chainId": proof.chain_id})


def log_06_event(anchoring: Anchoring) -> Check:
    """LOG-06: the block's receipts hold the contract's event of this log, size and root."""
    proof, origin = anchoring.proof, anchoring.origin
    assert proof is not None
    proven = verify_event(proof.event, proof.contract)
    # The log is the one whose key signed the receipt's checkpoint, whatever the anchor names.
    wanted = Anchored(origin_hash(origin), proof.sender, proof.size, proof.root)
    if proof.origin != origin or read_event(proven.log) != wanted:
        return Check("LOG-06", FAILED, code="anchor_event_differs")
    anchoring.header = proven.header
    return Check("LOG-06", PASSED, evidence={"size": proof.size, "block": proven.header.number})


def log_07_block(anchoring: Anchoring) -> Check:
    """LOG-07: somebody whom the verifier relies on vouches for the block."""
    assert anchoring.entry is not None
    assert anchoring.header is not None
    place, header = anchoring.entry.place, anchoring.header
    if header.number < place.start:
        return Check("LOG-07", FAILED, code="anchor_before_contract")
    if place.finality == "qbft":
        found = _sealed(header, place.validators_at(header.number))
    else:
        found = _built_upon(anchoring, header, place.finality)
    if isinstance(found, Check):
        return found
    moment = to_text(from_ms(header.time * 1000))
    return Check("LOG-07", PASSED, evidence={"time": moment, "by": found})


def _sealed(header: Header, validators: frozenset[bytes]) -> Check | str:
    if not validators:
        return Check("LOG-07", UNKNOWN, code="anchor_validators_unlisted")
    verify_seals(header, validators)
    return "seals"


def _built_upon(anchoring: Anchoring, header: Header, finality: str) -> Check | str:
    """Whether the header, or one that stands on it without a gap, is one that is held."""
    chain = [header]
    for data in read_headers(Fields(anchoring.given, CODE)):
        following = read_header(data)
        if following.fields[0] != chain[-1].hash or following.number != chain[-1].number + 1:
            raise RefusedError("anchor_headers_unlinked", f"block {following.number}")
        chain.append(following)
    confirmations, depth = len(chain) - 1, finality.removeprefix("depth:")
    if depth.isdigit() and confirmations < int(depth):
        told = f"{confirmations} of {depth}"
        return Check("LOG-07", UNKNOWN, told, "anchor_not_final")
    if any(each.hash in anchoring.case.blocks for each in chain):
        return "held block"
    if depth.isdigit() and anchoring.case.members.test:
        return "headers"
    return Check("LOG-07", UNKNOWN, header.hash.hex(), "anchor_block_unvouched")


def log_08_consistency(anchoring: Anchoring) -> Check:
    """LOG-08: the anchored tree continues the one that the receipt is under (RFC 6962 §2.1.2)."""
    proof, placed = anchoring.proof, anchoring.placed
    assert proof is not None
    merkle.verify_consistency(placed.size, proof.size, placed.root, proof.root, proof.consistency)
    return Check("LOG-08", PASSED, evidence={"from": placed.size, "to": proof.size})


_ORDER: Final[tuple[Callable[[Anchoring], Check], ...]] = (
    log_05_contract,
    log_06_event,
    log_07_block,
    log_08_consistency,
)
