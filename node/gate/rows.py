"""The store functions of gates and pick-up links: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select, update

from node.gate.tables import gate_leases, gate_reports, gates, pick_up_links
from node.release.tables import release_orders
from node.store import dialect
from protocols.release.pick_up import Link, read_link
from schemas.errors import ConflictError, NotFoundError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from protocols.member_list import MemberList
    from protocols.release.gate import Entry, Lease

MAX_LINKS = 200
MAX_GATES = 1_000


@dataclass(frozen=True, slots=True)
class StoredGate:
    """One registered gate; key: its public JWK."""

    name: str
    group: str
    key: dict[str, str]
    registered_at: int
    ended_at: int | None


def gate(conn: Connection, name: str) -> StoredGate:
    """The gate of that name; raises NotFoundError `gate_unknown`."""
    row = conn.execute(select(gates).where(gates.c.name == name)).first()
    if row is None:
        raise NotFoundError("gate_unknown", name[:70])
    return StoredGate(row.name, row.gate_group, orjson.loads(row.jwk), row.registered_at,
                      row.ended_at)  # fmt: skip


def listed(conn: Connection) -> list[StoredGate]:
    """All gates, by name."""
    names = conn.execute(select(gates.c.name).order_by(gates.c.name).limit(MAX_GATES)).scalars()
    return [gate(conn, name) for name in list(names)]


def register(conn: Connection, name: str, group: str, key: dict[str, str], now_ms: int) -> None:
    """Take a gate in; again with the same key changes nothing. ConflictError `gate_exists`."""
    jwk = orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()
    values = {"name": name, "gate_group": group, "jwk": jwk, "registered_at": now_ms}
    if not dialect.insert_or_ignore(conn, gates, values):
        found = gate(conn, name)
        if (found.key, found.group) != (key, group):
            raise ConflictError("gate_exists", name)


def end(conn: Connection, name: str, now_ms: int) -> None:
    """No lease goes to that gate any more."""
    gate(conn, name)
    conn.execute(update(gates).where(gates.c.name == name).values(ended_at=now_ms))


# -- leases ------------------------------------------------------------------------------------


def leased(conn: Connection, order: bytes) -> str | None:
    """The gate to which the order is leased."""
    query = select(gate_leases.c.gate).where(gate_leases.c.order_digest == order)
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def keep_lease(conn: Connection, lease: Lease, now_ms: int) -> bool:
    """Lease an order, once for ever: False when any gate has it (R24)."""
    values = {
        "order_digest": bytes.fromhex(lease.order),
        "gate": lease.gate,
        "leased_at": now_ms,
        "text": lease.text,
    }
    return dialect.insert_or_ignore(conn, gate_leases, values)


def leases(conn: Connection, name: str, now_ms: int) -> list[tuple[bytes, str, bool]]:
    """Order, lease, and whether the order is void, of what that gate could still use."""
    query = (
        select(gate_leases.c.order_digest, gate_leases.c.text, release_orders.c.voided_at)
        .join(release_orders, release_orders.c.digest == gate_leases.c.order_digest)
        .where(
            gate_leases.c.gate == name,
            release_orders.c.used_at.is_(None),
            release_orders.c.not_after > now_ms,
            gate_leases.c.confirmed_void_at.is_(None),
        )
        .order_by(gate_leases.c.leased_at, gate_leases.c.order_digest)
    )
    return [(bytes(row[0]), row[1], row[2] is not None) for row in conn.execute(query)]


def require_not_leased(conn: Connection, order: bytes) -> None:
    """Only its gate uses a leased order; raises ConflictError `release_order_leased`."""
    name = leased(conn, order)
    if name is not None:
        raise ConflictError("release_order_leased", name)


def require_unleased(conn: Connection, container: str, now_ms: int) -> None:
    """No other order for the container lies at a gate that may not know that it is void.

    Else a gate without a network could open for the old one while another opens for the new one.
    Raises ConflictError `release_order_leased`.
    """
    query = (
        select(gate_leases.c.gate)
        .join(release_orders, release_orders.c.digest == gate_leases.c.order_digest)
        .where(
            release_orders.c.container == container,
            release_orders.c.used_at.is_(None),
            release_orders.c.not_after > now_ms,
            gate_leases.c.confirmed_void_at.is_(None),
        )
    )
    found = conn.execute(query.limit(1)).scalar_one_or_none()
    if found is not None:
        raise ConflictError("release_order_leased", f"gate {found} has not confirmed the end of it")


def confirm_void(conn: Connection, order: bytes, now_ms: int) -> None:
    """The gate says that it will never open for that order."""
    this = gate_leases.c.order_digest == order
    conn.execute(update(gate_leases).where(this).values(confirmed_void_at=now_ms))


def record_use(conn: Connection, order: bytes, at_ms: int) -> bool:
    """A gate opened for its leased order: it happened, whatever was decided since.

    False when it was recorded before.
    """
    done = conn.execute(
        update(release_orders)
        .where(release_orders.c.digest == order, release_orders.c.used_at.is_(None))
        .values(used_at=at_ms)
    )
    return done.rowcount > 0


# -- journals ----------------------------------------------------------------------------------


def last_line(conn: Connection, name: str) -> tuple[int, str]:
    """Number and text of the last line that a gate reported; (0, "") before the first."""
    query = (
        select(gate_reports.c.seq, gate_reports.c.text)
        .where(gate_reports.c.gate == name)
        .order_by(gate_reports.c.seq.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return (0, "") if row is None else (row[0], row[1])


def line(conn: Connection, name: str, seq: int) -> str | None:
    """One line as it was reported."""
    query = select(gate_reports.c.text).where(
        gate_reports.c.gate == name, gate_reports.c.seq == seq
    )
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def keep_line(conn: Connection, entry: Entry, text: str, now_ms: int) -> None:
    """Keep a reported line, byte for byte."""
    values = {"gate": entry.gate, "seq": entry.seq, "text": text, "received_at": now_ms}
    dialect.insert_or_ignore(conn, gate_reports, values)


# -- pick-up links -----------------------------------------------------------------------------


def keep_link(conn: Connection, link: Link, now_ms: int) -> bool:
    """Keep a link; False when it is here."""
    values = {
        "digest": bytes.fromhex(link.digest),
        "previous": bytes.fromhex(link.previous) if link.previous else None,
        "container": link.container,
        "consignment": link.consignment,
        "delegator": link.delegator,
        "recipient": link.to.did,
        "text": link.text,
        "received_at": now_ms,
    }
    return dialect.insert_or_ignore(conn, pick_up_links, values)


def link_text(conn: Connection, digest: bytes) -> str:
    """A kept link as signed; raises NotFoundError `pick_up_link_unknown`."""
    query = select(pick_up_links.c.text).where(pick_up_links.c.digest == digest)
    found: str | None = conn.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFoundError("pick_up_link_unknown", digest.hex()[:16])
    return found


def revoke_link(conn: Connection, digest: bytes, text: str, now_ms: int) -> bool:
    """Mark a link revoked; False when it was, or is not here."""
    done = conn.execute(
        update(pick_up_links)
        .where(pick_up_links.c.digest == digest, pick_up_links.c.revoked_at.is_(None))
        .values(revoked_at=now_ms, revocation=text)
    )
    return done.rowcount > 0


def links(
    conn: Connection, members: MemberList, consignment: str, container: str | None = None
) -> tuple[list[Link], frozenset[str]]:
    """The links of a consignment that hold under this list, and the digests of the revoked ones."""
    query = select(pick_up_links).where(pick_up_links.c.consignment == consignment)
    if container is not None:
        query = query.where(pick_up_links.c.container == container)
    found, revoked = [], set()
    for row in conn.execute(query.order_by(pick_up_links.c.received_at).limit(MAX_LINKS)):
        try:
            link = read_link(row.text, members)
        except TradeError:
            continue  # its key is not listed any more: it entitles nobody
        found.append(link)
        if row.revoked_at is not None:
            revoked.add(link.digest)
    return found, frozenset(revoked)
