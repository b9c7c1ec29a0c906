"""The store functions of issuance, surrender and our calls: synchronous, over a connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, select, update

from node.ebl.tables import calls, issuances, notifications, surrenders
from node.store import dialect
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

CARRIER, PLATFORM = "carrier", "platform"
PENDING, ISSUED, VOID = "pending", "issued", "void"
TITLE_REFUSED = "title-refused"
#: The reference is in use: the bill lives or may come to live.
TAKEN = (PENDING, ISSUED)
#: A surrender that is not decided yet.
UNDECIDED = ("asking", "asked", "accepting", "rejecting")
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Issuance:
    """A row of `ebl_issuances`."""

    number: int
    side: str
    counterpart: str
    reference: str
    sub_reference: str | None
    state: str
    body: bytes
    checksum: bytes
    title: bytes | None
    intent: str | None
    titled_at: int | None
    answer: str | None
    created_at: int
    answered_at: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Surrender:
    """A row of `ebl_surrenders`."""

    number: int
    side: str
    counterpart: str
    request: str
    issuance: int
    reference: str
    code: str
    reason: str | None
    comments: str | None
    party: str | None
    state: str
    body: bytes | None
    answer: bytes | None
    created_at: int
    answered_at: int | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A call to be made. about: issuance, response, surrender, answer, notice; subject: of what"""

    counterpart: str
    method: str
    path: str
    body: bytes
    about: str
    subject: int


@dataclass(frozen=True, slots=True)
class Call:
    """A row of `ebl_calls`."""

    number: int
    counterpart: str
    method: str
    path: str
    body: bytes
    about: str
    subject: int
    state: str
    tries: int
    again_at: int
    created_at: int
    status: int | None
    answer: str | None


# -- issuances ---------------------------------------------------------------------------------


def _issuances(conn: Connection, query: Select[Any]) -> list[Issuance]:
    return [Issuance(**row._asdict()) for row in conn.execute(query)]


def put_issuance(conn: Connection, values: dict[str, Any]) -> int:
    """Keep a request; its number.

    Raises ConflictError `ebl_reference_taken` when the reference is pending or issued (ISS 3.0.4).
    """
    side, reference = values["side"], values["reference"]
    dialect.lock_name(conn, f"ebl/{side}/{reference}")
    for held in of_reference(conn, reference, side=side):
        same_issuer = side == CARRIER or held.counterpart == values["counterpart"]
        if same_issuer and held.state in TAKEN:
            raise ConflictError("ebl_reference_taken", f"it is {held.state}", state=held.state)
    return _put(conn, issuances, values)


def _put(conn: Connection, table: Any, values: dict[str, Any]) -> int:
    made = conn.execute(insert(table).values(**values).returning(table.c.number))
    return int(made.scalar_one())


def issuance(conn: Connection, number: int) -> Issuance:
    """The one of that number; raises NotFoundError `ebl_bill_unknown`."""
    found = _issuances(conn, select(issuances).where(issuances.c.number == number))
    if not found:
        raise NotFoundError("ebl_bill_unknown", str(number))
    return found[0]


def of_reference(
    conn: Connection, reference: str, *, side: str | None = None, counterpart: str | None = None
) -> list[Issuance]:
    """Those of a transport document reference, the newest first."""
    query = select(issuances).where(issuances.c.reference == reference)
    if side is not None:
        query = query.where(issuances.c.side == side)
    if counterpart is not None:
        query = query.where(issuances.c.counterpart == counterpart)
    return _issuances(conn, query.order_by(issuances.c.number.desc()).limit(MAX_PAGE))


def all_issuances(conn: Connection, side: str | None = None) -> list[Issuance]:
    """The newest first."""
    query = select(issuances).order_by(issuances.c.number.desc()).limit(MAX_PAGE)
    return _issuances(conn, query if side is None else query.where(issuances.c.side == side))


def issuance_of_title(conn: Connection, title: bytes, side: str) -> Issuance | None:
    """The one that this title was issued by."""
    query = select(issuances).where(issuances.c.title == title, issuances.c.side == side)
    found = _issuances(conn, query.order_by(issuances.c.number.desc()).limit(1))
    return found[0] if found else None


def in_place_of(conn: Connection, title: bytes) -> Issuance | None:
    """As carrier: the bill that is put up or issued in place of that ended title."""
    named = issuances.c.intent.contains(f'"replaces":"{title.hex()}"', autoescape=True)
    query = select(issuances).where(
        named, issuances.c.side == CARRIER, issuances.c.state.in_(TAKEN)
    )
    found = _issuances(conn, query.limit(1))
    return found[0] if found else None


def untitled(conn: Connection) -> list[Issuance]:
    """As carrier: issued by the platform, but the title is not handed in yet."""
    query = select(issuances).where(
        issuances.c.side == CARRIER,
        issuances.c.state == ISSUED,
        issuances.c.title.is_not(None),
        issuances.c.titled_at.is_(None),
    )
    return _issuances(conn, query.order_by(issuances.c.number).limit(MAX_PAGE))


def change_issuance(
    conn: Connection, number: int, values: dict[str, Any], *, only: tuple[str, ...] = ()
) -> bool:
    """Write `values`; False, and nothing done, when the state is none of `only`."""
    query = update(issuances).where(issuances.c.number == number)
    if only:
        query = query.where(issuances.c.state.in_(only))
    return conn.execute(query.values(**values)).rowcount > 0


# -- surrenders --------------------------------------------------------------------------------


def _surrenders(conn: Connection, query: Select[Any]) -> list[Surrender]:
    return [Surrender(**row._asdict()) for row in conn.execute(query)]


def put_surrender(conn: Connection, values: dict[str, Any]) -> int:
    """Keep a request; its number. One of a bill may be open at a time.

    Raises ConflictError `ebl_surrender_pending`.
    """
    dialect.lock_name(conn, f"ebl/surrender/{values['issuance']}")
    query = select(surrenders).where(
        surrenders.c.issuance == values["issuance"], surrenders.c.state.in_(UNDECIDED)
    )
    pending = _surrenders(conn, query.limit(1))
    if pending:
        raise ConflictError("ebl_surrender_pending", pending[0].request)
    return _put(conn, surrenders, values)


def surrender(conn: Connection, number: int) -> Surrender:
    """The one of that number; raises NotFoundError `ebl_surrender_unknown`."""
    found = _surrenders(conn, select(surrenders).where(surrenders.c.number == number))
    if not found:
        raise NotFoundError("ebl_surrender_unknown", str(number))
    return found[0]


def find_surrender(
    conn: Connection, side: str, request: str, counterpart: str | None = None
) -> Surrender | None:
    """By the reference of the request; raises ConflictError `ebl_reference_ambiguous`."""
    query = select(surrenders).where(surrenders.c.side == side, surrenders.c.request == request)
    if counterpart is not None:
        query = query.where(surrenders.c.counterpart == counterpart)
    found = _surrenders(conn, query.limit(2))
    if len(found) > 1:
        raise ConflictError("ebl_reference_ambiguous", "several platforms used this reference")
    return found[0] if found else None


def surrenders_of(conn: Connection, number: int) -> list[Surrender]:
    """Those of an issuance, oldest first."""
    query = select(surrenders).where(surrenders.c.issuance == number)
    return _surrenders(conn, query.order_by(surrenders.c.number).limit(MAX_PAGE))


def surrenders_in(conn: Connection, side: str, *states: str) -> list[Surrender]:
    """Those in one of the states (all: in none named), oldest first."""
    query = select(surrenders).where(surrenders.c.side == side)
    if states:
        query = query.where(surrenders.c.state.in_(states))
    return _surrenders(conn, query.order_by(surrenders.c.number).limit(MAX_PAGE))


def change_surrender(
    conn: Connection, number: int, values: dict[str, Any], *, only: tuple[str, ...] = ()
) -> bool:
    """Write `values`; False, and nothing done, when the state is none of `only`."""
    query = update(surrenders).where(surrenders.c.number == number)
    if only:
        query = query.where(surrenders.c.state.in_(only))
    return conn.execute(query.values(**values)).rowcount > 0


# -- calls -------------------------------------------------------------------------------------


def put_call(conn: Connection, draft: Draft, now_ms: int) -> int:
    """Keep a call that is to be made from `now_ms` on until it is answered; its number."""
    fresh = {"state": "waiting", "tries": 0, "again_at": now_ms, "created_at": now_ms}
    return _put(conn, calls, fresh | asdict(draft))


def call(conn: Connection, number: int) -> Call:
    """The one of that number; raises NotFoundError `ebl_bill_unknown`."""
    row = conn.execute(select(calls).where(calls.c.number == number)).first()
    if row is None:
        raise NotFoundError("ebl_bill_unknown", f"call {number}")
    return Call(**row._asdict())


def due(conn: Connection, now_ms: int, limit: int) -> list[Call]:
    """Calls to be made now, oldest first."""
    query = select(calls).where(calls.c.state == "waiting", calls.c.again_at <= now_ms)
    rows = conn.execute(query.order_by(calls.c.number).limit(limit))
    return [Call(**row._asdict()) for row in rows]


def next_due(conn: Connection) -> int | None:
    """When the next call is to be made, ms UTC."""
    query = select(func.min(calls.c.again_at)).where(calls.c.state == "waiting")
    found: int | None = conn.execute(query).scalar_one_or_none()
    return found


def change_call(conn: Connection, number: int, values: dict[str, Any]) -> None:
    """Write down what became of it."""
    conn.execute(update(calls).where(calls.c.number == number).values(**values))


def calls_of(conn: Connection, about: str, subject: int) -> list[Call]:
    """The calls about an issuance or a surrender."""
    query = select(calls).where(and_(calls.c.about == about, calls.c.subject == subject))
    return [Call(**row._asdict()) for row in conn.execute(query.order_by(calls.c.number))]


# -- notifications -----------------------------------------------------------------------------


def put_notification(conn: Connection, values: dict[str, Any]) -> bool:
    """Keep an event; False when it is here already."""
    return dialect.insert_or_ignore(conn, notifications, values)


def notifications_of(conn: Connection, reference: str | None) -> list[dict[str, Any]]:
    """The newest first, of one reference or of all."""
    query = select(notifications).order_by(notifications.c.number.desc()).limit(MAX_PAGE)
    if reference is not None:
        query = query.where(notifications.c.reference == reference)
    return [row._asdict() for row in conn.execute(query)]
