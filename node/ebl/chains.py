"""The endorsement chain of a bill, from what is stored: transfer chain, title, own record (END).

A transfer chain is the platforms' signed word and comes first; what the arbiter made final since
goes after it. Where there is neither, the record of issuance and surrender with a carrier outside
the network is what there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from node.ebl import rows
from node.ebl.rows import CARRIER, ISSUED, PENDING, PLATFORM, TITLE_REFUSED, VOID
from node.pint import building
from node.pint import rows as pint_rows
from node.title import rows as title_rows
from node.title.forms import reader
from node.title.partners import members_of
from protocols import times
from protocols.pint import issuance, surrender
from protocols.pint.endorsement import EndorsementChain, links_of
from protocols.pint.issuance import TransportDocumentRelation
from protocols.pint.parties import (
    DID_LIST,
    DID_PROVIDER,
    NO_PLATFORM,
    IdentifyingCode,
    TransactionParty,
    document_party,
)
from protocols.pint.transactions import Transaction
from protocols.pint.words import FROM_ANSWER, FROM_REQUEST, Action, SurrenderCode
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from node.ebl.rows import Issuance, Surrender
    from node.pint.building import Deed
    from node.runtime import Node
    from protocols.pint.issuance import IssueToParty
    from schemas.strict_json import JsonValue

MAX_NAME = 70


def endorsement_chains(
    conn: Connection,
    node: Node,
    reference: str,
    *,
    sub_reference: str | None = None,
    carrier_scac: str | None = None,
    caller: str | None = None,
) -> list[EndorsementChain]:
    """The chains of all bills of that reference, the oldest first.

    caller: the counterpart that asks, who is shown the bills between us alone; None: our operator
    Raises NotFoundError `ebl_bill_unknown` when none matches.
    """
    found = []
    for document, relation, told in _bills(conn, node, reference, caller):
        if sub_reference not in (None, relation.sub_reference):
            continue
        scac = _scac(document)
        if carrier_scac not in (None, scac):
            continue
        found.append(EndorsementChain(relation, links_of(told), scac))
    if not found:
        raise NotFoundError("ebl_bill_unknown", "no bill of that reference is known here")
    return found


_Bill = tuple["Mapping[str, JsonValue]", TransportDocumentRelation, "Sequence[Transaction]"]


def _bills(conn: Connection, node: Node, reference: str, caller: str | None) -> list[_Bill]:
    found: dict[bytes, _Bill] = {}
    known = [
        one
        for one in rows.of_reference(conn, reference, counterpart=caller)
        if one.state in (ISSUED, PENDING, TITLE_REFUSED, VOID)
    ]
    # Re-issued under one reference: every issuance is a bill of its own. Both sides may be here.
    for held in sorted(known, key=lambda one: (one.side == PLATFORM, -one.number)):
        if held.state in (PENDING, TITLE_REFUSED):
            continue
        relation = TransportDocumentRelation(held.reference, held.sub_reference)
        document = issuance.read_request(held.body).document
        key = held.title or held.number.to_bytes(8, "big")
        found.setdefault(key, (document, relation, transactions(conn, node, held)))
    held_titles = {one.title for one in known if one.title is not None}
    checksums = {one.checksum for one in known}
    for bill in pint_rows.bills_page(conn, reference=reference):
        if bill.title in held_titles or bill.document in checksums:
            continue
        if caller not in (None, bill.carrier):
            continue
        document = strict_json.loads_object(bill.body.encode())
        told = told_by_chain(conn, bill.document)
        if bill.title is not None:
            told = (*told, *_since(conn, node, bill.title, document, told, None))
        relation = TransportDocumentRelation(bill.reference, _text(document, _SUB))
        found.setdefault(bill.document, (document, relation, told))
    return list(reversed(found.values()))


_SUB = "transportDocumentSubReference"


def _text(document: Mapping[str, JsonValue], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None


def _scac(document: Mapping[str, JsonValue]) -> str | None:
    """The SCAC of the carrier: its code where NMFTA keeps the list."""
    if document.get("carrierCodeListProvider") != "NMFTA":
        return None
    return _text(document, "carrierCode")


def transactions(conn: Connection, node: Node, held: Issuance) -> tuple[Transaction, ...]:
    """Everything that is known to have been done with a bill, first to last."""
    request = issuance.read_request(held.body)
    told = told_by_chain(conn, held.checksum)
    if held.title is not None:
        platform = request.issue_to.platform
        return (*told, *_since(conn, node, held.title, request.document, told, platform))
    return told or _recorded(conn, node, held)


def told_by_chain(conn: Connection, checksum: bytes) -> tuple[Transaction, ...]:
    """What the transfer chain of a transport document says."""
    known = pint_rows.known_chain(conn, checksum)
    return building.transactions_in(known.texts) if known is not None else ()


# -- what the arbiter made final ---------------------------------------------------------------


class _Named(building.Parties):
    """Parties as a view names them: one whose node is no platform has no platform."""

    @override
    def of(self, did: str) -> TransactionParty:
        """Never fails: an auditor sees who it was as far as it is known."""
        try:
            return super().of(did)
        except RefusedError:
            code = IdentifyingCode(DID_PROVIDER, did, DID_LIST)
            return TransactionParty(did[:MAX_NAME], NO_PLATFORM, (code,))


def _since(
    conn: Connection,
    node: Node,
    title: bytes,
    document: Mapping[str, JsonValue],
    told: Sequence[Transaction],
    issued_on: str | None,
) -> tuple[Transaction, ...]:
    """The title's deeds that the chain does not tell; none where both tell different histories."""
    members = members_of(node)
    deeds = _deeds(conn, node, title)
    done = [one for one in told if one.action is not Action.SIGN]
    new = deeds[len(done) :]
    carrier = None
    if issued_on is not None and deeds:
        issuer = deeds[0].actor
        carrier = building.carrier_party(members, issuer, issued_on, document)
    parties = _Named(members, document, told, carrier)
    return tuple(
        Transaction(
            deed.action,
            parties.of(deed.actor),
            times.from_ms(deed.at or 0),
            None if deed.recipient is None else parties.of(deed.recipient),
        )
        for deed in new
    )


def _deeds(conn: Connection, node: Node, title: bytes) -> tuple[Deed, ...]:
    """The title's deeds with the moments at which they were known to be final here."""
    read = reader(conn, members_of(node), title)
    return building.deeds_of((read(text), at) for text, at in title_rows.dated_texts(conn, title))


# -- our own record, for carriers and platforms outside ----------------------------------------


def _recorded(conn: Connection, node: Node, held: Issuance) -> tuple[Transaction, ...]:
    request = issuance.read_request(held.body)
    platform = request.issue_to.platform
    carrier = _carrier(node, held, request.document, platform)
    holder = _holder(request.issue_to)
    at = held.answered_at or held.created_at
    found = [Transaction(Action.ISSUE, carrier, times.from_ms(at), holder)]
    for one in rows.surrenders_of(conn, held.number):
        if one.state != "refused":
            found += _surrendered(one, holder, carrier)
    return tuple(found)


def _surrendered(
    one: Surrender, holder: TransactionParty, carrier: TransactionParty
) -> list[Transaction]:
    action = FROM_REQUEST[SurrenderCode(one.code)]
    found = [Transaction(action, holder, times.from_ms(one.created_at), carrier)]
    if one.answered_at is not None and one.answer is not None:
        said = FROM_ANSWER[surrender.read_answer(one.answer, reason_required=False).action]
        found.append(Transaction(said, carrier, times.from_ms(one.answered_at), holder))
    return found


def _holder(party: IssueToParty) -> TransactionParty:
    return TransactionParty(party.name, party.platform, party.codes, party.references)


def _carrier(
    node: Node, held: Issuance, document: Mapping[str, JsonValue], platform: str
) -> TransactionParty:
    """The carrier: by its DID when it is this node or a member, else as the bill names it."""
    did = node.did if held.side == CARRIER else held.counterpart
    if did.startswith("did:"):
        return building.carrier_party(members_of(node), did, platform, document)
    named = document_party(document, "issuingParty")
    codes = () if named is None else named.codes
    name = held.counterpart if named is None else named.name[:MAX_NAME].strip()
    own = IdentifyingCode("ZZZ", held.counterpart)
    made = TransactionParty(name, platform, (own,))
    return replace(made, codes=codes) if codes else made
