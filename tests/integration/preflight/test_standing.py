"""Beside its rules a destination tells, as of now, how balance, lane and title stand there."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.aeo.service import AeoService
from node.cli.main import build
from node.preflight.service import PreflightService
from node.release.service import ReleaseService
from protocols.preflight import standing
from schemas.errors import RefusedError
from tests.integration.release.road import eventually, operator, verdict
from tests.support.network import did_of
from tests.support.papers_world import A, issue, papers_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

road = import_module("tests.integration.release.road")
TO = "nl-port"
CODE = "AEOCN3707DEMQ01"
SERVICES = (("aeo", AeoService), ("preflight", PreflightService), ("release", ReleaseService))
Lines = dict[str, tuple[str, str]]


def lines(body: dict[str, Any]) -> Lines:
    """Of each line told as of a moment its outcome and code."""
    told = body["standing"]["lines"]
    assert not any(each["blocking"] for each in told)
    return {each["id"]: (each["outcome"], each.get("code", "")) for each in told}


async def advise(node: Node) -> dict[str, Any]:
    body: dict[str, Any] = await operator(node).apost(
        "/v1/preflights", {"consignment": A, "for": did_of(TO)}
    )
    return body


async def arrival(node: Node, advice: str) -> dict[str, Any]:
    """The pre-advice held against now, at the destination."""
    assert await eventually(lambda: verdict(node, advice)) == "PASSED"
    told = await operator(node).aget(f"/v1/consignments/{A}/preflight")
    return next(each for each in told["preAdvices"] if each["document"] == advice)


async def use(node: Node, certificate: str, kilograms: int) -> None:
    quantity = {"value": str(kilograms), "unit": "KGM"}
    order = {"action": "write-off", "declaration": f"D-{kilograms}", "quantity": quantity}
    done = await operator(node).apost(f"/v1/balances/{certificate}", order)
    assert done["outcome"] == "GRANTED"


async def test_balance_and_lane_are_told_as_of_now_and_what_moved_since_is_explained(
    tmp_path: Path,
) -> None:
    async with papers_nodes(tmp_path, *SERVICES) as nodes:
        carrier, issuer, port = nodes["nhl"], nodes["cn-cert"], nodes[TO]
        origin = await issue(issuer, "A", "certificate-of-origin", "nhl", TO)
        status = await issue(issuer, "A", "aeo-status", "nhl")
        bill = await issue(carrier, "A", "bill-of-lading")
        for node, digest in ((carrier, origin), (port, origin), (carrier, status)):
            assert await eventually(lambda n=node, d=digest: verdict(n, d)) == "PASSED"
        early = await advise(carrier)
        # The destination has neither the authorisation nor the bill: it says that alone of them.
        missing = ("INDETERMINATE", "preflight_not_held")
        assert lines(early) == {"PRE-80": ("PASSED", ""), "PRE-83": missing}
        told = {each["subject"]: each["about"] for each in early["standing"]["lines"]}
        del told[origin]
        assert set(told) == {status, bill}
        assert told[bill].startswith("bill-of-lading ")

        for node, digest in ((issuer, status), (carrier, bill)):
            await road.send(node, digest, TO)
            assert await eventually(lambda d=digest: verdict(port, d)) == "PASSED"
        await use(port, origin, 24_000)
        partly = await advise(carrier)
        assert lines(partly) == {
            "PRE-80": ("INDETERMINATE", "preflight_balance_partly"),
            "PRE-81": ("PASSED", ""),
            "PRE-82": ("INDETERMINATE", "title_not_known"),
        }
        assert partly["verdict"] == early["verdict"]
        # That they have come since is no difference.
        since = await arrival(port, early["document"])
        assert "PRE-83" not in {each["id"] for each in since["differences"]}
        same = await arrival(port, partly["document"])
        assert (same["differences"], same["standing"]["lines"]) == ([], partly["standing"]["lines"])
        lane = await operator(port).aget(f"/v1/aeo-lanes/{A}")
        assert lane["lane"] == "AEO"

        await use(port, origin, 570)
        await operator(issuer).apost(f"/v1/aeo/{CODE}/status", {"status": "SUSPENDED"})

        async def moved() -> dict[str, Any] | None:
            told = await arrival(port, partly["document"])
            return told if lines(told)["PRE-81"][0] == "FAILED" else None

        told = await eventually(moved)
        causes = {each["id"]: each["cause"] for each in told["differences"]}
        # The suspension is a paper of the consignment that came later.
        assert causes == {
            "PRE-10": "preflight_document_new",
            "PRE-80": "preflight_moved",
            "PRE-81": "preflight_moved",
        }
        late = await advise(carrier)
        assert lines(late) == lines(told) == {
            **lines(partly),
            "PRE-80": ("FAILED", "balance_used"), "PRE-81": ("FAILED", "aeo_suspended"),
        }  # fmt: skip
        await _signed(carrier, port, late["document"])


async def _signed(carrier: Node, port: Node, advice: str) -> None:
    """The statement in the pre-advice is the destination's own, and nobody else's."""
    from node.documents import documents

    stored = await carrier.store.read(documents.require, bytes.fromhex(advice))
    signed = json.loads(stored.payload)["standing"]["signed"]
    members, now = carrier.members.current, datetime.now(UTC)
    assert members is not None
    assert len(standing.read(signed, members, port.did, A, now).lines) == 3
    for node, consignment in ((carrier.did, A), (port.did, "another")):
        with pytest.raises(RefusedError) as caught:
            standing.read(signed, members, node, consignment, now)
        assert caught.value.code == "standing_untrusted"


async def test_the_title_stands_as_the_destinations_release_condition(tmp_path: Path) -> None:
    async with road.running(road.made(tmp_path)) as nodes:
        carrier, port = nodes["nhl"], nodes[TO]
        bill = await road.issue(nodes, "bill-of-lading", (TO,))
        early = await advise(carrier)
        assert lines(early) == {"PRE-82": ("INDETERMINATE", "title_not_known")}
        body = {"document": bill, "holder": did_of("exp-a"), "endorsee": did_of("bank")}
        title = (await operator(carrier).apost("/v1/titles", body))["title"]
        await eventually(lambda: road.final(carrier, title))
        await road.operate(carrier, title, "TRANSFER", "exp-a", "bank")
        await eventually(lambda: _rel_020(port, "title_not_surrendered"))
        told = await advise(carrier)
        assert lines(told)["PRE-82"] == ("FAILED", "title_not_surrendered")

        await road.operate(port, title, "SURRENDER_FOR_DELIVERY", "bank")
        await road.operate(carrier, title, "ACCEPT_SURRENDER", "nhl")
        await eventually(lambda: _rel_020(port, ""))
        found = await arrival(port, told["document"])
        assert lines(found)["PRE-82"] == ("PASSED", "")
        [moved] = [each for each in found["differences"] if each["id"] == "PRE-82"]
        assert (moved["cause"], moved["before"], moved["after"]) == (
            "preflight_moved", "FAILED", "PASSED",
        )  # fmt: skip
        asked = ["preflight", A, "--for", did_of(TO), "--home", str(carrier.home.path)]
        done = await asyncio.to_thread(CliRunner().invoke, build(asked), asked)
        assert "At the destination as of" in done.output
        assert "REL-020" in done.output


async def _rel_020(node: Node, code: str) -> bool:
    """Whether the release decision itself has come to that code."""
    conditions = (await road.decision(node))["conditions"]
    found = next(each for each in conditions if each["id"] == "REL-020")
    return bool(found.get("code", "") == code)
