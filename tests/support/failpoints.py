"""Named places in the log's path at which a process can be made to kill itself.

Product code knows nothing of them: each is put around a function that is there anyway, in the
process that is to die. SIGKILL leaves no time for anything, so what is on the disk is what was
durable (and what the kernel still has, which a power cut would not leave; see `write_durably`).
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from ledger import log, tiles
from ledger.publisher import LogPublisher
from node.store import sqlite

Reached = Callable[[str], None]


def around(
    owner: Any, name: str, *, before: str = "", after: str = ""
) -> Callable[[Reached], None]:
    """Puts points before and after a function of a module or class."""

    def install(reached: Reached) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def wrapped(*args: Any, **more: Any) -> Any:
            if before:
                reached(before)
            value = function(*args, **more)
            if after:
                reached(after)
            return value

        setattr(owner, name, wrapped)

    return install


def _commit(reached: Reached) -> None:
    event.listen(Engine, "commit", lambda _connection: reached("commit.before"))


def _flush(reached: Reached) -> None:
    fdatasync = os.fdatasync

    def flush(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        kind = "checkpoint" if name.startswith("checkpoint") else "tile"
        reached(f"{kind}.written")
        fdatasync(descriptor)
        reached(f"{kind}.flushed")

    os.fdatasync = flush


def _rename(reached: Reached) -> None:
    replace = Path.replace

    def renamed(path: Path, target: Path) -> Path:
        found = replace(path, target)
        reached("checkpoint.renamed" if target.name == "checkpoint" else "tile.renamed")
        return found

    Path.replace = renamed


def _remove(reached: Reached) -> None:
    rmtree = shutil.rmtree

    def removed(path: Path, **more: Any) -> None:
        there = Path(path).exists()
        rmtree(path, **more)
        if there:
            reached("partials.removed")

    shutil.rmtree = removed


_INSTALLERS = (
    around(log, "_take", after="append.taken"),
    around(log, "_put", after="append.inserted"),
    _commit,
    around(sqlite, "_answer", before="commit.after", after="answer.after"),
    _flush,
    _rename,
    _remove,
    around(tiles, "_flush_folder", after="folder.flushed"),
    around(LogPublisher, "write_tiles", before="tiles.before", after="tiles.after"),
    around(LogPublisher, "intend", before="intent.before", after="intent.inserted"),
    around(LogPublisher, "sign", before="intent.durable", after="sign.after"),
    around(LogPublisher, "record", after="note.recorded"),
    around(LogPublisher, "publish", before="note.durable", after="publish.after"),
    around(LogPublisher, "verify", before="start.loaded", after="start.verified"),
    around(LogPublisher, "take_over", after="start.taken_over"),
)

POINTS = (
    "start.loaded",
    "start.verified",
    "start.taken_over",
    "append.taken",
    "append.inserted",
    "commit.before",
    "commit.after",
    "answer.after",
    "tiles.before",
    "tile.written",
    "tile.flushed",
    "tile.renamed",
    "folder.flushed",
    "partials.removed",
    "tiles.after",
    "intent.before",
    "intent.inserted",
    "intent.durable",
    "sign.after",
    "note.recorded",
    "note.durable",
    "checkpoint.written",
    "checkpoint.flushed",
    "checkpoint.renamed",
    "publish.after",
)


def die_at(point: str, times: int) -> None:
    """From now on this process kills itself when it reaches `point` for the `times`-th time."""
    assert point in POINTS
    left = times

    def reached(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    for install in _INSTALLERS:
        install(reached)
