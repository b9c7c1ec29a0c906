"""Sending a document to other nodes: one promise per recipient, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from node.exchange.outbox_rows import QUEUED, RECEIPTED
from node.exchange.tables import outbox
from protocols.credentials import forms, sd_credential, sd_jwt
from protocols.exchange.manifest import DOCUMENT
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from schemas.strict_json import JsonValue

MAX_RECIPIENTS = 100


@dataclass(frozen=True, slots=True)
class SendOrder:
    """To whom; whether to send again; what to disclose (None: all that is held)."""

    to: list[str]
    again: bool = False
    disclose: list[str] | None = None


def read_order(members: dict[str, JsonValue]) -> SendOrder:
    """What an operator asks for; raises MalformedError `send_malformed`."""
    to, again = members.get("to"), members.get("again", False)
    if not isinstance(to, list) or not 1 <= len(to) <= MAX_RECIPIENTS:
        raise MalformedError(
            "send_malformed", f"to is a list of 1 to {MAX_RECIPIENTS} DIDs", pointer="/to"
        )
    named = [one for one in to if isinstance(one, str)]
    if len(named) != len(to) or not isinstance(again, bool):
        raise MalformedError("send_malformed", "DIDs are texts; again is true or false")
    return SendOrder(list(dict.fromkeys(named)), again, _disclose(members))


def _disclose(members: dict[str, JsonValue]) -> list[str] | None:
    if "disclose" not in members:
        return None
    places = members["disclose"]
    if not isinstance(places, list) or len(places) > sd_jwt.MAX_DISCLOSURES:
        raise MalformedError("send_malformed", "disclose is a list of places", pointer="/disclose")
    if not all(isinstance(place, str) for place in places):
        raise MalformedError("send_malformed", "a place is a text", pointer="/disclose")
    return [str(place) for place in places]


def send(conn: Connection, node: Node, digest: bytes, order: SendOrder) -> list[dict[str, Any]]:
    """Promises the document to each recipient; what is promised or receipted is not sent twice.

    The stream is the consignment's UCR. Whoever gets it is remembered, because revocations follow
    the document (R11). Raises NotFoundError when the document is not here, RefusedError
    `peer_unlisted`, `disclosure_no_such_place`, MalformedError `not_disclosable_form`; then nothing
    is promised to anybody.
    """
    from node.basis import flagging as basis
    from node.documents import documents

    document = documents.require(conn, digest)
    file = document.file if order.disclose is None else _part(document, order.disclose)
    messages = []
    for did in order.to:
        known = None if order.again else _promised(conn, digest, did)
        if known is None:
            known = node.exchange.enqueue(
                conn,
                did,
                DOCUMENT + document.type,
                file,
                document.media_type,
                document.consignment,
            )
            documents.add_recipient(conn, digest, did, node.clock.now_ms())
            basis.tell_recipient(conn, node, document, did)
        messages.append({"to": did, "id": known})
    return messages


def _part(document: StoredDocument, places: list[str]) -> bytes:
    """The document with these members disclosed and no other."""
    if not forms.is_selective(document.file):
        raise MalformedError("not_disclosable_form", "the document has no disclosable members")
    return sd_credential.present(document.file, places).text.encode("ascii")


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
