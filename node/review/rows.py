"""The store functions of review: synchronous, over a passed connection."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from node.review.tables import review_applications, review_batches
from node.store import dialect
from protocols import times
from protocols.approval import APPROVE, REFUSE
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

RECEIVED, READY, MANUAL, HOLD = "received", "ready", "manual", "hold"
APPROVED, ISSUED, REFUSED = "approved", "issued", "refused"
OPEN = (RECEIVED, READY, MANUAL, APPROVED)
STATES = (RECEIVED, READY, MANUAL, HOLD, APPROVED, ISSUED, REFUSED)
RETURNED = "returned"
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

    @property
    def returned(self) -> str:
        """Why the signer gave it back last, or "": what was approved before counts no more."""
        codes = [each["reason"] for each in self.decided if each["decision"] == RETURNED]
        return str(codes[-1]) if codes else ""

    @property
    def approvals(self) -> tuple[str, ...]:
        """The approvals signed since it was last given back."""
        found: list[str] = []
        for each in self.decided:
            if each["decision"] == RETURNED:
                found.clear()
            elif each["decision"] == APPROVE and "lapsed" not in each:
                found.append(each["approval"])
        return tuple(found)

    @property
    def persons(self) -> int:
        """How many have to approve."""
        return 2 if self.second and self.lane == "MANUAL" else 1

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


@dataclass(frozen=True, slots=True)
class Opening:
    """A batch to begin or go on with. documents, signer, approval: empty when nobody signs."""

    name: str
    total: int
    documents: bytes = field(default=b"", repr=False)
    signer: str = ""
    approval: str = ""


def open_batch(conn: Connection, opening: Opening, now_ms: int) -> None:
    """Begin a batch, or go on with it under a newer approval.

    ConflictError `batch_differs` where it is another one, or somebody else signs for it.
    """
    values = {
        "name": opening.name,
        "signer": opening.signer,
        "total": opening.total,
        "documents": opening.documents,
        "approval": opening.approval,
        "lapsed": "",
        "created_at": now_ms,
    }
    if dialect.insert_or_ignore(conn, review_batches, values):
        return
    held = batch(conn, opening.name)
    if held.total != opening.total:
        raise ConflictError("batch_differs", f"{held.name} has {held.total} documents")
    if not opening.approval:
        return
    if held.approval and bytes(held.documents) != opening.documents:
        raise ConflictError("batch_differs", f"{held.name} has other documents")
    if held.approval and not held.lapsed and held.signer != opening.signer:
        raise ConflictError("batch_differs", f"{held.signer} signs for {held.name}")
    this = update(review_batches).where(review_batches.c.name == opening.name)
    kept = ("signer", "documents", "approval", "lapsed")
    conn.execute(this.values(**{name: values[name] for name in kept}))


def lapse_batch(conn: Connection, name: str, code: str) -> None:
    """Nobody signs for the batch any more; what waited for that is reviewed again."""
    this = update(review_batches).where(
        review_batches.c.name == name, review_batches.c.approval != ""
    )
    conn.execute(this.values(lapsed=code))
    waiting = update(_table).where(_columns.batch == name, _columns.state == READY)
    conn.execute(waiting.values(state=RECEIVED))


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
        "lapsed": held.lapsed,
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
    signed = select(review_batches.c.name).where(
        review_batches.c.approval != "", review_batches.c.lapsed == ""
    )
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


def is_first(conn: Connection, key: str, exporter: str) -> bool:
    """Whether no application for that type was issued for this exporter here before."""
    query = select(_columns.n).where(
        _columns.type == key, _columns.exporter == exporter, _columns.state == ISSUED
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


def is_outdated(conn: Connection, version: str) -> bool:
    """Whether anything waits for a person under another policy."""
    return conn.execute(select(_columns.n).where(_outdated(version)).limit(1)).first() is not None


def requeue(conn: Connection, version: str) -> None:
    """What waits for a person under another policy is reviewed again."""
    conn.execute(update(_table).where(_outdated(version)).values(state=RECEIVED))


def _outdated(version: str) -> ColumnElement[bool]:
    return _columns.state.in_((MANUAL, READY)) & (_columns.policy != version)


def decide(
    conn: Connection,
    one: Application,
    entry: Mapping[str, Any],
    approvers: Collection[str],
    lapsed: Mapping[str, str],
) -> Application:
    """Keep what a person decided; with a second person needed, the first approval waits.

    entry: by, decision, approval, at, perhaps reason; approvers: whose approvals count already
    lapsed: approvals that count no more, and the codes of why
    Raises ConflictError `application_not_open`, ForbiddenError `second_person_required`,
    `application_on_hold`.
    """
    approves = entry["decision"] == APPROVE
    if one.state == HOLD and approves:
        raise ForbiddenError("application_on_hold", "it has to be corrected and applied for anew")
    if one.state not in (MANUAL, READY, HOLD):
        raise ConflictError("application_not_open", f"it is {one.state}", state=one.state)
    if approves and entry["by"] in approvers:
        raise ForbiddenError("second_person_required", f"{entry['by']} approved it already")
    enough = approves and len(approvers) + 1 >= one.persons
    state = REFUSED if entry["decision"] == REFUSE else APPROVED if enough else one.state
    _write_decision(conn, one, [*map(partial(_marked, lapsed), one.decided), entry], state)
    return require(conn, one.n)


def _marked(lapsed: Mapping[str, str], entry: dict[str, Any]) -> dict[str, Any]:
    code = lapsed.get(entry.get("approval", ""))
    return entry if code is None else entry | {"lapsed": code}


def give_back(conn: Connection, one: Application, code: str, now_ms: int) -> None:
    """The signer asks for other approvals: the application is reviewed again, and says why."""
    at = times.to_text(times.from_ms(now_ms))
    entry = {"by": "the signer", "decision": RETURNED, "reason": code, "at": at}
    _write_decision(conn, one, [*one.decided, entry], RECEIVED)


def _write_decision(
    conn: Connection, one: Application, decided: Sequence[Mapping[str, Any]], state: str
) -> None:
    decisions = strict_json.canonical(decided).decode()
    this = update(_table).where(
        _columns.n == one.n, _columns.decisions == one.decisions, _columns.state == one.state
    )
    if conn.execute(this.values(decisions=decisions, state=state)).rowcount == 0:
        raise ConflictError("application_not_open", "somebody decided at the same moment")


def set_issued(conn: Connection, n: int, document: bytes) -> None:
    """The document that the application became."""
    this = update(_table).where(_columns.n == n, _columns.state.in_((APPROVED, READY)))
    conn.execute(this.values(state=ISSUED, document=document))


def set_held(conn: Connection, n: int, findings: str) -> None:
    """It could not be issued after all: back to the applicant, with the reason."""
    this = update(_table).where(_columns.n == n, _columns.state.in_((APPROVED, READY)))
    conn.execute(this.values(state=HOLD, lane="HOLD", findings=findings))


def next_place(conn: Connection) -> int:
    """The next place among single applications, which share the batch without a name."""
    query = select(func.max(_columns.place)).where(_columns.batch == "")
    return int(conn.execute(query).scalar() or 0) + 1
