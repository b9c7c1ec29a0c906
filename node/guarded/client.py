"""The guarded client: every fetch whose address a stranger had a hand in goes through it (R7).

Before a socket opens, `places` has found the host listed and the resolver has checked every
address; the connection goes to those very addresses, so that a name cannot lead elsewhere the
second time it is asked (rebinding). Answers are capped, uncompressed and of the media type asked
for; redirects are walked by hand, at most three, under the same rules. What failed is left alone
for a while, and one probe stands for all who wait for a host: a thousand credentials that name a
dead host cost one connection.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override
from yarl import URL

from node.guarded.places import Places
from schemas.errors import (
    RefusedError,
    TooLargeError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Coroutine

    from node.guarded.places import Network, Target
    from protocols.member_list import MemberList

MAX_DID_BYTES = 64 * 1024
MAX_STATUS_BYTES = 1024 * 1024
DEADLINE = 5.0
MAX_REDIRECTS = 3
QUIET_SECONDS = 60.0
_REMEMBERED = 4096
_PER_HOST = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class CheckedResolver(AbstractResolver):
    """Resolves names, and refuses a name any of whose addresses may not be called.

    One forbidden address refuses them all: a public one beside it is how a name is smuggled in.
    """

    def __init__(
        self,
        allows: Callable[[str], bool],
        inner: Callable[[], AbstractResolver] = ThreadedResolver,
    ) -> None:
        """allows: whether an IP address may be connected to; inner: makes what really resolves."""
        self._allows = allows
        self._make = inner
        self._inner: AbstractResolver | None = None

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._inner is None:
            self._inner = self._make()
        found = await self._inner.resolve(host, port, family)
        if not found or not all(self._allows(each["host"]) for each in found):
            raise RefusedError("address_forbidden", "the host's address may not be called")
        return found

    @override
    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()


@dataclass(frozen=True, slots=True)
class _Request:
    """One fetch: what is asked, and what an answer may be."""

    method: str
    url: str
    cap: int
    deadline: float
    accept: tuple[str, ...]
    body: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was fetched: the media type it was given, without parameters, and the body."""

    media_type: str
    body: bytes


class GuardedClient:
    """Fetches what listed hosts publish. One per node; `close` it."""

    def __init__(
        self,
        members: Callable[[], MemberList | None],
        *,
        hosts: Collection[str] = (),
        inside: Collection[Network] = (),
        quiet: float = QUIET_SECONDS,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects at the first call.

        members:  the list in force, asked at every call
        hosts:    what the operator named beside it (`fetching.hosts`)
        inside:   private networks that members are in (`fetching.inside`)
        quiet:    seconds for which a host or URL that failed is left alone
        tls:      whom to trust; None for the system's authorities
        """
        self._members, self._quiet = members, quiet
        self._hosts, self._inside = tuple(hosts), tuple(inside)
        self._resolver, self._tls, self._monotonic = resolver, tls, monotonic
        self._cached: Places | None = None
        self._session: aiohttp.ClientSession | None = None
        self._failed: dict[str, tuple[float, TradeError]] = {}
        self._answered: dict[str, float] = {}
        self._probes: dict[str, asyncio.Future[None]] = {}
        self._under_way: dict[_Request, asyncio.Task[Answer]] = {}

    @property
    def places(self) -> Places:
        """Where calls may lead, by the member list in force."""
        members = self._members()
        if self._cached is None or self._cached.members is not members:
            self._cached = Places(members, self._hosts, self._inside)
        return self._cached

    async def get(
        self, url: str, *, cap: int, deadline: float = DEADLINE, accept: tuple[str, ...]
    ) -> bytes:
        """The body at `url`: at most `cap` bytes, of a media type in `accept`, in `deadline` s.

        The same question asked meanwhile shares the answer. Raises RefusedError `url_refused`,
        `address_forbidden`, `redirect_refused`; UnavailableError `host_unlisted` (nothing was
        called), `fetch_unreachable`, `fetch_tls_failed`, `fetch_too_slow`, `fetch_refused`,
        `fetch_wrong_type`; TooLargeError `fetch_too_large`. None of them says anything about the
        document that named the URL: to it, they are INDETERMINATE.
        """
        return (await self.fetch(url, cap=cap, deadline=deadline, accept=accept)).body

    async def fetch(
        self, url: str, *, cap: int, deadline: float = DEADLINE, accept: tuple[str, ...]
    ) -> Answer:
        """As `get`, where the answer's media type says how the body is read."""
        request = _Request("GET", url, cap, deadline, accept)
        task = self._under_way.get(request)
        if task is None:
            self._require_not_quiet(url)
            task = asyncio.get_running_loop().create_task(self._within(request))
            self._under_way[request] = task
            task.add_done_callback(lambda done: self._ended(request, done))
        return await asyncio.shield(task)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        cap: int,
        deadline: float = DEADLINE,
        accept: tuple[str, ...],
    ) -> bytes:
        """The answer to `body` (time-stamp servers, RFC 3161 §3.4); as `get`, never redirected."""
        request = _Request("POST", url, cap, deadline, accept, body, content_type)
        return (await self._within(request)).body

    def forgive(self) -> None:
        """Forget what failed: the member list or the operator's wishes changed."""
        self._failed.clear()

    def heard_from(self, endpoint: str) -> None:
        """A listed endpoint has just spoken to us: its failures are past."""
        if self._failed:
            authority = endpoint.partition("://")[2]
            kept = {
                place: told
                for place, told in self._failed.items()
                if place != authority and not place.startswith(f"{endpoint}/")
            }
            self._failed = kept

    async def close(self) -> None:
        """Closes the connections and gives up what is under way."""
        for task in tuple(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _ended(self, request: _Request, task: asyncio.Task[Answer]) -> None:
        self._under_way.pop(request, None)
        if not task.cancelled():
            task.exception()  # those who waited were told; nobody else needs to be

    async def _within(self, request: _Request) -> Answer:
        target = self.places.find(request.url)
        try:
            async with asyncio.timeout(request.deadline):
                return await self._walk(request, target)
        except TimeoutError:
            error = UnavailableError("fetch_too_slow", "there was no whole answer in time")
            raise self._note(target.at.authority, error) from None

    async def _walk(self, request: _Request, target: Target) -> Answer:
        """Asks, and follows at most `MAX_REDIRECTS` redirects to places that are listed too."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._when_answering(target, self._once(request, target))
            if isinstance(answer, Answer):
                return answer
            try:
                target = self.places.find(str(URL(target.url).join(URL(answer, encoded=True))))
            except (TradeError, ValueError) as error:
                code = error.code if isinstance(error, TradeError) else "no URL"
                refused = RefusedError("redirect_refused", f"it leads where it may not: {code}")
                raise self._note(request.url, refused) from None
        raise self._note(request.url, RefusedError("redirect_refused", "too many redirects"))

    async def _when_answering(
        self, target: Target, asking: Coroutine[None, None, Answer | str]
    ) -> Answer | str:
        """One probe for all who wait for a host of which nothing is known yet."""
        authority = target.at.authority
        try:
            while not self._known(authority):
                self._require_not_quiet(authority)
                probe = self._probes.get(authority)
                if probe is None:
                    return await self._probe(authority, asking)
                await asyncio.shield(probe)
            return await asking
        finally:
            asking.close()

    async def _probe(
        self, authority: str, asking: Coroutine[None, None, Answer | str]
    ) -> Answer | str:
        probe = self._probes[authority] = asyncio.get_running_loop().create_future()
        try:
            return await asking
        finally:
            del self._probes[authority]
            probe.set_result(None)

    def _known(self, authority: str) -> bool:
        """Whether the host answered lately."""
        at = self._answered.get(authority)
        return at is not None and self._monotonic() - at < QUIET_SECONDS

    async def _once(self, request: _Request, target: Target) -> Answer | str:
        """One call: the body, or where it is redirected to."""
        authority = target.at.authority
        headers = {"Accept": ", ".join(request.accept), "Accept-Encoding": "identity"}
        if target.name != authority:
            headers["Host"] = target.name
        if request.content_type:
            headers["Content-Type"] = request.content_type
        if not self._literal_allowed(target.at.host):
            raise RefusedError("address_forbidden", "the host's address may not be called")
        try:
            async with self._open().request(
                request.method,
                URL(target.url, encoded=True),
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                self._answers(authority)
                return await _read(response, request)
        except TradeError as error:
            raise self._note(request.url, error) from None
        except aiohttp.ClientSSLError:
            told = UnavailableError("fetch_tls_failed", "the certificate does not hold")
            raise self._note(authority, told) from None
        except (aiohttp.ClientError, OSError) as error:
            told = UnavailableError("fetch_unreachable", type(error).__name__)
            raise self._note(authority, told) from None

    def _literal_allowed(self, host: str) -> bool:
        """An address that stands in the list itself is never resolved, so it is checked here."""
        bare = host.strip("[]")
        is_address = ":" in bare or bare.replace(".", "").isdigit()
        return not is_address or self.places.allows(bare)

    def _answers(self, authority: str) -> None:
        if len(self._answered) >= _REMEMBERED:
            self._answered.clear()
        self._answered[authority] = self._monotonic()

    def _note(self, place: str, error: TradeError) -> TradeError:
        """Remember the failure of a host or of one URL; the oldest goes when there are many."""
        self._answered.pop(place, None)
        self._failed.pop(place, None)
        while len(self._failed) >= _REMEMBERED:
            self._failed.pop(next(iter(self._failed)))
        self._failed[place] = (self._monotonic() + self._quiet, error)
        return error

    def _require_not_quiet(self, place: str) -> None:
        """Raises anew what failed there less than `quiet` seconds ago."""
        until, error = self._failed.get(place, (0.0, None))
        if error is None:
            return
        if self._monotonic() < until:
            raise type(error)(error.code, error.detail)
        del self._failed[place]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            checked = CheckedResolver(lambda address: self.places.allows(address), self._resolver)
            connector = aiohttp.TCPConnector(
                resolver=checked,
                use_dns_cache=False,
                ssl=True if self._tls is None else self._tls,
                limit=64,
                limit_per_host=_PER_HOST,
                force_close=True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("User-Agent",),
            )
            # A host that hangs up would be asked twice; aiohttp has no public switch for it.
            self._session._retry_connection = False  # noqa: SLF001 no option
        return self._session


async def _read(response: aiohttp.ClientResponse, request: _Request) -> Answer | str:
    """The capped answer, or the Location of a redirect."""
    if response.status in _REDIRECTS and request.method == "GET":
        return response.headers.get("Location", "")[:4096]
    if response.status != 200:
        raise UnavailableError("fetch_refused", f"it answered {response.status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnavailableError("fetch_wrong_type", "it is compressed, which was not asked for")
    if response.content_type not in request.accept:
        raise UnavailableError("fetch_wrong_type", "it has another media type")
    if (response.content_length or 0) > request.cap:
        raise TooLargeError("fetch_too_large", f"more than {request.cap} bytes")
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > request.cap:
            raise TooLargeError("fetch_too_large", f"more than {request.cap} bytes")
        parts.append(part)
    return Answer(response.content_type, b"".join(parts))
