"""A proof pinned by a digest that nobody holds is told on signing and on receipt (R25)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from node.documents import documents
from node.preflight import standing
from node.store import events
from node.verification.judging import Question
from schemas.errors import RefusedError
from tests.integration.balance.certificate_network import (
    COO,
    UCR,
    arrived,
    certificate,
    certificate_nodes,
    decision,
    issue,
)
from tests.integration.release.road import operator

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

NOBODY_HOLDS = "ab" * 32


def standing_on(digest: str, number: str = "KR-1", own: str = "CN-1") -> bytes:
    """A certificate of China that pins one input."""
    pin = {"type": COO, "number": number, "digest": digest}
    return certificate(own, inputs=[pin], consignment=UCR)


async def signed(node: Node, payload: bytes) -> dict[str, Any]:
    """What issuing answers."""
    body = {"payload": base64.b64encode(payload).decode()}
    made: dict[str, Any] = await operator(node).apost("/v1/documents", body)
    return made


async def told(node: Node, digest: str) -> list[tuple[str, str]]:
    """Rule and severity of each finding below a document: the same in its page and its report."""
    shown = await operator(node).aget(f"/v1/documents/{digest}")
    stored = await node.store.read(documents.require, bytes.fromhex(digest))
    report = (await node.verification.answer(Question(stored.file))).report
    assert report.verdict.value == "PASSED"
    found = [(each.rule, each.severity.value) for each in report.findings]
    assert found == [(one["rule"], one["severity"]) for one in shown.get("basisUnknown", [])]
    return found


async def not_there(node: Node, digest: str) -> dict[str, str]:
    """What a preflight is told as missing (PRE-83) where this and another paper are named."""
    held = await node.store.read(documents.require, bytes.fromhex(digest))
    named = [held.digest, bytes.fromhex(NOBODY_HOLDS)]
    found = await node.store.read(standing.missing, [held], named)
    return {line.subject: line.about for line in found}


async def kinds(node: Node, digest: str) -> list[str]:
    """The kinds of events told about a document."""
    found = await node.store.read(lambda conn: events.of(conn, document=bytes.fromhex(digest)))
    return [each.kind for each in found]


async def test_r25_an_input_that_is_not_here_is_told_to_issuer_and_recipient_until_it_comes(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        korea, china, singapore = nodes["kr-cert"], nodes["cn-cert"], nodes["sg-customs"]
        cells = await issue(korea, certificate("KR-1", "KR", "CN"))
        made = await signed(china, standing_on(cells))
        assert [each["rule"] for each in made["warnings"]] == ["BAS-002"]
        assert made["warnings"][0]["pointer"] == "/inputs/0/digest"
        packs = made["digest"]
        sent = {"to": ["did:web:sg-customs.example"]}
        await operator(china).apost(f"/v1/documents/{packs}/send", sent)
        await arrived(nodes, packs, "sg-customs")
        for node in (china, singapore):
            assert await told(node, packs) == [("BAS-002", "warning")]
            assert (await kinds(node, packs)).count("basis-unknown") == 1
        assert await not_there(singapore, packs) == {cells: f"{COO} KR-1", NOBODY_HOLDS: ""}
        both = {"to": ["did:web:sg-customs.example", "did:web:cn-cert.example"]}
        await operator(korea).apost(f"/v1/documents/{cells}/send", both)
        await arrived(nodes, cells, "sg-customs", "cn-cert")
        assert await told(china, packs) == await told(singapore, packs) == []
        assert await not_there(singapore, packs) == {NOBODY_HOLDS: ""}


async def test_r25_an_input_that_is_here_under_another_digest_is_an_error_and_is_not_signed(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        korea, china, singapore = nodes["kr-cert"], nodes["cn-cert"], nodes["sg-customs"]
        cells = await issue(korea, certificate("KR-1", "KR", "CN"), "sg-customs")
        await arrived(nodes, cells, "sg-customs")
        # China does not hold it, and cannot know better than that it is not there.
        packs = await issue(china, standing_on(NOBODY_HOLDS), "sg-customs")
        assert await told(china, packs) == [("BAS-002", "warning")]
        await arrived(nodes, packs, "sg-customs")
        assert await told(singapore, packs) == [("BAS-003", "error")]
        sent = {"to": ["did:web:cn-cert.example"]}
        await operator(korea).apost(f"/v1/documents/{cells}/send", sent)
        await arrived(nodes, cells, "cn-cert")
        assert await told(china, packs) == [("BAS-003", "error")]
        with pytest.raises(RefusedError) as refused:
            await signed(china, standing_on(NOBODY_HOLDS, own="CN-2"))
        assert refused.value.code == "document_has_errors"
        assert [each["rule"] for each in refused.value.context["errors"]] == ["BAS-003"]
        assert "warnings" not in await signed(china, standing_on(cells, own="CN-2"))


async def test_r25_a_number_that_several_issuers_have_given_is_told_and_not_guessed(
    tmp_path: Path,
) -> None:
    """A number is unique with its issuing body only (RCEP 3.17(3))."""
    async with certificate_nodes(tmp_path) as nodes:
        korea, china = nodes["kr-cert"], nodes["cn-cert"]
        cells = await issue(korea, certificate("N-1", "KR", "CN"), "cn-cert")
        await arrived(nodes, cells, "cn-cert")
        own = await issue(china, certificate("N-1"))
        made = await signed(china, standing_on(NOBODY_HOLDS, "N-1", "CN-7"))
        assert [each["rule"] for each in made["warnings"]] == ["BAS-004"]
        assert await told(china, made["digest"]) == [("BAS-004", "warning")]
        shown = await operator(china).aget(f"/v1/documents/{made['digest']}")
        issuers = shown["basisUnknown"][0]["values"]["issuers"]
        assert issuers == "did:web:cn-cert.example, did:web:kr-cert.example"
        # With the issuer it is a wrong digest again, and once one is gone, so is the doubt.
        pin = {"type": COO, "number": "N-1", "digest": NOBODY_HOLDS}
        pin["issuer"] = "did:web:kr-cert.example"
        with pytest.raises(RefusedError) as refused:
            await signed(china, certificate("CN-8", inputs=[pin], consignment=UCR))
        assert [each["rule"] for each in refused.value.context["errors"]] == ["BAS-003"]
        await operator(china).apost(f"/v1/documents/{own}/revoke", {"reason": "typing error"})
        assert await told(china, made["digest"]) == [("BAS-003", "error")]


async def test_r25_a_decision_that_names_a_wrong_digest_is_signed_with_a_warning(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        china, singapore = nodes["cn-cert"], nodes["sg-customs"]
        packs = await issue(china, certificate(f"N-{NOBODY_HOLDS[:8]}"), "sg-customs")
        await arrived(nodes, packs, "sg-customs")
        made = await signed(singapore, decision("SG-1", "SG-DEC-1", NOBODY_HOLDS))
        found = [each for each in made["warnings"] if each["rule"].startswith("BAS")]
        assert [(each["rule"], each["severity"]) for each in found] == [("BAS-003", "warning")]
