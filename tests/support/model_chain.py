"""A chain without an EVM behind the client's `Rpc`: real headers, receipts and hashes.

Every mined call of the anchor contract's `anchor` emits its event. Tests mine, take blocks back,
fill the pool or let a server lie, drop and fall behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_account import Account

from ledger.chain_client import Rpc
from ledger.chain_values import Block, FoundLog, Receipt, Sending, Tag, header_of, receipt_of
from ledger.receipt_trie import ReceiptTrie
from protocols.evm.calls import ANCHOR, ANCHORED, Log
from protocols.evm.keys import keccak256
from protocols.evm.title import padded, word
from schemas.errors import UnavailableError

CHAIN_ID = 4242
CONTRACT = b"\xaa" * 20
CODE = b"the anchor contract's code"
BASE_FEE = 7 * 10**9


@dataclass
class Mined:
    block: Block
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True)
class Sent:
    hash: bytes
    sender: bytes
    nonce: int
    price: int
    to: bytes
    data: bytes
    raw: bytes


def read(raw: bytes) -> Sent:
    typed = raw[0] == 2
    fields = rlp.decode(raw[1:] if typed else raw)
    nonce, price, to, data = (fields[i] for i in ((1, 3, 5, 7) if typed else (0, 1, 3, 5)))
    sender = bytes.fromhex(Account.recover_transaction(raw)[2:])
    numbers = [int.from_bytes(item, "big") for item in (nonce, price)]
    return Sent(keccak256(raw), sender, numbers[0], numbers[1], to, data, raw)


@dataclass
class ModelChain:
    """What every honest server of the chain tells."""

    salt: bytes = b""
    blocks: list[Mined] = field(default_factory=list)
    pool: dict[tuple[bytes, int], Sent] = field(default_factory=dict)
    base: dict[bytes, int] = field(default_factory=dict)
    extra: Any = None
    lowest: int = 0

    def __post_init__(self) -> None:
        self.mine()

    def nonce(self, sender: bytes, up_to: int) -> int:
        mined = sum(
            1
            for each in self.blocks[: up_to + 1]
            for receipt in each.receipts
            if self.senders[receipt.transaction] == sender
        )
        return self.base.get(sender, 0) + mined

    senders: dict[bytes, bytes] = field(default_factory=dict)

    def mine(self, count: int = 1, *, empty: bool = False) -> None:
        for _ in range(count):
            ready: list[Sent] = []
            for _, sent in [] if empty else sorted(self.pool.items()):
                if sent.price >= self.lowest and self._next(sent, ready):
                    ready.append(sent)
            self._add(ready)

    def _next(self, sent: Sent, before: list[Sent]) -> bool:
        held = self.nonce(sent.sender, len(self.blocks))
        return sent.nonce == held + sum(1 for each in before if each.sender == sent.sender)

    def _add(self, ready: list[Sent]) -> None:
        number = len(self.blocks)
        made = [_receipt(sent, number, index) for index, sent in enumerate(ready)]
        parent = self.blocks[-1].block.hash if self.blocks else bytes(32)
        told = _header(number, parent, ReceiptTrie([r.encoded for r in made]).root, self.salt)
        told["transactions"] = [sent.hash for sent in ready]
        if self.extra is not None:
            told["hash"], told["extraData"] = self.extra(told)
        else:
            told["hash"] = keccak256(header_of(told | {"hash": bytes(32)}).header)
        block = header_of(told)
        receipts = tuple(_placed(receipt, block.hash) for receipt in made)
        self.blocks.append(Mined(block, receipts))
        for sent in ready:
            self.senders[sent.hash] = sent.sender
            self.pool.pop((sent.sender, sent.nonce), None)

    def reorg(self, depth: int) -> None:
        """Take blocks back and put empty ones in their place; nothing returns to the pool."""
        del self.blocks[-depth:]
        self.salt += b"'"
        self.mine(depth, empty=True)


def _header(number: int, parent: bytes, receipts: bytes, salt: bytes) -> dict[str, Any]:
    return {
        "parentHash": parent, "sha3Uncles": bytes(32), "miner": bytes(20),
        "stateRoot": keccak256(salt), "transactionsRoot": bytes(32), "receiptsRoot": receipts,
        "logsBloom": bytes(256), "difficulty": 0, "number": number, "gasLimit": 30_000_000,
        "gasUsed": 0, "timestamp": 1_795_000_000 + number, "extraData": b"", "mixHash": bytes(32),
        "nonce": bytes(8), "baseFeePerGas": BASE_FEE,
    }  # fmt: skip


def _receipt(sent: Sent, number: int, index: int) -> Receipt:
    logs = []
    if sent.data[:4] == ANCHOR and sent.to == CONTRACT:
        topics = (ANCHORED, sent.data[4:36], padded(sent.sender))
        logs = [{"address": sent.to, "topics": topics, "data": sent.data[36:]}]
    return receipt_of(
        {
            "transactionHash": sent.hash, "blockNumber": number, "blockHash": bytes(32),
            "transactionIndex": index, "status": int(sent.data != b"fail"), "type": 2,
            "gasUsed": 30_000, "cumulativeGasUsed": 30_000 * (index + 1),
            "logsBloom": bytes(256), "logs": logs,
        }
    )  # fmt: skip


def _placed(receipt: Receipt, block_hash: bytes) -> Receipt:
    from dataclasses import replace

    return replace(receipt, block_hash=block_hash)


class ModelRpc(Rpc):
    """One server; set its members to make it misbehave."""

    def __init__(self, chain: ModelChain) -> None:
        self.chain = chain
        self.down = False
        self.drops = False
        self.id = CHAIN_ID
        self.contract_code = CODE
        self.says: Sending | None = None
        self.answer = b""
        self.sent: list[Sent] = []
        self.finalized = 0
        self.blind = False
        self.closed = False

    def _up(self) -> None:
        if self.down:
            raise UnavailableError("chain_unreachable", "refused")

    async def close(self) -> None:
        self.closed = True

    async def chain_id(self) -> int:
        self._up()
        return self.id

    async def code(self, address: bytes) -> bytes:
        self._up()
        return self.contract_code if address == CONTRACT else b""

    async def balance(self, address: bytes) -> int:
        self._up()
        return 7

    async def nonce(self, address: bytes, at: int | Tag) -> int:
        self._up()
        return self.chain.nonce(address, at if isinstance(at, int) else len(self.chain.blocks))

    async def call(self, to: bytes, data: bytes, at: int | Tag) -> bytes:
        self._up()
        return self.answer

    async def block(self, at: int | Tag | bytes) -> Block | None:
        self._up()
        if at == "finalized":
            return self.chain.blocks[self.finalized].block
        number = len(self.chain.blocks) - 1 if isinstance(at, str) else at
        assert isinstance(number, int)
        return self.chain.blocks[number].block if number < len(self.chain.blocks) else None

    async def receipt(self, transaction: bytes) -> Receipt | None:
        self._up()
        if self.blind:
            return None
        found = [r for m in self.chain.blocks for r in m.receipts if r.transaction == transaction]
        return found[0] if found else None

    async def receipts(self, block: Block) -> tuple[Receipt, ...]:
        self._up()
        return self.chain.blocks[block.number].receipts

    async def logs(
        self, address: bytes, topics: Sequence[bytes | None], first: int, last: int
    ) -> tuple[FoundLog, ...]:
        self._up()
        if self.blind:
            return ()
        found = []
        for mined in self.chain.blocks[first : last + 1]:
            index = 0
            for receipt in mined.receipts:
                for log in receipt.logs:
                    place = (mined.block.number, mined.block.hash, receipt.transaction, index)
                    found.append(FoundLog(log, *place))
                    index += 1
        return tuple(found)

    async def gas_price(self) -> int:
        self._up()
        return BASE_FEE

    async def send(self, raw: bytes) -> Sending:
        self._up()
        if self.says is not None:
            return self.says
        sent = read(raw)
        self.sent.append(sent)
        if self.drops:
            return Sending("taken", "")
        if sent.nonce < self.chain.nonce(sent.sender, len(self.chain.blocks)):
            return Sending("spent", "nonce too low")
        held = self.chain.pool.get((sent.sender, sent.nonce))
        if held is not None and held != sent and sent.price * 10 < held.price * 11:
            return Sending("cheap", "replacement transaction underpriced")
        self.chain.pool[(sent.sender, sent.nonce)] = sent
        return Sending("taken", "")


def anchored(origin: bytes, sender: bytes, size: int, root: bytes) -> Log:
    return Log(CONTRACT, (ANCHORED, origin, padded(sender)), word(size) + root)
