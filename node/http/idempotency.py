"""Idempotency-Key on the operator's POSTs: asking twice does it once and answers the same.

The key is taken durably before the work begins. When the first request was cut off in between,
its outcome is not known, and the same key is then refused rather than done again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web
from sqlalchemy import delete, select, update

from node.http.tables import idempotency
from node.store import dialect
from protocols.digest import sha256
from schemas.errors import ConflictError, MalformedError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from node.http.routes import Handler
    from node.runtime import Node

_KEEP_MS = 24 * 3600 * 1000
_MAX_STORED = 1024 * 1024
_KEY = re.compile(r"[!-~]{1,200}")


class IdempotencyKeys:
    """Answers kept for a day by key."""

    def __init__(self, node: Node) -> None:
        """Uses the node's store and clock."""
        self._node = node

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The kept answer for the request's key, else the handler's, which is then kept."""
        key = request.headers["Idempotency-Key"]
        if not _KEY.fullmatch(key):
            raise MalformedError("idempotency_key_bad", "1 to 200 visible ASCII characters")
        fingerprint = _fingerprint(request, await request.read())
        store = self._node.store
        earlier = await store.write(_take, key, fingerprint, self._node.clock.now_ms())
        if earlier is not None:
            return _replay(earlier, fingerprint)
        try:
            response = await handler(request)
        except (TradeError, web.HTTPException):
            # Refused, and nothing done: the key is free for a better request.
            await store.write(_free, key, fingerprint)
            raise
        if isinstance(response, web.Response) and _worth_keeping(response):
            await store.write(_keep, key, response)
        else:
            await store.write(_free, key, fingerprint)
        return response


def _worth_keeping(response: web.Response) -> bool:
    body = response.body
    return (
        response.status < 500
        and (body is None or isinstance(body, bytes))
        and (len(body or b"") <= _MAX_STORED)
    )


def _fingerprint(request: web.Request, body: bytes) -> bytes:
    called = f"{request.method} {request.raw_path}\n".encode("utf-8", "surrogateescape")
    return sha256(called + sha256(body))


def _take(connection: Connection, key: str, fingerprint: bytes, now: int) -> Row[Any] | None:
    connection.execute(delete(idempotency).where(idempotency.c.expires_at < now))
    values = {"key": key, "fingerprint": fingerprint, "expires_at": now + _KEEP_MS}
    if dialect.insert_or_ignore(connection, idempotency, values):
        return None
    return connection.execute(select(idempotency).where(idempotency.c.key == key)).one()


def _replay(row: Row[Any], fingerprint: bytes) -> web.Response:
    if row.fingerprint != fingerprint:
        raise ConflictError("idempotency_key_reused", "the key came with another request before")
    if row.status is None:
        raise ConflictError("idempotency_unfinished", "the first request is under way or was cut")
    headers = {"Idempotency-Replayed": "true"}
    if row.location:
        headers["Location"] = row.location
    return web.Response(
        body=row.body, status=row.status, content_type=row.content_type, headers=headers
    )


def _keep(connection: Connection, key: str, response: web.Response) -> None:
    values = {
        "status": response.status,
        "content_type": response.content_type,
        "location": response.headers.get("Location"),
        "body": response.body or b"",
    }
    connection.execute(update(idempotency).where(idempotency.c.key == key).values(**values))


def _free(connection: Connection, key: str, fingerprint: bytes) -> None:
    mine = (idempotency.c.key == key) & (idempotency.c.fingerprint == fingerprint)
    connection.execute(delete(idempotency).where(mine & idempotency.c.status.is_(None)))
