"""One document for many legs as a title: a 766 moves like a bill, nothing else of the way does."""

from __future__ import annotations

import base64
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from node.title import exit_file
from node.title.making import IssueOrder, Order
from protocols.title.machine import Ending, Kind, State
from schemas import registry
from schemas.errors import RefusedError
from tests.support.network import did_of, running_network

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

network = importlib.import_module("tests.integration.title.title_network")
UCR = "6CN91610132MA0DEMT00WC261120"
MASTER, NUMBER = "negotiable-multimodal-document", "SLR-NMD-2026-0077"


async def issue(node: Node, type_: str, **changes: Any) -> bytes:
    """Issue the type's example with those members; its digest."""
    body = json.loads(registry.example(type_)) | changes
    order = {"payload": base64.b64encode(json.dumps(body).encode()).decode(), "type": type_}
    issued = await network.operator(node).apost("/v1/documents", order)
    return bytes.fromhex(issued["digest"])


async def test_one_document_for_many_legs_carries_title_and_its_legs_never_do(
    tmp_path: Path,
) -> None:
    async with running_network(network.made(tmp_path)) as nodes:
        carrier, bank = nodes["nhl"], nodes["nl-port"]
        await _nothing_else_carries_title(carrier)
        master = await issue(carrier, MASTER)
        reference = {"type": MASTER, "number": NUMBER}
        for leg in ("road-leg-note", "rail-consignment-note"):
            note = await issue(carrier, leg, consignment=UCR, masterReference=reference)
            await refused(carrier, note, "title_document_not_negotiable")
        order = {"to": [did_of("nl-port")]}
        await network.operator(carrier).apost(f"/v1/documents/{master.hex()}/send", order)
        issued = await carrier.title.issue(IssueOrder(master, did_of("exp-a"), did_of("bank")))
        title = bytes.fromhex(issued["title"])
        await network.eventually(lambda: network.is_final(carrier, title))
        await _moves_and_ends(carrier, bank, title)
        await _is_proven(carrier, bank, master, title)


async def _moves_and_ends(carrier: Node, bank: Node, title: bytes) -> None:
    """Transfer, endorsement, surrender, delivery: as a bill of lading."""

    async def at(node: Node, seq: int) -> None:
        async def reached() -> bool:
            held = await node.title.find(title, refresh=True)
            return held is not None and held.state.seq >= seq

        await network.eventually(reached)

    await at(bank, 1)
    await carrier.title.operate(title, Order(Kind.TRANSFER, did_of("bank")))
    await at(bank, 2)
    await bank.title.operate(title, Order(Kind.ENDORSE, did_of("imp-a")))
    await at(bank, 3)
    await bank.title.operate(title, Order(Kind.TRANSFER, did_of("imp-a")))
    await at(bank, 4)
    await bank.title.operate(title, Order(Kind.SURRENDER_FOR_DELIVERY))
    await at(carrier, 5)
    await carrier.title.operate(title, Order(Kind.ACCEPT_SURRENDER))
    await at(carrier, 6)
    await carrier.title.operate(title, Order(Kind.END, ending=Ending.DELIVERED))
    await at(bank, 7)


async def _is_proven(carrier: Node, bank: Node, master: bytes, title: bytes) -> None:
    """The exit file, the report for counsel and the trace tell of it; the bank holds it linked."""

    async def linked() -> Any:
        return await bank.store.read(bank.title.of_document, master)

    held = await network.eventually(linked)
    assert (held.title, held.state.state) == (title, State.ENDED)
    data, report = await bank.exits.export(NUMBER)
    assert report.verdict.value == "PASSED", report.to_json("en")
    law = report.check("EXIT-06")
    assert law is not None
    assert law.evidence["legalBasis"] == "UN Convention on Negotiable Cargo Documents"
    assert (
        exit_file.read(data).document == json.dumps(json.loads(registry.example(MASTER))).encode()
    )
    asked = await network.operator(bank).aget("/v1/title-reliability", ref=NUMBER)
    answers = {line["answer"] for line in asked["lines"] if line["asks"]["en"]}
    assert asked["verdict"] == "PASSED"
    assert "not met" not in answers
    trace = await network.operator(carrier).aget(f"/v1/trace/consignments/{UCR}")
    (told,) = trace["titles"]
    assert [one["kind"] for one in told["operations"]][-1] == "END"


async def refused(node: Node, document: bytes, code: str, endorsee: str | None = "bank") -> None:
    with pytest.raises(RefusedError) as error:
        await node.title.issue(
            IssueOrder(document, did_of("exp-a"), did_of(endorsee) if endorsee else None)
        )
    assert error.value.code == code


async def _nothing_else_carries_title(carrier: Node) -> None:
    """A plain master, a waybill, a basis that is none, and a kind that does not fit the order."""
    plain = await issue(carrier, "master-transport-document")
    await refused(carrier, plain, "title_document_not_negotiable")
    waybill = await issue(carrier, "sea-waybill")
    await refused(carrier, waybill, "title_document_not_negotiable")
    custom = await issue(carrier, MASTER, number="NMD-2", legalBasis="custom of the trade")
    await refused(carrier, custom, "title_no_legal_basis")
    blank = await issue(carrier, MASTER, number="NMD-3", toOrder="BLANK")
    await refused(carrier, blank, "title_not_a_bill")
    await refused(carrier, await issue(carrier, MASTER, number="NMD-4"), "title_not_a_bill", None)
