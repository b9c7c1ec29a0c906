"""Beginning the transfer chain of a bill, at the platform on which it is issued (PINT 3.0.0).

The first entry holds ISSUE, the carrier's issuance manifest and the registry that guards the bill.
A carrier that is its own platform begins when the title is issued; a platform that another carrier
asked (ISS) begins when the bill first leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.documents import documents
from node.documents.tables import documents as documents_table
from node.ebl import rows as issuances
from node.pint import outgoing, rows
from node.pint.building import (
    Deed,
    Opening,
    Parties,
    carrier_party,
    deeds_of,
    entry_after,
    platform_of,
    transactions_of,
)
from node.pint.judging import is_bank
from node.pint.keys import platform_code, platform_signer
from node.pint.tables import bills as bills_table
from node.pint.views import state_json
from node.title import partners
from node.title import rows as titles
from node.title.forms import reader
from node.title.tables import bills as title_bills
from node.title.tables import titles as titles_table
from protocols.digest import sha256
from protocols.pint import issuance, rules
from protocols.pint.chain import open_manifest
from protocols.pint.envelope import (
    DocumentMetadata,
)
from protocols.pint.history import KnownChain
from protocols.pint.reading import checksum_of
from protocols.pint.registries import uri_of
from protocols.pint.words import Action
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError
from schemas.titled import BILL_OF_LADING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.pint.rows import StoredBill
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.pint.parties import TransactionParty
    from protocols.pint.rules import ChainState
    from protocols.pint.transactions import Transaction
    from schemas.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Supporting:
    """A document that goes along between the two platforms. content: at most 16 MiB."""

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @property
    def metadata(self) -> DocumentMetadata:
        """How the manifest announces it."""
        return DocumentMetadata(self.name, len(self.content), self.media_type, sha256(self.content))


def start_chain(
    conn: Connection,
    node: Node,
    title: bytes,
    document: Mapping[str, JsonValue],
    issuance: str,
    *,
    visualisation: Supporting | None = None,
) -> StoredBill:
    """Begin the transfer chain of a bill whose ISSUE is final, at the platform it is issued on.

    document: the transport document; issuance: the carrier's manifest (compact JWS); the chain is
    begun once, a bill that has one keeps it. Raises NotFoundError `title_never_issued`,
    RefusedError `pint_not_as_issued`, `pint_visualisation_differs`, and as `Parties.of`.
    """
    held = titles.find(conn, title)
    if held is None:
        raise NotFoundError("title_never_issued", "no final state of that title is known")
    members = partners.members_of(node)
    carrier = carrier_party(members, held.state.issuer.did, platform_code(node), document)
    parties = Parties(members, document, carrier=carrier)
    deeds = history_of(conn, node, title)
    made = transactions_of(deeds, parties, node.clock.now())
    uri = uri_of(members, held.arbiter, node.did)
    opening = Opening(issuance, uri)
    return open_chain(conn, node, document, made, opening, title=title, visualisation=visualisation)


def history_of(conn: Connection, node: Node, title: bytes) -> tuple[Deed, ...]:
    """What was done with a title, as far as it is final and known here."""
    read = reader(conn, partners.members_of(node), title)
    return deeds_of((read(text), at) for text, at in titles.dated_texts(conn, title))


def open_chain(
    conn: Connection,
    node: Node,
    document: Mapping[str, JsonValue],
    transactions: Sequence[Transaction],
    opening: Opening,
    *,
    title: bytes | None = None,
    visualisation: Supporting | None = None,
) -> StoredBill:
    """Sign and keep the first entry of a bill's chain; title: None under no arbiter of ours."""
    checksum, now = checksum_of(document), node.clock.now_ms()
    held, known = rows.bill(conn, checksum), rows.known_chain(conn, checksum)
    if held is not None and known is not None and known.texts and not known.ended:
        return held
    _, manifest = open_manifest(opening.issuance)
    if manifest.document != checksum:
        raise RefusedError("pint_not_as_issued", "the carrier issued another document")
    picture = outgoing.picture(conn, checksum)
    if visualisation is not None:
        picture = visualisation.metadata
    if manifest.visualisation != (None if picture is None else picture.checksum):
        raise RefusedError("pint_visualisation_differs", "the carrier signed another picture")
    entry = entry_after((), platform_code(node), document, transactions, opening)
    state = rules.replay([entry], terms(node, document, opening.registry))
    text = entry.sign(platform_signer(node))
    rows.put_bill(
        conn,
        checksum,
        now,
        reference=str(document.get("transportDocumentReference")),
        carrier=transactions[0].actor.did or transactions[0].actor.name,
        title=title,
        registry=opening.registry,
        issuance=opening.issuance,
        body=strict_json.canonical(dict(document)).decode(),
    )
    if visualisation is not None:
        outgoing.put_picture(conn, checksum, visualisation.metadata, visualisation.content, now)
    rows.keep_chain(conn, checksum, [text], now)
    last = transactions[-1]
    away = receiving_platform(node, last.recipient) and last.action in MOVING
    rows.put_bill(
        conn, checksum, now, status=rows.SENT if away else rows.HERE, state=state_text(state)
    )
    found = rows.bill(conn, checksum)
    assert found is not None
    return found


_NO_CHAIN = KnownChain((), frozenset())


def ensure_bill(conn: Connection, node: Node, held: StoredTitle) -> StoredBill:
    """The bill of a title as this platform has it; an own bill's chain begins now.

    Raises NotFoundError `pint_bill_unknown` where neither chain nor own bill is here.
    """
    found = rows.bill_of_title(conn, held.title)
    if found is not None and rows.known_chain(conn, found.document) != _NO_CHAIN:
        return found
    if found is not None:
        # Issued on this platform by another carrier (ISS): nothing has left it yet.
        value = strict_json.loads_object(found.body.encode())
        return start_chain(conn, node, held.title, value, found.issuance)
    bill = titles.bill(conn, held.title)
    own = held.state.issuer.did == node.did and not _is_issued_elsewhere(conn, node, held.title)
    if bill is None or bill.document is None or not own:
        raise NotFoundError("pint_bill_unknown", "the bill's transfer chain is not here")
    document = documents.require(conn, bill.document)
    if document.type != BILL_OF_LADING:
        # Titles of other documents move between members alone: PINT knows DCSA's document.
        raise NotFoundError("pint_bill_unknown", f"a {document.type} does not travel by PINT")
    value = strict_json.loads_object(document.payload)
    return start_chain(conn, node, held.title, value, bill.issuance)


def _is_issued_elsewhere(conn: Connection, node: Node, title: bytes) -> bool:
    """Whether this carrier asked a platform to issue the bill (ISS): that one begins its chain."""
    asked = issuances.issuance_of_title(conn, title, issuances.CARRIER)
    if asked is None:
        return False
    return issuance.read_request(asked.body).issue_to.platform != platform_code(node)


def unbegun(conn: Connection, node: Node, limit: int = 500) -> list[bytes]:
    """Titles that this node issued to a party of its own and whose chain has not begun."""
    known = select(bills_table.c.title).where(bills_table.c.title.is_not(None))
    query = (
        select(titles_table.c.title)
        .join(title_bills, title_bills.c.title == titles_table.c.title)
        .join(documents_table, documents_table.c.digest == title_bills.c.document)
        .where(
            title_bills.c.carrier == node.did,
            documents_table.c.type == BILL_OF_LADING,
            titles_table.c.title.not_in(known),
        )
        .order_by(titles_table.c.updated_at.desc())
        .limit(limit)
    )
    return [bytes(title) for title in conn.execute(query).scalars()]


def begin(conn: Connection, node: Node, title: bytes) -> None:
    """Begin the chain of an own bill whose first possessor has its account here."""
    held = titles.find(conn, title)
    own = held is not None and held.state.issuer.did == node.did
    if held is not None and own and is_local(node, held.state.shipper.did):
        ensure_bill(conn, node, held)


def receiving_platform(node: Node, recipient: TransactionParty | None) -> str:
    """The other platform that is to be told; "" for nobody, or for a party of our own."""
    code = platform_code(node)
    return "" if recipient is None or recipient.platform == code else recipient.platform


def terms(node: Node, document: Mapping[str, JsonValue], registry: str | None) -> rules.Terms:
    """The terms under which this platform looks at a bill that it sends: as a receiver does."""
    return rules.terms_of(
        document,
        possession_recorded=registry is not None,
        is_bank=lambda party: is_bank(node, party),
    )


def is_local(node: Node, did: str | None) -> bool:
    """Whether a party has its account at this very platform."""
    return did is not None and platform_of(partners.members_of(node), did) == platform_code(node)


def state_text(state: ChainState) -> str:
    """Where a bill is by its chain, as it is kept."""
    return strict_json.canonical(state_json(state)).decode()


MOVING = frozenset({Action.ISSUE, Action.TRANSFER, Action.SREJ})
