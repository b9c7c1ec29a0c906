"""An auditor reads a partner's log for one document and sees what was left out (R18)."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ledger import log
from node.log.chains import ChainScanner, Scan
from node.runtime import Node
from protocols.log.leaf import Leaf, LeafKind, encode
from schemas.errors import NotFoundError
from tests.integration.log.log_network import UNTIL, append, made, start
from tests.support.process import pratique

SUBJECT, GAPPY = b"1" * 32, b"2" * 32


async def remember(node: Node, subject: bytes, count: int) -> list[bytes]:
    """Leaves of a subject among others, as the node appends them."""
    hashes = []
    for number in range(count):
        now = node.clock.now_ms()
        commit = number.to_bytes(32, "big")
        args = (LeafKind.STATUS, subject, commit, now)
        hashes.append((await node.store.write(log.remember, *args)).hash)
        await append(node, *(f"{number} {other}".encode() for other in range(200)))
    assert await node.log.wait_for(hashes[-1], UNTIL, witnessed=False)
    return hashes


async def scan(node: Node, origin: str, subject: bytes) -> Scan:
    return await ChainScanner(node.log).advance(origin, subject, budget=10)


async def test_r18_an_auditor_reads_a_partners_log_for_a_document(tmp_path: Path):
    network = made(tmp_path, witnesses=(), others=("auditor",))
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, "rail", "auditor")
        rail, auditor = nodes["rail"], nodes["auditor"]
        hashes = await remember(rail, SUBJECT, 4)
        for reader in (auditor, rail):
            found = await scan(reader, rail.log.origin, SUBJECT)
            assert [item.hash for item in found.found] == hashes
            told = found.report([hashes[-1]])
            assert (told["ok"], told["done"]) == (True, True)
            missing = found.report([b"x" * 32])
            assert not missing["ok"]
        with pytest.raises(NotFoundError):
            await scan(auditor, "nobody.example/log/1", SUBJECT)
        # A log that leaves an entry out: what follows still names it.
        entry = encode(Leaf(LeafKind.STATUS, GAPPY, bytes(32), b"y" * 32, 1))
        assert await rail.log.wait_for(await append(rail, entry), UNTIL, witnessed=False)
        told = (await scan(auditor, rail.log.origin, GAPPY)).report([])
        assert told["faults"] == [
            (
                f"entry {told['leaves'][0]['index']} names "
                f"{(b'y' * 32).hex()} before it, in the log stands none"
            )
        ]
        await by_command(auditor, rail.log.origin)


async def by_command(auditor: Node, origin: str) -> None:
    """The same as people ask it."""
    words = ("log", "chain", "--home", auditor.home.path, "--log", origin, "--json")
    whole = await asyncio.to_thread(pratique, *words, SUBJECT.hex())
    assert whole.returncode == 0, whole.stderr
    assert len(json.loads(whole.stdout)["leaves"]) == 4
    broken = await asyncio.to_thread(pratique, *words, GAPPY.hex())
    assert broken.returncode != 0
    assert not json.loads(broken.stdout)["ok"]
    # Nothing at all is no whole history: a mistyped subject must not read like one.
    nothing = await asyncio.to_thread(pratique, *words[:-1], "e" * 64)
    assert nothing.returncode == 1
    assert "log_chain_empty" in nothing.stderr
    assert "complete" not in nothing.stdout


async def test_r18_what_was_not_read_to_its_end_is_not_called_complete(tmp_path: Path):
    network = made(tmp_path, witnesses=())
    async with AsyncExitStack() as stack:
        rail = (await start(stack, network, "rail"))["rail"]
        await remember(rail, SUBJECT, 1)
        begun = await ChainScanner(rail.log).advance(rail.log.origin, SUBJECT, budget=0)
        told = begun.report([])
        assert (told["done"], told["ok"], told["faults"]) == (False, False, [])
