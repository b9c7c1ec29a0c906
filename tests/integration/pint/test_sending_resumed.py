"""A sending platform that stops at any moment goes on where it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from node.pint import outgoing, rows
from node.pint.preparing import Move, prepare
from node.title.making import Order
from protocols.pint.words import Action
from protocols.title.machine import Kind, State
from schemas.errors import TradeError
from tests.integration.pint.sending_network import (
    CARRIER,
    did_of,
    eventually,
    move,
    possessor,
    running,
    titled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def received(node: Node, entry: bytes) -> bool:
    row = await node.store.read(outgoing.require, entry)
    return row.state == outgoing.RECEIVED


async def test_what_was_only_kept_is_offered_and_sent_after_a_stop(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        await nhl.sending.stop()
        held = await nhl.title.require(title)
        order = Move(title, Action.TRANSFER, did_of("bank"))
        row = await nhl.store.write(prepare, nhl, held, order)
        assert row.state == outgoing.BUILDING
        assert (await nhl.title.require(title)).state.state is State.LIVE
        await nhl.sending.start()
        await eventually(lambda: received(nhl, row.entry))
        assert await possessor(nhl, title) == did_of("bank")

        # Offered and then stopped: no second offer, the same entry goes out.
        maas = nodes["nl-port"]
        await maas.sending.stop()
        order = Move(title, Action.TRANSFER, did_of("imp-b"))
        held = await maas.title.require(title, refresh=True)
        row = await maas.store.write(prepare, maas, held, order)
        offer = Order(Kind.OFFER, did_of("imp-b"), did_of("bank"), entry=row.entry)
        assert (await maas.title.operate(title, offer))["outcome"] == "final"
        await maas.sending.start()
        await eventually(lambda: received(maas, row.entry))
        shown = await maas.title.show(title)
        kinds = [item["kind"] for item in shown["history"]]
        assert kinds == ["ISSUE", "OFFER", "ACCEPT_OFFER", "OFFER", "ACCEPT_OFFER"]


async def test_an_entry_that_leaves_out_what_happened_since_is_never_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        title = await titled(nhl, endorsee=None, documentParties=_in_blank())
        await nhl.sending.stop()
        held = await nhl.title.require(title)
        order = Move(title, Action.TRANSFER, did_of("bank"))
        row = await nhl.store.write(prepare, nhl, held, order)
        endorsed = Order(Kind.ENDORSE_TO_ORDER, did_of("imp-a"), did_of("exp-a"))
        assert (await nhl.title.operate(title, endorsed))["outcome"] == "final"
        await nhl.sending.start()

        async def refused() -> bool:
            found = await nhl.store.read(outgoing.require, row.entry)
            return (found.state, found.code) == (outgoing.REFUSED, "title_seq_conflict")

        await eventually(refused)
        # Its chain goes on with everything, and the notice that nobody ordered went out by itself.
        assert (await move(nhl, title, Action.TRANSFER, "bank"))["outcome"] == "final"
        bill = await nodes["nl-port"].store.read(rows.bill_of_title, title)
        known = await nodes["nl-port"].store.read(rows.known_chain, bill.document)
        assert row.text not in known.texts


@pytest.mark.slow
async def test_of_two_transfers_in_one_moment_one_is_done(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        both = await asyncio.gather(
            move(nhl, title, Action.TRANSFER, "bank"),
            move(nhl, title, Action.TRANSFER, "imp-b"),
            return_exceptions=True,
        )
        lost = [one for one in both if isinstance(one, TradeError)]
        (done,) = [one for one in both if isinstance(one, dict)]
        assert [error.code for error in lost] == ["pint_transfer_active"]
        assert done["outcome"] == "final"
        assert await possessor(nhl, title) == done["to"]


async def test_possession_that_passed_outside_of_pint_cannot_be_sent_on(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl)
        passed = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        assert (await nhl.title.operate(title, passed))["outcome"] == "final"
        with pytest.raises(TradeError, match="pint_bill_unknown"):
            await move(maas, title, Action.TRANSFER, "imp-b")


def _in_blank() -> dict[str, object]:
    from tests.integration.pint.test_sending_kinds import parties

    return parties(endorsee=None)
