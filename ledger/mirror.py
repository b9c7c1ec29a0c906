"""A partner's log, stored: C2SP tlog-mirror. Entry bundles and tiles are files, its place a row.

Bundles are written as soon as their entries are proven; tiles above them when the checkpoint is
complete; the row that says so, and with it the mirror's signature, comes last. So what a mirror has
signed is on the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from ledger.tables import mirrors
from ledger.tiles import HEIGHT, WIDTH, Tile, TileFolder, index_path, tiles_between, write_durably
from protocols.log import merkle
from protocols.log.checkpoint import Checkpoint
from protocols.log.entry_bundle import bundle, unbundle
from protocols.log.merkle import HASH_SIZE, leaf_hash, node_hash
from schemas.errors import MalformedError, NotFoundError, SettingsError


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How much of a log is here.

    next_entry: index of the first entry that is not stored
    size, note: the mirror checkpoint: everything below it is stored, and this mirror signed it
    """

    next_entry: int = 0
    size: int = 0
    note: str = ""
    at: int = 0


def state(conn: Connection, origin: str) -> MirrorState:
    """Where the mirror of that log stands."""
    columns = (mirrors.c.next_entry, mirrors.c.size, mirrors.c.note, mirrors.c.at)
    row = conn.execute(select(*columns).where(mirrors.c.origin == origin)).one_or_none()
    return MirrorState() if row is None else MirrorState(*row)


def states(conn: Connection) -> list[tuple[str, MirrorState]]:
    """All mirrored logs by origin."""
    origins = conn.execute(select(mirrors.c.origin).order_by(mirrors.c.origin)).scalars()
    return [(origin, state(conn, origin)) for origin in origins]


def advance(conn: Connection, origin: str, next_entry: int, now_ms: int) -> None:
    """Entries below `next_entry` are durable; never goes back."""
    held = state(conn, origin)
    if next_entry > held.next_entry:
        _put(conn, origin, MirrorState(next_entry, held.size, held.note, now_ms))


def commit(conn: Connection, origin: str, size: int, text: str, now_ms: int) -> bool:
    """Make `text`, signed by the mirror, its checkpoint; False when a larger one is there."""
    held = state(conn, origin)
    if size < held.size:
        return False
    _put(conn, origin, MirrorState(max(held.next_entry, size), size, text, now_ms))
    return True


def _put(conn: Connection, origin: str, new: MirrorState) -> None:
    values = {"next_entry": new.next_entry, "size": new.size, "note": new.note, "at": new.at}
    mine = mirrors.c.origin == origin
    if conn.execute(update(mirrors).where(mine).values(**values)).rowcount == 0:
        conn.execute(insert(mirrors).values(origin=origin, **values))


class MirrorFolder(TileFolder):
    """The files of one mirrored log, as an HTTP server would serve them. Everything blocks."""

    def __init__(self, path: Path, stored: int) -> None:
        """stored: how many entries are there, from the row."""
        super().__init__(path)
        self.stored = stored

    def _bundle_file(self, index: int, width: int) -> Path:
        return self.path / "tile" / "entries" / _name(index, width)

    def entries(self, index: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle; raises NotFoundError `log_tile_not_found`."""
        here = min(WIDTH, self.stored - index * WIDTH)
        if 0 < width <= here:
            try:
                found = unbundle(self._bundle_file(index, here).read_bytes())
            except (OSError, MalformedError):
                found = []
            if len(found) == here:
                return found[:width]
        raise NotFoundError("log_tile_not_found", "no such entries")

    def put(self, low: int, entries: Sequence[bytes]) -> None:
        """Store the bundle that begins at `low`, from its first entry on, and its hashes."""
        index, width = low // WIDTH, len(entries)
        if low + width <= self.stored:
            return
        hashes = b"".join(leaf_hash(entry) for entry in entries)
        tile = self.path / "tile" / Tile(0, index, width).path()
        write_durably([(self._bundle_file(index, width), bundle(entries)), (tile, hashes)])
        self.stored = low + width

    def complete(self, old: int, head: Checkpoint) -> None:
        """Write the tiles of a checkpoint whose entries are stored, beyond those of `old`.

        Raises SettingsError `mirror_damaged` when what is stored does not give its root.
        """
        reader = _TileReader(self, head.size)
        for tile in tiles_between(old, head.size):
            data = reader.data(tile, old)
            write_durably([(self.path / "tile" / tile.path(), data)])
            reader.keep(tile, data)
        if merkle.root(head.size, reader.hash_at) != head.root:
            raise SettingsError("mirror_damaged", f"the mirror of {head.origin} is damaged")
        self._forget_partials(old, head.size)

    def _forget_partials(self, old: int, new: int) -> None:
        for tile in tiles_between(old, new):
            if not tile.partial:
                full = self.path / "tile" / tile.path()
                shutil.rmtree(full.with_name(full.name + ".p"), ignore_errors=True)
                if tile.level == 0:
                    partial = self._bundle_file(tile.index, WIDTH)
                    shutil.rmtree(partial.with_name(partial.name + ".p"), ignore_errors=True)


def _name(index: int, width: int) -> str:
    return index_path(index) + ("" if width == WIDTH else f".p/{width}")


class _TileReader:
    """Hashes of perfect subtrees out of tile files, each read once."""

    def __init__(self, folder: MirrorFolder, size: int) -> None:
        """size: of the tree that is asked about; its tiles are being written."""
        self._folder = folder
        self._size = size
        self._held: dict[tuple[int, int], bytes] = {}

    def keep(self, tile: Tile, data: bytes) -> None:
        """Remember a tile that was just written."""
        self._held[tile.level, tile.index] = data

    def data(self, tile: Tile, old: int) -> bytes:
        """The bytes of a new tile: what the old size had of it, and the full tiles below."""
        if tile.level == 0:
            return self._stored(tile.index)[: tile.width * HASH_SIZE]
        first = tile.index * WIDTH
        had = min(WIDTH, max(0, (old >> (HEIGHT * tile.level)) - first))
        data = self._folder.read(Tile(tile.level, tile.index, had)) if had else b""
        below = range(first + had, first + tile.width)
        return data + b"".join(_top(self._tile(tile.level - 1, index)) for index in below)

    def _stored(self, index: int) -> bytes:
        width = min(WIDTH, self._folder.stored - index * WIDTH)
        return self._folder.read(Tile(0, index, width))

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._held:
            width = min(WIDTH, (self._size >> (HEIGHT * level)) - index * WIDTH)
            tile = Tile(level, index, width)
            self._held[level, index] = self._folder.read(tile) if level else self._stored(index)
        return self._held[level, index]

    def hash_at(self, level: int, index: int) -> bytes:
        """For `merkle.root`."""
        high, inside = divmod(level, HEIGHT)
        start = index << inside
        data = self._tile(high, start // WIDTH)
        begin = (start % WIDTH) * HASH_SIZE
        return _top(data[begin : begin + (HASH_SIZE << inside)])


def _top(hashes: bytes) -> bytes:
    """The root over a power of two of hashes."""
    row = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
