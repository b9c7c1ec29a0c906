"""What a sealed log does about it: back to the last state that partners hold, or a new log (R15).

A store restored from an old copy has lost entries that were signed. Witnesses mirror this log: the
entries come back from any of them, and the signed checkpoint that enough witnesses confirm to be
the last one decides whether they are right. That is safe, so it happens by itself, as soon as
enough partners answer. Whatever else is wrong, or when no partner has the entries, needs a person:
`pratique log recover --new-log` closes the log and opens the next one, whose name is a new one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger import checkpoints, log, recovery
from ledger.tiles import TileFolder, index_path
from node.log import partners
from protocols.log import checkpoint, note
from protocols.log.entry_bundle import unbundle
from protocols.log.merkle import Frontier, leaf_hash
from schemas.errors import ConflictError, RefusedError, SettingsError, TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.publisher import LogIdentity
    from node.log.service import LogService
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.policy import Witness

RECOVERABLE = frozenset({"log_behind_partners", "log_rolled_back"})
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
DEADLINE = 3.0
BUNDLE = 256
MAX_ENTRIES = 1_000_000
"""Entries that are taken back at most; who has lost more restores a newer copy."""


@dataclass(frozen=True, slots=True)
class _Goal:
    """The last state that anybody holds, and its signed note."""

    head: Checkpoint
    note: str


class Recovering:
    """Belongs to a `LogService`."""

    def __init__(self, service: LogService) -> None:
        """Begins with `begin`."""
        self._service = service
        self._node = service.node
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.trouble: TradeError | None = None

    def begin(self, fault: TradeError) -> None:
        """Try by itself until it is done, when that is safe for this fault."""
        if fault.code in RECOVERABLE and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="log.recover")

    async def stop(self) -> None:
        """End the trying."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while self._service.fault is not None:
            try:
                await self.attempt()
            except TradeError as error:
                self.trouble = error
                self._node.telemetry.log.warning("log.not_recovered", code=error.code)
            if self._service.fault is None:
                return
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def attempt(self) -> recovery.Recovered:
        """Recover now. Raises ConflictError `log_not_sealed`, UnavailableError
        `log_not_confirmed` or `log_entries_unavailable`, SettingsError `log_forked`."""
        async with self._lock:
            fault = self._service.fault
            if fault is None:
                raise ConflictError("log_not_sealed", "the log works")
            if fault.code not in RECOVERABLE:
                raise fault
            goal = await self._last_state()
            found = await self._put_back(goal)
            self.trouble = None
            await self._service.reopen()
            return found

    def standing(self) -> dict[str, Any]:
        """For people: whether it goes on by itself, and what is lacking."""
        going = self._task is not None and not self._task.done()
        trouble = None if self.trouble is None else self.trouble.problem()
        return {"automatic": going, "trouble": trouble}

    # -- what the last state is ----------------------------------------------------------------

    async def _last_state(self) -> _Goal:
        """The largest checkpoint that a witness, or our own log folder, shows."""
        identity, policy = self._service.identity(), self._service.listed_policy()
        voters = policy.voters(identity.origin)
        answers = await asyncio.gather(*(self._ask(identity, witness) for witness in voters))
        given = [goal for answered, goal in answers if answered]
        if len(given) < policy.confirmations(identity.origin):
            raise UnavailableError("log_not_confirmed", "too few witnesses have answered")
        goals = [goal for goal in (*given, self._published(identity)) if goal is not None]
        if not goals:
            raise UnavailableError("log_entries_unavailable", "nobody knows the last state")
        best = max(goals, key=lambda goal: goal.head.size)
        if any(g.head.size == best.head.size and g.head.root != best.head.root for g in goals):
            raise SettingsError("log_forked", f"two roots for size {best.head.size} are known")
        return best

    async def _ask(self, identity: LogIdentity, witness: Witness) -> tuple[bool, _Goal | None]:
        try:
            head, text = await partners.ask_state(
                self._node, witness, identity.key, origin=identity.origin, deadline=DEADLINE
            )
        except TradeError:
            return False, None
        return True, None if head is None else _Goal(head, text)

    def _published(self, identity: LogIdentity) -> _Goal | None:
        text = TileFolder(self._node.home.log).published()
        if text is None:
            return None
        try:
            opened = checkpoint.open_checkpoint(text, identity.key, origin=identity.origin)
        except TradeError:
            return None
        return _Goal(opened.checkpoint, text)

    # -- bringing it back ----------------------------------------------------------------------

    async def _put_back(self, goal: _Goal) -> recovery.Recovered:
        first, prefix = await self._node.store.read(_signed_prefix)
        if goal.head.size - first > MAX_ENTRIES:
            raise UnavailableError("log_entries_unavailable", "too many entries are missing")
        entries = await self._entries(goal.head, first, prefix)
        now, text = self._node.clock.now_ms(), self._own_line(goal)

        def put(conn: Connection) -> recovery.Recovered:
            from node.store import events

            found = recovery.put_back(conn, first, entries, goal.head, text, now)
            detail = {"origin": goal.head.origin, "size": goal.head.size, "first": first}
            detail |= {"entries": found.entries, "moved": found.moved}
            events.record(conn, kind="log-recovered", at=now, actor=self._node.did, detail=detail)
            return found

        return await self._node.store.write(put)

    def _own_line(self, goal: _Goal) -> str:
        """The note with our own signature alone; cosignatures are collected again."""
        opened, key = note.parse(goal.note), self._service.identity().key
        lines = tuple(line for line in opened.signatures if line.names(key))
        return note.Note(opened.text, lines).to_text()

    async def _entries(self, head: Checkpoint, first: int, prefix: bytes) -> list[bytes]:
        """The entries from `first` on, of the first mirror whose entries give the signed root."""
        identity, policy = self._service.identity(), self._service.listed_policy()
        for witness in policy.voters(identity.origin):
            try:
                entries = await self._from_mirror(witness, head, first)
            except TradeError as error:
                self._node.telemetry.log.info(
                    "log.mirror_lacks", mirror=witness.key.name, code=error.code
                )
                continue
            if await asyncio.to_thread(_root, prefix, first, entries) == head.root:
                return entries
            self._node.telemetry.log.warning("log.mirror_wrong", mirror=witness.key.name)
        raise UnavailableError(
            "log_entries_unavailable",
            f"no witness gave the entries {first} to {head.size - 1}",
        )

    async def _from_mirror(self, witness: Witness, head: Checkpoint, first: int) -> list[bytes]:
        base = f"/mirror/1/{partners.origin_hash(head.origin)}/tile/entries/"
        found: list[bytes] = []
        for index in range(first // BUNDLE, -(-head.size // BUNDLE)):
            width = min(BUNDLE, head.size - index * BUNDLE)
            name = index_path(index) + ("" if width == BUNDLE else f".p/{width}")
            answer = await partners.ask(self._node, witness, "GET", base + name, deadline=DEADLINE)
            if answer.status != 200:
                raise UnavailableError("peer_unreachable", f"the mirror answered {answer.status}")
            entries = unbundle(answer.body)
            if len(entries) != width:
                raise RefusedError("mirror_request_malformed", "a bundle has another size")
            found += entries[max(0, first - index * BUNDLE) :]
        return found

    # -- a new log -----------------------------------------------------------------------------

    async def open_next(self) -> dict[str, Any]:
        """Close the sealed log for good and open `/log/<n+1>` under a new key.

        Raises ConflictError `log_not_sealed`. The new log has to be listed by the roots.
        """
        async with self._lock:
            fault, service = self._service.fault, self._service
            if fault is None:
                raise ConflictError("log_not_sealed", "the log works")
            old = service.identity()
            goal = await self._best_known()
            now, size = self._node.clock.now_ms(), goal.head.size if goal else 0
            text = goal.note if goal else None
            await service.halt()
            self._node.keys.create("log")
            await self._node.store.write(recovery.freeze, old.origin, size, fault.code, text, now)
            await asyncio.to_thread(self._set_aside, old.origin)
            await service.reopen()
            return {"frozen": old.origin, "opened": service.origin}

    async def _best_known(self) -> _Goal | None:
        try:
            return await self._last_state()
        except TradeError:
            return self._published(self._service.identity())

    def _set_aside(self, origin: str) -> None:
        """The old log's tiles go beside the new one's."""
        folder = self._node.home.log
        if folder.exists():
            folder.rename(folder.with_name(f"{folder.name}-{partners.origin_hash(origin)[:16]}"))


def _signed_prefix(conn: Connection) -> tuple[int, bytes]:
    """How much of this copy was signed by it, and the right edge of that tree."""
    newest = checkpoints.newest(conn)
    first = min(newest.size if newest else 0, log.size(conn))
    frontier = Frontier()
    for start, end in log.in_pieces(0, first):
        for hash_ in log.hashes(conn, start, end):
            frontier.append(hash_)
    return first, frontier.to_bytes()


def _root(prefix: bytes, first: int, entries: list[bytes]) -> bytes:
    frontier = Frontier(first, prefix)
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return frontier.root()
