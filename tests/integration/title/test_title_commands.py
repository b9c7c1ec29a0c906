"""`pratique title …` against a running node: the commands of the README's carrier."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from node.cli.main import build
from schemas.errors import TradeError
from tests.integration.title.title_network import CARRIER, bill, did_of, eventually, running

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from node.runtime import Node


async def title(node: Node, *arguments: str) -> Result:
    whole = ["title", arguments[0], "--home", str(node.home.path), *arguments[1:]]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "200"}).invoke, build(whole), whole)


async def title_json(node: Node, *arguments: str) -> Any:
    result = await title(node, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_a_bill_is_issued_passed_on_surrendered_and_ended_by_command(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam = nodes[CARRIER], nodes["nl-port"]
        document = (await bill(nhl)).hex()
        await eventually(lambda: confirmed(nhl))
        issued = await title_json(
            nhl, "issue", document, "--holder", did_of("exp-a"), "--endorsee", did_of("bank")
        )
        one = issued["title"]
        shown = await title(nhl, "transfer", one, "--to", did_of("bank"))
        assert shown.exit_code == 0
        assert did_of("bank") in shown.stdout.replace("\n", "")
        await known(rotterdam, one, 2)
        endorsed = await title_json(
            rotterdam, "endorse", one, "--to", did_of("imp-a"), "--to-order"
        )
        assert endorsed["state"]["bill"] == "to-order"
        await title_json(rotterdam, "transfer", one, "--to", did_of("imp-a"))
        await title_json(rotterdam, "surrender", one)
        await title_json(nhl, "reject", one)
        await title_json(rotterdam, "surrender", one, "--for-amendment")
        await title_json(nhl, "accept", one)
        ended = await title_json(nhl, "end", one, "--as", "paper")
        assert ended["state"]["ending"] == "paper"
        table = await title(nhl, "show", one, "--refresh")
        assert "surrender for amendment" in table.stdout
        listed = await title(nhl, "list", "--state", "ENDED")
        assert "ENDED" in listed.stdout
        assert one in listed.stdout  # whole, as the next command wants it
        assert (await title_json(nhl, "list", "--document", document))["titles"]
        refused = await title(nhl, "transfer", one, "--to", did_of("bank"), "--by", did_of("exp-a"))
        assert isinstance(refused.exception, TradeError)
        assert refused.exception.code == "title_ended"
        wrong = await title(nhl, "endorse", one)
        assert wrong.exit_code == 2
        made = await title_json(nhl, "party", "exp-z", "--did", did_of("exp-z"))
        assert made["kid"] == f"{did_of('exp-z')}#title-1"


async def confirmed(node: Node) -> bool:
    sequencing = node.registry.sequencing
    return sequencing is not None and sequencing.confirmed


async def known(node: Node, one: str, seq: int) -> None:
    async def look() -> bool:
        held = await node.title.find(bytes.fromhex(one))
        return held is not None and held.state.seq >= seq

    await eventually(look)
