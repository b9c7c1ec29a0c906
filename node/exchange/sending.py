"""Sending a document to other nodes: one promise per recipient, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from node.exchange.outbox_rows import QUEUED, RECEIPTED
from node.exchange.tables import outbox
from protocols.exchange.manifest import DOCUMENT
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from schemas.strict_json import JsonValue

MAX_RECIPIENTS = 100


def read_order(members: dict[str, JsonValue]) -> tuple[list[str], bool]:
    """Recipients, and whether to send again; raises MalformedError `send_malformed`."""
    to, again = members.get("to"), members.get("again", False)
    if not isinstance(to, list) or not 1 <= len(to) <= MAX_RECIPIENTS:
        raise MalformedError(
            "send_malformed", f"to is a list of 1 to {MAX_RECIPIENTS} DIDs", pointer="/to"
        )
    named = [one for one in to if isinstance(one, str)]
    if len(named) != len(to) or not isinstance(again, bool):
        raise MalformedError("send_malformed", "DIDs are texts; again is true or false")
    return list(dict.fromkeys(named)), again


def send(
    conn: Connection, node: Node, digest: bytes, to: list[str], *, again: bool
) -> list[dict[str, Any]]:
    """Promises the document to each recipient; what is promised or receipted is not sent twice.

    The stream is the consignment's UCR. Whoever gets it is remembered, because revocations follow
    the document (R11). Raises NotFoundError when the document is not here, RefusedError
    `peer_unlisted`; then nothing is promised to anybody.
    """
    from node.documents import documents

    document = documents.require(conn, digest)
    messages = []
    for did in to:
        known = None if again else _promised(conn, digest, did)
        if known is None:
            known = node.exchange.enqueue(
                conn,
                did,
                DOCUMENT + document.type,
                document.file,
                document.media_type,
                document.consignment,
            )
            documents.add_recipient(conn, digest, did, node.clock.now_ms())
        messages.append({"to": did, "id": known})
    return messages


def _promised(conn: Connection, digest: bytes, did: str) -> str | None:
    query = (
        select(outbox.c.id)
        .where(outbox.c.document == digest, outbox.c.peer == did)
        .where(outbox.c.state.in_((QUEUED, RECEIPTED)), outbox.c.type.startswith(DOCUMENT))
        .order_by(outbox.c.n.desc())
        .limit(1)
    )
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found
