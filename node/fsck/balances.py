"""fsck of balances: registers kept here against their certificates, and answers of others (R23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from node.balance import rows
from node.balance.tables import balance_lines, balance_registers, balance_requests, balance_uses
from node.documents import documents
from node.fsck.stored import has, pages, there
from protocols import balance, jws
from protocols.balance import MAX_ANSWER, TYP, Outcome
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context
    from protocols.balance import Balance


def balances(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-23: registers are what their certificates say and are not overdrawn; answers verify."""
    if not has(conn, balance_registers):
        return
    keys = conn.execute(select(balance_registers.c.certificate)).scalars().all()
    for certificate in map(bytes, keys):
        context.examined += 1
        yield from _named(f"balance {certificate.hex()}", _register(conn, context, certificate))
    for table in (balance_lines, balance_uses):
        for certificate in conn.execute(select(table.c.certificate).distinct()).scalars().all():
            if not there(conn, balance_registers, certificate=certificate):
                yield f"balance {bytes(certificate).hex()}: {table.name} has rows of no register"
    for row in pages(conn, select(balance_requests).order_by(balance_requests.c.id)):
        context.examined += 1
        yield from _named(f"balance request {row.id}", _request(context, row))


def _named(name: str, faults: Iterator[str]) -> Iterator[str]:
    try:
        for fault in faults:
            yield f"{name}: {fault}"
    except TradeError as error:
        yield f"{name}: it cannot be read: {error.code}"
    except (ArithmeticError, ValueError):
        yield f"{name}: an amount or a state cannot be read"


def _register(conn: Connection, context: Context, certificate: bytes) -> Iterator[str]:
    kept = rows.get(conn, certificate)
    assert kept is not None
    stored = documents.get(conn, certificate)
    if stored is None:
        yield "its certificate is not here"
    else:
        named = balance.named_in(strict_json.loads_object(stored.payload), stored.issuer)
        if (named.quantity, named.lines) != (kept.quantity, kept.lines):
            yield "it is kept over other lines or quantities than its certificate has"
        if named.register != context.keys.did:
            yield f"its register is {named.register}"
    yield from _uses(conn, kept)


def _uses(conn: Connection, kept: Balance) -> Iterator[str]:
    lines = {line.number for line in kept.lines}
    for use in kept.uses:
        known = kept.quantity is not None if use.line is None else use.line in lines
        if not known or use.quantity <= 0:
            yield f"the use for {use.declaration} by {use.by} is of no line, or of nothing"
    for part in (*kept.parts(), *((kept.whole,) if kept.whole else ())):
        if part.left < 0:
            place = "it" if part.line is None else f"line {part.line}"
            yield f"{place} is overdrawn by {balance.plain(-part.left)} {part.quantity.unit}"
    query = select(balance_uses.c.seq).where(balance_uses.c.certificate == kept.certificate)
    numbers = conn.execute(query).scalars().all()
    if max(numbers, default=0) != kept.seq or len(set(numbers)) != len(numbers):
        yield f"its uses do not lead up to operation {kept.seq}"


def _request(context: Context, row: Any) -> Iterator[str]:
    asked = strict_json.loads_object(row.request.encode())
    request = balance.read_request(Fields(asked, balance.CODE))
    inside = (request.id, request.certificate, request.declaration, request.line or rows.WHOLE)
    if inside != (row.id, bytes(row.certificate), row.declaration, row.line):
        yield "the request is another than its row says"
    if row.answer is None:
        if row.outcome != Outcome.INDETERMINATE.value:
            yield f"it is {row.outcome} without an answer"
        return
    told = balance.read_payload(row.answer)
    said = (told.get("request"), told.get("register"), told.get("outcome"))
    if said != (asked, row.register, row.outcome):
        yield "the answer is to another request, or of another register or outcome"
    parsed = jws.parse(row.answer, typ=TYP, max_bytes=MAX_ANSWER)
    key = context.members.key_as_listed(parsed.kid) if context.members else None
    if key is not None:
        jws.verify(parsed, key.public)
