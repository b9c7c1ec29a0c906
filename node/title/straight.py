"""Whom a straight bill may go to: its shipper, its named consignee and the bank it is pledged to.

The arbiter cannot know who is a bank and lets it pass to anybody; where there is a transfer chain
the rules of PINT forbid it. Here it is said to whoever orders at the arbiter alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import documents
from node.title import partners, rows
from node.title.forms import reader
from protocols.pint.parties import document_party, is_did
from protocols.title.machine import ACCOUNT, Bill, Kind
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.making import Order
    from node.title.rows import StoredTitle

_MOVES = frozenset({Kind.TRANSFER, Kind.OFFER})


def require_no_stranger(conn: Connection, node: Node, held: StoredTitle, order: Order) -> None:
    """Raises RefusedError `title_straight_stranger`.

    On a chain a party is an account until its statement is here; where neither that nor the
    document names the consignee, nothing is said.
    """
    if held.state.bill is not Bill.STRAIGHT or order.kind not in _MOVES or order.to is None:
        return
    holder = held.state.holder
    consignees = {*_named(conn, held, "consignee"), *((holder.did,) if holder else ())}
    if all(did.startswith(ACCOUNT) for did in consignees):
        return
    shippers = {*_named(conn, held, "shipper"), *_first(conn, node, held)}
    if order.to not in consignees | shippers and not _is_bank(node, order.to):
        raise RefusedError("title_straight_stranger", order.to)


def _named(conn: Connection, held: StoredTitle, role: str) -> list[str]:
    """The DIDs by which the document names that party."""
    bill = rows.bill(conn, held.title)
    stored = documents.get(conn, bill.document) if bill and bill.document else None
    party = stored and document_party(strict_json.loads_object(stored.payload), role)
    return [code.code for code in party.codes if is_did(code)] if party else []


def _first(conn: Connection, node: Node, held: StoredTitle) -> list[str]:
    """Whom the carrier issued the bill to."""
    read = reader(conn, partners.members_of(node), held.title)
    issued = [read(text) for text, _ in rows.dated_texts(conn, held.title)[:1]]
    return [one.recipient.did for one in issued if one.recipient is not None]


def _is_bank(node: Node, did: str) -> bool:
    """A bank, or a party that one hosts."""
    members = partners.members_of(node)
    hosted = members.party(did)
    owner = members.node(hosted.host if hosted is not None else did)
    return owner is not None and "bank" in owner.roles
