"""What the title's arbiter says of a deed whose entry this platform signed; it has the last word.

PINT 3.0.0: the registry decides over a signed answer, and that over the HTTP status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from node.pint import rows
from node.title import partners
from node.title import rows as titles
from node.title.forms import reader
from protocols.pint import signed
from protocols.title.machine import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.rows import Submission


class Word(Enum):
    """NOTHING: no final operation names the entry. OPEN: offered, not answered. TAKEN: accepted.
    WITHDRAWN: declined or cancelled. DONE: a deed that waits for nobody's acceptance is final."""

    NOTHING = "nothing"
    OPEN = "open"
    TAKEN = "taken"
    WITHDRAWN = "withdrawn"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Said:
    """The word; expires: of an open offer; tried: the operation handed in here that names it."""

    word: Word
    expires: datetime | None = None
    tried: Submission | None = None


_ENDS = {
    Kind.ACCEPT_OFFER: Word.TAKEN,
    Kind.DECLINE_OFFER: Word.WITHDRAWN,
    Kind.CANCEL_OFFER: Word.WITHDRAWN,
}
_REPEATS = frozenset(_ENDS)


def said_of(conn: Connection, node: Node, title: bytes, entry: bytes) -> Said:
    """What is final of the deed that names `entry`, as far as it is known here."""
    if _is_in_chain(conn, title, entry):
        return Said(Word.DONE)
    read = reader(conn, partners.members_of(node), title)
    history = [read(text) for text in titles.texts(conn, title)]
    at = next(
        (n for n, one in enumerate(history) if one.entry == entry and one.kind not in _REPEATS),
        None,
    )
    if at is None:
        return Said(Word.NOTHING, tried=_tried(conn, node, title, entry))
    if history[at].kind is not Kind.OFFER:
        return Said(Word.DONE)
    following = history[at + 1].kind if at + 1 < len(history) else None
    if following is None:
        return Said(Word.OPEN, history[at].expires)
    return Said(_ENDS[following], history[at].expires)


def _is_in_chain(conn: Connection, title: bytes, entry: bytes) -> bool:
    """Entries join the chain when their deed is final, whatever operation names them."""
    bill = rows.bill_of_title(conn, title)
    known = None if bill is None else rows.known_chain(conn, bill.document)
    return known is not None and any(
        signed.parse(text).payload_digest == entry for text in known.texts
    )


def _tried(conn: Connection, node: Node, title: bytes, entry: bytes) -> Submission | None:
    """The newest operation handed in here that names the entry."""
    read = reader(conn, partners.members_of(node), title)
    found = [
        one
        for one in titles.submissions_of(conn, title)
        if (operation := read(one.text)).entry == entry and operation.kind not in _REPEATS
    ]
    return found[-1] if found else None
