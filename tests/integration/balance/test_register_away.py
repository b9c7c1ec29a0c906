"""The register of a certificate is killed or does not answer (R23): nobody knows until it does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from node.balance import asking
from node.operator import OperatorClient
from testnet.ports import free_port
from tests.integration.balance.certificate_network import (
    SERVICES,
    arrived,
    balance,
    certificate,
    certificate_nodes,
    issue,
    network,
    operate,
)
from tests.integration.release.road import eventually, operator
from tests.support.cutter import Cutter
from tests.support.network import running_network
from tests.support.process import ROOT, node_process, wait_until_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node

REGISTER = "cn-cert"
#: The whole node, which dies at the first operation: before it is durable, or right after.
MORTAL = """
import os, signal, sys
from pathlib import Path
from node.balance.asking import BalanceHandler
from node.daemon import serve
from node.store.store import defer

operate = BalanceHandler._operate

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def mortal(self, conn, request, by):
    operate(self, conn, request, by)
    die() if sys.argv[2] == "undecided" else defer(conn, die)

BalanceHandler._operate = mortal
serve(Path(sys.argv[1]))
"""


@contextmanager
def mortal(home: Home, moment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (home.path / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", MORTAL, str(home.path), moment],
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


@asynccontextmanager
async def living(home: Home) -> AsyncIterator[OperatorClient]:
    """The node as it is, and its operator."""
    up = node_process(home)
    await asyncio.to_thread(up.__enter__)
    try:
        yield OperatorClient(home.endpoint_file.read_text(), home.token_file.read_text())
    finally:
        await asyncio.to_thread(up.__exit__, None, None, None)


async def outcome(node: Node, digest: str) -> str:
    """What became of the one thing that the node asked about the certificate."""
    [asked] = (await balance(node, digest))["asked"]
    return str(asked["outcome"])


async def test_r23_a_killed_register_decides_two_claims_once_when_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.3)
    made = network(tmp_path)
    home = made.homes[REGISTER]
    ports = ("sg-customs", "vn-customs")
    rest = replace(made, homes={name: made.homes[name] for name in ports})
    async with running_network(rest, services=SERVICES) as nodes:
        with mortal(home, "undecided") as register:
            digest = await _issued(nodes, home)
            claims = [operate(nodes[name], digest, "write-off", f"{name}-1", 160) for name in ports]
            for claim in await asyncio.gather(*claims):
                assert (claim["outcome"], claim["code"]) == ("INDETERMINATE", "balance_unknown")
            assert await asyncio.to_thread(register.wait, 60) == -signal.SIGKILL
        await _nobody_knows(nodes, digest)
        with mortal(home, "decided") as register:
            assert await asyncio.to_thread(register.wait, 60) == -signal.SIGKILL
        await _nobody_knows(nodes, digest)
        async with living(home) as client:
            await _decided(nodes, digest, await client.aget(f"/v1/balances/{digest}"))


async def _issued(nodes: dict[str, Node], home: Home) -> str:
    """A certificate of the node in `home`, sent to all who are here."""
    issuer: Any = _Place(home.endpoint_file.read_text(), home.token_file.read_text())
    digest = await issue(issuer, certificate("CN-1"), *nodes)
    await arrived(nodes, digest, *nodes)
    return digest


class _Place:
    """What `operator` needs to know of a node in another process."""

    def __init__(self, url: str, token: str) -> None:
        self.local_url, self.token = url, token


async def _nobody_knows(nodes: dict[str, Node], digest: str) -> None:
    """Connections are refused: the same claim is the same question, and shows no balance."""
    for name, node in nodes.items():
        claim = await operate(node, digest, "write-off", f"{name}-1", 160)
        assert claim["outcome"] == "INDETERMINATE"
        shown = await balance(node, digest)
        assert (shown["standing"], shown["code"]) == ("INDETERMINATE", "balance_unknown")
        assert "balance" not in shown
        assert len(shown["asked"]) == 1


async def _decided(nodes: dict[str, Node], digest: str, kept: dict[str, Any]) -> None:
    async def all_known() -> list[str] | None:
        told = sorted([await outcome(node, digest) for node in nodes.values()])
        return None if "INDETERMINATE" in told else told

    assert await eventually(all_known) == ["GRANTED", "REFUSED"]
    for name, node in nodes.items():
        again = await operate(node, digest, "write-off", f"{name}-1", 160)
        assert again["answer"]["seq"] == 1, name
    [use] = kept["uses"]
    assert (use["state"], kept["balance"]["left"], kept["balance"]["seq"]) == (
        "WRITTEN_OFF", "0", 1,
    )  # fmt: skip


async def test_r23_a_register_behind_a_hanging_wire_decides_once_what_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.3)
    own = free_port()
    async with Cutter(own) as wire:
        address = {"http": {"port": own, "public_url": wire.url}}
        short = {"limits": {"call_deadline": 0.4}}
        made = network(tmp_path, settings=lambda name: address if name == REGISTER else short)
        async with certificate_nodes(made) as nodes:
            register, singapore = nodes[REGISTER], nodes["sg-customs"]
            digest = await issue(register, certificate("CN-1"), "sg-customs")
            await arrived(nodes, digest, "sg-customs")
            wire.hang()
            claim = await operate(singapore, digest, "write-off", "SG-DEC-1", 100)
            assert (claim["outcome"], claim["code"]) == ("INDETERMINATE", "balance_unknown")
            assert (await balance(singapore, digest))["standing"] == "INDETERMINATE"
            assert (await balance(register, digest))["balance"]["seq"] == 0
            wire.join()

            async def known() -> bool:
                return await outcome(singapore, digest) == "GRANTED"

            assert await eventually(known)
            await _answers_lost(wire, register, singapore, digest)


async def _answers_lost(wire: Cutter, register: Node, singapore: Node, digest: str) -> None:
    """The register hears what is asked, and its receipt is not heard: it is asked again."""
    wire.hang(answers_only=True)
    claim = await operate(singapore, digest, "write-off", "SG-DEC-2", 60)
    assert claim["outcome"] in {"GRANTED", "INDETERMINATE"}

    async def repeated() -> bool:
        peers = (await operator(singapore).aget("/v1/peers"))["items"]
        return any(each["failures"] >= 2 for each in peers)

    assert await eventually(repeated)
    wire.join()

    async def settled() -> bool:
        asked = (await balance(singapore, digest))["asked"]
        return [each["outcome"] for each in asked] == ["GRANTED", "GRANTED"]

    assert await eventually(settled)
    kept = await balance(register, digest)
    assert [use["quantity"]["value"] for use in kept["uses"]] == ["100", "60"]
    assert (kept["balance"]["left"], kept["balance"]["seq"]) == ("0", 2)
