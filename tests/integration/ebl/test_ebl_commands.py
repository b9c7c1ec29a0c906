"""`pratique ebl …` of carriers and platforms against running nodes, and a platform that stops."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import orjson
from typer.testing import CliRunner

from node.cli.main import build
from tests.integration.ebl.ebl_network import (
    CARRIER,
    PLATFORM,
    REFERENCE,
    bill,
    did_of,
    made,
    reaches,
    running,
    surrender_reaches,
    title_is,
)
from tests.support.dcsa import faults

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from node.runtime import Node


async def ebl(node: Node, *arguments: str) -> Result:
    whole = ["ebl", arguments[0], "--home", str(node.home.path), *arguments[1:]]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "240"}).invoke, build(whole), whole)


async def ebl_json(node: Node, *arguments: str) -> Any:
    result = await ebl(node, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_a_bill_is_issued_decided_asked_for_and_answered_by_command(tmp_path: Path) -> None:
    decided = {"ebl": {"issuance": "operator"}}
    async with running(made(tmp_path / "homes", **{PLATFORM: decided})) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        file, picture = tmp_path / "bill.json", tmp_path / "bill.pdf"
        file.write_bytes(orjson.dumps(bill()))
        picture.write_bytes(b"%PDF-1.7 a picture of the bill")
        asked = await ebl_json(
            carrier, "issue", str(file), "--to-platform", "NLPE", "--party", "exp-a",
            "--code", did_of("exp-a"), "--visualisation", str(picture),
        )  # fmt: skip
        assert (asked["state"], len(asked["title"])) == ("pending", 64)
        await reaches(platform, "pending")
        await ebl_json(platform, "decide", REFERENCE, "--issue")
        await reaches(carrier, "issued")
        await title_is(platform, asked["title"], "LIVE")
        listed = await ebl(carrier, "issuances", "--side", "carrier")
        assert "ISSU" in listed.stdout
        wish = ("--reason", "SWTP", "--comment", "On paper, please.", "--by", did_of("exp-a"))
        await ebl_json(platform, "ask", REFERENCE, *wish)
        request = await surrender_reaches(carrier, "asked")
        assert (request["reasonCode"], request["comments"]) == ("SWTP", "On paper, please.")
        name = request["surrenderRequestReference"]
        silent = await ebl(carrier, "answer", name, "--reject")
        assert silent.exit_code != 0
        await ebl_json(carrier, "answer", name, "--accept", "--comment", "Printed today.")
        await surrender_reaches(platform, "accepted")
        table = await ebl(platform, "surrenders")
        assert "Printed today." in table.stdout
        await _chain(platform)
        told = await ebl_json(platform, "notifications", "--reference", REFERENCE)
        assert told["notifications"]


async def _chain(platform: Node) -> None:
    """The auditor's command: DCSA END 3.0.4 as JSON, and a table."""
    chains = await ebl_json(platform, "chain", REFERENCE)
    assert [faults("END", "EndorsementChain", one) for one in chains] == [[]]
    assert chains[0]["endorsementChain"][-1]["actionCode"] == "SURRENDERED"
    table = await ebl(platform, "chain", REFERENCE)
    assert "surrender for amendment" in table.stdout
    assert "exp-a (NLPE)" in table.stdout


async def test_what_is_open_goes_on_after_a_restart(tmp_path: Path) -> None:
    network = made(tmp_path, **{PLATFORM: {"ebl": {"issuance": "operator"}}})
    async with running(network) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        file = tmp_path / "bill.json"
        file.write_bytes(orjson.dumps(bill("blank")))
        await ebl_json(
            carrier, "issue", str(file), "--to-platform", "NLPE", "--party", "exp-a",
            "--code", did_of("exp-a"),
        )  # fmt: skip
        await reaches(platform, "pending")
        await carrier.ebl.stop()  # it hears the answer, and does nothing about it any more
        await ebl_json(platform, "decide", REFERENCE, "--issue")
        issued = await reaches(carrier, "issued")
        assert await carrier.title.find(bytes.fromhex(issued["title"])) is None
    async with running(network) as nodes:
        held = await title_is(nodes[PLATFORM], issued["title"], "LIVE")
        assert held["possessor"] == did_of("exp-a")
