"""What a bill's records come to: which platform holds it, and what may be recorded next.

PINT 3.0.0 leaves the rules of the control tracking registry to its unpublished API. These follow
from its one purpose, that no two platforms both hold a bill: possession leaves a platform by its
own intent and the acceptance of the one receiver named there, or comes back by the word of whoever
would have to give it up. SURRENDERED is the end. While a dispute is open nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from protocols.pint.reading import in_hex
from protocols.pint.tracking import RecordAction, open_platform_record
from schemas.errors import ConflictError, ForbiddenError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.pint.tracking import PlatformRecord, RegistryRecord

MAX_RECORDS = 1000
"""Records of one bill."""
OPENING = frozenset({RecordAction.INTEND, RecordAction.SURRENDERED})
_RETRACTABLE = frozenset({RecordAction.INTEND, RecordAction.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Intent:
    """A transfer that waits for its receiver: the record, to whom, of which chain entry."""

    record: bytes
    receiver: str
    last: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """Who holds the bill. last: checksum of the newest chain entry that both sides recorded."""

    holder: str
    intent: Intent | None = None
    last: bytes | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Dispute:
    """An open dispute: its record, and who opened it."""

    record: bytes
    by: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """A bill after its newest record.

    head: id of that record; count: how many there are; platforms: all that held it or were to
    after: what held after each record, by its id; records: the records themselves
    """

    ebl: bytes
    head: bytes
    count: int
    control: Control
    platforms: frozenset[str]
    dispute: Dispute | None = None
    after: dict[bytes, Control] = field(default_factory=dict, compare=False, repr=False)
    records: dict[bytes, PlatformRecord] = field(default_factory=dict, compare=False, repr=False)


def replay(records: Sequence[RegistryRecord], register: str = "") -> Tracked | None:
    """The state after all records, oldest first; None for none. Raises as `advance`."""
    state: Tracked | None = None
    for kept in records:
        _, record = open_platform_record(kept.text)
        state = advance(state, kept.id, record, register)
    return state


def advance(
    state: Tracked | None, record_id: bytes, record: PlatformRecord, register: str = ""
) -> Tracked:
    """The state after one more record, whose signature was verified; nothing is changed.

    register: code of the platform that keeps the register, which may close a dispute as it stands
    Raises ConflictError `pint_record_conflict` (with the head), `tracking_ended`,
    `tracking_disputed`, `tracking_intent_open`, `tracking_no_intent`, `tracking_not_disputed`;
    ForbiddenError `tracking_not_holder`, `tracking_not_receiver`, `tracking_not_a_party`,
    `tracking_resolution_not_yours`; RefusedError `tracking_other_entry`,
    `tracking_receiver_same`, `tracking_not_retractable`, `tracking_other_bill`,
    `tracking_opening_missing`; TooLargeError `tracking_full`.
    """
    head = state.head if state else None
    if record.previous != head:
        raise _came_first(head)
    if state is None:
        return _opened(record_id, record)
    if record.ebl != state.ebl:
        raise RefusedError("tracking_other_bill", "the record is about another bill")
    if state.control.ended:
        raise ConflictError("tracking_ended", "the bill was surrendered for good")
    if state.count >= MAX_RECORDS:
        raise TooLargeError("tracking_full", f"a bill has at most {MAX_RECORDS} records")
    if state.dispute is not None and record.action is not RecordAction.RESOLVED:
        raise ConflictError("tracking_disputed", "a dispute about the bill is open")
    return _moved(state, record_id, record, register)


def _came_first(head: bytes | None) -> ConflictError:
    return ConflictError("pint_record_conflict", "another record came first", head=in_hex(head))


def _opened(record_id: bytes, record: PlatformRecord) -> Tracked:
    if record.action not in OPENING:
        raise RefusedError("tracking_opening_missing", "no transfer of the bill was recorded yet")
    control = _step(Control(record.actor), record_id, record)
    return Tracked(
        record.ebl, record_id, 1, control, _named(record), None, {record_id: control},
        {record_id: record},
    )  # fmt: skip


def _named(record: PlatformRecord) -> frozenset[str]:
    return frozenset(code for code in (record.actor, record.receiver) if code is not None)


def _moved(state: Tracked, record_id: bytes, record: PlatformRecord, register: str) -> Tracked:
    control, dispute, platforms = state.control, state.dispute, state.platforms
    if record.action is RecordAction.DISPUTE:
        _require_party(state, record)
        dispute = Dispute(record_id, record.actor)
    elif record.action is RecordAction.RESOLVED:
        control, dispute = _resolved(state, record, register), None
    elif record.action is RecordAction.RETRACT:
        control = _retracted(state, record)
    else:
        control = _step(control, record_id, record)
        platforms |= _named(record)
    return replace(
        state,
        head=record_id,
        count=state.count + 1,
        control=control,
        platforms=platforms,
        dispute=dispute,
        after=state.after | {record_id: control},
        records=state.records | {record_id: record},
    )


def _step(control: Control, record_id: bytes, record: PlatformRecord) -> Control:
    """INTEND, ACCEPTED, CANCEL, SURRENDERED."""
    if record.action is RecordAction.INTEND:
        return _intended(control, record_id, record)
    if record.action is RecordAction.SURRENDERED:
        _require_holder(control, record)
        _require_no_intent(control)
        return Control(control.holder, None, record.last or control.last, ended=True)
    intent = control.intent
    if intent is None or record.answers != intent.record:
        raise ConflictError("tracking_no_intent", "the record answers no open intent")
    if record.action is RecordAction.CANCEL:
        if record.actor not in (control.holder, intent.receiver):
            raise ForbiddenError("tracking_not_holder", "neither side of the transfer says this")
        return replace(control, intent=None)
    if record.actor != intent.receiver:
        raise ForbiddenError("tracking_not_receiver", "only the named receiver accepts")
    if record.last != intent.last:
        raise RefusedError("tracking_other_entry", "another chain entry was to be accepted")
    return Control(intent.receiver, None, intent.last)


def _intended(control: Control, record_id: bytes, record: PlatformRecord) -> Control:
    _require_holder(control, record)
    _require_no_intent(control)
    if record.receiver == record.actor:
        raise RefusedError("tracking_receiver_same", "within one platform nothing is recorded")
    assert record.receiver is not None  # the reader's rule
    assert record.last is not None
    return replace(control, intent=Intent(record_id, record.receiver, record.last))


def _require_holder(control: Control, record: PlatformRecord) -> None:
    if record.actor != control.holder:
        raise ForbiddenError("tracking_not_holder", "another platform holds the bill")


def _require_no_intent(control: Control) -> None:
    if control.intent is not None:
        raise ConflictError("tracking_intent_open", "a transfer of the bill is under way")


def _require_party(state: Tracked, record: PlatformRecord) -> None:
    if record.actor not in state.platforms:
        raise ForbiddenError("tracking_not_a_party", "the platform never had to do with the bill")
    if record.answers not in state.records:
        raise RefusedError("tracking_other_bill", "the disputed record is not of this bill")


def _retracted(state: Tracked, record: PlatformRecord) -> Control:
    """One's own newest record, taken back; it gives away nothing that others hold."""
    last = state.records[state.head]
    own = record.answers == state.head and last.actor == record.actor
    if not own or last.action not in _RETRACTABLE:
        raise RefusedError("tracking_not_retractable", "only one's own newest record is retracted")
    if last.previous is None:
        return Control(record.actor)
    return state.after[last.previous]


def _resolved(state: Tracked, record: PlatformRecord, register: str) -> Control:
    """What counts after a dispute: as it stands, or an earlier record if the holder gives up."""
    dispute = state.dispute
    if dispute is None or record.answers != dispute.record:
        raise ConflictError("tracking_not_disputed", "the record answers no open dispute")
    wanted = state.control
    if record.canonical is not None:
        if record.canonical not in state.after:
            raise RefusedError("tracking_other_bill", "the canonical record is not of this bill")
        wanted = state.after[record.canonical]
    may = {dispute.by, register} if wanted == state.control else {state.control.holder}
    if record.actor not in may:
        raise ForbiddenError(
            "tracking_resolution_not_yours", "nobody loses a bill but by its own platform's word"
        )
    return wanted


@dataclass(frozen=True, slots=True)
class Marks:
    """Disputes about a bill whose title is moved by its holders' operations: nothing else here."""

    head: bytes | None = None
    count: int = 0
    dispute: Dispute | None = None


def mark(
    marks: Marks, record_id: bytes, record: PlatformRecord, platforms: frozenset[str], register: str
) -> Marks:
    """A dispute opened or closed over a title of this network; it takes a bill from nobody.

    platforms: where parties of the title's history are hosted; register: as for `advance`
    Raises ConflictError `pint_record_conflict`, `tracking_native_title`, `tracking_disputed`,
    `tracking_not_disputed`; ForbiddenError `tracking_not_a_party`,
    `tracking_resolution_not_yours`; TooLargeError `tracking_full`.
    """
    if record.action not in (RecordAction.DISPUTE, RecordAction.RESOLVED):
        raise ConflictError("tracking_native_title", "its holders move it at the title's arbiter")
    if record.previous != marks.head:
        raise _came_first(marks.head)
    if marks.count >= MAX_RECORDS:
        raise TooLargeError("tracking_full", f"a bill has at most {MAX_RECORDS} records")
    if record.action is RecordAction.DISPUTE:
        if marks.dispute is not None:
            raise ConflictError("tracking_disputed", "a dispute about the bill is open")
        if record.actor not in platforms:
            raise ForbiddenError("tracking_not_a_party", "no party of its history is hosted there")
        return Marks(record_id, marks.count + 1, Dispute(record_id, record.actor))
    if marks.dispute is None or record.answers != marks.dispute.record:
        raise ConflictError("tracking_not_disputed", "the record answers no open dispute")
    if record.actor not in (marks.dispute.by, register):
        raise ForbiddenError("tracking_resolution_not_yours", "only who opened it or the register")
    return Marks(record_id, marks.count + 1)
