"""The store functions of balances: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from node.balance.tables import balance_lines, balance_registers, balance_requests, balance_uses
from node.store import dialect
from protocols import balance, times
from protocols.balance import Balance, GoodsLine, Outcome, Quantity, Use, UseState
from schemas import strict_json
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from protocols.balance import Answer, Named, Request

MAX_REQUESTS = 1_000
#: How uses and requests say that they draw on the whole.
WHOLE = 0


def get(conn: Connection, certificate: bytes, *, hold: bool = False) -> Balance | None:
    """The balance kept here of that certificate.

    hold: nobody else changes it until the (writing) transaction ends
    """
    query = select(balance_registers).where(balance_registers.c.certificate == certificate)
    row = conn.execute(dialect.locked(conn, query) if hold else query).one_or_none()
    if row is None:
        return None
    uses = select(balance_uses).where(balance_uses.c.certificate == certificate)
    found = tuple(
        Use(
            each.by,
            each.declaration,
            Decimal(each.quantity),
            UseState(each.state),
            times.from_ms(each.at),
            each.line or None,
        )
        for each in conn.execute(uses.order_by(balance_uses.c.seq))
    )
    whole = None if row.quantity is None else Quantity(Decimal(row.quantity), row.unit)
    return Balance(certificate, whole, row.seq, found, _lines(conn, certificate))


def _lines(conn: Connection, certificate: bytes) -> tuple[GoodsLine, ...]:
    table = balance_lines
    query = select(table).where(table.c.certificate == certificate).order_by(table.c.line)
    return tuple(
        GoodsLine(each.line, Quantity(Decimal(each.quantity), each.unit))
        for each in conn.execute(query)
    )


def open_(conn: Connection, certificate: bytes, named: Named) -> Balance:
    """Begin to keep a balance; the one that is there when another was first."""
    whole = {"quantity": None, "unit": None} if named.quantity is None else _measure(named.quantity)
    register = {"certificate": certificate, **whole, "seq": 0}
    if dialect.insert_or_ignore(conn, balance_registers, register) and named.lines:
        lines = [
            {"certificate": certificate, "line": line.number, **_measure(line.quantity)}
            for line in named.lines
        ]
        conn.execute(insert(balance_lines), lines)
    found = get(conn, certificate, hold=True)
    assert found is not None
    return found


def _measure(quantity: Quantity) -> dict[str, str]:
    return {"quantity": balance.plain(quantity.value), "unit": quantity.unit}


def swap(conn: Connection, before: int, after: Balance, use: Use) -> None:
    """Compare and swap on (certificate, seq); UnavailableError `balance_busy` when overtaken."""
    table = balance_registers
    mine = (table.c.certificate == after.certificate, table.c.seq == before)
    changed = conn.execute(update(table).where(*mine).values(seq=after.seq))
    if changed.rowcount == 0:
        raise UnavailableError("balance_busy", "the balance moved at the same moment")
    values = {
        "certificate": after.certificate,
        "by": use.by,
        "declaration": use.declaration,
        "line": use.line or WHOLE,
        "quantity": balance.plain(use.quantity),
        "state": use.state.value,
        "at": times.to_ms(use.at),
        "seq": after.seq,
    }
    dialect.upsert(conn, balance_uses, values, key=["certificate", "by", "declaration", "line"])


@dataclass(frozen=True, slots=True)
class Asked:
    """What this node asked of a register, and the answer once it is here. Times are ms UTC."""

    id: str
    certificate: bytes
    declaration: str
    line: int
    register: str
    request: str
    outcome: str
    code: str
    answer: str | None
    asked_at: int
    answered_at: int | None

    @property
    def pending(self) -> bool:
        """Whether nobody knows yet."""
        return self.outcome == Outcome.INDETERMINATE.value

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        body = {
            "declaration": self.declaration,
            "line": self.line,
            "register": self.register,
            "request": strict_json.loads_object(self.request.encode()),
            "outcome": self.outcome,
            "code": self.code or ("balance_unknown" if self.pending else ""),
            "askedAt": times.to_text(times.from_ms(self.asked_at)),
            "answeredAt": times.to_text(times.from_ms(self.answered_at))
            if self.answered_at
            else None,
            "signedAnswer": self.answer,
        }
        return {name: value for name, value in body.items() if value}


def ask(conn: Connection, request: Request, register: str, now_ms: int) -> Asked:
    """Remember what is asked; until it is answered it is INDETERMINATE."""
    values = {
        "id": request.id,
        "certificate": request.certificate,
        "declaration": request.declaration,
        "line": request.line or WHOLE,
        "register": register,
        "request": request.to_bytes().decode(),
        "outcome": Outcome.INDETERMINATE.value,
        "code": "",
        "asked_at": now_ms,
    }
    conn.execute(insert(balance_requests).values(**values))
    found = asked(conn, request.id)
    assert found is not None
    return found


def settle(conn: Connection, id_: str, answer: Answer, now_ms: int) -> bool:
    """Keep the answer to what was asked; False when it was answered before."""
    assert answer.outcome is not None
    table = balance_requests
    waiting = (table.c.id == id_, table.c.answered_at.is_(None))
    changed = conn.execute(
        update(table)
        .where(*waiting)
        .values(
            outcome=answer.outcome.value, code=answer.code, answer=answer.text, answered_at=now_ms
        )
    )
    return changed.rowcount > 0


def asked(conn: Connection, id_: str) -> Asked | None:
    """One request by its id."""
    row = conn.execute(select(balance_requests).where(balance_requests.c.id == id_)).one_or_none()
    return None if row is None else Asked(**row._asdict())


def asked_about(
    conn: Connection, certificate: bytes, declaration: str | None = None, line: int | None = None
) -> list[Asked]:
    """What was asked about a certificate, oldest first; line: about that one, or about `WHOLE`."""
    table = balance_requests
    query = select(table).where(table.c.certificate == certificate)
    if declaration is not None:
        query = query.where(table.c.declaration == declaration)
    if line is not None:
        query = query.where(table.c.line == line)
    page = query.order_by(table.c.asked_at, table.c.id).limit(MAX_REQUESTS)
    return [Asked(**row._asdict()) for row in conn.execute(page)]
