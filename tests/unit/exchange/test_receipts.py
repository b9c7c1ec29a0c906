"""Receipts, their chain and paths, answers, and what a sender may conclude."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws
from protocols.digest import sha256
from protocols.exchange import answer, control, receipt, retry
from protocols.exchange.answer import Ends, Open, Sent, Settled, Unsigned
from protocols.exchange.problems import Problem
from protocols.exchange.receipt import BatchReceipt, ItemReceipt, ItemState, ReceiptItem
from protocols.exchange.retry import RetryPolicy
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support.made_network import NOW, A, B, listed, signer

NETWORK = sha256(b"network")
SIGNER = signer(f"{B}#exchange-1")
KEYS = {SIGNER.kid: listed(SIGNER.kid, "exchange")}
ENDS = Ends(NETWORK, B, A, KEYS.get)


def item(number, **changes):
    values = {
        "id": f"id-{number}",
        "digest": sha256(str(number).encode()),
        "state": ItemState.STORED,
        "leaf": sha256(b"leaf" + bytes([number])),
    }
    return ReceiptItem(**(values | changes))


REFUSED = {"state": ItemState.REJECTED, "code": "id_conflict", "leaf": None}


def batch(count, seq=1, prev=None, **changes):
    items = [item(number) for number in range(count)]
    tree = receipt.tree_of(one.to_bytes() for one in items)
    values = {
        "network": NETWORK,
        "receiver": B,
        "sender": A,
        "seq": seq,
        "prev": prev,
        "root": tree.root(),
        "count": count,
        "at": NOW,
        "members_version": 3,
        "members_digest": sha256(b"list"),
    }
    signed = receipt.sign(BatchReceipt(**(values | changes)), SIGNER)
    proofs = [
        ItemReceipt(signed.text, one, at, tree.inclusion_proof(at, count))
        for at, one in enumerate(items)
    ]
    return signed, proofs


def sent(count):
    return [Sent(item(number).id, item(number).digest) for number in range(count)]


@given(st.integers(1, 100))
def test_every_item_of_any_batch_has_a_path(count):
    signed, proofs = batch(count)
    assert receipt.read(signed.text) == signed
    for one in proofs:
        receipt.verify_item(signed, one.item, one.index, one.path)
        assert receipt.item_receipt_from_json(one.to_json()) == one
        assert len(one.path) <= receipt.MAX_PATH


@given(st.integers(1, 40), st.data())
def test_no_other_item_index_or_path_verifies(count, data):
    signed, proofs = batch(count)
    one = proofs[data.draw(st.integers(0, count - 1))]
    index = data.draw(st.integers(0, count).filter(lambda at: at != one.index))
    path = list(one.path)
    if path and data.draw(st.booleans()):
        path[data.draw(st.integers(0, len(path) - 1))] = bytes(32)
    else:
        path.append(bytes(32))
    for tried in (
        (item(99), one.index, one.path),
        (replace(one.item, state=ItemState.HELD), one.index, one.path),
        (one.item, index, one.path),
        (one.item, one.index, path),
    ):
        with pytest.raises(RefusedError, match="receipt_mismatch"):
            receipt.verify_item(signed, *tried)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": bytes(32)},
        {"receiver": A},
        {"sender": B},
        {"key": lambda kid: None},
        {"key": lambda kid: listed(f"{A}#exchange-1", "exchange")},
        {"key": lambda kid: listed(f"{B}#title-1", "title")},
        {"key": lambda kid: listed(kid, "exchange", valid_until=NOW)},
        {"key": lambda kid: listed(f"{B}#exchange-2", "exchange")},
    ],
)
def test_a_receipt_of_others_is_refused(changes):
    signed, _ = batch(2)
    context = {"network": NETWORK, "receiver": B, "sender": A, "key": KEYS.get}
    receipt.verify(signed, **context)
    with pytest.raises(RefusedError) as error:
        receipt.verify(signed, **(context | changes))
    assert error.value.code in {"receipt_mismatch", "bad_signature"}


def test_r9_the_chain_is_linear():
    first, _ = batch(1)
    second, _ = batch(2, 2, first.digest)
    third, _ = batch(3, 3, second.digest)
    receipt.verify_chain([first, second, third])
    receipt.verify_chain([])
    assert receipt.links(None, first)
    assert not receipt.links(None, second)
    for broken in ([first, third], [second, first], [first, replace(second, digest=b"")]):
        if len(broken) == 2 and broken[1] is not third and broken[0] is first:
            broken.append(third)
        with pytest.raises(RefusedError, match="receipt_chain_broken"):
            receipt.verify_chain(broken)
    elsewhere, _ = batch(2, 2, first.digest, sender="did:web:x.example")
    assert not receipt.links(first, elsewhere)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("members", None),
        ("members", {"version": 0, "digest": "00" * 32}),
        ("seq", 0),
        ("seq", True),
        ("seq", 2),
        ("prev", "00" * 32),
        ("count", 0),
        ("count", 101),
        ("rcv", ""),
        ("snd", None),
        ("root", "00"),
        ("at", "now"),
        ("network", None),
    ],
)
def test_a_receipt_with_a_wrong_member_is_malformed(name, value):
    signed, _ = batch(1)
    members = strict_json.loads_object(signed.receipt.payload()) | {name: value}
    text = jws.sign(strict_json.canonical(members), typ=receipt.TYP, signer=SIGNER)
    with pytest.raises(MalformedError):
        receipt.read(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 1},
        {"id": "x" * 65},
        {"state": "duplicate"},
        {"digest": "00"},
        {"leaf": None},
        {"code": "id_conflict"},
        {"more": 1},
        {"state": "rejected"},
        {"state": "rejected", "code": "id_conflict"},
    ],
)
def test_an_item_with_a_wrong_member_is_malformed(changes):
    with pytest.raises(MalformedError):
        receipt.item_from_json(item(1).to_json() | changes)


def test_r8_a_receipt_item_never_carries_an_outcome_that_may_pass():
    refused = item(1, **REFUSED)
    assert receipt.item_from_json(refused.to_json()) == refused
    assert not refused.accepted
    later = replace(refused, code="of_a_later_version")
    assert receipt.item_from_json(later.to_json()) == later
    for problem in Problem:
        members = replace(refused, code=problem.value).to_json()
        if problem.signable:
            receipt.item_from_json(members)
        else:
            with pytest.raises(MalformedError):
                receipt.item_from_json(members)


def test_wrong_proofs_are_malformed():
    _, (proof,) = batch(1)
    for changes in (
        {"receipt": 1},
        {"index": -1},
        {"path": None},
        {"path": ["00" * 32] * 8},
        {"path": ["0"]},
        {"item": None},
    ):
        with pytest.raises(MalformedError):
            receipt.item_receipt_from_json(proof.to_json() | changes)
    with pytest.raises(MalformedError):
        receipt.item_receipt_from_json([])


# --- answers --------------------------------------------------------------------------------------


def test_an_answer_reads_back_with_each_receipt_written_once():
    first, one = batch(3)
    _, two = batch(2, 2, first.digest)
    items = [
        one[2],
        two[0],
        answer.of_problem(Problem.UNKNOWN_KEY, "id-9"),
        one[0],
        answer.of_problem(Problem.MALFORMED),
    ]
    data = answer.write(items)
    assert answer.read(data) == tuple(items)
    assert len(strict_json.loads_object(data)["receipts"]) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{}",
        b'{"items":[],"receipts":0}',
        b'{"items":[0],"receipts":[]}',
        b'{"items":[{"receipt":0}],"receipts":[]}',
        b'{"items":[{"receipt":true}],"receipts":["x"]}',
        b'{"items":[{"receipt":"0"}],"receipts":["x"]}',
        b'{"items":[{"receipt":0}],"receipts":["x"]}',
        b'{"items":[{"code":1}],"receipts":[]}',
        b'{"items":[{"code":""}],"receipts":[]}',
        b'{"items":[' + b",".join([b'{"code":"x"}'] * 101) + b'],"receipts":[]}',
    ],
)
def test_a_wrong_answer_is_malformed(data):
    with pytest.raises(MalformedError):
        answer.read(data)


def test_only_a_verified_receipt_settles():
    signed, proofs = batch(2)
    settled = answer.settle(proofs, sent(2), ENDS)
    assert settled == tuple(
        Settled(one, signed, proof) for one, proof in zip(sent(2), proofs, strict=True)
    )


def test_r13_everything_else_leaves_the_outcome_open():
    _, proofs = batch(2)
    foreign = replace(ENDS, network=bytes(32))
    forged = replace(proofs[0], path=(bytes(32),))
    cases = [
        (proofs[:1], ENDS),
        (proofs[::-1], ENDS),
        (proofs, foreign),
        ([replace(one, receipt="a.b.c") for one in proofs], ENDS),
        ([forged, forged], ENDS),
        ([Unsigned("unknown_key", True), Unsigned("not_authorised", False)], ENDS),
    ]
    for items, ends in cases:
        outcomes = answer.settle(items, sent(2), ends)
        assert all(isinstance(one, Open) for one in outcomes)
    assert [one.code for one in outcomes] == ["unknown_key", "not_authorised"]
    assert not any(one.suspicious for one in outcomes)


# --- retry and control ----------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_stay_within_full_jitter(failures, random):
    policy = RetryPolicy()
    delay = policy.delay(failures, timedelta(0), random)
    assert timedelta(0) <= delay <= min(policy.cap, timedelta(seconds=2.0 ** min(failures - 1, 40)))
    late = policy.delay(failures, timedelta(days=2), random)
    assert timedelta(minutes=45) <= late <= timedelta(minutes=75)
    assert policy.delay(failures, timedelta(days=14), random) is None


def test_breaker_and_alarms():
    assert [retry.breaker_open(number) for number in (0, 2, 3, 9)] == [False, False, True, True]
    ages = (0, 14, 15, 239, 240, 1439, 1440)
    levels = [retry.alarm_level(timedelta(minutes=minutes)) for minutes in ages]
    assert levels == [0, 0, 1, 1, 2, 2, 3]


def test_control_bodies_read_back():
    void = control.Void("id", bytes(32), 7, "expired")
    assert control.read_void(void.to_bytes()) == void
    for feedback in (
        control.Feedback("id", bytes(32), "PASSED"),
        control.Feedback("id", bytes(32), "refused", "x", "why", bytes(32)),
    ):
        assert control.read_feedback(feedback.to_bytes()) == feedback
    conflict = control.Conflict("certificate-of-origin", "N-1", (bytes(32), b"1" * 32))
    assert control.read_conflict(conflict.to_bytes()) == conflict
    long = control.Feedback("id", bytes(32), "refused", "x", "w" * 900)
    assert len(control.read_feedback(long.to_bytes()).detail) == 500


@pytest.mark.parametrize(
    "changes", [{"seq": 0}, {"seq": True}, {"id": ""}, {"digest": 1}, {"reason": None}]
)
def test_a_wrong_void_is_malformed(changes):
    members = strict_json.loads_object(control.Void("id", bytes(32), 7, "x").to_bytes()) | changes
    with pytest.raises(MalformedError):
        control.read_void(strict_json.canonical(members))


@pytest.mark.parametrize(
    "changes",
    [
        {"documents": []},
        {"documents": "x"},
        {"documents": ["00" * 32] * 2},
        {"documents": ["00" * 32, "x"]},
        {"type": 1},
        {"number": ""},
    ],
)
def test_a_wrong_conflict_is_malformed(changes):
    right = control.Conflict("certificate-of-origin", "N-1", (bytes(32), b"1" * 32)).to_bytes()
    with pytest.raises(MalformedError):
        control.read_conflict(strict_json.canonical(strict_json.loads_object(right) | changes))


@given(st.binary(max_size=100))
def test_any_bytes_are_control_or_refused(data):
    readers = (control.read_void, control.read_feedback, control.read_conflict, answer.read)
    for read in readers:
        with pytest.raises(TradeError):
            read(data)
