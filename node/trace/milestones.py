"""The way of a consignment's containers: signed milestones that are held, against their plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.trace import boxes as papers
from protocols import times
from protocols.release.milestones import Milestone, Planned, Progress, steps
from protocols.release.reading import EVENT, TRANSPORT_TYPES
from schemas import registry
from schemas.documents.logistics_event import MILESTONES
from schemas.errors import MalformedError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument

MAX_CONTAINERS = 1_000


def read(conn: Connection, ucr: str, now: datetime) -> list[dict[str, Any]]:
    """Per container of the consignment its steps, and how many are silent past the plan.

    `named` is false for one that is only told of, though the papers here name all there are.
    """
    stored = documents.find_all(conn, consignment=ucr)
    told = [one for each in stored if (one := _milestone(each)) is not None]
    boxes: dict[str, None] = {}
    for each in stored:
        if each.type in TRANSPORT_TYPES:
            boxes |= dict.fromkeys(registry.examine(each.type, each.payload).view.containers)
    named, whole = papers.of_papers(stored)
    for milestone in told:
        boxes |= dict.fromkeys(milestone.containers)
    ways = []
    for box in list(boxes)[:MAX_CONTAINERS]:
        way = steps(told, box, now)
        silent = [step.event for step in way if step.progress is Progress.SILENT]
        strange = {"named": False} if whole and box not in named else {}
        shown = [step.to_json() for step in way]
        ways.append({"container": box, "steps": shown, "silent": silent, **strange})
    return ways


def _milestone(stored: StoredDocument) -> Milestone | None:
    """A held event as milestone; None for what is none, is undecided, or was taken back."""
    decided = stored.verdict in (None, Outcome.PASSED.value)
    if stored.type != EVENT or not decided or stored.revoked_at is not None:
        return None
    view = registry.examine(EVENT, stored.payload).view
    event = view.facts.get("event")
    if event not in MILESTONES:
        return None
    plan = view.facts.get("plan")
    items = plan if isinstance(plan, list) else []
    return Milestone(
        event=str(event),
        at=times.from_text(view.facts.get("occurredAt")),
        by=stored.issuer,
        place=_place(view.facts.get("place")),
        containers=view.containers,
        document=stored.digest.hex(),
        plan=tuple(found for item in items if (found := _planned(item)) is not None),
    )


def _place(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    return str(value.get("locode") or value.get("name") or "")


def _planned(item: object) -> Planned | None:
    if not isinstance(item, dict):
        return None
    told: Mapping[str, Any] = item
    try:
        return Planned(str(told["event"]), times.from_text(told["at"]), _place(told.get("place")))
    except (KeyError, MalformedError):
        return None
