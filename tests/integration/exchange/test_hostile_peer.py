"""A listed peer that misbehaves: refused with the right code, with no effect on anything else."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import select

from node.exchange.tables import evidence as evidence_table
from node.exchange.tables import inbox
from node.keystore import KeyStore
from node.store import events
from protocols import jws
from protocols.exchange import answer, control, frames, manifest, receipt
from protocols.exchange.frames import Frame
from protocols.exchange.manifest import VOID, Manifest
from protocols.exchange.receipt import ItemState
from protocols.seams import Answer
from schemas import strict_json
from tests.support.exchange_world import TYPE, applied, did, until, world

NUMBERS = count(1)


class Hostile:
    """Signs whatever it likes with the listed exchange key of node `name`."""

    def __init__(self, nodes, name, victim):
        self.did, self.victim = did(name), victim
        self.network = nodes.members.network
        self.signer = KeyStore(nodes.homes[name].keys, self.did).signer("exchange")
        self.now = victim.node.clock.now()

    def made(self, body=b"x", **changes):
        values = {
            "network": self.network,
            "id": manifest.new_id(self.now, secrets.token_bytes(10)),
            "sender": self.did,
            "recipient": self.victim.node.did,
            "type": TYPE,
            "stream": None,
            "seq": None,
            "prev": None,
            "issued_at": self.now,
            "expires": self.now + timedelta(days=1),
            "body": manifest.body_of(body, "text/plain"),
        }
        return Manifest(**(values | changes))

    def frame(self, body=b"x", **changes):
        return Frame(manifest.sign(self.made(body, **changes), self.signer).text, body)

    def chain(self, bodies, stream="UCR-1"):
        prev, made = None, []
        for seq, body in enumerate(bodies, 1):
            signed = manifest.sign(self.made(body, stream=stream, seq=seq, prev=prev), self.signer)
            made.append(Frame(signed.text, body))
            prev = signed.digest
        return made

    async def hand_in(self, *batch):
        return await self.victim.exchange.receive(self.did, list(batch))


def codes(answers):
    return [
        one.code if isinstance(one, answer.Unsigned) else (one.item.code or one.item.state.value)
        for one in answers
    ]


@pytest.fixture
async def nodes(tmp_path):
    async with world(tmp_path, "b", listed_only=("m", "x")) as made:
        yield made


@pytest.fixture
def m(nodes):
    return Hostile(nodes, "m", nodes["b"])


async def test_r1_a_message_of_another_network_is_refused_in_a_signed_item(nodes, m):
    (one,) = await m.hand_in(m.frame(network=bytes(32)))
    assert (one.item.state, one.item.code) == (ItemState.REJECTED, "wrong_network")
    assert await nodes["b"].count(inbox) == 0


async def test_r12_a_message_for_somebody_else_is_refused(nodes, m):
    assert codes(await m.hand_in(m.frame(recipient=did("x")))) == ["wrong_recipient"]


async def test_r12_a_message_of_somebody_else_gets_no_receipt(nodes, m):
    x = Hostile(nodes, "x", nodes["b"])
    answers = await m.hand_in(x.frame())
    assert codes(answers) == ["wrong_sender"]
    assert isinstance(answers[0], answer.Unsigned)
    assert codes(await x.hand_in(x.frame())) == ["stored"]


async def test_r12_a_duplicate_handed_in_by_another_peer_shows_nothing(nodes, m):
    x = Hostile(nodes, "x", nodes["b"])
    frame = x.frame()
    await x.hand_in(frame)
    assert codes(await m.hand_in(frame)) == ["wrong_sender"]


async def test_r8_a_key_of_another_member_or_purpose_is_refused(nodes, m):
    x = Hostile(nodes, "x", nodes["b"])
    frame = Frame(manifest.sign(m.made(), x.signer).text, b"x")
    assert codes(await m.hand_in(frame)) == ["not_authorised"]


async def test_r8_an_unknown_key_is_retryable_and_consumes_nothing(nodes, m):
    store = KeyStore(nodes.homes["m"].keys, m.did)
    fresh = store.create("exchange")
    made = m.made(stream="UCR-1", seq=1)
    answers = await m.hand_in(Frame(manifest.sign(made, fresh).text, b"x"))
    assert codes(answers) == ["unknown_key"]
    assert answers[0].retryable
    # The same id and number are still free for a message that verifies.
    assert codes(await m.hand_in(Frame(manifest.sign(made, m.signer).text, b"x"))) == ["stored"]


async def test_r8_flipped_bits_never_store_anything(nodes, m):
    frame = m.frame(b"body of the document", stream="UCR-1", seq=1)
    head, payload, signature = frame.manifest.split(".")
    flipped = [
        Frame(f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}", frame.body),
        Frame(
            f"{head}.{payload[:40]}{'A' if payload[40] != 'A' else 'B'}{payload[41:]}.{signature}",
            frame.body,
        ),
        Frame(frame.manifest, b"Body of the document"),
        Frame(frame.manifest, frame.body[:-1]),
        Frame(frame.manifest[:-1], frame.body),
        Frame("x" + frame.manifest, frame.body),
    ]
    for one in flipped:
        (code,) = codes(await m.hand_in(one))
        assert code in {"bad_signature", "manifest_malformed", "digest_mismatch"}
    assert await nodes["b"].count(inbox) == 0
    assert codes(await m.hand_in(frame)) == ["stored"]


async def test_r3_algorithm_confusion_is_refused(nodes, m):
    _, payload, signature = m.frame().manifest.split(".")
    from protocols import base64url

    for alg in ("none", "HS256", "EdDSA", "RS256"):
        header = strict_json.canonical({"alg": alg, "kid": m.signer.kid, "typ": manifest.TYP})
        forged = f"{base64url.encode(header)}.{payload}.{signature}"
        (code,) = codes(await m.hand_in(Frame(forged, b"x")))
        assert code in {"bad_signature", "manifest_malformed"}


async def test_r1_a_receipt_is_never_taken_for_a_manifest(nodes, m):
    text = jws.sign(m.made().payload(), typ=receipt.TYP, signer=m.signer)
    assert codes(await m.hand_in(Frame(text, b"x"))) == ["manifest_malformed"]


async def test_r8_the_same_id_with_another_payload_is_refused_and_kept_as_evidence(nodes, m):
    first = m.made(b"one")
    second = replace(first, body=manifest.body_of(b"two", "text/plain"))
    (stored,) = await m.hand_in(Frame(manifest.sign(first, m.signer).text, b"one"))
    (refused,) = await m.hand_in(Frame(manifest.sign(second, m.signer).text, b"two"))
    assert stored.item.state is ItemState.STORED
    assert (refused.item.state, refused.item.code) == (ItemState.REJECTED, "id_conflict")
    b = nodes["b"]
    rows = await b.node.store.read(lambda conn: conn.execute(select(evidence_table)).all())
    assert [(row.peer, row.code) for row in rows] == [(m.did, "id_conflict")]
    again = await m.hand_in(Frame(manifest.sign(first, m.signer).text, b"one"))
    assert again == [stored]
    await until(lambda: _applied(b, 1))


async def _applied(party, total):
    return await party.count(applied) == total


async def test_two_payloads_under_one_id_in_one_batch_conflict(nodes, m):
    first = m.made(b"one")
    second = replace(first, body=manifest.body_of(b"two", "text/plain"))
    batch = [
        Frame(manifest.sign(first, m.signer).text, b"one"),
        Frame(manifest.sign(second, m.signer).text, b"two"),
    ]
    assert codes(await m.hand_in(*batch)) == ["stored", "id_conflict"]


async def test_a_fork_of_a_stream_is_refused_and_kept_as_evidence(nodes, m):
    one, two, three = m.chain([b"1", b"2", b"3"])
    assert codes(await m.hand_in(one, two)) == ["stored", "stored"]
    other = m.frame(b"2'", stream="UCR-1", seq=2, prev=manifest.read(one.manifest).digest)
    wrong_prev = m.frame(b"3'", stream="UCR-1", seq=3, prev=bytes(32))
    assert codes(await m.hand_in(other, wrong_prev)) == ["stream_fork", "stream_fork"]
    assert codes(await m.hand_in(three)) == ["stored"]
    b = nodes["b"]
    assert await b.count(evidence_table) == 2
    alarms = await b.node.store.read(
        lambda conn: [e.detail["code"] for e in events.after(conn) if e.kind == "alarm"]
    )
    assert alarms == ["stream_fork", "stream_fork"]


async def test_r10_gaps_are_held_and_released_in_order(nodes, m):
    frames_ = m.chain([str(number).encode() for number in range(6)])
    b = nodes["b"]
    assert codes(await m.hand_in(frames_[5], frames_[3])) == ["held", "held"]
    assert codes(await m.hand_in(frames_[4], frames_[1])) == ["held", "held"]
    held = await m.hand_in(frames_[5])
    assert held[0].item.state is ItemState.HELD
    assert codes(await m.hand_in(frames_[0])) == ["stored"]
    await until(lambda: _applied(b, 2))
    assert codes(await m.hand_in(frames_[2])) == ["stored"]
    await until(lambda: _applied(b, 6))
    assert await b.texts() == [str(number) for number in range(6)]
    # What was held once says so for ever (R9).
    assert await m.hand_in(frames_[5]) == held


async def test_r10_a_gap_grows_only_within_its_caps_and_beyond_there_is_no_receipt(nodes, m):
    from protocols.exchange.stream import Caps

    b = nodes["b"]
    b.exchange.intake._caps = Caps(count=3, size=10, streams=2)
    frames_ = m.chain([b"aa"] * 9)
    assert codes(await m.hand_in(*frames_[2:6])) == ["held", "held", "held", "too_far_ahead"]
    assert codes(await m.hand_in(frames_[8])) == ["too_far_ahead"]
    other = m.chain([b"aa", b"b" * 5, b"bb"], "UCR-2")
    assert codes(await m.hand_in(other[1])) == ["too_far_ahead"]
    assert codes(await m.hand_in(other[2])) == ["held"]
    third = m.chain([b"a", b"a"], "UCR-3")
    assert codes(await m.hand_in(third[1])) == ["too_far_ahead"]
    assert codes(await m.hand_in(*frames_[:2])) == ["stored", "stored"]
    assert codes(await m.hand_in(third[1])) == ["held"]
    assert codes(await m.hand_in(*frames_[5:])) == ["stored"] * 4
    await until(lambda: _applied(b, 9))


async def test_r10_a_signed_void_closes_a_gap_and_the_voided_message_comes_too_late(nodes, m):
    one, two, three = m.chain([b"1", b"2", b"3"])
    voided = manifest.read(two.manifest)
    body = control.Void(voided.manifest.id, voided.digest, 2, "expired").to_bytes()
    prev = manifest.read(one.manifest).digest
    void = m.frame(body, type=VOID, stream="UCR-1", seq=2, prev=prev)
    assert codes(await m.hand_in(one, three)) == ["stored", "held"]
    assert codes(await m.hand_in(void)) == ["stored"]
    b = nodes["b"]
    await until(lambda: _applied(b, 2))
    assert await b.texts() == ["1", "3"]
    assert codes(await m.hand_in(two)) == ["sequence_voided"]
    useless = control.Void(manifest.read(one.manifest).manifest.id, prev, 1, "expired").to_bytes()
    late = m.frame(useless, type=VOID, stream="UCR-1", seq=1)
    assert codes(await m.hand_in(late)) == ["not_a_gap"]
    assert await b.count(evidence_table) == 0


async def test_a_void_that_speaks_of_another_place_is_refused(nodes, m):
    body = control.Void("x", bytes(32), 2, "expired").to_bytes()
    frame = m.frame(body, type=VOID, stream="UCR-1", seq=1)
    assert codes(await m.hand_in(frame)) == ["digest_mismatch"]
    assert codes(await m.hand_in(m.frame(b"no json", type=VOID, stream="UCR-1", seq=1))) == [
        "digest_mismatch"
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "urn:pratique:nothing"}, "unknown_type"),
        ({"type": "urn:pratique:document:nothing"}, "unknown_type"),
        ({"expires": timedelta(seconds=-301)}, "message_expired"),
        ({"expires": timedelta(days=16)}, "message_expired"),
        ({"issued_at": timedelta(minutes=6), "expires": timedelta(days=1)}, "clock_skew"),
    ],
)
async def test_types_and_times_are_checked(nodes, m, changes, code):
    moved = {k: m.now + v if isinstance(v, timedelta) else v for k, v in changes.items()}
    if changes.get("expires", timedelta(1)) < timedelta(0):
        moved["issued_at"] = m.now - timedelta(days=1)
    assert codes(await m.hand_in(m.frame(**moved))) == [code]
    assert await nodes["b"].count(inbox) == 0


async def test_a_refusal_by_an_older_member_list_is_not_final(nodes, m):
    b = nodes["b"]
    frame = m.frame(type="urn:pratique:nothing")
    answers = await b.exchange.receive(m.did, [frame], behind=True)
    assert codes(answers) == ["members_behind"]
    assert answers[0].retryable


async def test_a_later_manifest_version_is_named_and_not_final(nodes, m):
    members = strict_json.loads_object(m.made().payload()) | {"v": 2}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=m.signer)
    (one,) = await m.hand_in(Frame(text, b"x"))
    assert codes([one]) == ["version_unsupported"]


async def test_one_bad_item_costs_its_neighbours_nothing(nodes, m):
    good, better = m.frame(b"good"), m.frame(b"better")
    bad = m.frame(b"bad", network=bytes(32))
    broken = Frame("no.jws.atall", b"?")
    assert codes(await m.hand_in(good, bad, broken, better)) == [
        "stored",
        "wrong_network",
        "manifest_malformed",
        "stored",
    ]


async def test_r8_when_the_store_refuses_one_item_the_others_are_stored(nodes, m, monkeypatch):
    from node.exchange import receiving
    from schemas.errors import TooLargeError

    original = receiving.remember_all

    def picky(conn, facts, now):
        if len(facts) != 1:
            raise TooLargeError("log_entry_too_large", "as a batch")
        if next(calls) == 1:
            raise TooLargeError("log_entry_too_large", "this one")
        return original(conn, facts, now)

    calls = count()
    monkeypatch.setattr(receiving, "remember_all", picky)
    answers = await m.hand_in(*m.chain([b"1"]), m.frame(b"2"), m.frame(b"3"))
    assert codes(answers) == ["stored", "internal", "stored"]
    assert answers[1].retryable
    assert await nodes["b"].count(inbox) == 2


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
async def pair(tmp_path):
    async with world(tmp_path, "a", "b") as made:
        yield made["a"], made["b"]


async def post(a, b, body, content_type=frames.MEDIA_TYPE):
    headers = {"Content-Type": content_type}
    return await a.node.client.call(b.node.did, "POST", "/px/1/messages", body, headers=headers)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "batch_malformed"),
        (b"\0\0\0\5abc", 400, "batch_malformed"),
        (b"\xff\xff\xff\xff", 413, "batch_too_large"),
        ((b"\0\0\0\1x" + b"\0\0\0\0") * 101, 413, "batch_too_large"),
        (
            b"\0\0\0\1x" + (9 * 1024 * 1024 - 1000).to_bytes(4, "big") + bytes(100),
            413,
            "batch_too_large",
        ),
        (b"\0\0\0\1\xff" + b"\0\0\0\0", 400, "batch_malformed"),
    ],
)
async def test_wrong_frames_are_a_problem_document(pair, body, status, code):
    got = await post(*pair, body)
    assert (got.status, strict_json.loads_object(got.body)["code"]) == (status, code)


async def test_a_body_beyond_every_cap_is_refused_before_it_is_read(pair):
    got = await post(*pair, bytes(10 * 1024 * 1024))
    assert got.status == 413


async def test_another_media_type_is_refused(pair):
    assert (await post(*pair, b"{}", "application/json")).status == 415


async def test_r12_an_unsigned_call_and_a_replayed_one_are_refused(pair):
    a, b = pair
    seen = []
    session = a.node.client._open()
    original = session._request

    async def spy(method, url, **more):
        seen.append((method, url, more))
        return await original(method, url, **more)

    session._request = spy
    await a.send(b, "one")
    await until(lambda: _applied(b, 1))
    _, url, more = next(one for one in seen if one[0] == "POST")
    async with session.post(url, data=more["data"], headers=more["headers"]) as got:
        assert got.status == 401
        assert (await got.json(content_type=None))["code"] == "nonce_replayed"
    async with session.post(url, data=more["data"]) as got:
        assert got.status in {400, 401}
    assert await b.count(inbox) == 1


# --- a receiver that lies -------------------------------------------------------------------------


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
    assert await b.texts() == ["one", "two"]


async def test_r9_two_receipts_for_one_place_are_evidence_and_settle_nothing(pair):
    a, b = pair
    await a.send(b, "one")

    async def settled():
        return not await a.outbox(state="queued")

    await until(settled)
    signer = b.node.keys.signer("exchange")

    def forked(got: Answer) -> Answer:
        items = answer.read(got.body)
        made = receipt.read(items[0].receipt)
        other = receipt.sign(replace(made.receipt, seq=1, prev=None), signer)
        return Answer(200, answer.write([replace(one, receipt=other.text) for one in items]))

    a.transport.change_answer = forked
    await a.send(b, "two")

    async def noticed():
        return await a.count(evidence_table) > 0

    await until(noticed)
    assert [row.state for row in await a.outbox()] == ["receipted", "queued"]
    a.transport.change_answer = lambda got: got
    await until(settled)


async def test_r9_a_receipt_that_does_not_follow_settles_nothing(pair):
    a, b = pair
    await a.send(b, "one")

    async def settled():
        return not await a.outbox(state="queued")

    await until(settled)
    signer = b.node.keys.signer("exchange")

    def broken(got: Answer) -> Answer:
        items = answer.read(got.body)
        made = receipt.read(items[0].receipt)
        other = receipt.sign(replace(made.receipt, prev=bytes(32)), signer)
        return Answer(200, answer.write([replace(one, receipt=other.text) for one in items]))

    a.transport.change_answer = broken
    await a.send(b, "two")

    async def noticed():
        return await a.count(evidence_table) > 0

    await until(noticed)
    rows = await a.outbox()
    assert (rows[1].state, rows[1].code) == ("queued", "receipt_chain_broken")
    a.transport.change_answer = lambda got: got
    await until(settled)


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

    async def settled():
        return not await a.outbox(state="queued")

    await until(settled)


async def test_feedback_on_what_was_never_sent_changes_nothing(pair):
    a, b = pair
    await a.send(b, "one")

    async def settled():
        return not await a.outbox(state="queued")

    await until(settled)
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


async def _refused(party):
    return len(await party.inbox(state="refused")) == 1
