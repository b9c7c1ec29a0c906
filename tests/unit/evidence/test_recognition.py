"""CRED-11 of a bundle: each document's recognition by a country, under the list of the moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from protocols import member_list
from protocols.evidence.verification import verify_bundle
from protocols.member_list import Agreement, MemberList, MemberListDraft, sign_list
from protocols.members.drafting import ended
from schemas.findings import Check, Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.evidence.bundles import GOOD, attackers, wrong

FIRST = world.MEMBERS
START = NOW - timedelta(days=1)
HOUR = timedelta(hours=1)
LATER = NOW + 2 * HOUR
BEFORE = NOW - HOUR / 2
QUALITY = "quality-certificate"
ONE = world.export(documents=(world.issued(),), statuses=(world.status(),), titles=()).build()


def second(at: datetime = NOW + HOUR, **changes: object) -> MemberList:
    """Version 2, issued at `at` by the roots of version 1."""
    draft = MemberListDraft.after(FIRST, issued_at=at, expires=at + timedelta(days=60))
    signed = sign_list(replace(draft, **changes).payload(), [ecdsa("founder", "root")])
    return member_list.advance(FIRST, signed, now=at)


def sg(*types: str, since: datetime = START) -> tuple[Agreement, ...]:
    """Those of version 1, and one by which Singapore recognises these types of China's."""
    return (*FIRST.agreements, Agreement("cn-sg", "SG", "CN", types or (QUALITY,), since))


def asked(report: Report) -> list[Check]:
    return [check for check in report.checks if check.id == "CRED-11"]


def only(report: Report, outcome: str, code: str = "", version: int | None = None) -> Check:
    """The recognition of the one document, which is so, under that version of the list."""
    (check,) = asked(report)
    assert (check.outcome.value, check.code) == (outcome, code), check
    assert check.evidence.get("version") == version
    return check


def test_every_document_is_told_apart_and_a_carriers_needs_no_agreement() -> None:
    report = verify_bundle(GOOD, FIRST, country="NL")
    assert report.verdict is Outcome.PASSED, wrong(report)
    assert [(check.reason.partition(": ")[0], check.code) for check in asked(report)] == [
        ("documents/001-quality-certificate.vc", ""),
        ("documents/002-quality-certificate.vc", ""),
        ("documents/003-bill-of-lading.vc", "recognition_not_needed"),
    ]
    first = asked(report)[0]
    assert first.evidence["agreement"] == "cn-nl"
    assert (first.evidence["version"], first.evidence["at"]) == (1, report.at)
    assert "CN → NL" in first.reason


def test_a_country_without_an_agreement_recognises_none_and_nothing_else_changes() -> None:
    report = verify_bundle(GOOD, FIRST, country="SG")
    assert report.verdict is Outcome.FAILED
    # The exporter's report, which names no verifier, still agrees (EVI-12).
    assert wrong(report) == {"CRED-11": ("FAILED", "not_recognised")}
    assert [check.outcome.value for check in asked(report)] == ["FAILED", "FAILED", "PASSED"]
    for lang in ("en", "zh"):
        told = asked(report)[0].to_json(lang)
        assert told["next"]
        assert told["reason"].startswith("documents/001-quality-certificate.vc: CN → SG")
    without = verify_bundle(GOOD, FIRST)
    assert asked(without) == []
    assert [each for each in report.checks if each.id != "CRED-11"] == list(without.checks)


def test_a_country_recognises_its_own_issuers() -> None:
    told = only(verify_bundle(ONE, FIRST, country="CN"), "PASSED", version=1)
    assert told.evidence["agreement"] == "domestic"


def test_an_agreement_on_another_class_of_documents_recognises_nothing_else() -> None:
    other = second(BEFORE, agreements=sg("phytosanitary-certificate"))
    report = verify_bundle(ONE, other, earlier=[FIRST], country="SG")
    only(report, "FAILED", "not_recognised", version=2)


@pytest.mark.parametrize("since", [START, NOW + HOUR])
def test_r25_an_agreement_listed_later_recognises_nothing_of_before(since: datetime) -> None:
    """Also one that the later list dates back: on the day of the export it did not stand."""
    held = second(agreements=sg(since=since))
    report = verify_bundle(ONE, held, earlier=[FIRST], country="SG")
    only(report, "FAILED", "not_recognised", version=1)
    after = verify_bundle(ONE, held, earlier=[FIRST], country="SG", at=LATER)
    expected = ("PASSED", "") if since == START else ("FAILED", "not_recognised")
    only(after, *expected, version=2)


def test_r25_an_agreement_that_went_later_still_recognises_the_day_of_the_export() -> None:
    held = second(agreements=())
    report = verify_bundle(ONE, held, earlier=[FIRST], country="NL")
    assert report.verdict is Outcome.PASSED
    only(report, "PASSED", version=1)
    after = verify_bundle(ONE, held, earlier=[FIRST], country="NL", at=LATER)
    only(after, "FAILED", "not_recognised", version=2)
    # Recognition is told once, by its own check, not again by that of the moment.
    (moment,) = [check for check in after.checks if check.id == "EVI-15"]
    assert "CRED-11" not in moment.reason


def test_an_agreement_that_ended_recognises_what_is_proven_to_be_of_before() -> None:
    over = tuple(ended(one, NOW + HOUR) for one in FIRST.agreements)
    held = second(agreements=over)
    report = verify_bundle(ONE, held, earlier=[FIRST], country="NL", at=LATER)
    only(report, "PASSED", version=2)
    over = tuple(ended(one, world.ISSUED - timedelta(minutes=1)) for one in FIRST.agreements)
    held = second(BEFORE, agreements=over)
    report = verify_bundle(ONE, held, earlier=[FIRST], country="NL")
    only(report, "FAILED", "not_recognised", version=2)


def test_r5_an_exporter_who_states_a_list_already_replaced_keeps_no_agreement_alive() -> None:
    held = second(BEFORE, agreements=())
    report = verify_bundle(ONE, held, earlier=[FIRST], country="NL")
    assert wrong(report) == {"CRED-11": ("FAILED", "not_recognised")}
    only(report, "FAILED", "not_recognised", version=2)


def test_r5_a_right_that_had_ended_by_the_export_leaves_recognition_unknown() -> None:
    gone = tuple(ended(one, world.ISSUED - HOUR) for one in FIRST.issuers)
    held = second(BEFORE, issuers=gone)
    report = verify_bundle(ONE, held, earlier=[FIRST], country="NL")
    told = only(report, "INDETERMINATE", "not_reached")
    assert told.reason == "documents/001-quality-certificate.vc: CRED-06 issuer_without_right"


def test_r5_a_list_in_the_bundle_counts_only_as_far_as_the_one_held_vouches_for_it() -> None:
    grants = second(BEFORE, agreements=sg())
    bundle = world.export(lists=(FIRST, grants), titles=()).build()
    vouched = verify_bundle(bundle, FIRST, country="SG")
    assert {check.outcome.value for check in asked(vouched)} == {"PASSED"}
    own = attackers(agreements=sg())
    bundle = world.export(lists=(own,), titles=()).build()
    report = verify_bundle(bundle, FIRST, country="SG")
    assert wrong(report)["EVI-05"][0] == "FAILED"
    assert {check.code for check in asked(report)} == {"not_reached"}
    assert {check.outcome.value for check in asked(report)} == {"INDETERMINATE"}


def test_r5_a_list_forged_after_the_one_held_grants_nothing() -> None:
    grants = second(BEFORE, agreements=sg())
    forged = sign_list(grants.payload, [ecdsa("attacker", "root")])
    bundle = world.export(lists=(FIRST, replace(grants, signed=forged)), titles=()).build()
    report = verify_bundle(bundle, FIRST, country="SG")
    assert wrong(report)["EVI-05"] == ("FAILED", "member_list_threshold")
    assert {check.outcome.value for check in asked(report)} == {"INDETERMINATE"}


def test_r5_an_older_list_that_the_verifier_does_not_hold_decides_nothing() -> None:
    report = verify_bundle(ONE, second(agreements=()), country="NL")
    assert wrong(report) == {"EVI-05": ("INDETERMINATE", "evidence_list_older")}
    told = only(report, "INDETERMINATE", "not_reached")
    assert told.reason == "documents/001-quality-certificate.vc"


def test_without_a_witnessed_moment_or_a_readable_archive_nothing_is_known() -> None:
    unseen = world.export(witnesses=("cn-port",)).build()
    report = verify_bundle(unseen, FIRST, country="NL")
    assert [check.outcome.value for check in asked(report)] == ["INDETERMINATE"] * 3
    told = only(verify_bundle(b"PK\x03\x04", FIRST, country="NL"), "INDETERMINATE", "not_reached")
    assert told.reason == ""


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (FIRST.expires + timedelta(days=8), "list_stale"),
        (FIRST.issued_at - timedelta(minutes=5), "list_not_yet"),
    ],
)
@pytest.mark.parametrize("country", ["NL", "SG"])
def test_r6_a_list_of_another_time_neither_recognises_nor_refuses(
    at: datetime, code: str, country: str
) -> None:
    only(verify_bundle(ONE, FIRST, country=country, at=at), "INDETERMINATE", code)
