"""A destination's signed rules run before sailing, and every difference explained on arrival."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.aeo.service import AeoService
from node.cli.main import build
from node.documents.orders import IssueOrder
from node.exchange import sending
from node.exchange.sending import SendOrder
from node.preflight.service import PreflightService
from node.release.service import ReleaseService
from protocols.preflight import rule_set
from schemas.errors import NotFoundError, RefusedError
from tests.integration.release.road import eventually, operator, send, verdict
from tests.support.network import did_of
from tests.support.papers_world import UNRECOGNISED, A, generated, issue, papers_nodes
from tests.support.turned import turned

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

PREFLIGHT = (
    ("aeo", AeoService),
    ("preflight", PreflightService),
    ("release", ReleaseService),
)
TO = "nl-port"


async def _advise(node: Node, consignment: str) -> dict[str, Any]:
    body = {"consignment": consignment, "for": did_of(TO)}
    told: dict[str, Any] = await operator(node).apost("/v1/preflights", body)
    return told


async def _arrived(node: Node, consignment: str, advice: str) -> dict[str, Any]:
    assert await eventually(lambda: verdict(node, advice)) == "PASSED"
    told = await operator(node).aget(f"/v1/consignments/{consignment}/preflight")
    return next(each for each in told["preAdvices"] if each["document"] == advice)


async def test_a_preflight_gives_the_destinations_verdicts_and_explains_what_changed(
    tmp_path: Path,
) -> None:
    async with papers_nodes(tmp_path, *PREFLIGHT) as nodes:
        carrier, issuer, port = nodes["nhl"], nodes["cn-cert"], nodes[TO]
        with pytest.raises(NotFoundError):
            await operator(port).aget(f"/v1/consignments/{A}/preflight")
        bill = await issue(carrier, "A", "bill-of-lading")
        bare = await _advise(carrier, A)
        assert bare["verdict"] == "FAILED"
        missing = {each["id"] for each in bare["lines"] if each["outcome"] == "FAILED"}
        assert missing == {"PRE-30", "PRE-50"}

        phyto = await issue(issuer, "A", "phytosanitary-certificate", "nhl", TO)
        origin = await issue(issuer, "A", "certificate-of-origin", "nhl", TO)
        for digest in (phyto, origin):
            assert await eventually(lambda digest=digest: verdict(carrier, digest)) == "PASSED"
            assert await eventually(lambda digest=digest: verdict(port, digest)) == "PASSED"
        advised = await _advise(carrier, A)
        assert advised["verdict"] == "PASSED"
        assert advised["ruleSet"] == nodes[TO].preflight.own_rules().digest
        found = await _arrived(port, A, advised["document"])
        gone = next(each for each in found["differences"] if each["subject"] == bill)
        assert gone["cause"] == "preflight_document_not_here"
        assert {each["cause"] for each in found["differences"]} == {
            "preflight_document_not_here", "preflight_follows",
        }  # fmt: skip

        await send(carrier, bill, TO)
        assert await eventually(lambda: verdict(port, bill)) == "PASSED"
        found = await _arrived(port, A, advised["document"])
        assert (found["differences"], found["found"]) == ([], "PASSED")
        assert found["lines"] == advised["lines"]
        done = await asyncio.to_thread(
            CliRunner().invoke,
            build([]),
            ["preflight", A, "--arrived", "--home", str(port.home.path), "--json"],
        )
        assert done.exit_code in (0, 1)
        assert len(json.loads(done.stdout)["preAdvices"]) == 2

        reason = {"reason": "wrong treatment date"}
        await operator(issuer).apost(f"/v1/documents/{phyto}/revoke", reason)

        async def withdrawn() -> dict[str, Any] | None:
            told = await _arrived(port, A, advised["document"])
            return told if told["differences"] else None

        told = await eventually(withdrawn)
        causes = {each["id"]: each["cause"] for each in told["differences"]}
        assert causes["PRE-10"] == "preflight_document_withdrawn"
        assert causes["PRE-30"] == "preflight_follows"
        assert told["found"] == "FAILED"


async def test_a_rule_set_counts_only_under_the_destinations_own_key(tmp_path: Path) -> None:
    async with papers_nodes(tmp_path, *PREFLIGHT, names=("nhl", TO)) as nodes:
        carrier, port = nodes["nhl"], nodes[TO]
        members, now = carrier.members.current, carrier.clock.now()
        assert members is not None
        good = port.preflight.signed_rules()
        assert rule_set.read(good, members, port.did, now).country == "NL"
        forged = rule_set.sign(
            members.network, port.preflight.own_rules(), carrier.keys.signer("credential")
        )
        for text, node in (
            (forged, port.did),
            (good, carrier.did),
            (turned(good), port.did),
        ):
            with pytest.raises(RefusedError) as caught:
                rule_set.read(text, members, node, now)
            assert caught.value.code == "rule_set_untrusted"
        with pytest.raises(NotFoundError):
            await carrier.preflight.rules_of(did_of("nobody"))


@pytest.mark.parametrize(
    "count", [12, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
async def test_verdicts_before_sailing_are_the_destinations_on_arrival(
    tmp_path: Path, count: int
) -> None:
    chance = random.Random(61)
    async with papers_nodes(tmp_path, *PREFLIGHT) as nodes:
        tally: Counter[str] = Counter()
        for start in range(0, count, 50):
            numbers = range(start, min(start + 50, count))
            sailing = [await _sail(nodes, number, chance) for number in numbers]
            for consignment, lines, standing, advice, refused in sailing:
                found = await _arrived(nodes[TO], consignment, advice)
                assert found["differences"] == [], consignment
                kept = [each for each in lines if each["subject"] not in refused]
                assert found["lines"] == kept
                spoken = [each for each in standing if each["id"] != "PRE-83"]
                if spoken:
                    now = found["standing"]["lines"]
                    assert [each for each in now if each["id"] != "PRE-83"] == spoken
                tally.update(f"{each['id']} {each['outcome']}" for each in standing)
                tally[found["advised"]] += 1
                tally.update(each["id"] for each in lines if each["outcome"] != "PASSED")
        assert tally["FAILED"]
        assert tally["PASSED"]
        assert {"PRE-10", "PRE-30", "XDC-001"} <= set(tally)
        # Of what the destination knew before: whole balances, used-up ones, and no title.
        assert {"PRE-80 PASSED", "PRE-80 FAILED", "PRE-82 INDETERMINATE"} <= set(tally)


async def _sail(
    nodes: dict[str, Node], number: int, chance: random.Random
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]], str, set[str]]:
    """Issue a consignment's papers, run the preflight, then send everything to the destination.

    Every second time the papers are there before, and now and then the certificate is used up.
    """
    consignment = f"6CN91370784MA0DEMQ00FP{number:06d}"
    carrier, issued = nodes["nhl"], []
    for host, key, payload in generated(number, chance):
        order = IssueOrder(payload, key, consignment, export_country="CN", import_country="NL")
        done = await nodes[host].documents.issue(order)
        issued.append((host, key, done.document.digest))
    for host, _, digest in issued:
        if host != "nhl":
            await _send(nodes[host], digest, "nhl")
    for _, _, digest in issued:
        assert await eventually(lambda digest=digest: _here(carrier, digest))
    if number % 2 == 0:
        await _at_destination(nodes, issued)
        if number % 4 == 0:
            await _use_up(nodes[TO], issued)
    advised = await _advise(carrier, consignment)
    standing = advised["standing"]["lines"]
    if number % 2:
        # Nothing is there yet, and each paper is told as missing.
        assert {each["subject"] for each in standing} == {each.hex() for _, _, each in issued}
        assert {each["id"] for each in standing} == {"PRE-83"}
        await _at_destination(nodes, issued)
    refused = {digest.hex() for _, key, digest in issued if key == UNRECOGNISED}
    return consignment, advised["lines"], standing, advised["document"], refused


async def _at_destination(nodes: dict[str, Node], issued: list[tuple[str, str, bytes]]) -> None:
    for host, _, digest in issued:
        await _send(nodes[host], digest, TO)
    for _, key, digest in issued:
        if key != UNRECOGNISED:
            assert await eventually(lambda digest=digest: _here(nodes[TO], digest))


async def _use_up(node: Node, issued: list[tuple[str, str, bytes]]) -> None:
    """The destination writes off all of the certificate of origin, where there is one."""
    for _, key, digest in issued:
        if key == "certificate-of-origin":
            quantity = {"value": "24570", "unit": "KGM"}
            order = {"action": "write-off", "declaration": "D-1", "quantity": quantity}
            done = await operator(node).apost(f"/v1/balances/{digest.hex()}", order)
            assert done["outcome"] == "GRANTED"


async def _send(node: Node, digest: bytes, to: str) -> None:
    await node.store.write(sending.send, node, digest, SendOrder([did_of(to)]))


async def _here(node: Node, digest: bytes) -> bool:
    from node.documents import documents

    return await node.store.read(documents.get, digest) is not None
