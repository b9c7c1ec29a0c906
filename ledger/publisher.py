"""From leaves to a signed checkpoint, in the order that R14 demands.

Tiles durable, intent (size, root, fencing epoch) durable, sign, note durable, publish: five steps.
Signing is deterministic, so whatever a crash interrupts is simply done again with the same result.
The publisher keeps the tree in memory; leaves come from the database, which alone is the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ledger import checkpoints, log
from ledger.checkpoints import StoredCheckpoint
from ledger.tables import NODE_LOG
from ledger.tiles import TileFolder
from protocols.log import checkpoint
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree
from protocols.log.note import Sign, VerifierKey
from schemas.errors import SettingsError, TradeError

LOAD_STEP = 16_384
"""Leaf hashes read at a time when the tree is rebuilt."""


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log, and how it signs: name inside the node, type 0x01 key, its listed origin."""

    key: VerifierKey
    sign: Sign
    log: str = NODE_LOG
    named: str = ""

    @property
    def origin(self) -> str:
        """The origin line: as the log is listed, by default the key's name."""
        return self.named or self.key.name


class LogPublisher:
    """One log's tree in memory, its tiles on disk and its checkpoints.

    The database steps are synchronous functions over a connection, so that the caller decides
    in which transactions they run; the file steps block and belong into a thread.
    """

    def __init__(self, identity: LogIdentity, folder: TileFolder) -> None:
        """Knows nothing yet: `load` all leaves, then `verify`, then `take_over`."""
        self.identity = identity
        self.folder = folder
        self.tree = Tree()
        self.epoch = 0
        self._durable = 0  # leaves whose tiles are on disk

    def pending_hashes(self, conn: Connection, limit: int = LOAD_STEP) -> list[bytes]:
        """The next leaf hashes that the tree does not have yet."""
        size = self.tree.size
        return log.hashes(conn, size, size + limit, log=self.identity.log)

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Take committed leaf hashes into the tree."""
        self.tree.extend(leaf_hashes)

    def load(self, conn: Connection) -> None:
        """Take all committed leaves into the tree."""
        while found := self.pending_hashes(conn):
            self.extend(found)

    def verify(self, conn: Connection) -> None:
        """Compare the rebuilt tree with what was signed last, here and in the tile folder.

        Raises SettingsError `log_rolled_back` or `log_root_mismatch`: then nothing may be signed.
        """
        last = checkpoints.newest(conn, log=self.identity.log)
        if last is not None:
            self._require_prefix(last.size, last.root, "the store has signed")
        published = self._published()
        if published is not None:
            self._require_prefix(published.size, published.root, "the log folder shows")
            # It is published last, so the tiles below it were durable.
            self._durable = published.size

    def _published(self) -> Checkpoint | None:
        text = self.folder.published()
        if text is None:
            return None
        try:
            return checkpoint.open_checkpoint(
                text, self.identity.key, origin=self.identity.origin
            ).checkpoint
        except TradeError:
            return None  # half a file or another epoch's: the database decides

    def _require_prefix(self, size: int, root: bytes, who: str) -> None:
        if size > self.tree.size:
            raise SettingsError("log_rolled_back", f"{who} size {size}, here is {self.tree.size}")
        if self.tree.root(size) != root:
            raise SettingsError("log_root_mismatch", f"{who} another root for size {size}")

    def take_over(self, conn: Connection) -> None:
        """Fence off whoever signed this log before."""
        self.epoch = checkpoints.take_over(conn, log=self.identity.log)

    def head(self, size: int | None = None) -> Checkpoint:
        """What would be signed now, of all leaves or of the first `size`."""
        count = self.tree.size if size is None else size
        return Checkpoint(self.identity.origin, count, self.tree.root(count))

    def write_tiles(self, size: int) -> None:
        """Step 1. Blocks until the tiles for `size` leaves are on disk."""
        self.folder.write(self.tree, self._durable, size)
        self._durable = size

    def intend(self, conn: Connection, head: Checkpoint, now_ms: int) -> None:
        """Step 2. Raises what `checkpoints.intend` raises."""
        checkpoints.intend(conn, head.size, head.root, self.epoch, now_ms, log=self.identity.log)

    def sign(self, head: Checkpoint) -> str:
        """Step 3. Only after step 2 is committed."""
        if head.size > self._durable:
            raise ValueError("the tiles are not durable yet")
        return checkpoint.sign(head, self.identity.key, self.identity.sign).to_text()

    def record(self, conn: Connection, head: Checkpoint, text: str) -> None:
        """Step 4."""
        checkpoints.record_signed(conn, head.size, text, self.epoch, log=self.identity.log)

    def publish(self, text: str) -> None:
        """Step 5. Blocks until the served checkpoint is replaced."""
        self.folder.publish(text)

    def newest_signed(self, conn: Connection) -> StoredCheckpoint | None:
        """The largest signed checkpoint."""
        return checkpoints.newest(conn, log=self.identity.log, signed=True)
