"""Calls that leave this node: signed ones to listed peers, and an operator's to a given address.

A peer's address comes from the member list and nowhere else (R7). Every call is signed (R12) with
the exchange key. A call without a whole answer says nothing about its outcome (R13).
"""

from __future__ import annotations

import asyncio
import io
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
from typing_extensions import override
from yarl import URL

from node.guarded.client import CheckedResolver
from protocols.digest import sha256
from protocols.seams import Answer, Transport
from schemas.errors import (
    MalformedError,
    RefusedError,
    TooLargeError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.runtime import Node

_LIFETIME = timedelta(seconds=60)
_LARGE = 512 * 1024


def _data(body: bytes) -> bytes | io.BytesIO | None:
    """aiohttp writes large bytes in one piece and warns; a stream goes out piece by piece."""
    return io.BytesIO(body) if len(body) > _LARGE else body or None


class PeerClient(Transport):
    """The aiohttp transport, with a bounded pool of connections per peer."""

    def __init__(self, node: Node) -> None:
        """Uses the node's keys, member list and clock; connects at the first call."""
        self._node = node
        self._session: aiohttp.ClientSession | None = None

    @override
    async def call(
        self,
        did: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """See `Transport.call`. deadline: None for `limits.call_deadline`."""
        url = self._address(did, path)
        signed = self._signed(did, method, url, body)
        answer = await self._send(method, url, body, {**(headers or {}), **signed}, deadline)
        self._notice(did, answer)
        return answer

    async def open_call(
        self,
        method: str,
        address: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """An unsigned call to an address the operator gave or the member list names.

        Never call it with an address out of a document (R7).
        """
        try:
            url = URL(address)
        except ValueError:
            raise MalformedError("address_bad", "this is no URL") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise MalformedError("address_bad", "an address begins with http:// or https://")
        return await self._send(method, url, body, dict(headers or {}), deadline)

    async def close(self) -> None:
        """Closes the connections; a later call would open them again."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _address(self, did: str, path: str) -> URL:
        members = self._node.members.current
        entry = members.node(did) if members else None
        if entry is None:
            raise RefusedError("peer_unlisted", f"{did} is not in the member list")
        return URL(entry.endpoint.rstrip("/") + path, encoded=True)

    def _signed(self, did: str, method: str, url: URL, body: bytes) -> dict[str, str]:
        from protocols.http_signature import Call, sign_request

        members = self._node.members.current
        assert members is not None
        call = Call(
            method,
            url.host_port_subcomponent or "",
            url.raw_path,
            url.raw_query_string,
            sha256(body),
        )
        return sign_request(
            call,
            to=did,
            members=members,
            created=self._node.clock.now(),
            nonce=secrets.token_urlsafe(18),
            signer=self._node.keys.signer("exchange"),
            lifetime=_LIFETIME,
        )

    async def _send(
        self, method: str, url: URL, body: bytes, headers: dict[str, str], deadline: float | None
    ) -> Answer:
        seconds = deadline or self._node.settings.limits.call_deadline
        try:
            async with (
                asyncio.timeout(seconds),
                self._open().request(
                    method, url, data=_data(body), headers=headers, allow_redirects=False
                ) as response,
            ):
                data = await self._read(response)
        except RefusedError as error:
            # A name that leads inside is where the peer cannot be reached, no answer of its (R13).
            raise UnavailableError("peer_unreachable", f"{url.host}: {error.code}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(
                "peer_unreachable", f"{url.host}: {type(error).__name__}"
            ) from error
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, data, named)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit, parts, size = self._node.settings.limits.max_answer, [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit:
                raise TooLargeError("answer_too_large", f"more than {limit} bytes were answered")
            parts.append(part)
        return b"".join(parts)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._node.settings.limits
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self._may_be_at),
                limit=0,
                limit_per_host=limits.peer_connections,
                keepalive_timeout=3.0,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("User-Agent", "Accept-Encoding"),
            )
        return self._session

    def _may_be_at(self, address: str) -> bool:
        """A member's name leads to no private address, outside test networks (R7).

        Before there is a list, the operator alone says whom to ask.
        """
        places = self._node.guarded.places
        return places.members is None or places.test or places.allows(address)

    def _notice(self, did: str, answer: Answer) -> None:
        """The peer tells which member list it holds (R4); odd words are logged."""
        from protocols.http_signature import read_members_claim

        text = answer.headers.get("px-members")
        if text is None:
            return
        try:
            self._node.seen_members(did, read_members_claim(text))
        except TradeError as error:
            # The alarm is raised where lists are judged; this call was answered all the same.
            self._node.telemetry.log.warning("peer.members_odd", peer=did, code=error.code)
