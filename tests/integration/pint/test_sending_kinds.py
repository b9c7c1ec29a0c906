"""Kinds of bills and their ends, by the holder's commands over running platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from node.operator import OperatorClient
from node.pint import rows
from node.title.exit_service import ExitService
from node.title.making import IssueOrder, Order
from protocols.pint.words import Action
from protocols.title.machine import Ending, Kind
from schemas.errors import ConflictError, TradeError
from testnet.story.documents import build, load_story
from tests.integration.pint.sending_network import (
    CARRIER,
    bill,
    did_of,
    eventually,
    move,
    possessor,
    running,
    titled,
)
from tests.integration.pint.test_sending_commands import ebl, ebl_json

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


def parties(**named: str | None) -> dict[str, Any]:
    """The story's parties, some of them others; None takes one away."""
    from datetime import UTC, datetime

    story = build(load_story(), "A", "bill-of-lading", datetime.now(UTC))
    made: dict[str, Any] = orjson.loads(story.payload)["documentParties"]
    for role, name in named.items():
        made.pop(role, None)
        if name is not None:
            code = {"codeListProvider": "W3C", "codeListName": "DID", "partyCode": did_of(name)}
            address = {"street": "Deltaweg 1", "city": "Rotterdam", "countryCode": "NL"}
            made[role] = {"partyName": name, "identifyingCodes": [code], "address": address}
    return made


async def status(node: Node, title: bytes) -> str:
    found = await node.store.read(rows.bill_of_title, title)
    return "" if found is None else found.status


async def test_a_straight_bill_goes_to_its_consignee_only_and_is_never_endorsed(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        named = {"isToOrder": False, "documentParties": parties(endorsee=None, consignee="imp-a")}
        title = await titled(nhl, "NHLSTRAIGHT", endorsee="imp-a", **named)
        for action in (Action.ENDORSE, Action.ENDORSE_TO_ORDER):
            with pytest.raises(TradeError, match="pint_not_negotiable"):
                await move(nhl, title, action, "imp-b")
        with pytest.raises(TradeError, match="pint_straight_stranger"):
            await move(nhl, title, Action.TRANSFER, "imp-b")
        sent = await move(nhl, title, Action.TRANSFER, "imp-a")
        assert (sent["outcome"], sent["platform"]) == ("final", "MDPX")
        # Nor within a platform, where nobody but the arbiter is asked.
        with pytest.raises(TradeError, match="pint_straight_stranger"):
            await move(maas, title, Action.TRANSFER, "bank")
        given = await move(maas, title, Action.SURRENDER_FOR_DELIVERY)
        assert (given["outcome"], given["platform"]) == ("final", "NHLX")
        await _waits_for_its_carrier(maas, title)


async def _waits_for_its_carrier(maas: Node, title: bytes) -> None:
    """Each door says that the bill is surrendered, and not that a key of the carrier's is amiss."""
    path, body = f"/v1/titles/{title.hex()}/operations", {"to": did_of("imp-a")}
    client = OperatorClient(maas.local_url, maas.token)
    for by in ({}, {"by": did_of("imp-a")}):
        for kind in ({"kind": "TRANSFER"} | body, {"kind": "SURRENDER_FOR_DELIVERY"}):
            with pytest.raises(ConflictError, match="title_surrendered"):
                await client.apost(path, kind | by)
    told = await ebl(maas, "transfer", "NHLSTRAIGHT", "--to", did_of("imp-a"))
    assert told.exit_code != 0
    assert "title_surrendered" in (told.stdout + repr(told.exception))
    with pytest.raises(TradeError, match="title_surrendered"):
        await move(maas, title, Action.TRANSFER, "bank")


async def test_an_amended_bill_is_issued_anew_and_both_are_linked(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        old = await titled(nhl, "NHLAMEND")
        await ebl_json(nhl, "transfer", "NHLAMEND", "--to", did_of("bank"))
        why = ("--for-amendment", "--reason", "cod", "--comments", "to Antwerp instead")
        await ebl_json(maas, "surrender", "NHLAMEND", *why)
        # The carrier answers at the arbiter; that platforms hear of it is the node's own affair.
        await nhl.title.operate(old, Order(Kind.ACCEPT_SURRENDER))

        async def over() -> bool:
            return await status(maas, old) == rows.ENDED

        await eventually(over)
        await nhl.title.operate(old, Order(Kind.END, ending=Ending.AMENDED))
        ended = (await nhl.title.show(old))["document"]
        await nhl.documents.revoke(bytes.fromhex(ended), "amended: to Antwerp")
        document = await bill(nhl, "NHLAMEND", termsAndConditions="Amended: to Antwerp.")
        order = IssueOrder(document, did_of("exp-a"), did_of("bank"), replaces=old)
        new = bytes.fromhex((await nhl.title.issue(order))["title"])

        async def anew() -> bool:
            return await status(nhl, new) == rows.HERE

        await eventually(anew)
        sent = await ebl_json(nhl, "transfer", "NHLAMEND", "--to", did_of("bank"))
        assert sent["moves"][0]["title"] == new.hex()
        shown = await ebl_json(nhl, "show", old.hex())
        assert (shown["ending"], shown["replacedBy"]) == ("amended", new.hex())
        assert (await ebl_json(nhl, "show", new.hex()))["replaces"] == old.hex()
        with pytest.raises(TradeError, match="pint_after_sacc"):
            await move(maas, old, Action.TRANSFER, "imp-b", by=did_of("bank"))
        for title, shown in ((old, {"ending": "amended"}), (new, {"endedAs": "amended"})):
            for answer, evidence in await answers(nhl, title, "art. 16"):
                assert answer == "met"
                assert shown.items() <= evidence.items()


async def answers(node: Node, title: bytes, clause: str) -> list[tuple[str, dict[str, Any]]]:
    """What the reliability report says under MLETR and under Singapore's law, which follows it."""
    told = await ExitService(node).judge(title.hex())
    named = {("MLETR", clause), ("SG-ETA-2021", f"Part 2A (MLETR {clause})")}
    lines = [one for one in told["lines"] if (one["law"], one["clause"]) in named]
    assert len(lines) == len(named)
    return [(one["answer"], one["evidence"]) for one in lines]


async def test_a_bill_switched_to_paper_is_visibly_dead(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl, "NHLPAPER")
        await ebl_json(nhl, "transfer", "NHLPAPER", "--to", did_of("bank"))
        asked = await ebl_json(maas, "surrender", "NHLPAPER", "--for-amendment", "--reason", "SWTP")
        assert asked["moves"][0]["platform"] == "NHLX"
        received = await nhl.store.read(rows.bill_of_title, title)
        assert orjson.loads(received.state)["surrender"]["reasonCode"] == "SWTP"
        assert (await move(nhl, title, Action.SACC))["outcome"] == "final"
        await nhl.title.operate(title, Order(Kind.END, ending=Ending.PAPER))
        for node in (nhl, maas):
            assert "DEAD" in (await ebl(node, "show", "NHLPAPER", "--refresh")).stdout
            assert "ended" in (await ebl(node, "list")).stdout
        with pytest.raises(TradeError):
            await move(maas, title, Action.SURRENDER_FOR_DELIVERY, by=did_of("bank"))
        await _back_from_paper_is_no_amendment(nhl, title)


async def _back_from_paper_is_no_amendment(nhl: Node, old: bytes) -> None:
    ended = (await nhl.title.show(old))["document"]
    await nhl.documents.revoke(bytes.fromhex(ended), "on paper")
    document = await bill(nhl, "NHLPAPER", termsAndConditions="Back from paper.")
    order = IssueOrder(document, did_of("exp-a"), did_of("bank"), replaces=old)
    new = bytes.fromhex((await nhl.title.issue(order))["title"])
    assert [answer for answer, _ in await answers(nhl, old, "art. 17, 18")] == ["met", "met"]
    for clause in ("art. 15", "art. 16", "art. 17, 18"):
        assert [answer for answer, _ in await answers(nhl, new, clause)] == ["not shown"] * 2
    for _, evidence in await answers(nhl, new, "art. 16"):
        assert evidence["endedAs"] == "paper"
        assert "not amended" in evidence["why"]


@pytest.mark.slow
async def test_house_bills_and_their_master_bill_name_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        await titled(nhl, "NHLMASTER")
        house = {"references": [{"type": "MB", "value": "NHLMASTER"}]}
        title = await titled(nhl, "NHLHOUSE1", **house)
        await move(nhl, title, Action.TRANSFER, "bank")
        assert (await ebl_json(maas, "show", "NHLHOUSE1"))["master"] == "NHLMASTER"
        assert (await ebl_json(nhl, "show", "NHLMASTER"))["house"] == ["NHLHOUSE1"]


async def test_a_sea_waybill_is_no_title_and_goes_to_nobody_by_pint(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        named = {
            "isToOrder": False,
            "transportDocumentTypeCode": "SWB",
            "documentParties": parties(endorsee=None, consignee="imp-a"),
            "numberOfOriginalsWithoutCharges": 0,
        }
        document = await bill(nhl, "NHLWAYBILL", **named)
        with pytest.raises(TradeError, match="title_not_a_bill"):
            await nhl.title.issue(IssueOrder(document, did_of("exp-a"), did_of("imp-a")))
        missing = await ebl(nhl, "transfer", "NHLWAYBILL", "--to", did_of("imp-a"))
        assert isinstance(missing.exception, TradeError)
        assert missing.exception.code == "pint_bill_unknown"
        assert await possessor(nhl, bytes(32)) is None
