"""Status lists of others, fetched at the address the member list names and nowhere else (R7).

The URL in a credential is a name: it gives issuer and list; the issuer's endpoint comes from the
member list. One fetch per list is under way at a time; a host that does not answer is left alone
for a while; what is held is returned with its age, and never called fresh when it is not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.documents import revoking, status
from protocols import status_list
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from node.documents.status import Publisher
    from node.runtime import Node
    from protocols.status_list import StatusList

PATH = "/status/"
QUIET_MS = 5_000


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """The list we hold now, when we got it (ms UTC), and why it could not be had fresh."""

    held: StatusList | None
    fetched_at: int | None = None
    fault: TradeError | None = None

    def fresh_at(self, now: datetime) -> bool:
        """Whether the list may be relied on at `now`."""
        return self.held is not None and self.held.fresh_at(now)


class StatusFetcher:
    """Gives the status list a document depends on."""

    def __init__(self, node: Node, publisher: Callable[[], Publisher]) -> None:
        """publisher: who signs our own lists."""
        self._node = node
        self._publisher = publisher
        self._under_way: dict[str, asyncio.Task[TradeError | None]] = {}
        self._quiet_until: dict[str, int] = {}

    async def status_for(self, issuer: str, url: str, *, refresh: bool = False) -> StatusAnswer:
        """The list named `url` of `issuer`: ours, held and fresh, or fetched.

        refresh: ask the issuer even when what is held is fresh. Never raises for what the other
        side does: the fault is in the answer.
        """
        if issuer == self._node.did:
            return await self._own(url)
        held = await self._node.store.read(revoking.held_list, url)
        if held is not None and held[0].fresh_at(self._node.clock.now()) and not refresh:
            return StatusAnswer(*held)
        fault = await self._fetch_once(issuer, url)
        held = await self._node.store.read(revoking.held_list, url)
        return StatusAnswer(held[0], held[1], fault) if held else StatusAnswer(None, None, fault)

    async def _own(self, url: str) -> StatusAnswer:
        now_ms = self._node.clock.now_ms()
        try:
            list_id = status_list.list_id_of(url, self._node.did)
            text = await self._node.store.write(status.current, self._publisher(), list_id, now_ms)
        except TradeError as error:
            return StatusAnswer(None, None, error)
        return StatusAnswer(status_list.parse_list(text)[1], now_ms)

    async def _fetch_once(self, issuer: str, url: str) -> TradeError | None:
        task = self._under_way.get(url)
        if task is None:
            if self._node.clock.now_ms() < self._quiet_until.get(url, 0):
                return UnavailableError("status_unreachable", "the issuer did not answer just now")
            task = asyncio.get_running_loop().create_task(self._fetch(issuer, url))
            self._under_way[url] = task
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        return await asyncio.shield(task)

    async def _fetch(self, issuer: str, url: str) -> TradeError | None:
        try:
            text = await self._get(issuer, url)
            members = self._node.members.current
            assert members is not None
            now = self._node.clock.now()
            opened = status_list.open_list(text, members=members, now=now, issuer=issuer)
            if opened.url != url:
                raise RefusedError("status_other_list", "another list was answered")
            await self._node.store.write(revoking.take, self._node, opened)
        except TradeError as error:
            if len(self._quiet_until) > 10_000:
                self._quiet_until.clear()
            self._quiet_until[url] = self._node.clock.now_ms() + QUIET_MS
            return error
        self._quiet_until.pop(url, None)
        return None

    async def _get(self, issuer: str, url: str) -> str:
        members = self._node.members.current
        entry = members.node(issuer) if members else None
        if entry is None:
            raise RefusedError("status_foreign_list", "the issuer is not on the member list")
        list_id = status_list.list_id_of(url, issuer)
        answer = await self._node.client.open_call("GET", f"{entry.endpoint}{PATH}{list_id}")
        if answer.status != 200:
            raise UnavailableError("status_unreachable", f"answered {answer.status}")
        try:
            return answer.body.decode("ascii").strip()
        except UnicodeDecodeError:
            raise RefusedError("status_malformed", "the answer is not a list") from None
