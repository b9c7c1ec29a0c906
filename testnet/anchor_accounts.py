"""The auditor's opinion on anchors: from a row in a node's store to a block of the chain.

Keccak-256, SHA-256 and RLP alone, none of the code that made or checked these rows: the header
hashes to the block's hash, its receipts root leads through the Merkle-Patricia trie to a receipt,
and that one's event names the log, its size, and the root that the log's own checkpoint signed
(Ethereum Yellow Paper §4.3 and appendix D; RFC 6962 roots).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import rlp  # type: ignore[import-untyped] # rlp has no types
from eth_hash.auto import keccak
from rlp.exceptions import RLPException  # type: ignore[import-untyped] # rlp has no types

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

_EVENT: Final = b"Anchored(bytes32,address,uint64,bytes32)"
_RECEIPTS_ROOT, _NUMBER = 5, 8
_LOGS: Final = 3
_BRANCH: Final = 17
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Anchored:
    """A final anchor of a node's log. fault: why its proof does not hold, "" when it does."""

    actor: str
    size: int
    block: int
    block_hash: str
    transaction: str
    fault: str

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "log": self.actor,
            "size": self.size,
            "block": self.block,
            "blockHash": self.block_hash,
            "transaction": self.transaction,
            "fault": self.fault,
        }


def take(
    actor: str, rows: Sequence[sqlite3.Row], roots: Mapping[int, bytes], contract: bytes
) -> list[Anchored]:
    """Every final anchor of one store, judged. roots: those of the log's checkpoints by size."""
    return [
        Anchored(
            actor,
            row["size"],
            row["block"],
            keccak(row["header"]).hex(),
            row["hash"].hex(),
            _judged(row, roots, contract),
        )
        for row in rows
    ]


def _judged(row: sqlite3.Row, roots: Mapping[int, bytes], contract: bytes) -> str:
    try:
        return _fault(row, roots, contract)
    except (RLPException, LookupError, ValueError, TypeError) as error:
        return f"it cannot be read: {type(error).__name__}"


def _fault(row: sqlite3.Row, roots: Mapping[int, bytes], contract: bytes) -> str:
    header = rlp.decode(row["header"])
    if int.from_bytes(header[_NUMBER], "big") != row["block"]:
        return "the header is of another block"
    nodes = [base64.b64decode(line) for line in row["path"].split()]
    receipt = _in_trie(header[_RECEIPTS_ROOT], rlp.encode(row["position"]), nodes)
    if receipt is None:
        return "the path does not lead to a receipt"
    # EIP-2718: a typed receipt has its type in front of the list.
    fields = rlp.decode(receipt if receipt[0] >= 0xC0 else receipt[1:])
    address, topics, data = fields[_LOGS][row["log_index"]]
    log = hashlib.sha256(row["origin"].encode()).digest()
    told = b"".join((*topics, data))
    wanted = keccak(_EVENT) + log + bytes(12) + row["sender"] + row["size"].to_bytes(32, "big")
    if fields[0] != b"\1" or address != contract or told != wanted + row["root"]:
        return "the event says something else"
    return "" if roots.get(row["size"]) == row["root"] else "the log signed another root"


def _in_trie(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The value at `key`; None where the nodes do not lead there."""
    held = {keccak(node): node for node in nodes}
    nibbles = key.hex()
    wanted: Any = root
    for _ in range(_MAX_DEPTH):
        # A node of less than 32 bytes stands in its parent itself.
        items = wanted if isinstance(wanted, list) else rlp.decode(held.get(wanted, b"\x80"))
        if not items:
            return None
        if len(items) == _BRANCH:
            if not nibbles:
                return bytes(items[16])
            wanted, nibbles = items[int(nibbles[0], 16)], nibbles[1:]
            continue
        path = items[0].hex()
        rest = path[1:] if path[0] in "13" else path[2:]
        if not nibbles.startswith(rest):
            return None
        nibbles = nibbles[len(rest) :]
        if path[0] in "23":
            return None if nibbles else bytes(items[1])
        wanted = items[1]
    return None
