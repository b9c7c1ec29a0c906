"""From what a holder wants to what is sent: chain, entry, manifest, envelope, in one transaction.

The entry is signed before the deed is handed to the arbiter, because the arbiter's operation names
it (R20); it leaves this platform only when the deed is final there. Whether any platform could take
it is asked of the same rules that the receiver has, before anything is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.documents import documents
from node.ebl import rows as issuances
from node.pint import outgoing, rows
from node.pint.building import (
    Deed,
    Opening,
    Parties,
    carrier_party,
    deeds_of,
    entry_after,
    outstanding,
    platform_of,
    transactions_in,
    transactions_of,
)
from node.pint.judging import is_bank
from node.pint.keys import platform_code, platform_signer
from node.pint.outgoing import BUILDING, SENDING, Outgoing
from node.pint.tables import bills as bills_table
from node.pint.views import state_json
from node.title import partners
from node.title import rows as titles
from node.title.forms import reader
from node.title.tables import bills as title_bills
from node.title.tables import titles as titles_table
from protocols.digest import sha256
from protocols.pint import issuance, rules
from protocols.pint.chain import open_entry, open_manifest
from protocols.pint.envelope import (
    DocumentMetadata,
    envelope,
    open_envelope_manifest,
    read_envelope,
)
from protocols.pint.history import KnownChain
from protocols.pint.reading import checksum_of
from protocols.pint.registries import offered_entry, uri_of
from protocols.pint.words import ENDORSEMENTS, SURRENDERS, Action
from protocols.title import State
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.pint.rows import StoredBill
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.pint.parties import TransactionParty
    from protocols.pint.rules import ChainState
    from protocols.pint.transactions import Transaction
    from protocols.pint.words import Reason
    from schemas.strict_json import JsonValue

ANSWERS = frozenset({Action.SACC, Action.SREJ})
MAX_DOCUMENT = 16 * 1024 * 1024


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


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done with a bill. to, by: DIDs; by: whoever is to act, unless it is said.

    reason: of a surrender for amendment only; comments: of at most 255 characters
    """

    title: bytes
    action: Action
    to: str | None = None
    by: str | None = None
    reason: Reason | None = None
    comments: str | None = None
    supporting: tuple[Supporting, ...] = ()


# -- beginning a chain -------------------------------------------------------------------------


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
    value = strict_json.loads_object(document.payload)
    return start_chain(conn, node, held.title, value, bill.issuance)


def _is_issued_elsewhere(conn: Connection, node: Node, title: bytes) -> bool:
    """Whether this carrier asked a platform to issue the bill (ISS): that one begins its chain."""
    asked = issuances.issuance_of_title(conn, title, issuances.CARRIER)
    if asked is None:
        return False
    return issuance.read_request(asked.body).issue_to.platform != platform_code(node)


def unbegun(conn: Connection, node: Node, limit: int = 50) -> list[bytes]:
    """Titles that this node issued to a party of its own and whose chain has not begun."""
    known = select(bills_table.c.title).where(bills_table.c.title.is_not(None))
    query = (
        select(titles_table.c.title)
        .join(title_bills, title_bills.c.title == titles_table.c.title)
        .where(
            title_bills.c.carrier == node.did,
            title_bills.c.document.is_not(None),
            titles_table.c.title.not_in(known),
        )
        .order_by(titles_table.c.updated_at.desc())
        .limit(limit)
    )
    return [bytes(title) for title in conn.execute(query).scalars()]


def begin(conn: Connection, node: Node, title: bytes) -> None:
    """Begin the chain of an own bill whose first possessor has its account here."""
    held = titles.find(conn, title)
    if held is not None and is_local(node, held.state.shipper.did):
        ensure_bill(conn, node, held)


# -- one more entry ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A bill and what its chain tells, to which an entry is added."""

    bill: StoredBill
    document: Mapping[str, JsonValue]
    chain: tuple[str, ...]
    parties: Parties
    left: tuple[Deed, ...]


def _place(conn: Connection, node: Node, held: StoredTitle) -> _Place:
    members = partners.members_of(node)
    bill = ensure_bill(conn, node, held)
    document = strict_json.loads_object(bill.body.encode())
    known = rows.known_chain(conn, bill.document)
    chain = known.texts if known is not None else ()
    told = transactions_in(chain)
    deeds = history_of(conn, node, held.title)
    return _Place(bill, document, chain, Parties(members, document, told), outstanding(deeds, told))


def prepare(conn: Connection, node: Node, held: StoredTitle, move: Move) -> Outgoing:
    """Sign and keep what a deed needs; the same deed under way is given again.

    Raises ConflictError `pint_transfer_active`, `pint_chain_contradicts_title`; RefusedError of
    `rules.apply`; and as `ensure_bill`, `Parties.of` and `keys.platform_signer`.
    """
    place = _place(conn, node, held)
    deed = _deed(held, move)
    busy = outgoing.open_of(conn, place.bill.document)
    if busy is not None:
        if _same(busy, deed):
            return busy
        raise ConflictError("pint_transfer_active", busy.entry.hex(), transfer=busy.entry.hex())
    made = transactions_of((*place.left, deed), place.parties, node.clock.now())
    return _keep(conn, node, place, made, BUILDING, move.supporting)


def prepare_news(conn: Connection, node: Node, held: StoredTitle) -> Outgoing | None:
    """Sign and keep the entry for deeds that are final at the arbiter and not in the chain yet.

    None when the chain tells everything, or when what is left is not this platform's to tell.
    """
    place = _place(conn, node, held)
    if not place.left:
        return None
    made = transactions_of(place.left, place.parties, node.clock.now())
    if made[-1].actor.platform != platform_code(node):
        return None
    row = _keep(conn, node, place, made, SENDING, ())
    joined(conn, node, row)
    return outgoing.require(conn, row.entry)


def concerns_others(conn: Connection, node: Node, held: StoredTitle) -> bool:
    """Whether the last deed that the chain does not tell is a party's here for one elsewhere.

    Possession that passed to another platform by the arbiter alone is not told: nobody offered the
    chain to that platform, which has to ask for it.
    """
    place = _place(conn, node, held)
    last = place.left[-1] if place.left else None
    if last is None or last.recipient is None or last.action is Action.TRANSFER:
        return False
    here = platform_code(node)
    actor, recipient = place.parties.of(last.actor), place.parties.of(last.recipient)
    return actor.platform == here != recipient.platform


def prepare_untitled(
    conn: Connection,
    node: Node,
    document: bytes,
    made: Sequence[Transaction],
    supporting: Sequence[Supporting] = (),
) -> Outgoing:
    """The same for a bill under no arbiter of this network: only the platforms' word guards it.

    Raises NotFoundError `pint_bill_unknown`, ConflictError `pint_transfer_active`.
    """
    bill = rows.bill(conn, document)
    if bill is None:
        raise NotFoundError("pint_bill_unknown", "the bill's transfer chain is not here")
    busy = outgoing.open_of(conn, document)
    if busy is not None:
        raise ConflictError("pint_transfer_active", busy.entry.hex(), transfer=busy.entry.hex())
    known = rows.known_chain(conn, document)
    chain = known.texts if known is not None else ()
    value = strict_json.loads_object(bill.body.encode())
    parties = Parties(partners.members_of(node), value, transactions_in(chain))
    return _keep(conn, node, _Place(bill, value, chain, parties, ()), made, BUILDING, supporting)


def is_done(row: Outgoing, held: StoredTitle, move: Move) -> bool:
    """Whether an order was carried out before and still stands, so that asking twice does nothing
    twice: bulk work that was cut off goes on where it was."""
    told = row.deed
    recipient = told.recipient.did if told.recipient is not None else None
    if told.action is not move.action or row.state in {outgoing.REFUSED, outgoing.CANCELLED}:
        return False
    state = held.state
    if move.action in SURRENDERS:
        by = state.surrendered_by
        return by is not None and by.did == told.actor.did and move.by in (None, by.did)
    if move.action is Action.SACC:
        return state.state in {State.ACCEPTED, State.ENDED}
    if recipient != move.to and move.action not in ANSWERS:
        return False
    now = state.holder if move.action in ENDORSEMENTS else state.possessor
    return row.state == outgoing.SENDING or (now is not None and now.did == recipient)


def require_current(conn: Connection, node: Node, row: Outgoing, held: StoredTitle) -> None:
    """Raise ConflictError `title_seq_conflict` when the title has moved since the entry was signed:
    it would leave out what was done in between."""
    known = rows.known_chain(conn, row.document)
    texts = (*(known.texts if known is not None else ()), row.text)
    if outstanding(history_of(conn, node, held.title), transactions_in(texts)[:-1]):
        raise ConflictError("title_seq_conflict", "the title has moved", seq=held.state.seq)


def unsent_issue(conn: Connection, node: Node, held: StoredTitle) -> Outgoing | None:
    """The envelope of a chain that holds nothing but the ISSUE to a party elsewhere; else None."""
    place = _place(conn, node, held)
    last = open_entry(place.chain[-1]).last
    elsewhere = last.recipient is not None and last.recipient.platform != platform_code(node)
    if len(place.chain) != 1 or last.action is not Action.ISSUE or not elsewhere:
        return None
    known = outgoing.find(conn, offered_entry(open_entry(place.chain[0]).jws))
    return known or _keep_signed(conn, node, place, (), place.chain[0], SENDING, ())


def _deed(held: StoredTitle, move: Move) -> Deed:
    """Who does what to whom, by the state unless the order says it."""
    state, carrier = held.state, held.state.issuer.did
    possessor = state.possessor.did if state.possessor is not None else carrier
    actor, recipient = move.by or possessor, move.to
    if move.action in SURRENDERS:
        recipient = carrier
    elif move.action in ANSWERS:
        actor = carrier
        recipient = state.surrendered_by.did if state.surrendered_by is not None else carrier
    return Deed(move.action, actor, recipient, move.reason, move.comments)


def _same(row: Outgoing, deed: Deed) -> bool:
    told = row.deed
    recipient = told.recipient.did if told.recipient is not None else None
    return (told.action, told.actor.did, recipient) == (deed.action, deed.actor, deed.recipient)


def _keep(
    conn: Connection,
    node: Node,
    place: _Place,
    made: Sequence[Transaction],
    state: str,
    supporting: Sequence[Supporting],
) -> Outgoing:
    opening = Opening(place.bill.issuance, place.bill.registry)
    entry = entry_after(place.chain, platform_code(node), place.document, made, opening)
    entries = [open_entry(text).entry for text in place.chain]
    rules.replay([*entries, entry], terms(node, place.document, place.bill.registry))
    text = entry.sign(platform_signer(node))
    return _keep_signed(conn, node, place, place.chain, text, state, supporting)


def _keep_signed(
    conn: Connection,
    node: Node,
    place: _Place,
    before: Sequence[str],
    text: str,
    state: str,
    supporting: Sequence[Supporting],
) -> Outgoing:
    now, bill = node.clock.now_ms(), place.bill
    last = open_entry(text)
    platform = receiving_platform(node, last.last.recipient)
    body = b""
    if platform:
        for one in supporting:
            checksum = one.metadata.checksum
            rows.put_document(conn, bill.document, rows.OURS, checksum, one.content, now)
        body = envelope(
            place.document,
            [*before, text],
            platform_signer(node),
            visualisation=picture_of(conn, bill),
            supporting=[one.metadata for one in supporting],
        ).to_bytes()
    entry = offered_entry(last.jws)
    row = Outgoing(
        entry, bill.document, bill.title, platform, text, body, state,
        None, None, None, 0, now, now,
    )  # fmt: skip
    outgoing.put(conn, row)
    return row


def receiving_platform(node: Node, recipient: TransactionParty | None) -> str:
    """The other platform that is to be told; "" for nobody, or for a party of our own."""
    code = platform_code(node)
    return "" if recipient is None or recipient.platform == code else recipient.platform


def picture_of(conn: Connection, bill: StoredBill) -> DocumentMetadata | None:
    """The carrier's visualisation as it was announced when the bill came here, or was issued."""
    own = outgoing.picture(conn, bill.document)
    if own is not None:
        return own
    received = outgoing.newest_envelope(conn, bill.document)
    if received is None:
        return None
    _, manifest = open_envelope_manifest(read_envelope(received).manifest)
    return manifest.visualisation


def terms(node: Node, document: Mapping[str, JsonValue], registry: str | None) -> rules.Terms:
    """The terms under which this platform looks at a bill that it sends: as a receiver does."""
    return rules.terms_of(
        document,
        possession_recorded=registry is not None,
        is_bank=lambda party: is_bank(node, party),
    )


def moved_since_told(conn: Connection, limit: int = 100) -> list[tuple[bytes, int]]:
    """Titles of bills of this platform that moved after it last spoke of them, with their seq."""
    query = (
        select(titles_table.c.title, titles_table.c.seq)
        .join(bills_table, bills_table.c.title == titles_table.c.title)
        .where(
            titles_table.c.updated_at >= bills_table.c.updated_at,
            bills_table.c.status.in_((rows.HERE, rows.SURRENDERED)),
        )
        .order_by(titles_table.c.updated_at.desc())
        .limit(limit)
    )
    return [(bytes(title), seq) for title, seq in conn.execute(query)]


def is_local(node: Node, did: str | None) -> bool:
    """Whether a party has its account at this very platform."""
    return did is not None and platform_of(partners.members_of(node), did) == platform_code(node)


def joined(conn: Connection, node: Node, row: Outgoing) -> None:
    """The entry's deed is final: it is part of the bill's chain from now on, and says where it is.

    Whoever asks twice gets the same: a chain that has the entry keeps it.
    """
    known = rows.known_chain(conn, row.document)
    chain = known.texts if known is not None else ()
    now, action = node.clock.now_ms(), row.deed.action
    if row.text not in chain:
        chain = (*chain, row.text)
        rows.keep_chain(conn, row.document, chain, now)
    bill = rows.bill(conn, row.document)
    assert bill is not None
    status = _STATUS.get(action, bill.status)
    if action in MOVING:
        status = rows.SENT if row.platform else rows.HERE
    if open_entry(chain[-1]).text == row.text:
        # What was told since is newer than this.
        entries = [open_entry(text).entry for text in chain]
        document = strict_json.loads_object(bill.body.encode())
        state = state_text(rules.replay(entries, terms(node, document, bill.registry)))
        rows.put_bill(conn, row.document, now, status=status, state=state)


def state_text(state: ChainState) -> str:
    """Where a bill is by its chain, as it is kept."""
    return strict_json.canonical(state_json(state)).decode()


MOVING = frozenset({Action.ISSUE, Action.TRANSFER, Action.SREJ})
_STATUS = {
    Action.SURRENDER_FOR_DELIVERY: rows.SURRENDERED,
    Action.SURRENDER_FOR_AMENDMENT: rows.SURRENDERED,
    Action.SACC: rows.ENDED,
}
