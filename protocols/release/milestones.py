"""Milestones of containers against the plan: what happened, what is due, and who is silent.

Carriers and terminals say what happened and may say what comes next and when (`plan`). The newest
plan from a carrier, or from whoever told the last milestone, counts. What is planned, not told, and
past its moment by more than the tolerance is *silent*: nothing is known to be wrong, but nobody
spoke.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from protocols import times

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

TOLERANCE = timedelta(hours=6)


class Progress(StrEnum):
    """How a planned milestone stands."""

    DONE = "done"
    DUE = "due"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Planned:
    """One milestone to come, as somebody said it at `said_at`."""

    event: str
    at: datetime
    place: str = ""
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Milestone:
    """One signed milestone. containers: empty for the whole consignment; document: hex digest."""

    event: str
    at: datetime
    by: str
    place: str = ""
    containers: tuple[str, ...] = ()
    document: str = ""
    plan: tuple[Planned, ...] = ()

    def covers(self, container: str) -> bool:
        """Whether it tells of that container."""
        return not self.containers or container in self.containers


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a container's way: told, due or silent; late by how much it was told."""

    event: str
    progress: Progress
    planned: datetime | None
    at: datetime | None
    place: str
    by: str
    document: str

    @property
    def late(self) -> timedelta | None:
        """By how much it happened after its plan, where both are known."""
        if self.at is None or self.planned is None or self.at <= self.planned:
            return None
        return self.at - self.planned

    def to_json(self) -> dict[str, Any]:
        """For the API; empty members are left out."""
        body = {
            "event": self.event,
            "progress": self.progress.value,
            "planned": times.to_text(self.planned) if self.planned else "",
            "at": times.to_text(self.at) if self.at else "",
            "place": self.place,
            "by": self.by,
            "document": self.document,
            "lateMinutes": int(self.late.total_seconds() // 60) if self.late else "",
        }
        return {name: value for name, value in body.items() if value != ""}


def steps(milestones: Iterable[Milestone], container: str, now: datetime) -> tuple[Step, ...]:
    """A container's way so far and to come, in order of time; see the module."""
    told = sorted(
        (one for one in milestones if one.covers(container)), key=lambda one: (one.at, one.document)
    )
    plan = _plan(told)
    made = [_told(one, plan) for one in told]
    made += [_open(one, now) for one in plan if not _happened(one, told)]
    return tuple(sorted(made, key=lambda step: step.at or step.planned or now))


def _plan(told: list[Milestone]) -> list[Planned]:
    """Per milestone and place what was said last: a later plan replaces an earlier one."""
    newest: dict[tuple[str, str], Planned] = {}
    for one in told:
        for planned in one.plan:
            newest[planned.event, planned.place] = planned
    return list(newest.values())


def _matches(planned: Planned, one: Milestone) -> bool:
    return planned.event == one.event and planned.place in ("", one.place)


def _happened(planned: Planned, told: list[Milestone]) -> bool:
    return any(_matches(planned, one) for one in told)


def _told(one: Milestone, plan: list[Planned]) -> Step:
    planned = next((each.at for each in plan if _matches(each, one)), None)
    return Step(one.event, Progress.DONE, planned, one.at, one.place, one.by, one.document)


def _open(one: Planned, now: datetime) -> Step:
    silent = one.at + TOLERANCE <= now
    progress = Progress.SILENT if silent else Progress.DUE
    return Step(one.event, progress, one.at, None, one.place, "", "")
