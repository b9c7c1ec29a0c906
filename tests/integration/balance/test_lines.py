"""A certificate with lines in several units, used by line at one register (R23); real nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from node.balance import asking
from schemas.errors import RefusedError
from tests.integration.balance.certificate_network import (
    arrived,
    back_to_back,
    balance,
    certificate,
    certificate_nodes,
    command,
    issue,
    on_lines,
    operate,
    two_lines,
)
from tests.integration.release.road import eventually, operator
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

PORTS = ("sg-customs", "vn-customs")


def told(shown: dict[str, Any]) -> dict[int, tuple[str, str]]:
    """What is left and written off, by line, as the register signed it."""
    lines = shown["balance"]["lines"]
    return {each["line"]: (each["left"], each["writtenOff"]) for each in lines}


async def test_r23_one_line_used_at_two_ports_at_once_is_one_write_off_and_the_other_line_goes_on(
    homes: Made,
) -> None:
    async with certificate_nodes(homes) as nodes:
        singapore, viet_nam = (nodes[name] for name in PORTS)
        digest = await issue(nodes["cn-cert"], two_lines("CN-1"), *PORTS)
        await arrived(nodes, digest, *PORTS)
        for node in (singapore, nodes["cn-cert"]):
            with pytest.raises(RefusedError) as missing:
                await operate(node, digest, "reserve", "D-0", 1)
            assert missing.value.code == "balance_line_missing"
            assert "1 (KGM), 2 (H87)" in missing.value.detail
        with pytest.raises(RefusedError) as unknown:
            await operate(singapore, digest, "reserve", "D-0", 1, 3)
        assert unknown.value.code == "balance_line_unknown"
        first, second, other = await asyncio.gather(
            operate(singapore, digest, "write-off", "SG-DEC-1", 60, 2),
            operate(viet_nam, digest, "write-off", "VN-DEC-1", 60, 2),
            operate(viet_nam, digest, "write-off", "VN-DEC-1", 500, 1, "KGM"),
        )
        assert sorted([first["outcome"], second["outcome"]]) == ["GRANTED", "REFUSED"]
        granted, refused = sorted((first, second), key=lambda each: str(each["outcome"]))
        assert (other["outcome"], other["answer"]["use"]["line"]) == ("GRANTED", 1)
        assert refused["code"] == "balance_used"
        assert refused["answer"]["firstUse"]["declaration"] == granted["declaration"]
        assert refused["answer"]["firstUse"]["line"] == 2
        asker = singapore if granted["declaration"] == "SG-DEC-1" else viet_nam
        again = await operate(asker, digest, "write-off", granted["declaration"], 60, 2)
        assert (again["outcome"], again["answer"]["seq"]) == ("GRANTED", 2)
        shown = await balance(nodes["cn-cert"], digest)
        assert told(shown) == {1: ("0", "500"), 2: ("0", "60")}
        assert {(use["line"], use["state"]) for use in shown["uses"]} == {
            (1, "WRITTEN_OFF"), (2, "WRITTEN_OFF"),
        }  # fmt: skip


async def test_r23_a_line_is_indeterminate_while_its_register_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.5)
    async with certificate_nodes(tmp_path) as nodes:
        singapore, issuer = nodes["sg-customs"], nodes["cn-cert"]
        digest = await issue(issuer, two_lines("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        await operator(issuer).apost(f"/v1/peers/{did_of('sg-customs')}/pause")
        # Two lines of one declaration are two questions: neither waits for the other.
        for line, value, unit in ((2, 60, "H87"), (1, 500, "KGM")):
            unknown = await operate(singapore, digest, "write-off", "D-1", value, line, unit)
            assert (unknown["outcome"], unknown["code"]) == ("INDETERMINATE", "balance_unknown")
        assert told(await balance(issuer, digest)) == {1: ("500", "0"), 2: ("60", "0")}
        await operator(issuer).apost(f"/v1/peers/{did_of('sg-customs')}/resume")

        async def answered() -> list[str] | None:
            asked = (await balance(singapore, digest))["asked"]
            found = sorted(f"{each['line']} {each['outcome']}" for each in asked)
            return None if any("INDETERMINATE" in each for each in found) else found

        assert await eventually(answered) == ["1 GRANTED", "2 GRANTED"]
        assert told(await balance(singapore, digest)) == {1: ("0", "500"), 2: ("0", "60")}


async def test_r23_a_back_to_back_certificate_draws_on_each_line_of_its_original_or_on_none(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        singapore, issuer = nodes["sg-customs"], nodes["cn-cert"]
        digest = await issue(issuer, two_lines("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        with pytest.raises(RefusedError) as missing:
            await issue(singapore, back_to_back("SG-B2B-0", digest, 40))
        assert missing.value.code == "balance_line_missing"
        await issue(singapore, on_lines("SG-B2B-1", digest, 200, 40))
        assert told(await balance(issuer, digest)) == {1: ("300", "200"), 2: ("20", "40")}
        with pytest.raises(RefusedError) as over:
            await issue(singapore, on_lines("SG-B2B-2", digest, 100, 30))
        assert over.value.code == "back_to_back_overdrawn"
        assert "line 2: 20 H87 left of 30" in over.value.detail

        async def given_back() -> bool:
            return told(await balance(issuer, digest))[1] == ("300", "200")

        assert await eventually(given_back)  # line 1 was reserved, and is not kept for nothing
        await issue(singapore, on_lines("SG-B2B-3", digest, 300, 20))
        assert told(await balance(issuer, digest)) == {1: ("0", "500"), 2: ("0", "60")}


async def test_the_balance_of_each_line_is_shown_and_drawn_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        singapore = nodes["sg-customs"]
        digest = await issue(nodes["cn-cert"], two_lines("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")

        async def run(node: Node, *words: str) -> tuple[int, str]:
            done = await command(node, "balance", *words)
            return done.exit_code, done.output + str(done.exception or "")

        declared = ("--declaration", "D-1")
        reserve = ("reserve", digest, *declared, "--quantity", "40 H87")
        assert "balance_line_missing" in (await run(singapore, *reserve))[1]
        assert (await run(singapore, *reserve, "--line", "2"))[0] == 0
        assert "left 20" in (await run(singapore, "write-off", digest, *declared, "--line", "2"))[1]
        code, refused = await run(singapore, "release", digest, *declared, "--line", "1")
        assert (code, "balance_not_reserved" in refused) == (1, True)
        monkeypatch.setenv("COLUMNS", "120")
        for language, words in (("en_GB.UTF-8", "Goods lines"), ("zh_CN.UTF-8", "货物行")):
            monkeypatch.setenv("LC_ALL", language)
            shown = (await run(singapore, "show", digest))[1]
            assert words in shown
            rows = [line.split() for line in shown.splitlines() if "Battery racks" in line]
            assert [(row[0], row[-5:]) for row in rows] == [("2", ["60", "H87", "20", "0", "40"])]


async def test_r23_a_draw_without_a_line_and_one_by_line_share_what_there_is(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        singapore = nodes["sg-customs"]
        digest = await issue(nodes["cn-cert"], certificate("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        once = await operate(singapore, digest, "reserve", "D-1", 100)
        same = await operate(singapore, digest, "reserve", "D-1", 100, 1)
        assert (once["answer"]["seq"], same["answer"]["seq"]) == (1, 1)
        shown = await balance(singapore, digest)
        assert (shown["balance"]["left"], told(shown)) == ("60", {1: ("60", "0")})
