"""Papers that disagree are told of on receipt, in the document's report, and when asked for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.documents import documents
from node.store import events
from schemas.errors import NotFoundError
from tests.integration.release.road import eventually, operator, verdict
from tests.support.papers_world import A, issue, papers_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from node.store.events import Event


async def told(node: Node) -> list[Event]:
    found = await node.store.read(events.of, consignment=A)
    return [each for each in found if each.kind == "inconsistent"]


async def test_papers_that_disagree_are_told_of_with_both_values_and_places(tmp_path: Path) -> None:
    async with papers_nodes(tmp_path) as nodes:
        port = nodes["nl-port"]
        with pytest.raises(NotFoundError):
            await operator(port).aget(f"/v1/consignments/{A}/consistency")
        bill = await issue(nodes["nhl"], "A", "bill-of-lading", "nl-port")
        origin = await issue(nodes["cn-cert"], "A", "certificate-of-origin", "nl-port")
        for digest in (bill, origin):
            assert await eventually(lambda digest=digest: verdict(port, digest)) == "PASSED"
        path = f"/v1/consignments/{A}/consistency"
        assert (await operator(port).aget(path))["findings"] == []
        assert await told(port) == []

        edit = (b"26460", b"29460")
        notice = await issue(nodes["nhl"], "A", "arrival-notice", "nl-port", edit=edit)
        assert await eventually(lambda: verdict(port, notice)) == "PASSED"
        (event,) = await told(port)
        assert event.document == bytes.fromhex(notice)
        assert [each["rule"] for each in event.detail["findings"]] == ["XDC-001"]

        asked = await operator(port).aget(path)
        (finding,) = asked["findings"]
        values = finding["values"]
        assert (values["left"], values["right"]) == ("26460", "29460")
        assert (values["leftDigest"], values["rightDigest"]) == (bill, notice)
        assert values["leftPointer"].endswith("/cargoGrossWeight/value")
        assert values["rightPointer"] == "/totals/grossWeight/value"
        assert (asked["compared"], asked["errors"]) == (2, 0)

        done = await asyncio.to_thread(
            CliRunner().invoke, build([]), ["consistency", A, "--home", str(port.home.path)]
        )
        assert done.exit_code == 1
        assert "26460  in bill-of-lading" in done.stdout
        file = (await port.store.read(documents.require, bytes.fromhex(notice))).file
        answer = await operator(port).arequest("POST", "/v1/verify", file)
        report = json.loads(answer.body)
        assert report["verdict"] == "PASSED"
        assert "XDC-001" in [each["rule"] for each in report["findings"]]
