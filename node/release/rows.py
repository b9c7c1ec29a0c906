"""The store functions of release: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from node.release.tables import release_decisions, release_orders
from node.store import dialect
from protocols import times
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """One signed release order. Times are milliseconds UTC."""

    digest: bytes
    container: str
    consignment: str
    number: str
    gate_group: str
    collector: str
    delivery_order: bytes | None
    decision: str
    not_before: int
    not_after: int
    signed_at: int
    used_at: int | None
    voided_at: int | None

    def state(self, now_ms: int) -> str:
        """open, used, void or expired."""
        if self.used_at is not None:
            return "used"
        if self.voided_at is not None:
            return "void"
        return "open" if now_ms < self.not_after else "expired"

    def to_json(self, now_ms: int) -> dict[str, Any]:
        """For the API."""
        moments = {
            "notBefore": self.not_before,
            "notAfter": self.not_after,
            "signedAt": self.signed_at,
            "usedAt": self.used_at,
            "voidedAt": self.voided_at,
        }
        return {
            "digest": self.digest.hex(),
            "number": self.number,
            "container": self.container,
            "consignment": self.consignment,
            "gateGroup": self.gate_group,
            "collector": self.collector,
            "state": self.state(now_ms),
            **{
                name: times.to_text(times.from_ms(at))
                for name, at in moments.items()
                if at is not None
            },
        }


def put(conn: Connection, values: Mapping[str, Any]) -> None:
    """Keep an order just signed."""
    conn.execute(insert(release_orders).values(**values))


def orders(
    conn: Connection, *, container: str | None = None, consignment: str | None = None
) -> list[StoredOrder]:
    """Orders of a container or consignment, oldest first."""
    query = select(release_orders).order_by(release_orders.c.signed_at)
    if container is not None:
        query = query.where(release_orders.c.container == container)
    if consignment is not None:
        query = query.where(release_orders.c.consignment == consignment)
    return _orders(conn, query)


def get(conn: Connection, digest: bytes) -> StoredOrder | None:
    """The order with that digest."""
    found = _orders(conn, select(release_orders).where(release_orders.c.digest == digest))
    return found[0] if found else None


def of_group(conn: Connection, group: str, now_ms: int, limit: int = 1_000) -> list[StoredOrder]:
    """The open orders of a gate group, the first to end first."""
    query = (
        select(release_orders)
        .where(
            release_orders.c.gate_group == group,
            release_orders.c.used_at.is_(None),
            release_orders.c.voided_at.is_(None),
            release_orders.c.not_after > now_ms,
        )
        .order_by(release_orders.c.not_after, release_orders.c.digest)
        .limit(limit)
    )
    return _orders(conn, query)


def _orders(conn: Connection, query: Select[Any]) -> list[StoredOrder]:
    return [_order(row) for row in conn.execute(query)]


def _order(row: Row[Any]) -> StoredOrder:
    return StoredOrder(**row._asdict())


def open_of(found: Iterable[StoredOrder], now_ms: int) -> list[StoredOrder]:
    """Those that could still be used."""
    return [order for order in found if order.state(now_ms) == "open"]


def void(conn: Connection, digest: bytes, now_ms: int) -> bool:
    """Make an unused order void; False when it was used or void already."""
    changed = conn.execute(
        update(release_orders)
        .where(
            release_orders.c.digest == digest,
            release_orders.c.used_at.is_(None),
            release_orders.c.voided_at.is_(None),
        )
        .values(voided_at=now_ms)
    )
    return changed.rowcount > 0


def use(conn: Connection, digest: bytes, now_ms: int) -> StoredOrder:
    """Spend an order, once: compare-and-set in the one durable register (R24).

    Raises NotFoundError `release_order_unknown`, ConflictError `release_order_not_open`.
    """
    rows = _orders(conn, select(release_orders).where(release_orders.c.digest == digest))
    if not rows:
        raise NotFoundError("release_order_unknown", "no such release order was signed here")
    state = rows[0].state(now_ms)
    if state != "open" or now_ms < rows[0].not_before:
        raise ConflictError("release_order_not_open", f"the order is {state}", state=state)
    changed = conn.execute(
        update(release_orders)
        .where(
            release_orders.c.digest == digest,
            release_orders.c.used_at.is_(None),
            release_orders.c.voided_at.is_(None),
        )
        .values(used_at=now_ms)
    )
    if changed.rowcount == 0:
        raise ConflictError("release_order_not_open", "somebody else was first", state="used")
    return rows[0]


def outcome_told(conn: Connection, container: str, consignment: str) -> str | None:
    """The outcome that was told last for this container."""
    query = select(release_decisions.c.outcome).where(
        release_decisions.c.container == container,
        release_decisions.c.consignment == consignment,
    )
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def containers_told(conn: Connection, consignment: str) -> list[str]:
    """The containers of a consignment for which an outcome was told."""
    query = select(release_decisions.c.container).where(
        release_decisions.c.consignment == consignment
    )
    return list(conn.execute(query.order_by(release_decisions.c.container)).scalars())


def any_told_elsewhere(conn: Connection, consignment: str) -> bool:
    """Whether an outcome was told under any other consignment."""
    c = release_decisions.c
    query = select(c.container).where(c.consignment != consignment).limit(1)
    return conn.execute(query).first() is not None


def told_elsewhere(
    conn: Connection, consignment: str, containers: Iterable[str]
) -> list[tuple[str, str]]:
    """Container and consignment of what was told of these containers under any other one."""
    c = release_decisions.c
    query = select(c.container, c.consignment).where(
        c.consignment != consignment, c.container.in_(list(containers))
    )
    found = conn.execute(query.order_by(c.consignment, c.container))
    return [(container, other) for container, other in found]


def tell_outcome(
    conn: Connection, container: str, consignment: str, outcome: str, now_ms: int
) -> None:
    """Remember the outcome told now."""
    values = {
        "container": container,
        "consignment": consignment,
        "outcome": outcome,
        "at": now_ms,
    }
    dialect.upsert(conn, release_decisions, values, key=["container", "consignment"])
