"""A certificate used in parts, by several nodes, at one register (R23); real nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from node.balance import asking
from node.store import events
from schemas.errors import ConflictError, MalformedError, RefusedError
from tests.integration.balance.certificate_network import (
    arrived,
    back_to_back,
    balance,
    certificate,
    certificate_nodes,
    command,
    issue,
    operate,
)
from tests.integration.release.road import eventually, operator
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made


async def test_r23_double_use_at_two_ports_is_one_write_off_and_one_signed_refusal(
    homes: Made,
) -> None:
    async with certificate_nodes(homes) as nodes:
        singapore, viet_nam = nodes["sg-customs"], nodes["vn-customs"]
        digest = await issue(nodes["cn-cert"], certificate("CN-1"), "sg-customs", "vn-customs")
        await arrived(nodes, digest, "sg-customs", "vn-customs")
        answers = await asyncio.gather(
            operate(singapore, digest, "write-off", "SG-DEC-1", 160),
            operate(viet_nam, digest, "write-off", "VN-DEC-1", 160),
        )
        assert sorted(each["outcome"] for each in answers) == ["GRANTED", "REFUSED"]
        granted, refused = sorted(answers, key=lambda each: str(each["outcome"]))
        assert refused["code"] == "balance_used"
        first = refused["answer"]["firstUse"]
        assert first["declaration"] == granted["declaration"]
        assert refused["signedAnswer"].count(".") == 2
        again = await operate(
            singapore if granted["declaration"] == "SG-DEC-1" else viet_nam,
            digest, "write-off", granted["declaration"], 160,
        )  # fmt: skip
        assert (again["outcome"], again["answer"]["seq"]) == ("GRANTED", 1)
        shown = await balance(nodes["cn-cert"], digest)
        assert (shown["balance"]["left"], shown["balance"]["writtenOff"]) == ("0", "160")
        assert [use["state"] for use in shown["uses"]] == ["WRITTEN_OFF"]


async def test_r23_quantities_are_reserved_written_off_and_released_but_never_beyond(
    homes: Made,
) -> None:
    async with certificate_nodes(homes) as nodes:
        await _walk(nodes)


async def _walk(nodes: dict[str, Node]) -> None:
    singapore, issuer = nodes["sg-customs"], nodes["cn-cert"]
    digest = await issue(issuer, certificate("CN-2"), "sg-customs", "kr-cert")
    await arrived(nodes, digest, "sg-customs", "kr-cert")

    async def code(node: Node, *order: Any) -> str:
        body = await operate(node, digest, *order)
        assert body["outcome"] == "REFUSED"
        return str(body["code"])

    assert await code(singapore, "release", "D-1") == "balance_not_reserved"
    shown = await command(singapore, "balance", "show", digest)
    assert (shown.exit_code, "left 160" in shown.output) == (0, True)
    over = ("balance", "reserve", digest, "--declaration", "D-9", "--quantity", "161 H87")
    refused = await command(singapore, *over)
    assert (refused.exit_code, "balance_used" in refused.output) == (1, True)
    assert (await operate(singapore, digest, "reserve", "D-1", 100))["outcome"] == "GRANTED"
    assert await code(singapore, "reserve", "D-1", 90) == "balance_other_quantity"
    assert await code(singapore, "reserve", "D-2", 61) == "balance_used"
    assert (await operate(singapore, digest, "write-off", "D-1", 40))["answer"]["left"] == "120"
    assert await code(singapore, "release", "D-1") == "balance_written_off"
    assert (await operate(singapore, digest, "reserve", "D-4", 120))["answer"]["left"] == "0"
    assert (await operate(singapore, digest, "release", "D-4"))["answer"]["left"] == "120"
    await operator(issuer).apost(f"/v1/documents/{digest}/revoke", {"reason": "issued in error"})
    assert await code(singapore, "reserve", "D-3", 1) == "balance_revoked"
    quantity = {"value": "1", "unit": "NONE"}
    order = {"action": "reserve", "declaration": "D", "quantity": quantity}
    with pytest.raises(MalformedError) as other:
        await operator(singapore).apost(f"/v1/balances/{digest}", order)
    assert other.value.code == "balance_request_malformed"


async def test_r23_without_its_register_a_use_is_indeterminate_and_decided_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.5)
    async with certificate_nodes(tmp_path) as nodes:
        singapore, issuer = nodes["sg-customs"], nodes["cn-cert"]
        digest = await issue(issuer, certificate("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        await operator(issuer).apost(f"/v1/peers/{did_of('sg-customs')}/pause")
        unknown = await operate(singapore, digest, "write-off", "SG-DEC-1", 160)
        assert (unknown["outcome"], unknown["code"]) == ("INDETERMINATE", "balance_unknown")
        with pytest.raises(ConflictError) as pending:
            await operate(singapore, digest, "release", "SG-DEC-1")
        assert pending.value.code == "balance_pending"
        assert (await balance(issuer, digest))["balance"]["writtenOff"] == "0"
        await operator(issuer).apost(f"/v1/peers/{did_of('sg-customs')}/resume")

        async def answered() -> str | None:
            asked = (await balance(singapore, digest))["asked"]
            return None if asked[0]["outcome"] == "INDETERMINATE" else str(asked[0]["outcome"])

        assert await eventually(answered) == "GRANTED"
        shown = await balance(singapore, digest)
        assert (shown["standing"], shown["balance"]["writtenOff"]) == ("KNOWN", "160")


async def test_r23_a_back_to_back_certificate_over_more_than_is_left_is_not_issued(
    tmp_path: Path,
) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        singapore = nodes["sg-customs"]
        digest = await issue(nodes["cn-cert"], certificate("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        first = await issue(singapore, back_to_back("SG-B2B-1", digest, 100), "vn-customs")
        await arrived(nodes, first, "vn-customs")
        with pytest.raises(RefusedError) as over:
            await issue(singapore, back_to_back("SG-B2B-2", digest, 80))
        assert over.value.code == "back_to_back_overdrawn"
        assert "60 H87 left of 80" in over.value.detail
        assert "SG-B2B-1" in over.value.detail
        await issue(singapore, back_to_back("SG-B2B-3", digest, 60))
        shown = await balance(nodes["cn-cert"], digest)
        uses = {use["declaration"]: use["quantity"]["value"] for use in shown["uses"]}
        assert (uses, shown["balance"]["left"]) == ({"SG-B2B-1": "100", "SG-B2B-3": "60"}, "0")


async def test_r23_a_register_that_is_not_the_issuer_tells_it_of_every_use(tmp_path: Path) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        singapore, issuer = nodes["sg-customs"], nodes["cn-cert"]
        kept = {"register": did_of("kr-cert"), "quantity": {"value": "160", "unit": "H87"}}
        digest = await issue(issuer, certificate("CN-1", balance=kept), "sg-customs", "kr-cert")
        await arrived(nodes, digest, "sg-customs", "kr-cert")
        used = await operate(singapore, digest, "write-off", "SG-DEC-1", 60)
        assert (used["outcome"], used["answer"]["register"]) == ("GRANTED", did_of("kr-cert"))

        async def told() -> bool:
            found = await issuer.store.read(
                lambda conn: events.of(conn, document=bytes.fromhex(digest))
            )
            uses = [each for each in found if each.kind == "balance-written-off"]
            return [each.actor for each in uses] == [did_of("sg-customs")]

        assert await eventually(told)
        # The issuer asks the register, like everybody else.
        assert (await balance(issuer, digest))["balance"]["left"] == "100"
