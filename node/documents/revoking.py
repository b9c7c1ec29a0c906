"""Revoking our own documents, and taking in the status lists of others.

A push carries the signed list; the push itself changes nothing (R11). Whoever forwarded a
document passes the list on to those it went to. A list is taken only if it verifies and does not
go back; an older one that arrives late is dropped without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from node.documents import documents, status
from node.documents.documents import ISSUED, StoredDocument
from node.documents.issuing import append_status
from node.documents.tables import foreign_lists
from node.store import dialect, events
from protocols import status_list, times
from protocols.exchange.manifest import REVOCATION
from protocols.fields import Fields
from protocols.status_list import StatusList
from schemas import strict_json
from schemas.errors import ForbiddenError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.status import Publisher
    from node.exchange.message import InboundMessage
    from node.runtime import Node

CONTENT_TYPE = "application/json"
MAX_BYTES = 2 * 1024 * 1024


def revoke(
    conn: Connection, node: Node, publisher: Publisher, digest: bytes, reason: str
) -> StoredDocument:
    """Revoke a document of ours: list, leaf, event and messages in the caller's transaction.

    Raises NotFoundError `document_not_here`, ForbiddenError `not_the_issuer`, ConflictError
    `already_revoked`.
    """
    document = documents.require(conn, digest)
    if document.origin != ISSUED:
        raise ForbiddenError("not_the_issuer", "only the issuing body revokes its document")
    now_ms = node.clock.now_ms()
    status.revoke(conn, document.status, reason, now_ms)
    list_id = document.status_list_url.rpartition("/")[2]
    text = status.current(conn, publisher, list_id, now_ms)
    documents.mark_revoked(conn, digest, now_ms)
    leaf_hash = append_status(conn, document, now_ms)
    _tell_event(conn, "revoked", document, node.did, now_ms, leaf_hash, {"reason": reason})
    relay(conn, node, text, [digest])
    _reconsider(conn, node, document)
    return documents.require(conn, digest)


def _tell_event(
    conn: Connection,
    kind: str,
    document: StoredDocument,
    actor: str,
    now_ms: int,
    leaf_hash: bytes | None,
    detail: Mapping[str, Any],
) -> None:
    events.record(
        conn,
        kind=kind,
        at=now_ms,
        document=document.digest,
        consignment=document.consignment,
        actor=actor,
        leaf=leaf_hash,
        detail={"type": document.type, "number": document.number, **detail},
    )


def relay(conn: Connection, node: Node, signed_list: str, digests: list[bytes]) -> None:
    """Queue the list for everybody these documents went to from here, once each (R11)."""
    for did, told in documents.untold(conn, digests).items():
        body = message_body(signed_list, told)
        try:
            node.exchange.enqueue(conn, did, REVOCATION, body, CONTENT_TYPE, None)
        except RefusedError as error:
            # Whoever left the network is not reached any more; nobody else waits for that.
            node.telemetry.log.warning("documents.relay", peer=did, code=error.code)
            continue
        documents.mark_told(conn, told, did)


def message_body(signed_list: str, digests: Iterable[bytes]) -> bytes:
    """The body of a revocation message: the signed list, and which documents it is about."""
    return strict_json.canonical(
        {"statusList": signed_list, "documents": [digest.hex() for digest in digests]}
    )


def _reconsider(conn: Connection, node: Node, document: StoredDocument) -> None:
    """A revocation re-opens an unused release (R25), where this node decides releases."""
    release = getattr(node, "release", None)
    if release is not None and document.consignment is not None:
        release.reconsider(conn, document.consignment)


def held_list(conn: Connection, url: str) -> tuple[StatusList, int] | None:
    """The list of others that we hold under that name, and when we got it (ms UTC)."""
    row = conn.execute(select(foreign_lists).where(foreign_lists.c.url == url)).one_or_none()
    return None if row is None else (status_list.parse_list(row.signed)[1], row.fetched_at)


def take(conn: Connection, node: Node, opened: StatusList) -> bool:
    """Keep a verified list of somebody else and act on what it revokes; False when it is old.

    Raises RefusedError `status_rollback` when a later list takes a revocation back, ConflictError
    `status_fork`.
    """
    held = held_list(conn, opened.url)
    if held is not None and opened.valid_from < held[0].valid_from:
        return False
    fresh = status_list.supersedes(opened, held[0] if held else None)
    now_ms = node.clock.now_ms()
    values = {
        "url": opened.url,
        "issuer": opened.issuer,
        "digest": opened.digest,
        "signed": opened.signed,
        "valid_from": times.to_ms(opened.valid_from),
        "fetched_at": now_ms,
    }
    dialect.upsert(conn, foreign_lists, values, key=["url"])
    for document in documents.on_list(conn, opened.url):
        _act(conn, node, document, opened, now_ms)
    return fresh


def _act(
    conn: Connection, node: Node, document: StoredDocument, opened: StatusList, now_ms: int
) -> None:
    """What the list says about one document we hold."""
    if document.revoked_at is not None or document.issuer != opened.issuer:
        return
    if not status_list.bit(opened.bits, document.status_index):
        return
    documents.mark_revoked(conn, document.digest, now_ms)
    leaf_hash = append_status(conn, document, now_ms)
    detail = {"status": "revoked", "list": opened.url, "index": document.status_index}
    _tell_event(conn, "status-changed", document, opened.issuer, now_ms, leaf_hash, detail)
    relay(conn, node, opened.signed, [document.digest])
    _reconsider(conn, node, document)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A revocation message, read; the list is verified."""

    opened: StatusList


class RevocationHandler:
    """Messages `urn:pratique:revocation`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node) -> None:
        """Verifies against the node's member list."""
        self._node = node

    async def prepare(self, message: InboundMessage) -> Pushed:
        """Verify the list that the push carries, by its issuer's key, whoever sent it."""
        body = strict_json.loads_object(message.body, max_bytes=MAX_BYTES)
        fields = Fields(body, "revocation_malformed")
        text = fields.text("statusList", max_length=MAX_BYTES)
        members = self._node.members.current
        if members is None:
            raise RefusedError("outside_a_network", "this node is in no network yet")
        now = self._node.clock.now()
        return Pushed(status_list.open_list(text, members=members, now=now))

    def apply(self, conn: Connection, message: InboundMessage, prepared: Pushed) -> None:
        """Take the list; a fork or a roll-back refuses the message, which the sender learns."""
        if prepared.opened.issuer == self._node.did:
            return
        if take(conn, self._node, prepared.opened):
            self._node.telemetry.log.info("documents.status_taken", peer=message.sender)
