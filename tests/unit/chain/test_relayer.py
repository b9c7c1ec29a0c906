"""From the journal to finality, through lost answers, stuck pools, reorgs and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import chain_journal as journal
from ledger.chain_client import Alarm, ChainClient
from ledger.chain_journal import Job
from ledger.chain_relayer import News, Relayer
from ledger.chain_settings import ChainConfig, FeePolicy, Finality
from ledger.chain_values import Sending
from protocols.evm.calls import ANCHOR
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.title import word
from protocols.evm.transaction import Fee, Transaction, sign
from schemas.errors import UnavailableError
from tests.support.chain_store import MemoryStore
from tests.support.model_chain import BASE_FEE, CHAIN_ID, CONTRACT, ModelChain, ModelRpc, read

SIGNER = SoftwareEvmSigner(keccak256(b"relayer"))
GWEI = 10**9
DEPTH = 2


class World:
    def __init__(self, fee: FeePolicy | None = None) -> None:
        self.chain = ModelChain()
        self.rpc = ModelRpc(self.chain)
        self.store = MemoryStore()
        self.now = 1_000_000
        self.alarms: list[str] = []
        self.news: list[tuple[int, str]] = []
        self.proven: list[News] = []
        policy = fee or FeePolicy("eip1559", 100 * GWEI, GWEI, stuck_after=60)
        config = ChainConfig(("http://rpc",), CHAIN_ID, Finality("depth", DEPTH), policy)
        self.client = ChainClient(config, connect=lambda _: self.rpc)
        self.restart()

    def restart(self) -> None:
        """What a new process knows: the store and the chain."""

        def alarm(told: Alarm) -> None:
            self.alarms.append(told.code)

        self.relayer = Relayer(self.client, SIGNER, self.store, lambda: self.now, alarm=alarm)
        self.relayer.on("anchor", self.heard)

    def heard(self, _conn: Connection, news: News) -> None:
        self.news.append((news.entry.nonce, news.entry.state))
        if news.proven is not None:
            self.proven.append(news)

    async def put(self, size: int = 1) -> int:
        data = ANCHOR + b"o" * 32 + word(size) + b"r" * 32
        return await self.relayer.submit(Job("anchor", word(size), CONTRACT, data, 80_000))

    async def turns(self, count: int = 1, *, mine: bool = True) -> None:
        for _ in range(count):
            await self.relayer.turn()
            if mine:
                self.chain.mine()

    async def state(self, nonce: int = 0) -> str:
        entry = await self.store.read(journal.find, self.relayer.account, nonce)
        assert entry is not None
        return str(entry.state)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.store.close()


async def test_a_job_becomes_final_once_proven_in_a_final_block(world: World) -> None:
    await world.put()
    assert await world.state() == journal.QUEUED
    await world.turns(1)
    assert await world.state() == journal.SUBMITTED
    await world.turns(1)
    assert await world.state() == journal.INCLUDED
    await world.turns(DEPTH)
    assert await world.state() == journal.FINAL
    assert world.news == [(0, "included"), (0, "final")]
    [news] = world.proven
    assert news.receipt is not None
    assert news.proven is not None
    assert news.proven.event(news.receipt, 0).transaction == 0
    assert await world.relayer.turn() == 0
    assert await world.store.read(journal.counts, world.relayer.account) == {"final": 1}


async def test_many_jobs_go_in_the_order_of_their_nonces(world: World) -> None:
    for size in range(1, 6):
        assert await world.put(size) == size - 1
    await world.turns(2 + DEPTH)
    assert [nonce for nonce, state in world.news if state == "final"] == [0, 1, 2, 3, 4]
    assert len(world.chain.blocks[1].receipts) == 5


async def test_a_transaction_a_server_drops_is_sent_again_with_the_same_bytes(
    world: World,
) -> None:
    world.rpc.drops = True
    await world.put()
    await world.turns(3)
    world.rpc.drops = False
    await world.turns(2 + DEPTH)
    assert await world.state() == journal.FINAL
    assert len({sent.raw for sent in world.rpc.sent}) == 1
    assert len(world.rpc.sent) >= 4


async def test_a_stuck_transaction_is_replaced_with_the_same_nonce_an_eighth_dearer(
    world: World,
) -> None:
    world.chain.lowest = 30 * GWEI
    await world.put()
    await world.turns(2)
    first = 2 * BASE_FEE + GWEI
    assert [sent.price for sent in world.rpc.sent] == [first, first]
    for _ in range(8):
        world.now += 61_000
        await world.turns(1)
    await world.turns(1 + DEPTH)
    assert await world.state() == journal.FINAL
    prices = list(dict.fromkeys(sent.price for sent in world.rpc.sent))
    assert {sent.nonce for sent in world.rpc.sent} == {0}
    assert prices[-1] >= 30 * GWEI
    assert all(8 * after >= 9 * before for before, after in pairwise(prices))


async def test_a_stuck_transaction_never_costs_more_than_the_cap() -> None:
    world = World(FeePolicy("eip1559", 16 * GWEI, GWEI, stuck_after=60))
    world.chain.lowest = 30 * GWEI
    await world.put()
    for _ in range(5):
        world.now += 61_000
        await world.turns(1)
    assert max(sent.price for sent in world.rpc.sent) <= 16 * GWEI
    assert "chain_fee_over_cap" in world.alarms
    world.store.close()


async def test_a_cheaper_attempt_may_win_over_its_replacement(world: World) -> None:
    world.chain.lowest = 10**12
    await world.put()
    await world.turns(1)
    original = world.rpc.sent[0]
    world.now += 61_000
    await world.turns(1)
    world.chain.pool[(original.sender, 0)] = original
    world.chain.lowest = 0
    world.chain.mine()
    await world.turns(1 + DEPTH)
    assert await world.state() == journal.FINAL
    assert world.proven[0].entry.hash == original.hash


async def test_r21_what_a_reorg_takes_back_is_sent_again_and_told(world: World) -> None:
    await world.put()
    await world.turns(2)
    assert await world.state() == journal.INCLUDED
    world.chain.reorg(2)
    await world.turns(1, mine=False)
    assert await world.state() == journal.SUBMITTED
    await world.turns(4 + DEPTH)
    assert await world.state() == journal.FINAL
    states = [state for _, state in world.news]
    assert states == ["included", "submitted", "included", "final"]
    assert len({sent.raw for sent in world.rpc.sent}) == 1


async def test_inclusion_in_another_block_is_told_again(world: World) -> None:
    await world.put()
    await world.turns(2)
    sent = world.rpc.sent[0]
    world.chain.reorg(2)
    world.chain.pool[(sent.sender, 0)] = sent
    world.chain.mine()
    await world.turns(1, mine=False)
    assert [state for _, state in world.news] == ["included", "included"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_a_crash_at_any_moment_loses_nothing_and_sends_nothing_twice(
    world: World, turns: int
) -> None:
    await world.put(1)
    await world.put(2)
    await world.turns(turns)
    world.restart()
    await world.turns(4 + DEPTH)
    assert {await world.state(0), await world.state(1)} == {journal.FINAL}
    assert sum(len(mined.receipts) for mined in world.chain.blocks) == 2


async def test_nothing_is_sent_before_its_bytes_are_durable(world: World) -> None:
    await world.put()
    await world.relayer.turn()
    world.chain.pool.clear()
    world.rpc.sent.clear()
    await world.put(2)
    world.store.fails = True
    with pytest.raises(UnavailableError):
        await world.relayer.turn()
    assert {sent.nonce for sent in world.rpc.sent} == {0}


async def test_a_reverted_call_ends_as_failed(world: World) -> None:
    await world.relayer.submit(Job("anchor", word(1), CONTRACT, b"fail", 80_000))
    await world.turns(2 + DEPTH)
    assert await world.state() == journal.FAILED


async def test_a_nonce_that_something_else_used_is_given_up_and_the_job_queued_again(
    world: World,
) -> None:
    world.rpc.drops = True
    await world.put()
    await world.turns(1)
    foreign = Transaction(CHAIN_ID, 0, CONTRACT, b"other", 21_000, Fee(100 * GWEI))
    world.chain.pool[(SIGNER.address, 0)] = read(sign(foreign, SIGNER).raw)
    world.chain.mine()
    world.rpc.drops = False
    await world.turns(4 + 2 * DEPTH)
    assert await world.state(0) == journal.LOST
    assert await world.state(1) == journal.FINAL
    assert world.alarms == ["chain_nonce_taken"]
    assert [e.state for e in await world.store.read(journal.of_reference, "anchor", word(1))] == [
        "lost",
        "final",
    ]


async def test_a_store_restored_from_an_old_copy_goes_on_behind_the_chain(world: World) -> None:
    world.chain.base[SIGNER.address] = 7
    queued = await world.put()
    assert queued == 0
    await world.turns(2 + DEPTH)
    assert await world.state(0) == journal.LOST
    assert await world.state(7) == journal.FINAL
    assert await world.put(2) == 8


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Sending("poor", "insufficient funds"), "chain_account_poor"),
        (Sending("other", "txpool is full"), "chain_send_refused"),
    ],
)
async def test_what_holds_sending_back_is_alarmed_once_and_shown(
    world: World, said: Sending, code: str
) -> None:
    world.rpc.says = said
    await world.put(1)
    await world.put(2)
    await world.turns(3)
    assert world.alarms == [code]
    assert world.relayer.held_back == code
    world.rpc.says = None
    await world.turns(2 + DEPTH)
    assert world.relayer.held_back == ""
    assert await world.state(1) == journal.FINAL


async def test_a_fee_over_the_cap_waits(world: World) -> None:
    poor = World(FeePolicy("eip1559", GWEI, GWEI))
    await poor.put()
    await poor.turns(2)
    assert poor.rpc.sent == []
    assert poor.alarms == ["chain_fee_over_cap"]
    poor.store.close()


async def test_an_unreachable_chain_is_unavailable_and_the_job_waits(world: World) -> None:
    await world.put()
    world.rpc.down = True
    with pytest.raises(UnavailableError):
        await world.relayer.turn()
    assert await world.state() == journal.QUEUED


async def test_a_receipt_that_no_final_block_holds_makes_nothing_final(world: World) -> None:
    await world.put()
    await world.turns(1)
    transaction = world.rpc.sent[0].hash
    honest = world.chain.blocks[1].receipts[0]
    world.chain.mine(5)
    world.rpc.receipt = lambda _: _answer(replace(honest, block_hash=b"x" * 32))
    with pytest.raises(UnavailableError):
        await world.relayer.turn()
    assert await world.state() != journal.FINAL
    assert honest.transaction == transaction


async def _answer(value: Any) -> Any:
    return value


OPERATIONS = st.sampled_from(
    ["put", "mine", "mine", "mine", "reorg", "drops", "heals", "heals", "restart", "later", "down"]
)


@given(st.lists(OPERATIONS, max_size=40))
def test_every_job_is_done_exactly_once_whatever_happens_on_the_way(steps: list[str]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[str]) -> None:
    world = World()
    jobs = 0
    for step in steps:
        if step == "put":
            jobs += 1
            await world.put(jobs)
        else:
            _step(world, step)
        with suppress(UnavailableError):
            await world.relayer.turn()
    world.rpc.down = world.rpc.drops = False
    for _ in range(12 + 4 * DEPTH):
        world.now += 61_000
        await world.turns(1)
    mined = [receipt for each in world.chain.blocks for receipt in each.receipts]
    sizes = [int.from_bytes(receipt.logs[0].data[:32], "big") for receipt in mined]
    assert sizes == list(range(1, jobs + 1))
    counts = await world.store.read(journal.counts, world.relayer.account)
    assert counts == ({"final": jobs} if jobs else {})
    assert "chain_nonce_taken" not in world.alarms
    world.store.close()


def _step(world: World, step: str) -> None:
    if step == "mine":
        world.chain.mine()
    elif step == "reorg" and len(world.chain.blocks) > DEPTH:
        world.chain.reorg(DEPTH)  # what is final is never taken back
    elif step == "restart":
        world.restart()
    elif step == "later":
        world.now += 61_000
    elif step in ("drops", "heals"):
        world.rpc.drops = step == "drops"
        world.rpc.down = False
    elif step == "down":
        world.rpc.down = True
