"""The node's own log: checkpoints at least every second while something is new, and receipts.

Order and restart follow R14 and R15. Losing all witnesses stops nothing: receipts are marked
unwitnessed and upgraded when a quorum answers. A store that is older than what was signed seals
the log: it signs nothing more and says why.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ledger import hand_overs
from ledger.publisher import LogIdentity, LogPublisher
from ledger.tiles import TileFolder
from node.log import partners, standing
from node.log.gathering import Gatherer
from node.log.handing_over import HandingOver
from node.log.leaf_receipts import EndedLogs, LogReceipt, covered
from node.log.mirroring import Mirroring
from node.log.recovering import Recovering
from protocols.log import note
from protocols.log import policy as log_policy
from schemas.errors import SettingsError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.policy import Policy, Witness
    from protocols.member_list import LogEntry, MemberList

CONFIRM_PAUSE = 0.5
CALL_DEADLINE = 3.0


class LogService:
    """`node.log`."""

    name = "log"

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self.node = node
        self.publisher: LogPublisher | None = None
        self.fault: TradeError | None = None
        self.confirmed = False
        self._policy: Policy = partners.NO_POLICY
        self.gatherer: Gatherer | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._mirroring: asyncio.Task[None] | None = None
        self.mirrors: Mirroring | None = None
        self._wake = asyncio.Event()
        self._signed = asyncio.Event()
        self._changed = asyncio.Event()
        self._last_size = 0
        self.handing_over = HandingOver(self)
        self.recovering = Recovering(self)
        self._ended = EndedLogs(node.store)

    def routes(self) -> Sequence[Route]:
        """The log over HTTP, see `node.log.routes`; and fsck, which needs no service."""
        from node.fsck.routes import fsck_routes
        from node.log.chains import ChainScanner
        from node.log.receipts import receipt_routes
        from node.log.routes import log_routes

        own = (*log_routes(self), *ChainScanner(self).routes())
        return [*own, *receipt_routes(self.node), *fsck_routes(self.node)]

    async def start(self) -> None:
        """Rebuild the tree, compare it with what was signed, begin to publish."""
        for proven in await self.node.store.read(hand_overs.all_of):
            self.node.members.hand_over(proven)
        if not self.node.keys.has("log"):
            self.fault = SettingsError("key_missing", "this node has no log key")
            return
        self.node.members.watch(self._members_changed)
        self.node.store.after_commit(self._wake.set)
        await self.reopen()

    async def reopen(self) -> None:
        """Begin again from the store; a log that cannot go on is sealed."""
        await self.halt()
        self.fault, self.confirmed = None, False
        try:
            await self._open()
        except UnavailableError:
            raise
        except TradeError as error:
            self._seal(error)
            return
        self._restart_gathering()
        self._publishing = asyncio.create_task(self._run(), name="log.publish")

    async def stop(self) -> None:
        """End the loops."""
        await self.recovering.stop()
        await self.halt()

    async def halt(self) -> None:
        """Sign nothing more for now; nothing is left half-way, see R14."""
        running = (self._publishing, self._gathering, self._mirroring)
        tasks = [task for task in running if task is not None]
        self._publishing = self._gathering = self._mirroring = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ready(self) -> str | None:
        """Not ready when the log is sealed; waiting for partners is no fault of this node."""
        if self._publishing is not None and self._publishing.done() and self.fault is None:
            return "the log's publisher has stopped"
        return None if self.fault is None else str(self.fault)

    # -- identity and policy -------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """The log's origin line."""
        return self.publisher.identity.origin if self.publisher else ""

    @property
    def policy(self) -> Policy:
        """The witness policy in force."""
        return self._policy

    def entry(self) -> LogEntry | None:
        """This log in the member list: the entry that names its key."""
        members = self.node.members.current
        raw = self.node.keys.signer("log").public().raw()
        for entry in members.logs_of(self.node.did) if members else ():
            if partners.log_key_of(entry).public_key == raw:
                return members.log(entry.origin) if members else None
        return None

    def listed_policy(self) -> Policy:
        """The witness policy as listed, also while the log is sealed."""
        return partners.policy_of(self.entry())

    def identity(self) -> LogIdentity:
        """The log's key and origin, also while it is sealed."""
        signer, entry = self.node.keys.signer("log"), self.entry()
        if entry is not None:
            return LogIdentity(partners.log_key_of(entry), signer.sign, named=entry.origin)
        number = int(signer.kid.rpartition("-")[2])
        key = note.log_key(self.node.did, signer.public().raw(), number)
        return LogIdentity(key, signer.sign)

    async def _open(self) -> None:
        identity = self.identity()
        publisher = LogPublisher(identity, TileFolder(self.node.home.log))
        while found := await self.node.store.read(publisher.pending_hashes):
            publisher.extend(found)
        await self.node.store.read(publisher.verify)
        await self.node.store.write(publisher.take_over)
        newest = await self.node.store.read(publisher.newest_signed)
        self._last_size = newest.size if newest else 0
        self.publisher = publisher
        self._take_policy()

    def _take_policy(self) -> None:
        policy = self.listed_policy()
        log_policy.check(policy, self.origin)
        self._policy = policy

    def _members_changed(self, _members: MemberList) -> None:
        """A new list may name our log or other witnesses."""
        if self.publisher is None or self.fault is not None:
            return
        before = (self.publisher.identity.origin, self._policy)
        try:
            identity = self.identity()
            if identity.origin != before[0] and self._last_size:
                raise SettingsError("log_sealed", "the member list names this log differently")
            self.publisher.identity = identity
            self._take_policy()
        except TradeError as error:
            self._seal(error)
            return
        if (self.origin, self._policy) != before:
            self.confirmed = False
            self._restart_gathering()
        self._wake.set()  # an epoch may wait to be handed over to

    def _restart_gathering(self) -> None:
        for task in filter(None, (self._gathering, self._mirroring)):
            task.cancel()
        self._gathering = self._mirroring = None
        assert self.publisher is not None
        self.gatherer = Gatherer(self.node, self.publisher, self._policy, self._progress)
        self._wake.set()
        if self._policy.quorum != log_policy.NONE:
            self._gathering = asyncio.create_task(self._gather(), name="log.gather")
            self.mirrors = Mirroring(self.node, self.publisher, self._policy)
            run = self.mirrors.run(self.node.settings.log.mirror_interval)
            self._mirroring = asyncio.create_task(run, name="log.mirror")

    # -- publishing ----------------------------------------------------------------------------

    def _seal(self, error: TradeError) -> None:
        """Sign nothing more, and say so."""
        self.fault = error
        self.node.telemetry.log.error("log.sealed", code=error.code, detail=error.detail)
        self._progress()
        self.recovering.begin(error)

    async def _run(self) -> None:
        interval = self.node.settings.log.checkpoint_interval
        while self.fault is None:
            await self._woken()
            pause = interval
            try:
                if not await self._turn():
                    pause = CONFIRM_PAUSE
                    self._wake.set()
            except (UnavailableError, OSError) as error:
                self.node.telemetry.log.warning("log.publish_failed", error=str(error))
                self._wake.set()
            except TradeError as error:
                self._seal(error)
            await asyncio.sleep(pause)

    async def _woken(self) -> None:
        """Until there is something new, or a hand-over is due."""
        try:
            async with asyncio.timeout(self.handing_over.seconds_left()):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _gather(self) -> None:
        assert self.gatherer is not None
        while True:
            try:
                await self.gatherer.run(self._signed)
            except UnavailableError as error:
                self.node.telemetry.log.warning("log.gather_failed", error=str(error))
                await asyncio.sleep(CONFIRM_PAUSE)

    async def _turn(self) -> bool:
        """Publish what is new; False when partners have yet to confirm the last state."""
        assert self.publisher is not None
        if not self.confirmed:
            self.confirmed = await self._confirm()
            if not self.confirmed:
                return False
        publisher = self.publisher
        while found := await self.node.store.read(publisher.pending_hashes):
            publisher.extend(found)
        if publisher.tree.size > self._last_size:
            await self._publish(publisher, publisher.head())
        # After a hand-over the new witnesses have to confirm the last state.
        return not await self.handing_over.attempt()

    async def publish_exactly(self, size: int) -> None:
        """Sign the checkpoint of `size` leaves next, whatever has been appended since (R16)."""
        publisher = self.publisher
        assert publisher is not None
        while publisher.tree.size < size and (
            found := await self.node.store.read(publisher.pending_hashes)
        ):
            publisher.extend(found)
        await self._publish(publisher, publisher.head(size))

    async def _publish(self, publisher: LogPublisher, head: Checkpoint) -> None:
        """The steps of R14, each durable before the next."""
        await asyncio.to_thread(publisher.write_tiles, head.size)
        await self.node.store.write(publisher.intend, head, self.node.clock.now_ms())
        text = publisher.sign(head)
        await self.node.store.write(self._record, head, text)
        await asyncio.to_thread(publisher.publish, text)
        self._last_size = head.size
        self._signed.set()
        self._progress()

    def _record(self, conn: Connection, head: Checkpoint, text: str) -> None:
        from node.store import events

        assert self.publisher is not None
        self.publisher.record(conn, head, text)
        detail = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
        now = self.node.clock.now_ms()
        events.record(conn, kind="checkpoint", at=now, actor=self.node.did, detail=detail)

    def _progress(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # -- R15 -----------------------------------------------------------------------------------

    async def _confirm(self) -> bool:
        """Whether enough witnesses to intersect every quorum hold nothing that we have not."""
        needed = self._policy.confirmations(self.origin)
        if needed <= 0:
            return True
        answers = await asyncio.gather(
            *(self._confirmed_by(witness) for witness in self._policy.voters(self.origin))
        )
        return sum(answers) >= needed

    async def _confirmed_by(self, witness: Witness) -> bool:
        assert self.publisher is not None
        identity, tree = self.publisher.identity, self.publisher.tree
        try:
            head, _ = await partners.ask_state(
                self.node, witness, identity.key, origin=identity.origin, deadline=CALL_DEADLINE
            )
        except TradeError as error:  # whatever a witness answers, it cannot seal our log
            self.node.telemetry.log.debug("log.unconfirmed", by=witness.key.name, code=error.code)
            return False
        if head is None:
            return True
        if head.size > tree.size:
            raise SettingsError(
                "log_behind_partners",
                f"{witness.key.name} holds {head.size} leaves, we {tree.size}",
            )
        if tree.root(head.size) != head.root:
            raise SettingsError("log_forked", f"{witness.key.name} holds another root")
        return True

    # -- receipts ------------------------------------------------------------------------------

    async def receipt(self, leaf_hash: bytes) -> LogReceipt | None:
        """The offline receipt of a leaf, or None while no signed checkpoint covers it.

        It is under the earliest witnessed checkpoint that covers the leaf, for ever the same; as
        long as there is none, under the newest signed one and marked unwitnessed (R17).
        """
        publisher = self.publisher
        if publisher is None:
            return None
        found = await self.node.store.read(covered, leaf_hash)
        if found is None:
            return await self._ended.receipt(leaf_hash)
        return found.receipt(publisher.tree, self.origin)

    async def wait_for(
        self, leaf_hash: bytes, deadline: float = 5.0, *, witnessed: bool = True
    ) -> LogReceipt | None:
        """The receipt as soon as it is witnessed (or signed), or the best after `deadline` s."""
        end = time.monotonic() + deadline
        while True:
            changed = self._changed
            found = await self.receipt(leaf_hash)
            goal = witnessed and self._policy.quorum != log_policy.NONE
            left = end - time.monotonic()
            if left <= 0 or self.fault or (found and (found.witnessed or not goal)):
                return found
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                return await self.receipt(leaf_hash)

    # -- for people ----------------------------------------------------------------------------

    @property
    def lacks_quorum(self) -> bool:
        """Whether too few witnesses answer for the newest checkpoint."""
        return self.gatherer is not None and self.gatherer.lacks_quorum

    def notice(self) -> str | None:
        """What people should know although the node works; see `node.log.standing`."""
        return standing.notice(self)

    async def show(self) -> dict[str, Any]:
        """The log at a glance."""
        return await standing.show(self)
