"""LOG-01 to LOG-04: the receipt beside a document, its log and its witnesses."""

from __future__ import annotations

from dataclasses import replace

from protocols.log import leaf
from protocols.log.leaf import LeafKind
from protocols.log.proof import LogProof
from protocols.verify import Receipt
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.unit.verification.documents import FILE, only, verify, wrong


def test_r17_an_unwitnessed_receipt_is_marked_and_indeterminate_only_when_asked() -> None:
    receipt = world.receipt(FILE, witnesses=("cn-port",))
    report, verified = verify(receipt=receipt)
    check = report.check("LOG-04")
    assert check is not None
    assert (check.outcome, check.code) == (Outcome.PASSED, "unwitnessed")
    assert verified is not None
    report, verified = verify(receipt=receipt, require_witnesses=True)
    only(report, "LOG-04", "INDETERMINATE", "unwitnessed")
    assert verified is None


def test_a_missing_receipt_counts_only_when_asked_for() -> None:
    report, _ = verify(require_witnesses=True)
    only(report, "LOG-01", "INDETERMINATE", "receipt_missing")


def test_r18_a_receipt_of_another_document_is_refused() -> None:
    report, _ = verify(receipt=world.receipt(world.issued(world.quality("Q-2"))))
    only(report, "LOG-01", "FAILED", "leaf_of_other_document")
    report, _ = verify(receipt=Receipt(b"no leaf", world.receipt(FILE).proof))
    only(report, "LOG-01", "FAILED", "leaf_malformed")
    report, _ = verify(b"nothing", receipt=world.receipt(FILE))
    check = report.check("LOG-01")
    assert check is not None
    assert check.code == "not_reached"


def test_r5_a_log_that_the_list_does_not_name_proves_nothing() -> None:
    report, _ = verify(receipt=world.receipt(FILE, owner="kz-rail"))
    only(report, "LOG-02", "INDETERMINATE", "log_not_listed")


def test_a_receipt_that_cannot_be_read_or_does_not_lead_to_the_root_fails() -> None:
    good = world.receipt(FILE)
    report, _ = verify(receipt=replace(good, proof="no proof"))
    only(report, "LOG-02", "FAILED", "log_proof_malformed")
    other = leaf.encode(replace(leaf.decode(good.entry), kind=LeafKind.ISSUE))
    report, _ = verify(receipt=replace(good, entry=other))
    assert wrong(report)["LOG-03"][0] == "FAILED"


def test_r16_an_older_epoch_of_the_log_still_proves() -> None:
    listed = world.MEMBERS.log(world.log_key("nl-port").name)
    assert listed is not None
    newer = replace(listed, epoch=2, policy="")
    members = replace(world.MEMBERS, logs=(*world.MEMBERS.logs, newer))
    assert verify(members=members, receipt=world.receipt(FILE))[1] is not None
    lone = replace(world.MEMBERS, logs=(newer,))
    report, _ = verify(members=lone, receipt=world.receipt(FILE, ()))
    check = report.check("LOG-04")
    assert check is not None
    assert check.code == "unwitnessed"


def test_r5_the_policy_beside_the_receipt_counts_for_nothing() -> None:
    text = world.receipt(FILE, ()).proof
    proof = LogProof(
        **{name: getattr(_parsed(text), name) for name in ("index", "hashes", "checkpoint")}
    )
    with_extra = replace(proof, extra=b"quorum none").to_text()
    report, _ = verify(receipt=Receipt(world.receipt(FILE).entry, with_extra))
    assert wrong(report)["LOG-03"] == ("FAILED", "log_proof_malformed")


def _parsed(text: str) -> LogProof:
    from protocols.log import proof as log_proof

    return log_proof.parse(text)
