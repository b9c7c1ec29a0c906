"""What a running node shows of its log, verified by the Go checksum database's packages."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger import checkpoints
from node.runtime import Node
from protocols.log import policy as log_policy
from tests.integration.log.log_network import UNTIL, WITNESSES, append, made, start
from tests.support.go import Verifier, build

ENTRIES = [f"entry {number}".encode() for number in range(700)]


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    return build(tmp_path_factory.mktemp("go"))


async def asked(rail: Node, old: str) -> dict[str, Any]:
    """What the verifier is given: addresses, keys, an old checkpoint, receipts with entries."""
    policy = log_policy.parse(rail.members.current.log(rail.log.origin).policy)
    receipts = [
        await rail.log.wait_for((await rail.store.read(at, index)).hash, UNTIL)
        for index in (0, 200, 600)
    ]
    assert all(receipt and receipt.witnessed for receipt in receipts)
    return {
        "base": rail.endpoint + "/log",
        "log_key": rail.log.publisher.identity.key.to_text(),
        "witness_keys": [item.key.to_text() for item in policy.witnesses.values()],
        "quorum": policy.smallest_quorum(),
        "old_note": old,
        "receipts": [receipt.text for receipt in receipts],
        "entries": [base64.b64encode(receipt.entry).decode() for receipt in receipts],
    }


def at(conn, index: int):
    from ledger import log

    return log.read(conn, index, index + 1)[0]


async def note_at(rail: Node, size: int) -> tuple[int, str]:
    """The first checkpoint of at least `size` leaves that is witnessed, with its size."""
    async with asyncio.timeout(UNTIL):
        while True:
            newest = await rail.store.read(checkpoints.newest, witnessed=True)
            if newest is not None and newest.size >= size:
                return newest.size, await rail.store.read(checkpoints.cosigned_note, newest)
            await asyncio.sleep(0.05)


def forged(request: dict[str, Any], change: str) -> dict[str, Any]:
    """The request with one thing about it changed."""
    changed = dict(request)
    if change == "entry":
        changed["entries"] = [base64.b64encode(b"another").decode(), *request["entries"][1:]]
    elif change == "proof":
        lines = request["receipts"][0].split("\n")
        lines[2], lines[3] = lines[3], lines[2]
        changed["receipts"] = ["\n".join(lines), *request["receipts"][1:]]
    elif change == "index":
        changed["receipts"] = [request["receipts"][0].replace("index 0\n", "index 1\n")]
    elif change == "checkpoint":
        changed["old_note"] = request["old_note"].replace("\n3", "\n2", 1)
    elif change == "witnesses":
        changed["witness_keys"] = request["witness_keys"][:2]
    else:
        changed["log_key"] = request["witness_keys"][0].replace("+B", "+A")
    return changed


async def test_an_independent_verifier_accepts_the_log_and_refuses_what_was_changed(
    tmp_path: Path, verifier: Verifier
):
    async with AsyncExitStack() as stack:
        nodes = await start(stack, made(tmp_path), "rail", *WITNESSES)
        rail = nodes["rail"]
        await append(rail, *ENTRIES[:300])
        small, old = await note_at(rail, 300)
        await append(rail, *ENTRIES[300:])
        large, _ = await note_at(rail, 700)
        request = await asked(rail, old)
        told, refusal = await asyncio.to_thread(verifier.run, request)
        assert not refusal
        size = int(told[0].removeprefix("checkpoint "))
        assert size >= large
        assert told[1] == f"consistency {small} {size}"
        assert told[2:] == ["receipt 0", "receipt 1", "receipt 2"]
        for change in ("entry", "proof", "index", "checkpoint", "witnesses", "log key"):
            _, refusal = await asyncio.to_thread(verifier.run, forged(request, change))
            assert refusal, change
        tile = rail.home.log / "tile" / "0" / "001"
        data = tile.read_bytes()
        tile.write_bytes(bytes((data[0] ^ 1,)) + data[1:])
        _, refusal = await asyncio.to_thread(verifier.run, request)
        assert "consistency" in refusal or "receipt" in refusal
