"""From what a holder wants to what is sent: chain, entry, manifest, envelope, in one transaction.

The entry is signed before the deed is handed to the arbiter, because the arbiter's operation names
it (R20); it leaves this platform only when the deed is final there. Whether any platform could take
it is asked of the same rules that the receiver has, before anything is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.pint import outgoing, rows
from node.pint.beginning import (
    MOVING,
    Supporting,
    ensure_bill,
    history_of,
    receiving_platform,
    state_text,
    terms,
)
from node.pint.building import (
    Deed,
    Opening,
    Parties,
    entry_after,
    outstanding,
    transactions_in,
    transactions_of,
)
from node.pint.keys import platform_code, platform_signer
from node.pint.outgoing import BUILDING, SENDING, Outgoing
from node.pint.tables import bills as bills_table
from node.store import events
from node.title import making, partners
from node.title.following import host_of
from node.title.making import Order
from node.title.tables import titles as titles_table
from node.tracking.policy import keeper_of
from protocols.pint import rules
from protocols.pint.chain import open_entry
from protocols.pint.envelope import (
    DocumentMetadata,
    envelope,
    open_envelope_manifest,
    read_envelope,
)
from protocols.pint.registries import offered_entry
from protocols.pint.transactions import Transaction
from protocols.pint.words import ENDORSEMENTS, SURRENDERS, TO_TITLE, Action
from protocols.title.machine import Kind, State
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.pint.rows import StoredBill
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.pint.chain import ChainEntry
    from protocols.pint.parties import TransactionParty
    from protocols.pint.words import Reason
    from schemas.strict_json import JsonValue

ANSWERS = frozenset({Action.SACC, Action.SREJ})
MAX_DOCUMENT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done with a bill. to, by: DIDs; by: whoever is to act, unless it is said.

    reason: of a surrender for amendment only; comments: of at most 255 characters
    party: the recipient whole, of a bill that no arbiter guards: it need not be in the list
    """

    title: bytes
    action: Action
    to: str | None = None
    by: str | None = None
    reason: Reason | None = None
    comments: str | None = None
    supporting: tuple[Supporting, ...] = ()
    party: TransactionParty | None = None


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

    Raises ConflictError `pint_transfer_active`, `pint_chain_contradicts_title`,
    `title_surrendered`; RefusedError of `rules.apply`; and as `ensure_bill`, `Parties.of` and
    `keys.platform_signer`.
    """
    place = _place(conn, node, held)
    deed = _deed(held, move)
    busy = outgoing.open_of(conn, place.bill.document)
    if busy is not None:
        if _same(busy, deed):
            return busy
        raise ConflictError("pint_transfer_active", busy.entry.hex(), transfer=busy.entry.hex())
    _require_not_surrendered(held, move)
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
    """The same for a bill under no arbiter of this network: a register of records guards it, or
    only the platforms' word.

    Raises NotFoundError `pint_bill_unknown`, RefusedError `tracking_registry_unlisted`,
    ConflictError `pint_transfer_active`.
    """
    bill = rows.bill(conn, document)
    if bill is None:
        raise NotFoundError("pint_bill_unknown", "the bill's transfer chain is not here")
    if bill.registry is not None:
        keeper_of(partners.members_of(node), bill.registry)
    busy = outgoing.open_of(conn, document)
    if busy is not None:
        raise ConflictError("pint_transfer_active", busy.entry.hex(), transfer=busy.entry.hex())
    known = rows.known_chain(conn, document)
    chain = known.texts if known is not None else ()
    value = strict_json.loads_object(bill.body.encode())
    parties = Parties(partners.members_of(node), value, transactions_in(chain))
    return _keep(conn, node, _Place(bill, value, chain, parties, ()), made, BUILDING, supporting)


def require_possible(conn: Connection, node: Node, held: StoredTitle, move: Move) -> None:
    """Raise what the rules say against a deed that the next entry will have to tell.

    The arbiter does not know who is a bank, so it lets a straight bill pass to anybody. Nothing is
    said where no chain of the bill is here.
    """
    _require_not_surrendered(held, move)
    try:
        place = _place(conn, node, held)
    except NotFoundError:
        return
    made = transactions_of((*place.left, _deed(held, move)), place.parties, node.clock.now())
    _require_rules(node, place, _entry(node, place, made))


def _require_not_surrendered(held: StoredTitle, move: Move) -> None:
    kind = TO_TITLE[move.action]
    if kind is not None:
        making.require_not_surrendered(held.state, Order(kind))


def require_envelope(node: Node, order: Order) -> None:
    """Between platforms possession moves with an envelope (R20): no chain leads to it otherwise.

    Raises RefusedError `pint_envelope_needed` for what is ordered at the arbiter alone.
    """
    if order.to is None or order.kind not in (Kind.TRANSFER, Kind.OFFER):
        return
    members = partners.members_of(node)
    ours = members.node(node.did)
    theirs = members.node(host_of(members, order.to) or order.to)
    codes = {each.platform for each in (ours, theirs) if each is not None}
    if len(codes - {None}) > 1:
        raise RefusedError("pint_envelope_needed", f"{order.to} has its account elsewhere")


def _entry(node: Node, place: _Place, made: Sequence[Transaction]) -> ChainEntry:
    opening = Opening(place.bill.issuance, place.bill.registry)
    return entry_after(place.chain, platform_code(node), place.document, made, opening)


def _require_rules(node: Node, place: _Place, entry: ChainEntry) -> None:
    """The receiver's own rules over the chain with one more entry; raises as `rules.apply`."""
    entries = [open_entry(text).entry for text in place.chain]
    rules.replay([*entries, entry], terms(node, place.document, place.bill.registry))


def untitled_deed(conn: Connection, node: Node, document: bytes, move: Move) -> Transaction:
    """The deed with a bill under no arbiter, by what its chain says; `move.title` is not looked at.

    Raises NotFoundError `pint_bill_unknown`, MalformedError `pint_message_malformed` without a
    recipient, ConflictError `title_surrendered`, and as `Parties.of`.
    """
    bill, known = rows.bill(conn, document), rows.known_chain(conn, document)
    if bill is None or known is None or not known.texts:
        raise NotFoundError("pint_bill_unknown", "the bill's transfer chain is not here")
    value = strict_json.loads_object(bill.body.encode())
    entries = [open_entry(text).entry for text in known.texts]
    state = rules.replay(entries, terms(node, value, bill.registry))
    if state.surrender is not None and state.ended is None and move.action not in ANSWERS:
        raise ConflictError("title_surrendered", f"{state.carrier.name} has not answered")
    parties = Parties(partners.members_of(node), value, transactions_in(known.texts))
    actor = state.possessor if move.by is None else parties.of(move.by)
    recipient = move.party or (None if move.to is None else parties.of(move.to))
    if move.action in SURRENDERS:
        recipient = state.carrier
    elif move.action in ANSWERS:
        recipient = None if state.surrender is None else state.surrender.by
    now = node.clock.now()
    return Transaction(move.action, actor, now, recipient, move.reason, move.comments)


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
    entry = _entry(node, place, made)
    _require_rules(node, place, entry)
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
    # fsck knows by it what a store that lost the row was about to send.
    detail = {"transfer": entry.hex(), "bill": bill.document.hex(), "platform": platform}
    events.record(conn, kind="ebl-begun", at=now, actor=node.did, detail=detail)
    return row


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


def moved_since_told(conn: Connection, limit: int = 500) -> list[bytes]:
    """Titles of bills of this platform that moved after it last spoke of them."""
    query = (
        select(titles_table.c.title)
        .join(bills_table, bills_table.c.title == titles_table.c.title)
        .where(
            titles_table.c.updated_at >= bills_table.c.updated_at,
            bills_table.c.status.in_((rows.HERE, rows.SURRENDERED)),
        )
        .order_by(titles_table.c.updated_at.desc())
        .limit(limit)
    )
    return [bytes(title) for title in conn.execute(query).scalars()]


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


_STATUS = {
    Action.SURRENDER_FOR_DELIVERY: rows.SURRENDERED,
    Action.SURRENDER_FOR_AMENDMENT: rows.SURRENDERED,
    Action.SACC: rows.ENDED,
}
