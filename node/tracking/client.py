"""Recording transfers at the control tracking registry that a chain names, as a platform.

For whoever sends or receives a bill under a register of records (`policy.keeper_of`); titles of
this network are moved at their arbiter instead. The order is R20's: `intend` is final before the
envelope goes, `accept` is final before RECE is signed. Each call reads the bill's records, proves
them, and does nothing when what it would say is already said, so it can be repeated after any lost
answer. Nothing that is not proven by a quorum of witnesses is returned (R21).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.pint.keys import platform_code, platform_signer
from node.pint.platforms import keyring
from node.title.partners import members_of
from node.tracking import policy
from node.tracking.policy import RECORDS_PATH
from protocols.fields import Fields
from protocols.pint.reading import CODE
from protocols.pint.tracking import PlatformRecord, RecordAction
from protocols.pint.tracking_proof import (
    ReceivedRecord,
    read_answer,
    read_received,
    verify_records,
)
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import (
    FAMILIES,
    ConflictError,
    MalformedError,
    NotFoundError,
    RefusedError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.runtime import Node
    from protocols.pint.tracking_proof import ProvenRecords
    from protocols.pint.tracking_state import Tracked
    from protocols.seams import Answer
    from schemas.strict_json import JsonValue

TRIES = 4
WAIT = 8
MAX_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill at a register: base URI, and the checksum of its transport document.

    opening: the chain's first entry (compact JWS), which opens the bill at its first record
    """

    registry: str
    ebl: bytes
    opening: str | None = None


async def current(node: Node, bill: Bill) -> ProvenRecords | None:
    """Who holds the bill by its proven records; None before the first.

    Raises RefusedError `tracking_registry_unlisted`, `tracking_records_bad`, UnavailableError.
    """
    return _verify(node, bill, await _records(node, bill))


async def intend(node: Node, bill: Bill, receiver: str, last: bytes) -> bytes:
    """Record that we mean to transfer to the platform `receiver`; the record's id, final.

    last: checksum of the chain's last entry, which the envelope will carry
    Raises as `current` and `protocols.pint.tracking_state.advance`; UnavailableError
    `tracking_unproven` until witnesses have seen it: then nothing may be sent yet (R20).
    """
    own = platform_code(node)

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        intent = state.control.intent if state else None
        wanted = (own, receiver, last)
        if state and intent and (state.control.holder, intent.receiver, intent.last) == wanted:
            return intent.record
        return _new(node, bill, state, RecordAction.INTEND, receiver=receiver, last=last)

    return await _say(node, bill, next_record)


async def accept(node: Node, bill: Bill, last: bytes) -> bytes:
    """Record that we have accepted the transfer of that chain entry, before RECE is signed."""
    own = platform_code(node)

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        if state is None:
            raise ConflictError("tracking_no_intent", "no transfer of the bill is recorded")
        control = state.control
        if control.intent is None and (control.holder, control.last) == (own, last):
            return _latest(state, RecordAction.ACCEPTED)
        if control.intent is None:
            raise ConflictError("tracking_no_intent", "no transfer of the bill is open")
        answers = control.intent.record
        return _new(node, bill, state, RecordAction.ACCEPTED, last=last, answers=answers)

    return await _say(node, bill, next_record)


async def cancel(node: Node, bill: Bill, last: bytes) -> bytes | None:
    """Record that the transfer of that chain entry is off; None when none of it is open.

    Raises ConflictError `tracking_no_intent` when its receiver has accepted it already.
    """

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        if state is None:
            return b""
        intent = state.control.intent
        if intent is None or intent.last != last:
            if state.control.last == last and state.control.holder != platform_code(node):
                raise ConflictError("tracking_no_intent", "the receiver has accepted it")
            return b""
        return _new(node, bill, state, RecordAction.CANCEL, answers=intent.record)

    return await _say(node, bill, next_record) or None


async def surrendered(node: Node, bill: Bill, last: bytes | None = None) -> bytes:
    """Record that the bill ended with its carrier (after SACC), as the platform that holds it."""

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        if state is not None and state.control.ended:
            return state.head
        return _new(node, bill, state, RecordAction.SURRENDERED, last=last)

    return await _say(node, bill, next_record)


async def dispute(node: Node, bill: Bill, last: bytes | None = None) -> bytes:
    """Record that the bill is disputed; until it is resolved nothing moves. Its id, final."""

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        if state is None:
            raise RefusedError("tracking_opening_missing", "no transfer of it was recorded yet")
        if state.dispute is not None:
            return state.dispute.record
        return _new(node, bill, state, RecordAction.DISPUTE, last=last, answers=state.head)

    return await _say(node, bill, next_record)


async def resolve(node: Node, bill: Bill, canonical: bytes | None = None) -> bytes | None:
    """Record that the dispute is resolved; None when none is open.

    canonical: the record after which things stand again as they were; None as they stand now
    """

    def next_record(state: Tracked | None) -> bytes | PlatformRecord:
        if state is None or state.dispute is None:
            return b""
        answers = state.dispute.record
        return _new(node, bill, state, RecordAction.RESOLVED, answers=answers, canonical=canonical)

    return await _say(node, bill, next_record) or None


@dataclass(frozen=True, slots=True)
class TitledBill:
    """A bill with a title. keeper: DID of the member whose register shows it."""

    keeper: str
    ebl: bytes


async def mark_title(node: Node, bill: TitledBill, answers: bytes) -> bytes:
    """Record a dispute about a bill that has a title; its operations then stand still there.

    answers: digest of what is disputed. The id of the record; one that is open stays.
    Raises ForbiddenError `tracking_not_a_party`, ConflictError, UnavailableError.
    """
    shown = await _titled(node, bill)
    if shown.has("dispute") and shown.members["dispute"] is not None:
        return shown.child("dispute").digest("record")
    return await _say_of_title(node, bill, shown, RecordAction.DISPUTE, answers)


async def unmark_title(node: Node, bill: TitledBill) -> bytes | None:
    """Record that the open dispute about a titled bill is resolved; None when none is open."""
    shown = await _titled(node, bill)
    if shown.members.get("dispute") is None:
        return None
    answers = shown.child("dispute").digest("record")
    return await _say_of_title(node, bill, shown, RecordAction.RESOLVED, answers)


async def _titled(node: Node, bill: TitledBill) -> Fields:
    path = f"{RECORDS_PATH}/bills/{bill.ebl.hex()}"
    answer = await _call(node, bill.keeper, "GET", path)
    fields = Fields(_object(answer), CODE)
    if fields.members.get("source") != "title":
        raise NotFoundError("tracking_bill_unknown", "that member knows no title of the bill")
    return fields


async def _say_of_title(
    node: Node, bill: TitledBill, shown: Fields, action: RecordAction, answers: bytes
) -> bytes:
    head = shown.digest("head") if shown.members.get("head") is not None else None
    own, now = platform_code(node), node.clock.now()
    record = PlatformRecord(bill.ebl, action, own, now, answers=answers, previous=head)
    body = {"platformRecordSignedContent": record.sign(platform_signer(node))}
    path = f"{RECORDS_PATH}/records?wait={WAIT}"
    answer = await _call(node, bill.keeper, "POST", path, strict_json.canonical(body))
    return read_received(Fields(_object(answer), CODE)).record.id


def _new(
    node: Node, bill: Bill, state: Tracked | None, action: RecordAction, **members: Any
) -> PlatformRecord:
    previous = state.head if state is not None else None
    own, now = platform_code(node), node.clock.now()
    return PlatformRecord(bill.ebl, action, own, now, previous=previous, **members)


def _latest(state: Tracked, action: RecordAction) -> bytes:
    found = [one for one, record in state.records.items() if record.action is action]
    return found[-1] if found else state.head


async def _say(
    node: Node, bill: Bill, next_record: Callable[[Tracked | None], bytes | PlatformRecord]
) -> bytes:
    """Say it upon the newest head, and again when somebody else was first; at most `TRIES`."""
    for _ in range(TRIES):
        records = await _records(node, bill)
        proven = _verify(node, bill, records)
        said = next_record(proven.state if proven else None)
        if isinstance(said, bytes):
            if proven is not None:
                require_final(proven)
            return said
        try:
            received = await _post(node, bill, said.sign(platform_signer(node)), proven is None)
        except ConflictError as error:
            if error.code != "pint_record_conflict":
                raise
            continue
        after = _verify(node, bill, (*records, received))
        assert after is not None  # it has a record
        require_final(after)
        return received.record.id
    raise UnavailableError("tracking_unproven", "other records came first, again and again")


def require_final(proven: ProvenRecords) -> None:
    """Raise UnavailableError `tracking_unproven` for what no quorum of witnesses has seen (R21)."""
    if not proven.final:
        raise UnavailableError(
            "tracking_unproven", "no quorum of witnesses has seen the record yet"
        )


def _verify(node: Node, bill: Bill, records: tuple[ReceivedRecord, ...]) -> ProvenRecords | None:
    members = members_of(node)
    keeper = policy.keeper_of(members, bill.registry)
    return verify_records(records, bill.ebl, members, keyring(node), keeper.did)


async def records_of(node: Node, bill: Bill) -> tuple[ReceivedRecord, ...]:
    """The bill's records with their receipts as the register answers them, proven for nothing."""
    return await _records(node, bill)


async def _records(node: Node, bill: Bill) -> tuple[ReceivedRecord, ...]:
    path = f"{RECORDS_PATH}/bills/{bill.ebl.hex()}"
    keeper = policy.keeper_of(members_of(node), bill.registry)
    answer = await _call(node, keeper.did, "GET", path)
    if answer.status == 404:
        return ()
    fields = Fields(_object(answer), CODE)
    if fields.members.get("source") != "records":
        raise ConflictError("tracking_native_title", "the bill has a title of this network")
    return read_answer(fields)


async def _post(node: Node, bill: Bill, text: str, opens: bool) -> ReceivedRecord:
    keeper = policy.keeper_of(members_of(node), bill.registry)
    body = {"platformRecordSignedContent": text}
    if opens and bill.opening is not None:
        body["envelopeTransferChainEntrySignedContent"] = bill.opening
    path = f"{RECORDS_PATH}/records?wait={WAIT}"
    answer = await _call(node, keeper.did, "POST", path, strict_json.canonical(body))
    return read_received(Fields(_object(answer), CODE))


async def _call(node: Node, keeper: str, method: str, path: str, body: bytes = b"") -> Answer:
    headers = {"Content-Type": "application/json"} if body else {}
    return await node.client.call(keeper, method, path, body, headers=headers, deadline=WAIT + 5.0)


def _object(answer: Answer) -> dict[str, JsonValue]:
    if answer.status in (200, 201):
        return strict_json.loads_object(answer.body, max_bytes=MAX_ANSWER)
    raise _refusal(answer)


def _refusal(answer: Answer) -> TradeError:
    """The registry's problem as our own error; what is not of the catalogue leaves it unknown."""
    try:
        code = strict_json.loads_object(answer.body).get("code")
    except MalformedError:
        code = None
    entry = explain(code) if isinstance(code, str) else None
    if answer.status >= 500 or entry is None or entry.kind != "error":
        return UnavailableError("peer_unreachable", f"the registry answered {answer.status}")
    return FAMILIES[entry.family](entry.code, "the control tracking registry refused the record")
