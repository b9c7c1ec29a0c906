"""Repairs that lose nothing: what can be made again from what was found whole.

Tiles are made again from the leaves, once those were found to give every checkpoint that was
signed; a time-stamp that is over something else is put aside, so that the node may get another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import checkpoints, tables
from ledger.tiles import TileFolder, tiles_between, write_durably
from node.fsck import kept
from node.fsck.logs import tree_of
from schemas.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from node.fsck import Context


def tiles(conn: Connection, context: Context) -> int:
    """Write every damaged or missing tile; how many. Raises ConflictError `fsck_not_repairable`."""
    from node.fsck import examine

    for ground in ("FSCK-01", "FSCK-02"):
        if examine(conn, context, ground).count:
            raise ConflictError("fsck_not_repairable", f"{ground} has to be repaired first")
    newest = checkpoints.newest(conn, signed=True)
    if newest is None:
        return 0
    tree, folder = tree_of(conn, tables.NODE_LOG), TileFolder(context.home.log)
    damaged = []
    for tile in tiles_between(0, newest.size):
        try:
            whole = folder.read(tile) == tile.data(tree)
        except NotFoundError:
            whole = False
        if not whole:
            damaged.append(tile)
    write_durably((folder.path / "tile" / tile.path(), tile.data(tree)) for tile in damaged)
    return len(damaged)


def stamps(conn: Connection, context: Context) -> int:
    """Put every damaged time-stamp aside, as NAME.tsr.damaged; how many."""
    damaged = [file for file in kept.stamp_files(context) if kept.stamp_fault(conn, file)]
    for file in damaged:
        file.rename(file.with_name(file.name + ".damaged"))
    return len(damaged)


REPAIRS: dict[str, Callable[[Connection, Context], int]] = {"FSCK-03": tiles, "FSCK-15": stamps}
