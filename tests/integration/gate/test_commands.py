"""The whole way of a truck by commands: gate and pick-up, each a process of its own."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from node.cli.main import _run as command
from node.cli.output import exit_code
from schemas.errors import TradeError
from tests.support.network import did_of, running_network

if TYPE_CHECKING:
    from pathlib import Path

gates = importlib.import_module("tests.integration.gate.test_gate")
road = importlib.import_module("tests.integration.release.road")


def run(*arguments: Any) -> tuple[int, str, str]:
    """A command as `pratique` runs it, in this process; exit code, output, error code."""
    told = io.StringIO()
    with redirect_stdout(told):
        try:
            code = command([str(one) for one in arguments])
        except TradeError as error:
            return exit_code(error), "", error.code
    return code, told.getvalue().strip(), ""


async def test_a_truck_goes_out_by_commands_and_the_manual_way_is_recorded(tmp_path: Path) -> None:
    network = gates.one_port(tmp_path)
    home, gate = network.homes["nl-port"].path, tmp_path / "east"
    async with running_network(network) as nodes:
        port = nodes["nl-port"]

        async def told(*arguments: Any, code: int = 0) -> str:
            done = await asyncio.to_thread(run, *arguments)
            assert done[0] == code, done
            return done[1] or done[2]

        at, by = ("--gate", gate), ("--home", home)
        await told("gate", "init", "--name", "east", "--group", gates.GROUP, *at, *by)
        order = await port.store.write(gates.order_row, port, 1)
        listed = await told("gate", "registered", *by, "--json")
        assert [one["name"] for one in json.loads(listed)["items"]] == ["east"]
        assert "1 leased" in await told("gate", "sync", *at, *by)
        question = await told("gate", "challenge", *at)
        seen = ("--order", order["digest"], "--challenge", question, "--vehicle", gates.PLATE)
        proof = await told("gate", "present", *seen, "--by", did_of("haulier-a"), *by)
        truck = (*seen, "--container", order["container"], "--proof", proof, *at)
        assert (await told("gate", "admit", *truck)).startswith("OPEN")
        assert "gate_order_used" in await told("gate", "admit", *truck, "--json", code=4)
        person = ("--person", "Officer on duty", "--reason", "the line is down")
        boxed = ("--container", "NHLU2631080", "--vehicle", gates.PLATE)
        await told("gate", "manual", *boxed, *person, *at)
        await told("gate", "sync", *at, *by)
        lines = json.loads(await told("gate", "journal", *at, "--json"))
        assert [one["kind"] for one in lines] == ["USED", "REFUSED", "MANUAL"]
        state = json.loads(await told("gate", "list", *at, "--json"))
        assert [one["state"] for one in state] == ["used"]

        way = (road.BOX, "--consignment", road.UCR)
        link = json.loads(
            await told(*("pick-up", "delegate", *way, "--to", did_of("forwarder-a"), *by, "--json"))
        )
        await told(
            *("pick-up", "delegate", *way, "--by", did_of("forwarder-a")),
            *("--to", did_of("haulier-a"), "--vehicle", gates.PLATE, *by),
        )
        await told("pick-up", "revoke", link["digest"], "--reason", "not paid", *by)
        assert link["digest"] in await told("pick-up", "list", "--consignment", road.UCR, *by)
        found = json.loads(await told("pick-up", "list", "--consignment", road.UCR, *by, "--json"))
        assert [one["revoked"] for one in found] == [True, False]
        await told("gate", "end", "east", *by)
        assert "gate_ended" in await told("gate", "sync", *at, *by, code=4)
        assert (await told("aeo", "list", *by, "--json")) == "[]"
        assert "CN-AEO" in await told("aeo", "programmes", *by)
