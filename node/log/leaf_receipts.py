"""Receipts of leaves: of the node's log, and of logs of this node that ended (R15, R17)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger import checkpoints, log, recovery
from ledger.tables import NODE_LOG
from protocols.log.merkle import Tree
from protocols.log.proof import LogProof

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.checkpoints import StoredCheckpoint
    from ledger.log import StoredLeaf
    from node.store.store import Store

STEP = 16_384


@dataclass(frozen=True, slots=True)
class LogReceipt:
    """A leaf's place under a signed checkpoint: the tlog-proof text and whether a quorum signed.

    entry:  the entry bytes whose leaf hash is `leaf_hash`
    origin: the log's origin line
    """

    leaf_hash: bytes
    entry: bytes
    origin: str
    index: int
    size: int
    text: str
    witnessed: bool


@dataclass(frozen=True, slots=True)
class Covered:
    """A stored leaf, the checkpoint for its receipt, and that checkpoint's cosigned note."""

    leaf: StoredLeaf
    checkpoint: StoredCheckpoint
    note: str

    def receipt(self, tree: Tree, origin: str) -> LogReceipt | None:
        """The receipt, or None when the tree has not come that far."""
        size, index = self.checkpoint.size, self.leaf.index
        if tree.size < size:
            return None
        return LogReceipt(
            leaf_hash=self.leaf.hash,
            entry=self.leaf.entry,
            origin=origin,
            index=index,
            size=size,
            text=LogProof(index, tree.inclusion_proof(index, size), self.note).to_text(),
            witnessed=self.checkpoint.witnessed_at is not None,
        )


def covered(conn: Connection, leaf_hash: bytes, name: str = NODE_LOG) -> Covered | None:
    """What a receipt is made of; None without the leaf or a checkpoint over it."""
    leaf = log.find(conn, leaf_hash, log=name)
    stored = checkpoints.covering(conn, leaf.index, log=name) if leaf else None
    if leaf is None or stored is None:
        return None
    return Covered(leaf, stored, checkpoints.cosigned_note(conn, stored, log=name))


@dataclass(slots=True)
class EndedLogs:
    """Receipts of this node's ended logs; a tree is built when it is first asked for."""

    store: Store
    _trees: dict[str, Tree] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def receipt(self, leaf_hash: bytes) -> LogReceipt | None:
        """The receipt of a leaf of any ended log."""
        for ended in await self.store.read(recovery.all_frozen):
            found = await self.store.read(covered, leaf_hash, ended.log)
            if found is not None:
                return found.receipt(await self._tree(ended.log), ended.origin)
        return None

    async def _tree(self, name: str) -> Tree:
        async with self._lock:
            if name not in self._trees:
                tree = Tree()
                while found := await self.store.read(
                    log.hashes, tree.size, tree.size + STEP, log=name
                ):
                    tree.extend(found)
                self._trees[name] = tree
            return self._trees[name]
