"""The trust service: holds the member list in force, follows it, and serves the roots' work.

Routes: /px/1/members (open), /px/1/join (open), /px/1/proposals (nodes), /v1/trust (operator).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.trust import founding, rows
from node.trust.following import Follower
from node.trust.handlers import TrustHandlers
from node.trust.joining import POLL_SECONDS, Joining
from node.trust.signing import Signing
from protocols import member_list
from protocols.joining import Right
from protocols.member_list import Freshness
from schemas.errors import TradeError

if TYPE_CHECKING:
    from datetime import datetime

    from node.http.routes import Route
    from node.runtime import Node
    from protocols.joining import JoinRequest
    from protocols.member_list import MemberList, PartyEntry

MAX_PAUSE = 30.0


class TrustService:
    """What the node knows of its network, and how it changes."""

    name = "trust"

    def __init__(self, node: Node) -> None:
        """Fills `node.members` when it starts."""
        self._node = node
        self.follower = Follower(node)
        self.joining = Joining(node, self.follower)
        self.signing = Signing(node, self.follower, self.joining)
        self._handlers = TrustHandlers(node, self)

    def routes(self) -> Sequence[Route]:
        """See the module."""
        return self._handlers.routes()

    async def start(self) -> None:
        """Open the stored lists, or take in a founding list left in the home."""
        await self.follower.load()
        if self._node.members.current is None:
            await self._take_founding()
        self.follower.in_background(self._follow())
        self.follower.in_background(self._wait_for_admission())

    async def _take_founding(self) -> None:
        file = founding.founding_file(self._node.home)
        if file.is_file():
            await self.follower.accept(member_list.read_export(file.read_bytes()))

    async def stop(self) -> None:
        """End following and waiting."""
        await self.follower.stop()

    def ready(self) -> str | None:
        """Not without a network, nor with a list that expired more than a week ago (R6)."""
        current = self._node.members.current
        if current is None:
            return "this node is in no network yet: pratique join, or init --found"
        if current.freshness(self._node.clock.now()) is Freshness.STALE:
            return "the member list expired more than seven days ago"
        return None

    async def _follow(self) -> None:
        interval = self._node.settings.members.check_interval
        while True:
            await self._node.clock.sleep(interval)
            try:
                await self.follower.ask_next()
            except TradeError as error:
                self._node.telemetry.log.info("trust.follow", code=error.code)

    async def _wait_for_admission(self) -> None:
        """While a request of ours waits, look for the answer, slower with time."""
        pause = POLL_SECONDS
        while True:
            try:
                if not await self.joining.poll():
                    pause = min(pause * 1.2, MAX_PAUSE)
            except TradeError as error:
                self._node.telemetry.log.info("trust.waiting", code=error.code)
            await asyncio.sleep(pause)
            if self._node.members.current is not None:
                return

    async def accept(self, lists: list[bytes]) -> MemberList | None:
        """Take signed lists in, each verified by the one before; raises as `member_list.walk`."""
        return await self.follower.accept(lists)

    async def members_at(self, at: datetime) -> MemberList | None:
        """The list that was in force at `at`, as judged today (R17, R25)."""
        return await self.follower.in_force(at)

    def seen_members(self, did: str, version: int, digest: bytes) -> None:
        """A node showed which list it holds (R4); raises ConflictError `member_list_fork`."""
        self.follower.seen(did, version, digest)

    async def join(self, url: str, network: bytes, wants: Sequence[Right] = ()) -> JoinRequest:
        """Ask to be admitted to the network at `url`; see `Joining.begin`."""
        return await self.joining.begin(url, network, wants)

    async def ask(
        self, *, wants: Sequence[Right] = (), parties: Sequence[PartyEntry] = ()
    ) -> bytes:
        """As a member, ask the roots for parties or rights; the request's id."""
        return await self.joining.ask(wants=wants, parties=parties)

    async def export(self) -> bytes:
        """All versions in one file, as `verify --trust` takes it."""
        return member_list.write_export(await self._node.store.read(rows.signed_lists))
