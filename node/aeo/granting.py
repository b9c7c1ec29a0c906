"""The next status event of an authorisation that this node granted, issued and sent in one go.

Number, previous hash and everything that stays the same are taken from the newest event; whoever
got an earlier event gets this one (R11 in spirit: who relies on it learns of its end).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.aeo import rows
from node.documents import documents, issuing
from node.documents.orders import IssueOrder
from node.exchange import sending
from protocols import times
from protocols.aeo import TRANSITIONS, TYPE
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from schemas.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class StatusOrder:
    """What is to change. status: None leaves it; consent: None leaves it."""

    status: str | None = None
    reason: str = ""
    effective: date | None = None
    consent: bool | None = None


def change(conn: Connection, node: Node, code: str, order: StatusOrder) -> StoredDocument:
    """Issue the next event and send it to everybody who got one before.

    Raises NotFoundError `aeo_code_unknown`, ForbiddenError `aeo_not_ours`, ConflictError
    `aeo_transition_illegal`, and what issuing raises.
    """
    found = rows.known(conn, code)
    if not found:
        raise NotFoundError("aeo_code_unknown", code[:40])
    events = [documents.require(conn, digest) for digest, _ in found]
    newest = events[-1]
    if newest.origin != documents.ISSUED:
        raise ForbiddenError("aeo_not_ours", newest.issuer)
    payload = _next(newest, order, node.clock.now())
    to_issue = IssueOrder(payload, TYPE, newest.consignment, import_country=newest.import_country)
    examined = issuing.examine(to_issue, node)
    issued = issuing.issue(conn, examined, node, issuing.require_fresh(node)).document
    got = {did: None for each in events for did in documents.recipients_of(conn, each.digest)}
    if got:
        sending.send(conn, node, issued.digest, sending.SendOrder(list(got)))
    return issued


def _next(newest: StoredDocument, order: StatusOrder, now: datetime) -> bytes:
    body = strict_json.loads_object(newest.payload)
    was, seq = str(body["status"]), body["seq"]
    status = order.status or was
    if status not in TRANSITIONS.get(was, frozenset()):
        raise ConflictError("aeo_transition_illegal", f"{was} → {status}")
    assert isinstance(seq, int)
    number = f"{body['number']}".rpartition("-")[0] or str(body["number"])
    body.pop("reason", None)
    body |= {
        "number": f"{number}-{seq + 1:04}",
        "issueDate": f"{now:%Y-%m-%d}",
        "seq": seq + 1,
        "prevHash": newest.payload_digest.hex(),
        "status": status,
        "effective": f"{order.effective or now.date():%Y-%m-%d}",
        "recorded": times.to_text(now),
        **({"reason": order.reason} if order.reason else {}),
    }
    if order.consent is not None:
        _consent(body, now, given=order.consent)
    return strict_json.canonical(body)


def _consent(body: dict[str, JsonValue], now: datetime, *, given: bool) -> None:
    """Consent as of today; without it name and address are no longer carried (AEO-005)."""
    body["consent"] = {"given": given, "date": f"{now:%Y-%m-%d}"}
    holder = body["holder"]
    if not given and isinstance(holder, dict):
        kept = {"code", "did", "identifiers"}
        body["holder"] = {name: value for name, value in holder.items() if name in kept}
