"""R14: killed at any point of the log's path, it loses no answered leaf and never forks."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import checkpoints, log
from ledger.tiles import TileFolder, tiles_between
from node.keystore import KeyStore
from node.log.service import LogService
from node.runtime import Node
from protocols.log import checkpoint
from protocols.log.merkle import Tree
from tests.support.failpoints import POINTS
from tests.support.log_under_failure import ANSWERED, SIGNED
from tests.support.process import ROOT
from tests.support.running import make_home, running_node

LONG_ROUNDS = 200
DID = "did:web:rail.example"


@contextmanager
def lives(home: Path) -> Iterator[subprocess.Popen[str]]:
    """The process whose children live and die."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.log_under_failure", str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            stream.close()


def die(process: subprocess.Popen[str], point: str, times: int, seed: int) -> None:
    process.stdin.write(f"{point} {times} {seed}\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == "killed", (point, times, seed)


def pairs(file: Path) -> list[tuple[int, str]]:
    return [(int(a), b) for a, b in (line.split() for line in file.read_text().splitlines())]


async def examine(home: Path) -> tuple[int, int]:
    """Start once more, unharmed; compare with all that was ever answered and signed."""
    async with running_node(home, services=(("log", LogService),)) as node:
        assert node.log.fault is None
        size = await node.store.read(log.size)
        leaves = await node.store.read(log.hashes, 0, size)
        assert len(leaves) == size
        answered = pairs(home / ANSWERED)
        assert all(leaves[index].hex() == hash_ for index, hash_ in answered)
        assert len({index for index, _ in answered}) == len(answered)
        tree, signed = Tree(leaves), pairs(home / SIGNED)
        # Two roots for one size cannot both be the tree's.
        assert all(tree.root(at).hex() == root for at, root in signed)
        await last_leaf_is_published(node, leaves[-1])
        await tiles_are_whole(node, tree)
    return len(answered), len(signed)


async def last_leaf_is_published(node: Node, leaf_hash: bytes) -> None:
    receipt = await node.log.wait_for(leaf_hash, witnessed=False, deadline=60)
    assert receipt is not None


async def tiles_are_whole(node: Node, tree: Tree) -> None:
    folder = TileFolder(node.home.log)
    newest = await node.store.read(checkpoints.newest, signed=True)
    shown = checkpoint.open_checkpoint(folder.published(), node.log.publisher.identity.key)
    assert shown.checkpoint.size == newest.size
    for tile in tiles_between(0, newest.size):
        assert folder.read(tile) == tile.data(tree)


def prepared(path: Path) -> Path:
    settings = {"node": {"did": DID}, "log": {"checkpoint_interval": 0.02}}
    home = make_home(path / "home", DID, settings)
    KeyStore(home.keys, DID).create("log")
    for name in (ANSWERED, SIGNED):
        (home.path / name).touch()
    return home.path


async def test_r14_killed_once_at_every_point_the_log_loses_nothing_and_never_forks(tmp_path: Path):
    home = prepared(tmp_path)
    with lives(home) as process:
        for seed, point in enumerate(POINTS):
            die(process, point, 1 if point.startswith("start") else 2, seed)
    answered, signed = await examine(home)
    assert answered > 100
    assert signed > 10


@pytest.mark.slow
async def test_r14_killed_two_hundred_times_the_log_loses_nothing_and_never_forks(tmp_path: Path):
    home, chance = prepared(tmp_path), random.Random(4)
    with lives(home) as process:
        for number in range(LONG_ROUNDS):
            point = POINTS[number % len(POINTS)]
            die(process, point, 1 if point.startswith("start") else chance.randint(1, 5), number)
    answered, _ = await examine(home)
    assert answered > 1000
