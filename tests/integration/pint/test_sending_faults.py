"""What a sending platform makes of a platform that answers wrongly, late or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from node.pint import outgoing, rows
from node.pint.beginning import Supporting
from protocols.pint import answers
from protocols.pint.answers import open_finished
from protocols.pint.words import Action, Response
from schemas.errors import TradeError
from tests.integration.pint.front import broken, front, lost, says, swallowed, unsigned
from tests.integration.pint.sending_network import (
    CARRIER,
    did_of,
    eventually,
    move,
    possessor,
    running,
    titled,
)
from tests.support import contract
from tests.support.clocks import Leaping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from tests.integration.pint.front import Front

NOTE = Supporting("packing list.txt", "text/plain", b"1890 cartons of ginger")


#: How long an offer lives, by a clock that leaps when it is to expire.
LIFETIME = 3600.0


@asynccontextmanager
async def behind(
    folder: Path, clock: Leaping | None = None, **pint: float
) -> AsyncIterator[tuple[dict[str, Node], Front]]:
    """The network with a hostile front before MDPX."""
    async with front() as before:
        fronts = {"nl-port": before.url}
        async with running(folder, clock, fronts=fronts, pint=pint) as nodes:
            before.node = nodes["nl-port"]
            yield nodes, before
            # Whatever a test is about, what was sent is as DCSA's file has it.
            assert before.bodies
            for body in before.bodies:
                assert contract.request_faults("POST", "/v3/envelopes", body) == []


async def decided(node: Node, entry: str) -> outgoing.Outgoing | None:
    row: outgoing.Outgoing = await node.store.read(outgoing.require, bytes.fromhex(entry))
    return None if row.active else row


async def stands(node: Node, title: bytes, state: str, code: str) -> dict[str, Any]:
    """The transfer to the bank as it is told, once it has that state for that reason."""

    async def look() -> dict[str, Any] | None:
        told = await move(node, title, Action.TRANSFER, "bank", wait=0.0)
        return told if (told["state"], told.get("code")) == (state, code) else None

    found: dict[str, Any] = await eventually(look)
    return found


async def test_r13_what_is_not_signed_decides_nothing_and_lost_answers_cost_only_time(
    tmp_path: Path,
) -> None:
    async with behind(tmp_path) as (nodes, maas):
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        stranger = nhl.keys.signer("platform")
        forged = says(lambda last: answers.received(last, ()), stranger)
        maas.faults.extend([broken, unsigned, forged, lost])
        sent = await move(nhl, title, Action.TRANSFER, "bank")
        # Four tries told nothing; the fifth is answered by what the fourth brought about.
        assert [place for _, place in maas.seen] == ["envelopes"] * 5
        assert len(set(maas.bodies)) == 1
        assert (sent["outcome"], sent["responseCode"]) == ("final", "DUPE")
        assert await possessor(nhl, title) == did_of("bank")
        again = await move(nhl, title, Action.TRANSFER, "bank")
        assert again["transfer"] == sent["transfer"]
        assert len(maas.bodies) == 5


async def test_documents_that_were_damaged_or_lost_on_the_way_go_again(tmp_path: Path) -> None:
    async with behind(tmp_path) as (nodes, maas):
        nhl, key = nodes[CARRIER], nodes["nl-port"].keys.signer("platform")
        title = await titled(nhl)
        damaged = says(lambda last: answers.rejected(last, Response.INCD, "another checksum"), key)
        maas.faults.extend([broken, maas.__class__.forward, damaged, swallowed])
        sent = await move(nhl, title, Action.TRANSFER, "bank", supporting=(NOTE,))
        assert (sent["outcome"], sent["responseCode"]) == ("final", "RECE")
        checksum = NOTE.metadata.checksum
        assert [place for _, place in maas.seen] == [
            "envelopes", "envelopes", checksum.hex(), checksum.hex(), "finish-transfer",
            checksum.hex(), "finish-transfer",
        ]  # fmt: skip
        bill = await nodes["nl-port"].store.read(rows.bill_of_title, title)
        held = await nodes["nl-port"].store.read(
            rows.document_content, bill.document, checksum, ("NHLX",)
        )
        assert held == NOTE.content


@pytest.mark.undecided
async def test_r20_after_a_signed_refusal_the_offer_ends_and_the_holder_is_told_why(
    tmp_path: Path,
) -> None:
    clock = Leaping()
    async with behind(tmp_path, clock, offer_lifetime=LIFETIME) as (nodes, maas):
        nhl, key = nodes[CARRIER], nodes["nl-port"].keys.signer("platform")
        title = await titled(nhl)
        no = says(lambda last: answers.rejected(last, Response.BENV, "no such account"), key)
        maas.faults.append(no)
        told = await stands(nhl, title, outgoing.CANCELLING, "pint_refused_signed")
        assert (told["outcome"], told["reason"]) == ("pending", "no such account")
        # While the offer binds the title nothing else is done with the bill.
        with pytest.raises(TradeError, match="pint_transfer_active"):
            await move(nhl, title, Action.TRANSFER, "financier-2")
        clock.leap(seconds=2 * LIFETIME)
        row = await eventually(lambda: decided(nhl, told["transfer"]))
        assert row.state == outgoing.REFUSED
        assert open_finished(row.answer)[1].response is Response.BENV
        assert await possessor(nhl, title) == did_of("exp-a")
        assert len(maas.bodies) == 1
        # Nothing is poisoned: the right one is taken, and the chain never had the refused entry.
        assert (await move(nhl, title, Action.TRANSFER, "bank"))["outcome"] == "final"
        bill = await nhl.store.read(rows.bill_of_title, title)
        known = await nhl.store.read(rows.known_chain, bill.document)
        assert len(known.texts) == 2
        assert row.text not in known.texts


@pytest.mark.slow
@pytest.mark.undecided
async def test_r21_a_receipt_that_the_arbiter_does_not_confirm_moves_no_bill(
    tmp_path: Path,
) -> None:
    clock = Leaping()
    async with behind(tmp_path, clock, offer_lifetime=LIFETIME) as (nodes, maas):
        nhl, key = nodes[CARRIER], nodes["nl-port"].keys.signer("platform")
        title = await titled(nhl)
        maas.faults.append(says(lambda last: answers.received(last, ()), key))
        told = await stands(nhl, title, outgoing.CONFIRMING, "pint_receipt_unconfirmed")
        assert told["outcome"] == "pending"
        clock.leap(seconds=2 * LIFETIME)
        row = await eventually(lambda: decided(nhl, told["transfer"]))
        assert (row.state, row.code) == (outgoing.CANCELLED, "pint_receipt_unconfirmed")
        assert open_finished(row.answer)[1].response is Response.RECE
        assert await possessor(nhl, title) == did_of("exp-a")


@pytest.mark.undecided
async def test_r20_an_offer_nobody_answers_is_cancelled_when_it_expires(tmp_path: Path) -> None:
    clock = Leaping()
    async with behind(tmp_path, clock, offer_lifetime=LIFETIME) as (nodes, maas):
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        maas.faults.extend([broken] * 10_000)
        told = await stands(nhl, title, outgoing.SENDING, "json_syntax")
        assert told["outcome"] == "pending"
        assert maas.bodies
        clock.leap(seconds=2 * LIFETIME)
        row = await eventually(lambda: decided(nhl, told["transfer"]))
        assert (row.state, row.code) == (outgoing.CANCELLED, "pint_offer_expired")
        assert row.answer is None
        assert await possessor(nhl, title) == did_of("exp-a")
