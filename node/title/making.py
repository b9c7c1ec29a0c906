"""Making operations: who acts, with which key, on which state; a node signs for its own (R20)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from node.documents import documents
from node.title import law, partners, rows
from node.title.following import checksum_of
from protocols.digest import sha256
from protocols.title.machine import Bill, Ending, Issuance, Kind, Operation, Party, State
from protocols.title.operation import (
    SALT_BYTES,
    IssuanceManifest,
    issue_to_checksum,
    read_manifest,
    sign_manifest,
    sign_operation,
)
from protocols.title.registry import arbiter_of
from schemas import titled
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from protocols.keys import SoftwareSigner
    from protocols.member_list import ListedKey, MemberList, RegistryEntry
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import TitleState

DEADLINE = timedelta(hours=24)
OFFER_DEADLINE = timedelta(hours=1)
NOTHING = bytes(32)
CARRIER = frozenset({Kind.ACCEPT_SURRENDER, Kind.REJECT_SURRENDER, Kind.END})
_OFFEREE = frozenset({Kind.ACCEPT_OFFER, Kind.DECLINE_OFFER})
SURRENDER = frozenset({Kind.SURRENDER_FOR_DELIVERY, Kind.SURRENDER_FOR_AMENDMENT})
_RECIPIENT = frozenset({Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER})


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator asks for. to, by: DIDs; entry: digest of what it stands for elsewhere.

    seq: the sequence number it was decided upon; a title that moved since is left alone
    lifetime: of an offer
    """

    kind: Kind
    to: str | None = None
    by: str | None = None
    ending: Ending | None = None
    entry: bytes = NOTHING
    seq: int | None = None
    lifetime: timedelta = OFFER_DEADLINE


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """Which bill is to get a title: holder takes possession; endorsee is the titleholder.

    endorsee: of an order bill; the named consignee of a straight one; none makes a blank bill
    arbiter:  name of a listed arbiter, `evm` or `log` for the first of its kind; "": the default
    issuance: the carrier's manifest where it is signed already, because a platform was asked first
    law:      code of the governing law; "": `title.law`, else that of the carrier's country
    """

    document: bytes
    holder: str
    endorsee: str | None = None
    replaces: bytes | None = None
    arbiter: str = ""
    issuance: str = ""
    law: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """A prepared issuance: the manifest, both signed texts, and the title's id."""

    title: bytes
    manifest: IssuanceManifest
    issuance: str
    operation: str


def title_key(members: MemberList, did: str, at: datetime) -> ListedKey | None:
    """The youngest title key of a party or member that is valid at `at`."""
    owner = members.party(did) or members.node(did)
    keys = owner.keys if owner else ()
    fitting = [key for key in keys if key.purpose == "title" and key.valid_at(at)]
    return max(fitting, key=lambda key: key.valid_from, default=None)


def recipient(members: MemberList, did: str, at: datetime) -> Party:
    """A party as an operation names it; raises RefusedError `title_recipient_not_listed`."""
    key = title_key(members, did, at)
    if key is None:
        raise RefusedError("title_recipient_not_listed", f"{did} has no listed title key")
    return Party(did, key.public.thumbprint())


def signer_for(node: Node, party: Party) -> SoftwareSigner:
    """The private key of a party hosted here, or of the node itself (R20).

    Raises ForbiddenError `title_key_not_held`.
    """
    members = partners.members_of(node)
    owner = members.party(party.did) or members.node(party.did)
    for key in owner.keys if owner else ():
        if key.purpose == "title" and key.public.thumbprint() == party.key:
            try:
                return node.keys.signer_for(key.kid)
            except NotFoundError:
                break
    raise ForbiddenError("title_key_not_held", f"the title key of {party.did} is not here")


def arbiter_named(node: Node, name: str) -> RegistryEntry | ArbiterEntry:
    """The arbiter for a new title: by name or origin; `log` and `evm` take the first of the kind.

    Without a name our own registry, else the first registry, else the first chain that the list
    names. Raises RefusedError `title_arbiter_unknown`.
    """
    members = partners.members_of(node)
    frozen = partners.freezes_of(node)
    standing = [entry for entry in members.registries if arbiter_of(entry).id not in frozen]
    logs = sorted(standing, key=lambda entry: entry.did != node.did)
    chosen: list[RegistryEntry | ArbiterEntry] = [*logs, *members.arbiters]
    if name == "log":
        chosen = [*logs]
    elif name == "evm":
        chosen = [*members.arbiters]
    elif name:
        chosen = [entry for entry in logs if entry.origin == name]
        chosen += [entry for entry in members.arbiters if entry.name == name]
    if not chosen:
        asked = f"no arbiter {name}" if name else "no title arbiter"
        raise RefusedError("title_arbiter_unknown", f"the member list names {asked}")
    return chosen[0]


def arbiter_id(node: Node, name: str) -> bytes:
    """The id of the arbiter that a title is issued under; raises `title_arbiter_unknown`."""
    from protocols.members.arbiters import ArbiterEntry

    entry = arbiter_named(node, name)
    return entry.id if isinstance(entry, ArbiterEntry) else arbiter_of(entry).id


# -- issuing -----------------------------------------------------------------------------------


def prepare_issue(
    conn: Connection, node: Node, order: IssueOrder, registry: RegistryEntry
) -> Issue:
    """Manifest and ISSUE for an own bill; reads the store, writes nothing.

    Raises RefusedError `title_not_a_bill`, `title_document_not_negotiable`, `title_no_legal_basis`,
    `title_recipient_not_listed`, ConflictError `title_document_taken`, ForbiddenError
    `title_key_not_held`.
    """
    members, now = partners.members_of(node), node.clock.now()
    document, bill = bill_of(conn, order)
    require_untitled(conn, order.document)
    arbiter = arbiter_of(registry)
    holder = recipient(members, order.holder, now)
    endorsee = recipient(members, order.endorsee, now) if order.endorsee else None
    manifest = manifest_of(node, order, arbiter.id, document)
    sender = recipient(members, node.did, now)
    signer = signer_for(node, sender)
    operation = Operation(
        network=members.network,
        arbiter=arbiter.id,
        title=manifest.title(),
        seq=0,
        kind=Kind.ISSUE,
        sender=sender,
        recipient=holder,
        entry=sha256(manifest.to_bytes()),
        deadline=now + DEADLINE,
        issuance=Issuance(bill, endorsee, order.replaces),
    )
    return Issue(
        title=operation.title,
        manifest=manifest,
        issuance=order.issuance or sign_manifest(manifest, signer),
        operation=sign_operation(operation, signer),
    )


def manifest_of(
    node: Node, order: IssueOrder, arbiter: bytes, document: StoredDocument
) -> IssuanceManifest:
    """The manifest that makes the title's id: the one signed before, or a new one (R19).

    Raises RefusedError `title_not_a_bill` when the one signed before is about something else, and
    `title_law_unlisted`.
    """
    members = partners.members_of(node)
    checksum = checksum_of(document)
    assert checksum is not None
    if order.issuance:
        _, manifest = read_manifest(order.issuance)
        said = (manifest.network, manifest.arbiter, manifest.carrier, manifest.document_checksum)
        if said != (members.network, arbiter, node.did, checksum):
            raise RefusedError("title_not_a_bill", "the manifest is about another bill or arbiter")
        return manifest
    holder, party = recipient(members, order.holder, node.clock.now()), members.party(order.holder)
    return IssuanceManifest(
        network=members.network,
        arbiter=arbiter,
        carrier=node.did,
        reference=document.number,
        document_checksum=checksum,
        issue_to_checksum=issue_to_checksum(holder, party.name if party else order.holder),
        salt=secrets.token_bytes(SALT_BYTES),
        law=law.law_for(node, order.law),
        rulebook=law.rulebook_for(node),
    )


def bill_of(conn: Connection, order: IssueOrder) -> tuple[StoredDocument, Bill]:
    """The document that is to carry title, and how that passes; `schemas.titled` says which do."""
    document = documents.require(conn, order.document)
    if document.origin != documents.ISSUED:
        raise RefusedError("title_not_a_bill", "the document is not issued here")
    if document.revoked_at is not None:
        raise RefusedError("title_not_a_bill", "the document was revoked")
    endorsee = order.endorsee is not None
    return document, Bill(titled.kind_of(document.type, document.payload, endorsee=endorsee))


def require_untitled(conn: Connection, document: bytes) -> None:
    for title in rows.titles_of(conn, document):
        tried = rows.submissions_of(conn, title)
        if any(item.status not in ("refused", "failed") for item in tried):
            raise ConflictError("title_document_taken", title.hex(), title=title.hex())


def succeeding(conn: Connection, node: Node, order: IssueOrder) -> IssueOrder:
    """The order as it names the ended title in whose place the new one comes (MLETR 16 to 18).

    A bill that was amended, or comes back from paper, is tied to what it was under the same
    reference, whether that was asked for or not. Raises ConflictError `title_replaces_unended`,
    `title_already_replaced`.
    """
    if order.replaces is None:
        number = documents.require(conn, order.document).number
        free = [one for one in _own(conn, node, number, order) if not _next(conn, one)]
        newest = max(free, key=lambda one: one.at, default=None)
        return order if newest is None else replace(order, replaces=newest.title)
    held = rows.find(conn, order.replaces)
    if held is None:  # its arbiter says
        return order
    if not _may_be_followed(held.state):
        raise ConflictError("title_replaces_unended", order.replaces.hex())
    if successor := _next(conn, held):
        raise ConflictError("title_already_replaced", successor.hex(), title=successor.hex())
    return order


def _own(
    conn: Connection, node: Node, number: str, order: IssueOrder
) -> Iterator[rows.StoredTitle]:
    """Our own titles for that reference that another may follow under the same arbiter."""
    arbiter = arbiter_id(node, order.arbiter)
    for title in rows.titles_named(conn, number, node.did):
        held = rows.find(conn, title)
        if held is not None and held.arbiter == arbiter and _may_be_followed(held.state):
            yield held


def _may_be_followed(state: TitleState) -> bool:
    return state.ending in (Ending.AMENDED, Ending.PAPER)


def _next(conn: Connection, held: rows.StoredTitle) -> bytes | None:
    return rows.replacing(conn, held.title)


# -- operating ---------------------------------------------------------------------------------


def make_operation(node: Node, arbiter: bytes, state: TitleState, order: Order) -> str:
    """The signed operation on top of a final state.

    Raises ForbiddenError `title_key_not_held`, ConflictError `title_surrendered`, RefusedError
    `title_recipient_not_listed`, `title_request_malformed`.
    """
    require_not_surrendered(state, order)
    members, now = partners.members_of(node), node.clock.now()
    sender = _sender(node, members, state, order, now)
    named = _recipient(members, state, order, now)
    operation = Operation(
        network=members.network,
        arbiter=arbiter,
        title=state.title,
        seq=state.seq,
        kind=order.kind,
        sender=sender,
        recipient=named,
        entry=entry_of(state, order),
        deadline=now + DEADLINE,
        expires=now + order.lifetime if order.kind is Kind.OFFER else None,
        ending=ending_of(state, order),
    )
    return sign_operation(operation, signer_for(node, sender))


def require_not_surrendered(state: TitleState, order: Order) -> None:
    """Said before a key is looked for: by surrender the carrier possesses the bill, and its key is
    elsewhere. Raises ConflictError `title_surrendered`."""
    if state.state not in (State.SURRENDERED, State.ACCEPTED) or order.kind in CARRIER:
        return
    waits = "which has not answered" if state.state is State.SURRENDERED else "which accepted it"
    raise ConflictError(
        "title_surrendered", f"it was surrendered to {state.issuer.did}, {waits}", seq=state.seq
    )


def _recipient(members: MemberList, state: TitleState, order: Order, now: datetime) -> Party | None:
    """Whom the operation names; a surrender may name its own carrier, which it goes to anyhow."""
    require_recipient(order)
    if order.to is None:
        return None
    if order.kind in SURRENDER and order.to == state.issuer.did:
        return state.issuer
    return recipient(members, order.to, now)


def require_recipient(order: Order) -> None:
    """Raises MalformedError `title_request_malformed` where one is missing or does not belong."""
    if (order.to is not None) != (order.kind in _RECIPIENT) and order.kind not in SURRENDER:
        takes = "needs" if order.kind in _RECIPIENT else "does not take"
        raise MalformedError(
            "title_request_malformed", f"{order.kind.value} {takes} a recipient", pointer="/to"
        )


def _sender(
    node: Node, members: MemberList, state: TitleState, order: Order, now: datetime
) -> Party:
    """Who acts: the party asked for, with the key that the state knows it by."""
    known = expected(state, order.kind)
    if order.by is None and known is not None:
        return known if order.kind not in CARRIER else recipient(members, node.did, now)
    did = order.by or node.did
    if known is not None and known.did == did and order.kind not in CARRIER:
        return known
    return recipient(members, did, now)


def expected(state: TitleState, kind: Kind) -> Party | None:
    """Who is to act by the state."""
    if kind in CARRIER:
        return state.issuer
    if kind in _OFFEREE:
        return state.offer.recipient if state.offer else None
    return state.possessor


def entry_of(state: TitleState, order: Order) -> bytes:
    """The entry digest; whoever accepts repeats that of the offer."""
    offered = order.kind is Kind.ACCEPT_OFFER and order.entry == NOTHING and state.offer
    return state.offer.entry if offered and state.offer else order.entry


def ending_of(state: TitleState, order: Order) -> Ending | None:
    """How END ends it: as asked, else as the surrender was for."""
    if order.kind is not Kind.END:
        return None
    delivery = state.purpose is Kind.SURRENDER_FOR_DELIVERY
    return order.ending or (Ending.DELIVERED if delivery else Ending.AMENDED)
