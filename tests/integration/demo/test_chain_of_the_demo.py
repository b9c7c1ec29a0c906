"""The demo's chain ends with the demo, and its auditor believes no anchor that was touched."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from testnet import anchor_accounts, chain
from testnet.devchain import DevChain
from tests.integration.chain.test_anchors import anchored, grow, home_of, running
from tests.shared import ROOT

if TYPE_CHECKING:
    from pathlib import Path

UP, GONE = 120.0, 60.0


async def rows_of(folder: Path) -> tuple[list[dict[str, Any]], dict[int, bytes], bytes]:
    """Final anchors of a real log on a real chain, the roots it signed, and the contract."""
    server = DevChain()
    await server.start()
    try:
        async with running(home_of(folder / "home", server)) as node:
            await grow(node)
            await anchored(node, 3)
            store = node.home.database
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as opened:
                opened.row_factory = sqlite3.Row
                found = opened.execute("SELECT * FROM log_anchors WHERE state = 'final'")
                rows = [dict(row) for row in found]
    finally:
        await server.stop()
    return rows, {row["size"]: row["root"] for row in rows}, server.anchors


async def test_the_auditor_proves_an_anchor_and_finds_every_change(tmp_path: Path) -> None:
    rows, roots, contract = await rows_of(tmp_path)
    [held] = anchor_accounts.take("node", rows, roots, contract)
    assert (held.size, held.fault) == (3, "")
    [row] = rows
    changes: list[dict[str, Any]] = [
        {"size": 4},
        {"root": bytes(32)},
        {"sender": bytes(20)},
        {"origin": "other.example/log/1"},
        {"block": row["block"] + 1},
        {"position": row["position"] + 1},
        {"path": ""},
        {"header": row["header"].replace(row["header"][100:132], bytes(32))},
    ]
    for change in changes:
        [judged] = anchor_accounts.take("node", [row | change], roots, contract)
        assert judged.fault, change
    [signed] = anchor_accounts.take("node", rows, {3: bytes(32)}, contract)
    assert signed.fault == "the log signed another root"
    [placed] = anchor_accounts.take("node", rows, roots, bytes(20))
    assert placed.fault


def chain_port(settings: Path) -> int:
    """Where the node's settings say that the chain is, 0 as long as they do not."""
    told = settings.read_text() if settings.exists() else ""
    found = re.search(r'urls = \["http://127\.0\.0\.1:(\d+)"\]', told)
    return 0 if found is None else int(found[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with closing(socket.socket()) as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def until(look: Any, seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.1)
    return False


def test_a_demo_that_is_killed_leaves_no_chain_and_no_node(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "node.cli.main", "demo", "--fast", "--out", str(tmp_path)]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    settings = tmp_path / "nodes" / "vn-cert" / "pratique.toml"
    try:
        # The file is there a moment before it says where the chain is.
        assert until(lambda: chain_port(settings), UP)
        port = chain_port(settings)
        assert until(lambda: listens(port), UP)
    finally:
        demo.kill()
        demo.wait()
    assert until(lambda: not listens(port), GONE)


def test_anvil_is_taken_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PRATIQUE_ANVIL", str(program))
    assert chain.choose().command()[0] == str(program)
    monkeypatch.setenv("PRATIQUE_ANVIL", str(tmp_path / "none"))
    assert "devchain" in chain.choose().command()
