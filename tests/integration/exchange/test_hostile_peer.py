"""A listed peer that misbehaves: refused with the right code, with no effect on anything else."""

from __future__ import annotations

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
from protocols.exchange import answer, control, manifest, receipt
from protocols.exchange.frames import Frame
from protocols.exchange.manifest import VOID
from protocols.exchange.receipt import ItemState
from schemas import strict_json
from tests.integration.exchange.hostile import Hostile, codes, has_applied
from tests.support.exchange_world import did, until, world


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
    await until(lambda: has_applied(b, 1))


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
    await until(lambda: has_applied(b, 2))
    assert codes(await m.hand_in(frames_[2])) == ["stored"]
    await until(lambda: has_applied(b, 6))
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
    await until(lambda: has_applied(b, 9))


async def test_r10_a_signed_void_closes_a_gap_and_the_voided_message_comes_too_late(nodes, m):
    one, two, three = m.chain([b"1", b"2", b"3"])
    voided = manifest.read(two.manifest)
    body = control.Void(voided.manifest.id, voided.digest, 2, "expired").to_bytes()
    prev = manifest.read(one.manifest).digest
    void = m.frame(body, type=VOID, stream="UCR-1", seq=2, prev=prev)
    assert codes(await m.hand_in(one, three)) == ["stored", "held"]
    assert codes(await m.hand_in(void)) == ["stored"]
    b = nodes["b"]
    await until(lambda: has_applied(b, 2))
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
        ({"issued_at": timedelta(hours=1), "expires": timedelta(days=1)}, "clock_skew"),
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
