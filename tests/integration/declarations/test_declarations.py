"""Consignment C of the story: export and import declaration from one data set, at two nodes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.declarations.service import DeclarationService
from schemas.errors import NotFoundError, RefusedError
from tests.integration.release.road import eventually, operator, send, verdict
from tests.support.papers_world import C, issue, papers_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

DECLARE = ("declarations", DeclarationService)
EXPORT = {"side": "export", "number": "CN-EX-2026-330917", "office": "CN9031", "procedure": "10"}
IMPORT = {"side": "import", "number": "26KZ-50417-0009", "office": "KZ50417", "procedure": "40"}
PAPERS = ("commercial-invoice", "master-transport-document", "rail-consignment-note")
FILING = {
    "documentType", "number", "issueDate", "issuer", "office", "procedure", "exportDeclaration",
}  # fmt: skip


async def _declare(node: Node, filing: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"consignment": C, **filing, **more}
    made: dict[str, Any] = await operator(node).apost("/v1/declarations", body)
    return made


def _common(made: dict[str, Any]) -> dict[str, Any]:
    """What the declaration says of the goods: everything but the filing and its declarant."""
    said = {name: value for name, value in made["declaration"].items() if name not in FILING}
    said["parties"] = {k: v for k, v in said["parties"].items() if k != "declarant"}
    return said


async def test_one_data_set_gives_both_declarations_of_consignment_c(tmp_path: Path) -> None:
    names = ("cn-cert", "cn-rail", "kz-rail")
    async with papers_nodes(tmp_path, DECLARE, names=names) as nodes:
        sender, receiver = nodes["cn-rail"], nodes["kz-rail"]
        with pytest.raises(NotFoundError):
            await _declare(sender, EXPORT)
        held = [await issue(sender, "C", key) for key in PAPERS]
        exported = await _declare(sender, EXPORT)
        said = exported["declaration"]
        assert said["parties"]["declarant"]["name"] == "Guanzhong Solar Co., Ltd."
        assert said["totals"]["grossWeight"] == {"value": "54560", "unit": "KGM"}
        assert {each["digest"] for each in said["references"]} == set(held)
        drawn = {each["pointer"]: each["document"] for each in exported["drawnFrom"]}
        assert drawn["/totalAmount"] == held[0]
        assert drawn["/goods/0/grossWeight"] == held[0]
        assert drawn["/containers"] == held[2]

        await send(sender, exported["digest"], "kz-rail")
        assert await eventually(lambda: verdict(receiver, exported["digest"])) == "PASSED"
        with pytest.raises(RefusedError) as caught:
            await _declare(receiver, IMPORT)
        assert caught.value.code == "declaration_data_set_incomplete"
        for digest in held:
            await send(sender, digest, "kz-rail")
            assert await eventually(lambda digest=digest: verdict(receiver, digest)) == "PASSED"
        done = await asyncio.to_thread(
            CliRunner().invoke,
            build([]),
            ["declare", C, "--import", "--number", IMPORT["number"], "--office", IMPORT["office"],
             "--procedure", IMPORT["procedure"], "--home", str(receiver.home.path), "--json"],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        imported = json.loads(done.stdout)
        assert imported["dataSet"] == exported["dataSet"] == said["dataSet"]
        assert _common(imported) == _common(exported)
        assert imported["declaration"]["parties"]["declarant"]["name"] == "Alatau Kun TOO"
        assert imported["declaration"]["exportDeclaration"]["number"] == EXPORT["number"]
        assert imported["type"] == "import-declaration"


async def test_what_the_papers_contradict_is_not_declared_unseen(tmp_path: Path) -> None:
    async with papers_nodes(tmp_path, DECLARE, names=("cn-rail", "kz-rail")) as nodes:
        sender = nodes["cn-rail"]
        await issue(sender, "C", "commercial-invoice")
        with pytest.raises(RefusedError) as missing:
            await _declare(sender, EXPORT)
        assert missing.value.code == "declaration_data_missing"
        assert "transport" in missing.value.detail
        await issue(sender, "C", "rail-consignment-note")
        notice = (b'"marks":"GZS-26-3310 NO. 1-62"', b'"marks":"GZS-26-3310 NO. 1-63"')
        await issue(sender, "C", "master-transport-document", edit=notice)
        with pytest.raises(RefusedError) as caught:
            await _declare(sender, EXPORT)
        assert caught.value.code == "declaration_inconsistent"
        assert caught.value.detail == "XDC-009"
        made = await _declare(sender, EXPORT, accept=["XDC-009"])
        assert {each["rule"] for each in made["accepted"]} == {"XDC-009"}
