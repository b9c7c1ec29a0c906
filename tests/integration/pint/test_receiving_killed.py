"""A platform is killed after it accepted at the arbiter, before it could keep or say anything."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from protocols.pint.words import Action
from tests.integration.pint.sending_network import (
    CARRIER,
    did_of,
    made,
    possessor,
    titled,
)
from tests.integration.pint.test_receiving_titles import HOST, RECEIVING, hand_of
from tests.support.network import running_network
from tests.support.process import ROOT, node_process, wait_until_up
from tests.support.running import caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.home import Home

#: The whole node, which dies where it would keep what the arbiter has made final.
MORTAL = """
import os, signal, sys
from pathlib import Path
from node.daemon import serve
from node.pint.receiving import Receiving
Receiving._keep = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
serve(Path(sys.argv[1]))
"""


@contextmanager
def mortal(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    with (home.path / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", MORTAL, str(home.path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=log,
        )
    try:
        wait_until_up(home, process)
        yield process
    finally:
        process.kill()
        process.wait(60)


@pytest.mark.slow
async def test_r20_a_killed_platform_says_rece_when_it_is_asked_again(tmp_path: Path) -> None:
    whole = made(tmp_path)
    home = whole.homes[HOST]
    others = {name: one for name, one in whole.homes.items() if name != HOST}
    rest = running_network(replace(whole, homes=others), services=RECEIVING)
    async with rest as nodes, caller() as session:
        with mortal(home) as dying:
            it = await hand_of(nodes, await titled(nodes[CARRIER]), session)
            issue = it.deed(Action.ISSUE, CARRIER, "exp-a")
            texts = it.first(issue, it.deed(Action.TRANSFER, "exp-a", "imp-a"))
            await it.offer(texts, "imp-a")
            url = home.endpoint_file.read_text()
            with pytest.raises(aiohttp.ClientError):
                await it.post(texts, CARRIER, url)
            assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
        await nodes[CARRIER].title.find(it.title, refresh=True)
        assert await possessor(nodes[CARRIER], it.title) == did_of("imp-a")
        up = node_process(home)
        await asyncio.to_thread(up.__enter__)
        try:
            # The node may have come to the end by itself since it is up.
            again = await it.post(texts, CARRIER, home.endpoint_file.read_text())
            assert again in {(200, "RECE"), (200, "DUPE")}
            assert await it.post(texts, CARRIER, home.endpoint_file.read_text()) == (200, "DUPE")
        finally:
            await asyncio.to_thread(up.__exit__, None, None, None)
