"""`node.chain`: one chain behind the settings' addresses, and the relayer that sends to it.

Without addresses it does nothing. A chain that does not answer stops no service: what needs it
waits and says so (DESIGN §1). An address with another chain id or other code at a contract is not
used and raises an alarm; while that is all there is, the node is not ready.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ledger import chain_journal as journal
from ledger.chain_client import ChainClient
from ledger.chain_relayer import Relayer
from ledger.chain_settings import FEE_MODES, ChainConfig, FeePolicy, read_finality
from node.chain.keys import relayer_signer
from node.store import events
from node.store.store import defer
from protocols.evm.keys import checksum_text
from protocols.members.arbiters import ValidatorEpoch
from schemas.errors import NotFoundError, SettingsError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from ledger.chain_client import Alarm
    from ledger.chain_journal import Job
    from ledger.chain_settings import Finality
    from node.http.routes import Route
    from node.runtime import Node
    from node.settings import ChainSettings

GWEI = 10**9
IDLE_PAUSE = 30.0
MAX_URL = 2000


def read_config(settings: ChainSettings, folder: Path) -> ChainConfig | None:
    """The chain of the settings, or None without addresses; raises SettingsError.

    folder: the home, in which `file:<name>` names a file with an address that is a secret
    """
    if not settings.urls:
        return None
    if settings.fee not in FEE_MODES:
        raise SettingsError("chain_setting_bad", "fee is zero, legacy or eip1559")
    urls = tuple(_address(text, folder) for text in settings.urls)
    return ChainConfig(
        urls=urls,
        chain_id=settings.id,
        finality=read_finality(settings.finality, settings.validators),
        fee=FeePolicy(
            mode=settings.fee,  # type: ignore[arg-type] # one of the three
            cap=int(settings.max_fee * GWEI),
            tip=int(settings.tip * GWEI),
            stuck_after=settings.stuck_after,
        ),
        agree=settings.agree or min(2, len(urls)),
        deadline=settings.call_deadline,
    )


def listed_validators(finality: Finality) -> tuple[ValidatorEpoch, ...]:
    """The validators pinned in the settings as the member list would name them.

    They stand in the files of contracts for the roots to judge: `trust diff` shows each.
    """
    return tuple(
        ValidatorEpoch(one.start, tuple(sorted(one.validators))) for one in finality.epochs
    )


def _address(text: str, folder: Path) -> str:
    url, name = text, text.removeprefix("file:")
    if name != text:
        try:
            url = (folder / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError("chain_setting_bad", f"{name} cannot be read") from None
    if len(url) > MAX_URL or not url.startswith(("http://", "https://")):
        raise SettingsError("chain_setting_bad", "an address begins with http:// or https://")
    return url


class ChainService:
    """`node.chain`; `client` and `relayer` are None where no chain is configured."""

    name = "chain"

    def __init__(self, node: Node) -> None:
        """Reads the settings and the key; speaks to nobody yet."""
        self._node = node
        self.client: ChainClient | None = None
        self.relayer: Relayer | None = None
        self.fault: TradeError | None = None
        self._open = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alarms: set[asyncio.Future[None]] = set()
        config = read_config(node.settings.chain, node.home.path)
        if config is not None:
            signer = relayer_signer(node.home, node.did)
            self.client = ChainClient(config, alarm=self._alarm)
            self.relayer = Relayer(
                self.client, signer, node.store, node.clock.now_ms, alarm=self._alarm
            )

    def routes(self) -> Sequence[Route]:
        """None; see `node.anchor` and the titles."""
        return ()

    async def start(self) -> None:
        """Begin to look after transactions."""
        if self.relayer is not None:
            self._task = asyncio.create_task(self._run(self.relayer), name="chain.relay")

    async def stop(self) -> None:
        """End the loop; what was under way is in the journal."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*self._alarms, return_exceptions=True)
        if self.client is not None:
            await self.client.close()

    def ready(self) -> str | None:
        """Not ready where an address serves the wrong chain or other contracts."""
        if self._task is not None and self._task.done():
            return "the relayer has stopped"
        return str(self.fault) if isinstance(self.fault, SettingsError) else None

    def require(self) -> tuple[ChainClient, Relayer]:
        """Client and relayer; raises NotFoundError `chain_not_configured`."""
        if self.client is None or self.relayer is None:
            raise NotFoundError("chain_not_configured", "chain.urls is empty")
        return self.client, self.relayer

    def put(self, conn: Connection, job: Job) -> int:
        """Queue a transaction inside the caller's; it is sent once that is committed."""
        _, relayer = self.require()
        defer(conn, self._wake.set)
        return relayer.put(conn, job, self._node.clock.now_ms())

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self, relayer: Relayer) -> None:
        started = False
        while True:
            self._wake.clear()
            try:
                if not started:
                    await relayer.client.start()
                    started = True
                self._open = await relayer.turn()
                self.fault = None
            except (UnavailableError, SettingsError) as error:
                self._trouble(error)
            self._measure(relayer)
            busy = self._open or self.fault is not None
            pause = self._node.settings.chain.poll_interval if busy else IDLE_PAUSE
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _trouble(self, error: TradeError) -> None:
        if self.fault is None or self.fault.code != error.code:
            self._node.telemetry.log.warning("chain.trouble", code=error.code, detail=error.detail)
        self.fault = error

    def _measure(self, relayer: Relayer) -> None:
        gauge = self._node.telemetry.gauge
        troubled = sum(bool(item.fault) for item in relayer.client.standing())
        gauge("pratique_chain_transactions_open", "Transactions that are not final").set(self._open)
        gauge("pratique_chain_addresses_troubled", "Chain addresses in trouble").set(troubled)

    def _alarm(self, alarm: Alarm) -> None:
        """Told by an event; a lost one is told again by the next."""
        self._node.telemetry.log.error("chain.alarm", code=alarm.code, detail=alarm.detail)
        task = asyncio.ensure_future(
            self._node.store.write(record_alarm, self._node, alarm.code, alarm.detail)
        )
        self._alarms.add(task)
        task.add_done_callback(self._alarms.discard)

    # -- for people ----------------------------------------------------------------------------

    async def show(self) -> dict[str, Any] | None:
        """The chain at a glance; None where there is none."""
        if self.client is None or self.relayer is None:
            return None
        account = self.relayer.account
        counts = await self._node.store.read(journal.counts, account)
        config = self.client.config
        return {
            "chain_id": config.chain_id,
            "relayer": checksum_text(account.sender),
            "finality": config.finality.mode,
            "agree": config.agree,
            "addresses": [
                {"url": item.url, "fault": item.fault} for item in self.client.standing()
            ],
            "transactions": counts,
            "held_back": self.relayer.held_back,
            "fault": None if self.fault is None else self.fault.problem(),
        }


def record_alarm(conn: Connection, node: Node, code: str, detail: str) -> None:
    """An alarm about the chain in the node's story."""
    events.record(
        conn,
        kind="alarm",
        at=node.clock.now_ms(),
        actor=node.did,
        detail={"code": code, "area": "chain", "found": detail},
    )
