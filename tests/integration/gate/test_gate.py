"""From surrender to a gate without a network: delegation, lease, use once, and every refusal."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from node.cli.gate import visit
from node.documents import issuing
from node.documents.orders import IssueOrder
from node.gate.process import Gate, GateSettings
from node.release import rows as release_rows
from protocols import times
from schemas import registry, strict_json
from schemas.errors import ConflictError, RefusedError, TradeError
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

road = importlib.import_module("tests.integration.release.road")
PORT = ("nl-port", "nl-customs")
PLATE, GROUP = "12-ABC-3", "NLRTM-A"
ROUNDS = 200


async def gate_of(port: Node, folder: Path, name: str) -> None:
    """A gate made and registered as `pratique gate init` does it."""
    told = (await road.operator(port).aget("/v1/gates"))["register"]
    settings = GateSettings(name, GROUP, told["network"], told["did"], told["kid"], told["key"])

    def make() -> dict[str, str]:
        gate = Gate.init(folder / name, settings)
        gate.close()
        return gate.public

    body = {"name": name, "group": GROUP, "key": await asyncio.to_thread(make)}
    await road.operator(port).apost("/v1/gates", body)


async def sync(port: Node, folder: Path) -> dict[str, Any]:
    """Visit the register until nothing is left to tell."""

    def visits() -> dict[str, Any]:
        gate = Gate(folder)
        try:
            done = visit(gate, road.operator(port))
            return visit(gate, road.operator(port)) if done["again"] else done
        finally:
            gate.close()

    return await asyncio.to_thread(visits)


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The gate's own process: it is given nothing but its folder, and no network."""
    cut = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse\n"
        "sys.argv = ['pratique', 'gate', 'serve', '--gate', sys.argv[1]]\n"
        "from node.cli.main import main; main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", cut, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def say(process: subprocess.Popen[bytes], **body: Any) -> dict[str, Any]:
    process.stdin.write(json.dumps(body).encode() + b"\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


async def arrive(process: Any, port: Node, order: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A truck at the gate: challenge, the collector's answer, decision."""
    challenge = (await asyncio.to_thread(say, process, do="challenge"))["challenge"]
    body = {
        "order": order["digest"],
        "challenge": challenge,
        "vehicle": more.get("vehicle", PLATE),
        "by": more.get("by", did_of("haulier-a")),
    }
    proof = (await road.operator(port).apost("/v1/gate-presentations", body))["proof"]
    arrival = {
        "order": order["digest"],
        "container": more.get("container", order["container"]),
        "vehicle": more.get("seen", body["vehicle"]),
        "challenge": more.get("challenge", challenge),
        "proof": proof,
        **{name: more[name] for name in ("condition", "seals") if name in more},
    }
    return await asyncio.to_thread(say, process, do="admit", **arrival)


async def delegate(node: Node, to: str, by: str, **more: Any) -> str:
    body = {
        "container": road.BOX,
        "consignment": road.UCR,
        "to": did_of(to),
        "by": did_of(by),
        "send": [did_of("nl-port")],
        **more,
    }
    digest: str = (await road.operator(node).apost("/v1/pick-ups", body))["digest"]
    return digest


async def released(nodes: dict[str, Node]) -> None:
    """The papers of A, surrendered and cleared, at the port."""
    port = nodes["nl-port"]
    papers = importlib.import_module("tests.integration.release.test_road")
    bill, title, phyto = await papers._papers_and_title(nodes)
    await road.operate(port, title, "SURRENDER_FOR_DELIVERY", "imp-a")
    await road.operate(nodes["nhl"], title, "ACCEPT_SURRENDER", "nhl")
    await papers._decisions(nodes, phyto, bill)
    await road.outcome_is(port, "RELEASE")


async def sign(port: Node, **more: Any) -> dict[str, Any]:
    body = {"consignment": road.UCR, "gateGroup": GROUP, **more}
    order: dict[str, Any] = await road.operator(port).apost(f"/v1/releases/{road.BOX}/sign", body)
    return order


async def right(port: Node, state: str) -> dict[str, Any]:
    """Wait until the pick-up right is in that state at the port."""
    found: dict[str, Any] = {}

    async def look() -> bool:
        made = await road.decision(port)
        found.update(next(one for one in made["conditions"] if one["id"] == "REL-080"))
        return bool(found["state"] == state)

    await road.eventually(look)
    return found


async def test_r24_from_surrender_to_an_offline_gate_through_the_chain_of_delegation(
    tmp_path: Path,
) -> None:
    async with road.running(road.made(tmp_path)) as nodes:
        port, carrier = nodes["nl-port"], nodes["nhl"]
        await released(nodes)
        await delegate(carrier, "forwarder-a", "nhl")
        await right(port, "met")
        second = await delegate(port, "haulier-a", "forwarder-a", vehicle=PLATE)
        assert "haulier-a" in (await right(port, "met"))["reason"]
        with pytest.raises(RefusedError) as other:
            await sign(port, collector={"name": "Somebody Else"})
        assert other.value.code == "release_collector_not_entitled"

        await gate_of(port, tmp_path, "east")
        order = await sign(port)
        assert (await sync(port, tmp_path / "east"))["leases"] == 1
        with pytest.raises(ConflictError) as leased:
            await road.operator(port).apost(
                f"/v1/releases/{road.BOX}/gate-out", {"order": order["digest"]}
            )
        assert leased.value.code == "release_order_leased"
        second = await _revoked_link(port, tmp_path, order, second)
        order = await _last_second_hold(nodes, tmp_path)
        await _used_once(nodes, tmp_path, order)


async def _revoked_link(port: Node, folder: Path, order: dict[str, Any], link: str) -> str:
    """The forwarder takes the right back: the order is void, and the gate learns of it."""
    body = {"reason": "another haulier comes"}
    await road.operator(port).apost(f"/v1/pick-ups/{link}/revoke", body)
    assert (await right(port, "unmet"))["code"] == "pick_up_right_revoked"
    again = await delegate(port, "haulier-a", "forwarder-a", vehicle=PLATE)
    await right(port, "met")
    with pytest.raises(ConflictError) as away:
        await sign(port)
    assert away.value.code == "release_order_leased"
    assert (await sync(port, folder / "east"))["notices"] <= 1
    with serving(folder / "east") as process:
        told = await arrive(process, port, order)
    assert (told["open"], told["code"]) == (False, "gate_on_hold")
    return again


async def _last_second_hold(nodes: dict[str, Node], folder: Path) -> dict[str, Any]:
    """A hold seconds before the truck is there: the notice reaches the gate by hand."""
    port = nodes["nl-port"]
    order = await sign(port)
    await sync(port, folder / "east")
    hold = await road.operator(port).apost(
        f"/v1/consignments/{road.UCR}/events",
        {"event": "HOLD", "containers": [road.BOX], "reason": "scanner image unclear"},
    )
    held = await road.outcome_is(port, "HOLD")
    assert "REL-045" in {one["id"] for one in held["conditions"] if one["state"] == "unmet"}
    notices = (await road.operator(port).aget("/v1/gates/east/notices"))["notices"]
    with serving(folder / "east") as process:
        assert (await asyncio.to_thread(say, process, do="notice", text=notices[0]))["inTime"]
        told = await arrive(process, port, order)
    assert told["code"] == "gate_on_hold"
    await road.operator(port).apost(
        f"/v1/consignments/{road.UCR}/events",
        {"event": "LIFT", "lifts": hold["digest"], "reason": "opened and found as declared"},
    )
    await road.outcome_is(port, "RELEASE")
    await sync(port, folder / "east")
    return await sign(port)


async def _used_once(nodes: dict[str, Node], folder: Path, order: dict[str, Any]) -> None:
    port = nodes["nl-port"]
    await gate_of(port, folder, "west")
    await sync(port, folder / "east")
    assert (await sync(port, folder / "west"))["leases"] == 0
    with serving(folder / "west") as process:
        assert (await arrive(process, port, order))["code"] == "gate_order_not_leased"
    with serving(folder / "east") as process:
        for wrong, code in (
            ({"vehicle": "99-XYZ-9"}, "gate_wrong_vehicle"),
            ({"seen": "99-XYZ-9"}, "gate_wrong_vehicle"),
            ({"by": did_of("forwarder-a")}, "gate_wrong_collector"),
            ({"container": "NHLU2631080"}, "gate_wrong_container"),
            ({"challenge": "another"}, "gate_challenge_unknown"),
        ):
            told = await arrive(process, port, order, **wrong)
            assert (told["open"], told["code"]) == (False, code)
        assert (await arrive(process, port, order, condition="SOUND", seals=["NHL263107"]))["open"]
        assert (await arrive(process, port, order))["code"] == "gate_order_used"
    assert (await sync(port, folder / "east"))["confirmed"] >= 8
    await _papers(port, order)
    made = await road.decision(port)
    assert (made["outcome"], made["orders"][-1]["state"]) == ("DONE", "used")
    trace = await road.operator(port).aget(f"/v1/trace/consignments/{road.UCR}")
    kinds = {one["kind"] for one in trace["events"]}
    assert kinds >= {"pick-up-delegated", "pick-up-revoked", "order-leased", "gate-out"}


async def _papers(port: Node, order: dict[str, Any]) -> None:
    """The pass fell with every order taken back; the exit is a milestone and a receipt."""
    listed = (await road.operator(port).aget("/v1/documents", consignment=road.UCR))["documents"]
    passes = {
        one["number"]: one["status"]["revoked"] for one in listed if one["type"] == "gate-pass"
    }
    assert sorted(passes.values()) == [False, True, True]
    assert passes[f"GP-{order['number']}"] is False
    assert any(one["number"] == f"EIR-{order['number']}" for one in listed)
    ways = await road.operator(port).aget(f"/v1/consignments/{road.UCR}/milestones")
    box = next(one for one in ways["containers"] if one["container"] == road.BOX)
    assert [step["event"] for step in box["steps"]] == ["GATE_OUT"]


# -- the register and many orders --------------------------------------------------------------


def one_port(folder: Path) -> Made:
    """A port's node that hosts the two companies of the road."""

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        names = ("forwarder-a", "haulier-a")
        parties = tuple(road._party(name, "nl-port", keys, start) for name in names)
        return replace(draft, parties=parties)

    member = Member(roles=("port", "terminal"), country="NL")
    return make_network(folder, {"nl-port": member}, change=change)


def order_row(conn: Any, node: Node, number: int) -> dict[str, Any]:
    """A signed release order of its own container, as the release service keeps one."""
    members = node.members.current
    key = members.party(did_of("haulier-a")).keys[0].public.thumbprint()
    now = node.clock.now()
    body = strict_json.loads_object(registry.example("release-order")) | {
        "number": f"RO-{number}",
        "issuer": {"name": "Port", "country": "NL"},
        "gateGroup": GROUP,
        "collector": {"name": "haulier-a", "did": did_of("haulier-a"), "keyThumbprint": key},
        "notBefore": times.to_text(now),
        "notAfter": times.to_text(times.from_ms(times.to_ms(now) + 3_600_000)),
    }
    order = IssueOrder(strict_json.canonical(body), "release-order", None)
    made = issuing.issue(conn, issuing.examine(order, node), node, members).document
    release_rows.put(
        conn,
        {
            "digest": made.digest,
            "container": "NHLU2631075",
            "consignment": f"{road.UCR}-{number}",
            "number": made.number,
            "gate_group": GROUP,
            "collector": "haulier-a",
            "delivery_order": None,
            "decision": "{}",
            "not_before": times.to_ms(now),
            "not_after": times.to_ms(now) + 3_600_000,
            "signed_at": times.to_ms(now),
        },
    )
    return {"digest": made.digest.hex(), "container": "NHLU2631075"}


async def test_r24_the_same_order_at_two_isolated_gates_leaves_at_most_once(
    tmp_path: Path,
) -> None:
    """200 times: both gates ask the register at once, are cut off, and the truck tries both."""
    async with running_network(one_port(tmp_path)) as nodes:
        port = nodes["nl-port"]
        for name in ("east", "west"):
            await gate_of(port, tmp_path, name)
        orders = []
        for number in range(ROUNDS):
            orders.append(await port.store.write(order_row, port, number))
            if number % 20 == 19:
                await asyncio.gather(*(sync(port, tmp_path / name) for name in ("east", "west")))
        exits = await _try_both(port, tmp_path, orders)
        assert [len(found) for found in exits] == [1] * ROUNDS
        for name in ("east", "west"):
            await sync(port, tmp_path / name)
        used = await port.store.read(release_rows.orders, container="NHLU2631075")
        assert all(one.used_at is not None for one in used)
        await _after_a_power_cut(port, tmp_path)
        await _restored(port, tmp_path)


async def _try_both(port: Node, folder: Path, orders: list[dict[str, Any]]) -> list[list[str]]:
    """Which gates opened, per order; both are processes of their own and decide at once."""
    with serving(folder / "east") as east, serving(folder / "west") as west:
        exits = []
        for order in orders:
            told = await asyncio.gather(arrive(east, port, order), arrive(west, port, order))
            opened = [one for one in told if one["open"]]
            refused = [one["code"] for one in told if not one["open"]]
            assert set(refused) <= {"gate_order_not_leased"}
            exits.append(opened)
    return exits


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from node.gate.process import Gate
from protocols.release.gate import Arrival
gate = Gate(__import__("pathlib").Path(sys.argv[1]))
when, order, container, vehicle, challenge, proof = sys.argv[2:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if when == "before": gate.store.write = die
gate.admit(Arrival(order, container, vehicle, proof), challenge, datetime.now(UTC))
die()
"""


async def _after_a_power_cut(port: Node, folder: Path) -> None:
    """Killed between decision and answer: refused after. Killed before the decision: not lost."""
    for when, code in (("before", None), ("after", "gate_order_used")):
        number = ROUNDS + len(when)
        order = await port.store.write(order_row, port, number)
        await sync(port, folder / "east")
        with serving(folder / "east") as process:
            challenge = (await asyncio.to_thread(say, process, do="challenge"))["challenge"]
            body = {"order": order["digest"], "challenge": challenge, "vehicle": PLATE}
            body["by"] = did_of("haulier-a")
            proof = (await road.operator(port).apost("/v1/gate-presentations", body))["proof"]
        arguments = (when, order["digest"], order["container"], PLATE, challenge, proof)
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", KILLED, str(folder / "east"), *arguments],
            check=False,
            timeout=60,
        )
        assert done.returncode == -9
        with serving(folder / "east") as process:
            told = await arrive(process, port, order)
        assert told.get("code") == code
        assert told["open"] is (code is None)


async def _restored(port: Node, folder: Path) -> None:
    """A gate that came back from an old copy is found out and opens for nobody any more."""
    store = folder / "west" / "gate.db"
    old = store.read_bytes()
    order = await port.store.write(order_row, port, ROUNDS + 50)
    await sync(port, folder / "west")
    with serving(folder / "west") as process:
        assert (await arrive(process, port, order))["open"]
    await sync(port, folder / "west")
    for file in (folder / "west").glob("gate.db*"):
        file.unlink()
    store.write_bytes(old)
    with pytest.raises(TradeError) as caught:
        await sync(port, folder / "west")
    assert caught.value.code in ("gate_restored", "gate_report_broken")
    with serving(folder / "west") as process:
        assert (await arrive(process, port, order))["code"] == "gate_restored"
