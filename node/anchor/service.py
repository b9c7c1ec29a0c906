"""`node.anchor`: the log's size and root, put on a chain every ten minutes or 10 000 leaves.

What is anchored is the newest checkpoint that a quorum has witnessed, or the newest signed one of
a log without witnesses. The row and its transaction are written together; the relayer brings them
to finality, after a crash as well. The chain is asked what it holds of us before anything is
added: a size that we never signed, or another root, is an alarm and nothing is sent (the log was
rolled back, or somebody else has the relayer's key).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ledger import anchors, checkpoints, contracts
from ledger import chain_journal as journal
from ledger.anchors import Place, StoredAnchor
from ledger.chain_journal import Job
from node.anchor.listing import entry_of, mismatch
from node.anchor.routes import anchor_routes
from node.chain.service import record_alarm
from node.store import events
from protocols.evm.anchor_proof import origin_hash
from protocols.evm.calls import ANCHOR, LATEST, OPEN, Anchored, call, read_event, read_latest
from protocols.evm.keys import checksum_text, read_address
from protocols.evm.title import padded, word
from protocols.evm.transaction import created_address
from protocols.log import policy as log_policy
from protocols.members.anchor_contracts import AnchorSender
from schemas.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    SettingsError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.chain_client import ChainClient
    from ledger.chain_relayer import News
    from ledger.checkpoints import StoredCheckpoint
    from node.http.routes import Route
    from node.runtime import Node
    from protocols.evm.anchor_proof import AnchorProof
    from protocols.members.anchor_contracts import AnchorContractEntry

PURPOSE: Final = "anchor"
OPENING: Final = "anchor-open"
DEPLOYING: Final = "anchor-deploy"
OPEN_GAS: Final = 100_000
ANCHOR_GAS: Final = 80_000
DEPLOY_GAS: Final = 1_000_000
OVERDUE: Final = 3
"""Intervals after which an anchor that is not final is overdue."""
LONGEST_PAUSE: Final = 5.0


class AnchorService:
    """`node.anchor`; does nothing without `chain.urls` and `chain.anchors`."""

    name = "anchor"

    def __init__(self, node: Node) -> None:
        """Registers with the chain: its contract's code, and to hear of its transactions."""
        self.node = node
        self.place: Place | None = None
        self.fault: TradeError | None = None
        self._overdue = False
        self._task: asyncio.Task[None] | None = None
        settings = node.settings.chain
        if not settings.urls or not settings.anchors:
            return
        try:
            contract = read_address(settings.anchors, pointer="/chain/anchors")
        except MalformedError as error:
            raise SettingsError("chain_setting_bad", error.detail, pointer=error.pointer) from None
        client, relayer = node.chain.require()
        code_hash = contracts.load(contracts.ANCHORS).runtime_hash
        self.place = Place(client.config.chain_id, contract, code_hash)
        client.require_code(contract, code_hash)
        relayer.on(PURPOSE, self._heard)

    def routes(self) -> Sequence[Route]:
        """/v1/anchors and /log/anchor, see `node.anchor.routes`."""
        return anchor_routes(self)

    async def start(self) -> None:
        """Begin to look for what is to be anchored."""
        if self.place is not None:
            self._task = asyncio.create_task(self._run(), name="anchor.run")

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def ready(self) -> str | None:
        """Not ready when the chain contradicts the log; a chain that is away is no fault here."""
        if self._task is not None and self._task.done():
            return "anchoring has stopped"
        if isinstance(self.fault, ConflictError):
            return str(self.fault)
        own = None if self.place is None else self.entry(self.place)
        return None if own is None else mismatch(own, self.node.members.current)

    def entry(self, place: Place) -> AnchorContractEntry:
        """That contract with this node's log and relayer, as the member list would name it."""
        client, relayer = self.node.chain.require()
        sender = AnchorSender(self.node.log.origin, relayer.account.sender)
        return entry_of(place, client.config.finality, sender)

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = min(self.node.settings.chain.anchor_interval / 4, LONGEST_PAUSE)
        while True:
            try:
                await self._turn()
            except UnavailableError as error:  # the store: nothing can be told anybody now
                self.fault = error
            await asyncio.sleep(pause)

    async def _turn(self) -> None:
        try:
            await self.look()
            self.fault = None
        except (UnavailableError, SettingsError, ConflictError) as error:
            await self._trouble(error)
        await self._watch()

    async def _trouble(self, error: TradeError) -> None:
        known = self.fault is not None and self.fault.code == error.code
        self.fault = error
        if known:
            return
        self.node.telemetry.log.warning("anchor.trouble", code=error.code, detail=error.detail)
        if isinstance(error, ConflictError):
            await self.node.store.write(record_alarm, self.node, error.code, error.detail)

    async def look(self, *, now: bool = False) -> StoredAnchor | None:
        """Anchor the newest checkpoint if it is time, or whatever is new when `now`.

        Raises ConflictError `anchor_contradicts_log`, UnavailableError.
        """
        place, head = self._place(), await self._head()
        last = await self.node.store.read(anchors.newest, place, self.node.log.origin)
        if head is None or (last is not None and head.size <= last.size):
            return None
        if not now and not self._due(head, last):
            return None
        opened = await self._compare(place)
        return await self.node.store.write(self._add, place, head, opened)

    def _place(self) -> Place:
        if self.place is None:
            raise NotFoundError("chain_not_configured", "chain.urls or chain.anchors is empty")
        return self.place

    async def _head(self) -> StoredCheckpoint | None:
        witnessed = self.node.log.policy.quorum != log_policy.NONE
        return await self.node.store.read(checkpoints.newest, signed=True, witnessed=witnessed)

    def _due(self, head: StoredCheckpoint, last: StoredAnchor | None) -> bool:
        settings = self.node.settings.chain
        if last is None or head.size - last.size >= settings.anchor_leaves:
            return True
        return self.node.clock.now_ms() - last.at >= settings.anchor_interval * 1000

    # -- what the chain holds ------------------------------------------------------------------

    async def _compare(self, place: Place) -> bool:
        """Whether our row is open there; raises when it contradicts our log."""
        client, relayer = self.node.chain.require()
        size, root, time = await self._latest(client, relayer.account.sender, place)
        tree = self.node.log.publisher.tree if self.node.log.publisher else None
        if size and tree is not None and (size > tree.size or tree.root(size) != root):
            raise ConflictError(
                "anchor_contradicts_log",
                f"the chain holds an anchor of size {size} that this log never had",
            )
        return time != 0

    async def _latest(
        self, client: ChainClient, sender: bytes, place: Place
    ) -> tuple[int, bytes, int]:
        asked = call(LATEST, padded(sender), origin_hash(self.node.log.origin))
        answer = await client.call(place.contract, asked, at=await client.final_number())
        try:
            return read_latest(answer)
        except MalformedError as error:
            raise UnavailableError("chain_answer_unusable", error.detail) from None

    # -- adding --------------------------------------------------------------------------------

    def _add(
        self, conn: Connection, place: Place, head: StoredCheckpoint, opened: bool
    ) -> StoredAnchor | None:
        _, relayer = self.node.chain.require()
        last = anchors.newest(conn, place, self.node.log.origin)
        if last is not None and head.size <= last.size:
            return None  # the operator and the loop looked in the same moment
        origin, now = self.node.log.origin, self.node.clock.now_ms()
        named = origin_hash(origin)
        if not opened and not _opening(conn, named, relayer.account, place):
            opening = Job(OPENING, named, place.contract, call(OPEN, named), OPEN_GAS)
            self.node.chain.put(conn, opening)
        anchor = StoredAnchor(
            place=place, origin=origin, sender=relayer.account.sender, size=head.size,
            root=head.root, state=anchors.QUEUED, at=now, hash=None, block=None,
            block_time=None, event=None,
        )  # fmt: skip
        anchors.add(conn, anchor)
        data = call(ANCHOR, named, word(head.size), head.root)
        self.node.chain.put(conn, Job(PURPOSE, named, place.contract, data, ANCHOR_GAS))
        return anchor

    async def deploy(self) -> dict[str, Any]:
        """Put an AnchorRegistry on the chain; its address, where it stands once that is final."""
        self.node.chain.require()
        await self.node.store.write(self._deploy)
        return {"contracts": await self.node.store.read(self._deployed)}

    def _deploy(self, conn: Connection) -> None:
        code = contracts.load(contracts.ANCHORS)
        job = Job(DEPLOYING, code.runtime_hash, None, code.bytecode, DEPLOY_GAS)
        self.node.chain.put(conn, job)

    def _deployed(self, conn: Connection) -> list[dict[str, Any]]:
        code_hash = contracts.load(contracts.ANCHORS).runtime_hash
        sent = journal.of_reference(conn, DEPLOYING, code_hash)
        found = [entry for entry in sent if entry.state != journal.LOST]
        addresses = [created_address(entry.account.sender, entry.nonce) for entry in found]
        return [
            {
                "contract": checksum_text(address),
                "chain": entry.account.chain_id,
                "state": entry.state,
                "entry": self.entry(Place(entry.account.chain_id, address, code_hash)).to_json(),
            }
            for address, entry in zip(addresses, found, strict=True)
        ]

    # -- hearing -------------------------------------------------------------------------------

    def _heard(self, conn: Connection, news: News) -> None:
        """A transaction of ours went on; this is inside the transaction that says so."""
        entry = news.entry
        place = self._place()
        named, size = entry.job.data[4:36], int.from_bytes(entry.job.data[36:68], "big")
        anchor = anchors.find(conn, place, named, size)
        if entry.job.to != place.contract or anchor is None:
            return  # it belongs to a contract that was configured before
        if entry.state == journal.FINAL:
            self._conclude(conn, anchor, news)
        elif entry.state == journal.LOST:
            anchors.mark(conn, anchor, anchors.QUEUED)
        else:
            anchors.mark(conn, anchor, entry.state, news.receipt)
            if entry.state == journal.FAILED:
                record_alarm(conn, self.node, "anchor_reverted", f"size {anchor.size}")

    def _conclude(self, conn: Connection, anchor: StoredAnchor, news: News) -> None:
        assert news.receipt is not None
        assert news.proven is not None
        wanted = Anchored(origin_hash(anchor.origin), anchor.sender, anchor.size, anchor.root)
        at = next((i for i, log in enumerate(news.receipt.logs) if read_event(log) == wanted), None)
        if at is None:
            anchors.mark(conn, anchor, anchors.FAILED, news.receipt)
            record_alarm(conn, self.node, "anchor_reverted", f"size {anchor.size}, no event")
            return
        anchors.conclude(conn, anchor, news.proven, news.proven.event(news.receipt, at))
        detail = {
            "size": anchor.size,
            "root": anchor.root.hex(),
            "chain": anchor.place.chain_id,
            "block": news.proven.block.number,
            "transaction": news.receipt.transaction.hex(),
        }
        now = self.node.clock.now_ms()
        events.record(conn, kind="anchored", at=now, actor=self.node.did, detail=detail)

    # -- watching ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Metrics, and the alarm when what is signed has waited too long for its anchor."""
        head = await self._head()
        final = await self.node.store.read(
            anchors.newest, self._place(), self.node.log.origin, final=True
        )
        size, covered = (head.size if head else 0), (final.size if final else 0)
        gauge = self.node.telemetry.gauge
        gauge("pratique_anchor_size", "Leaves under the newest final anchor").set(covered)
        missing = max(0, size - covered)
        gauge("pratique_anchor_missing_leaves", "Leaves under no final anchor").set(missing)
        waited = await self._waited(covered) if missing else 0.0
        gauge("pratique_anchor_waiting_seconds", "Age of the oldest of them").set(waited)
        overdue = waited > OVERDUE * self.node.settings.chain.anchor_interval
        if overdue and not self._overdue:
            told = f"leaves that wait: {missing}, since {int(waited)} s"
            await self.node.store.write(record_alarm, self.node, "anchor_overdue", told)
        self._overdue = overdue

    async def _waited(self, covered: int) -> float:
        first = await self.node.store.read(checkpoints.first_above, covered)
        return 0.0 if first is None else (self.node.clock.now_ms() - first) / 1000

    # -- for others ----------------------------------------------------------------------------

    async def proof(self, size: int) -> AnchorProof | None:
        """The earliest final anchor over a checkpoint of `size` leaves, with the consistency proof.

        None while there is none. This is what an offline receipt carries.
        """
        publisher = self.node.log.publisher
        found = await self.node.store.read(anchors.covering, self.node.log.origin, size)
        if publisher is None or found is None or not 1 <= size <= publisher.tree.size:
            return None
        if found.size > publisher.tree.size:
            return None
        return found.proof(publisher.tree.consistency_proof(size, found.size))

    async def show(self) -> dict[str, Any]:
        """Anchors at a glance: the chain, the newest anchor, the newest final one."""
        chain = await self.node.chain.show()
        body: dict[str, Any] = {"chain": chain, "contract": None, "newest": None, "final": None}
        body |= {"entry": None, "unlisted": None}
        if self.place is not None:
            read, origin = self.node.store.read, self.node.log.origin
            newest = await read(anchors.newest, self.place, origin)
            final = await read(anchors.newest, self.place, origin, final=True)
            head = await self._head()
            body |= {
                "contract": checksum_text(self.place.contract),
                "entry": self.entry(self.place).to_json(),
                "unlisted": mismatch(self.entry(self.place), self.node.members.current),
                "newest": anchor_json(newest),
                "final": anchor_json(final),
                "size": head.size if head else 0,
            }
        body["deployed"] = await self.node.store.read(self._deployed)
        body["overdue"] = self._overdue
        body["fault"] = None if self.fault is None else self.fault.problem()
        return body


def _opening(conn: Connection, named: bytes, account: Any, place: Place) -> bool:
    """Whether the row was asked to be opened and that has not come to nothing."""
    return any(
        entry.account == account
        and entry.job.to == place.contract
        and entry.state not in (journal.LOST, journal.FAILED)
        for entry in journal.of_reference(conn, OPENING, named)
    )


def anchor_json(anchor: StoredAnchor | None) -> dict[str, Any] | None:
    """An anchor for people and the API."""
    if anchor is None:
        return None
    return {
        "size": anchor.size,
        "root": anchor.root.hex(),
        "state": anchor.state,
        "at": anchor.at,
        "chain": anchor.place.chain_id,
        "contract": checksum_text(anchor.place.contract),
        "transaction": anchor.hash.hex() if anchor.hash else None,
        "block": anchor.block,
        "block_time": anchor.block_time,
    }
