"""DISE opens a dispute: both chains side by side, evidence, the registry marked, and an end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.pint import dispute_rows, rows
from node.title.making import Order
from node.trust.founding import founding_file
from protocols.pint import dispute
from protocols.pint.chain import open_entry
from protocols.pint.envelope import envelope
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from protocols.title.machine import Kind
from schemas.errors import TradeError
from tests.integration.pint import sending_network as net
from tests.integration.pint.receiving_world import KEYRING, Sender, bill, moved, platform
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


def fork(document: dict[str, Any]) -> list[str]:
    """Another first entry by the same platform: to the bank instead of the buyer."""
    other = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=1)
    return w.chain_of(w.first(document, w.ISSUE, other, registry=None))


async def disputed(sender: Sender, document: dict[str, Any]) -> str:
    assert (await sender.post(w.pack(document, moved(document)))).word == "RECE"
    forked = w.pack(document, fork(document))
    for _ in range(2):
        assert (await sender.post(forked)).word == "DISE"
    (one,) = await sender.node.disputes.page("open")
    return str(one["id"])


async def test_a_contradicting_chain_opens_one_dispute_with_evidence_that_verifies_offline(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        name = await disputed(sender, document)
        shown = await sender.node.disputes.show(name)
        assert (shown["parted"], shown["signedBoth"], shown["registry"]) == (0, ["HOME"], None)
        (place,) = shown["places"]
        assert place["row"] == "different"
        assert place["ours"]["transactions"][1]["recipient"] == "imp-a"
        assert place["theirs"]["transactions"][1]["recipient"] == "bank"
        evidence = await sender.node.disputes.evidence(name)
        proves_offline(evidence.to_bytes())


def proves_offline(data: bytes) -> None:
    members = KEYRING[0].members
    proven = dispute.prove(dispute.read(data), members, KEYRING[0])
    assert (proven.parted, proven.signed_both) == (0, ("HOME",))
    told = orjson.loads(data)
    broken = [
        told | {"network": "00" * 32},
        told | {"eblID": "11" * 32},
        told | {"theirs": [w.resigned(told["theirs"][0], w.platform_key("FARR"))]},
        told | {"ours": [*told["ours"], *told["ours"]]},
        told | {"theirs": [w.forged(told["theirs"][0], lambda body: body.update(a=1))]},
    ]
    for one in broken:
        with pytest.raises(TradeError):
            dispute.prove(dispute.read(orjson.dumps(one)), members, KEYRING[0])


async def test_a_dispute_is_closed_once_and_ours_stays_or_theirs_may_come(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        name = await disputed(sender, document)
        await sender.node.disputes.resolve(name, "kept", "they sent an old draft")
        with pytest.raises(TradeError, match="ebl_dispute_closed"):
            await sender.node.disputes.resolve(name, "replaced", "no")
        # What was shown again is known, and ours still stands.
        assert (await sender.post(w.pack(document, fork(document)))).word == "DISE"
        assert (await sender.post(w.pack(document, moved(document)))).word == "DUPE"
        other = await disputed(sender, bill("TDR-2"))
        with pytest.raises(TradeError, match="ebl_dispute_not_marked"):
            await sender.node.disputes.mark(other)
        # No registry guards the bill: its platforms alone decide, and the envelope is checked anew.
        await sender.node.disputes.resolve(other, "replaced", "agreed by both")
        theirs = w.pack(bill("TDR-2"), fork(bill("TDR-2")))
        assert (await sender.post(theirs)).word == "RECE"
        assert (await sender.post(w.pack(bill("TDR-2"), moved(bill("TDR-2"))))).word == "DISE"


async def command(node: Node, *arguments: str) -> Any:
    whole = ["ebl", arguments[0], "--home", str(node.home.path), *arguments[1:], "--json"]
    if arguments[0] == "verify-dispute":
        whole = ["ebl", *arguments, "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, build(whole), whole)
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


async def forked_envelope(node: Node, document: bytes) -> bytes:
    """The sender's own chain with its last entry replaced by another that it signs as well."""
    held = await node.store.read(rows.bill, document)
    known = await node.store.read(rows.known_chain, document)
    assert held is not None
    assert known is not None
    body = orjson.loads(held.body)
    last = open_entry(known.texts[-1]).entry
    signer = node.keys.signer("platform")
    told: Transaction = replace(last.transactions[-1], comments="to somebody else")
    entry = replace(last, transactions=(*last.transactions[:-1], told))
    texts = [*known.texts[:-1], entry.sign(signer)]
    return envelope(body, texts, signer).to_bytes()


async def test_r19_a_marked_dispute_stops_a_title_at_its_arbiter_until_it_is_resolved(
    tmp_path: Path,
) -> None:
    async with net.running(tmp_path) as nodes:
        nhl, rotterdam = nodes["nhl"], nodes["nl-port"]
        title = await net.titled(nhl)
        sent = await net.move(nhl, title, Action.TRANSFER, "bank")
        assert sent["state"] == "received", sent
        held = await nhl.store.read(rows.bill_of_title, title)
        assert held is not None
        envelope = await forked_envelope(nhl, held.document)
        async with aiohttp.ClientSession() as session:
            url = f"{rotterdam.local_url}/v3/envelopes"
            headers = {"Content-Type": "application/json"}
            async with session.post(url, data=envelope, headers=headers) as answer:
                assert answer.status == 409
        (one,) = (await command(rotterdam, "disputes"))["disputes"]
        assert one["platform"] == "NHLX"
        # Opening a dispute stops nothing; marking it does.
        assert not nhl.tracking.is_disputed(title)
        marked = await command(rotterdam, "dispute", one["id"], "--mark")
        assert marked["record"]
        order = Order(Kind.TRANSFER, to=net.did_of("imp-a"), by=net.did_of("bank"))
        with pytest.raises(TradeError, match="tracking_disputed"):
            await rotterdam.title.operate(title, order)
        # What the arbiter has made final decides: theirs never was.
        with pytest.raises(TradeError, match="ebl_dispute_ours_stands"):
            await rotterdam.disputes.resolve(one["id"], "replaced", "no")
        file, trust = tmp_path / "dispute.json", tmp_path / "members.json"
        await command(rotterdam, "dispute", one["id"], "-o", str(file))
        trust.write_bytes(founding_file(rotterdam.home).read_bytes())
        proven = await command(rotterdam, "verify-dispute", str(file), "--trust", str(trust))
        assert (proven["signedBoth"], proven["recorded"]) == (["NHLX"], "ours")
        closed = await command(
            rotterdam, "resolve", one["id"], "--as", "kept", "--reason", "the arbiter says so"
        )
        assert closed["status"] == dispute_rows.KEPT
        await rotterdam.title.operate(title, order)
        assert await net.possessor(rotterdam, title) == net.did_of("imp-a")
