"""Whom a straight bill may go to: its shipper, its named consignee and the bank it is pledged to.

The law of titles cannot say who is a bank, nor whom the document names, and lets it pass to
anybody; where there is a transfer chain the rules of PINT forbid it. Here it is said at the doors
of the arbiter: to whoever orders or relays at this node, and by a registry that has the document.
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
    from node.title.rows import StoredTitle
    from protocols.title.machine import Operation, Party

MOVES = frozenset({Kind.TRANSFER, Kind.OFFER})


def require_no_stranger(
    conn: Connection, node: Node, held: StoredTitle, kind: Kind, to: str | None
) -> None:
    """Raises RefusedError `title_straight_stranger`.

    On a chain a party is an account until its statement is here; where neither that nor the
    document names the consignee, nothing is said.
    """
    if held.state.bill is not Bill.STRAIGHT or kind not in MOVES or to is None:
        return
    holder = held.state.holder
    consignees = {*_named(conn, held, "consignee"), *(_dids(holder) if holder else ())}
    if all(did.startswith(ACCOUNT) for did in consignees):
        return
    shippers = {*_named(conn, held, "shipper"), *_first(conn, node, held)}
    if to not in consignees | shippers and not _is_bank(node, to):
        raise RefusedError("title_straight_stranger", to)


def require_signed(conn: Connection, node: Node, text: str, title: bytes) -> None:
    """The same of an operation that somebody else has signed; raises as `require_no_stranger`.

    Nothing is said of a title that is not known here, nor of an account that nobody stands behind.
    """
    held = rows.find(conn, title)
    if held is not None:
        operation = reader(conn, partners.members_of(node), title)(text)
        _require_each(conn, node, held, operation)


def require_admissible(conn: Connection, node: Node, operation: Operation) -> None:
    """The same as the registry here: where it has no document it cannot know whom that names."""
    held = rows.find(conn, operation.title)
    bill = rows.bill(conn, operation.title)
    if held is not None and bill is not None and bill.document is not None:
        _require_each(conn, node, held, operation)


def _require_each(conn: Connection, node: Node, held: StoredTitle, operation: Operation) -> None:
    to = operation.recipient
    for party in (to.joint or (to,)) if to is not None else ():
        if not party.did.startswith(ACCOUNT):
            require_no_stranger(conn, node, held, operation.kind, party.did)


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
    return [did for one in issued if one.recipient is not None for did in _dids(one.recipient)]


def _dids(party: Party) -> list[str]:
    """Its own, and those of joint holders."""
    return [party.did, *(one.did for one in party.joint)]


def _is_bank(node: Node, did: str) -> bool:
    """A bank, or a party that one hosts."""
    members = partners.members_of(node)
    hosted = members.party(did)
    owner = members.node(hosted.host if hosted is not None else did)
    return owner is not None and "bank" in owner.roles
