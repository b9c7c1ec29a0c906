"""Revoking an input flags whatever stands on it, from node to node, and revokes nothing (R25)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.balance.certificate_network import (
    BACK,
    UCR,
    arrived,
    back_to_back,
    certificate,
    certificate_nodes,
    command,
    decision,
    issue,
    operate,
    pinned,
)
from tests.integration.release.road import eventually, operator
from tests.support.clocks import stopwatch
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def flags(node: Node, digest: str) -> list[dict[str, Any]]:
    """What the node shows as lost below a document."""
    body = await operator(node).aget(f"/v1/documents/{digest}")
    assert body["status"]["revoked"] is False
    found: list[dict[str, Any]] = body.get("basisLost", [])
    return found


async def kinds(node: Node, digest: str) -> list[str]:
    """The kinds of events told about a document."""
    from node.store import events

    found = await node.store.read(lambda conn: events.of(conn, document=bytes.fromhex(digest)))
    return [each.kind for each in found]


async def test_r25_a_revoked_input_flags_the_chain_on_four_nodes_and_reopens_the_decision(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        korea, china = nodes["kr-cert"], nodes["cn-cert"]
        singapore, viet_nam = nodes["sg-customs"], nodes["vn-customs"]
        cells = await issue(korea, certificate("KR-1", "KR", "CN"), "cn-cert")
        housing = await issue(viet_nam, certificate("VN-1", "VN", "CN"), "cn-cert")
        await arrived(nodes, cells, "cn-cert")
        await arrived(nodes, housing, "cn-cert")
        both = certificate("CN-1", inputs=pinned(cells, housing), consignment=UCR)
        packs = await issue(china, both, "sg-customs")
        await arrived(nodes, packs, "sg-customs")
        assert (await operate(singapore, packs, "write-off", "SG-DEC-1", 60))[
            "outcome"
        ] == "GRANTED"
        named = await issue(singapore, decision("SG-1", "SG-DEC-1", packs))
        onward = await issue(singapore, back_to_back("SG-B2B-1", packs, 100), "vn-customs")
        await arrived(nodes, onward, "vn-customs")

        lost = {"reason": "cells bought in"}
        async with stopwatch() as passed:
            await operator(korea).apost(f"/v1/documents/{cells}/revoke", lost)
            [at_china] = await eventually(lambda: flags(china, packs))
            [at_singapore] = await eventually(lambda: flags(singapore, packs))
            [reopened] = await eventually(lambda: flags(singapore, named))
            [at_viet_nam] = await eventually(lambda: flags(viet_nam, onward))
            assert passed() < 10
        assert at_china["path"] == at_singapore["path"] == [packs, cells]
        assert at_singapore["by"] == did_of("cn-cert")
        assert reopened["path"] == [named, packs, cells]
        assert (at_viet_nam["path"], at_viet_nam["by"]) == (
            [onward, packs, cells], did_of("sg-customs"),
        )  # fmt: skip
        assert "post-clearance" in await kinds(singapore, named)
        assert (await kinds(viet_nam, onward)).count("basis-lost") == 1

        async def feedback() -> bool:
            return all([
                "basis-feedback" in await kinds(korea, cells),
                "basis-feedback" in await kinds(china, packs),
                "basis-feedback" in await kinds(singapore, onward),
            ])  # fmt: skip

        assert await eventually(feedback)
        await _still_good_but_warned(viet_nam, onward)
        await _sent_later(nodes, packs)


async def _still_good_but_warned(node: Node, digest: str) -> None:
    """Only the issuing body invalidates: the verdict stays, the report warns."""
    file = await operator(node).arequest("GET", f"/v1/documents/{digest}")
    assert file.status == 200
    from node.documents import documents

    stored = await node.store.read(documents.require, bytes.fromhex(digest))
    judged = await node.verification.answer(_question(stored.file))
    assert judged.report.verdict.value == "PASSED"
    assert [each.rule for each in judged.report.findings].count("BAS-001") == 1
    listed = await operator(node).aget("/v1/documents", type=BACK)
    assert [one.get("basisLost") for one in listed["documents"]] == [True]
    shown = await command(node, "basis", "list")
    assert (shown.exit_code, "Basis lost" in shown.output) == (0, True)
    found = await operator(node).aget("/v1/basis-lost")
    assert [one["document"] for one in found["items"]] == [digest]


def _question(file: bytes) -> Any:
    from node.verification.judging import Question

    return Question(file)


async def _sent_later(nodes: dict[str, Node], packs: str) -> None:
    """Whoever gets the certificate after the flag gets the flag with it."""
    china, viet_nam = nodes["cn-cert"], nodes["vn-customs"]
    body = {"to": [did_of("vn-customs")]}
    await operator(china).apost(f"/v1/documents/{packs}/send", body)
    await arrived(nodes, packs, "vn-customs")
    [flag] = await eventually(lambda: flags(viet_nam, packs))
    assert flag["by"] == did_of("cn-cert")


async def test_r25_a_decision_is_found_by_the_declaration_that_used_the_certificate(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        china, singapore = nodes["cn-cert"], nodes["sg-customs"]
        packs = await issue(china, certificate("CN-1", consignment=UCR), "sg-customs")
        await arrived(nodes, packs, "sg-customs")
        await operate(singapore, packs, "write-off", "SG-DEC-1", 160)
        cleared = await issue(singapore, decision("SG-1", "SG-DEC-1"))
        other = await issue(singapore, decision("SG-2", "SG-DEC-2"))
        await operator(china).apost(f"/v1/documents/{packs}/revoke", {"reason": "in error"})
        [flag] = await eventually(lambda: flags(singapore, cleared))
        assert flag["path"] == [cleared, packs]
        assert await flags(singapore, other) == []
