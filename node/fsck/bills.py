"""fsck of bills across platforms: documents, chains byte for byte, and what came with them.

Rows tell of one another: an entry, a transfer and a bill that name what is not here show its loss,
and an envelope names the documents that came, or go, with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table, select

from node.fsck import told_bills as told
from node.fsck.stored import has, pages
from node.pint import outgoing as sent
from node.pint import rows
from node.pint.tables import bills, documents, entries, outgoing, transfers
from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.answers import open_finished
from protocols.pint.chain import payload_fields
from protocols.pint.envelope import open_envelope_manifest, read_envelope
from protocols.pint.words import ACCEPTED
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.fsck import Context

_PREVIOUS = "previousEnvelopeTransferChainEntrySignedContentChecksum"


def received_bills(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-17: chains link and are about their document, answers and documents are what they say.

    Entries are read without their transactions, so that an older dialect's are looked at too.
    """
    if not has(conn, bills):
        return
    for document, body in conn.execute(select(bills.c.document, bills.c.body)):
        context.examined += 1
        yield from _bill(conn, bytes(document), body)
    query = select(transfers.c.reference, transfers.c.last, transfers.c.answer)
    for reference, last, answer in conn.execute(query.where(transfers.c.answer.is_not(None))):
        context.examined += 1
        yield from _answer(reference, bytes(last), answer)
    for checksum, size, content in conn.execute(
        select(documents.c.checksum, documents.c.size, documents.c.content)
    ):
        context.examined += 1
        if (sha256(content), len(content)) != (bytes(checksum), size):
            yield f"the additional document {bytes(checksum).hex()} was altered"
    for table in (entries, transfers, outgoing):
        yield from _without_bill(conn, table)
    yield from _received(conn)
    yield from _accepted(conn)
    yield from _sent(conn)
    yield from told.moves(conn)


def _bill(conn: Connection, document: bytes, body: str) -> Iterator[str]:
    name = document.hex()
    if sha256(body.encode()) != document:
        yield f"the transport document of bill {name} was altered"
    known = rows.known_chain(conn, document)
    previous: bytes | None = None
    for place, text in enumerate(known.texts if known is not None else ()):
        try:
            parsed = signed.parse(text)
            fields = payload_fields(parsed)
            about = fields.digest("transportDocumentChecksum")
            linked = fields.optional_digest(_PREVIOUS)
        except TradeError as error:
            yield f"entry {place + 1} of bill {name} cannot be read: {error.code}"
            return
        if (about, linked) != (document, previous):
            yield f"entry {place + 1} of bill {name} does not belong where it is"
        previous = parsed.checksum


def _answer(reference: str, last: bytes, answer: str) -> Iterator[str]:
    try:
        _, finished = open_finished(answer)
    except TradeError as error:
        yield f"the answer of transfer {reference} cannot be read: {error.code}"
        return
    if finished.last != last or finished.response not in ACCEPTED:
        yield f"the answer of transfer {reference} is about something else"


# -- what is gone ------------------------------------------------------------------------------


def _without_bill(conn: Connection, table: Table) -> Iterator[str]:
    """Bills that rows are about; a transfer that is not received may be of one still to come."""
    query = (
        select(table.c.document)
        .outerjoin_from(table, bills, bills.c.document == table.c.document)
        .where(bills.c.document.is_(None))
        .distinct()
    )
    if table is transfers:
        query = query.where(transfers.c.state == rows.RECEIVED)
    for (document,) in pages(conn, query):
        yield f"the bill {bytes(document).hex()} is gone, {table.name} tells of it"


def _received(conn: Connection) -> Iterator[str]:
    """What came is here: the entry that it ended with, and the documents of its manifest."""
    c = transfers.c
    query = select(c.reference, c.document, c.last, c.platform, c.envelope)
    for row in pages(conn, query.where(c.state == rows.RECEIVED)):
        document = bytes(row.document)
        if bytes(row.last) not in _texts(conn, document, sha256):
            yield f"the last entry of transfer {row.reference} is gone from bill {document.hex()}"
        try:
            wanted = _announced(bytes(row.envelope))
        except TradeError as error:
            yield f"the envelope of transfer {row.reference} cannot be read: {error.code}"
            continue
        held = rows.held_documents(conn, document, row.platform)
        for checksum in wanted - held:
            yield f"the document {checksum.hex()} of transfer {row.reference} is gone"


def _accepted(conn: Connection) -> Iterator[str]:
    """Each entry that was accepted here came with a transfer (by its payload, R2)."""
    c = entries.c
    for document in conn.execute(select(c.document).where(c.accepted).distinct()).scalars():
        came = select(transfers.c.entry).where(transfers.c.document == document)
        known = set(map(bytes, conn.execute(came).scalars()))
        for payload in _texts(conn, bytes(document), _payload, accepted=True) - known - {b""}:
            name = bytes(document).hex()
            yield f"the transfer is gone that brought entry {payload.hex()} of bill {name}"


def _sent(conn: Connection) -> Iterator[str]:
    """What left and was received is part of its bill's chain, and what goes with it is here."""
    c = outgoing.c
    query = select(c.entry, c.document, c.text, c.state, c.envelope)
    for row in pages(conn, query.where(c.state.in_((*sent.ACTIVE, sent.RECEIVED)))):
        document, name = bytes(row.document), bytes(row.entry).hex()
        ours = sha256(row.text.encode())
        if row.state == sent.RECEIVED and ours not in _texts(conn, document, sha256):
            yield f"the entry of transfer {name} is gone from bill {document.hex()}"
        try:
            wanted = _announced(bytes(row.envelope))
        except TradeError as error:
            yield f"the envelope of transfer {name} cannot be read: {error.code}"
            continue
        for checksum in wanted - sent.contents(conn, document, wanted).keys():
            yield f"the document {checksum.hex()} of transfer {name} is gone"


def _texts(
    conn: Connection, document: bytes, name: Callable[[bytes], bytes], *, accepted: bool = False
) -> set[bytes]:
    """The entries of all chains of a bill, each by the name that its text gives it."""
    query = select(entries.c.text).where(entries.c.document == document)
    if accepted:
        query = query.where(entries.c.accepted)
    return {name(text.encode()) for text in conn.execute(query).scalars()}


def _payload(text: bytes) -> bytes:
    try:
        return signed.parse(text.decode()).payload_digest
    except TradeError:
        return b""  # told where the chain is read


def _announced(envelope: bytes) -> set[bytes]:
    """The checksums of an envelope's additional documents; none where nothing was to be sent."""
    if not envelope:
        return set()
    return set(open_envelope_manifest(read_envelope(envelope).manifest)[1].additional)
