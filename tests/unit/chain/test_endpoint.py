"""web3 behind our own transport, against the development chain and against servers of garbage."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ledger import contracts
from ledger.chain import Endpoint
from ledger.chain_client import ChainClient
from ledger.chain_settings import ChainConfig, FeePolicy, Finality
from ledger.contracts import ANCHORS
from node.http.listening import Listening
from protocols.evm.calls import ANCHOR, ANCHORED, LATEST, OPEN, call, read_latest
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.title import padded, word
from protocols.evm.transaction import FREE, Transaction, sign
from schemas.errors import UnavailableError
from testnet.devchain import DEFAULT_CHAIN_ID, DevChain, DevChainSettings
from testnet.devchain_evm import MAX_LEAD, DevEvm

SIGNER = SoftwareEvmSigner(keccak256(b"relayer"))
ORIGIN = b"o" * 32
#: It mines when it is told to: what is sent together stands in one block, however slow we are.
ON_DEMAND = DevChainSettings(block_time=86_400.0)


def endpoint(url: str, **changes: Any) -> Endpoint:
    return Endpoint(url, **({"deadline": 60.0, "max_answer": 1_000_000} | changes))


@asynccontextmanager
async def devchain() -> AsyncIterator[tuple[DevChain, Endpoint]]:
    chain = DevChain(ON_DEMAND)
    await chain.start()
    rpc = endpoint(chain.url)
    try:
        yield chain, rpc
    finally:
        await rpc.close()
        await chain.stop()


def raw(nonce: int, to: bytes, data: bytes) -> bytes:
    return sign(Transaction(DEFAULT_CHAIN_ID, nonce, to, data, 100_000, FREE), SIGNER).raw


async def test_everything_that_is_asked_of_a_chain_is_answered() -> None:
    begin = int(time.time())
    async with devchain() as (chain, rpc):
        code = contracts.load(ANCHORS)
        assert await rpc.chain_id() == DEFAULT_CHAIN_ID
        assert keccak256(await rpc.code(chain.anchors)) == code.runtime_hash
        assert await rpc.balance(SIGNER.address) == 0
        sent = [raw(0, chain.anchors, call(OPEN, ORIGIN))]
        sent += [
            raw(size, chain.anchors, call(ANCHOR, ORIGIN, word(size), b"r" * 32)) for size in (1, 2)
        ]
        for item in sent:
            assert (await rpc.send(item)).kind == "taken"
        await chain.mine()
        assert (await rpc.send(sent[0])).kind == "taken"  # already known
        assert (await rpc.send(raw(0, chain.anchors, b""))).kind == "spent"
        assert await rpc.nonce(SIGNER.address, "latest") == 3
        receipt = await rpc.receipt(keccak256(sent[2]))
        assert receipt is not None
        assert receipt.succeeded
        block = await rpc.block(receipt.block)
        assert block is not None
        assert block.checked(qbft=False).transactions[-1] == keccak256(sent[2])
        assert await rpc.block(block.hash) == block
        whole = await rpc.receipts(block)
        assert await rpc._one_by_one(block.transactions) == list(whole)
        answer = await rpc.call(
            chain.anchors, call(LATEST, padded(SIGNER.address), ORIGIN), block.number
        )
        assert read_latest(answer) == (2, b"r" * 32, block.time)
        found = await rpc.logs(chain.anchors, [ANCHORED, None], 0, block.number)
        assert [log.log for log in found] == [receipt.logs[0] for receipt in whole[1:]]
        assert await rpc.block(999) is None
        assert await rpc.receipt(bytes(32)) is None
        assert await rpc.gas_price() == 0
        with pytest.raises(UnavailableError):
            await rpc.call(chain.anchors, b"\xff\xff\xff\xff", "latest")
        assert begin <= block.time <= time.time() + MAX_LEAD


async def test_a_client_connects_by_itself_and_asserts_the_contract() -> None:
    async with devchain() as (chain, _):
        config = ChainConfig(
            (chain.url,), DEFAULT_CHAIN_ID, Finality("finalized"), FeePolicy("zero")
        )
        client = ChainClient(config)
        client.require_code(chain.anchors, contracts.load(ANCHORS).runtime_hash)
        await client.start()
        assert await client.final_number() == 1
        await client.close()


async def test_the_development_chain_answers_wrong_questions_with_errors() -> None:
    async with devchain() as (chain, _), aiohttp.ClientSession() as session:

        async def ask(body: Any) -> Any:
            data = body if isinstance(body, bytes) else json.dumps(body)
            async with session.post(chain.url, data=data) as response:
                return await response.json()

        def one(method: Any, *params: Any) -> dict[str, Any]:
            return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}

        for wrong, code in (
            (b"{", -32700),
            (7, -32600),
            ([], -32600),
            (one("eth_sign"), -32601),
            (one(7), -32600),
            ({"jsonrpc": "2.0", "id": 1}, -32600),
            (one("eth_getBalance", "0x00"), -32602),
            (one("eth_getBalance", "0x" + "11" * 20, "0xffff"), -32000),
            (one("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0xffffff"}), -32005),
            (one("eth_sendRawTransaction", "0x00"), -32000),
            (one("eth_sendRawTransaction"), -32602),
        ):
            assert (await ask(wrong))["error"]["code"] == code
        foreign = sign(Transaction(5, 0, chain.anchors, b"", 100_000, FREE), SIGNER).raw
        assert (
            "chain id"
            in (await ask(one("eth_sendRawTransaction", "0x" + foreign.hex())))["error"]["message"]
        )
        several = await ask([one("eth_chainId"), one("net_version"), one("evm_mine")])
        assert [each["result"] for each in several] == ["0x539", "1337", "0x0"]
        unnamed = await ask([one("eth_chainId"), {"jsonrpc": "2.0", "id": 2, "params": []}, 7])
        assert [each.get("error", {}).get("code") for each in unnamed] == [None, -32600, -32600]
        earliest = await ask(one("eth_getBlockByNumber", "earliest", False))
        assert earliest["result"]["number"] == "0x0"
        where = {"blockHash": earliest["result"]["hash"], "topics": [["0x" + "00" * 32]]}
        assert (await ask(one("eth_getLogs", where)))["result"] == []
        assert (await ask(one("eth_feeHistory")))["result"]["baseFeePerGas"] == ["0x0", "0x0"]
        assert (await ask(one("eth_getTransactionByHash", "0x" + "00" * 32)))["result"] is None
        stored = one("eth_getStorageAt", "0x" + chain.anchors.hex(), "0x0")
        assert (await ask(stored))["result"] == "0x" + "00" * 32


def test_block_times_never_run_far_ahead_of_the_clock() -> None:
    now = [1_795_000_000.0]
    evm = DevEvm(5, clock=lambda: now[0])
    for _ in range(6):
        now[0] += evm.due_in()
        evm.mine()
        assert evm.head.header.timestamp <= now[0] + MAX_LEAD
    assert now[0] > 1_795_000_000.0


def test_the_chains_libraries_do_not_raise_the_recursion_limit_for_the_process() -> None:
    code = "import sys, ledger.chain, testnet.devchain; sys.exit(sys.getrecursionlimit() != 1000)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


@asynccontextmanager
async def server(answer: Any) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        asked = await request.json()
        made = answer(asked) if callable(answer) else answer
        if asyncio.iscoroutine(made):
            made = await made
        if isinstance(made, web.Response):
            return made
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"]} | made)

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    listening = await Listening.start(runner, 0)
    try:
        yield f"http://127.0.0.1:{listening.port}"
    finally:
        await listening.close()


DEEP = b'{"jsonrpc":"2.0","id":0,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "answer",
    [
        {"result": None},
        {"result": "0xzz"},
        {"result": -1},
        {"result": {"number": "0x1"}},
        {"result": {"blockNumber": "x", "logs": 5}},
        {"result": ["0x1"]},
        {"error": {"code": -32000, "message": "header not found"}},
        {"error": {"code": -32000}},
        {"error": "no"},
        {"result": "0x" + "f" * 5000},
        {},
        web.Response(status=200, text="[]", content_type="application/json"),
        web.Response(status=502, text="Bad Gateway"),
        web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}),
        web.Response(body=b"\xff\xfe"),
        web.Response(body=DEEP),
    ],
)
async def test_r13_garbage_from_a_server_is_unavailable_and_nothing_else(answer: Any) -> None:
    def made(_: Any) -> Any:
        if isinstance(answer, web.Response):
            return web.Response(
                status=answer.status, body=answer.body, headers={"Location": "http://127.0.0.1:1/"}
            )
        return answer

    async with server(made) as url:
        rpc = endpoint(url)
        for ask in (
            lambda: rpc.block("latest"),
            lambda: rpc.receipt(bytes(32)),
            lambda: rpc.logs(b"a" * 20, [None], 0, 1),
            rpc.chain_id,
            rpc.gas_price,
            lambda: rpc.call(b"a" * 20, b"", 1),
            lambda: rpc.nonce(b"a" * 20, 1),
        ):
            try:
                found = await ask()
            except UnavailableError:
                continue
            # Nothing at all is an answer to some questions, a number to others.
            assert found is None or isinstance(found, int | bytes | tuple)
        said = None
        with suppress(UnavailableError):
            said = await rpc.send(b"raw")
        assert said is None or said.kind in {"taken", "other"}
        await rpc.close()


async def test_an_answer_is_cut_off_at_its_cap_and_a_call_at_its_deadline() -> None:
    async with server({"result": "0x" + "00" * 5000}) as url:
        rpc = endpoint(url, max_answer=1000)
        with pytest.raises(UnavailableError) as caught:
            await rpc.code(b"a" * 20)
        assert "1000" in caught.value.detail
        await rpc.close()

    async def never(_: Any) -> None:
        await asyncio.sleep(30)

    async with server(never) as url:
        rpc = endpoint(url, deadline=0.05)
        with pytest.raises(UnavailableError):
            await rpc.chain_id()
        await rpc.close()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("already known", "taken"),
        ("nonce too low: next nonce 5", "spent"),
        ("replacement transaction underpriced", "cheap"),
        ("Upfront cost exceeds account balance", "poor"),
        ("insufficient funds for gas * price + value", "poor"),
        ("txpool is full", "other"),
    ],
)
async def test_what_servers_say_to_a_transaction_is_understood(message: str, kind: str) -> None:
    async with server({"error": {"code": -32000, "message": message}}) as url:
        rpc = endpoint(url)
        assert (await rpc.send(b"raw")).kind == kind
        await rpc.close()


async def test_servers_without_block_receipts_are_asked_for_each() -> None:
    async with devchain() as (chain, rpc):
        await rpc.send(raw(0, chain.anchors, call(OPEN, ORIGIN)))
        await chain.mine()
        block = await rpc.block("latest")
        assert block is not None
        whole = await rpc.receipts(block)

        async def forward(asked: Any) -> Any:
            if asked["method"] == "eth_getBlockReceipts":
                return {"error": {"code": -32601, "message": "the method is not available"}}
            async with (
                aiohttp.ClientSession() as session,
                session.post(chain.url, json=asked) as response,
            ):
                return await response.json()

        async with server(forward) as url:
            old = endpoint(url)
            assert await old.receipts(block) == whole
            await old.close()
