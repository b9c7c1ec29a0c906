"""fsck of bills across platforms: documents, chains byte for byte, and what came with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from node.fsck.stored import has
from node.pint import rows
from node.pint.tables import bills, documents, transfers
from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.answers import open_finished
from protocols.pint.chain import payload_fields
from protocols.pint.words import ACCEPTED
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
