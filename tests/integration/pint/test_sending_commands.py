"""`pratique ebl …` against running platforms: the holder's work."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from schemas.errors import TradeError
from tests.integration.pint.sending_network import (
    CARRIER,
    did_of,
    eventually,
    possessor,
    running,
    titled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from node.runtime import Node


async def ebl(node: Node, *arguments: str) -> Result:
    whole = ["ebl", arguments[0], "--home", str(node.home.path), *arguments[1:]]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "250"}).invoke, build(whole), whole)


async def ebl_json(node: Node, *arguments: str) -> Any:
    result = await ebl(node, *arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


async def test_many_bills_go_out_at_once_and_again_without_being_sent_twice(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        named = [f"NHLBULK{at}" for at in range(3)]
        titles = [await titled(nhl, one) for one in named]
        listed = tmp_path / "bills.txt"
        listed.write_text(f"# today's\n{named[1]}\n{titles[2].hex()}  # the third\n{named[0]}\n")
        note = tmp_path / "note.pdf"
        note.write_bytes(b"%PDF-1.7 not really")
        order = ("transfer", named[0], "--file", str(listed), "--to", did_of("bank"))
        sent = await ebl_json(nhl, *order, "--document", str(note))
        assert [one["outcome"] for one in sent["moves"]] == ["final"] * 3
        assert [one["asked"] for one in sent["moves"]] == [named[0], named[1], titles[2].hex()]
        for title in titles:
            assert await possessor(nhl, title) == did_of("bank")
        again = await ebl_json(nhl, *order, "--document", str(note))
        assert [one["transfer"] for one in again["moves"]] == [
            one["transfer"] for one in sent["moves"]
        ]
        shown = await ebl(nhl, "outgoing")
        assert shown.stdout.count("MDPX") == 3

        table = await ebl(maas, "list", "--status", "here")
        assert all(one in table.stdout for one in named)
        name = await ebl(nhl, "receiver", "MDPX", did_of("bank"))
        assert name.stdout.strip() == "bank at MDPX"

        # One of them cannot be surrendered by whom it is told to; the others can.
        await ebl_json(maas, "endorse", named[0], "--to", did_of("imp-a"))
        given = await ebl(maas, "surrender", *named, "--json")
        moves = {one["asked"]: one for one in json.loads(given.stdout)["moves"]}
        assert given.exit_code == 4
        assert (moves[named[0]]["outcome"], moves[named[0]]["code"]) == (
            "refused",
            "pint_not_holder",
        )
        assert moves[named[1]]["outcome"] == moves[named[2]]["outcome"] == "final"


async def test_who_holds_a_bill_is_shown_with_proof_and_without_names(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl, "NHLSHOW1")
        await ebl_json(nhl, "transfer", "NHLSHOW1", "--to", did_of("bank"))
        shown = await ebl_json(nhl, "show", "NHLSHOW1", "--refresh")
        assert shown["possessor"] | {"key": ""} == {"platform": "MDPX", "key": "", "here": False}
        assert shown["proof"]
        assert (await ebl_json(maas, "show", title.hex()))["possessor"]["here"] is True
        words = (await ebl(nhl, "show", "NHLSHOW1")).stdout
        assert "a party at MDPX; key" in words
        assert not any(name in words for name in ("bank", "exp-a", "Harbourlight", "Anhe"))
        # Inside a platform it passes at the arbiter alone; the list of its holders goes with it.
        for to in ("imp-a", "bank"):
            await ebl_json(maas, "transfer", "NHLSHOW1", "--to", did_of(to))
            (line,) = (await ebl_json(maas, "list"))["bills"]
            assert (line["possessor"], line["platform"]) == (to, "MDPX")
        missing = await ebl(nhl, "show", "NHLNOSUCH")
        assert isinstance(missing.exception, TradeError)
        assert missing.exception.code == "pint_bill_unknown"


@pytest.mark.slow
async def test_a_bill_issued_to_a_party_elsewhere_is_told_to_its_platform(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, strait = nodes[CARRIER], nodes["sg-port"]
        await titled(nhl, "NHLISSUE1", holder="imp-b")
        told = await ebl_json(nhl, "tell", "NHLISSUE1")
        assert [(one["action"], one["outcome"]) for one in told["moves"]] == [("ISSUE", "final")]

        async def there() -> bool:
            return "NHLISSUE1" in (await ebl(strait, "list", "--status", "here")).stdout

        await eventually(there)
        on = await ebl_json(strait, "transfer", "NHLISSUE1", "--to", did_of("bank"))
        assert on["moves"][0]["platform"] == "MDPX"


async def test_r20_possession_leaves_a_platform_with_an_envelope_only(tmp_path: Path) -> None:
    async def pass_on(node: Node, *arguments: str) -> Result:
        whole = ["title", "transfer", "--home", str(node.home.path), *arguments]
        runner = CliRunner(env={"COLUMNS": "250"})
        return await asyncio.to_thread(runner.invoke, build(whole), whole)

    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl)
        refused = await pass_on(nhl, title.hex(), "--to", did_of("bank"))
        assert isinstance(refused.exception, TradeError), refused.output
        assert refused.exception.code == "pint_envelope_needed"
        assert await possessor(nhl, title) == did_of("exp-a")

        moved = await ebl_json(nhl, "transfer", title.hex(), "--to", did_of("bank"))
        assert moved["moves"][0]["outcome"] == "final"
        # Within a platform the arbiter alone is told.
        inside = await pass_on(maas, title.hex(), "--to", did_of("imp-a"))
        assert inside.exit_code == 0, inside.output
        onward = await ebl_json(maas, "transfer", title.hex(), "--to", did_of("imp-b"))
        assert onward["moves"][0]["outcome"] == "final"
