"""Two real nodes over HTTP: messages arrive, in order, once, with receipts on both sides."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from sqlalchemy import select

from node.exchange.tables import evidence as evidence_table
from node.exchange.tables import peers, receipts_issued, receipts_received
from node.store import events
from protocols.exchange import receipt
from schemas.errors import RefusedError, UnavailableError
from tests.support.exchange_world import TYPE, applied, did, party, until, world


def drained(sender, receiver, total):
    async def check():
        queued = await sender.outbox(state="queued")
        return not queued and await receiver.count(applied) >= total

    return check


async def proofs_match(sender, receiver):
    """Every receipted row here has the same item in the other's inbox; chains have no hole."""
    sent = {row.id: row for row in await sender.outbox(state="receipted")}
    got = {row.id: row for row in await receiver.inbox(peer=sender.node.did)}
    assert sent.keys() == got.keys()
    for id_, row in sent.items():
        assert (row.item, row.receipt_seq, row.item_index, bytes(row.digest)) == (
            got[id_].item,
            got[id_].receipt_seq,
            got[id_].item_index,
            bytes(got[id_].digest),
        )
    held = await sender.node.store.read(
        lambda conn: (
            conn.execute(select(receipts_received.c.receipt).order_by(receipts_received.c.seq))
            .scalars()
            .all()
        )
    )
    issued = await receiver.node.store.read(
        lambda conn: (
            conn.execute(
                select(receipts_issued.c.receipt)
                .where(receipts_issued.c.peer == sender.node.did)
                .order_by(receipts_issued.c.seq)
            )
            .scalars()
            .all()
        )
    )
    assert held == issued
    chain = [receipt.read(text) for text in held]
    assert receipt.links(None, chain[0])
    receipt.verify_chain(chain)


async def test_messages_arrive_in_order_and_are_receipted(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        texts = [f"note {number}" for number in range(250)]
        await a.send(b, *texts)
        await until(drained(a, b, 250))
        assert await b.texts() == texts
        assert {row.state for row in await a.outbox()} == {"receipted"}
        await proofs_match(a, b)


async def test_both_directions_and_control_messages_at_once(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        for number in range(20):
            await a.send(b, f"a{number}", stream="UCR-1")
            await b.send(a, f"b{number}", stream="UCR-1")
            await a.send(b, f"c{number}", stream=None)
        await until(drained(a, b, 40))
        await until(drained(b, a, 20))
        assert await b.texts() == [f"a{number}" for number in range(20)]
        assert await a.texts() == [f"b{number}" for number in range(20)]
        assert sorted(await b.texts(None)) == sorted(f"c{number}" for number in range(20))
        await proofs_match(a, b)
        await proofs_match(b, a)


@pytest.mark.parametrize("fault", ["lost", "applied"])
async def test_r13_lost_calls_and_lost_answers_change_nothing(tmp_path, fault):
    async with world(tmp_path, "a", "b", settings={"exchange": FAST | {"batch_items": 7}}) as nodes:
        a, b = nodes["a"], nodes["b"]
        calls = count()
        a.transport.plan = lambda _: fault if next(calls) % 3 else ""
        for number in range(60):
            await a.send(b, f"{number}", stream=f"UCR-{number % 3}")
        await until(drained(a, b, 60))
        for lane in range(3):
            assert await b.texts(f"UCR-{lane}") == [str(n) for n in range(lane, 60, 3)]
        await proofs_match(a, b)
        assert await b.count(applied) == 60


FAST = {"retry_base": 0.01, "retry_cap": 0.05, "poll_interval": 0.1}


async def test_r9_a_duplicate_gets_its_receipt_byte_for_byte_however_batches_are_cut(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        a.transport.plan = lambda _: "lost"
        await a.send(b, *[f"{number}" for number in range(12)])
        await until(lambda: a.transport.calls)
        rows = await a.outbox()
        from protocols.exchange.frames import Frame

        all_frames = [Frame(row.manifest, bytes(row.body)) for row in rows]
        first = await b.exchange.receive(a.node.did, all_frames)
        for cut in (1, 3, 5, 12):
            again = []
            for at in range(0, 12, cut):
                again += await b.exchange.receive(a.node.did, all_frames[at : at + cut])
            assert again == first
        backwards = await b.exchange.receive(a.node.did, all_frames[::-1])
        assert backwards == first[::-1]
        twice = await b.exchange.receive(a.node.did, [all_frames[3], all_frames[3]])
        assert twice == [first[3], first[3]]
        assert await b.count(receipts_issued) == 1
        a.transport.plan = lambda _: ""
        await until(drained(a, b, 12))
        await proofs_match(a, b)


async def test_restart_resumes_what_was_queued_and_what_was_undelivered(tmp_path):
    async with world(tmp_path, "b", listed_only=("a",)) as nodes:
        b = nodes["b"]
        async with party(nodes.homes["a"], nodes.members) as a:
            a.transport.plan = lambda _: "lost"
            b.recorder.fail = lambda _: UnavailableError("no_handler", "not now")
            await a.send(b, "one", "two")
            await until(lambda: a.transport.calls)
        async with party(nodes.homes["a"], nodes.members) as a:
            await until(lambda: b.recorder.prepared)
            assert await b.texts() == []
            b.recorder.fail = lambda _: None
            await until(drained(a, b, 2))
            assert await b.texts() == ["one", "two"]


async def test_a_receiver_that_was_away_fetches_what_waited(tmp_path):
    slow = {"exchange": {"retry_base": 3600.0, "retry_cap": 86400.0, "poll_interval": 0.2}}
    async with world(tmp_path, "a", listed_only=("b",), settings=slow) as nodes:
        a = nodes["a"]
        async with party(nodes.homes["b"], nodes.members) as b:
            await a.send(b, "zero")
            await until(drained(a, b, 1))
        for number in range(5):
            await a.send(b, f"{number}")

        async def failed():
            row = await a.node.store.read(
                lambda conn: conn.execute(select(peers).where(peers.c.did == did("b"))).one()
            )
            return row.failures > 0

        await until(failed)
        async with party(nodes.homes["b"], nodes.members) as b:
            await until(drained(a, b, 6))
            assert await b.texts() == ["zero", "0", "1", "2", "3", "4"]
            await proofs_match(a, b)


async def test_pulling_by_order_of_the_operator_brings_messages_and_receipts(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        a.transport.plan = lambda _: "lost"
        await a.send(b, *[f"{number}" for number in range(130)])
        assert await b.exchange.pull(a.node.did) == 130
        await until(drained(a, b, 130))
        assert await b.texts() == [str(number) for number in range(130)]
        assert await b.exchange.pull(a.node.did) == 0
        await proofs_match(a, b)


async def test_a_lost_receipt_is_fetched_again_by_its_sender_alone(tmp_path):
    async with world(tmp_path, "a", "b", "c") as nodes:
        a, b, c = (nodes[name] for name in "abc")
        (id_,) = await a.send(b, "one")
        await until(drained(a, b, 1))
        path = f"/px/1/messages/{a.node.did}/{id_}/receipt"
        got = await a.node.client.call(b.node.did, "GET", path)
        row = (await a.outbox())[0]
        from schemas import strict_json

        proof = receipt.item_receipt_from_json(strict_json.loads(got.body))
        assert proof.item.to_bytes().decode() == row.item
        receipt.verify_item(receipt.read(proof.receipt), proof.item, proof.index, proof.path)
        assert (await c.node.client.call(b.node.did, "GET", path)).status == 404
        missing = path.replace(id_, id_[:-1] + ("0" if id_[-1] != "0" else "1"))
        assert (await a.node.client.call(b.node.did, "GET", missing)).status == 404


async def test_one_blocked_consignment_holds_up_no_other_and_no_control_message(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        blocked = UnavailableError("no_handler", "not yet")
        b.recorder.fail = lambda message: blocked if message.stream == "UCR-bad" else None
        await a.send(b, "1", "2", stream="UCR-bad")
        await a.send(b, "1", "2", "3", stream="UCR-good")
        await a.send(b, "now", stream=None)
        await until(drained(a, b, 4))
        assert await b.texts("UCR-good") == ["1", "2", "3"]
        assert await b.texts(None) == ["now"]
        assert await b.texts("UCR-bad") == []

        async def blocked_at_the_first():
            row = (await b.inbox(stream="UCR-bad"))[0]
            return (row.state, row.code) == ("ready", "no_handler")

        await until(blocked_at_the_first)
        b.recorder.fail = lambda _: None
        await until(drained(a, b, 6))
        assert await b.texts("UCR-bad") == ["1", "2"]


@pytest.mark.parametrize("where", ["fail", "fail_apply"])
async def test_a_refusal_is_stored_told_to_the_sender_and_the_stream_goes_on(tmp_path, where):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        refusal = RefusedError("unknown_type", "not that one")
        setattr(b.recorder, where, lambda message: refusal if message.body == b"bad" else None)
        _, bad, _ = await a.send(b, "good", "bad", "better")
        await until(drained(a, b, 2))
        assert await b.texts() == ["good", "better"]
        assert [row.state for row in await b.inbox()] == ["delivered", "refused", "delivered"]

        async def told():
            return (await a.outbox(id=bad))[0].decided == "refused"

        await until(told)
        assert (await a.outbox(id=bad))[0].decided_code == "unknown_type"
        kinds = await a.node.store.read(lambda conn: [one.kind for one in events.after(conn)])
        assert "decided" in kinds


async def test_a_handler_that_crashes_blocks_only_its_own_message(tmp_path):
    async with world(tmp_path, "a", "b", settings={"telemetry": {"log_level": "error"}}) as nodes:
        a, b = nodes["a"], nodes["b"]
        b.recorder.fail_apply = lambda message: KeyError() if message.body == b"bad" else None
        await a.send(b, "one", "bad", "two")
        await a.send(b, "other", stream="UCR-2")

        async def some():
            return await b.texts() == ["one"] and await b.texts("UCR-2") == ["other"]

        await until(some)
        b.recorder.fail_apply = lambda _: None
        await until(drained(a, b, 4))
        assert await b.texts() == ["one", "bad", "two"]


async def test_a_dead_peer_costs_others_nothing_and_its_breaker_probes_one_by_one(tmp_path):
    async with world(tmp_path, "a", "b", listed_only=("c",)) as nodes:
        a, b = nodes["a"], nodes["b"]

        class Dead:
            node = type("Node", (), {"did": did("c")})

        await a.send(Dead, *[str(number) for number in range(30)])
        await a.send(b, *[str(number) for number in range(30)])
        await until(lambda: _has(b, 30))

        async def opened():
            rows = await a.node.store.read(
                lambda conn: (
                    conn.execute(select(peers.c.failures).where(peers.c.did == did("c")))
                    .scalars()
                    .all()
                )
            )
            return rows and rows[0] >= 4

        await until(opened)
        from protocols.exchange.frames import decode

        sizes = [len(decode(body)) for _, body in a.transport.calls]
        assert sizes[-1] == 1
        assert Counter(row.state for row in await a.outbox(peer=did("c"))) == {"queued": 30}


async def _has(party_, total):
    return await party_.count(applied) == total


async def test_a_paused_peer_waits_on_both_sides_and_nothing_is_lost(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        await b.exchange.pause(a.node.did, paused=True)
        await a.send(b, "one")

        async def postponed():
            return (await a.outbox())[0].code == "peer_paused"

        await until(postponed)
        await b.exchange.pause(a.node.did, paused=False)
        await until(drained(a, b, 1))
        await a.exchange.pause(b.node.did, paused=True)
        await a.send(b, "two")
        calls = len(a.transport.calls)
        await a.node.clock.sleep(0.3)
        assert len(a.transport.calls) == calls
        await a.exchange.pause(b.node.did, paused=False)
        await until(drained(a, b, 2))


async def test_no_evidence_and_no_alarm_in_ordinary_traffic(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        await a.send(b, *[str(number) for number in range(30)])
        await until(drained(a, b, 30))
        for one in (a, b):
            assert await one.count(evidence_table) == 0
            kinds = await one.node.store.read(lambda conn: {e.kind for e in events.after(conn)})
            assert "alarm" not in kinds


async def test_messages_wait_for_a_service_that_registers_late(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        b.exchange.delivery._handlers.pop(TYPE)
        b.exchange.intake._handles = lambda _: True
        await a.send(b, "one", "two")
        await a.send(b, "three", stream=None)

        async def stored():
            return len(await b.inbox(state="ready")) == 3 and b.exchange.delivery._parked

        await until(stored)
        assert await b.count(applied) == 0
        b.exchange.on(TYPE, b.recorder)
        await until(drained(a, b, 3))
        assert await b.texts() == ["one", "two"]
