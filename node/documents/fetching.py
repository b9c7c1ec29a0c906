"""Status lists of others, fetched at the address the member list names and nowhere else (R7).

The URL in a credential is a name: it gives keeper and list; the keeper's endpoint comes from the
member list. The whole list is fetched, and nothing tells which entry somebody looks at. One fetch
per list is under way at a time; a host that does not answer is left alone, each time for longer;
what is held is returned with its age, and never called fresh when it is not. A list is held under
its name *and* its signer, so nobody can put another list in its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from node.documents import revoking, status
from node.documents.alarms import ListAlarms
from node.documents.tokens import TokenLists
from node.guarded.client import MAX_STATUS_BYTES
from protocols import times
from protocols.credentials import status_list
from protocols.credentials.credential import MEDIA_TYPE
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.documents.status import Publisher
    from node.runtime import Node
    from protocols.credentials.status_list import StatusList
    from protocols.member_list import MemberList

PATH = "/status/"
#: A host that failed is left alone for 5 s, and after each further failure for twice as long.
QUIET_MS, MAX_QUIET_MS = 5_000, 60_000
_REMEMBERED = 10_000
_LOOKS = 3
_FUTURE = timedelta(seconds=1)

Name = tuple[str, str]  # of a list: who keeps it, and its URL


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """The list we hold now, when we got it (ms UTC), and why it could not be had fresh."""

    held: StatusList | None
    fetched_at: int | None = None
    fault: TradeError | None = None

    def fresh_at(self, now: datetime, max_age: timedelta = status_list.MAX_AGE) -> bool:
        """Whether the list may be relied on at `now`."""
        return self.held is not None and self.held.fresh_at(now, max_age)


class StatusFetcher:
    """Gives the status lists that documents depend on."""

    def __init__(self, node: Node, publisher: Callable[[], Publisher]) -> None:
        """publisher: who signs our own lists."""
        self._node = node
        self._publisher = publisher
        self.alarms = ListAlarms(node)
        self.tokens = TokenLists(node, self.alarms)
        self._under_way: dict[Name, asyncio.Task[TradeError | None]] = {}
        self._ended = 0  # fetches that are over
        self._quiet: dict[Name, tuple[int, int]] = {}  # failures in a row, until when

    @property
    def max_age(self) -> timedelta:
        """For how long a list is relied on at most, whatever its issuer states."""
        return timedelta(seconds=self._node.settings.status.max_age)

    async def status_for(self, issuer: str, url: str, *, refresh: bool = False) -> StatusAnswer:
        """The list named `url` about documents of `issuer`: ours, held and fresh, or fetched.

        refresh: ask the issuer even when what is held is fresh. Never raises for what the other
        side does: the fault is in the answer.
        """
        if issuer == self._node.did:
            return await self._own(url)
        try:
            keeper = self._keeper(issuer, url)
        except TradeError as error:
            return StatusAnswer(None, None, error)
        held = await self._newest(keeper, url)
        now = self._node.clock.now()
        if held is not None and held[0].fresh_at(now, self.max_age) and not refresh:
            return StatusAnswer(*held)
        fault = await self._fetch_once((keeper, url))
        held = await self._node.store.read(status.newest, url, keeper)
        return StatusAnswer(held[0], held[1], fault) if held else StatusAnswer(None, None, fault)

    async def status_at(self, issuer: str, url: str, at: datetime) -> StatusAnswer:
        """The version in force at `at`: asked of the issuer by `?timestamp=`, else what is held.

        What is held may be fresh by its ttl and yet not the last of that time. What the issuer
        answers is verified and kept as history. Never raises, as `status_for`.
        """
        try:
            keeper = self._node.did if issuer == self._node.did else self._keeper(issuer, url)
        except TradeError as error:
            return StatusAnswer(None, None, error)
        fault: TradeError | None = None
        try:
            if keeper != self._node.did:
                await self._fetch_version((keeper, url), at)
        except TradeError as error:
            fault = error
        held = await self._node.store.read(status.held_at, url, keeper, times.to_ms(at))
        return StatusAnswer(held, None, fault)

    def _members(self) -> MemberList:
        members = self._node.members.current
        if members is None:
            raise UnavailableError("no_member_list", "this node holds no member list yet")
        return members

    def _keeper(self, issuer: str, url: str) -> str:
        return status_list.keeper_of(url, self._members(), issuer, self._node.clock.now())

    async def _own(self, url: str) -> StatusAnswer:
        now_ms = self._node.clock.now_ms()
        try:
            list_id = status_list.list_id_of(url, self._node.did)
            text = await self._node.store.write(status.current, self._publisher(), list_id, now_ms)
        except TradeError as error:
            return StatusAnswer(None, None, error)
        return StatusAnswer(status.parsed(text), now_ms)

    async def _fetch_once(self, name: Name) -> TradeError | None:
        task = self._under_way.get(name)
        if task is None:
            if self._node.clock.now_ms() < self._quiet.get(name, (0, 0))[1]:
                return UnavailableError("status_unreachable", "the issuer did not answer just now")
            task = asyncio.get_running_loop().create_task(self._fetch(name))
            self._under_way[name] = task
            task.add_done_callback(lambda _: self._over(name))
        return await asyncio.shield(task)

    def _over(self, name: Name) -> None:
        self._under_way.pop(name, None)
        self._ended += 1

    async def _newest(self, keeper: str, url: str) -> tuple[StatusList, int] | None:
        """What is held; looked up again when a fetch ended meanwhile, for this may be older."""
        held = None
        for _ in range(_LOOKS):
            ended = self._ended
            held = await self._node.store.read(status.newest, url, keeper)
            if ended == self._ended:
                break
        return held

    async def _fetch(self, name: Name) -> TradeError | None:
        keeper, url = name
        try:
            held = await self._node.store.read(status.newest, url, keeper)
            floor = times.to_ms(held[0].valid_from) if held else 0
            opened = self._opened(await self._get(name), name, self._node.clock.now())
            await self._node.store.write(revoking.take, self._node, opened, floor=floor)
        except TradeError as error:
            await self.alarms.tell(keeper, url, error)
            self._leave_alone(name)
            return error
        self._quiet.pop(name, None)
        self.alarms.in_order(keeper, url)
        return None

    async def _fetch_version(self, name: Name, at: datetime) -> None:
        """Ask for the list as it was at `at`; kept only if it was signed by then."""
        text = await self._get(name, at)
        signed_at = status_list.parse_list(text)[1].valid_from
        # One second later: a key and a list may begin in the same moment.
        opened = self._opened(text, name, min(signed_at + _FUTURE, self._node.clock.now()))
        if opened.valid_from > at:
            raise RefusedError("status_not_then", "a list of a later moment was answered")
        try:
            await self._node.store.write(revoking.take, self._node, opened)
        except TradeError as error:
            await self.alarms.tell(*name, error)
            raise

    def _opened(self, text: str, name: Name, now: datetime) -> StatusList:
        opened = status_list.open_list(text, members=self._members(), now=now, issuer=name[0])
        if (opened.issuer, opened.url) != name:
            raise RefusedError("status_other_list", "another list was answered")
        return opened

    def _leave_alone(self, name: Name) -> None:
        if len(self._quiet) > _REMEMBERED:
            self._quiet.clear()
        failures = self._quiet.get(name, (0, 0))[0]
        wait = min(MAX_QUIET_MS, QUIET_MS << min(failures, 10))
        self._quiet[name] = (failures + 1, self._node.clock.now_ms() + wait)

    async def _get(self, name: Name, at: datetime | None = None) -> str:
        keeper, url = name
        entry = self._members().node(keeper)
        if entry is None:
            raise RefusedError("status_foreign_list", "the issuer is not on the member list")
        path = PATH + status_list.list_id_of(url, keeper)
        if at is not None:
            path += f"?timestamp={quote(times.to_text(at), safe='')}"
        try:
            body = await self._node.guarded.get(
                f"{entry.endpoint}{path}", cap=MAX_STATUS_BYTES, accept=(MEDIA_TYPE,)
            )
        except UnavailableError as error:
            told = f"{error.code}: {error.detail}"
            raise UnavailableError("status_unreachable", told) from None
        try:
            return body.decode("ascii").strip()
        except UnicodeDecodeError:
            raise RefusedError("status_malformed", "the answer is not a list") from None
