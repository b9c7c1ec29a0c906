"""A bill on its way over real platforms, by PINT and under the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.pint import rows
from node.pint.beginning import Supporting
from node.pint.building import transactions_in
from protocols.pint import documents
from protocols.pint.answers import open_finished
from protocols.pint.parties import IdentifyingCode
from protocols.pint.words import Action, Response
from schemas import strict_json
from tests.integration.pint.sending_network import (
    CARRIER,
    did_of,
    move,
    possessor,
    running,
    titled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node.pint.rows import StoredBill
    from node.runtime import Node

NOTE = Supporting("packing list.txt", "text/plain", b"1890 cartons of ginger")


async def chain_at(node: Node, title: bytes) -> tuple[StoredBill, tuple[str, ...]]:
    bill = await node.store.read(rows.bill_of_title, title)
    known = await node.store.read(rows.known_chain, bill.document)
    return bill, known.texts


async def test_a_bill_moves_over_three_platforms_and_back_to_its_carrier(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas, strait = nodes[CARRIER], nodes["nl-port"], nodes["sg-port"]
        title = await titled(nhl)

        sent = await move(nhl, title, Action.TRANSFER, "bank", supporting=(NOTE,))
        assert (sent["outcome"], sent["state"], sent["platform"]) == ("final", "received", "MDPX")
        assert open_finished(sent["answer"])[1].response is Response.RECE
        assert await possessor(nhl, title) == did_of("bank")
        bill, chain = await chain_at(maas, title)
        assert bill.status == rows.HERE
        assert (await chain_at(nhl, title))[1] == chain
        assert (await chain_at(nhl, title))[0].status == rows.SENT

        # An endorsement to a party elsewhere is a notice: possession stays.
        told = await move(maas, title, Action.ENDORSE_TO_ORDER, "financier-2")
        assert (told["outcome"], told["platform"]) == ("final", "STPX")
        assert await possessor(maas, title) == did_of("bank")
        assert (await chain_at(strait, title))[0].status == rows.SENT
        assert (await move(maas, title, Action.TRANSFER, "financier-2"))["outcome"] == "final"

        # Inside a platform the arbiter alone knows; the next entry tells it.
        inside = await move(strait, title, Action.TRANSFER, "imp-b")
        assert (inside["outcome"], inside["state"]) == ("final", "recorded")
        assert (await move(strait, title, Action.TRANSFER, "financier-2"))["outcome"] == "final"

        given = await move(strait, title, Action.SURRENDER_FOR_DELIVERY)
        assert (given["outcome"], given["platform"]) == ("final", "NHLX")
        assert (await chain_at(nhl, title))[0].status == rows.SURRENDERED
        back = await move(nhl, title, Action.SREJ, comments="charges are unpaid")
        assert (back["outcome"], back["platform"]) == ("final", "STPX")
        assert await possessor(strait, title) == did_of("financier-2")
        assert (await chain_at(strait, title))[0].status == rows.HERE
        assert (await move(strait, title, Action.SURRENDER_FOR_DELIVERY))["outcome"] == "final"
        over = await move(nhl, title, Action.SACC)
        assert (over["outcome"], over["platform"]) == ("final", "STPX")

        bill, chain = await chain_at(strait, title)
        assert bill.status == rows.ENDED
        assert (await chain_at(nhl, title))[1] == chain
        assert [one.action.value for one in transactions_in(chain)] == [
            "ISSUE", "TRANSFER", "ENDORSE_TO_ORDER", "TRANSFER", "TRANSFER", "TRANSFER",
            "SURRENDER_FOR_DELIVERY", "SREJ", "SURRENDER_FOR_DELIVERY", "SACC",
        ]  # fmt: skip
        assert transactions_in(chain)[-3].comments == "charges are unpaid"


async def test_r12_receivers_are_named_to_known_callers_only_where_the_operator_says_so(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, pint={"validation_open": False}) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        code = IdentifyingCode("W3C", did_of("bank"), "DID")
        body = strict_json.canonical(code.to_json())
        headers = {"Content-Type": "application/json", "API-Version": "3"}
        url = maas.local_url + documents.RECEIVER_VALIDATION
        stranger = await nhl.client.open_call("POST", url, body, headers=headers)
        assert stranger.status == 401
        assert b"bank" not in stranger.body
        # A member's platform signs its calls.
        assert await nhl.sending.client.validate("MDPX", code) == "bank"
