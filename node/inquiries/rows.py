"""The store functions of inquiries: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from node.inquiries.tables import origin_inquiries
from node.store import dialect
from protocols import times
from protocols.origin_inquiry import Course
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.origin_inquiry import Inquiry, Said
    from schemas.strict_json import JsonValue

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """One inquiry with what came of it. Times are milliseconds UTC."""

    asked_by: str
    id: str
    asked_of: str
    certificate: bytes
    inquiry: str
    asked_at: int
    received_at: int | None
    answer: str | None
    answered_at: int | None
    determination: str | None
    determined_at: int | None

    @property
    def said(self) -> dict[str, JsonValue]:
        """The inquiry itself."""
        return strict_json.loads_object(self.inquiry.encode())

    @property
    def course(self) -> Course:
        """When what happened."""
        days = self.said["days"]
        assert isinstance(days, int)
        moments = (self.received_at, self.answered_at, self.determined_at)
        received, answered, determined = (
            None if at is None else times.from_ms(at) for at in moments
        )
        return Course(days, received, answered, determined)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """For the API."""
        told = {
            name: strict_json.loads_object(value.encode())
            for name, value in (("answer", self.answer), ("determination", self.determination))
            if value is not None
        }
        return {
            **self.said,
            "askedBy": self.asked_by,
            "askedOf": self.asked_of,
            "askedAt": times.to_text(times.from_ms(self.asked_at)),
            **self.course.to_json(now),
            **told,
        }


def put(
    conn: Connection, inquiry: Inquiry, by: str, of: str, now_ms: int, received_ms: int | None
) -> bool:
    """Keep an inquiry; False when it is here already."""
    values = {
        "asked_by": by,
        "id": inquiry.id,
        "asked_of": of,
        "certificate": inquiry.certificate,
        "inquiry": strict_json.canonical(inquiry.to_json()).decode(),
        "asked_at": now_ms,
        "received_at": received_ms,
    }
    return dialect.insert_or_ignore(conn, origin_inquiries, values)


def get(conn: Connection, by: str, id_: str) -> Stored:
    """One inquiry; raises NotFoundError `inquiry_unknown`."""
    table = origin_inquiries
    query = select(table).where(table.c.asked_by == by, table.c.id == id_)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("inquiry_unknown", "no such inquiry is here")
    return Stored(**row._asdict())


def named(conn: Connection, id_: str) -> Stored:
    """The one inquiry with that id; raises NotFoundError `inquiry_unknown`."""
    rows = conn.execute(select(origin_inquiries).where(origin_inquiries.c.id == id_).limit(2)).all()
    if len(rows) != 1:
        raise NotFoundError("inquiry_unknown", "no such inquiry is here")
    return Stored(**rows[0]._asdict())


def listed(conn: Connection, certificate: bytes | None = None) -> list[Stored]:
    """The newest inquiries, at most 500."""
    query = select(origin_inquiries)
    if certificate is not None:
        query = query.where(origin_inquiries.c.certificate == certificate)
    page = query.order_by(origin_inquiries.c.asked_at.desc(), origin_inquiries.c.id)
    return [Stored(**row._asdict()) for row in conn.execute(page.limit(MAX_PAGE))]


def received(conn: Connection, by: str, id_: str, at_ms: int) -> None:
    """The addressee has it: days are counted from then; the first time counts."""
    table = origin_inquiries
    this = (table.c.asked_by == by, table.c.id == id_, table.c.received_at.is_(None))
    conn.execute(update(table).where(*this).values(received_at=at_ms))


def say(conn: Connection, stored: Stored, what: str, said: Said, at_ms: int) -> None:
    """Keep the `answer` or the `determination`, once; ConflictError `inquiry_closed`."""
    table = origin_inquiries
    moment = "answered_at" if what == "answer" else "determined_at"
    text = strict_json.canonical(said.to_json()).decode()
    this = (
        table.c.asked_by == stored.asked_by,
        table.c.id == stored.id,
        table.c[moment].is_(None),
    )
    changed = conn.execute(update(table).where(*this).values({what: text, moment: at_ms}))
    if changed.rowcount == 0:
        raise ConflictError("inquiry_closed", f"its {what} was given before")
