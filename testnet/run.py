"""One run of the story: nodes up, three lanes at once, faults, accounts, evidence."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from node.daemon import factories
from node.runtime import Node
from node.settings import ChainSettings, load
from testnet import accounts, bill_expectations, chain_expectations, consignments, listed
from testnet.bill_accounts import BillAccounts
from testnet.chain import LOG_FILE, ChainFailedError, StoryChain
from testnet.expectations import ExpectationError, Expectations
from testnet.nursery import proportional_memory
from testnet.operator import Operator, ProblemError, eventually
from testnet.relay import Relay
from testnet.stage import Stage
from testnet.words import word
from testnet.world import BEHIND_RELAY, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

    from protocols.member_list import MemberList
    from testnet.accounts import Accounts
    from testnet.chain import ChainPlace
    from testnet.faults import Injected
    from testnet.hostile_log import Reply
    from testnet.nursery import Nursery
    from testnet.screen import Screen

READY: Final = 20.0
READY_TARGET: Final = 5.0
STORY_TARGET: Final = 60.0
MEMORY_TARGET: Final = 1024**3
SETTLED: Final = 45.0
IDLE: Final = 3.0
ANCHOR_INTERVAL: Final = 10.0
_EXPECTED: Final = (ExpectationError, ProblemError, ChainFailedError, TimeoutError)
FAST_SETTINGS: Final = {"exchange": {"retry_cap": 1.0}}


@dataclass(slots=True)
class Run:
    """The state of one run; the players and faults work on it."""

    nursery: Nursery
    world: World
    screen: Screen
    lang: str
    seed: int
    fast: bool
    out: Path
    members: MemberList
    faults: dict[str, Injected] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    expectations: Expectations = field(default_factory=Expectations)
    ready_seconds: float = 0.0
    story_seconds: float = 0.0
    memory: int = 0
    traces: dict[str, Any] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=accounts.Accounts)
    title_on_chain: Mapping[str, Any] = field(default_factory=dict)
    bill_accounts: BillAccounts = field(default_factory=BillAccounts)
    chain_command: dict[str, Any] = field(default_factory=dict)
    origin: list[dict[str, str]] = field(default_factory=list)
    declarations: dict[str, Any] = field(default_factory=dict)
    _chain: StoryChain | None = None
    _stage: Stage | None = None
    _relay: Relay | None = None

    @property
    def stage(self) -> Stage:
        """What the players act on; there while the run is on."""
        assert self._stage is not None
        return self._stage

    @property
    def relay(self) -> Relay:
        """The hostile stretch of network before nl-customs."""
        assert self._relay is not None
        return self._relay

    @property
    def chain(self) -> StoryChain:
        """The chain; there while the run is on."""
        assert self._chain is not None
        return self._chain

    @property
    def chain_log(self) -> Path:
        """What the chain's process wrote."""
        return self.out / LOG_FILE

    def word(self, key: str, **values: object) -> str:
        """A text in the language of this run."""
        return word(key, self.lang, **values)

    async def play(self) -> None:
        """The whole run; what did not hold is in `expectations` afterwards."""
        timeout = aiohttp.ClientTimeout(total=None)
        # Given up before the nodes do: a request on a connection that a node just closed is lost.
        kept = aiohttp.TCPConnector(keepalive_timeout=IDLE)
        async with aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, connector=kept
        ) as session:
            operators = {
                name: Operator(actor, session) for name, actor in self.world.actors.items()
            }
            chance = random.Random(self.seed)  # noqa: S311 it only shuffles the story
            self._stage = Stage(self.world, operators, self.screen, self.expectations, chance)
            self._chain = StoryChain(self.world.chain, session)
            hidden = self.world.actors[BEHIND_RELAY]
            self._relay = Relay(hidden.public_port, hidden.port)
            await self._relay.start()
            try:
                await self._attempt("the chain starts", chain_expectations.start(self))
                if not self.expectations.failed:
                    await self._attempt("the network starts", self._start_all())
                if not self.expectations.failed:
                    await self._lanes()
                    await self._close()
            finally:
                await self._relay.stop()
            if self.pids:
                await self._attempt("listed nodes are asked", self._hand_over())

    async def _start_all(self) -> None:
        self.screen.say("starting", count=len(self.world.actors))
        begin = time.monotonic()
        for name in self.world.actors:
            self._spawn(name)
        ready = await asyncio.gather(*(self._ready(name) for name in self.world.actors))
        self.ready_seconds = time.monotonic() - begin
        late = [name for name, good in zip(self.world.actors, ready, strict=True) if not good]
        self.expectations.require("all nodes are ready", not late, late)
        self.screen.say("ready", seconds=f"{self.ready_seconds:.1f}")

    def _spawn(self, name: str) -> None:
        home = self.world.actors[name].home.path
        self.pids[name] = self.nursery.spawn(name, home, home / "node.log")

    async def _ready(self, name: str) -> bool:
        return bool(await eventually(self.stage.operators[name].is_ready, deadline=READY))

    async def _lanes(self) -> None:
        begin = time.monotonic()
        for lane, steps in consignments.STEPS.items():
            self.screen.plan(lane, steps)
        await asyncio.gather(*(self._lane(lane) for lane in consignments.LANES))
        self.story_seconds = time.monotonic() - begin

    async def _lane(self, lane: str) -> None:
        await self._attempt(f"lane {lane} is played to its end", consignments.LANES[lane](self))

    async def _attempt(self, name: str, act: Awaitable[None]) -> None:
        """Does `act`; what goes wrong is an expectation that did not hold, never a traceback."""
        try:
            await act
        except (*_EXPECTED, aiohttp.ClientError) as error:
            self.expectations.expect(name, held=False, seen=f"{type(error).__name__} {error}")

    async def _close(self) -> None:
        beside = (self.nursery.pid, self.nursery.beside())
        self.memory = sum(map(proportional_memory, (*self.pids.values(), *beside)))
        await self._settled()
        await self._attempt("the logs are anchored", chain_expectations.anchored(self))
        self.accounts = await asyncio.to_thread(accounts.take, self.world)
        self._expect_accounts()
        await self._attempt("the chain is read", chain_expectations.check(self))
        for consignment in consignments.LANES:
            await self._trace(consignment)
        await asyncio.gather(
            self._attempt("evidence A is exported", self._evidence()),
            self._attempt("bill A is audited", bill_expectations.check(self)),
        )

    async def _settled(self) -> None:
        """Waits until nothing is queued and every checkpoint of every log is witnessed."""

        async def look() -> bool:
            return all(await asyncio.gather(*(self._quiet(name) for name in self.world.actors)))

        await eventually(look, deadline=SETTLED, pause=0.2)

    async def _quiet(self, name: str) -> bool:
        operator = self.stage.operators[name]
        try:
            queued = await operator.get("/v1/outbox", state="queued", limit="1")
            log = await operator.get("/v1/log")
        except (ProblemError, aiohttp.ClientError, TimeoutError):
            return False
        sealed = name == "cn-rail"  # Its witnesses cosign nothing more for a log that forked.
        witnessed = (log["witnessed"] or {}).get("size", 0)
        return not queued["items"] and (sealed or witnessed == log["leaves"])

    def _expect_accounts(self) -> None:
        found, expect = self.accounts, self.expectations.expect
        faults = [fault["id"] for fault in self.world.story["faults"]]
        missing = [fault for fault in faults if fault not in self.faults]
        expect("every fault of the script was injected", not missing, missing)
        expect("no message is lost", not found.lost, found.lost[:5])
        expect("no message is delivered twice", not found.twice, found.twice[:5])
        expect("documents arrive in order", not found.disordered, found.disordered[:5])
        expect("every receipt held is genuine", not found.bad_receipts, found.bad_receipts[:5])
        expect("both line attacks took place", self._attacks() == (1, 1), self._attacks())
        quorums = not found.bad_witnessed and found.witnessed > 0
        expect("witnessed checkpoints have their quorum", quorums, found.bad_witnessed[:5])
        if not self.fast:
            expect("nodes are ready in time", self.ready_seconds < READY_TARGET, self.ready_seconds)
            expect("the story is short", self.story_seconds < STORY_TARGET, self.story_seconds)
            expect("memory is bounded", 0 < self.memory < MEMORY_TARGET, self.memory)

    def _attacks(self) -> tuple[int, int]:
        return self.relay.altered_requests, self.relay.altered_answers

    async def _hand_over(self) -> None:
        """The line to the node behind the relay outlives this process, as the nodes may."""
        hidden = self.world.actors[BEHIND_RELAY]
        self.nursery.forward(hidden.public_port, hidden.port, self.out / "relay.log")
        away = await listed.silent(self.members)
        self.expectations.expect("every listed node answers at its address", not away, away)

    async def _trace(self, consignment: str) -> None:
        ucr = self.stage.ucr(consignment)
        answers = await asyncio.gather(
            *(
                operator.get_in(self.lang, f"/v1/trace/consignments/{ucr}")
                for operator in self.stage.operators.values()
            ),
            return_exceptions=True,
        )
        self.traces[consignment] = {
            name: answer
            for name, answer in zip(self.stage.operators, answers, strict=True)
            if not isinstance(answer, BaseException)
        }

    async def _evidence(self) -> None:
        """Exports A's evidence and verifies it in a process without node or network."""
        bundle = await self.stage.operators["nl-port"].post_for_bytes(
            "/v1/evidence", {"consignment": self.stage.ucr("A")}
        )
        file, trust = self.out / "evidence-A.zip", self.out / "members.json"
        file.write_bytes(bundle)
        trust.write_bytes(self.world.members_file.read_bytes())
        command = [sys.executable, "-m", "node.cli.main", "evidence", "verify", str(file)]
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, "--trust", str(trust), "--json"],
            capture_output=True,
            timeout=30,
            check=False,
        )
        told = (done.stdout + done.stderr)[-2000:].decode(errors="replace")
        self.expectations.expect("evidence A verifies offline", done.returncode == 0, told)
        chain_expectations.evidence(self, file)
        if done.returncode == 0:
            self.screen.say("evidence")

    # What the faults do to processes.

    async def switch_off(self, name: str, how: signal.Signals) -> None:
        """Ends a node's process and waits until it is gone."""
        pid = self.pids[name]
        self.nursery.signal(pid, how)

        async def gone() -> bool:
            return self.nursery.exit_code(pid) is not None

        self.expectations.require(f"{name} is off", bool(await eventually(gone, deadline=10)))

    async def switch_on(self, name: str) -> None:
        """Starts it again in the same home and waits until it is ready."""
        self._spawn(name)
        self.expectations.require(f"{name} is back", await self._ready(name))

    async def show_two_heads(self, name: str) -> list[Reply]:
        """Acts as the operator of `name`, whose process is off, and shows its log twice."""
        from testnet.hostile_log import show_both

        home = self.world.actors[name].home
        settings = load(home.settings_file)
        quiet = replace(
            settings,
            telemetry=replace(settings.telemetry, log_level="error"),
            chain=ChainSettings(),
        )
        with home.lock():
            node = Node(home, quiet)
            node.compose(factories())
            await node.start(listen=False)
            try:
                return await show_both(node)
            finally:
                await node.stop()

    def urls(self) -> Mapping[str, str]:
        """Where the nodes and the chain answer, for ``--keep``."""
        actors = self.world.actors.items()
        nodes = {name: f"http://127.0.0.1:{actor.public_port}" for name, actor in actors}
        return nodes | {self.world.chain.engine: self.world.chain.url}


def prepare(
    nursery: Nursery,
    place: ChainPlace,
    screen: Screen,
    *,
    lang: str,
    seed: int,
    fast: bool,
    out: Path,
) -> Run:
    """Founds the network in ``out/nodes``; nothing runs yet but the chain, which starts."""
    chain = {"chain": place.settings(interval=ANCHOR_INTERVAL)}
    world = World(out / "nodes", place, settings=chain | (FAST_SETTINGS if fast else {}))
    members = world.found()
    screen.say("founding", count=len(world.actors))
    return Run(nursery, world, screen, lang, seed, fast, out, members)
