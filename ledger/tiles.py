"""Tiles on disk, C2SP tlog-tiles: static files that anybody may fetch and cache.

A tile is durable before the checkpoint that needs it is signed (R14): it is written beside its
place, flushed, renamed, and its folder is flushed. Tiles of hashes reveal nothing but a count.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from protocols.log.merkle import HASH_SIZE, Tree
from schemas.errors import NotFoundError

WIDTH = 256
HEIGHT = 8
MAX_LEVEL = 7
_NAME = re.compile(
    r"(?P<level>[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: level (hashes of subtrees of height 8 × level), index, width 1…256."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def partial(self) -> bool:
        """Whether later tiles replace it."""
        return self.width < WIDTH

    def path(self) -> str:
        """``<L>/<N>[.p/<W>]``, below ``tile/``."""
        return f"{self.level}/{index_path(self.index)}" + (
            f".p/{self.width}" if self.partial else ""
        )

    def data(self, tree: Tree) -> bytes:
        """The tile's bytes out of a tree that has them."""
        start = self.index * WIDTH
        return tree.hashes(self.level * HEIGHT, start, start + self.width)


def index_path(index: int) -> str:
    """A tile index in groups of three digits: 1234067 is ``x001/x234/067``."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_path(text: str) -> Tile:
    """A tile from its path below ``tile/``; raises NotFoundError `log_tile_not_found`."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise _unknown()
    index = int(match["index"].replace("/", "").replace("x", ""))
    tile = Tile(int(match["level"]), index, int(match["width"] or WIDTH))
    if tile.path() != text:
        raise _unknown()
    return tile


def _unknown() -> NotFoundError:
    return NotFoundError("log_tile_not_found", "no such tile")


def tiles_between(old: int, new: int) -> Iterator[Tile]:
    """The tiles that a tree of `new` leaves has and one of `old` leaves has not."""
    for level in range(MAX_LEVEL + 1):
        before, count = old >> (HEIGHT * level), new >> (HEIGHT * level)
        if before == count:
            return
        for index in range(before // WIDTH, -(-count // WIDTH)):
            yield Tile(level, index, min(WIDTH, count - index * WIDTH))


class TileFolder:
    """The folder of one log: ``checkpoint`` and ``tile/…``, as an HTTP server would serve it."""

    def __init__(self, path: Path) -> None:
        """`path` is made when something is written."""
        self.path = path

    def write(self, tree: Tree, old: int, new: int) -> None:
        """Make durable what a checkpoint of `new` leaves needs beyond one of `old` leaves."""
        tiles = list(tiles_between(old, new))
        write_durably((self.path / "tile" / tile.path(), tile.data(tree)) for tile in tiles)
        for tile in tiles:
            if not tile.partial:
                full = self.path / "tile" / tile.path()
                # Whoever asks for the partial tile now finds the full one (tlog-tiles).
                shutil.rmtree(full.with_name(full.name + ".p"), ignore_errors=True)

    def read(self, tile: Tile) -> bytes:
        """A tile's bytes, also out of the full tile; raises NotFoundError `log_tile_not_found`."""
        for kept in dict.fromkeys((tile, Tile(tile.level, tile.index))):
            try:
                data = (self.path / "tile" / kept.path()).read_bytes()
            except OSError:
                continue
            if len(data) == kept.width * HASH_SIZE:
                return data[: tile.width * HASH_SIZE]
        raise _unknown()

    def publish(self, checkpoint: str) -> None:
        """Replace the served checkpoint."""
        write_durably([(self.path / "checkpoint", checkpoint.encode())])

    def published(self) -> str | None:
        """The served checkpoint, if there is one."""
        try:
            return (self.path / "checkpoint").read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None


def write_durably(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write files so that after a power cut each is whole, new or old, and none is lost."""
    folders: set[Path] = set()
    for path, data in files:
        folders |= _make_folder(path.parent)
        partial = path.with_name(path.name + ".new")
        with partial.open("wb") as target:
            target.write(data)
            target.flush()
            os.fdatasync(target.fileno())
        partial.replace(path)
    for folder in folders:
        _flush_folder(folder)


def _make_folder(folder: Path) -> set[Path]:
    """Make `folder`; it and the parents of whatever was made are to be flushed."""
    touched = {folder}
    missing = folder
    while not missing.exists():
        missing = missing.parent
        touched.add(missing)
    folder.mkdir(parents=True, exist_ok=True)
    return touched


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
