"""Who calls: a listed node by RFC 9421 (R12), or this node's operator by token.

A peer's nonce is stored before the call is handled, so a replay is refused even after a restart
and by every worker that shares the store.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING

from sqlalchemy import delete

from node.http.tables import nonces
from node.store import dialect
from protocols.digest import sha256
from protocols.times import to_ms
from schemas.errors import ForbiddenError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from aiohttp import web
    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.http_signature import SignedCall
    from protocols.member_list import MemberList

_CLEAN_EVERY_MS = 60_000


class PeerGuard:
    """Admits calls of listed nodes; each once."""

    def __init__(self, node: Node) -> None:
        """Uses the node's member list, store and clock."""
        self._node = node
        self._cleaned_at = 0

    async def admit(self, request: web.Request) -> SignedCall:
        """Who made this call; raises UnauthenticatedError, or UnavailableError without a list.

        Reads the whole body: it is covered by the signature.
        """
        members = self._node.members.current
        if members is None:
            raise UnavailableError("member_list_missing", "this node is in no network yet")
        call = self._verified(request, await request.read(), members)
        fresh = await self._node.store.write(self._remember, call)
        if not fresh:
            raise UnauthenticatedError("nonce_replayed", "this call was made before")
        self._node.seen_members(call.did, call.members)
        return call

    def _verified(self, request: web.Request, body: bytes, members: MemberList) -> SignedCall:
        from protocols.http_signature import Call, verify_request

        raw_path, _, query = request.raw_path.partition("?")
        call = Call(request.method, request.host, raw_path, query, sha256(body))
        now = self._node.clock.now()
        return verify_request(call, request.headers, to=self._node.did, members=members, now=now)

    def _remember(self, connection: Connection, call: SignedCall) -> bool:
        now = self._node.clock.now_ms()
        if now - self._cleaned_at > _CLEAN_EVERY_MS:
            connection.execute(delete(nonces).where(nonces.c.expires_at < now))
            self._cleaned_at = now
        # One second more than the signature lives: seconds are compared there, ms here.
        values = {"did": call.did, "nonce": call.nonce, "expires_at": to_ms(call.expires) + 1000}
        return dialect.insert_or_ignore(connection, nonces, values)


def require_operator(request: web.Request, token: str) -> None:
    """Raises ForbiddenError off loopback, UnauthenticatedError without the right token."""
    try:
        loopback = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ForbiddenError("operator_only_local", "the operator's calls come from this machine")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not is_secret(given.strip(), token):
        raise UnauthenticatedError("operator_token_wrong", "the token is in run/token of the home")


def is_secret(given: str, secret: str) -> bool:
    """Whether a header's value is that secret, compared in constant time.

    A header may hold any bytes: what is no text is compared as the bytes it came as.
    """
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
