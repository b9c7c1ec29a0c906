"""Customs asks the issuing body, tells it of refused preference, and looks up its certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from protocols import times
from schemas.errors import ConflictError, ForbiddenError, MalformedError
from tests.integration.balance.certificate_network import (
    arrived,
    certificate,
    certificate_nodes,
    command,
    issue,
)
from tests.integration.release.road import eventually, operator
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

MANY = "/v1/origin-inquiries"


async def newest(node: Node, kind: str) -> dict[str, Any] | None:
    items = (await operator(node).aget(MANY))["items"]
    return next((one for one in items if one["kind"] == kind), None)


async def at_stage(node: Node, kind: str, stage: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        one = await newest(node, kind)
        return one if one and one["stage"] == stage else None

    found: dict[str, Any] = await eventually(look)
    return found


async def test_a_request_for_verification_has_its_days_and_a_refused_preference_its_answer(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        china, singapore = nodes["cn-cert"], nodes["sg-customs"]
        digest = await issue(china, certificate("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        await _verified(china, singapore, digest)
        order = {
            "kind": "preference-refused", "certificate": digest, "declaration": "SG-DEC-1",
            "reasons": ["the goods are of another heading"],
        }  # fmt: skip
        await operator(singapore).apost(MANY, order)
        told = await at_stage(china, "preference-refused", "RECEIVED")
        assert told["reasons"] == order["reasons"]
        said = {"outcome": "CORRECTED", "text": "reissued", "replacement": "ab" * 32}
        await operator(china).apost(f"{MANY}/{told['id']}/answer", said)
        back = await at_stage(singapore, "preference-refused", "ANSWERED")
        assert back["answer"] == said
        with pytest.raises(ConflictError) as closed:
            await operator(china).apost(f"{MANY}/{told['id']}/answer", said)
        assert closed.value.code == "inquiry_closed"
        listed = await command(singapore, "inquiry", "list")
        assert (listed.exit_code, "CORRECTED" in listed.output) == (0, True)
        await _refusals(nodes, digest)


async def _verified(china: Node, singapore: Node, digest: str) -> None:
    """3.24: days run from receipt; preference is not denied before they are over."""
    order = {"kind": "verification", "certificate": digest, "reasons": ["weights"], "days": 30}
    await operator(singapore).apost(MANY, order)
    asked = await at_stage(singapore, "verification", "RECEIVED")
    length = times.from_text(asked["answerDue"]) - times.from_text(asked["receivedAt"])
    assert length == timedelta(days=30)
    # Nor by the other door, as a report that it was refused.
    refused = {
        "kind": "preference-refused", "certificate": digest, "declaration": "SG-DEC-0",
        "reasons": ["weights"],
    }  # fmt: skip
    with pytest.raises(ConflictError, match="inquiry_not_due"):
        await operator(singapore).apost(MANY, refused)
    denied = {"outcome": "PREFERENCE_DENIED", "text": "not shown"}
    with pytest.raises(ConflictError) as early:
        await operator(singapore).apost(f"{MANY}/{asked['id']}/determination", denied)
    assert early.value.code == "inquiry_not_due"
    with pytest.raises(ForbiddenError):
        await operator(china).apost(f"{MANY}/{asked['id']}/determination", denied)
    said = {"outcome": "NOT_CONFIRMED", "text": "the producer did not answer"}
    await operator(china).apost(f"{MANY}/{asked['id']}/answer", said)
    answered = await at_stage(singapore, "verification", "ANSWERED")
    assert "determinationDue" in answered
    await operator(singapore).apost(f"{MANY}/{asked['id']}/determination", denied)
    heard = await at_stage(china, "verification", "DETERMINED")
    assert heard["determination"] == denied


async def _refusals(nodes: dict[str, Node], digest: str) -> None:
    china, singapore = nodes["cn-cert"], nodes["sg-customs"]
    order: dict[str, Any] = {"kind": "verification", "certificate": digest, "reasons": ["why"]}
    with pytest.raises(ForbiddenError) as not_customs:
        await operator(china).apost(MANY, order)
    assert not_customs.value.code == "inquiry_not_customs"
    for wrong in ({"reasons": []}, {"days": 29}, {"kind": "rumour"}):
        with pytest.raises(MalformedError):
            await operator(singapore).apost(MANY, order | wrong)


async def test_the_parties_and_nobody_else_see_what_3_17_7_names(tmp_path: Path) -> None:
    async with certificate_nodes(tmp_path, port=True) as nodes:
        china, singapore = nodes["cn-cert"], nodes["sg-customs"]
        await issue(china, certificate("CN-1"))
        await issue(china, certificate("CN-2"))
        at = did_of("cn-cert")
        seen = await operator(singapore).aget("/v1/origin-certificates", at=at, number="CN-2")
        [one] = seen["items"]
        assert set(one) == {"number", "issueDate", "exporter", "goods", "revoked", "suspended"}
        assert set(one["goods"][0]) == {"hs", "description", "quantity"}
        assert one["number"] == "CN-2"
        both = await operator(singapore).aget("/v1/origin-certificates", at=at)
        assert len(both["items"]) == 2
        nobody = await china.client.open_call("GET", china.endpoint + "/px/1/origin-certificates")
        assert nobody.status == 401
        with pytest.raises(ForbiddenError) as port:
            await operator(nodes["port"]).aget("/v1/origin-certificates", at=at)
        assert port.value.code == "parties_only"
