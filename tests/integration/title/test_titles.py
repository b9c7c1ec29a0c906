"""Titles over real nodes: the story's road, what is told to whom, and what bad requests get."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update

from ledger.registry_tables import mirrors
from node import fsck
from node.title import rows
from node.title.making import Order
from node.title.tables import bills, history, submissions, titles
from protocols.log import leaf
from protocols.log.entry_bundle import unbundle
from protocols.log.leaf import LeafKind
from protocols.log.merkle import leaf_hash
from protocols.title.machine import Bill, Kind, State
from protocols.title.proof import read_proof_json, verify_proof
from protocols.title.registry import arbiter_of
from schemas.errors import TradeError
from schemas.findings import Outcome
from tests.integration.title.title_network import (
    CARRIER,
    bill,
    did_of,
    eventually,
    operation,
    operator,
    running,
    titled,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Column, Connection

    from node.runtime import Node


async def possessor(node: Node, title: bytes) -> str | None:
    try:
        shown = await node.title.show(title)
    except TradeError:
        return None
    state: dict[str, Any] | None = shown["state"]
    if not shown["final"] or state is None or "possessor" not in state:
        return None
    return str(state["possessor"]["did"])


async def test_the_road_of_bill_a(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl)

        async def at(name: str, did: str, seq: int = 1) -> None:
            async def look() -> bool:
                held = await nodes[name].title.find(title)
                return held is not None and held.state.seq == seq

            await eventually(look)
            assert await possessor(nodes[name], title) == did

        # The endorsee's host is told of the issuance without asking.
        await at("nl-port", did_of("exp-a"))
        steps: tuple[tuple[Node, Order, str], ...] = (
            (nhl, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")), did_of("bank")),
            (rotterdam, Order(Kind.ENDORSE, did_of("imp-a"), did_of("bank")), did_of("bank")),
            (rotterdam, Order(Kind.TRANSFER, did_of("imp-a"), did_of("bank")), did_of("imp-a")),
            (
                rotterdam,
                Order(Kind.SURRENDER_FOR_DELIVERY, did_of(CARRIER), did_of("imp-a")),
                did_of(CARRIER),
            ),
            (nhl, Order(Kind.ACCEPT_SURRENDER), did_of(CARRIER)),
        )
        for seq, (node, order, holds) in enumerate(steps, start=2):
            answer = await node.title.operate(title, order)
            assert answer["outcome"] == "final"
            await at(CARRIER, holds, seq)
            await at("nl-port", holds, seq)
        shown = await rotterdam.title.show(title)
        assert shown["state"]["state"] == State.ACCEPTED
        assert [item["kind"] for item in shown["history"]] == [
            "ISSUE",
            "TRANSFER",
            "ENDORSE",
            "TRANSFER",
            "SURRENDER_FOR_DELIVERY",
            "ACCEPT_SURRENDER",
        ]
        await _proof_verifies(rotterdam, shown)
        await _events_and_leaves(nhl, title)
        await _an_auditor_walks_the_chain(nhl, rotterdam, title)
        ended = await nhl.title.operate(title, Order(Kind.END))
        assert ended["state"]["state"] == State.ENDED
        with pytest.raises(TradeError, match="title_ended"):
            await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))
        # What is damaged below and put back would else be what the news of the end changes.
        await eventually(lambda: _has_ended(rotterdam, title))
        await _fsck_proves_again_what_is_kept_of_a_title(rotterdam)
        await _fsck_misses_rows_of_a_title_and_reads_what_was_handed_in(nhl)
        await _fsck_holds_registry_and_mirrors_against_their_logs(nodes)


async def _has_ended(node: Node, title: bytes) -> bool:
    held = await node.title.find(title)
    return held is not None and held.state.state is State.ENDED


async def _an_auditor_walks_the_chain(node: Node, auditor: Node, title: bytes) -> None:
    """R18: from the newest leaf of the bill at `node` to the first; a leaf left out is seen."""
    from node.documents import documents

    document = bytes.fromhex((await node.title.show(title))["document"])
    subject = (await node.store.read(documents.require, document)).subject
    answer = await auditor.client.call(node.did, "GET", "/log/entries?limit=256")
    entries = unbundle(answer.body)
    of_bill = {leaf_hash(entry): entry for entry in entries if leaf.subject_of(entry) == subject}
    newest, seen = list(of_bill)[-1], LeafKind.TITLE_OPERATION_SEEN
    walked = leaf.chain(newest, of_bill.get)
    assert [one.kind for one in walked.leaves] == [seen] * 6 + [LeafKind.ISSUE]
    assert walked.missing is None
    left_out = list(of_bill)[2]
    del of_bill[left_out]
    assert leaf.chain(newest, of_bill.get).missing == left_out


async def _fsck_holds_registry_and_mirrors_against_their_logs(nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        report = await fsck.run(node.store, node.home, node.keys, node.clock)
        assert report.verdict is Outcome.PASSED, report.to_json()
    witness = nodes["nl-port"]
    await witness.store.write(_flip_the_cosigned_root)
    damaged = await fsck.run(witness.store, witness.home, witness.keys, witness.clock)
    failed = [check.id for check in damaged.checks if check.outcome is not Outcome.PASSED]
    assert failed == ["FSCK-11"]


async def _fsck_proves_again_what_is_kept_of_a_title(node: Node) -> None:
    """What customs is shown is damaged nowhere unseen, also where no registry is kept."""

    def changed(column: Column[Any], value: object) -> Callable[[Connection], object]:
        def change(conn: Connection) -> object:
            before = conn.execute(select(column).order_by(column).limit(1)).scalar_one()
            row = column == before
            conn.execute(update(column.table).where(row).values({column.name: value}))
            return before

        return change

    async def damages() -> list[str]:
        # These nodes are handed their member list and keep none, so fsck is handed it as well.
        members = node.members.current
        assert members is not None
        context = fsck.Context(node.home, node.keys, members, {members.digest: members})
        return (await node.store.read(fsck.examine, context, "FSCK-07")).damages

    text = "eyJhbGciOiJub25lIn0.e30."
    for column, value in (
        (titles.c.status, "LIVE"),
        (titles.c.seq, 1),
        (titles.c.state, "{}"),
        (titles.c.proof, "{}"),
        (titles.c.arbiter, b"x" * 32),
        (history.c.digest, b"x" * 32),
        (history.c.text, text),
        (bills.c.reference, "another"),
        (bills.c.document, b"x" * 32),
        (bills.c.issuance, text),
    ):
        before = await node.store.write(changed(column, value))
        assert await damages(), column
        await node.store.write(_put_back, column, value, before)
    assert await damages() == []


async def _fsck_misses_rows_of_a_title_and_reads_what_was_handed_in(node: Node) -> None:
    """The events tell what was final; an operation waits as it was signed, with its answer."""

    class UndoneError(Exception):
        pass

    async def damages(check: str, change: Any = None) -> list[str]:
        members = node.members.current
        assert members is not None
        context = fsck.Context(node.home, node.keys, members, {members.digest: members})
        found: list[list[str]] = []

        def examine(conn: Connection) -> None:
            if change is not None:
                assert conn.execute(change).rowcount
            found.append(fsck.examine(conn, context, check).damages)
            raise UndoneError

        with pytest.raises(UndoneError):
            await node.store.write(examine)
        return found[0]

    c = submissions.c
    for check, change in (
        ("FSCK-25", delete(titles)),
        ("FSCK-25", delete(history).where(history.c.seq == 2)),
        ("FSCK-25", delete(history).where(history.c.seq == 5)),
        ("FSCK-25", update(titles).values(seq=1)),
        ("FSCK-07", update(submissions).values(seq=7)),
        ("FSCK-07", update(submissions).values(kind="END")),
        ("FSCK-07", update(submissions).values(title=b"x" * 32)),
        ("FSCK-07", update(submissions).values(text="eyJhbGciOiJub25lIn0.e30.")),
        ("FSCK-07", update(submissions).where(c.status == "final").values(text=c.text + "A")),
        ("FSCK-07", update(submissions).where(c.refusal.is_(None)).values(status="refused")),
        ("FSCK-07", delete(history).where(history.c.seq == 5)),
    ):
        assert await damages(check, change), (check, str(change))
    assert not await damages("FSCK-07") + await damages("FSCK-24") + await damages("FSCK-25")


def _put_back(conn: Connection, column: Column[Any], value: object, before: object) -> None:
    changed = update(column.table).where(column == value)
    conn.execute(changed.values({column.name: before}))


def _flip_the_cosigned_root(conn: Connection) -> None:
    root = bytes(conn.execute(select(mirrors.c.root)).scalar_one())
    conn.execute(update(mirrors).values(root=bytes([root[0] ^ 1]) + root[1:]))


async def _proof_verifies(node: Node, shown: dict[str, Any]) -> None:
    members = node.members.current
    proof = read_proof_json(shown["proof"])
    arbiter = arbiter_of(members.registries[0])
    assert arbiter.id.hex() == shown["arbiter"]
    proven = verify_proof(proof, arbiter=arbiter, members=members)
    assert len(proven.log.witness_times) >= 3


async def _events_and_leaves(node: Node, title: bytes) -> None:
    from ledger import log
    from node.store import events

    told = [
        event
        for event in await node.store.read(events.after, 0, 1000)
        if event.detail.get("title") == title.hex()
    ]
    kinds = [event.kind for event in told if event.kind != "title-final"]
    assert kinds == [
        "title-issue",
        "title-transfer",
        "title-endorse",
        "title-transfer",
        "title-surrender-for-delivery",
        "title-accept-surrender",
    ]
    for event in told:
        assert event.document is not None
        if event.leaf is not None:
            assert await node.store.read(log.find, event.leaf) is not None


async def test_who_was_sent_the_bill_learns_who_holds_it(tmp_path: Path) -> None:
    from node.documents import documents

    async with running(tmp_path) as nodes:
        nhl, almaty = nodes[CARRIER], nodes["kz-rail"]
        title = await titled(nhl)
        document = (await nhl.title.show(title))["document"]
        now = nhl.clock.now_ms()
        await nhl.store.write(documents.add_recipient, bytes.fromhex(document), almaty.did, now)

        async def told() -> bool:
            return await almaty.store.read(rows.find, title) is not None

        await eventually(told)
        await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))

        async def moved() -> bool:
            return await possessor(almaty, title) == did_of("bank")

        await eventually(moved)


async def test_requests_are_read_strictly_and_refused_in_plain_words(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam = nodes[CARRIER], nodes["nl-port"]
        client = operator(nhl)
        document = (await bill(nhl)).hex()
        good = {"document": document, "holder": did_of("exp-a"), "endorsee": did_of("bank")}

        async def refused(path: str, body: dict[str, Any]) -> str:
            with pytest.raises(TradeError) as caught:
                await client.apost(path, body)
            return caught.value.code

        assert await refused("/v1/titles", good | {"document": "xy"}) == "title_request_malformed"
        assert await refused("/v1/titles", good | {"document": "00" * 32}) == "document_not_here"
        stranger = good | {"holder": "did:web:stranger.example"}
        assert await refused("/v1/titles", stranger) == "title_recipient_not_listed"
        issued = await client.apost("/v1/titles", good)
        assert await refused("/v1/titles", good) == "title_document_taken"
        path = f"/v1/titles/{issued['title']}/operations"
        assert await refused(path, {"kind": "STEAL"}) == "title_request_malformed"
        assert await refused(path, {"kind": "TRANSFER"}) == "title_request_malformed"
        transfer = {"kind": "TRANSFER", "to": did_of("bank")}
        # R20: the bank's key is in Rotterdam, not here.
        by_bank = transfer | {"by": did_of("bank"), "to": did_of("imp-a")}
        assert await refused(path, by_bank) == "title_key_not_held"
        unknown = f"/v1/titles/{'00' * 32}/operations"
        assert await refused(unknown, transfer) == "title_never_issued"
        # The possessor's host may ask for what the possessor has no right to: signed refusal.
        surrender = {"kind": "SURRENDER_FOR_DELIVERY"}
        with pytest.raises(TradeError) as caught:
            await client.apost(path, surrender)
        assert caught.value.code == "title_not_holder"
        assert caught.value.context["refusal"].count(".") == 2
        listed = await client.aget("/v1/titles", document=document)
        assert [item["title"] for item in listed["titles"]] == [issued["title"]]
        assert (await operator(rotterdam).aget("/v1/parties"))["parties"][0]["thumbprint"]


async def test_a_straight_bill_names_its_consignee_and_refuses_endorsement(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        document = (await bill(nhl, consignment="B")).hex()
        client = operator(nhl)
        body = {"document": document, "holder": did_of("exp-a")}
        with pytest.raises(TradeError, match="title_not_a_bill"):
            await client.apost("/v1/titles", body)
        issued = await client.apost("/v1/titles", body | {"endorsee": did_of("imp-a")})
        assert issued["state"]["bill"] == Bill.STRAIGHT
        path = f"/v1/titles/{issued['title']}/operations"
        with pytest.raises(TradeError, match="title_not_negotiable"):
            await client.apost(path, {"kind": "ENDORSE", "to": did_of("bank")})
        # "bank" is a trader here: its host has no such role. The arbiter would let it pass.
        for kind, to in (("TRANSFER", "bank"), ("OFFER", "financier-2")):
            with pytest.raises(TradeError, match="title_straight_stranger"):
                await client.apost(path, {"kind": kind, "to": did_of(to)})
        title = bytes.fromhex(issued["title"])
        await _to_no_stranger_by_signed_operations(nodes, title)
        await client.apost(path, {"kind": "TRANSFER", "to": did_of("imp-a")})
        assert await possessor(nhl, title) == did_of("imp-a")
        maas = nodes["nl-port"]
        await maas.title.require(title, refresh=True)
        back = {"kind": "TRANSFER", "by": did_of("imp-a"), "to": did_of("exp-a")}
        await operator(maas).apost(path, back)
        assert await possessor(maas, title) == did_of("exp-a")


async def _to_no_stranger_by_signed_operations(nodes: dict[str, Node], title: bytes) -> None:
    """Neither by the door of a node that never heard of the title, nor at the registry itself."""
    nhl, almaty = nodes[CARRIER], nodes["kz-rail"]
    state = (await nhl.title.require(title)).state
    path, answered = f"/v1/titles/{title.hex()}/operations", "title_straight_stranger"
    hour = datetime.now(UTC) + timedelta(hours=1)
    for kind, expires in ((Kind.TRANSFER, None), (Kind.OFFER, hour)):
        text = operation(nhl, state, kind, "exp-a", "financier-2", expires=expires)
        with pytest.raises(TradeError, match=answered):
            await operator(almaty).apost(path, {"operation": text})
        assert await almaty.store.read(rows.submissions_of, title) == []
        told = await nhl.registry.hand_in(text, 0)
        assert (told["outcome"], told["problem"]["code"]) == ("error", answered)
    assert await possessor(nhl, title) == did_of("exp-a")


async def test_a_relayed_operation_is_about_the_title_in_the_path(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        nhl, singapore = nodes[CARRIER], nodes["sg-port"]
        title = await titled(nhl)
        held = await nhl.title.require(title)
        text = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2")
        with pytest.raises(TradeError, match="title_request_malformed"):
            await operator(singapore).apost(
                f"/v1/titles/{'00' * 32}/operations", {"operation": text}
            )
        path = f"/v1/titles/{title.hex()}/operations"
        answer = await operator(singapore).apost(path, {"operation": text})
        assert answer["outcome"] == "final"
        again = await operator(singapore).apost(path, {"operation": text})
        assert again["outcome"] == "final"
        other = operation(
            nhl, replace(held.state), Kind.TRANSFER, "exp-a", "bank", network=bytes(32)
        )
        with pytest.raises(TradeError, match="title_other_network"):
            await operator(singapore).apost(path, {"operation": other})
