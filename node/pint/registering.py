"""What a register of records says of a transfer that leaves this platform, and what it is told.

For bills without a title of this network whose chain names a register that a listed member keeps
(`node.tracking.policy`). The order is R20's: that the bill is to pass to another platform is on
record, and final, before the envelope goes; RECE is believed with the receiver's own record beside
it; a refused transfer is taken off the record. PINT 3.0.0: the registry decides over a signed word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.pint import rows
from node.pint.following import Said, Word
from node.tracking import client
from node.tracking.client import Bill
from protocols.pint import signed
from protocols.pint.tracking import RecordAction
from protocols.pint.words import MOVES_POSSESSION, Action

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.pint.outgoing import Outgoing
    from node.runtime import Node
    from protocols.pint.tracking_state import Tracked


async def said(node: Node, row: Outgoing) -> Said:
    """What is final at the register of that deed; DONE where none is asked about it.

    Raises what `node.tracking.client.current` raises, UnavailableError `tracking_unproven`.
    """
    bill = await node.store.read(_bill, row)
    if bill is None:
        return Said(Word.DONE)
    proven = await client.current(node, bill)
    if proven is None:
        return Said(Word.NOTHING)
    client.require_final(proven)
    if row.deed.action is Action.SACC:
        return Said(Word.DONE if proven.state.control.ended else Word.NOTHING)
    return Said(_word(proven.state, signed.checksum(row.text)))


async def record(node: Node, row: Outgoing) -> None:
    """Have it on record, and final, that the bill is to pass, or that it ended with its carrier.

    Raises what `client.intend` and `client.surrendered` raise.
    """
    bill = await node.store.read(_bill, row)
    if bill is None:
        return
    last = signed.checksum(row.text)
    if row.deed.action is Action.SACC:
        await client.surrendered(node, bill, last)
    else:
        await client.intend(node, bill, row.platform, last)


async def cancel(node: Node, row: Outgoing) -> None:
    """Take a transfer off the record; raises ConflictError `tracking_no_intent` if accepted."""
    bill = await node.store.read(_bill, row)
    assert bill is not None  # something was open there
    await client.cancel(node, bill, signed.checksum(row.text))


def _bill(conn: Connection, row: Outgoing) -> Bill | None:
    """The bill at its register; None where the register has no say in that deed."""
    held, known = rows.bill(conn, row.document), rows.known_chain(conn, row.document)
    assert held is not None  # the transfer was prepared from it
    passes = row.platform and row.deed.action in MOVES_POSSESSION
    if held.registry is None or not (passes or row.deed.action is Action.SACC):
        return None
    texts = known.texts if known is not None else ()
    return Bill(held.registry, row.document, next(iter(texts), row.text))


def _word(state: Tracked, last: bytes) -> Word:
    """Of the transfer whose chain entry has that checksum."""
    intent = state.control.intent
    if intent is not None and intent.last == last:
        return Word.OPEN
    told = {one.action for one in state.records.values() if one.last == last}
    if RecordAction.ACCEPTED in told:
        return Word.TAKEN
    return Word.WITHDRAWN if RecordAction.INTEND in told else Word.NOTHING
