"""The store functions of review: synchronous, over a passed connection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, select, update

from node.http.peer_auth import is_secret
from node.review.tables import review_applications, review_batches, review_people
from node.store import dialect
from protocols import times
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECEIVED, READY, MANUAL, HOLD = "received", "ready", "manual", "hold"
APPROVED, ISSUED, REFUSED = "approved", "issued", "refused"
OPEN = (RECEIVED, READY, MANUAL, APPROVED)
STATES = (RECEIVED, READY, MANUAL, HOLD, APPROVED, ISSUED, REFUSED)
_OF_LANE = {"AUTO": READY, "MANUAL": MANUAL, "HOLD": HOLD}
_table = review_applications
_columns = _table.c


@dataclass(frozen=True, slots=True)
class Application:
    """One row. payload: the document's bytes; envelope: what the order adds; times in ms UTC."""

    n: int
    batch: str
    place: int
    payload_digest: bytes
    payload: bytes = field(repr=False)
    envelope: str
    type: str
    number: str
    consignment: str | None
    exporter: str
    state: str
    lane: str
    second: bool
    findings: str = field(repr=False)
    decisions: str
    policy: str
    submitted_at: int
    reviewed_at: int | None
    document: bytes | None

    @property
    def decided(self) -> list[dict[str, Any]]:
        """Who decided what, in order."""
        found: list[dict[str, Any]] = json.loads(self.decisions)
        return found

    def to_json(self) -> dict[str, Any]:
        """For the API, without the payload."""
        body = {
            "application": self.n,
            "batch": self.batch,
            "place": self.place,
            "type": self.type,
            "number": self.number,
            "consignment": self.consignment,
            "exporter": self.exporter,
            "state": self.state,
            "lane": self.lane or None,
            "secondPerson": self.second,
            "findings": json.loads(self.findings),
            "decisions": self.decided,
            "policy": self.policy or None,
            "submittedAt": times.to_text(times.from_ms(self.submitted_at)),
            "document": self.document.hex() if self.document else None,
        }
        return {name: value for name, value in body.items() if value is not None}


# -- batches and applications ------------------------------------------------------------------


def open_batch(conn: Connection, name: str, signer: str, total: int, now_ms: int) -> None:
    """Begin a batch, or go on with it; ConflictError `batch_differs` where it is another one."""
    values = {"name": name, "signer": signer, "total": total, "created_at": now_ms}
    if dialect.insert_or_ignore(conn, review_batches, values):
        return
    held = batch(conn, name)
    if (held.signer, held.total) != (signer, total):
        raise ConflictError("batch_differs", f"{name} has {held.total} for {held.signer}")


def batch(conn: Connection, name: str) -> Row[Any]:
    """The batch of that name; raises NotFoundError `batch_unknown`."""
    query = select(review_batches).where(review_batches.c.name == name)
    found = conn.execute(query).one_or_none()
    if found is None:
        raise NotFoundError("batch_unknown", f"there is no batch {name[:60]}")
    return found


def progress(conn: Connection, name: str) -> dict[str, Any]:
    """How far a batch is: total, what is here, and how many in each state and lane."""
    held = batch(conn, name)
    query = (
        select(_columns.state, _columns.lane, func.count())
        .where(_columns.batch == name)
        .group_by(_columns.state, _columns.lane)
    )
    states, lanes = dict.fromkeys(STATES, 0), {"AUTO": 0, "MANUAL": 0, "HOLD": 0}
    for state, lane, count in conn.execute(query):
        states[state] += count
        if lane:
            lanes[lane] += count
    submitted = sum(states.values())
    reviewed = submitted - states[RECEIVED]
    waiting = states[RECEIVED] + states[READY] + states[APPROVED]
    return {
        "batch": name,
        "signer": held.signer,
        "total": held.total,
        "submitted": submitted,
        "reviewed": reviewed,
        "lanes": lanes,
        "states": states,
        "done": submitted == held.total and waiting == 0,
    }


def missing(conn: Connection, name: str, limit: int = 10_000) -> list[int]:
    """The places of a batch that are not here yet, the first `limit` of them."""
    held = batch(conn, name)
    query = select(_columns.place).where(_columns.batch == name)
    here = set(conn.execute(query).scalars())
    return [place for place in range(held.total) if place not in here][:limit]


def take_in(conn: Connection, values: Mapping[str, Any]) -> bool:
    """Keep an application once; False when it is here; ConflictError `application_differs`."""
    if dialect.insert_or_ignore(conn, _table, values):
        return True
    query = select(_columns.payload_digest).where(
        _columns.batch == values["batch"], _columns.place == values["place"]
    )
    if bytes(conn.execute(query).scalar_one()) != values["payload_digest"]:
        raise ConflictError("application_differs", f"place {values['place']} has other bytes")
    return False


def require(conn: Connection, n: int) -> Application:
    """The application of that number; raises NotFoundError `application_unknown`."""
    row = conn.execute(select(_table).where(_columns.n == n)).one_or_none()
    if row is None:
        raise NotFoundError("application_unknown", f"there is no application {n}")
    return Application(**row._asdict())


def at(conn: Connection, batch: str, place: int) -> Application:
    """The application at that place of a batch, which is there."""
    query = select(_table).where(_columns.batch == batch, _columns.place == place)
    return Application(**conn.execute(query).one()._asdict())


def find(
    conn: Connection,
    *,
    states: Sequence[str] = (),
    batch: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Application]:
    """Applications in the order they came."""
    query = select(_table).where(_columns.n > after)
    if states:
        query = query.where(_columns.state.in_(states))
    if batch is not None:
        query = query.where(_columns.batch == batch)
    rows = conn.execute(query.order_by(_columns.n).limit(limit))
    return [Application(**row._asdict()) for row in rows]


def to_issue(conn: Connection, limit: int) -> list[Application]:
    """What is approved, and what the rules made ready in a batch that somebody signs for."""
    signed = select(review_batches.c.name).where(review_batches.c.signer != "")
    ready = (_columns.state == READY) & _columns.batch.in_(signed)
    query = select(_table).where((_columns.state == APPROVED) | ready)
    rows = conn.execute(query.order_by(_columns.n).limit(limit))
    return [Application(**row._asdict()) for row in rows]


def same_number(conn: Connection, one: Application) -> bool:
    """Whether another application, not refused, has this type and number and other bytes."""
    query = select(_columns.n).where(
        _columns.type == one.type,
        _columns.number == one.number,
        _columns.n < one.n,
        _columns.payload_digest != one.payload_digest,
        _columns.state.not_in((REFUSED, HOLD)),
    )
    return conn.execute(query.limit(1)).first() is not None


def is_first(conn: Connection, one: Application) -> bool:
    """Whether nothing of that type was issued for this exporter here before."""
    query = select(_columns.n).where(
        _columns.type == one.type, _columns.exporter == one.exporter, _columns.state == ISSUED
    )
    return conn.execute(query.limit(1)).first() is None


def set_reviewed(
    conn: Connection, n: int, lane: str, findings: str, *, second: bool, policy: str, now_ms: int
) -> None:
    """What the rules said, once: an application that was decided on meanwhile stays as it is."""
    values = {
        "lane": lane,
        "state": _OF_LANE[lane],
        "findings": findings,
        "second": second,
        "policy": policy,
        "reviewed_at": now_ms,
    }
    this = update(_table).where(_columns.n == n, _columns.state == RECEIVED)
    conn.execute(this.values(**values))


def decide(conn: Connection, n: int, who: str, what: str, reason: str, now_ms: int) -> Application:
    """A person approves or refuses; with a second person needed, the first approval waits.

    Raises ConflictError `application_not_open`, ForbiddenError `second_person_required`,
    `application_on_hold`.
    """
    one = require(conn, n)
    if one.state == HOLD and what == "approve":
        raise ForbiddenError("application_on_hold", "it has to be corrected and applied for anew")
    if one.state not in (MANUAL, READY, HOLD):
        raise ConflictError("application_not_open", f"it is {one.state}", state=one.state)
    approvals = [each["by"] for each in one.decided if each["decision"] == "approve"]
    if what == "approve" and who in approvals:
        raise ForbiddenError("second_person_required", f"{who} approved it already")
    entry = {"by": who, "decision": what, "at": times.to_text(times.from_ms(now_ms))}
    entry |= {"reason": reason} if reason else {}
    decisions = strict_json.canonical([*one.decided, entry]).decode()
    enough = len(approvals) + 1 >= (2 if one.second and one.lane == "MANUAL" else 1)
    state = REFUSED if what == "refuse" else APPROVED if enough else one.state
    this = update(_table).where(_columns.n == n, _columns.decisions == one.decisions)
    changed = conn.execute(this.values(decisions=decisions, state=state))
    if changed.rowcount == 0:
        raise ConflictError("application_not_open", "somebody decided at the same moment")
    return require(conn, n)


def set_issued(conn: Connection, n: int, document: bytes) -> None:
    """The document that the application became."""
    this = update(_table).where(_columns.n == n, _columns.state.in_((APPROVED, READY)))
    conn.execute(this.values(state=ISSUED, document=document))


def set_held(conn: Connection, n: int, findings: str) -> None:
    """It could not be issued after all: back to the applicant, with the reason."""
    this = update(_table).where(_columns.n == n, _columns.state.in_((APPROVED, READY)))
    conn.execute(this.values(state=HOLD, lane="HOLD", findings=findings))


# -- persons -----------------------------------------------------------------------------------


def add_person(conn: Connection, name: str, secret: str, now_ms: int) -> None:
    """A person who may decide; ConflictError `reviewer_known`."""
    values = {
        "name": name,
        "secret": hashlib.sha256(secret.encode()).digest(),
        "added_at": now_ms,
        "ended_at": None,
    }
    if not dialect.insert_or_ignore(conn, review_people, values):
        raise ConflictError("reviewer_known", f"{name} is a reviewer, or was one")


def end_person(conn: Connection, name: str, now_ms: int) -> None:
    """The person decides no more; raises NotFoundError `reviewer_unknown`."""
    this = update(review_people).where(
        review_people.c.name == name, review_people.c.ended_at.is_(None)
    )
    if conn.execute(this.values(ended_at=now_ms)).rowcount == 0:
        raise NotFoundError("reviewer_unknown", f"{name[:60]} is no reviewer")


def people(conn: Connection) -> list[dict[str, Any]]:
    """Every person there is or was, without secrets."""
    rows = conn.execute(select(review_people).order_by(review_people.c.name))
    return [{"name": row.name, "active": row.ended_at is None} for row in rows]


def require_person(conn: Connection, name: str, secret: str) -> None:
    """The person shows itself by its secret; raises ForbiddenError `reviewer_not_shown`."""
    query = select(review_people.c.secret).where(
        review_people.c.name == name, review_people.c.ended_at.is_(None)
    )
    held = conn.execute(query).scalar_one_or_none()
    given = hashlib.sha256(secret.encode()).hexdigest()
    if held is None or not is_secret(given, bytes(held).hex()):
        raise ForbiddenError("reviewer_not_shown", "the name and the secret do not fit")


def next_place(conn: Connection) -> int:
    """The next place among single applications, which share the batch without a name."""
    query = select(func.max(_columns.place)).where(_columns.batch == "")
    return int(conn.execute(query).scalar() or 0) + 1
