"""The operator's side of a node: its API over loopback, from a synchronous program.

A changing command never writes beside a running node: `operator` speaks to the running one, or
takes the home's lock and opens the node inside this process, closed to peers (DESIGN §2).
"""

from __future__ import annotations

import asyncio
import http.client
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from node.home import Home
from protocols.seams import Answer
from schemas.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_START_SECONDS = 10.0
_POLL_SECONDS = 0.05
_MAX_ANSWER = 64 * 1024 * 1024


class OperatorClient:
    """Calls to one node's operator API. Refusals come back as the TradeError they were."""

    def __init__(self, url: str, token: str, *, lang: str = "en", deadline: float = 60.0) -> None:
        """`url` is the node's loopback address; `deadline` is in seconds per call."""
        self.url = url.rstrip("/")
        self._token = token
        self._lang = lang
        self._deadline = deadline

    def get(self, path: str, **query: Any) -> Any:
        """The JSON value at `path`; query members that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        whole = f"{path}?{urlencode(given, doseq=True)}" if given else path
        return _value(self.request("GET", whole))

    def post(self, path: str, value: Any = None, *, idempotency_key: str | None = None) -> Any:
        """The JSON value answered to `value` (JSON; None sends an empty object)."""
        headers = {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        body = orjson.dumps({} if value is None else value)
        return _value(self.request("POST", path, body, headers=headers))

    def request(
        self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The whole answer below status 400, as bytes.

        Raises the TradeError of the problem document, or UnavailableError `node_not_running`.
        """
        answer = self._call(method, path, body, headers or {})
        if answer.status >= 400:
            from node.http.problems import from_problem

            raise from_problem(answer.status, _problem(answer))
        return answer

    async def aget(self, path: str, **query: Any) -> Any:
        """`get` from within an event loop."""
        return await asyncio.to_thread(self.get, path, **query)

    async def apost(
        self, path: str, value: Any = None, *, idempotency_key: str | None = None
    ) -> Any:
        """`post` from within an event loop."""
        return await asyncio.to_thread(self.post, path, value, idempotency_key=idempotency_key)

    async def arequest(
        self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`request` from within an event loop."""
        return await asyncio.to_thread(self.request, method, path, body, headers=headers)

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=self._deadline)
        given = {
            "Authorization": f"Bearer {self._token}",
            "Accept-Language": self._lang,
            "Connection": "close",
            **headers,
        }
        # An id that somebody typed may hold anything; what is encoded already stays so.
        target = quote(path, safe="/?&=%:;,+@!$'()*~#[]")
        try:
            connection.request(method, target, body or None, given)
            response = connection.getresponse()
            data = response.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError("node_not_running", f"{self.url}: {error}") from error
        finally:
            connection.close()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, data, named)


@contextmanager
def operator(path: Path, *, lang: str = "en") -> Iterator[OperatorClient]:
    """A client for the node of that home, running or opened here for the length of the block.

    Raises SettingsError `home_missing`, or UnavailableError `node_not_running` when another
    process holds the home and does not answer.
    """
    home = Home(path)
    home.require()
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        client = running(home, lang=lang)
        if client is not None:
            yield client
            return
        try:
            lock = home.lock()
            lock.__enter__()
        except ConflictError:
            time.sleep(_POLL_SECONDS)
            continue
        try:
            with _opened_here(home, lang) as client:
                yield client
        finally:
            lock.__exit__(None, None, None)
        return
    raise UnavailableError("node_not_running", f"{home.path} is in use")


def running(home: Home, *, lang: str = "en") -> OperatorClient | None:
    """A client for the running node of that home, or None when none listens."""
    if not home.is_locked() or not home.endpoint_file.exists():
        return None
    url = home.endpoint_file.read_text("ascii").strip()
    return OperatorClient(url, home.token_file.read_text("ascii").strip(), lang=lang)


@contextmanager
def _opened_here(home: Home, lang: str) -> Iterator[OperatorClient]:
    """The node of a home this process has locked, on a thread of its own, closed to peers."""
    from node.daemon import compose
    from node.telemetry import Telemetry

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="node", daemon=True)
    thread.start()
    try:
        node = compose(home, telemetry=lambda did: Telemetry(did, "error"))
        asyncio.run_coroutine_threadsafe(node.start(listen=False), loop).result()
        try:
            yield OperatorClient(node.local_url, node.token, lang=lang)
        finally:
            asyncio.run_coroutine_threadsafe(node.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _value(answer: Answer) -> Any:
    return orjson.loads(answer.body) if answer.body else None


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
