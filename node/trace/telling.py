"""Telling a logistics event: compose, issue and send it in one go (milestones, holds, payments).

An event is a document like any other: signed by this node, in its log, sent, and revocable.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.documents import documents, issuing
from node.documents.orders import IssueOrder
from node.exchange import sending
from node.http.helpers import read_json
from node.trace import boxes
from node.verification import judging
from protocols import times
from protocols.fields import DID, Fields
from protocols.release.reading import EVENT
from schemas import registry, strict_json
from schemas.documents.logistics_event import MILESTONES
from schemas.errors import ConflictError, NotFoundError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from aiohttp import web
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from schemas.findings import Finding
    from schemas.strict_json import JsonValue

CODE = "logistics_event_malformed"
KINDS = (*MILESTONES, "FREIGHT_CLEARED", "CHARGES_SETTLED", "HOLD", "LIFT")
_TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "required": ["event"],
    "properties": {
        "event": {"enum": list(KINDS)},
        "at": {"type": "string", "format": "date-time"},
        "containers": {"type": "array", "items": _TEXT},
        "reason": _TEXT,
        "lifts": _TEXT,
        "place": _TEXT,
        "vehicle": _TEXT,
        "condition": {"enum": ["SOUND", "DAMAGED"]},
        "remarks": _TEXT,
        "sealsObserved": {"type": "array", "items": _TEXT},
        "plan": {"type": "array", "items": {"type": "object"}},
        "send": {"type": "array", "items": _TEXT},
    },
}


@dataclass(frozen=True, slots=True)
class Telling:
    """One event to tell; `members` are those of the document that were given."""

    event: str
    at: datetime | None
    lifts: bytes | None
    members: dict[str, JsonValue]
    send: tuple[str, ...]
    containers: tuple[str, ...] = ()


async def read_telling(request: web.Request) -> Telling:
    """POST …/events; raises MalformedError `logistics_event_malformed`."""
    fields = Fields(await read_json(request), CODE)
    event = fields.text("event", max_length=20)
    if event not in KINDS:
        raise fields.fault("event", ", ".join(KINDS))
    members: dict[str, JsonValue] = {}
    named = fields.texts("containers", max_length=20, max_items=1000)
    if named:
        members["containers"] = [{"number": box} for box in named]
    if fields.has("reason"):
        members["reason"] = {"text": fields.text("reason", max_length=500)}
    if fields.has("place"):
        members["place"] = {"locode": fields.text("place", max_length=5)}
    for name, length in (("vehicle", 20), ("condition", 10), ("remarks", 500)):
        if fields.has(name):
            members[name] = fields.text(name, max_length=length)
    seals = fields.texts("sealsObserved", max_length=15, max_items=20)
    if seals:
        members["sealsObserved"] = list(seals)
    if fields.has("plan"):
        members["plan"] = [_planned(item) for item in fields.children("plan", 50)]
    return Telling(
        event=event,
        at=fields.optional_time("at"),
        lifts=fields.optional_digest("lifts"),
        members=members,
        send=fields.texts("send", pattern=DID),
        containers=tuple(named),
    )


def _planned(fields: Fields) -> JsonValue:
    body: dict[str, JsonValue] = {
        "event": fields.text("event", max_length=20),
        "at": times.to_text(fields.time("at")),
    }
    if fields.has("place"):
        body["place"] = {"locode": fields.text("place", max_length=5)}
    return body


def tell(
    conn: Connection, node: Node, ucr: str, telling: Telling
) -> tuple[StoredDocument, tuple[Finding, ...]]:
    """Issue the event and send it; what it changes about releases here is decided at once.

    The second part warns of containers that nobody here can know of. Raises NotFoundError
    `hold_unknown` for a lifting of no hold here, ConflictError `hold_lifted`, RefusedError
    `container_not_of_consignment`, and what issuing raises.
    """
    unsure = boxes.require_named(conn, ucr, telling.containers)
    members, now = judging.members_of(node), node.clock.now()
    entry = members.node(node.did)
    payload: dict[str, JsonValue] = {
        "documentType": EVENT,
        "number": f"EV-{telling.event}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(4)}",
        "issueDate": f"{now:%Y-%m-%d}",
        "consignment": ucr,
        "issuer": {
            "name": entry.name if entry else node.did,
            "country": entry.country if entry else "",
            "did": node.did,
        },
        "event": telling.event,
        "occurredAt": times.to_text(telling.at or now),
        **telling.members,
    }
    if telling.lifts is not None:
        payload |= _lifting(conn, node.did, telling.lifts, payload)
    order = IssueOrder(strict_json.canonical(payload), EVENT, ucr)
    examined = issuing.examine(order, node)
    issued = issuing.issue(conn, examined, node, issuing.require_fresh(node)).document
    if telling.send:
        sending.send(conn, node, issued.digest, sending.SendOrder(list(telling.send)))
    node.release.reconsider(conn, ucr)
    return issued, unsure


def _lifting(
    conn: Connection, did: str, digest: bytes, payload: dict[str, Any]
) -> dict[str, JsonValue]:
    """The reference to the hold that is lifted, and its containers."""
    hold = documents.get(conn, digest)
    facts = registry.examine(EVENT, hold.payload).view if hold and hold.type == EVENT else None
    if hold is None or facts is None or facts.facts.get("event") != "HOLD":
        raise NotFoundError("hold_unknown", digest.hex()[:16])
    _require_open(conn, did, hold)
    reference: dict[str, JsonValue] = {
        "type": EVENT,
        "number": hold.number,
        "digest": digest.hex(),
    }
    held: list[JsonValue] = [{"number": box} for box in facts.containers]
    return {
        "lifts": reference,
        **({"containers": held} if held and "containers" not in payload else {}),
    }


def _require_open(conn: Connection, did: str, hold: StoredDocument) -> None:
    """No lifting of this hold by `did` counts already; ConflictError `hold_lifted` names it."""
    for each in documents.find_all(conn, type=EVENT, consignment=hold.consignment):
        good = each.verdict in (None, Outcome.PASSED.value) and each.revoked_at is None
        if not good or each.issuer != did:
            continue
        facts = registry.examine(EVENT, each.payload).view.facts
        if facts.get("event") == "LIFT" and facts.get("lifts") == hold.digest.hex():
            lifting = each.digest.hex()
            raise ConflictError("hold_lifted", f"{each.number} lifted it", document=lifting)
