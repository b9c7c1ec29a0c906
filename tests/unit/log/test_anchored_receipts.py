"""LOG-05 … LOG-08 over anchors of a contract in a real EVM, and the receipt file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import rlp

from protocols.evidence import renewal
from protocols.evm.keys import keccak256
from protocols.log import receipt as log_receipt
from protocols.log.receipt import ReceiptFile
from protocols.member_list import AnchorSender, MemberList, diff
from protocols.members.arbiters import ValidatorEpoch
from protocols.verify import Case, Receipt, examine_document, verify_document
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Outcome, Report
from tests.support import anchored, certified
from tests.support import evidence_world as world

GENUINE = anchored.anchored()
LISTED = anchored.members(anchored.entry())
OTHER = bytes(20)


def report(receipt: Receipt, members: MemberList = LISTED, **asked: object) -> Report:
    at = world.NOW + timedelta(minutes=10)
    status = world.status(at=world.NOW)
    found, _ = verify_document(
        anchored.FILE.to_bytes(), members=members, at=at, status=status, receipt=receipt, **asked
    )
    return found


def told(receipt: Receipt, members: MemberList = LISTED, **asked: object) -> dict[str, str]:
    """Outcome and code of each step over the anchor."""
    found = report(receipt, members, **asked)
    steps = ("LOG-05", "LOG-06", "LOG-07", "LOG-08")
    checks = [check for check in found.checks if check.id in steps]
    assert [check.id for check in checks] == list(steps)
    return {
        check.id: "" if check.outcome is Outcome.PASSED else f"{check.outcome} {check.code}"
        for check in checks
    }


def first_wrong(receipt: Receipt, members: MemberList = LISTED, **asked: object) -> tuple[str, str]:
    found = told(receipt, members, **asked)
    return next((step, what) for step, what in found.items() if what)


def with_header(header: bytes) -> Receipt:
    event = replace(GENUINE.proof.event, header=header)
    return GENUINE.receipt_with(replace(GENUINE.proof, event=event))


def test_an_anchored_receipt_passes_step_by_step_without_a_network() -> None:
    found = report(GENUINE.receipt_with())
    assert found.verdict is Outcome.PASSED, found.to_json()
    evidence = {check.id: check.evidence for check in found.checks}
    assert evidence["LOG-08"] == {"from": 5, "to": 7}
    assert evidence["LOG-07"]["by"] == "headers"
    assert evidence["LOG-06"]["size"] == 7
    assert [check.id for check in report(GENUINE.receipt).checks][-1] == "LOG-04"


def test_r5_r7_contract_code_and_sender_are_the_lists_alone() -> None:
    genuine = GENUINE.receipt_with()
    unlisted = anchored.members()
    assert first_wrong(genuine, unlisted) == ("LOG-05", "INDETERMINATE anchor_contract_unlisted")
    for change in ({"chain_id": 1}, {"contract": OTHER}, {"code_hash": bytes(32)}):
        members = anchored.members(anchored.entry(place=change))
        assert first_wrong(genuine, members)[1] == "INDETERMINATE anchor_contract_unlisted"
    nobody = anchored.members(anchored.entry(senders=()))
    assert first_wrong(genuine, nobody)[1] == "INDETERMINATE anchor_sender_unlisted"
    somebody = anchored.members(anchored.entry(senders=(AnchorSender(anchored.ORIGIN, OTHER),)))
    assert first_wrong(genuine, somebody) == ("LOG-05", "FAILED anchor_other_sender")


def test_group_25_the_wrong_leaf_or_tree_is_refused() -> None:
    proof = GENUINE.proof
    for change in ({"size": 6}, {"root": bytes(32)}):
        wrong = GENUINE.receipt_with(replace(proof, **change))
        assert first_wrong(wrong) == ("LOG-06", "FAILED anchor_event_differs")
    fork = GENUINE.receipt_with(replace(proof, consistency=(bytes(32), *proof.consistency[1:])))
    assert first_wrong(fork) == ("LOG-08", "FAILED consistency_proof_invalid")
    # A receipt that leads nowhere is not helped by an anchor.
    lost = replace(GENUINE.receipt_with(), entry=b"another leaf")
    assert first_wrong(lost) == ("LOG-05", "INDETERMINATE not_reached")
    other = replace(
        GENUINE.receipt_with(), proof=world.receipt(anchored.FILE, owner="cn-cert").proof
    )
    assert "LOG-06" not in [step for step, what in told(other).items() if not what]


def test_group_25_an_event_of_another_contract_or_block_is_refused() -> None:
    event = GENUINE.proof.event
    other = GENUINE.receipt_with(replace(GENUINE.proof, event=replace(event, nodes=())))
    assert first_wrong(other) == ("LOG-06", "FAILED evm_path_invalid")
    assert first_wrong(with_header(GENUINE.headers[0]))[0] == "LOG-06"
    malformed = replace(GENUINE.receipt, anchor={"chainId": 1})
    assert first_wrong(malformed) == ("LOG-05", "FAILED anchor_proof_malformed")


def test_group_25_too_few_confirmations_and_a_fork_are_told_apart() -> None:
    headers = GENUINE.headers
    for few in ((), headers[:2]):
        assert first_wrong(GENUINE.receipt_with(headers=few)) == (
            "LOG-07",
            "INDETERMINATE anchor_not_final",
        )
    fields = rlp.decode(headers[1])
    fields[0] = bytes(32)
    forked = (headers[0], bytes(rlp.encode(fields)), headers[2])
    for wrong in (forked, headers[1:] + headers[:1], (headers[0], headers[0], headers[2])):
        assert first_wrong(GENUINE.receipt_with(headers=wrong)) == (
            "LOG-07",
            "FAILED anchor_headers_unlinked",
        )
    late = anchored.members(anchored.entry(place={"start": 10_000}))
    assert first_wrong(GENUINE.receipt_with(), late)[1] == "FAILED anchor_before_contract"


def test_r7_outside_test_networks_only_a_held_hash_vouches_for_headers() -> None:
    real = replace(LISTED, test=False)
    genuine = GENUINE.receipt_with()
    assert first_wrong(genuine, real) == ("LOG-07", "INDETERMINATE anchor_block_unvouched")
    for held in (GENUINE.proof.event.header, GENUINE.headers[-1]):
        assert not any(told(genuine, real, blocks=frozenset({keccak256(held)})).values())
    tagged = anchored.members(anchored.entry("finalized"))
    assert first_wrong(genuine, tagged)[1] == "INDETERMINATE anchor_block_unvouched"
    hashes = frozenset({keccak256(GENUINE.proof.event.header)})
    assert not any(told(GENUINE.receipt_with(headers=()), tagged, blocks=hashes).values())


def test_r5_seals_of_listed_validators_vouch_for_a_block() -> None:
    members = anchored.members(anchored.entry("qbft"))
    header = GENUINE.proof.event.header
    enough = with_header(anchored.sealed(header, anchored.VALIDATORS[:3]))
    assert not any(told(enough, members).values())
    few = with_header(anchored.sealed(header, anchored.VALIDATORS[:2]))
    assert first_wrong(few, members) == ("LOG-07", "FAILED evm_block_unsealed")
    later = (ValidatorEpoch(10_000, (OTHER,)),)
    unknown = anchored.members(anchored.entry("qbft", place={"validators": later}))
    assert first_wrong(enough, unknown)[1] == "INDETERMINATE anchor_validators_unlisted"


def test_an_anchor_proves_a_time_before_which_the_document_was_signed() -> None:
    at = world.NOW + timedelta(days=20)
    case = Case(anchored.FILE.to_bytes(), LISTED, at, receipt=GENUINE.receipt_with())
    examine_document(case)
    assert case.anchored_at is not None
    assert case.proven_at == min(case.anchored_at, world.NOW + timedelta(milliseconds=999))


def test_the_receipt_file_has_one_spelling_and_bounds() -> None:
    receipt = GENUINE.receipt_with()
    file = ReceiptFile(receipt.entry, receipt.proof, receipt.anchor)
    assert log_receipt.read(file.to_bytes()) == file
    body = strict_json.loads_object(file.to_bytes())
    for change in (
        {"v": 2},
        {"leaf": "x"},
        {"proof": 1},
        {"anchor": []},
        {"unknown": 1},
        {"renewals": [{}]},
    ):
        with pytest.raises(MalformedError):
            log_receipt.read(strict_json.canonical({**body, **change}))
    with pytest.raises(MalformedError):
        log_receipt.read(file.to_bytes() + b"\n")
    for headers in ("x", [1], ["!"], [""] * 1001):
        wrong = replace(receipt, anchor={**receipt.anchor, "headers": headers})
        assert first_wrong(wrong) == ("LOG-07", "FAILED receipt_file_malformed")


def test_a_renewal_of_the_receipt_covers_it_as_it_was() -> None:
    receipt = GENUINE.receipt
    file = ReceiptFile(receipt.entry, receipt.proof)
    record = renewal.plan([file.covered(1)]).records[0]
    renewed = file.renewed(record.to_bytes(), b"\x30\x00")
    assert renewed.covered(1) == file.covered(1)
    assert renewed.covered(2) != file.covered(1)
    check = report(replace(receipt, file=renewed)).check("LOG-09")
    assert check is not None
    assert check.outcome is Outcome.FAILED
    assert report(replace(receipt, file=file)).check("LOG-09") is None
    many = replace(file, renewals=renewed.renewals * log_receipt.MAX_RENEWALS)
    with pytest.raises(RefusedError, match="renewal_too_many"):
        many.renewed(b"", b"")


def test_renewals_hold_while_the_next_one_covered_them() -> None:
    receipt = GENUINE.receipt
    listed = world.following(anchors=(certified.time_anchor(),))
    file = ReceiptFile(receipt.entry, receipt.proof)
    for minute in (5, 6):
        # The second one in a batch with another receipt.
        batch = renewal.plan([file.covered(len(file.renewals) + 1), bytes(32)][: minute - 4])
        stamp = certified.STAMPER.stamp(batch.stamped, world.NOW + timedelta(minutes=minute))
        file = file.renewed(batch.records[0].to_bytes(), stamp)
    check = report(replace(receipt, file=file), listed).check("LOG-09")
    assert check is not None
    assert check.outcome is Outcome.PASSED, check
    assert len(check.evidence["renewed"]) == 2
    unlisted = report(replace(receipt, file=file)).check("LOG-09")
    assert unlisted is not None
    assert (unlisted.outcome, unlisted.code) == (Outcome.INDETERMINATE, "certificate_unknown_root")
    for wrong, code in (
        (replace(file, renewals=file.renewals[::-1]), "evidence_renewal_order"),
        (replace(file, renewals=file.renewals[1:]), "tsa_other_digest"),
    ):
        failed = report(replace(receipt, file=wrong), listed).check("LOG-09")
        assert failed is not None
        assert (failed.outcome, failed.code) == (Outcome.FAILED, code)


def test_the_list_names_contracts_and_senders_once() -> None:
    entry = anchored.entry()
    for entries in ((entry, entry), (replace(entry, senders=entry.senders * 2),)):
        with pytest.raises(MalformedError, match="twice"):
            anchored.members(*entries)
    assert any("contract for anchors anchors" in each for each in diff(world.MEMBERS, LISTED))
