"""An EVM chain for development, tests and the demo: JSON-RPC on loopback, from pip alone.

The chain client talks to it as to any other server. It mines as soon as a transaction waits (or
at a fixed pace), charges nothing for gas, holds everything in memory and forgets it when it ends.
`finalized` is the newest block: there is one producer and nothing is ever taken back. The anchor
contract stands at the same address in every run; whoever needs another contract deploys it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web

from ledger import contracts
from node.http.listening import Listening
from protocols.evm.keys import ADDRESS_BYTES, SoftwareEvmSigner, checksum_text, keccak256
from protocols.evm.transaction import FREE, Transaction, created_address, sign
from testnet.devchain_evm import (
    BLOCK_GAS,
    ChainError,
    DevEvm,
    MinedBlock,
    MinedLog,
    MinedTransaction,
)

T = TypeVar("T")
DEFAULT_CHAIN_ID: Final = 1337
MAX_BODY: Final = 4 * 1024 * 1024
MAX_BATCH: Final = 100
MAX_RANGE: Final = 100_000
LINGER: Final = 0.02
"""Seconds in which transactions gather into one block."""
DEPLOY_GAS: Final = 5_000_000
_DEPLOYER: Final = SoftwareEvmSigner(keccak256(b"pratique development chain"))
_UNCLES: Final = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"


@dataclass(frozen=True, slots=True)
class DevChainSettings:
    """block_time: seconds between blocks, empty ones, too; 0 mines when something waits."""

    chain_id: int = DEFAULT_CHAIN_ID
    host: str = "127.0.0.1"
    port: int = 0
    block_time: float = 0.0


class DevChain:
    """The running server; `url` and `anchors` are there once it is started."""

    def __init__(self, settings: DevChainSettings | None = None) -> None:
        """Nothing is made yet."""
        self.settings = settings or DevChainSettings()
        self.url = ""
        self.anchors = created_address(_DEPLOYER.address, 0)
        self._thread = ThreadPoolExecutor(1, "devchain")
        self._listening: Listening | None = None
        self._mining: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Make the chain, deploy the anchor contract, listen."""
        self._evm = await self._run(lambda: DevEvm(self.settings.chain_id))
        creation = contracts.load(contracts.ANCHORS).bytecode
        made = Transaction(self.settings.chain_id, 0, None, creation, DEPLOY_GAS, FREE)
        await self._run(lambda: self._evm.add(sign(made, _DEPLOYER).raw))
        await self._run(self._evm.mine)
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post("/", self._answer)
        runner, host = web.AppRunner(application, access_log=None), self.settings.host
        self._listening = await Listening.start(runner, self.settings.port, host=host)
        self.url = f"http://{host}:{self._listening.port}"
        self._mining = asyncio.create_task(self._mine(), name="devchain.mine")

    async def stop(self) -> None:
        """Stop listening and forget everything."""
        if self._mining is not None:
            self._mining.cancel()
            await asyncio.gather(self._mining, return_exceptions=True)
        if self._listening is not None:
            await self._listening.close()
        self._thread.shutdown()

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    # -- mining --------------------------------------------------------------------------------

    async def _mine(self) -> None:
        pace = self.settings.block_time
        while True:
            if pace:
                await asyncio.sleep(pace)
            else:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(max(LINGER, self._evm.due_in()))
            await self._run(self._evm.mine)
            if await self._run(self._evm.waiting):
                self._wake.set()

    async def mine(self, blocks: int = 1) -> None:
        """Mine now, empty or not; ahead of the clock if need be."""
        for _ in range(blocks):
            await self._run(self._evm.mine)

    # -- JSON-RPC ------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            asked = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return _json(_error(None, ChainError("not JSON", -32700)))
        if isinstance(asked, list) and asked:
            return _json([await self._one(item) for item in asked[:MAX_BATCH]])
        return _json(await self._one(asked))

    async def _one(self, asked: Any) -> dict[str, Any]:
        # JSON-RPC 2.0 §5.1: without the name of a method, a text, it is no request at all.
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return _error(None, ChainError("not a request", -32600))
        name, parameters = asked["method"], asked.get("params") or []
        method = _METHODS.get(name)
        if method is None or not isinstance(parameters, list):
            unknown = ChainError(f"the method {name[:40]} is not available", -32601)
            return _error(asked.get("id"), unknown)
        try:
            result = await method(self, parameters)
        except ChainError as error:
            return _error(asked.get("id"), error)
        except (ValueError, TypeError, LookupError) as error:
            return _error(asked.get("id"), ChainError(f"invalid params: {error}"[:200], -32602))
        return {"jsonrpc": "2.0", "id": asked.get("id"), "result": result}

    async def _send(self, parameters: list[Any]) -> str:
        raw = _octets(parameters[0])
        found = await self._run(lambda: self._evm.add(raw))
        self._wake.set()
        return _hex(found)

    async def _evm_mine(self, _parameters: list[Any]) -> str:
        await self.mine()
        return "0x0"

    async def _read(self, name: str, parameters: list[Any]) -> Any:
        return await self._run(lambda: _READERS[name](self._evm, parameters))


def _json(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _error(identifier: Any, error: ChainError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.data is not None:
        told["data"] = error.data
    return {"jsonrpc": "2.0", "id": identifier, "error": told}


# Reading: what the chain holds, in the words of the Ethereum JSON-RPC specification.


def _octets(text: Any, size: int | None = None) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError("bytes are 0x and hexadecimal digits")
    made = bytes.fromhex(text[2:])
    if size is not None and len(made) != size:
        raise ValueError(f"{size} bytes are expected")
    return made


def _hex(value: bytes | int) -> str:
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def _at(evm: DevEvm, parameters: list[Any], place: int) -> MinedBlock:
    which = parameters[place] if len(parameters) > place else "latest"
    found = _block(evm, which)
    if found is None:
        raise ChainError("header not found")
    return found


def _block(evm: DevEvm, which: Any) -> MinedBlock | None:
    if which in ("latest", "pending", "safe", "finalized"):
        return evm.head
    if which == "earliest":
        return evm.block(0)
    return evm.block(int(which, 16))


def _by_hash(evm: DevEvm, parameters: list[Any]) -> dict[str, Any] | None:
    return _block_json(evm.block_of_hash(_octets(parameters[0], 32)))


def _by_number(evm: DevEvm, parameters: list[Any]) -> dict[str, Any] | None:
    return _block_json(_block(evm, parameters[0]))


def _block_json(found: MinedBlock | None) -> dict[str, Any] | None:
    if found is None:
        return None
    header = found.header
    return {
        "hash": _hex(bytes(header.hash)),
        "parentHash": _hex(bytes(header.parent_hash)),
        "sha3Uncles": _UNCLES,
        "miner": checksum_text(bytes(header.coinbase)),
        "stateRoot": _hex(bytes(header.state_root)),
        "transactionsRoot": _hex(bytes(header.transaction_root)),
        "receiptsRoot": _hex(bytes(header.receipt_root)),
        "logsBloom": _hex(int(header.bloom).to_bytes(256, "big")),
        "difficulty": _hex(int(header.difficulty)),
        "number": _hex(int(header.block_number)),
        "gasLimit": _hex(int(header.gas_limit)),
        "gasUsed": _hex(int(header.gas_used)),
        "timestamp": _hex(int(header.timestamp)),
        "extraData": _hex(bytes(header.extra_data)),
        "mixHash": _hex(bytes(header.mix_hash)),
        "nonce": _hex(bytes(header.nonce)),
        "baseFeePerGas": _hex(int(header.base_fee_per_gas)),
        "withdrawalsRoot": _hex(bytes(header.withdrawals_root)),
        "blobGasUsed": _hex(int(header.blob_gas_used)),
        "excessBlobGas": _hex(int(header.excess_blob_gas)),
        "parentBeaconBlockRoot": _hex(bytes(header.parent_beacon_block_root)),
        "size": "0x0",
        "uncles": [],
        "withdrawals": [],
        "transactions": [_hex(item.hash) for item in found.transactions],
    }


def _receipt(evm: DevEvm, parameters: list[Any]) -> dict[str, Any] | None:
    found = evm.transaction(_octets(parameters[0], 32))
    return None if found is None else _receipt_json(found)


def _receipts(evm: DevEvm, parameters: list[Any]) -> list[dict[str, Any]]:
    return [_receipt_json(item) for item in _at(evm, parameters, 0).transactions]


def _receipt_json(found: MinedTransaction) -> dict[str, Any]:
    return {
        "transactionHash": _hex(found.hash),
        "transactionIndex": _hex(found.position),
        "blockHash": _hex(found.block_hash),
        "blockNumber": _hex(found.block),
        "from": checksum_text(found.sender),
        "to": checksum_text(found.to) if found.to else None,
        "contractAddress": checksum_text(found.created) if found.created else None,
        "cumulativeGasUsed": _hex(found.cumulative),
        "gasUsed": _hex(found.gas_used),
        "effectiveGasPrice": "0x0",
        "logs": [_log_json(log) for log in found.logs],
        "logsBloom": _hex(found.bloom),
        "status": _hex(int(found.succeeded)),
        "type": _hex(found.kind),
    }


def _log_json(log: MinedLog) -> dict[str, Any]:
    return {
        "address": checksum_text(log.address),
        "topics": [_hex(topic) for topic in log.topics],
        "data": _hex(log.data),
        "blockNumber": _hex(log.block),
        "blockHash": _hex(log.block_hash),
        "transactionHash": _hex(log.transaction),
        "transactionIndex": _hex(log.position),
        "logIndex": _hex(log.index),
        "removed": False,
    }


def _transaction(evm: DevEvm, parameters: list[Any]) -> dict[str, Any] | None:
    found = evm.transaction(_octets(parameters[0], 32))
    if found is None:
        return None
    return {
        "hash": _hex(found.hash),
        "nonce": _hex(found.nonce),
        "blockHash": _hex(found.block_hash),
        "blockNumber": _hex(found.block),
        "transactionIndex": _hex(found.position),
        "from": checksum_text(found.sender),
        "to": checksum_text(found.to) if found.to else None,
        "value": "0x0",
        "input": _hex(found.data),
        "gas": _hex(found.gas),
        "gasPrice": "0x0",
        "type": _hex(found.kind),
        "chainId": _hex(evm.chain_id),
    }


def _call(evm: DevEvm, parameters: list[Any]) -> str:
    asked: Mapping[str, Any] = parameters[0]
    to, data = _octets(asked["to"], 20), _octets(asked.get("data") or asked.get("input") or "0x")
    sender = _octets(asked["from"], 20) if asked.get("from") else bytes(ADDRESS_BYTES)
    return _hex(evm.call(sender, to, data, _at(evm, parameters, 1)))


def _logs(evm: DevEvm, parameters: list[Any]) -> list[dict[str, Any]]:
    asked: Mapping[str, Any] = parameters[0]
    given = asked.get("address") or []
    addresses = [_octets(item, 20) for item in (given if isinstance(given, list) else [given])]
    topics = [_topic(item) for item in asked.get("topics") or []]
    if "blockHash" in asked:
        block = evm.block_of_hash(_octets(asked["blockHash"], 32))
        first = last = block.header.block_number if block else -1
    else:
        first, last = (_number(evm, asked.get(name)) for name in ("fromBlock", "toBlock"))
    if last - first >= MAX_RANGE:
        raise ChainError(f"at most {MAX_RANGE} blocks", -32005)
    return [_log_json(log) for log in evm.logs(addresses, topics, first, last)]


def _number(evm: DevEvm, which: Any) -> int:
    if isinstance(which, str) and which.startswith("0x"):
        return int(which, 16)
    found = _block(evm, which or "latest")
    return int(found.header.block_number) if found else 0


def _topic(item: Any) -> list[bytes]:
    if item is None:
        return []
    return [_octets(each, 32) for each in (item if isinstance(item, list) else [item])]


_READERS: Final[Mapping[str, Callable[[DevEvm, list[Any]], Any]]] = {
    "eth_chainId": lambda evm, _: _hex(evm.chain_id),
    "net_version": lambda evm, _: str(evm.chain_id),
    "eth_blockNumber": lambda evm, _: _hex(int(evm.head.header.block_number)),
    "eth_gasPrice": lambda _evm, _: "0x0",
    "eth_maxPriorityFeePerGas": lambda _evm, _: "0x0",
    "eth_accounts": lambda _evm, _: [],
    "eth_syncing": lambda _evm, _: False,
    "web3_clientVersion": lambda _evm, _: f"pratique-devchain/{metadata.version('pratique')}",
    "eth_getBlockByNumber": _by_number,
    "eth_getBlockByHash": _by_hash,
    "eth_getTransactionReceipt": _receipt,
    "eth_getBlockReceipts": _receipts,
    "eth_getTransactionByHash": _transaction,
    "eth_getTransactionCount": lambda evm, p: _hex(evm.nonce(_octets(p[0], 20), _at(evm, p, 1))),
    "eth_getBalance": lambda evm, p: _hex(evm.balance(_octets(p[0], 20), _at(evm, p, 1))),
    "eth_getCode": lambda evm, p: _hex(evm.code(_octets(p[0], 20), _at(evm, p, 1))),
    "eth_getStorageAt": lambda evm, p: _hex(
        evm.storage(_octets(p[0], 20), int(p[1], 16), _at(evm, p, 2)).to_bytes(32, "big")
    ),
    "eth_call": _call,
    "eth_getLogs": _logs,
    "eth_feeHistory": lambda evm, _: {
        "oldestBlock": _hex(int(evm.head.header.block_number)),
        "baseFeePerGas": ["0x0", "0x0"],
        "gasUsedRatio": [evm.head.header.gas_used / BLOCK_GAS],
    },
}


def _reader(name: str) -> Callable[[DevChain, list[Any]], Awaitable[Any]]:
    return lambda chain, parameters: chain._read(name, parameters)  # noqa: SLF001 its own table


_METHODS: Final[Mapping[str, Callable[[DevChain, list[Any]], Awaitable[Any]]]] = {
    **{name: _reader(name) for name in _READERS},
    "eth_sendRawTransaction": lambda chain, p: chain._send(p),  # noqa: SLF001 its own table
    "evm_mine": lambda chain, p: chain._evm_mine(p),  # noqa: SLF001 its own table
}
