"""The register's side of a gate's visit: take its journal, confirm ends, lease orders (R24).

All in one transaction. First what the gate did is taken in, then only what is still open is leased;
an order that some gate has is leased to no other, whatever became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.documents import documents
from node.gate import rows
from node.release import rows as release_rows
from node.store import events
from node.verification import judging
from protocols import times
from protocols.keys import from_jwk
from protocols.release import gate as words
from protocols.release import pick_up
from schemas import registry
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.gate.rows import StoredGate
    from node.release.rows import StoredOrder
    from node.runtime import Node
    from protocols.keys import PublicKey
    from protocols.member_list import MemberList
    from protocols.release.gate import Entry, Lease

MAX_LINES = 500
PURPOSE = "release"


@dataclass(frozen=True, slots=True)
class Visit:
    """What a gate gets: leases, notices of orders taken back, and how far its journal is known."""

    leases: tuple[str, ...]
    notices: tuple[str, ...]
    confirmed: int
    used: tuple[str, ...] = ()


def visit(conn: Connection, node: Node, name: str, journal: Sequence[str]) -> Visit:
    """A gate reports and is given what it may open for.

    Raises NotFoundError `gate_unknown`, RefusedError `gate_ended`, `gate_report_broken`.
    """
    gate = rows.gate(conn, name)
    used = _take_journal(conn, node, gate, journal)
    confirmed, _ = rows.last_line(conn, name)
    if gate.ended_at is not None:
        raise RefusedError("gate_ended", name)
    now_ms = node.clock.now_ms()
    for order in _open_orders(conn, gate, now_ms):
        lease = _lease(conn, node, gate, order)
        if lease is not None and rows.keep_lease(conn, lease, now_ms):
            detail = {"container": order.container, "number": order.number, "gate": name}
            _event(conn, node, "order-leased", order, detail)
    held = rows.leases(conn, name, now_ms)
    return Visit(
        leases=tuple(text for _, text, void in held if not void),
        notices=tuple(notice(node, order) for order, _, void in held if void),
        confirmed=confirmed,
        used=tuple(used),
    )


def notice(node: Node, order: bytes, reason: str = "the order was taken back") -> str:
    """The register's signed word that an order is void; it may be carried to a gate by hand."""
    network = judging.members_of(node).network.hex()
    told = words.Notice(order.hex(), reason, node.clock.now())
    return words.sign_notice(network, told, node.keys.signer(PURPOSE))


def notices(conn: Connection, node: Node, name: str) -> list[str]:
    """The notices for a gate, of orders leased to it that are void and were not used."""
    rows.gate(conn, name)
    held = rows.leases(conn, name, node.clock.now_ms())
    return [notice(node, order) for order, _, void in held if void]


# -- journal -----------------------------------------------------------------------------------


def _take_journal(
    conn: Connection, node: Node, gate: StoredGate, journal: Sequence[str]
) -> list[str]:
    """Take in the lines that follow those known; the orders (hex) used in them."""
    key = from_jwk(f"{node.did}#gate-{gate.name}", gate.key)
    used = []
    for text in journal[:MAX_LINES]:
        entry = words.read_entry(text, key, gate.name)
        if _is_known(conn, gate, entry, text):
            continue
        _require_onward(conn, gate, entry, key)
        rows.keep_line(conn, entry, text, node.clock.now_ms())
        _take(conn, node, gate, entry)
        if entry.kind == "USED":
            used.append(entry.order)
    return used


def _is_known(conn: Connection, gate: StoredGate, entry: Entry, text: str) -> bool:
    """Whether that line was reported; another under its number is a broken journal."""
    known = rows.line(conn, gate.name, entry.seq)
    if known is not None and known != text:
        raise RefusedError("gate_report_broken", f"line {entry.seq} differs from the one reported")
    return known is not None


def _require_onward(conn: Connection, gate: StoredGate, entry: Entry, key: PublicKey) -> None:
    seq, text = rows.last_line(conn, gate.name)
    before = words.read_entry(text, key, gate.name).digest if text else ""
    if (entry.seq, entry.previous) != (seq + 1, before):
        raise RefusedError("gate_report_broken", f"line {entry.seq} does not follow line {seq}")


def _take(conn: Connection, node: Node, gate: StoredGate, entry: Entry) -> None:
    """What one line changes here."""
    detail: dict[str, str] = {
        "gate": gate.name,
        "container": entry.container,
        "vehicle": entry.vehicle,
        "code": entry.code,
        "reason": entry.reason,
        "person": entry.person,
        "happenedAt": times.to_text(entry.at),
    }
    told = {name: value for name, value in detail.items() if value}
    order = _order(conn, entry)
    if entry.kind == "USED" and order is not None:
        _take_use(conn, node, gate, entry, order, told)
    elif entry.kind == "VOIDED" and order is not None:
        rows.confirm_void(conn, order.digest, node.clock.now_ms())
        _event(conn, node, "order-void-at-gate", order, told)
    elif entry.kind == "MANUAL":
        _event(conn, node, "gate-manual", None, told)
    elif entry.kind == "REFUSED":
        _event(conn, node, "gate-refused", order, told)


def _take_use(
    conn: Connection,
    node: Node,
    gate: StoredGate,
    entry: Entry,
    order: StoredOrder,
    told: dict[str, str],
) -> None:
    if rows.leased(conn, order.digest) != gate.name:
        _alarm(conn, node, order, told | {"code": "gate_order_not_leased"})
    if order.voided_at is not None:
        # R24: the order's validity is the stated exposure to a late revocation.
        _alarm(conn, node, order, told | {"code": "gate_order_void"})
    if rows.record_use(conn, order.digest, times.to_ms(entry.at)):
        told |= {"container": order.container, "number": order.number}
        _event(conn, node, "gate-out", order, told)
        node.release.after_use(conn, order, entry)


def _order(conn: Connection, entry: Entry) -> StoredOrder | None:
    if not entry.order:
        return None
    return release_rows.get(conn, bytes.fromhex(entry.order))


def _alarm(conn: Connection, node: Node, order: StoredOrder, detail: dict[str, str]) -> None:
    _event(conn, node, "alarm", order, detail | {"area": "gate"})


def _event(
    conn: Connection, node: Node, kind: str, order: StoredOrder | None, detail: dict[str, str]
) -> None:
    events.record(
        conn,
        kind=kind,
        at=node.clock.now_ms(),
        document=order.digest if order else None,
        consignment=order.consignment if order else None,
        actor=node.did,
        detail=detail,
    )


# -- leases ------------------------------------------------------------------------------------


def _open_orders(conn: Connection, gate: StoredGate, now_ms: int) -> list[StoredOrder]:
    found = release_rows.of_group(conn, gate.group, now_ms)
    return [order for order in found if rows.leased(conn, order.digest) is None]


def _lease(conn: Connection, node: Node, gate: StoredGate, order: StoredOrder) -> Lease | None:
    """The signed lease; None for an order whose collector has no key, which a gate cannot know."""
    members = judging.members_of(node)
    stored = documents.get(conn, order.digest)
    if stored is None:
        return None
    facts = registry.examine(stored.type, stored.payload).view.facts
    collector, thumbprint = facts.get("collectorDid"), facts.get("collectorKey")
    if not isinstance(collector, str) or not isinstance(thumbprint, str):
        return None
    key = _key(members, node, collector, thumbprint)
    if key is None:
        return None
    now = node.clock.now()
    lease = words.Lease(
        network=members.network.hex(),
        register=node.did,
        gate=gate.name,
        gate_key=from_jwk(f"{node.did}#gate-{gate.name}", gate.key).thumbprint(),
        group=gate.group,
        order=order.digest.hex(),
        number=order.number,
        container=order.container,
        consignment=order.consignment,
        collector=collector,
        key=dict(key.jwk),
        vehicle=str(facts.get("vehicle", "")),
        not_before=times.from_ms(order.not_before),
        not_after=times.from_ms(order.not_after),
        leased_at=now,
    )
    return replace(lease, text=words.sign_lease(lease, node.keys.signer(PURPOSE)))


def _key(members: MemberList, node: Node, did: str, thumbprint: str) -> PublicKey | None:
    listed = pick_up.keys_of(did, node.clock.now(), members)
    return next((one.public for one in listed if one.public.thumbprint() == thumbprint), None)
