"""The demo's hands: each node's operator API over loopback, as an operator's own tools use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from testnet.world import Actor

CALL_DEADLINE: Final = 30.0
T = TypeVar("T")


class ProblemError(Exception):
    """A node answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = dict(problem)

    @property
    def code(self) -> str:
        """The stable code."""
        return str(self.problem.get("code", ""))


class Operator:
    """One node's operator API."""

    def __init__(self, actor: Actor, session: aiohttp.ClientSession) -> None:
        self.actor = actor
        self._session = session
        self._base = f"http://127.0.0.1:{actor.port}"

    async def get(self, path: str, **query: str) -> Any:
        """The JSON answer of a GET."""
        return await self._call("GET", path, query=query)

    async def has(self, path: str) -> bool:
        """Whether there is something at that path."""
        try:
            await self.get(path)
        except ProblemError as problem:
            if problem.status != 404:
                raise
            return False
        return True

    async def get_in(self, lang: str, path: str) -> Any:
        """The JSON answer of a GET, its words and names in that language."""
        return await self._call("GET", path, headers={"Accept-Language": lang})

    async def post(self, path: str, body: Any = None) -> Any:
        """The JSON answer of a POST with a JSON body."""
        return await self._call("POST", path, json=body if body is not None else {})

    async def post_bytes(self, path: str, body: bytes, content_type: str) -> Any:
        """The JSON answer of a POST with these bytes."""
        headers = {"Content-Type": content_type}
        return await self._call("POST", path, data=body, headers=headers)

    async def post_for_answer(self, path: str, body: bytes) -> Any:
        """The JSON that answers a POST with these bytes of JSON, whatever its status."""
        headers = {"Content-Type": "application/json"}
        _, content = await self._bytes("POST", path, data=body, headers=headers)
        return _json(content)

    async def raw(self, path: str, *, accept: str = "*/*") -> bytes:
        """The bytes of a GET."""
        answer, content = await self._bytes("GET", path, headers={"Accept": accept})
        self._raise_for(answer, content)
        return content

    async def post_for_bytes(self, path: str, body: Any) -> bytes:
        """The bytes that answer a POST with a JSON body."""
        answer, content = await self._bytes("POST", path, json=body)
        self._raise_for(answer, content)
        return content

    async def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        try:
            answer, _ = await self._bytes("GET", "/readyz")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        return answer.status == 200

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, **arguments: Any
    ) -> Any:
        answer, content = await self._bytes(method, path, params=query, **arguments)
        self._raise_for(answer, content)
        return _json(content)

    def _raise_for(self, answer: aiohttp.ClientResponse, content: bytes) -> None:
        if answer.status >= 400:
            raise ProblemError(answer.status, _json(content) or {})

    async def _bytes(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        token = self.actor.home.token_file
        known = token.read_text(encoding="ascii").strip() if token.exists() else ""
        sent = {"Authorization": f"Bearer {known}", **(headers or {})}
        async with (
            asyncio.timeout(CALL_DEADLINE),
            self._session.request(method, self._base + path, headers=sent, **arguments) as answer,
        ):
            return answer, await answer.read()


async def eventually(
    look: Callable[[], Awaitable[T | None]], *, deadline: float, pause: float = 0.05
) -> T | None:
    """What `look` returns once it is neither None nor False, or None after `deadline` seconds."""
    end = asyncio.get_running_loop().time() + deadline
    while True:
        found = await look()
        if found is not None and found is not False:
            return found
        if asyncio.get_running_loop().time() > end:
            return None
        await asyncio.sleep(pause)


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
