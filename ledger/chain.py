"""One JSON-RPC address of an EVM chain: the only module of a node that imports web3.

It is imported when a chain is first spoken to, never at start (`ledger.chain_client` does it).
web3 gives the requests, their formats and the middleware for chains with proof of authority, whose
extraData is longer than 32 bytes; the bytes go through a transport of our own, because every read
has a cap and every call a deadline. Whatever goes wrong here is UnavailableError: an RPC server
can fail or lie, and neither says anything about a document or a title (R13).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import aiohttp
import orjson
from typing_extensions import override

from ledger.chain_values import (
    Block,
    FoundLog,
    Receipt,
    Sending,
    Tag,
    header_of,
    log_of,
    receipt_of,
)
from protocols.evm.keys import checksum_text
from schemas.errors import UnavailableError

_RECURSION = sys.getrecursionlimit()
from eth_typing import ChecksumAddress  # noqa: E402 the limit is read first
from hexbytes import HexBytes  # noqa: E402 the limit is read first
from web3 import AsyncWeb3  # noqa: E402 the limit is read first
from web3.exceptions import (  # noqa: E402 the limit is read first
    BlockNotFound,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware  # noqa: E402 the limit is read first
from web3.providers.async_base import AsyncJSONBaseProvider  # noqa: E402 the limit is read first
from web3.types import RPCEndpoint, RPCResponse  # noqa: E402 the limit is read first

# It raises the limit for the whole process; readers of nested input count on Python's own.
sys.setrecursionlimit(_RECURSION)

T = TypeVar("T")
MAX_LOGS: Final = 10_000
MAX_BLOCK_TRANSACTIONS: Final = 20_000
_RECEIPTS_AT_ONCE: Final = 50
#: What formatting an answer that is not one can raise.
_GARBAGE: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
_KNOWN: Final = ("already known", "known transaction", "already imported", "already in the pool")
_SPENT: Final = ("nonce too low", "nonce is too low", "nonce_too_low", "nonce below")
_CHEAP: Final = ("underpriced", "fee too low", "price too low", "less than block base fee",
                 "below the minimum", "gas price below")  # fmt: skip
_POOR: Final = ("insufficient funds", "upfront cost", "insufficient balance")


def _unreachable(detail: str) -> UnavailableError:
    return UnavailableError("chain_unreachable", detail)


class _Transport(AsyncJSONBaseProvider):
    """JSON-RPC over HTTP with a deadline for each call and a cap on each answer."""

    def __init__(self, url: str, *, deadline: float, max_answer: int) -> None:
        super().__init__()
        self._url, self._deadline, self._cap = url, deadline, max_answer
        self._session: aiohttp.ClientSession | None = None

    @override
    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One call; raises UnavailableError `chain_unreachable`."""
        body = self.encode_rpc_request(method, params)
        try:
            async with asyncio.timeout(self._deadline):
                # orjson bounds the depth: the standard decoder recurses as far as the limit allows,
                # and libraries of this field raise that beyond the stack.
                answer = orjson.loads(await self._post(body))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(type(error).__name__) from None
        except _GARBAGE:
            raise _unreachable("the answer is not JSON-RPC") from None
        if not isinstance(answer, dict):
            raise _unreachable("the answer is not JSON-RPC")
        told: RPCResponse = answer  # type: ignore[assignment] # a TypedDict by its keys
        return told

    async def _post(self, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        headers = {"Content-Type": "application/json"}
        async with self._session.post(
            self._url, data=body, headers=headers, allow_redirects=False
        ) as response:
            data = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                data += chunk
                if len(data) > self._cap:
                    raise _unreachable(f"the answer is longer than {self._cap} bytes")
            if response.status >= 300 and not data.lstrip().startswith(b"{"):
                raise _unreachable(f"HTTP {response.status}")
            return bytes(data)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class Endpoint:
    """One address; every method raises UnavailableError when it does not answer sensibly."""

    def __init__(self, url: str, *, deadline: float, max_answer: int) -> None:
        """deadline: seconds for a call; max_answer: bytes of an answer."""
        self._transport = _Transport(url, deadline=deadline, max_answer=max_answer)
        self._web3: AsyncWeb3[Any] = AsyncWeb3(self._transport)
        self._web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._eth = self._web3.eth

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except Web3RPCError as error:
            raise UnavailableError("chain_call_failed", _said(error)) from None
        except Web3Exception as error:
            raise UnavailableError("chain_call_failed", type(error).__name__) from None
        except _GARBAGE as error:
            detail = f"not what was asked for ({type(error).__name__})"
            raise UnavailableError("chain_answer_unusable", detail) from None

    async def chain_id(self) -> int:
        """eth_chainId."""
        return _number(await self._ask(lambda: self._eth.chain_id))

    async def code(self, address: bytes) -> bytes:
        """eth_getCode at the newest block."""
        return bytes(await self._ask(lambda: self._eth.get_code(_text(address))))

    async def balance(self, address: bytes) -> int:
        """eth_getBalance in wei."""
        return _number(await self._ask(lambda: self._eth.get_balance(_text(address))))

    async def nonce(self, address: bytes, at: int | Tag) -> int:
        """How many transactions of `address` are in the chain up to block `at`."""
        return _number(await self._ask(lambda: self._eth.get_transaction_count(_text(address), at)))

    async def call(self, to: bytes, data: bytes, at: int | Tag) -> bytes:
        """eth_call; a view function's answer."""
        asked: Any = {"to": _text(to), "data": HexBytes(data)}
        return bytes(await self._ask(lambda: self._eth.call(asked, at)))

    async def block(self, at: int | Tag | bytes) -> Block | None:
        """A block's header, its hash checked by the caller; None when it does not exist there."""
        which: Any = HexBytes(at) if isinstance(at, bytes) else at

        async def ask() -> Block | None:
            try:
                found = await self._eth.get_block(which)
            except BlockNotFound:
                return None
            return header_of(found)

        return await self._ask(ask)

    async def receipt(self, transaction: bytes) -> Receipt | None:
        """The receipt of a transaction that is in a block; None when it is in none."""

        async def ask() -> Receipt | None:
            try:
                found = await self._eth.get_transaction_receipt(HexBytes(transaction))
            except TransactionNotFound:
                return None
            return receipt_of(found)

        return await self._ask(ask)

    async def input(self, transaction: bytes) -> bytes | None:
        """The call data of a transaction; None when the server does not know it."""

        async def ask() -> bytes | None:
            try:
                found = await self._eth.get_transaction(HexBytes(transaction))
            except TransactionNotFound:
                return None
            return bytes(found["input"])

        return await self._ask(ask)

    async def receipts(self, block: Block) -> tuple[Receipt, ...]:
        """All receipts of a block, in the order of its transactions."""
        if len(block.transactions) > MAX_BLOCK_TRANSACTIONS:
            raise UnavailableError("chain_answer_unusable", "a block with too many transactions")
        try:
            found = await self._ask(lambda: self._whole(block))
        except UnavailableError as error:
            if error.code != "chain_call_failed":
                raise
            found = await self._one_by_one(block.transactions)
        return tuple(sorted(found, key=lambda receipt: receipt.position))

    async def _whole(self, block: Block) -> list[Receipt]:
        answer = await self._eth.get_block_receipts(block.number)
        return [receipt_of(item) for item in answer]

    async def _one_by_one(self, hashes: Sequence[bytes]) -> list[Receipt]:
        """For servers without eth_getBlockReceipts."""
        done: list[Receipt] = []
        for at in range(0, len(hashes), _RECEIPTS_AT_ONCE):
            step = hashes[at : at + _RECEIPTS_AT_ONCE]
            found = await asyncio.gather(*(self.receipt(item) for item in step))
            done += [item for item in found if item is not None]
        return done

    async def logs(
        self, address: bytes, topics: Sequence[bytes | None], first: int, last: int
    ) -> tuple[FoundLog, ...]:
        """eth_getLogs, in the order of the chain; None in `topics` stands for any."""
        asked: Any = {
            "address": _text(address),
            "topics": [None if item is None else HexBytes(item) for item in topics],
            "fromBlock": first,
            "toBlock": last,
        }

        async def ask() -> list[FoundLog]:
            return [log_of(item) for item in await self._eth.get_logs(asked)]

        found = await self._ask(ask)
        if len(found) > MAX_LOGS:
            raise UnavailableError("chain_answer_unusable", f"more than {MAX_LOGS} logs")
        return tuple(sorted(found, key=lambda log: (log.block, log.index)))

    async def gas_price(self) -> int:
        """eth_gasPrice in wei."""
        return _number(await self._ask(lambda: self._eth.gas_price))

    async def send(self, raw: bytes) -> Sending:
        """eth_sendRawTransaction; what the server said about it, see `Sending`."""
        try:
            await self._eth.send_raw_transaction(HexBytes(raw))
        except Web3RPCError as error:
            return _sending(_said(error))
        except Web3Exception as error:
            return Sending("other", type(error).__name__)
        except _GARBAGE:
            return Sending("other", "the answer is not a transaction's hash")
        return Sending("taken", "")


def _text(address: bytes) -> ChecksumAddress:
    return ChecksumAddress(checksum_text(address))  # type: ignore[arg-type] # a HexStr by form


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise UnavailableError("chain_answer_unusable", "not a number")
    return value


def _said(error: Web3RPCError) -> str:
    """What the server said, short: it is foreign text and only for the log."""
    answer: Any = error.rpc_response
    told = answer.get("error") if isinstance(answer, Mapping) else None
    message = told.get("message") if isinstance(told, Mapping) else told
    return str(message or error)[:200]


def _sending(said: str) -> Sending:
    plain = said.lower()
    for kind, signs in (("taken", _KNOWN), ("spent", _SPENT), ("cheap", _CHEAP), ("poor", _POOR)):
        if any(sign in plain for sign in signs):
            return Sending(kind, said)
    return Sending("other", said)
