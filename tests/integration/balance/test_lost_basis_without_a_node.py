"""A verifier without a node: the exported evidence holds offline; online the lost basis is told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from node.cli.main import build
from node.trust.founding import founding_file
from protocols.credentials.credential import DocumentFile
from protocols.evidence import archive, contents
from tests.integration.balance.certificate_network import (
    UCR,
    arrived,
    back_to_back,
    certificate,
    command,
    issue,
    network,
    pinned,
)
from tests.integration.balance.test_lost_basis import flags
from tests.integration.release.road import eventually, operator
from tests.support.network import did_of, running_network
from tests.support.process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

#: The command of users in a process that can reach nobody.
ISOLATED = """
import socket, sys
def refuse(*_, **__):
    raise OSError("there is no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from node.cli.main import main
main()
"""


@dataclass(frozen=True)
class Verifier:
    """What it has: a bundle, the member list, and the command."""

    bundle: Path
    trust: Path

    async def alone(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and answer of a command on the bundle, with no network."""
        command = [sys.executable, "-c", ISOLATED, *self._asked(words)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, timeout=180, check=False
        )
        return done.returncode, json.loads(done.stdout)

    async def online(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The same with a network."""
        asked = self._asked(words)
        done = await asyncio.to_thread(CliRunner().invoke, build(asked), asked)
        return done.exit_code, json.loads(done.stdout)

    def _asked(self, words: tuple[str, ...]) -> list[str]:
        return [*words, str(self.bundle), "--trust", str(self.trust), "--json"]


async def test_r25_exported_evidence_holds_offline_and_the_lost_basis_is_told_online(
    tmp_path: Path,
) -> None:
    lasting = {"status": {"ttl": 120.0}}
    made = network(tmp_path, witnessed=True, settings=lambda _name: lasting)
    async with running_network(made) as nodes:
        cells, packs, onward = await _chain(nodes)
        exporter = nodes["vn-customs"]
        verifier = Verifier(tmp_path / "before.zip", founding_file(exporter.home))
        await _export(exporter, verifier.bundle)
        assert set(_documents(verifier.bundle)) == {packs, onward}
        code, told = await verifier.online("basis", "check")
        assert (code, _lost(told), told["unknown"]) == (0, {}, False)

        reason = {"reason": "cells bought in"}
        await operator(nodes["kr-cert"]).apost(f"/v1/documents/{cells}/revoke", reason)
        await eventually(lambda: flags(exporter, onward))
        # Nothing in the file tells of it, and nothing that the file proves is undone.
        code, told = await verifier.alone("evidence", "verify")
        assert (code, told["verdict"]) == (0, "PASSED")
        code, told = await verifier.alone("basis", "check")
        assert (code, told["unknown"], _lost(told)) == (3, True, {})
        code, told = await verifier.online("basis", "check")
        assert (code, told["lost"]) == (1, True)
        assert {one["standing"] for one in told["documents"]} == {"IN_FORCE"}
        assert _lost(told) == {
            packs: ([packs, cells], did_of("cn-cert")),
            onward: ([onward, packs, cells], did_of("sg-customs")),
        }
        await _export(exporter, tmp_path / "after.zip")
        assert "basis-lost" in _history(tmp_path / "after.zip")


async def _chain(nodes: dict[str, Node]) -> tuple[str, str, str]:
    """Korea's cells in China's packs, on which Singapore issues for Viet Nam; the digests."""
    cells = await issue(nodes["kr-cert"], certificate("KR-1", "KR", "CN"), "cn-cert")
    await arrived(nodes, cells, "cn-cert")
    both = certificate("CN-1", inputs=pinned(cells), consignment=UCR)
    packs = await issue(nodes["cn-cert"], both, "sg-customs", "vn-customs")
    await arrived(nodes, packs, "sg-customs", "vn-customs")
    drawn = back_to_back("SG-B2B-1", packs, 100, consignment=UCR)
    onward = await issue(nodes["sg-customs"], drawn, "vn-customs")
    await arrived(nodes, onward, "vn-customs")
    return cells, packs, onward


async def _export(node: Node, file: Path) -> None:
    done = await command(node, "evidence", "export", UCR, "-o", str(file))
    assert done.exit_code == 0, done.output


def _documents(bundle: Path) -> list[str]:
    members, _ = archive.read(bundle.read_bytes())
    held = [data for name, data in members.items() if contents.document_of(name)]
    return [DocumentFile.from_bytes(data).digest.hex() for data in held]


def _history(bundle: Path) -> list[str]:
    """The kinds of events that a bundle tells."""
    members, _ = archive.read(bundle.read_bytes())
    return [each["kind"] for each in json.loads(members[contents.HISTORY])]


def _lost(told: dict[str, Any]) -> dict[str, tuple[list[str], str]]:
    """Of each document what it stands on that is lost, and who says so."""
    return {
        one["digest"]: (one["basisLost"][0]["path"], one["basisLost"][0]["by"])
        for one in told["documents"]
        if one["basisLost"]
    }
