"""Milestones against the plan: told, due, silent past it, late; the newest plan counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from protocols.release.milestones import TOLERANCE, Milestone, Planned, Progress, steps

T0 = datetime(2026, 11, 18, tzinfo=UTC)
DAY = timedelta(days=1)
BOX = "NHLU2631075"
PLAN = (Planned("TRANSHIPPED", T0 + 9 * DAY, "SGSIN"), Planned("DISCHARGED", T0 + 30 * DAY, ""))
SAILED = Milestone("DEPARTED", T0, "did:web:nhl.example", "CNSHA", (BOX,), "01", PLAN)


def way(now: datetime, *told: Milestone) -> list[tuple[str, Progress]]:
    return [(step.event, step.progress) for step in steps(told, BOX, now)]


def test_what_is_planned_is_due_and_silent_past_its_moment() -> None:
    due, silent, done = Progress.DUE, Progress.SILENT, Progress.DONE
    late = T0 + 9 * DAY + TOLERANCE
    assert way(T0, SAILED) == [("DEPARTED", done), ("TRANSHIPPED", due), ("DISCHARGED", due)]
    assert way(late - timedelta(seconds=1), SAILED)[1][1] is due
    assert way(late, SAILED) == [("DEPARTED", done), ("TRANSHIPPED", silent), ("DISCHARGED", due)]


def test_a_told_milestone_ends_the_silence_and_says_how_late_it_was() -> None:
    moved = Milestone("TRANSHIPPED", T0 + 10 * DAY, "did:web:nhl.example", "SGSIN", (BOX,), "02")
    found = steps([moved, SAILED], BOX, T0 + 11 * DAY)
    assert [step.progress for step in found] == [Progress.DONE, Progress.DONE, Progress.DUE]
    assert found[1].late == DAY
    assert found[1].to_json()["lateMinutes"] == 1440
    assert found[0].late is None
    elsewhere = Milestone("TRANSHIPPED", T0 + 10 * DAY, "x", "MYPKG", (BOX,), "03")
    assert (("TRANSHIPPED", Progress.SILENT)) in way(T0 + 11 * DAY, SAILED, elsewhere)


def test_the_newest_plan_replaces_the_earlier_one() -> None:
    again = Milestone(
        "LOADED",
        T0 + DAY,
        "x",
        "CNSHA",
        (),
        "04",
        (Planned("TRANSHIPPED", T0 + 20 * DAY, "SGSIN"),),
    )
    assert ("TRANSHIPPED", Progress.DUE) in way(T0 + 12 * DAY, SAILED, again)


def test_only_milestones_of_the_container_or_of_the_consignment_count() -> None:
    other = Milestone("DISCHARGED", T0 + 29 * DAY, "x", "NLRTM", ("NHLU2631080",), "05")
    whole = Milestone("DISCHARGED", T0 + 29 * DAY, "x", "NLRTM", (), "06")
    assert ("DISCHARGED", Progress.SILENT) in way(T0 + 40 * DAY, SAILED, other)
    assert ("DISCHARGED", Progress.DONE) in way(T0 + 40 * DAY, SAILED, whole)


@given(st.integers(0, 100), st.integers(0, 100))
def test_silence_never_turns_back_into_due(first: int, more: int) -> None:
    def silent(days: int) -> set[str]:
        found = way(T0 + days * DAY, SAILED)
        return {event for event, progress in found if progress is Progress.SILENT}

    assert silent(first) <= silent(first + more)
