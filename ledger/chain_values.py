"""What a chain's server answers, as values, and back into the bytes that its hashes cover.

A server's word for a block is worth nothing by itself: the header's RLP must hash to the hash it
names, and the trie of the receipts must have the root in that header (yellow paper §4.3). Field
order of the header follows the forks: London, Shanghai, Cancun (four fields), Prague.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import rlp  # type: ignore[import-untyped] # rlp has no types

from ledger.receipt_trie import ReceiptTrie
from protocols.evm.calls import Log
from protocols.evm.proof import EventProof, read_header, read_seals
from schemas.errors import MalformedError, UnavailableError

Tag: TypeAlias = Literal["latest", "finalized", "safe", "pending"]
LATEST: Final[Tag] = "latest"
FINALIZED: Final[Tag] = "finalized"

_FIELDS: Final = (
    ("parentHash", 32), ("sha3Uncles", 32), ("miner", 20), ("stateRoot", 32),
    ("transactionsRoot", 32), ("receiptsRoot", 32), ("logsBloom", 256), ("difficulty", 0),
    ("number", 0), ("gasLimit", 0), ("gasUsed", 0), ("timestamp", 0), ("extraData", None),
    ("mixHash", 32), ("nonce", 8),
)  # fmt: skip
#: Each fork added behind the last; the first that is missing ends the header.
_ADDED: Final = (
    ("baseFeePerGas", 0), ("withdrawalsRoot", 32), ("blobGasUsed", 0), ("excessBlobGas", 0),
    ("parentBeaconBlockRoot", 32), ("requestsHash", 32),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sending:
    """What a server said to a raw transaction.

    kind: `taken` (or known already), `spent` (its nonce is used up), `cheap` (the fee is too low),
          `poor` (the account cannot pay), `other`
    """

    kind: str
    said: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block as a server tells it.

    hash:   what the server calls it; `checked` compares it
    header: RLP of all its header's fields
    """

    hash: bytes
    number: int
    time: int
    base_fee: int
    header: bytes
    transactions: tuple[bytes, ...]

    def checked(self, *, qbft: bool) -> Block:
        """Itself when the header hashes to the hash; raises UnavailableError `chain_lies`.

        qbft: the hash leaves out the seals and the round
        """
        try:
            header = read_header(self.header)
            found = read_seals(header).hash if qbft else header.hash
        except MalformedError as error:
            raise UnavailableError("chain_lies", error.detail) from None
        if found != self.hash or header.number != self.number:
            raise UnavailableError("chain_lies", f"block {self.number} has another hash")
        return self


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction's receipt.

    position: of the transaction in its block; first_log: index in the block of its first log
    encoded:  as it stands in the block's trie
    """

    transaction: bytes
    block: int
    block_hash: bytes
    position: int
    succeeded: bool
    gas_used: int
    logs: tuple[Log, ...]
    encoded: bytes
    created: bytes | None


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log and where it stands; `index` counts within the block."""

    log: Log
    block: int
    block_hash: bytes
    transaction: bytes
    index: int


@dataclass(frozen=True)
class ProvenBlock:
    """A block whose receipts lead to its header, and whose header hashes to its hash."""

    block: Block
    receipts: tuple[Receipt, ...]

    @cached_property
    def trie(self) -> ReceiptTrie:
        """The receipts' trie."""
        return ReceiptTrie([receipt.encoded for receipt in self.receipts])

    def checked(self) -> ProvenBlock:
        """Itself when the trie has the header's root; raises UnavailableError `chain_lies`."""
        if self.trie.root != read_header(self.block.header).receipts_root:
            raise UnavailableError("chain_lies", f"other receipts in block {self.block.number}")
        return self

    def receipt(self, transaction: bytes) -> Receipt | None:
        """The receipt of a transaction in this block."""
        return next((each for each in self.receipts if each.transaction == transaction), None)

    def event(self, receipt: Receipt, log: int) -> EventProof:
        """The proof of a log; `log` is its index within the receipt."""
        path = self.trie.path(receipt.position)
        return EventProof(self.block.header, receipt.position, path, log)


def header_of(found: Mapping[str, Any]) -> Block:
    """A block from web3's mapping; raises ValueError, TypeError or LookupError for garbage."""
    told: dict[str, Any] = dict(found)
    # The middleware for proof of authority renames what is too long for it.
    if "proofOfAuthorityData" in told:
        told["extraData"] = told["proofOfAuthorityData"]
    fields = [_field(told[name], size) for name, size in _FIELDS]
    for name, size in _ADDED:
        if told.get(name) is None:
            break
        fields.append(_field(told[name], size))
    return Block(
        hash=octets(told["hash"], 32),
        number=number(told["number"]),
        time=number(told["timestamp"]),
        base_fee=number(told.get("baseFeePerGas") or 0),
        header=bytes(rlp.encode(fields)),
        transactions=tuple(_hash_of(item) for item in told["transactions"]),
    )


def _hash_of(item: Any) -> bytes:
    return octets(item["hash"] if isinstance(item, Mapping) else item, 32)


def _field(value: Any, size: int | None) -> bytes | int:
    return number(value) if size == 0 else octets(value, size)


def receipt_of(found: Mapping[str, Any]) -> Receipt:
    """A receipt from web3's mapping; raises as `header_of`."""
    logs = tuple(_log(item) for item in found["logs"])
    status, kind = number(found["status"]), number(found.get("type") or 0)
    listed = [[log.address, list(log.topics), log.data] for log in logs]
    bloom = octets(found["logsBloom"], 256)
    body = rlp.encode([status, number(found["cumulativeGasUsed"]), bloom, listed])
    created = found.get("contractAddress")
    return Receipt(
        transaction=octets(found["transactionHash"], 32),
        block=number(found["blockNumber"]),
        block_hash=octets(found["blockHash"], 32),
        position=number(found["transactionIndex"]),
        succeeded=status == 1,
        gas_used=number(found["gasUsed"]),
        logs=logs,
        encoded=(bytes([kind]) if kind else b"") + bytes(body),
        created=None if created is None else octets(created, 20),
    )


def log_of(found: Mapping[str, Any]) -> FoundLog:
    """A log from web3's mapping; raises as `header_of`."""
    if found.get("removed"):
        raise ValueError("a reorg took it back")
    return FoundLog(
        log=_log(found),
        block=number(found["blockNumber"]),
        block_hash=octets(found["blockHash"], 32),
        transaction=octets(found["transactionHash"], 32),
        index=number(found["logIndex"]),
    )


def _log(found: Mapping[str, Any]) -> Log:
    topics = tuple(octets(topic, 32) for topic in found["topics"])
    return Log(octets(found["address"], 20), topics, octets(found["data"], None))


def number(value: Any) -> int:
    """A number not below zero, given as one or in hexadecimal."""
    made = int(value, 16) if isinstance(value, str) else value
    if not isinstance(made, int) or isinstance(made, bool) or made < 0:
        raise ValueError("not a number")
    return made


def octets(value: Any, size: int | None) -> bytes:
    """Bytes, given as such or in hexadecimal; `size` of them unless that is None."""
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise ValueError(f"expected bytes: {size}")
    return bytes(value)
