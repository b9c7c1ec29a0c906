"""A receiver that lies: what it answers settles nothing, and contradictions are evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.exchange.tables import evidence as evidence_table
from protocols.exchange import answer, control, manifest, receipt
from protocols.seams import Answer
from schemas import strict_json
from tests.support.exchange_world import until


def lying(change):
    """Changes the JSON of the answers to batches."""

    def altered(got: Answer) -> Answer:
        members = strict_json.loads_object(got.body)
        change(members)
        return Answer(got.status, strict_json.canonical(members), got.headers)

    return altered


def another_id(members):
    members["items"][0]["item"]["id"] = "01890000-0000-7000-8000-000000000000"


def another_digest(members):
    members["items"][0]["item"]["digest"] = "00" * 32


def forged_path(members):
    members["items"][0]["path"] = ["00" * 32]


def wrong_index(members):
    members["items"][0]["index"] = 1


def swapped(members):
    if len(members["items"]) == 1:
        another_id(members)
    members["items"].reverse()


def one_less(members):
    members["items"].pop()


def flipped_receipt(members):
    text = members["receipts"][0]
    members["receipts"][0] = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]


def promoted(members):
    members["items"][0]["item"]["state"] = "held"


def refused_unsigned(members):
    members["items"] = [{"code": "not_authorised", "retry": False} for _ in members["items"]]


@pytest.mark.parametrize(
    "change",
    [
        another_id,
        another_digest,
        forged_path,
        wrong_index,
        swapped,
        one_less,
        flipped_receipt,
        promoted,
        refused_unsigned,
    ],
    ids=lambda change: change.__name__,
)
async def test_r13_an_answer_that_proves_nothing_settles_nothing(pair, change):
    a, b = pair
    a.transport.change_answer = lying(change)
    await a.send(b, "one", "two")

    async def tried():
        rows = await a.outbox()
        return rows[0].attempts >= 2

    await until(tried)
    first = (await a.outbox())[0]
    assert first.state == "queued"
    assert first.code is not None
    a.transport.change_answer = lambda got: got

    async def settled():
        return {row.state for row in await a.outbox()} == {"receipted"}

    await until(settled)

    async def applied():  # what is receipted is stored, and reaches its handler a moment later
        return await b.texts() == ["one", "two"]

    await until(applied)


async def test_r9_two_receipts_for_one_place_are_evidence_and_settle_nothing(pair):
    a, b = pair
    await a.send(b, "one")
    await until(lambda: _settled(a))
    signer = b.node.keys.signer("exchange")

    def forked(got: Answer) -> Answer:
        items = answer.read(got.body)
        made = receipt.read(items[0].receipt)
        other = receipt.sign(replace(made.receipt, seq=1, prev=None), signer)
        return Answer(200, answer.write([replace(one, receipt=other.text) for one in items]))

    a.transport.change_answer = forked
    await a.send(b, "two")
    await until(lambda: _noticed(a))
    assert [row.state for row in await a.outbox()] == ["receipted", "queued"]
    a.transport.change_answer = lambda got: got
    await until(lambda: _settled(a))


async def test_r9_a_receipt_that_does_not_follow_settles_nothing(pair):
    a, b = pair
    await a.send(b, "one")
    await until(lambda: _settled(a))
    signer = b.node.keys.signer("exchange")

    def broken(got: Answer) -> Answer:
        items = answer.read(got.body)
        made = receipt.read(items[0].receipt)
        other = receipt.sign(replace(made.receipt, prev=bytes(32)), signer)
        return Answer(200, answer.write([replace(one, receipt=other.text) for one in items]))

    a.transport.change_answer = broken
    await a.send(b, "two")
    await until(lambda: _noticed(a))
    rows = await a.outbox()
    assert (rows[1].state, rows[1].code) == ("queued", "receipt_chain_broken")
    a.transport.change_answer = lambda got: got
    await until(lambda: _settled(a))


@pytest.mark.parametrize(
    "reply",
    [
        Answer(500, b""),
        Answer(200, b"no json"),
        Answer(200, b"{}"),
        Answer(401, b"{}"),
        Answer(413, b"{}"),
        Answer(422, b"{}"),
        Answer(204),
        Answer(200, b'{"items":[{"receipt":0}],"receipts":[]}'),
        Answer(200, b'{"items":[1],"receipts":[]}'),
    ],
)
async def test_r13_nonsense_answers_are_retried(pair, reply):
    a, b = pair
    a.transport.change_answer = lambda _: reply
    await a.send(b, "one")
    await until(lambda: len(a.transport.calls) >= 3)
    assert [row.state for row in await a.outbox()] == ["queued"]
    a.transport.change_answer = lambda got: got
    await until(lambda: _settled(a))


async def test_feedback_on_what_was_never_sent_changes_nothing(pair):
    a, b = pair
    await a.send(b, "one")
    await until(lambda: _settled(a))
    row = (await a.outbox())[0]
    lies = [
        control.Feedback(row.id, bytes(32), "refused", "unknown_type"),
        control.Feedback("01890000-0000-7000-8000-000000000000", bytes(row.digest), "refused"),
    ]

    def job(conn):
        for lie in lies:
            b.exchange.enqueue(
                conn, a.node.did, manifest.DECIDED, lie.to_bytes(), control.MEDIA_TYPE, None
            )
        b.exchange.enqueue(conn, a.node.did, manifest.DECIDED, b"[]", "application/json", None)

    await b.node.store.write(job)

    async def taken():
        return len(await a.inbox(state="delivered")) == 2 and len(await a.inbox()) == 3

    await until(taken)
    await until(lambda: _refused(a))
    assert (await a.outbox())[0].decided is None
    # A refusal of feedback is never answered, or two nodes would talk for ever.
    assert len(await a.outbox()) == 1


async def _settled(party):
    return not await party.outbox(state="queued")


async def _noticed(party):
    return await party.count(evidence_table) > 0


async def _refused(party):
    return len(await party.inbox(state="refused")) == 1
