"""Transfers that leave this platform, kept until a signed word and the arbiter have decided them.

A row is durable before its deed is handed to the arbiter and before anything is sent, so a retry
carries the same bytes (R2). States: `building` (the deed is not final at the arbiter), `sending`
(the envelope goes out until a signed answer comes), `confirming` (RECE is here, the arbiter does
not say so yet), `cancelling` (refused or expired, the offer still binds the title); and decided:
`received`, `recorded` (nobody elsewhere is to be told), `refused`, `cancelled`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from node.pint import rows
from node.pint.tables import bills, documents, outgoing, transfers
from protocols.fields import Fields
from protocols.pint.chain import open_entry
from protocols.pint.envelope import read_metadata
from protocols.pint.reading import CODE
from schemas import strict_json
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row, Select

    from protocols.pint.envelope import DocumentMetadata
    from protocols.pint.transactions import Transaction

BUILDING, SENDING = "building", "sending"
CONFIRMING, CANCELLING = "confirming", "cancelling"
RECEIVED, RECORDED, REFUSED, CANCELLED = "received", "recorded", "refused", "cancelled"
#: UN/CEFACT 1153: master bill of lading number, among a house bill's references.
MASTER = "MB"
ACTIVE = (BUILDING, SENDING, CONFIRMING, CANCELLING)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One row. entry: payload digest of our last entry; platform: "" where nothing is sent."""

    entry: bytes
    document: bytes
    title: bytes | None
    platform: str
    text: str
    envelope: bytes = field(repr=False)
    state: str
    reference: str | None
    answer: str | None
    code: str | None
    tries: int
    created_at: int
    updated_at: int

    @property
    def deed(self) -> Transaction:
        """What the envelope is sent for."""
        return open_entry(self.text).last

    @property
    def active(self) -> bool:
        """Whether it is not decided yet."""
        return self.state in ACTIVE


_ROW = tuple(outgoing.c[name] for name in Outgoing.__slots__)


def _read(row: Row[Any]) -> Outgoing:
    values = row._asdict()
    for name in ("entry", "document", "envelope", "title"):
        values[name] = None if values[name] is None else bytes(values[name])
    return Outgoing(**values)


def put(conn: Connection, row: Outgoing) -> None:
    """Keep a new one."""
    values = {name: getattr(row, name) for name in Outgoing.__slots__}
    conn.execute(insert(outgoing).values(**values, again_at=row.created_at))


def find(conn: Connection, entry: bytes) -> Outgoing | None:
    """The one of that entry."""
    found = conn.execute(select(*_ROW).where(outgoing.c.entry == entry)).one_or_none()
    return None if found is None else _read(found)


def require(conn: Connection, entry: bytes) -> Outgoing:
    """As `find`; raises NotFoundError `pint_transfer_unknown`."""
    found = find(conn, entry)
    if found is None:
        raise NotFoundError("pint_transfer_unknown", entry.hex())
    return found


def _newest(document: bytes) -> Select[Any]:
    return (
        select(*_ROW)
        .where(outgoing.c.document == document)
        .order_by(outgoing.c.created_at.desc(), outgoing.c.entry)
    )


def of_document(conn: Connection, document: bytes, limit: int = 100) -> list[Outgoing]:
    """All of one bill, the newest first."""
    return [_read(row) for row in conn.execute(_newest(document).limit(limit))]


def of_title(conn: Connection, title: bytes) -> Outgoing | None:
    """The newest of a title."""
    query = select(*_ROW).where(outgoing.c.title == title).order_by(outgoing.c.created_at.desc())
    row = conn.execute(query.limit(1)).one_or_none()
    return None if row is None else _read(row)


def open_of(conn: Connection, document: bytes) -> Outgoing | None:
    """The bill's transfer that is not decided: while there is one, nothing else is done with it.

    A notice or a surrender under way hinders nothing: its deed is final already.
    """
    query = _newest(document).where(outgoing.c.state.in_(ACTIVE)).limit(20)
    for row in map(_read, conn.execute(query)):
        if row.state == BUILDING or row.deed.action.value in {"TRANSFER", "ISSUE"}:
            return row
    return None


def open_of_title(conn: Connection, title: bytes) -> Outgoing | None:
    """As `open_of`, by the title."""
    newest = of_title(conn, title)
    return None if newest is None else open_of(conn, newest.document)


def page(conn: Connection, *, state: str | None = None, limit: int = 200) -> list[Outgoing]:
    """The newest, of one state if asked for."""
    query = select(*_ROW).order_by(outgoing.c.created_at.desc()).limit(limit)
    if state is not None:
        query = query.where(outgoing.c.state == state)
    return [_read(row) for row in conn.execute(query)]


def due(conn: Connection, now_ms: int, limit: int) -> list[Outgoing]:
    """Those whose turn it is, the longest waiting first."""
    query = (
        select(*_ROW)
        .where(outgoing.c.state.in_(ACTIVE), outgoing.c.again_at <= now_ms)
        .order_by(outgoing.c.again_at)
        .limit(limit)
    )
    return [_read(row) for row in conn.execute(query)]


def change(conn: Connection, /, entry: bytes, now_ms: int, **values: Any) -> None:
    """Write members of an active one and let it be looked at again at once."""
    values = {"again_at": now_ms, "tries": 0, **values, "updated_at": now_ms}
    conn.execute(
        update(outgoing)
        .where(outgoing.c.entry == entry, outgoing.c.state.in_(ACTIVE))
        .values(**values)
    )


def postpone(conn: Connection, row: Outgoing, code: str, again_at: int, now_ms: int) -> None:
    """Not decided; why, and when to try again."""
    change(conn, row.entry, now_ms, code=code, again_at=again_at, tries=row.tries + 1)


def naming_master(conn: Connection, reference: str, limit: int = 100) -> list[str]:
    """The references of house bills whose document names this one as their master bill."""
    named = strict_json.canonical({"type": MASTER, "value": reference}).decode()
    query = (
        select(bills.c.reference)
        .where(bills.c.body.contains(named, autoescape=True))
        .order_by(bills.c.reference)
        .limit(limit)
    )
    return [str(found) for found in conn.execute(query).scalars()]


def put_picture(
    conn: Connection, document: bytes, metadata: DocumentMetadata, content: bytes, now_ms: int
) -> None:
    """Keep the carrier's visualisation, which every envelope of the bill carries on."""
    told = strict_json.canonical(metadata.to_json()).decode()
    rows.put_bill(conn, document, now_ms, visualisation=told)
    rows.put_document(conn, document, rows.OURS, metadata.checksum, content, now_ms)


def picture(conn: Connection, document: bytes) -> DocumentMetadata | None:
    """How an own bill's visualisation is announced."""
    held = rows.bill(conn, document)
    if held is None or held.visualisation is None:
        return None
    return read_metadata(Fields(strict_json.loads_object(held.visualisation.encode()), CODE))


def newest_envelope(conn: Connection, document: bytes) -> bytes | None:
    """The envelope with which the bill, or news of it, came here last."""
    query = (
        select(transfers.c.envelope)
        .where(transfers.c.document == document, transfers.c.state == rows.RECEIVED)
        .order_by(transfers.c.updated_at.desc())
        .limit(1)
    )
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def contents(conn: Connection, document: bytes, checksums: Iterable[bytes]) -> dict[bytes, bytes]:
    """Additional documents of a bill by their checksum, from whomever they are here."""
    query = select(documents.c.checksum, documents.c.content).where(
        documents.c.document == document, documents.c.checksum.in_(list(checksums))
    )
    return {bytes(checksum): bytes(content) for checksum, content in conn.execute(query)}
