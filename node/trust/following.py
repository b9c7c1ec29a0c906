"""Following the member list: what others show of theirs, fetching what is newer, forks (R4).

A higher version is fetched from the node that showed it and verified link by link. Another digest
for a version we hold is an alarm, kept with its evidence, and never an update.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger.tiles import write_durably
from node.trust import rows
from protocols import member_list
from protocols.members import history, proposal
from schemas.errors import ConflictError, RefusedError, TradeError, UnavailableError

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

    async def take_in(self, lists: list[bytes], network: bytes | None) -> list[MemberList]:
        """Take in a chain from a file; the versions that are new, which may be none.

        network: the id that a node in no network yet pins. Raises as `accept`, and RefusedError
        `network_id_needed`, `member_list_rollback`.
        """
        held = self._node.members.current
        if held is None and network is None:
            raise RefusedError("network_id_needed", "this home holds no list to link to")
        if held is not None and network not in (None, held.network):
            raise RefusedError("member_list_other_network", "this home is in another network")
        if held is not None and lists and member_list.peek_version(lists[-1]) < held.version:
            await self.accept(lists)  # a fork among the older ones is told all the same
            raise RefusedError(
                "member_list_rollback", f"the file ends before version {held.version}, held here"
            )
        newest = await self.accept(lists, network=network)
        start = 1 if held is None else held.version + 1
        if newest is None or newest.version < start:
            return []
        stored = await self._node.store.read(rows.signed_lists, start)
        return [member_list.reopen(one, self._digests[n]) for n, one in enumerate(stored, start)]

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
                self._require_as_held(lists)
            except ConflictError as error:
                await self._alarm_by_error(error, lists, source)
                raise
            if chain:
                now_ms = self._node.clock.now_ms()
                await self._node.store.write(rows.put_lists, chain, now_ms)
                self._remember(chain)
                self._node.members.replace(chain[-1])
            return self._node.members.current

    def _require_as_held(self, lists: list[bytes]) -> None:
        """R4 for versions before the newest, too: raises ConflictError `member_list_fork`."""
        for signed in lists:
            version, digest = member_list.peek_version(signed), member_list.peek_digest(signed)
            held = self._digests.get(version, digest)
            if digest != held:
                raise ConflictError(
                    "member_list_fork",
                    f"version {version} exists with two digests",
                    version=version,
                    held=held.hex(),
                    other=digest.hex(),
                )

    async def _alarm_by_error(self, error: ConflictError, lists: list[bytes], source: str) -> None:
        version, other = error.context.get("version"), error.context.get("other")
        if error.code != "member_list_fork" or not isinstance(version, int):
            return
        signed = next((one for one in lists if member_list.peek_version(one) == version), None)
        await self._alarm(version, bytes.fromhex(str(other)), source, signed)

    async def _alarm(self, version: int, digest: bytes, did: str, signed: bytes | None) -> None:
        """Keep the other list, or the mere claim of one, with its evidence file, and tell it."""
        if signed is None:
            signed = await self._shown(did, version, digest)
        evidence = None if signed is None else await self._evidence(version, digest, signed)
        fresh = await self._node.store.write(
            rows.put_fork,
            version=version,
            digest=digest,
            did=did,
            signed=signed,
            detail=evidence or {"proven": False},
            now_ms=self._node.clock.now_ms(),
        )
        if fresh:
            self._node.telemetry.log.error("trust.fork", version=version, peer=did)

    async def _shown(self, did: str, version: int, digest: bytes) -> bytes | None:
        """The other list itself, asked of whoever claimed to hold it; None when it is not shown."""
        current = self._node.members.current
        entry = current.node(did) if current else None
        if entry is None:
            return None
        try:
            lists = await self.fetch(entry.endpoint, version)
            read = [proposal.read(one) for one in lists[:1]]
        except TradeError:
            return None
        return lists[0] if [one.digest for one in read] == [digest] else None

    async def _evidence(self, version: int, digest: bytes, other: bytes) -> dict[str, object]:
        """Both lists in one file; `proven` when the roots of the version before signed both."""
        held = await self._node.store.read(rows.signed_lists, max(version - 1, 1), 2)
        before = member_list.reopen(held[0], self._digests[max(version - 1, 1)])
        counted = proposal.standing(proposal.read(other), before)
        name = f"member-list-{version}-{digest.hex()[:16]}.json"
        file = self._node.home.evidence / name
        both = member_list.write_export([held[-1], other])
        await asyncio.to_thread(write_durably, [(file, both)])
        return {"evidence": name, "proven": counted.signatures >= counted.threshold}

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
