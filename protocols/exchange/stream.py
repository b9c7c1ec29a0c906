"""The rules of a stream: in order, held, duplicate, conflict, fork, too far ahead, void (R8, R10).

A stream is (sender, recipient, consignment), numbered by `seq` from 1 and chained by `prev`. The
rules are pure functions over a `StreamState`; the node loads that value under its lock, asks, and
writes down what it was told. A message is known by the SHA-256 of its manifest's payload (R2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from types import MappingProxyType

from protocols.exchange.problems import Problem


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may wait behind gaps (R10).

    count: messages of one stream; size: bytes of one sender in all streams;
    streams: streams of one sender with a gap; age: how long a gap may stay open and still grow
    """

    count: int = 1000
    size: int = 64 * 1024 * 1024
    streams: int = 256
    age: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One checked message asking for its place.

    digest: its identity; link: the digest that the next message's `prev` must name, which is the
    voided message's for a void and its own otherwise; size in bytes
    """

    seq: int
    prev: bytes | None
    digest: bytes
    link: bytes
    size: int = 0


@dataclass(frozen=True, slots=True)
class StreamState:
    """What one stream has: `last` and `head` of the unbroken part, and what is held beyond it.

    last:  the seq up to which nothing is missing, 0 at the start
    head:  the link of that message, None at the start
    held:  seq → what waits there
    since: when the open gap appeared
    """

    last: int = 0
    head: bytes | None = None
    held: Mapping[int, Arrival] = field(default_factory=lambda: MappingProxyType({}))
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PeerLoad:
    """What one sender has waiting in all its streams: bytes, and streams with a gap."""

    size: int = 0
    streams: int = 0


class Place(Enum):
    """Where an arrival goes."""

    NEXT = auto()
    HELD = auto()
    BEHIND = auto()


@dataclass(frozen=True, slots=True)
class Placement:
    """The ruling on one arrival.

    place:    NEXT or HELD: stored; BEHIND: its number is used, the store knows by what; or None
    problem:  why it is not stored
    state:    the stream afterwards
    released: held messages that are in order now, by seq, after the arrival itself
    """

    place: Place | None
    state: StreamState
    problem: Problem | None = None
    released: tuple[int, ...] = ()


def place(
    state: StreamState, arrival: Arrival, *, load: PeerLoad, caps: Caps, now: datetime
) -> Placement:
    """Rules on one arrival of a stream, in this order: used number, fork, gap and caps, in order.

    A number that is used by the same digest is a duplicate; the caller has found that out by the
    message's id before and passes only new messages.
    """
    if arrival.seq <= state.last:
        return Placement(Place.BEHIND, state)
    if (other := state.held.get(arrival.seq)) is not None:
        voided = other.link if other.link != other.digest else None
        return Placement(None, state, used_number(other.digest, voided, arrival))
    if not _fits(state, arrival):
        return Placement(None, state, Problem.FORK)
    if arrival.seq > state.last + 1:
        return _hold(state, arrival, load, caps, now)
    return _advance(state, arrival, now)


def _fits(state: StreamState, arrival: Arrival) -> bool:
    """Whether both neighbours, as far as they are here, are chained to the arrival."""
    if arrival.seq == state.last + 1:
        if arrival.prev != state.head:
            return False
    elif (before := state.held.get(arrival.seq - 1)) and before.link != arrival.prev:
        return False
    after = state.held.get(arrival.seq + 1)
    return after is None or after.prev == arrival.link


def _hold(
    state: StreamState, arrival: Arrival, load: PeerLoad, caps: Caps, now: datetime
) -> Placement:
    opens = not state.held
    if (
        len(state.held) >= caps.count
        or load.size + arrival.size > caps.size
        or (opens and load.streams >= caps.streams)
        or (state.since is not None and now - state.since > caps.age)
    ):
        return Placement(None, state, Problem.TOO_FAR_AHEAD)
    held = MappingProxyType({**state.held, arrival.seq: arrival})
    return Placement(Place.HELD, replace(state, held=held, since=state.since or now))


def _advance(state: StreamState, arrival: Arrival, now: datetime) -> Placement:
    held = dict(state.held)
    last, head = arrival.seq, arrival.link
    released: list[int] = []
    while (following := held.pop(last + 1, None)) is not None:
        last, head = following.seq, following.link
        released.append(last)
    since = (now if released else state.since) if held else None
    after = StreamState(last, head, MappingProxyType(held), since)
    return Placement(Place.NEXT, after, released=tuple(released))


def used_number(stored: bytes | None, voided: bytes | None, arrival: Arrival) -> Problem:
    """Why a new message whose number is used is refused.

    stored: digest of the message at that number; voided: the digest it voided, if it is a void.
    A void for a number that is filled closes nothing; a message that was voided comes too late;
    anything else is a second history.
    """
    if voided is not None and voided == arrival.digest:
        return Problem.VOIDED
    if arrival.link != arrival.digest and stored == arrival.link:
        return Problem.NOT_A_GAP
    return Problem.FORK


def missing(state: StreamState) -> tuple[tuple[int, int], ...]:
    """The gaps, as (first, last) numbers; what an operator or a pull asks for."""
    gaps: list[tuple[int, int]] = []
    expected = state.last + 1
    for seq in sorted(state.held):
        if seq > expected:
            gaps.append((expected, seq - 1))
        expected = seq + 1
    return tuple(gaps)
