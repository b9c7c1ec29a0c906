"""Rule sets, verdict lists and the causes of differences, without a node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from protocols.preflight.comparing import Given, differences
from protocols.preflight.rule_set import RuleSet, document_rules
from protocols.preflight.verdicts import Judgement, Line, overall, verdicts
from protocols.release.rules import edition_of
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Check, Outcome, Report

NOW = datetime(2026, 11, 18, tzinfo=UTC)
PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE


def rules(country: str = "NL", documents: str | None = None) -> RuleSet:
    edition, digest = edition_of(country, NOW)
    content = {
        "country": country,
        "release": dict(edition),
        "releaseDigest": digest,
        "documentRules": documents or document_rules(),
        "agreements": [],
    }
    return RuleSet(f"did:web:{country.lower()}.example", country, content, NOW, NOW)


def unread(verdict: Outcome, code: str = "") -> Judgement:
    report = Report("x", "2026-11-18T00:00:00.000Z", (Check("CRED-01", verdict, code=code),))
    return Judgement("aa" * 32, "bill-of-lading", "B-1", report, None, None)


def document(outcome: Outcome, code: str = "", check: str = "", subject: str = "aa") -> Line:
    values = {"check": check} if check else {}
    return Line("PRE-10", subject, outcome, "bill B-1", code, values=values)


def causes(before: list[Line], after: list[Line], **more: object) -> list[tuple[str, str]]:
    advised = Given(before, "r1", 1, frozenset({"aa"}))
    found = replace(Given(after, "r1", 1), **more)
    return [(each.id, each.cause) for each in differences(advised, found)]


def test_the_same_rules_have_the_same_digest_whenever_they_are_signed() -> None:
    later = replace(rules(), issued_at=datetime(2026, 12, 1, tzinfo=UTC))
    assert rules().digest == later.digest
    assert rules("SG").digest != rules().digest


def test_a_set_without_release_rules_is_refused() -> None:
    broken = replace(rules(), content={**rules().content, "release": {}})
    with pytest.raises(MalformedError) as caught:
        _ = broken.release
    assert caught.value.code == "rule_set_malformed"
    with pytest.raises(RefusedError):
        edition_of("ZZ", NOW)


def test_what_cannot_be_read_is_failed_and_the_bill_is_missing() -> None:
    lines = {line.id: line for line in verdicts([unread(FAILED, "json_malformed")], rules())}
    assert lines["PRE-10"].code == "json_malformed"
    assert lines["PRE-20"].outcome is FAILED
    assert lines["PRE-30"].outcome is UNKNOWN
    assert overall(list(lines.values())) is FAILED
    assert overall([]) is UNKNOWN


def test_other_document_rules_make_the_list_no_promise() -> None:
    (line, *_) = verdicts([unread(PASSED)], rules(documents="00" * 32))
    assert (line.id, line.outcome, line.code) == ("PRE-01", UNKNOWN, "preflight_other_rules")
    told = line.to_json("en")
    assert told["next"]
    assert "title" not in line.to_json()


def test_every_line_and_every_cause_is_explained() -> None:
    for code in ("PRE-01", "PRE-10", "PRE-20", "PRE-30", "PRE-40", "PRE-50", "PRE-70", "PRE-75"):
        assert explain(code) is not None


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        (document(PASSED), document(FAILED, "revoked", "CRED-10"), "withdrawn"),
        (document(FAILED, "suspended", "CRED-10"), document(PASSED), "reinstated"),
        (document(PASSED), document(FAILED, "late", "CRED-07"), "time"),
        (document(PASSED), document(UNKNOWN, "status_stale", "CRED-10"), "status"),
        (document(PASSED), document(FAILED, "x", "CRED-06"), "unexplained"),
    ],
)
def test_a_documents_difference_has_its_cause(before: Line, after: Line, cause: str) -> None:
    found = causes([before], [after])
    assert len(found) == 1
    assert cause in found[0][1]
    entry = explain(found[0][1])
    assert entry is not None


def test_documents_that_came_or_did_not_come_are_told_apart() -> None:
    assert causes([document(PASSED)], []) == [("PRE-10", "preflight_document_not_here")]
    new = document(PASSED, subject="bb")
    assert causes([document(PASSED)], [document(PASSED), new]) == [
        ("PRE-10", "preflight_document_new")
    ]
    # What was foretold to be refused, and was, is no difference.
    assert causes([document(FAILED, "x", "CRED-06")], []) == []


def test_what_follows_says_from_what_and_rules_and_list_are_causes() -> None:
    asked = Line("PRE-30", "BOX", PASSED)
    missing = replace(asked, outcome=FAILED, code="certificate_missing")
    gone = [document(PASSED), asked], [document(FAILED, "revoked", "CRED-10"), missing]
    assert causes(*gone)[1] == ("PRE-30", "preflight_follows")
    assert causes([asked], [missing], rules="r2") == [("PRE-30", "preflight_rules_changed")]
    assert causes([asked], [missing], members=2) == [("PRE-30", "preflight_members_changed")]
    assert causes([asked], [missing]) == [("PRE-30", "preflight_unexplained")]
    told = differences(Given([asked], "r1", 1), Given([missing], "r2", 1))[0].to_json()
    assert (told["before"], told["after"]) == ("PASSED", "FAILED")
    assert told["next"]
