"""Frames: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.exchange import frames
from protocols.exchange.frames import Frame
from schemas.errors import MalformedError, TooLargeError

ASCII = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=60)
FRAMES = st.lists(st.builds(Frame, ASCII, st.binary(max_size=200)), min_size=1, max_size=12)


def read(data):
    """The frames, or the code of the refusal."""
    try:
        return frames.decode(data)
    except (MalformedError, TooLargeError) as error:
        return error.code


@given(FRAMES)
def test_frames_read_back(made):
    assert frames.decode(frames.encode(made)) == tuple(made)


@given(FRAMES, st.data())
def test_a_cut_batch_is_malformed_or_its_own_beginning(made, data):
    whole = frames.encode(made)
    cut = data.draw(st.integers(0, len(whole) - 1))
    found = read(whole[:cut])
    assert found == "batch_malformed" or found == tuple(made[: len(found)])


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_refused(data):
    found = read(data)
    assert found in ("batch_malformed", "batch_too_large") or frames.encode(found) == data


def test_caps_hold_in_both_directions():
    one = Frame("m", b"")
    assert len(frames.decode(frames.encode([one] * 100))) == 100
    too_long = Frame("m" * (frames.MAX_MANIFEST_BYTES + 1), b"")
    half = Frame("m", bytes(frames.MAX_BODIES_BYTES // 2 + 1))
    for made in ([one] * 101, [too_long], [half, half]):
        with pytest.raises(TooLargeError):
            frames.encode(made)
    raw = b"\0\0\0\1m" + len(half.body).to_bytes(4, "big") + half.body
    for data in (b"\0\0\0\1m\0\0\0\0" * 101, raw * 2, bytes(frames.MAX_BATCH_BYTES + 1)):
        with pytest.raises(TooLargeError):
            frames.decode(data)


def test_lengths_are_not_taken_on_trust():
    for data in (b"\xff\xff\xff\xff", b"\0\0\0\1m\xff\xff\xff\xff"):
        with pytest.raises(TooLargeError):
            frames.decode(data)


def test_empty_and_non_ascii_are_malformed():
    for data in (b"", b"\0\0\0\1\xff\0\0\0\0", b"\0\0\0\1m", b"\0\0"):
        with pytest.raises(MalformedError):
            frames.decode(data)
