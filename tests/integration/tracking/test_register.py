"""Platforms record transfers at a third one's register: one holds the bill, all can prove it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from node.operator import OperatorClient
from node.tracking import client
from protocols.fields import Fields
from protocols.pint.platforms import MemberKeyring
from protocols.pint.reading import CODE
from protocols.pint.tracking import PlatformRecord, RecordAction
from protocols.pint.tracking_proof import ReceivedRecord, read_answer, verify_records
from schemas.errors import TradeError
from tests.integration.tracking.tracking_network import (
    bill,
    chain,
    did_of,
    further,
    last,
    party,
    running,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from node.tracking.client import Bill
    from protocols.pint.tracking_state import Tracked


async def state(node: Node, one: Bill) -> Tracked:
    found = await client.current(node, one)
    assert found is not None
    assert found.final
    return found.state


async def code_of(awaitable: Any) -> str:
    with pytest.raises(TradeError) as caught:
        await awaitable
    return caught.value.code


async def answered(node: Node, one: Bill) -> tuple[dict[str, Any], tuple[ReceivedRecord, ...]]:
    """The bill as anybody is answered, without signing the call."""
    answer = await node.client.open_call(
        "GET", f"{node.members.current.node(did_of('keep')).endpoint}/ctr/v1/bills/{one.ebl.hex()}"
    )
    assert answer.status == 200
    import orjson

    body = orjson.loads(answer.body)
    return body, read_answer(Fields(body, CODE))


async def test_a_bill_passes_between_platforms_and_ends_and_every_step_is_proven(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        home, away, keep = nodes["home"], nodes["away"], nodes["keep"]
        texts = chain(home)
        one = bill(home, texts)
        intent = await client.intend(home, one, "AWAY", last(texts))
        assert await client.intend(home, one, "AWAY", last(texts)) == intent
        assert (await state(away, one)).control.holder == "HOME"
        accepted = await client.accept(away, one, last(texts))
        assert await client.accept(away, one, last(texts)) == accepted
        assert (await state(home, one)).control.holder == "AWAY"
        # R20: too late to cancel; and who gave it away gives it to nobody else.
        assert await code_of(client.cancel(home, one, last(texts))) == "tracking_no_intent"
        assert await code_of(client.intend(home, one, "KEEP", last(texts))) == "tracking_not_holder"
        onward = further(texts, away, "AWAY", party("exp-a", "HOME"))
        await client.intend(away, one, "HOME", last(onward))
        assert await client.cancel(away, one, last(onward)) is not None
        assert await client.cancel(away, one, last(onward)) is None
        assert await code_of(client.accept(home, one, last(onward))) == "tracking_no_intent"
        await client.surrendered(away, one)
        assert (await state(keep, one)).control.ended
        assert await code_of(client.intend(away, one, "HOME", last(onward))) == "tracking_ended"
        await proven_offline_and_nothing_left_out(home, one)


async def proven_offline_and_nothing_left_out(node: Node, one: Bill) -> None:
    body, records = await answered(node, one)
    assert (body["holder"], body["ended"], body["source"]) == ("AWAY", True, "records")
    assert "did:" not in str({**body, "records": [item["recordID"] for item in body["records"]]})
    members = node.members.current
    keyring, keeper = MemberKeyring(members), did_of("keep")
    proven = verify_records(records, one.ebl, members, keyring, keeper)
    assert proven is not None
    assert proven.final
    for wrong in (records[1:], (*records[:1], *records[2:]), records[::-1]):
        with pytest.raises(TradeError):
            verify_records(wrong, one.ebl, members, keyring, keeper)
    with pytest.raises(TradeError, match="tracking_records_bad"):
        verify_records(records, one.ebl, members, keyring, did_of("home"))
    with pytest.raises(TradeError, match="tracking_records_bad"):
        verify_records(records, bytes(32), members, keyring, keeper)


async def test_of_two_acceptances_and_two_intents_at_once_one_wins(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        home, away, keep = nodes["home"], nodes["away"], nodes["keep"]
        texts = chain(home)
        one = bill(home, texts)
        tried = await asyncio.gather(
            *(client.intend(home, one, code, last(texts)) for code in ("AWAY", "KEEP")),
            return_exceptions=True,
        )
        lost = [item for item in tried if isinstance(item, TradeError)]
        assert [error.code for error in lost] == ["tracking_intent_open"]
        found = await state(home, one)
        assert found.control.intent is not None
        winner = found.control.intent.receiver
        loser = {"AWAY": keep, "KEEP": away}[winner]
        assert await code_of(client.accept(loser, one, last(texts))) == "tracking_not_receiver"
        await client.accept({"AWAY": away, "KEEP": keep}[winner], one, last(texts))
        assert (await state(home, one)).control.holder == winner


async def test_a_dispute_stops_a_bill_until_it_is_resolved(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        home, away = nodes["home"], nodes["away"]
        texts = chain(home)
        one = bill(home, texts)
        intent = await client.intend(home, one, "AWAY", last(texts))
        await client.accept(away, one, last(texts))
        opened = await client.dispute(home, one)
        assert await client.dispute(away, one) == opened
        onward = further(texts, away, "AWAY", party("exp-a", "HOME"))
        blocked = client.intend(away, one, "HOME", last(onward))
        assert await code_of(blocked) == "tracking_disputed"
        # Nobody takes the bill from AWAY but AWAY.
        grab = client.resolve(home, one, intent)
        assert await code_of(grab) == "tracking_resolution_not_yours"
        await client.resolve(away, one, intent)
        assert (await state(home, one)).control.holder == "HOME"
        assert await client.resolve(away, one) is None


async def post(node: Node, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    import orjson

    keep = node.members.current.node(did_of("keep"))
    answer = await node.client.open_call(
        "POST",
        f"{keep.endpoint}/ctr/v1/records",
        orjson.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    return answer.status, orjson.loads(answer.body)


async def test_hostile_records_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        home, away = nodes["home"], nodes["away"]
        texts = chain(home)
        one = bill(home, texts)
        plain = PlatformRecord(
            one.ebl, RecordAction.INTEND, "HOME", home.clock.now(), "AWAY", last(texts)
        )
        text = plain.sign(home.keys.signer("platform"))
        sent = {"platformRecordSignedContent": text}
        opening = {"envelopeTransferChainEntrySignedContent": texts[0]}
        assert await refused(away, sent) == (422, "tracking_opening_missing")
        foreign = {"envelopeTransferChainEntrySignedContent": chain(home, "OTHER")[0]}
        assert await refused(away, sent | foreign) == (422, "tracking_opening_mismatch")
        elsewhere = chain(home, registry="https://other.example/ctr/v1")
        named = {"envelopeTransferChainEntrySignedContent": elsewhere[0]}
        assert await refused(away, sent | named) == (422, "tracking_opening_mismatch")
        forged = plain.sign(away.keys.signer("platform"))
        wrong = {"platformRecordSignedContent": forged} | opening
        assert await refused(away, wrong) == (422, "pint_key_unknown")
        assert (await refused(away, {"platformRecordSignedContent": "a.b"} | opening))[0] == 400
        unknown = f"/ctr/v1/bills/{one.ebl.hex()}"
        keeper = OperatorClient(nodes["keep"].local_url, nodes["keep"].token)
        with pytest.raises(TradeError, match="tracking_bill_unknown"):
            await asyncio.to_thread(keeper.get, unknown)
        status, first = await post(away, sent | opening)
        assert status == 201
        # Asked again it is the same record, also when it is signed again (R2).
        again = plain.sign(home.keys.signer("platform"))
        for repeated in (text, again):
            status, body = await post(away, {"platformRecordSignedContent": repeated})
            assert (status, body["recordID"]) == (200, first["recordID"])
        stale = PlatformRecord(one.ebl, RecordAction.SURRENDERED, "HOME", home.clock.now())
        status, body = await post(
            away, {"platformRecordSignedContent": stale.sign(home.keys.signer("platform"))}
        )
        assert (status, body["head"]) == (409, first["recordID"])


async def refused(node: Node, body: dict[str, Any]) -> tuple[int, str]:
    status, answer = await post(node, body)
    return status, answer["code"]
