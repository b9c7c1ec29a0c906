"""The chain client on anvil: real blocks, reorgs, restarts, stuck pools, lost and lying RPC."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger import chain_journal as journal
from ledger import contracts
from ledger.chain_client import ChainClient
from ledger.chain_journal import Job
from ledger.chain_relayer import News, Relayer
from ledger.chain_settings import ChainConfig, FeePolicy, Finality
from protocols.evm.anchor_proof import origin_hash
from protocols.evm.calls import ANCHOR, ANCHORED, LATEST, OPEN, call, read_latest
from protocols.evm.keys import SoftwareEvmSigner, checksum_text, keccak256
from protocols.evm.proof import verify_event
from protocols.evm.title import padded, word
from protocols.evm.transaction import created_address
from schemas.errors import SettingsError, UnavailableError
from testnet.anvil import Anvil, find_anvil, running_anvil
from testnet.ports import free_port
from tests.integration.chain.rpc_proxy import running_proxy
from tests.support.chain_store import MemoryStore

CHAIN_ID = 31337
ORIGIN = origin_hash("port.example/log/1")
ROOT = b"r" * 32
FREE_OF_CHARGE = ("--base-fee", "0", "--gas-price", "0")
SLOW = ("--no-mining",)


@pytest.fixture(scope="module")
def program() -> Path:
    found = find_anvil()
    if found is None:
        reason = "anvil is not installed (npm i @foundry-rs/anvil, or PRATIQUE_ANVIL)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Relay:
    """One relayer of one chain, with its own store and key."""

    def __init__(self, *urls: str, name: bytes = b"one", depth: int = 1, **config: Any) -> None:
        fee = config.pop("fee", FeePolicy("zero"))
        settings = ChainConfig(urls, CHAIN_ID, Finality("depth", depth), fee, **config)
        self.alarms: list[str] = []
        self.news: list[tuple[int, str]] = []
        self.last: News | None = None
        self.client = ChainClient(settings, alarm=lambda told: self.alarms.append(told.code))
        self.signer = SoftwareEvmSigner(keccak256(name))
        self.store = MemoryStore()
        self.relayer = self._relayer()
        self.contract = b""

    def _relayer(self) -> Relayer:
        made = Relayer(
            self.client, self.signer, self.store, lambda: int(time.time() * 1000),
            alarm=lambda told: self.alarms.append(told.code),
        )  # fmt: skip
        for purpose in ("deploy", "open", "anchor"):
            made.on(purpose, self._heard)
        return made

    def _heard(self, _conn: Any, news: News) -> None:
        self.news.append((news.entry.nonce, news.entry.state))
        self.last = news

    def restart(self) -> None:
        self.relayer = self._relayer()

    async def deploy(self, anvil: Anvil) -> None:
        code = contracts.load(contracts.ANCHORS).bytecode
        nonce = await self.relayer.submit(Job("deploy", word(0), None, code, 2_000_000))
        self.contract = created_address(self.signer.address, nonce)
        await self.finish(anvil)

    async def open(self) -> None:
        data = call(OPEN, ORIGIN)
        await self.relayer.submit(Job("open", ORIGIN, self.contract, data, 100_000))

    async def anchor(self, size: int) -> None:
        data = call(ANCHOR, ORIGIN, word(size), ROOT)
        await self.relayer.submit(Job("anchor", word(size), self.contract, data, 80_000))

    async def finish(self, anvil: Anvil | None, turns: int = 40) -> None:
        for _ in range(turns):
            if not await self.relayer.turn():
                return
            if anvil is not None:
                await anvil.mine()
        raise AssertionError(self.news)

    async def latest(self) -> tuple[int, bytes, int]:
        at = await self.client.final_number()
        asked = call(LATEST, padded(self.signer.address), ORIGIN)
        return read_latest(await self.client.call(self.contract, asked, at=at))

    async def close(self) -> None:
        await self.client.close()
        self.store.close()


@asynccontextmanager
async def relaying(*urls: str, **config: Any) -> AsyncIterator[Relay]:
    made = Relay(*urls, **config)
    try:
        yield made
    finally:
        await made.close()


async def test_r21_real_reorgs_take_anchors_back_and_the_same_bytes_bring_them_again(
    program: Path,
) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE, *SLOW))
        relay = await stack.enter_async_context(relaying(anvil.url, depth=3))
        await relay.deploy(anvil)
        await relay.open()
        await relay.finish(anvil)
        relay.news.clear()
        await relay.anchor(5)
        await relay.relayer.turn()
        await anvil.mine()
        await relay.relayer.turn()
        assert relay.news == [(2, "included")]
        before = await relay.store.read(journal.attempts_of, relay.relayer.account, 2)
        await anvil.ask("anvil_reorg", 2, [])
        assert await relay.client.sightings(before[0].hash) == ()
        await relay.finish(anvil)
        assert [state for _, state in relay.news] == ["included", "submitted", "included", "final"]
        after = await relay.store.read(journal.attempts_of, relay.relayer.account, 2)
        assert after == before
        assert (await relay.latest())[:2] == (5, ROOT)
        assert relay.last is not None
        assert relay.last.proven is not None
        assert relay.last.receipt is not None
        proof = relay.last.proven.event(relay.last.receipt, 0)
        assert verify_event(proof, relay.contract).log.topics[0] == ANCHORED
        assert relay.last.entry.gas_used is not None
        assert relay.last.entry.gas_used <= 40_000


async def test_many_transactions_share_a_block_and_each_is_proven(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE, *SLOW))
        relay = await stack.enter_async_context(relaying(anvil.url))
        await relay.deploy(anvil)
        await relay.open()
        for size in range(1, 31):
            await relay.anchor(size)
        await relay.finish(anvil)
        last = await relay.client.final_number()
        found = await relay.client.final_logs(relay.contract, [ANCHORED, ORIGIN], 0, last)
        assert [int.from_bytes(each.log.data[:32], "big") for each in found] == list(range(1, 31))
        assert len({each.block for each in found}) == 1
        for each in found[::7]:
            assert verify_event(await relay.client.prove_log(each), relay.contract).log == each.log


async def test_a_restart_of_chain_and_relayer_goes_on_where_both_were(
    program: Path, tmp_path: Path
) -> None:
    state = ("--state", str(tmp_path / "state.json"), *FREE_OF_CHARGE, *SLOW)
    port = free_port()
    async with relaying(f"http://127.0.0.1:{port}") as relay:
        async with running_anvil(program, *state, port=port) as anvil:
            await relay.deploy(anvil)
            await relay.open()
            await relay.finish(anvil)
            await relay.anchor(3)
            await relay.relayer.turn()  # in the pool, which does not survive
        with pytest.raises(UnavailableError):
            await relay.relayer.turn()
        relay.restart()
        async with running_anvil(program, *state, port=port) as anvil:
            await relay.finish(anvil)
            assert (await relay.latest())[0] == 3
    assert relay.news[-1] == (2, "final")


async def test_two_relayers_never_disturb_each_other(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE, *SLOW))
        one = await stack.enter_async_context(relaying(anvil.url, name=b"one"))
        two = await stack.enter_async_context(relaying(anvil.url, name=b"two"))
        await one.deploy(anvil)
        two.contract = one.contract
        for relay in (one, two):
            await relay.open()
            for size in range(1, 6):
                await relay.anchor(size * (2 if relay is two else 1))
        for number in range(12):
            await asyncio.gather(one.relayer.turn(), two.relayer.turn())
            await anvil.mine()
            if number == 1:
                await anvil.ask("anvil_reorg", 1, [])
        await one.finish(anvil)
        await two.finish(anvil)
        assert (await one.latest())[0] == 5
        assert (await two.latest())[0] == 10
        assert [state for _, state in one.news].count("final") == 7
        assert [state for _, state in two.news].count("final") == 6


async def test_a_stuck_transaction_is_replaced_in_the_pool(program: Path) -> None:
    fee = FeePolicy("eip1559", 100 * 10**9, 10**9, stuck_after=0.05)
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *SLOW))
        relay = await stack.enter_async_context(relaying(anvil.url, fee=fee))
        rich = checksum_text(relay.signer.address)
        await anvil.ask("anvil_setBalance", rich, hex(10**20))
        await relay.deploy(anvil)
        await relay.open()
        for _ in range(4):
            await relay.relayer.turn()
            await asyncio.sleep(0.06)
        attempts = await relay.store.read(journal.attempts_of, relay.relayer.account, 1)
        assert len(attempts) >= 3
        pending = await anvil.ask("txpool_content")
        [waiting] = [item for each in pending["pending"].values() for item in each.values()]
        assert int(waiting["maxFeePerGas"], 16) == attempts[-1].fee.price
        await relay.finish(anvil)
        assert (await relay.latest())[2] > 0


async def test_an_account_without_funds_is_said_to_be_one(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program))
        relay = await stack.enter_async_context(relaying(anvil.url, fee=FeePolicy("eip1559")))
        await relay.relayer.submit(Job("deploy", word(0), None, b"\x00", 100_000))
        await relay.relayer.turn()
        assert relay.alarms == ["chain_account_poor"]
        assert await relay.client.balance(relay.signer.address) == 0


async def test_lost_answers_and_lost_addresses_lose_nothing(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE, *SLOW))
        proxy = await stack.enter_async_context(running_proxy(anvil.url))
        relay = await stack.enter_async_context(relaying(proxy.url))
        await relay.deploy(anvil)
        await relay.open()
        chance = random.Random(4)
        proxy.drop = lambda _: chance.random() < 0.25
        done = False
        for _ in range(80):
            try:
                done = not await relay.relayer.turn()
            except UnavailableError:
                continue
            if done:
                break
            await anvil.mine()
        assert done
        proxy.drop = lambda _: False
        assert (await relay.latest())[2] > 0
        backup = await stack.enter_async_context(relaying(proxy.url, anvil.url, agree=1))
        proxy.drop = lambda _: True
        assert await backup.client.final_number() >= 2


async def test_r21_a_lying_address_makes_nothing_final_and_is_alarmed(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE, *SLOW))
        proxy = await stack.enter_async_context(running_proxy(anvil.url))
        relay = await stack.enter_async_context(relaying(proxy.url, anvil.url, agree=2))
        await relay.deploy(anvil)
        relay.news.clear()

        def forged_block(method: str, result: Any) -> Any:
            if method == "eth_getBlockByNumber" and result:
                return result | {"hash": "0x" + "77" * 32}
            return result

        proxy.lie = forged_block
        await relay.open()
        with pytest.raises(UnavailableError):
            await relay.finish(anvil)
        assert "final" not in [state for _, state in relay.news]
        assert "chain_lies" in relay.alarms

        def hidden_receipt(method: str, result: Any) -> Any:
            return None if method == "eth_getTransactionReceipt" else result

        proxy.lie = hidden_receipt
        await relay.finish(anvil)
        assert relay.news[-1] == (1, "final")


async def test_another_chain_id_and_other_code_are_refused_at_start(program: Path) -> None:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(
            running_anvil(program, *FREE_OF_CHARGE, chain_id=CHAIN_ID + 1)
        )
        wrong = await stack.enter_async_context(relaying(anvil.url))
        with pytest.raises(SettingsError) as caught:
            await wrong.client.start()
        assert caught.value.code == "chain_id_mismatch"
        right = await stack.enter_async_context(running_anvil(program, *FREE_OF_CHARGE))
        other = await stack.enter_async_context(relaying(right.url))
        other.client.require_code(b"\x12" * 20, contracts.load(contracts.ANCHORS).runtime_hash)
        with pytest.raises(SettingsError) as caught:
            await other.client.start()
        assert caught.value.code == "chain_code_mismatch"
