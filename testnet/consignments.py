"""The three consignments of the story as lanes: who issues what to whom, in which order."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from testnet import balances, bills, declarations, faults, origin
from testnet.world import did

if TYPE_CHECKING:
    from testnet.faults import Injected
    from testnet.run import Run
    from testnet.stage import Issued, Stage

STEPS: Final = {"A": 25, "B": 19, "C": 15}
ORIGIN: Final = "preferential-certificate-of-origin"
NOT_NEGOTIABLE: Final = "title_not_negotiable"


async def play_a(run: Run) -> None:
    """A: sea, title to order of a bank, plant health, four faults."""
    stage = run.stage
    phyto, bill, origin_of_a = await _papers_of_a(run)
    await bills.issue(stage, "A", bill, holder="exp-a")
    await faults.double_transfer(run, bill)
    await bills.move(stage, "A", "nl-port", "ENDORSE", by="bank", to="imp-a")
    await bills.move(stage, "A", "nl-port", "TRANSFER", by="bank", to="imp-a")
    arrival = await stage.issue("A", "arrival-notice", ["nl-port", "nl-customs"])
    container = stage.consignment("A")["containers"][0]
    await stage.release_is("A", "nl-port", container, "HOLD")
    await bills.move(stage, "A", "nl-port", "SURRENDER_FOR_DELIVERY", by="imp-a")
    await bills.accept_surrender(stage, "A", "nhl", bill.number)
    await stage.arrived(arrival, ["nl-port"])
    digests = {item.number: item.digest for item in (phyto, origin_of_a)}
    plant = await stage.issue("A", "plant-health-decision", ["nl-port"], digests=digests)
    await stage.arrived(plant, ["nl-port"])
    await faults.over_use(run, origin_of_a)
    customs = await stage.issue("A", "customs-decision", ["nl-port"], digests=digests)
    delivery = await stage.issue(
        "A", "delivery-order", ["nl-port"], digests={bill.number: bill.digest}
    )
    await asyncio.gather(stage.arrived(customs, ["nl-port"]), stage.arrived(delivery, ["nl-port"]))
    await stage.release_is("A", "nl-port", container, "RELEASE")
    await faults.phyto_revoked(run, phyto, container)
    await stage.sign_release("A", "nl-port", container)


async def _papers_of_a(run: Run) -> tuple[Issued, Issued, Issued]:
    stage = run.stage
    nl = ["nl-customs", "nl-port"]
    aeo = await stage.issue("A", "aeo-status", nl)
    invoice = await stage.issue("A", "commercial-invoice", ["nl-customs"])
    packing = await faults.altered(run)
    certificate = await stage.issue("A", "certificate-of-origin", nl)
    phyto = await stage.issue("A", "phytosanitary-certificate", [*nl, "sg-port"])
    quality = await stage.issue("A", "quality-certificate", nl)
    bill = await stage.issue("A", "bill-of-lading", ["nl-port", "sg-port", "nl-customs"])
    await asyncio.gather(
        *(stage.arrived(item, nl) for item in (aeo, certificate, phyto, quality)),
        *(stage.arrived(item, ["nl-customs"]) for item in (invoice, packing)),
        stage.arrived(bill, ["nl-port", "sg-port"]),
    )
    return phyto, bill, certificate


async def play_b(run: Run) -> None:
    """B: sea, preferential origin on two foreign inputs, a straight bill titled on a chain."""
    stage = run.stage
    sg = ["sg-customs", "sg-port"]
    inputs = await asyncio.gather(
        *(stage.issue("B", key, ["cn-cert", "sg-customs"]) for key in ("coo-kr", "coo-vn"))
    )
    await asyncio.gather(*(stage.arrived(item, ["cn-cert", "sg-customs"]) for item in inputs))
    evaluation = await origin.evaluated(run, inputs)
    # The certificate stands on these very credentials, so whoever holds it hears when one falls.
    named = {item.number: item.digest for item in inputs}
    papers = [
        await stage.issue("B", key, sg, inputs=named)
        for key in (
            "commercial-invoice",
            "packing-list",
            "aeo-status",
            "coo-rcep",
            "dangerous-goods-declaration",
        )
    ]
    bill = await stage.issue("B", "bill-of-lading", sg)
    await asyncio.gather(*(stage.arrived(item, sg) for item in (*papers, bill)))
    await stage.issue_title("B", bill, holder="exp-b", endorsee="imp-b", arbiter="evm")
    await stage.operate("B", "cn-port", "TRANSFER", by="exp-b", to="imp-b")
    await _is_straight(stage)
    await stage.operate("B", "sg-port", "SURRENDER_FOR_DELIVERY", by="imp-b")
    await stage.operate("B", "nhl", "ACCEPT_SURRENDER", by="nhl")
    digests = {item.number: item.digest for item in (*papers, bill)}
    customs = await stage.issue("B", "customs-decision", ["sg-port"], digests=digests)
    delivery = await stage.issue("B", "delivery-order", ["sg-port"], digests=digests)
    await asyncio.gather(stage.arrived(customs, ["sg-port"]), stage.arrived(delivery, ["sg-port"]))
    certificate = next(item for item in papers if item.type == ORIGIN)
    # Nobody waits for the other: the goods leave the port, a part of them is certified onward.
    await asyncio.gather(_released(stage, "B", "sg-port"), balances.drawn_onward(run, certificate))
    await stage.arrived(evaluation, ["sg-customs"])
    await faults.basis_lost(run, evaluation, inputs[0])


async def _is_straight(stage: Stage) -> None:
    """Its consignee has the bill, and still cannot endorse it to somebody else."""
    title = stage.titles["B"]
    await stage.heard("sg-port", title, "ENDORSE")
    endorse = {"kind": "ENDORSE", "by": did("imp-b"), "to": did("financier-2")}
    code = await stage.refused_in_time("sg-port", title, endorse)
    held = code == NOT_NEGOTIABLE
    stage.expectations.expect("B is straight: its endorsement is refused", held, code)
    stage.screen.say("refused", actor="sg-port", what="ENDORSE of B", code=code)


async def play_c(run: Run) -> None:
    """C: rail, one master document; the receiving node is off while its documents arrive."""
    stage = run.stage
    await faults.node_off(run)
    note = next(item for item in stage.issued if item.type == "rail-consignment-note")
    digests = {item.number: item.digest for item in stage.issued}
    await stage.issue("C", "handover-note", ["cn-rail"], digests=digests)
    await stage.issue("C", "customs-decision", [], digests=digests)
    await stage.arrived(note, ["kz-rail"])
    await _one_document(stage)
    await declarations.from_one_data_set(run)
    await _released(stage, "C", "kz-rail")
    await faults.two_heads(run)


async def _one_document(stage: Stage) -> None:
    """One master for all legs; the notes of the legs name it and carry no title of their own."""
    papers = {item.type: item for item in stage.issued if item.consignment == "C"}
    master = papers["master-transport-document"]
    for kind in ("master-transport-document", "road-leg-note", "rail-consignment-note"):
        payload = await stage.payload("kz-rail", papers[kind])
        named = payload.get("masterReference", {"number": payload["number"]})["number"]
        told = (payload["negotiable"], named)
        stage.expectations.expect(
            f"C: the {kind} is non-negotiable and under the master",
            told == (False, master.number),
            told,
        )
        order = {"document": papers[kind].digest, "holder": did("exp-c")}
        carrier = stage.operators["cn-rail"]
        await stage.refused(
            f"a title for the {kind}", "cn-rail", partial(carrier.post, "/v1/titles", order)
        )


async def _released(stage: Stage, consignment: str, actor: str) -> None:
    for container in stage.consignment(consignment)["containers"]:
        await stage.release_is(consignment, actor, container, "RELEASE")
        await stage.sign_release(consignment, actor, container)


LANES: Final = {"A": play_a, "B": play_b, "C": play_c}


def injected(run: Run) -> list[Injected]:
    """The faults in the order of the story."""
    order = [fault["id"] for fault in run.stage.world.story["faults"]]
    return sorted(run.faults.values(), key=lambda fault: order.index(fault.id))
