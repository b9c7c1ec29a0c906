"""Promising to send: a message is numbered, chained, signed and durable before it goes (R2)."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.exchange import identity, outbox_rows
from node.store import events
from protocols.exchange import control, manifest
from protocols.exchange.manifest import DOCUMENT, MAX_BODY_BYTES, VOID, Manifest
from schemas.errors import RefusedError, TooLargeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.keys import Signer
    from protocols.member_list import MemberList


class Outbox:
    """Queues messages of one node, in its callers' transactions."""

    def __init__(
        self,
        node: Node,
        *,
        signer: Callable[[], Signer],
        lifetime: timedelta,
        queued: Callable[[Connection, str], None],
    ) -> None:
        """queued: told, within the transaction, for whom something was queued."""
        self._node = node
        self._signer = signer
        self._lifetime = min(lifetime, manifest.MAX_LIFETIME)
        self._queued = queued

    def enqueue(
        self,
        conn: Connection,
        to: str,
        type_: str,
        body: bytes,
        content_type: str,
        stream: str | None,
    ) -> str:
        """Queues a message in the caller's transaction; its id.

        stream: the consignment's UCR, or None for the control stream, which never waits
        Raises RefusedError `peer_unlisted`, TooLargeError `body_too_large`, UnavailableError.
        """
        members = self._members(to)
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError("body_too_large", f"a body has at most {MAX_BODY_BYTES} bytes")
        last, head = outbox_rows.position(conn, to, stream) if stream is not None else (0, None)
        seq = None if stream is None else last + 1
        signed = self._sign(members, to, type_, body, content_type, stream, seq, head)
        if stream is not None and seq is not None:
            outbox_rows.advance(conn, to, stream, seq, signed.digest)
        return self._put(conn, signed, body)

    def void(self, conn: Connection, row: Any, reason: str) -> None:
        """Queues the void that takes the place of an outbox row which will never arrive (R10)."""
        body = control.Void(row.id, bytes(row.digest), row.seq, reason).to_bytes()
        prev = None if row.prev is None else bytes(row.prev)
        members = self._members(row.peer)
        signed = self._sign(
            members, row.peer, VOID, body, control.MEDIA_TYPE, row.stream, row.seq, prev
        )
        self._put(conn, signed, body)

    def _members(self, to: str) -> MemberList:
        members = self._node.members.current
        if members is None:
            raise UnavailableError("member_list_missing", "this node is in no network yet")
        if members.node(to) is None:
            raise RefusedError("peer_unlisted", f"{to} is not in the member list")
        return members

    def _sign(
        self,
        members: MemberList,
        to: str,
        type_: str,
        body: bytes,
        content_type: str,
        stream: str | None,
        seq: int | None,
        prev: bytes | None,
    ) -> manifest.SignedManifest:
        now = self._node.clock.now()
        made = Manifest(
            network=members.network,
            id=manifest.new_id(now, secrets.token_bytes(10)),
            sender=self._node.did,
            recipient=to,
            type=type_,
            stream=stream,
            seq=seq,
            prev=prev,
            issued_at=now,
            expires=now + self._lifetime,
            body=manifest.body_of(body, content_type),
        )
        # What a peer could not read is refused here, before it takes a number in the stream.
        return manifest.sign(made, self._signer())

    def _put(self, conn: Connection, signed: manifest.SignedManifest, body: bytes) -> str:
        made, now = signed.manifest, self._node.clock.now_ms()
        is_document = made.type.startswith(DOCUMENT)
        document = identity.document_digest(body) if is_document else None
        outbox_rows.put(conn, signed, body, document, now)
        if document is not None:
            events.record(
                conn,
                kind="sent",
                at=now,
                document=document,
                consignment=made.stream,
                actor=made.recipient,
                detail={"message": made.id, "seq": made.seq},
            )
        self._queued(conn, made.recipient)
        return made.id
