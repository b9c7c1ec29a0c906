from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.digest import sha256
from protocols.log import leaf
from protocols.log.leaf import Leaf, LeafKind, Located, encode, gaps
from protocols.log.merkle import leaf_hash
from schemas.errors import MalformedError

digests = st.binary(min_size=32, max_size=32)
some_leaf = st.builds(
    Leaf,
    kind=st.sampled_from(LeafKind),
    subject=digests,
    commit=digests,
    prev=st.none() | digests,
    at_ms=st.integers(0, 2**53 - 1),
)


@given(some_leaf)
def test_leaves_survive_writing_and_reading(value: Leaf):
    entry = leaf.encode(value)
    assert leaf.decode(entry) == value
    assert len(entry) <= 512
    assert leaf.subject_of(entry) == value.subject
    assert leaf.subject_of(entry[:-1] if value.at_ms < 24 else b"") is None
    expected = ["tx1", int(value.kind), value.subject, value.commit, value.prev, value.at_ms]
    assert cbor2.dumps(expected, canonical=True) == entry


@given(st.binary(max_size=200))
def test_any_bytes_are_a_leaf_or_refused(data: bytes):
    with pytest.raises(MalformedError):
        leaf.decode(data)


@given(some_leaf, st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_gives_another_leaf_or_a_refusal(value: Leaf, place: int, change: int):
    data = bytearray(leaf.encode(value))
    data[place % len(data)] ^= change
    try:
        found = leaf.decode(bytes(data))
    except MalformedError:
        return
    assert found != value
    assert leaf.encode(found) == bytes(data)


A = bytes(32)


@pytest.mark.parametrize(
    "members",
    [
        ["tx2", 1, A, A, None, 1],
        ["tx1", 0, A, A, None, 1],
        ["tx1", 23, A, A, None, 1],
        ["tx1", 1, A[1:], A, None, 1],
        ["tx1", 1, A, A, A[1:], 1],
        ["tx1", 1, A, A, None, -1],
        ["tx1", 1, A, A, None, 2**53],
        ["tx1", 1, A, A, None, 1.0],
        ["tx1", 1, A, A, None],
        ["tx1", 1, A, A, None, 1, 1],
        {"tx1": 1},
    ],
)
def test_other_arrays_are_no_leaves(members: object):
    with pytest.raises(MalformedError) as caught:
        leaf.decode(cbor2.dumps(members, canonical=True))
    assert caught.value.code == "leaf_malformed"


def test_a_longer_encoding_of_the_same_leaf_is_refused():
    entry = leaf.encode(Leaf(LeafKind.ISSUE, A, A, None, 5))
    with pytest.raises(MalformedError):
        leaf.decode(entry[:-1] + b"\x18\x05")
    with pytest.raises(MalformedError):
        leaf.encode(Leaf(LeafKind.ISSUE, A[1:], A, None, 5))


def test_r18_subject_and_commitment_are_salted():
    one, two = sha256(b"1"), sha256(b"2")
    assert leaf.subject("bill-of-lading", "MSK1", one) != leaf.subject(
        "bill-of-lading", "MSK1", two
    )
    assert leaf.subject("a", "b", one) == sha256(b"a\x00b\x00" + one)
    assert leaf.commit(one, two) == sha256(one + two)
    for bad in (("a\x00", "b", one), ("a", "b\x00", one), ("a", "b", b"short")):
        with pytest.raises(ValueError, match="NUL"):
            leaf.subject(*bad)
    for salt, digest in ((b"", two), (one, b"")):
        with pytest.raises(ValueError, match="32 bytes"):
            leaf.commit(salt, digest)


def a_chain(count: int, subject: bytes = b"s" * 32) -> dict[bytes, bytes]:
    """Leaf hash → entry, oldest first."""
    made: dict[bytes, bytes] = {}
    prev = None
    for number in range(count):
        entry = leaf.encode(Leaf(LeafKind.STATUS, subject, bytes(32), prev, number))
        prev = leaf_hash(entry)
        made[prev] = entry
    return made


def test_r18_a_chain_is_walked_from_the_newest_leaf_to_the_first():
    made = a_chain(5)
    walked = leaf.chain(list(made)[-1], made.get)
    assert [one.at_ms for one in walked.leaves] == [4, 3, 2, 1, 0]
    assert walked.missing is None


@pytest.mark.parametrize("place", range(5))
def test_r18_a_leaf_left_out_of_a_chain_is_seen(place: int):
    made = a_chain(5)
    newest, gone = list(made)[-1], list(made)[place]
    del made[gone]
    walked = leaf.chain(newest, made.get)
    assert walked.missing == gone
    assert len(walked.leaves) == 4 - place


def test_an_entry_of_another_hash_or_subject_does_not_continue_a_chain():
    made, other = a_chain(3), a_chain(1, b"o" * 32)
    hashes = list(made)
    (stranger,) = other.values()
    assert leaf.chain(hashes[-1], {**made, hashes[0]: stranger}.get).missing == hashes[0]
    mixed = leaf.encode(Leaf(LeafKind.STATUS, b"s" * 32, bytes(32), leaf_hash(stranger), 1))
    walked = leaf.chain(leaf_hash(mixed), {leaf_hash(mixed): mixed, **other}.get)
    assert (len(walked.leaves), walked.missing) == (1, leaf_hash(stranger))


def test_a_chain_has_a_cap():
    made = a_chain(4)
    with pytest.raises(MalformedError, match="at most 3"):
        leaf.chain(list(made)[-1], made.get, limit=3)


def located(*leaves: Leaf) -> list[Located]:
    return [Located(7 * at, leaf_hash(encode(item)), item) for at, item in enumerate(leaves)]


def test_r18_all_leaves_of_a_subject_hang_together_or_something_was_left_out():
    whole, prev = [], None
    for at in range(4):
        whole.append(Leaf(LeafKind.STATUS, b"s" * 32, b"c" * 32, prev, at))
        prev = leaf_hash(encode(whole[-1]))
    assert gaps([]) == []
    assert gaps(located(*whole), [prev]) == []
    for place in range(3):
        left_out = located(*whole[:place], *whole[place + 1 :])
        faults = gaps(left_out)
        assert len(faults) == 1
        assert leaf_hash(encode(whole[place])).hex() in faults[0]
    # The newest has nobody after it that names it: a receipt does.
    assert gaps(located(*whole[:-1])) == []
    assert gaps(located(*whole[:-1]), [prev]) == [
        f"{prev.hex()} has a receipt and is not in the log"
    ]


def test_r18_a_second_beginning_shows_what_it_hides():
    first = Leaf(LeafKind.ISSUE, b"s" * 32, b"c" * 32, None, 1)
    again = Leaf(LeafKind.ISSUE, b"s" * 32, b"c" * 32, None, 2)
    (fault,) = gaps(located(first, again))
    assert "names no entry before it" in fault
