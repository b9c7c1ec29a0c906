"""fsck of events: each is there, and what it says it is about is here and is what it says.

Events are the story that webhooks, timelines and audits are told. Their rows are never deleted, nor
are documents and messages; of titles a node forgets what an ended arbiter said (R21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, select

from ledger import tables
from node.documents.documents import ISSUED
from node.documents.tables import documents
from node.exchange.tables import inbox, outbox
from node.fsck.kept_titles import may_be_forgotten
from node.fsck.stored import has, pages, there
from node.fsck.streams import gone
from node.store.events import events
from node.title.tables import history, titles
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from node.fsck import Context

    Fault: TypeAlias = Callable[[Connection, Any, Mapping[str, Any]], str]


def told(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-25: events without gaps, their leaves, and what each is about."""
    if not has(conn, events):
        return
    yield from gone(conn, events, "number")
    yield from _leaves(conn)
    titles_forgotten = may_be_forgotten(conn)
    for row in pages(conn, select(events).order_by(events.c.number)):
        context.examined += 1
        try:
            detail = strict_json.loads_object(row.detail.encode())
            find = _KINDS.get(row.kind)
            fault = "" if find is None else find(conn, row, detail)
            if not fault and not titles_forgotten:
                fault = _title(conn, row, detail)
        except TradeError as error:
            fault = error.code
        except (KeyError, TypeError, ValueError):
            fault = "its detail cannot be read"
        if fault:
            yield f"event {row.number} ({row.kind}): {fault}"


def _leaves(conn: Connection) -> Iterator[str]:
    joined = events.outerjoin(tables.leaves, tables.leaves.c.leaf_hash == events.c.leaf)
    query = select(events.c.number).select_from(joined)
    lost = query.where(events.c.leaf.is_not(None), tables.leaves.c.leaf_hash.is_(None))
    for (number,) in pages(conn, lost):
        yield f"event {number}: its leaf is not in the log"


def _document(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    """About a document that is here; one of ours keeps its consignment for good."""
    c = documents.c
    query = select(c.origin, c.type, c.number, c.issuer, c.consignment, c.leaf)
    held = conn.execute(query.where(c.digest == row.document)).one_or_none()
    if held is None:
        return "its document is not here"
    wanted = {"type": held.type, "number": held.number}
    said = [detail.get(name, value) == value for name, value in wanted.items()]
    if held.origin == ISSUED:
        said.append(held.consignment == row.consignment)
    if row.kind == "issued":
        said += [held.origin == ISSUED, held.issuer == row.actor, held.leaf == row.leaf]
    return "" if all(said) else "it says other than its document"


def _judged(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    """About a document that was kept with its verdict, or about one of ours, judged elsewhere."""
    return (_document if "verdict" in detail else _sent)(conn, row, detail)


def _received(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    return _message(conn, inbox, row, detail)


def _sent(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    return _message(conn, outbox, row, detail)


def _message(conn: Connection, table: Table, row: Any, detail: Mapping[str, Any]) -> str:
    if "message" not in detail:
        return ""
    c = table.c
    query = select(c.document, c.stream).where(c.peer == row.actor, c.id == detail["message"])
    held = conn.execute(query).one_or_none()
    if held is None:
        return "its message is not here"
    if (held.document, held.stream) != (row.document, row.consignment):
        return "its document or consignment is not the message's"
    return ""


def _title(conn: Connection, row: Any, detail: Mapping[str, Any]) -> str:
    """About an operation, or a state, of a title."""
    if not row.kind.startswith("title-") or "seq" not in detail:
        return ""
    title, seq = bytes.fromhex(str(detail["title"])), detail["seq"]
    if row.document is not None and not there(conn, documents, digest=row.document):
        return "the bill of lading is not here"
    if row.kind == "title-final":
        held = conn.execute(select(titles.c.seq).where(titles.c.title == title)).scalar()
        return "" if held is not None and held >= seq else "the title stands not that far here"
    operation = bytes.fromhex(str(detail.get("operation", "")))
    if there(conn, history, title=title, seq=seq, digest=operation):
        return ""
    return "the operation is not in the title's history"


_KINDS: dict[str, Fault] = {
    "issued": _document,
    "revoked": _document,
    "suspended": _document,
    "reinstated": _document,
    "proved": _document,
    "received": _received,
    "sent": _sent,
    "receipted": _sent,
    "validated": _judged,
    "quarantined": _judged,
}
