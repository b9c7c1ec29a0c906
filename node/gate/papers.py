"""The papers around a gate: the pass for a truck, and what is told once it went out.

A gate pass (655) follows a release order that names a vehicle; it falls with its order. When a
container left, the port says so as a milestone, and by an equipment interchange receipt where
somebody looked at the container: nobody signs for what nobody saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import documents, issuing, revoking
from node.documents.orders import IssueOrder
from node.documents.revoking import Change
from node.verification import judging
from protocols import times
from protocols.release.gate import plate
from protocols.release.order import TYPE as ORDER
from protocols.release.reading import EVENT
from schemas import registry, strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.release.rows import StoredOrder
    from node.runtime import Node
    from protocols.release.gate import Entry
    from schemas.strict_json import JsonValue

PASS, RECEIPT = "gate-pass", "equipment-interchange-receipt"


def pass_number(order: StoredOrder) -> str:
    """The pass of an order has the order's number."""
    return f"GP-{order.number}"


def issue_pass(conn: Connection, node: Node, order: StoredOrder, vehicle: str) -> None:
    """The pass for the truck that an order names; none where no vehicle is named."""
    entry = judging.members_of(node).node(node.did)
    if not vehicle or entry is None:
        return
    ours: dict[str, JsonValue] = {"name": entry.name, "country": entry.country, "did": node.did}
    until = times.from_ms(order.not_after)
    body: dict[str, JsonValue] = {
        **_head(PASS, pass_number(order), order, ours, node.clock.now()),
        "importCountry": entry.country,
        "validUntil": f"{until:%Y-%m-%d}",
        "parties": {"terminal": ours, "haulier": {"name": order.collector}},
        "releaseOrder": {"type": ORDER, "number": order.number, "digest": order.digest.hex()},
        "direction": "OUT",
        "slot": {
            "from": times.to_text(times.from_ms(order.not_before)),
            "until": times.to_text(until),
        },
        "truck": {"plate": plate(vehicle)},
    }
    _issue(conn, node, PASS, body, order)


def revoke_pass(conn: Connection, node: Node, order: StoredOrder, reason: str) -> None:
    """The pass falls with its order."""
    for stored in documents.find(conn, type=PASS, number=pass_number(order), origin="issued"):
        if stored.revoked_at is None:
            change = Change(stored.digest, reason)
            revoking.revoke(conn, node, node.documents.publisher(), change)


def went_out(conn: Connection, node: Node, order: StoredOrder, entry: Entry) -> None:
    """The milestone, and the receipt where the gate's line says in what state it went."""
    member = judging.members_of(node).node(node.did)
    if member is None:
        return
    ours: dict[str, JsonValue] = {"name": member.name, "country": member.country, "did": node.did}
    now, at = node.clock.now(), times.to_text(entry.at)
    seen: dict[str, JsonValue] = {}
    if entry.condition:
        seen["condition"] = entry.condition
    if entry.seals:
        seen["sealsObserved"] = list(entry.seals)
    place: JsonValue = {"locode": member.locode} if member.locode else {"name": member.name}
    told: dict[str, JsonValue] = {
        **_head(EVENT, f"EV-GATE_OUT-{order.number}", order, ours, now),
        "event": "GATE_OUT",
        "occurredAt": at,
        "place": place,
        **({"vehicle": entry.vehicle} if entry.vehicle else {}),
        **seen,
    }
    _issue(conn, node, EVENT, told, order)
    if not entry.condition:
        return
    receipt: dict[str, JsonValue] = {
        **_head(RECEIPT, f"EIR-{order.number}", order, ours, now),
        "parties": {"from": ours, "to": {"name": order.collector}},
        "interchangedAt": at,
        "direction": "OUT",
        "place": place,
        "loadStatus": "FULL",
        **seen,
        "gatePass": {"type": PASS, "number": pass_number(order)},
    }
    if entry.condition == "DAMAGED":
        receipt["damages"] = [{"location": "0", "text": entry.reason or "damaged"}]
    if plate(entry.vehicle):
        receipt["truck"] = {"plate": plate(entry.vehicle)}
    _issue(conn, node, RECEIPT, receipt, order)


def _head(
    kind: str, number: str, order: StoredOrder, issuer: dict[str, JsonValue], now: datetime
) -> dict[str, JsonValue]:
    return {
        "documentType": kind,
        "number": number,
        "issueDate": f"{now:%Y-%m-%d}",
        "consignment": order.consignment,
        "issuer": issuer,
        "containers": [{"number": order.container}],
    }


def _issue(
    conn: Connection, node: Node, kind: str, body: dict[str, JsonValue], order: StoredOrder
) -> StoredDocument | None:
    """Issue one paper; what cannot be issued is told, and never keeps an order or an exit back."""
    if kind not in registry.document_types():
        return None
    wanted = IssueOrder(strict_json.canonical(body), kind, order.consignment)
    try:
        with conn.begin_nested():
            made = issuing.examine(wanted, node)
            return issuing.issue(conn, made, node, issuing.require_fresh(node)).document
    except TradeError as error:
        node.telemetry.log.warning("gate.paper", kind=kind, code=error.code, order=order.number)
        return None
