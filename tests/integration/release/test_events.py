"""Events between nodes: milestones against the plan, holds, partial release, commands."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from protocols import times
from schemas.errors import ConflictError, NotFoundError, RefusedError
from testnet.story.documents import load_story
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

road = importlib.import_module("tests.integration.release.road")


def cli(home: Any, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *arguments, "--home", str(home.path), "--json"],
        capture_output=True,
        timeout=180,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or done.stderr)


async def way(node: Node) -> dict[str, dict[str, str]]:
    found = await road.operator(node).aget(f"/v1/consignments/{road.UCR}/milestones")
    box = next(one for one in found["containers"] if one["container"] == road.BOX)
    return {step["event"]: step for step in box["steps"]} | {"silent": box["silent"]}


async def told(node: Node, event: str) -> bool:
    found = await way(node)
    return event in found and found[event]["progress"] == "done"


async def test_milestones_travel_silence_is_shown_and_holds_are_of_containers(
    tmp_path: Path,
) -> None:
    network = road.made(tmp_path)
    async with road.running(network) as nodes:
        port, carrier = nodes["nl-port"], nodes["nhl"]
        await road.issue(nodes, "bill-of-lading", ("nl-port",))
        now = datetime.now(UTC)
        plan = [
            f"TRANSHIPPED={times.to_text(now - timedelta(hours=20))}@SGSIN",
            f"DISCHARGED={times.to_text(now + timedelta(days=20))}@NLRTM",
        ]
        code, body = await asyncio.to_thread(
            cli,
            network.homes["nhl"],
            *("event", "tell", road.UCR, "departed", "--container", road.BOX, "--place", "CNSHA"),
            *("--at", times.to_text(now - timedelta(days=2)), "--send", did_of("nl-port")),
            *(part for item in plan for part in ("--plan", item)),
        )
        assert (code, body["type"]) == (0, "logistics-event")
        await road.eventually(lambda: told(port, "DEPARTED"))
        assert (await way(port))["silent"] == ["TRANSHIPPED"]
        code, _ = await asyncio.to_thread(
            cli, network.homes["nl-port"], "event", "milestones", road.UCR
        )
        assert code == 1

        moved = {
            "event": "TRANSHIPPED",
            "containers": [road.BOX],
            "place": "SGSIN",
            "send": [did_of("nl-port")],
        }
        await road.operator(carrier).apost(f"/v1/consignments/{road.UCR}/events", moved)
        await road.eventually(lambda: told(port, "TRANSHIPPED"))
        found = await way(port)
        assert found["silent"] == []
        assert int(found["TRANSHIPPED"]["lateMinutes"]) >= 1199
        assert found["DISCHARGED"]["progress"] == "due"
        await _strange_boxes(nodes)
        trace = await road.operator(port).aget(f"/v1/trace/consignments/{road.UCR}")
        events = [one for one in trace["events"] if one.get("type") == "logistics-event"]
        assert any(one.get("leaf") for one in events)
        await _hold(nodes)


async def _strange_boxes(nodes: dict[str, Node]) -> None:
    """A container of no paper: refused where the papers are, a warning where there are none."""
    path, strange = f"/v1/consignments/{road.UCR}/events", "MSKU0000006"
    told_of = {"event": "GATE_IN", "containers": [strange], "place": "NLRTM"}
    for event in (told_of, told_of | {"event": "HOLD", "reason": "x"}):
        with pytest.raises(RefusedError) as refused:
            await road.operator(nodes["nl-port"]).apost(path, event)
        assert (refused.value.code, refused.value.detail) == (
            "container_not_of_consignment", strange,
        )  # fmt: skip
    elsewhere = nodes["nl-customs"]  # It got no paper of the consignment.
    send = {"send": [did_of("nl-port")]}
    made = await road.operator(elsewhere).apost(path, told_of | send)
    assert [one["rule"] for one in made["warnings"]] == ["TEL-001"]

    async def shown() -> list[dict[str, Any]]:
        found = await road.operator(nodes["nl-port"]).aget(path.replace("events", "milestones"))
        return [one for one in found["containers"] if one["container"] == strange]

    (one,) = await road.eventually(shown)
    assert one["named"] is False


async def _hold(nodes: dict[str, Node]) -> None:
    port, path = nodes["nl-port"], f"/v1/consignments/{road.UCR}"
    hold = await road.operator(port).apost(
        f"{path}/events", {"event": "HOLD", "containers": [road.BOX], "reason": "damaged door"}
    )
    release = await road.operator(port).aget(f"{path}/release")
    boxes = load_story()["consignments"][0]["containers"]
    assert [one["container"] for one in release["containers"]] == boxes
    held = {
        one["container"]: {each["id"] for each in one["unmet"]} for one in release["containers"]
    }
    assert [box for box in boxes if "REL-045" in held[box]] == [road.BOX]
    with pytest.raises(NotFoundError) as caught:
        await road.operator(port).apost(
            f"{path}/events", {"event": "LIFT", "lifts": "00" * 32, "reason": "x"}
        )
    assert caught.value.code == "hold_unknown"
    await road.operator(port).apost(
        f"{path}/events", {"event": "LIFT", "lifts": hold["digest"], "reason": "door replaced"}
    )
    again = {"event": "LIFT", "lifts": hold["digest"], "reason": "door replaced"}
    with pytest.raises(ConflictError) as twice:
        await road.operator(port).apost(f"{path}/events", again)
    assert twice.value.code == "hold_lifted"
    made = await road.decision(port)
    assert next(one for one in made["conditions"] if one["id"] == "REL-045")["state"] == "met"
