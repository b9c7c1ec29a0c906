"""The sequencer of a title registry as it runs in a node: gather, execute, sign, make final.

One batch at a time. An operation is answered as accepted when its batch is durable, and as final
when a quorum of witnesses has cosigned the checkpoint over it (R21). Until then there is no next
batch: without a quorum the registry halts and says so. After a start nothing is sequenced until
enough witnesses to intersect every quorum have confirmed the last state (R15); what they hold
beyond it is recovered from them, and two histories seal the registry for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger import checkpoints, log, registry_freezes, registry_store, registry_witness
from ledger.publisher import LogIdentity, LogPublisher
from ledger.registry import Outcome, Sequencer
from ledger.tiles import TileFolder
from node.title import inheriting, partners, restating
from node.title.gathering import RegistryGatherer
from node.title.tasks import end
from protocols.log import policy as log_policy
from protocols.log.proof import LogProof
from protocols.times import from_ms
from protocols.title import registry_freeze
from protocols.title.json_forms import map_key
from protocols.title.proof import TitleProof
from protocols.title.registry import MAX_OPERATIONS, Registry, beginning, execute
from protocols.title.registry_freeze import Lineage, SignedFreeze
from schemas.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    RefusedError,
    SettingsError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from ledger.checkpoints import StoredCheckpoint
    from ledger.registry import Sequenced
    from node.runtime import Node
    from protocols.log.policy import Witness
    from protocols.member_list import MemberList
    from protocols.title.registry import Arbiter

QUEUE = 5_000
CONFIRM_PAUSE = 0.3
AWAIT_SECONDS = 4.0
"""For so long an operation waits for the batch before it to become final."""
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FinalTitle:
    """A title's final state with its proof, and the signed operations that led to it."""

    proof: TitleProof
    history: tuple[str, ...]
    freezes: tuple[SignedFreeze, ...] = ()


@dataclass(slots=True)
class _Waiting:
    """An operation in the queue."""

    text: str
    answer: asyncio.Future[Outcome]


@dataclass(slots=True)
class Sequencing:
    """Runs one registry. `finalised` is called with the titles that became final."""

    node: Node
    lineage: Lineage
    finalised: Callable[[Sequence[bytes]], None]
    members_of: Callable[[bytes], MemberList | None]
    confirmed: bool = False
    fault: TradeError | None = None
    _queue: asyncio.Queue[_Waiting] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _signed: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _open: list[tuple[int, Registry]] = field(default_factory=list)
    _recovering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _registry: Registry = field(init=False)
    _final: Registry = field(init=False)
    _final_note: tuple[int, str] = (0, "")
    _open_since: float = 0.0
    _stopped: bool = False
    _publisher: LogPublisher = field(init=False)
    _gatherer: RegistryGatherer = field(init=False)
    _sequencer: Sequencer = field(init=False)

    @property
    def arbiter(self) -> Arbiter:
        """The arbiter whose turn it is here."""
        return self.lineage.arbiters[-1]

    @property
    def registry(self) -> Registry:
        """The registry after the last batch, final or not."""
        return self._registry

    def has_begun(self) -> bool:
        """Whether it has sequenced or taken over anything."""
        return self.fault is None and self._registry.number > 0

    @property
    def log(self) -> str:
        """The name of its log inside this node; `registry` for the first that a node keeps."""
        return self.arbiter.origin.split("/", 1)[1].removesuffix("/1").replace("/", "-")

    async def start(self) -> None:
        """Rebuild what is stored, compare it with what was signed, begin."""
        try:
            await self._load()
        except (SettingsError, ConflictError) as error:
            self._seal(error)
            return
        self._tasks = [
            asyncio.create_task(self._run(), name="registry.sequence"),
            asyncio.create_task(self._gather(), name="registry.gather"),
        ]

    async def stop(self) -> None:
        """End the loops; who waits for an answer learns nothing."""
        await end(self._tasks)
        while not self._queue.empty():
            self._queue.get_nowait().answer.cancel()

    async def _load(self) -> None:
        signer = self.node.keys.signer("registry")
        identity = LogIdentity(self.arbiter.key, signer.sign, self.log)
        folder = TileFolder(self.node.home.path / self.log)
        self._publisher = publisher = LogPublisher(identity, folder)
        self._sequencer = Sequencer(self.log, self.node.keys.signer("exchange"))
        network = partners.members_of(self.node).network
        self._registry = self._final = beginning(network, self.lineage)
        while found := await self.node.store.read(publisher.pending_hashes):
            publisher.extend(found)
        await self.node.store.read(publisher.verify)
        await self.node.store.write(publisher.take_over)
        await self.node.store.read(self._rebuild)
        self._stopped = await self.node.store.read(registry_freezes.is_stopped, self.log)
        self._gatherer = RegistryGatherer(
            self.node, publisher, self.arbiter.policy, self._cosigned, carried=self.lineage.carried
        )

    def _rebuild(self, conn: Connection) -> None:
        empty = beginning(self._registry.network, self.lineage)
        newest = registry_store.newest_batch(conn, self.log)
        self._registry = registry_store.load(conn, self.log, empty, newest)
        witnessed = checkpoints.newest(conn, log=self.log, witnessed=True)
        if witnessed is not None:
            batch = registry_store.newest_batch(conn, self.log, up_to_size=witnessed.size)
            self._final = registry_store.load(conn, self.log, empty, batch)
            self._final_note = self._note(conn, witnessed)
        if newest is not None and newest.number > self._final.number:
            self._opened(self._registry)

    def _opened(self, registry: Registry) -> None:
        """There is a batch that is not final: the only one."""
        self._open, self._open_since = [(registry.size, registry)], time.monotonic()

    def _note(self, conn: Connection, stored: StoredCheckpoint) -> tuple[int, str]:
        return stored.size, checkpoints.cosigned_note(conn, stored, log=self.log)

    def _seal(self, error: TradeError) -> None:
        """Sequence nothing more, and say so (R21)."""
        self.fault = error
        self.node.telemetry.log.error("registry.sealed", code=error.code, detail=error.detail)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self.fault is None:
            try:
                if not self.confirmed:
                    self.confirmed = await self._confirm()
                if not self.confirmed:
                    await asyncio.sleep(CONFIRM_PAUSE)
                    continue
                await self._inherit()
                await self._publish()
                await (self._settle() if self._open else self._batch())
            except (SettingsError, ConflictError, RefusedError) as error:
                self._seal(error)
            except (TradeError, OSError) as error:
                self.node.telemetry.log.warning("registry.turn_failed", error=str(error))
                await asyncio.sleep(CONFIRM_PAUSE)

    async def _inherit(self) -> None:
        """As a successor, begin with the log that was frozen, and the document (R21)."""
        carried = self.lineage.carried
        if not self.lineage.documents or self._publisher.tree.size > carried:
            return
        entries = await inheriting.entries_for(self)
        while (size := self._publisher.tree.size) <= carried:
            taken = await self.node.store.write(inheriting.take_over, self, entries[size:])
            self._publisher.extend(taken.hashes)
            self._registry = taken.registry
            await self._publish()
        self._opened(self._registry)
        self.node.telemetry.log.warning("registry.taken_over", entries=carried)

    async def _settle(self) -> None:
        """Wait for the quorum; restate what none saw in its time."""
        if await self.wait_final(self._open[-1][1].number, SETTLE_SECONDS):
            return
        if await restating.is_needed(self, self._registry):
            done = await self.node.store.write(
                self._sequencer.restate,
                self._registry,
                partners.members_of(self.node),
                self.node.clock.now_ms(),
            )
            self.node.telemetry.log.warning("registry.restated", batch=self._registry.number)
            self._took(done)

    def _took(self, done: Sequenced) -> None:
        if done.registry is not None:
            self._registry = done.registry
            self._publisher.extend([leaf.hash for leaf in done.leaves])
            self._opened(done.registry)

    async def _batch(self) -> None:
        waiting = [await self._queue.get()]
        await asyncio.sleep(self.node.settings.title.batch_interval)
        while len(waiting) < MAX_OPERATIONS and not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        try:
            outcomes = await self._sequence([item.text for item in waiting])
        except TradeError as error:
            outcomes = (Outcome(error=error),) * len(waiting)
        for item, outcome in zip(waiting, outcomes, strict=True):
            if not item.answer.done():
                item.answer.set_result(outcome)

    async def _sequence(self, texts: Sequence[str]) -> Sequence[Outcome]:
        self._require_turn()
        members = partners.members_of(self.node)
        done: Sequenced = await self.node.store.write(
            self._sequencer.sequence, self._registry, texts, members, self.node.clock.now_ms()
        )
        self._took(done)
        return done.outcomes

    async def _publish(self) -> None:
        """The steps of R14 for whatever was executed and is not yet signed."""
        publisher = self._publisher
        newest = await self.node.store.read(publisher.newest_signed)
        head = publisher.head()
        if head.size == (newest.size if newest else 0):
            return
        await asyncio.to_thread(publisher.write_tiles, head.size)
        await self.node.store.write(publisher.intend, head, self.node.clock.now_ms())
        text = publisher.sign(head)
        await self.node.store.write(publisher.record, head, text)
        await asyncio.to_thread(publisher.publish, text)
        self._signed.set()

    async def _gather(self) -> None:
        if self.arbiter.policy.quorum == log_policy.NONE:
            return
        while True:
            try:
                await self._gatherer.run(self._signed)
            except UnavailableError as error:
                self.node.telemetry.log.warning("registry.gather_failed", error=str(error))
                await asyncio.sleep(CONFIRM_PAUSE)

    def _cosigned(self) -> None:
        """A quorum is complete: take the newest witnessed batch as final."""
        task = asyncio.create_task(self._finalise(), name="registry.finalise")
        self._tasks = [*(item for item in self._tasks if not item.done()), task]

    async def _finalise(self) -> None:
        witnessed = await self.node.store.read(self._witnessed)
        if witnessed is None or witnessed[0] <= self._final_note[0]:
            return
        size, before = witnessed[0], self._final.number
        covered = [item for item in self._open if item[0] <= size]
        if covered:
            self._final = covered[-1][1]
        self._open = [item for item in self._open if item[0] > size]
        self._final_note = witnessed
        titles = await self.node.store.read(
            registry_store.titles_between, self.log, before + 1, self._final.number
        )
        self._tell()
        self.finalised(titles)

    def _witnessed(self, conn: Connection) -> tuple[int, str] | None:
        stored = checkpoints.newest(conn, log=self.log, witnessed=True)
        return None if stored is None else self._note(conn, stored)

    # -- R15 -----------------------------------------------------------------------------------

    async def _confirm(self) -> bool:
        policy, origin = self.arbiter.policy, self.arbiter.origin
        needed = policy.confirmations(origin)
        answers = await asyncio.gather(
            *(self._confirmed_by(witness) for witness in policy.voters(origin))
        )
        return sum(answers) >= needed

    async def _confirmed_by(self, witness: Witness) -> bool:
        """Whether the witness answered, and holds nothing that is not here any more."""
        tree = self._publisher.tree
        try:
            head, text = await partners.ask_state(self.node, witness, self.arbiter)
            async with self._recovering:
                if head is not None and head.size > tree.size:
                    await self._recover(witness, text)
        except (UnavailableError, RefusedError, MalformedError) as error:
            self.node.telemetry.log.debug("registry.unconfirmed", by=witness.name, code=error.code)
            return False
        if head is not None and tree.root(head.size) != head.root:
            raise SettingsError("registry_forked", f"{witness.key.name} holds another history")
        return True

    async def _recover(self, witness: Witness, text: str) -> None:
        """Take back, from its mirror, what a restore from an old copy has lost."""
        head, start = partners.head_of(text), self._publisher.tree.size
        entries = await partners.fetch_all(self.node, witness, self.arbiter, start, head.size)
        await self.node.store.write(self._take_back, entries)
        while fresh := await self.node.store.read(self._publisher.pending_hashes):
            self._publisher.extend(fresh)
        registry_witness.require_inherited(self._publisher.tree, self.lineage)
        await self.node.store.read(self._rebuild)
        self.node.telemetry.log.warning("registry.recovered", entries=len(entries))

    def _take_back(self, conn: Connection, entries: Sequence[bytes]) -> None:
        done = execute(
            self._registry,
            entries,
            self.members_of,
            lambda title: registry_store.state_of(conn, self.log, title),
        )
        log.append_all(conn, entries, self.node.clock.now_ms(), log=self.log)
        registry_store.put_steps(conn, self.log, self._registry, done.steps)

    # -- for others ----------------------------------------------------------------------------

    async def hand_in(self, text: str, digest: bytes) -> Outcome:
        """What became of an operation: accepted into a batch, refused, or not decided.

        Raises UnavailableError `registry_unconfirmed`, `registry_batch_full`,
        `registry_awaiting_witnesses`, `registry_stopped`; RefusedError `arbiter_frozen`.
        """
        self._require_working()
        known = await self.known(digest)
        if known is not None:
            return known
        self._require_turn()
        if not self.confirmed:
            raise UnavailableError("registry_unconfirmed", "its witnesses have not answered yet")
        if self.halted():
            raise _awaiting()
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(text, answer))
        except asyncio.QueueFull:
            raise UnavailableError("registry_batch_full", "too many operations wait") from None
        try:
            async with asyncio.timeout(AWAIT_SECONDS):
                return await answer
        except TimeoutError:
            raise _awaiting() from None

    async def known(self, digest: bytes) -> Outcome | None:
        """What became of an operation that was handed in before."""
        return await self.node.store.read(self._sequencer.known, digest)

    def halted(self) -> bool:
        """Whether a batch has been waiting for its quorum for long: nothing moves (R21)."""
        return bool(self._open) and time.monotonic() - self._open_since > AWAIT_SECONDS

    def _require_turn(self) -> None:
        registry_freeze.require_in_force(self.arbiter.id, self.node.registry.freezes)
        if self._stopped:
            raise UnavailableError("registry_stopped", "its operator has stopped it")

    async def stop_sequencing(self, *, stop: bool) -> None:
        """Sequence nothing more until it is resumed; both are durable."""
        now, name = self.node.clock.now_ms(), self.log
        if stop:
            await self.node.store.write(registry_freezes.stop, name, now)
        else:
            await self.node.store.write(registry_freezes.resume, name)
        self._stopped = stop

    def _require_working(self) -> None:
        if self.fault is not None:
            raise UnavailableError("registry_unreachable", f"sealed: {self.fault.code}")

    async def wait_final(self, batch: int, seconds: float) -> bool:
        """Whether the batch is final, waiting up to that long for it."""
        end = time.monotonic() + seconds
        while self._final.number < batch:
            left, changed = end - time.monotonic(), self._changed
            if left <= 0 or self.fault is not None:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
        return True

    async def title(self, title: bytes) -> FinalTitle | None:
        """The title as of the newest final batch, or None when it was not issued by then."""
        final, (size, text) = self._final, self._final_note
        found = await self.node.store.read(self._stored, title, final.number)
        if found is None:
            return None
        operation, history = found
        # A batch ends with its root entry, and a checkpoint with its last batch.
        hashes = self._publisher.tree.inclusion_proof(size - 1, size)
        proof = TitleProof(
            state=operation.state,
            path=final.titles.path(map_key(title)),
            number=final.number,
            at=from_ms(final.at_ms),
            proof=LogProof(size - 1, hashes, text).to_text(),
        )
        return FinalTitle(proof, tuple(history), self.lineage.documents)

    def _stored(
        self, conn: Connection, title: bytes, batch: int
    ) -> tuple[registry_store.StoredOperation, list[str]] | None:
        found = registry_store.last_operation(conn, self.log, title, up_to_batch=batch)
        if found is None:
            return None
        return found, registry_store.history(conn, self.log, title, found.state.seq)

    async def pending_seq(self, title: bytes) -> int | None:
        """The seq of what was accepted for a title, final or not; None when never issued."""
        state = await self.node.store.read(registry_store.state_of, self.log, title)
        return state.seq if state else None

    def require_known(self, found: FinalTitle | None) -> FinalTitle:
        """Raises NotFoundError `title_never_issued`."""
        if found is None:
            raise NotFoundError("title_never_issued", "no final issuance of that title is here")
        return found

    def standing(self) -> dict[str, object]:
        """For people: how far the registry is, and which witnesses answer."""
        ready = self.fault is None and hasattr(self, "_gatherer")
        return {
            "origin": self.arbiter.origin,
            "arbiter": self.arbiter.id.hex(),
            "batches": self._registry.number if ready else None,
            "final": self._final.number if ready else None,
            "confirmed": self.confirmed,
            "awaitingWitnesses": self.halted(),
            "stopped": self._stopped,
            "predecessors": [one.id.hex() for one in self.lineage.arbiters[:-1]],
            "witnesses": self._gatherer.standing() if ready else [],
            "fault": None if self.fault is None else self.fault.problem(),
        }


def _awaiting() -> UnavailableError:
    return UnavailableError(
        "registry_awaiting_witnesses", "the batch before has no quorum of witnesses yet"
    )
