"""What is in a bundle: documents, receipts, status, titles and report, each as it must be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols.evidence import archive, contents
from protocols.evidence.contents import REPORT, STATEMENT, STATEMENT_PROOF
from protocols.evidence.verification import verify_bundle
from protocols.member_list import open_founding, sign_list
from schemas import strict_json
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.evidence.bundles import GOOD, MEMBERS, plain, sealed, wrong


def test_a_status_list_older_than_the_witnessed_export_allows_never_passes() -> None:
    old = world.status(at=NOW - timedelta(minutes=16))
    report = verify_bundle(world.export(statuses=(old,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")
    late = world.export(seen_at=NOW + timedelta(minutes=16)).build()
    report = verify_bundle(late, world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")


def test_a_bundle_without_the_status_of_a_document_never_passes() -> None:
    report = verify_bundle(world.export(statuses=()).build(), world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")


def test_two_status_lists_of_one_name_are_refused() -> None:
    both = (world.status(), world.status(at=NOW - timedelta(minutes=1)))
    made = world.export(statuses=(both[0],))
    prepared = contents.prepare(replace(made.contents(), statuses=both))
    report = verify_bundle(made.seal(prepared), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")


def test_a_report_that_hides_a_revocation_is_caught() -> None:
    members = plain()
    told = strict_json.loads_object(members[REPORT])
    for item in told["documents"]:
        item["verdict"] = "PASSED"
    assert wrong(sealed({**members, REPORT: strict_json.canonical(told)})) == {
        "EVI-12": ("FAILED", "evidence_report_differs")
    }


# --- documents, receipts, titles, report -------------------------------------------------------


def test_a_document_that_does_not_verify_is_named_with_its_step() -> None:
    bad = world.issued(world.quality("Q-4"), number="Q-5")
    report = verify_bundle(world.export(documents=(bad,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_document")
    check = report.check("EVI-08")
    assert check is not None
    assert "CRED-09" in check.reason


def test_a_bundle_of_no_documents_proves_nothing() -> None:
    report = verify_bundle(world.export(documents=()).build(), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_without_documents")


def test_a_document_under_another_type_or_without_form_is_refused() -> None:
    name = "documents/001-quality-certificate.vc"
    members = plain()
    data = members.pop(name)
    report = sealed({**members, "documents/001-bill-of-lading.vc": data})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")
    report = sealed({**members, name: b"nothing"})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_document")


@pytest.mark.parametrize("name", ["receipts/001.leaf", "receipts/002.tlog-proof"])
def test_half_a_receipt_is_refused(name: str) -> None:
    members = plain()
    del members[name]
    assert wrong(sealed(members)) == {"EVI-10": ("FAILED", "evidence_receipt")}


def test_a_receipt_of_no_document_is_refused_and_a_document_may_lack_one() -> None:
    members = plain()
    entry, proof = members["receipts/001.leaf"], members["receipts/001.tlog-proof"]
    strays = {"receipts/009.leaf": entry, "receipts/009.tlog-proof": proof}
    assert wrong(sealed({**members, **strays})) == {"EVI-10": ("FAILED", "evidence_receipt")}
    del members["receipts/001.leaf"], members["receipts/001.tlog-proof"]
    assert sealed(members).verdict is Outcome.PASSED


def test_r22_a_title_proof_must_hold_under_a_listed_registry_and_not_be_younger() -> None:
    members = {**plain(), "titles/001.json": b"{}"}
    assert wrong(sealed(members))["EVI-11"][0] == "FAILED"
    without = open_founding(
        sign_list(replace(world.draft(), registries=()).payload(), [ecdsa("founder", "root")])
    )
    assert without.network != world.MEMBERS.network
    early = NOW - timedelta(hours=1)
    bundle = world.export(at=early, seen_at=early, statuses=(world.status(at=early),)).build()
    assert wrong(verify_bundle(bundle, world.MEMBERS))["EVI-11"] == ("FAILED", "evidence_title")


def test_r22_a_registry_that_the_list_does_not_name_proves_no_title() -> None:
    unnamed = world.following(registries=())
    later = NOW + timedelta(minutes=2)
    statuses = (world.status(at=later),)
    made = world.export(lists=(world.MEMBERS, unnamed), at=later, seen_at=later, statuses=statuses)
    report = verify_bundle(made.build(), world.MEMBERS)
    assert wrong(report) == {"EVI-11": ("FAILED", "evidence_title")}


@pytest.mark.parametrize(
    "history",
    [
        b"{}",
        b"[1]",
        b'[{"at":"x"}]',
        b"not json",
        b'[{"at":"2026-11-18T06:00:00.000Z"},{"at":"2026-11-17T06:00:00.000Z"}]',
    ],
)
def test_a_history_that_is_none_or_out_of_order_is_refused(history: bytes) -> None:
    assert wrong(sealed({**plain(), contents.HISTORY: history}))["EVI-12"][0] == "FAILED"


def test_members_that_are_not_text_or_not_known_are_refused() -> None:
    members = plain()
    report = sealed({**members, "status/002.jwt": b"\xff"})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")
    report = sealed({**members, "extra.txt": b"x"})
    assert wrong(report) == {"EVI-01": ("FAILED", "evidence_unknown_member")}
    for name in (STATEMENT, STATEMENT_PROOF):
        report = verify_bundle(archive.write({**MEMBERS, name: b"\xff"}), world.MEMBERS)
        assert report.verdict is Outcome.FAILED


def test_an_ended_epoch_or_unlisted_log_of_a_document_is_indeterminate() -> None:
    gone = tuple(entry for entry in world.MEMBERS.logs if entry.did != "did:web:nl-port.example")
    held = replace(world.MEMBERS, logs=gone)
    report = verify_bundle(GOOD, held)
    assert report.verdict is not Outcome.PASSED
