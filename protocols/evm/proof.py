"""Proof that a contract emitted an event: block header, receipt trie, and who sealed the block.

Checked without a network: the header's hash is recomputed from its RLP, the receipt's path through
the Merkle-Patricia trie leads to the header's receiptsRoot (yellow paper §4.3, appendix D), and the
header is believed because ⌈2n/3⌉ of a *pinned* validator set sealed it (QBFT, EIP-650's successor
as Hyperledger Besu writes it) or because its hash is one that the verifier holds. A proof says
what was so at that block; the path's nodes are bounded in number and size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import rlp  # type: ignore[import-untyped] # rlp has no types
from rlp.exceptions import RLPException  # type: ignore[import-untyped] # rlp has no types

from protocols.evm.calls import Log
from protocols.evm.keys import ADDRESS_BYTES, Signature, keccak256, recover
from schemas.errors import MalformedError, RefusedError

CODE: Final = "evm_proof_malformed"
MAX_NODES: Final = 12
MAX_NODE: Final = 64 * 1024
MAX_HEADER: Final = 16 * 1024
MAX_LOGS: Final = 10_000
MAX_VALIDATORS: Final = 200
_EMPTY_TRIE: Final = keccak256(b"\x80")
_HEADER_FIELDS: Final = (15, 21)
_RECEIPTS_ROOT, _NUMBER, _TIME, _EXTRA = 5, 8, 11, 12

Item: TypeAlias = "bytes | list[Item]"


def decode_rlp(data: bytes, limit: int) -> Item:
    """The item of strict RLP bytes; raises MalformedError `evm_proof_malformed`."""
    if len(data) > limit:
        raise MalformedError(CODE, f"more than {limit} bytes")
    try:
        item: Item = rlp.decode(data, strict=True)
    except (RLPException, RecursionError):
        raise MalformedError(CODE, "not RLP") from None
    return item


def _list(item: Item, low: int, high: int | None = None) -> list[Item]:
    if not isinstance(item, list) or not low <= len(item) <= (high or low):
        raise MalformedError(CODE, f"a list of {low} items is expected")
    return item


def _bytes(item: Item, size: int | None = None) -> bytes:
    if not isinstance(item, bytes) or (size is not None and len(item) != size):
        raise MalformedError(CODE, "a text of bytes is expected")
    return item


def _integer(item: Item) -> int:
    data = _bytes(item)
    if len(data) > 8 or data[:1] == b"\0":
        raise MalformedError(CODE, "an integer of at most 8 bytes is expected")
    return int.from_bytes(data, "big")


# Headers.


@dataclass(frozen=True, slots=True)
class Header:
    """What matters of a block header.

    hash:  Keccak-256 of the RLP as it stands; on a QBFT chain the block's hash leaves the seals
           out of it and is `sealed_hash`
    time:  seconds since 1970, as the proposer claims
    extra: extraData
    """

    hash: bytes
    number: int
    time: int
    receipts_root: bytes
    extra: bytes
    fields: tuple[Item, ...]


@lru_cache(maxsize=64)
def read_header(data: bytes) -> Header:
    """A header from its RLP; raises MalformedError `evm_proof_malformed`."""
    fields = _list(decode_rlp(data, MAX_HEADER), *_HEADER_FIELDS)
    return Header(
        hash=keccak256(data),
        number=_integer(fields[_NUMBER]),
        time=_integer(fields[_TIME]),
        receipts_root=_bytes(fields[_RECEIPTS_ROOT], 32),
        extra=_bytes(fields[_EXTRA]),
        fields=tuple(fields),
    )


# Seals of QBFT. extraData = RLP [vanity, [validators], vote, round, [seals]].


@dataclass(frozen=True, slots=True)
class Seals:
    """What a QBFT block says of its making.

    hash:       the block's hash: Keccak-256 of the header whose extraData has an empty list of
                seals and round 0
    validators: the set that the header itself names; never trusted for itself (R5)
    signers:    who sealed, each once
    """

    hash: bytes
    validators: tuple[bytes, ...]
    signers: frozenset[bytes]


def quorum(validators: int) -> int:
    """⌈2n/3⌉: the seals that a block of n validators needs."""
    return -(-2 * validators // 3)


@lru_cache(maxsize=64)
def read_seals(header: Header) -> Seals:
    """The seals of a QBFT header; raises MalformedError `evm_proof_malformed`."""
    parts = _list(decode_rlp(header.extra, MAX_HEADER), 5)
    vanity, validators, vote, round_, seals = parts
    committed = keccak256(_with_extra(header, [vanity, validators, vote, round_, []]))
    named = tuple(_bytes(item, ADDRESS_BYTES) for item in _list(validators, 0, MAX_VALIDATORS))
    found = {
        signer
        for seal in _list(seals, 0, MAX_VALIDATORS)
        if (signer := recover(committed, _seal(_bytes(seal, 65)))) is not None
    }
    # The round of a block may change without changing the block, so its hash leaves that out.
    block = keccak256(_with_extra(header, [vanity, validators, vote, b"", []]))
    return Seals(block, named, frozenset(found))


def _seal(data: bytes) -> Signature:
    """Besu writes the recovery id as 0 or 1."""
    r, s = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big")
    return Signature(data[64] + 27 if data[64] < 27 else data[64], r, s)


def _with_extra(header: Header, extra: list[Item]) -> bytes:
    fields = list(header.fields)
    fields[_EXTRA] = rlp.encode(extra)
    return bytes(rlp.encode(fields))


def verify_seals(header: Header, validators: Collection[bytes]) -> bytes:
    """The block's hash, sealed by a quorum of the pinned validator set.

    Two seals by one key count once (R3). Raises RefusedError `evm_block_unsealed`.
    """
    pinned = frozenset(validators)
    seals = read_seals(header)
    counted = len(seals.signers & pinned)
    if not pinned or counted < quorum(len(pinned)):
        raise RefusedError(
            "evm_block_unsealed",
            f"pinned validators that sealed the block: {counted} of {len(pinned)}",
        )
    return seals.hash


# The receipt trie.


def _nibbles(data: bytes) -> list[int]:
    return [part for byte in data for part in (byte >> 4, byte & 15)]


def _path(encoded: Item) -> tuple[list[int], bool]:
    """A hex-prefix path (yellow paper appendix C): its nibbles, and whether a leaf ends it."""
    nibbles = _nibbles(_bytes(encoded))
    if not nibbles or nibbles[0] > 3 or (not nibbles[0] & 1 and nibbles[1] != 0):
        raise MalformedError(CODE, "not a hex-prefix path")
    return nibbles[1 if nibbles[0] & 1 else 2 :], nibbles[0] > 1


def verify_path(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """The value at `key` in the Merkle-Patricia trie of that root.

    nodes: the RLP of the nodes from the root down; small nodes lie within their parents
    Raises RefusedError `evm_path_invalid`, MalformedError `evm_proof_malformed`.
    """
    if len(nodes) > MAX_NODES:
        raise MalformedError(CODE, f"at most {MAX_NODES} nodes")
    rest, wanted, left = _nibbles(key), root, list(nodes)
    node = _take(left, wanted)
    # Every turn eats a nibble of the key, or ends.
    for _ in range(len(rest) + 1):
        found = _step(node, rest)
        if isinstance(found, bytes):
            if left:
                raise _astray("the proof has nodes that are not on the path")
            return found
        child, rest = found
        node = child if isinstance(child, list) else _take(left, _bytes(child, 32))
    raise _astray("the path has no end")


def _step(node: Item, rest: list[int]) -> bytes | tuple[Item, list[int]]:
    """The value, or the child and what remains of the key."""
    items = _list(node, 2, 17)
    if len(items) == 17:
        if not rest:
            return _value(items[16])
        return items[rest[0]], rest[1:]
    if len(items) != 2:
        raise MalformedError(CODE, "a node has 2 or 17 items")
    path, leaf = _path(items[0])
    if rest[: len(path)] != path:
        raise _astray("the path leads elsewhere")
    if not leaf:
        if not path:
            raise MalformedError(CODE, "an extension without a path")
        return items[1], rest[len(path) :]
    if len(rest) != len(path):
        raise _astray("the path ends too early")
    return _value(items[1])


def _value(item: Item) -> bytes:
    value = _bytes(item)
    if not value:
        raise _astray("nothing is stored there")
    return value


def _take(left: list[bytes], wanted: bytes) -> Item:
    if not left or keccak256(left[0]) != wanted:
        raise _astray("a node's hash is another one")
    return decode_rlp(left.pop(0), MAX_NODE)


def _astray(detail: str) -> RefusedError:
    return RefusedError("evm_path_invalid", detail)


# Receipts.


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """Whether a transaction succeeded, and what it logged."""

    succeeded: bool
    logs: tuple[Log, ...]


def read_receipt(data: bytes) -> TransactionReceipt:
    """A receipt as it stands in the trie, plain or typed (EIP-2718)."""
    plain = data[1:] if data[:1] and data[0] < 0x80 else data
    status, _, _, logs = _list(decode_rlp(plain, MAX_NODE), 4)
    found = tuple(_log(item) for item in _list(logs, 0, MAX_LOGS))
    return TransactionReceipt(_bytes(status) == b"\x01", found)


def _log(item: Item) -> Log:
    address, topics, data = _list(item, 3)
    named = tuple(_bytes(topic, 32) for topic in _list(topics, 0, 4))
    return Log(_bytes(address, ADDRESS_BYTES), named, _bytes(data))


@dataclass(frozen=True, slots=True)
class EventProof:
    """Header, path and place of one log.

    header:      RLP of the block's header
    transaction: index of the transaction in the block
    nodes:       RLP of the trie's nodes from the root down to the receipt
    log:         index of the log within the receipt
    """

    header: bytes
    transaction: int
    nodes: tuple[bytes, ...]
    log: int


@dataclass(frozen=True, slots=True)
class ProvenLog:
    """A log with the header it stands under; who vouches for the header is not yet asked."""

    header: Header
    log: Log


def verify_event(proof: EventProof, contract: bytes) -> ProvenLog:
    """The proven log, emitted by `contract` in a transaction that succeeded.

    The caller then asks who vouches for the header: `verify_seals`, or a hash that it holds.
    Raises RefusedError `evm_path_invalid`, `evm_event_other_contract`, MalformedError.
    """
    if not 0 <= proof.transaction < 2**32 or not 0 <= proof.log < MAX_LOGS:
        raise MalformedError(CODE, "an index outside its range")
    header = read_header(proof.header)
    if header.receipts_root == _EMPTY_TRIE:
        raise _astray("the block has no transactions")
    found = verify_path(header.receipts_root, rlp.encode(proof.transaction), proof.nodes)
    receipt = read_receipt(found)
    if not receipt.succeeded or proof.log >= len(receipt.logs):
        raise _astray("the receipt has no such log")
    log = receipt.logs[proof.log]
    if log.address != contract:
        raise RefusedError("evm_event_other_contract", "another contract emitted the event")
    return ProvenLog(header, log)
