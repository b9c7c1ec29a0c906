"""What a chain of AEO status events gives: the shared cases, and each reason by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aeo import AeoEvent, Answer, Lane, Query, answer
from protocols.member_list import Agreement
from schemas import aeo_programmes
from tests.shared import shared_path

CODE = "AEOCN0123456789"
T0 = datetime(2024, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
AGREED = Agreement(
    "sg-cn", "SG", "CN", ("aeo-status",), T0, aeo_classes=("AEOF",), aeo_roles=("EXPORTER",)
)


def moment(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def event(seq: int, status: str = "ACTIVE", **more: Any) -> AeoEvent:
    known = T0 + seq * DAY
    one = AeoEvent(CODE, seq, status, known.date(), known, f"{seq:064}", country="CN")
    before = f"{seq - 1:064}" if seq > 1 else ""
    return replace(one, **{"previous": before} | more)


def ask(*events: AeoEvent, by: str = "SG", role: str = "EXPORTER", **more: Any) -> Answer:
    query = Query(more.get("on", date(2025, 1, 1)), more.get("known_at", moment("2025-01-01")))
    query = replace(query, by=by, role=role)
    return answer(more.get("code", CODE), events, query, more.get("agreements", (AGREED,)))


def codes(found: Answer) -> list[str]:
    return [reason.code for reason in found.reasons]


def shared(case: dict[str, Any]) -> Answer:
    """One shared case as events, query and agreement."""
    told = case["given"]
    events = [
        AeoEvent(
            told["code"],
            one["seq"],
            one["status"],
            date.fromisoformat(one["effective"]),
            moment(one["received"]),
            f"{one['seq']:064}",
            authorisation=told.get("aeo_type", "AEOF"),
        )
        for one in told["events"]
    ]
    asked = told["query"]
    query = Query(
        date.fromisoformat(asked["at"]),
        moment(asked["known_at"]),
        asked.get("by", ""),
        asked.get("role", ""),
    )
    agreed = told.get("mra")
    agreements = (
        [
            Agreement(
                "case", agreed["parties"][1], agreed["parties"][0], ("aeo-status",),
                moment(agreed["from_"]),
                aeo_classes=("AEOF",), aeo_roles=tuple(agreed["roles"]),
            )
        ]
        if agreed
        else []
    )  # fmt: skip
    return answer(told["code"], events, query, agreements)


def test_the_shared_aeo_cases_give_their_verdicts() -> None:
    cases = json.loads(shared_path("vectors/documents/aeo_cases.json").read_text())["cases"]
    assert len(cases) == 6
    for case in cases:
        found, expect = shared(case), case["expect"]
        assert found.benefit is expect["benefit"], case["id"]
        if "reason" in expect:
            assert expect["reason"] in codes(found), case["id"]
        if "event_rejected" in expect:
            assert found.rejected == (expect["event_rejected"],)
        if "later" in expect:
            assert found.flagged == moment("2025-02-05")


def test_an_active_chain_under_an_agreement_gives_the_benefit() -> None:
    found = ask(event(1), event(2))
    assert (found.benefit, found.lane, found.agreement) == (True, Lane.AEO, "sg-cn")
    assert found.to_json()["data"] == aeo_programmes.digest()


@pytest.mark.parametrize(
    ("events", "more", "code"),
    [
        ((), {}, "AEO_UNKNOWN"),
        ((event(1), event(2, "SUSPENDED")), {}, "AEO_SUSPENDED"),
        ((event(1), event(2, "REVOKED")), {}, "AEO_REVOKED"),
        ((event(1), event(2, "EXPIRED")), {}, "AEO_EXPIRED"),
        ((event(1), event(3)), {}, "GAP_SEQ_2"),
        ((event(2),), {}, "GAP_SEQ_1"),
        ((event(1), event(1, payload="f" * 64)), {}, "FORK_SEQ_1"),
        ((event(1), event(2, previous="e" * 64)), {}, "CHAIN_SEQ_2"),
        ((event(1, effective=date(2026, 1, 1)),), {}, "AEO_NOT_YET"),
        ((event(1), event(2, consent=False)), {}, "AEO_CONSENT_WITHDRAWN"),
        ((event(1, country="KR"),), {}, "AEO_ISSUER_NOT_GRANTING"),
        ((event(1, roles=("IMPORTER",)),), {}, "AEO_ROLE_NOT_HELD"),
        ((event(1, standing="stale"),), {}, "AEO_EVENT_NOT_IN_FORCE"),
        ((event(1, gone_at=T0 + 2 * DAY),), {}, "AEO_EVENT_NOT_IN_FORCE"),
        ((event(1, authorisation="NATIONAL"),), {}, "TYPE_NOT_RECOGNISED"),
        ((event(1, authorisation="AEOC"),), {}, "TYPE_NOT_RECOGNISED"),
        ((event(1),), {"by": "NL"}, "AEO_NO_AGREEMENT"),
        ((event(1),), {"role": "IMPORTER"}, "AEO_ROLE_NOT_COVERED"),
        ((event(1),), {"agreements": [replace(AGREED, valid_until=T0)]}, "AEO_NO_AGREEMENT"),
        ((event(1),), {"agreements": [replace(AGREED, aeo_classes=())]}, "AEO_CLASS_NOT_COVERED"),
        ((event(1),), {"agreements": [replace(AGREED, aeo_classes=("AEOS",))]},
         "AEO_CLASS_NOT_COVERED"),
    ],
)  # fmt: skip
def test_each_fault_alone_takes_the_benefit_and_nothing_else(
    events: tuple[AeoEvent, ...], more: dict[str, Any], code: str
) -> None:
    found = ask(*events, **more)
    assert (found.benefit, found.lane) == (False, Lane.NORMAL)
    assert codes(found) == [code]
    told = found.reasons[0].to_json("zh")
    assert told["reason"]
    assert told["next"]


def test_at_home_no_agreement_and_no_security_class_is_needed() -> None:
    assert ask(event(1, authorisation="NATIONAL"), by="CN", agreements=[]).benefit
    assert ask(event(1), by="", agreements=[]).benefit


def test_an_ended_authorisation_is_not_revived_and_the_event_is_named() -> None:
    found = ask(event(1), event(2, "EXPIRED"), event(3))
    assert (found.rejected, found.status) == ((3,), "EXPIRED")
    assert "INVALID_TRANSITION" in codes(found)


def test_later_knowledge_flags_the_answer_and_changes_it_not() -> None:
    suspension = event(2, "SUSPENDED", known_at=moment("2025-03-01"))
    found = ask(event(1), suspension)
    assert (found.benefit, found.flagged) == (True, moment("2025-03-01"))
    revoked = ask(event(1, gone_at=moment("2025-04-01")))
    assert (revoked.benefit, revoked.flagged) == (True, moment("2025-04-01"))
    assert ask(event(1), suspension, known_at=moment("2025-03-02")).lane is Lane.NORMAL


@given(st.permutations([event(1), event(2, "SUSPENDED"), event(3), event(4)]))
def test_the_answer_does_not_depend_on_the_order_of_arrival(events: list[AeoEvent]) -> None:
    assert ask(*events).benefit


@given(st.sets(st.integers(1, 6)))
def test_any_missing_event_before_the_newest_denies_the_benefit(held: set[int]) -> None:
    found = ask(*(event(seq) for seq in held))
    assert found.benefit is (held == set(range(1, len(held) + 1)) and bool(held))


@pytest.mark.parametrize(
    ("code", "scheme"),
    [
        ("AEOCN3707DEMQ01", "AEOCN"),
        ("DE000000000000001", "EORI"),
        ("GB123456789012", "EORI"),
        ("KRAEO0001", "KRAEO"),
        ("SG201900001A", "TIN"),
        ("AEOCN012345678", None),
        ("GB12345", None),
        ("AEOcn0123456789", None),
        ("ZZ123", None),
        ("", None),
    ],
)
def test_codes_have_the_form_of_their_administration(code: str, scheme: str | None) -> None:
    programme = aeo_programmes.programme_of(code, date(2026, 1, 1))
    assert (programme.scheme_of(code) if programme else None) == scheme


def test_programmes_are_dated_and_told() -> None:
    assert aeo_programmes.programme_of("GB123456789012", date(2020, 1, 1)) is None
    for one in aeo_programmes.programmes():
        assert one.to_json()["codes"]
