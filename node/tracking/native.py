"""Titles of this network seen as records: derived from their final operations, never kept twice.

A title has one arbiter (R19). Its holders' operations are what counts, so a register beside it
could only disagree; what other platforms read as records is made from the final history when it
is asked for. Nothing can be recorded about such a bill but that it is disputed. Records name
platforms by their codes and operations by their digests, and no person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from node.title import rows as title_rows
from node.title.following import host_of
from node.title.forms import reader
from node.title.tables import bills
from protocols import times
from protocols.pint.tracking import RecordAction
from protocols.title.machine import Kind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from node.title.rows import StoredTitle
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation, Party

#: What an operation is in the words of the register; others move nothing between platforms.
ACTIONS: Mapping[Kind, RecordAction] = {
    Kind.OFFER: RecordAction.INTEND,
    Kind.ACCEPT_OFFER: RecordAction.ACCEPTED,
    Kind.TRANSFER: RecordAction.ACCEPTED,
    Kind.DECLINE_OFFER: RecordAction.CANCEL,
    Kind.CANCEL_OFFER: RecordAction.CANCEL,
    Kind.SURRENDER_FOR_DELIVERY: RecordAction.ACCEPTED,
    Kind.SURRENDER_FOR_AMENDMENT: RecordAction.ACCEPTED,
    Kind.REJECT_SURRENDER: RecordAction.ACCEPTED,
    Kind.ACCEPT_SURRENDER: RecordAction.SURRENDERED,
}


@dataclass(frozen=True, slots=True)
class NativeBill:
    """The newest title of a document, with its whole final history."""

    held: StoredTitle
    operations: tuple[Operation, ...]


def find(conn: Connection, members: MemberList, ebl: bytes) -> NativeBill | None:
    """The title of the document with that checksum, if any is known here by final state."""
    query = select(bills.c.title).where(bills.c.checksum == ebl).order_by(bills.c.created_at.desc())
    for title in conn.execute(query.limit(title_rows.MAX_TITLES)).scalars():
        held = title_rows.find(conn, bytes(title))
        if held is not None:
            read = reader(conn, members, held.title)
            texts = title_rows.texts(conn, held.title)
            return NativeBill(held, tuple(read(text) for text in texts))
    return None


def platform_of(members: MemberList, party: Party | None) -> str | None:
    """The code of the platform at which a party is hosted."""
    host = None if party is None else host_of(members, party.did)
    entry = None if host is None else members.node(host)
    return None if entry is None else entry.platform


def platforms(members: MemberList, native: NativeBill) -> frozenset[str]:
    """Every platform at which a party of the history is hosted."""
    parties = (party for one in native.operations for party in (one.sender, one.recipient))
    codes = (platform_of(members, party) for party in parties)
    return frozenset(code for code in codes if code is not None)


def to_json(members: MemberList, native: NativeBill) -> dict[str, Any]:
    """The title as a bill of the register: its arbiter, its holder's platform, derived records."""
    state = native.held.state
    return {
        "title": {
            "id": state.title.hex(),
            "arbiter": native.held.arbiter.hex(),
            "seq": state.seq,
            "head": state.head.hex(),
            "asOf": times.to_text(times.from_ms(native.held.at)),
        },
        "holder": platform_of(members, state.possessor),
        "ended": state.state in (State.ACCEPTED, State.ENDED),
        "records": list(_records(members, native.operations)),
    }


def _records(members: MemberList, operations: Iterable[Operation]) -> Iterable[dict[str, Any]]:
    carrier: Party | None = None
    surrendered: Party | None = None
    for operation in operations:
        if operation.kind is Kind.ISSUE:
            carrier = operation.sender
        action = ACTIONS.get(operation.kind)
        if action is None:
            continue
        receiver = operation.recipient
        if operation.kind in (Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT):
            receiver, surrendered = carrier, operation.sender
        elif operation.kind is Kind.REJECT_SURRENDER:
            receiver = surrendered
        elif operation.kind is Kind.ACCEPT_OFFER:
            receiver = operation.sender
        yield {
            "seq": operation.seq + 1,
            "action": action.value,
            "actor": platform_of(members, operation.sender),
            "receiver": platform_of(members, receiver),
            "operation": {"kind": operation.kind.value, "digest": operation.digest.hex()},
            "entry": operation.entry.hex(),
        }
