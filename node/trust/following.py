"""Following the member list: what others show of theirs, fetching what is newer, forks (R4).

A higher version is fetched from the node that showed it and verified link by link. Another digest
for a version we hold is an alarm, kept with its evidence, and never an update.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.trust import rows
from protocols import member_list
from protocols.members import history
from schemas.errors import ConflictError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime
    from typing import Any

    from node.runtime import Node
    from protocols.member_list import MemberList

PATH = "/px/1/members"
MAX_ROUNDS = 100


class Follower:
    """Keeps the node's list the newest that the network signed."""

    def __init__(self, node: Node) -> None:
        """Uses the node's store, client and holder of the list in force."""
        self._node = node
        self._digests: dict[int, bytes] = {}
        self._issued: list[datetime] = []
        self._lock = asyncio.Lock()
        self._chasing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def load(self) -> None:
        """Open what the store holds, from the founding list on."""
        lists = await self._node.store.read(rows.signed_lists)
        chain = member_list.walk(lists, None, now=None)
        if chain:
            self._remember(chain)
            self._node.members.replace(chain[-1])

    def _remember(self, chain: list[MemberList]) -> None:
        """Index verified versions: which digest each has, and from when on it was in force."""
        self._digests |= {one.version: one.digest for one in chain}
        self._issued += [one.issued_at for one in chain]

    async def in_force(self, at: datetime) -> MemberList | None:
        """The list in force at `at`, as judged today; see `protocols.members.history`."""
        current = self._node.members.current
        version = max(history.position(self._issued, at), 1)
        if current is None or version >= current.version:
            return current
        (signed,) = await self._node.store.read(rows.signed_lists, version, 1)
        found = member_list.reopen(signed, self._digests[version])
        return history.as_known_by(found, current)

    async def stop(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until done or `stop`; its typed errors are logged."""
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TradeError as error:
            self._node.telemetry.log.info("trust.later", code=error.code, detail=error.detail)

    async def accept(
        self, lists: list[bytes], *, network: bytes | None = None, source: str = ""
    ) -> MemberList | None:
        """Verify and keep what `lists` adds to ours, then put the newest in force.

        source: the DID that showed them, for an alarm. Raises as `member_list.walk`.
        """
        async with self._lock:
            held = self._node.members.current
            try:
                now = self._node.clock.now()
                chain = member_list.walk(lists, held, now=now, network=network)
            except ConflictError as error:
                await self._alarm_by_error(error, lists, source)
                raise
            if chain:
                now_ms = self._node.clock.now_ms()
                await self._node.store.write(rows.put_lists, chain, now_ms)
                self._remember(chain)
                self._node.members.replace(chain[-1])
            return self._node.members.current

    async def _alarm_by_error(self, error: ConflictError, lists: list[bytes], source: str) -> None:
        version, other = error.context.get("version"), error.context.get("other")
        if error.code != "member_list_fork" or not isinstance(version, int):
            return
        signed = next((one for one in lists if member_list.peek_version(one) == version), None)
        await self._alarm(version, bytes.fromhex(str(other)), source, signed)

    async def _alarm(self, version: int, digest: bytes, did: str, signed: bytes | None) -> None:
        now_ms = self._node.clock.now_ms()
        fresh = await self._node.store.write(
            rows.put_fork, version=version, digest=digest, did=did, signed=signed, now_ms=now_ms
        )
        if fresh:
            self._node.telemetry.log.error("trust.fork", version=version, peer=did)

    def seen(self, did: str, version: int, digest: bytes) -> None:
        """A node showed which list it holds.

        Newer: it is fetched. A version of ours with another digest: ConflictError
        `member_list_fork` after an alarm (R4).
        """
        current = self._node.members.current
        if current is None:
            return
        if version > current.version:
            self.in_background(self.chase(did))
            return
        ours = self._digests.get(version)
        if ours is not None and ours != digest:
            self.in_background(self._alarm(version, digest, did, None))
            raise ConflictError(
                "member_list_fork",
                f"version {version} is another one here",
                version=version,
                held=ours.hex(),
                other=digest.hex(),
            )

    async def chase(self, did: str) -> None:
        """Fetch what `did` has above our version; one chase per node at a time."""
        if did in self._chasing:
            return
        self._chasing.add(did)
        try:
            for _ in range(MAX_ROUNDS):
                if not await self._step(did):
                    return
        finally:
            self._chasing.discard(did)

    async def _step(self, did: str) -> bool:
        """One page from `did`; whether it brought something new."""
        current = self._node.members.current
        entry = current.node(did) if current else None
        if current is None or entry is None:
            return False
        lists = await self.fetch(entry.endpoint, current.version + 1)
        newest = await self.accept(lists, source=did) if lists else current
        return newest is not None and newest.version > current.version

    async def fetch(self, endpoint: str, start: int) -> list[bytes]:
        """The signed lists from version `start` that a node of this address serves."""
        address = f"{endpoint.rstrip('/')}{PATH}?from={start}"
        answer = await self._node.client.open_call("GET", address)
        if answer.status != 200:
            raise UnavailableError("member_list_unavailable", f"answered {answer.status}")
        return member_list.read_export(answer.body)

    async def ask_next(self) -> None:
        """Ask one other node, each in turn, for something newer."""
        current = self._node.members.current
        others = (
            [node.did for node in current.nodes if node.did != self._node.did] if current else []
        )
        if others:
            self._turn += 1
            await self.chase(others[self._turn % len(others)])

    async def tell_everybody(self) -> None:
        """Show our version to all other nodes; whoever does not answer learns it later."""
        current = self._node.members.current
        if current is None:
            return
        others = [node.did for node in current.nodes if node.did != self._node.did]
        calls = (self._tell(did) for did in others)
        await asyncio.gather(*calls)

    async def _tell(self, did: str) -> None:
        try:
            await self._node.client.call(did, "POST", f"{PATH}/notice", deadline=5.0)
        except TradeError as error:
            self._node.telemetry.log.info("trust.notice_failed", peer=did, code=error.code)
