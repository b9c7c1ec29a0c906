"""Issuing: examine, ask the member list for the right, sign, and keep it all in one transaction.

The document, its status entry, its log leaf and its event commit together or not at all (R8).
The same bytes issued again give the document that is there; other bytes under a number in use are
refused, unless the earlier document was revoked, which the new one then replaces. Nothing is signed
without the approvals that the desk's policy asks for, whoever calls (R26).
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledger import log
from node.aeo import rows as aeo_rows
from node.balance.drawing import require_drawn
from node.basis import flagging as basis
from node.basis import pinned
from node.documents import documents, status
from node.documents.documents import ISSUED, StoredDocument
from node.documents.signing import Signing, signing
from node.review import approving
from node.ships import rows as ship_rows
from node.store import events
from protocols import times
from protocols.credentials import credential, sd_credential
from protocols.credentials.credential import SALT_BYTES, CredentialClaims, DocumentFile, PayloadInfo
from protocols.credentials.status_list import SUSPENSION, StatusEntry
from protocols.log import leaf
from protocols.log.leaf import LeafKind
from protocols.member_list import Freshness
from protocols.rights import countries_of, country_of_right
from schemas import registry
from schemas.errors import ConflictError, ForbiddenError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.orders import IssueOrder
    from node.runtime import Node
    from protocols.member_list import MemberList
    from schemas.findings import Finding
    from schemas.view import DocumentType, View

DEFAULT_TERM = timedelta(days=730)
MAX_NUMBER = 200


@dataclass(frozen=True, slots=True)
class Examined:
    """A document that may be issued: type, view, countries and dates."""

    order: IssueOrder
    type: DocumentType
    view: View
    export_country: str | None
    import_country: str | None
    consignment: str | None
    valid_from: datetime
    valid_until: datetime
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """The stored document, whether it was made just now, and what might be better in it."""

    document: StoredDocument
    fresh: bool
    warnings: tuple[Finding, ...] = ()


def examine(order: IssueOrder, node: Node) -> Examined:
    """Everything that is asked before signing.

    Raises RefusedError `document_type_unclear`, `unknown_document_type`, `document_has_errors`
    (with its findings), `document_expired`, `member_list_expired`; ForbiddenError
    `right_to_issue_missing`; NotFoundError `no_network`; Malformed and TooLarge of the readers.
    """
    members = require_fresh(node)
    key = order.type or registry.detect(order.payload, order.media_type)
    if key is None:
        raise RefusedError("document_type_unclear", "say which type it is")
    document_type = registry.get(key)
    examination = registry.examine(key, order.payload)
    if examination.errors:
        raise RefusedError(
            "document_has_errors",
            f"findings that refuse it: {len(examination.errors)}",
            findings=examination.findings,
        )
    if not 0 < len(examination.view.number) <= MAX_NUMBER:
        raise RefusedError("document_without_number", "a document has a number of its own")
    examined = _dated(order, document_type, examination.view, members, node)
    return replace(examined, warnings=examination.findings)


def require_fresh(node: Node) -> MemberList:
    """The list in force, not expired (R6); NotFoundError `no_network`, `member_list_expired`."""
    members = node.members.current
    if members is None:
        raise RefusedError("outside_a_network", "this node is in no network yet")
    if members.freshness(node.clock.now()) is not Freshness.FRESH:
        raise RefusedError("member_list_expired", "the list must be renewed first")
    return members


def _dated(
    order: IssueOrder, document_type: DocumentType, view: View, members: MemberList, node: Node
) -> Examined:
    _require_agreement(order, view)
    now = times.from_ms(node.clock.now_ms())
    until = order.valid_until or view.valid_until or now + DEFAULT_TERM
    if until <= now:
        raise RefusedError("document_expired", "its own date of expiry has passed")
    export = order.export_country or view.export_country
    right = country_of_right(members, node.did, document_type, export_country=export, at=now)
    if right is None:
        home = members.node(node.did)
        wanted = countries_of(document_type, home.country if home else "", export)
        raise ForbiddenError(
            "right_to_issue_missing",
            f"{node.did} may not issue {document_type.key} for {' or '.join(wanted)}",
        )
    return Examined(
        order,
        document_type,
        view,
        export,
        order.import_country or view.import_country,
        order.consignment or view.consignment,
        now,
        until,
    )


def _require_agreement(order: IssueOrder, view: View) -> None:
    """What the order adds must not contradict what the document itself says."""
    pairs = (
        ("consignment", order.consignment, view.consignment),
        ("exportCountry", order.export_country, view.export_country),
        ("importCountry", order.import_country, view.import_country),
    )
    for name, ordered, said in pairs:
        if ordered is not None and said is not None and ordered != said:
            raise RefusedError(
                "order_contradicts_document", f"the document says {said}", pointer=f"/{name}"
            )


def issue(conn: Connection, examined: Examined, node: Node, members: MemberList) -> Issued:
    """Sign and keep it in the caller's transaction; ConflictError `document_number_used`.

    Raises RefusedError `document_has_errors` when it pins a proof by another digest than it has
    (BAS-003), `back_to_back_not_drawn` when its original's quantity was not reserved, and as
    `approving.for_issue`.
    """
    order = examined.order
    data = order.data
    payload = PayloadInfo.of(data, examined.type.media_type)
    earlier = _earlier(conn, examined)
    for one in earlier:
        if one.revoked_at is None and _is_same(one, payload, order):
            return Issued(one, fresh=False, warnings=examined.warnings)
        if one.revoked_at is None:
            raise ConflictError(
                "document_number_used",
                "another document with this type and number is in force",
                document=one.digest.hex(),
            )
    unsure = _require_basis(conn, examined)
    approved = approving.for_issue(conn, node, examined)
    require_drawn(conn, examined)
    replaces = earlier[-1].digest if earlier else None
    entries = _entries(conn, node.did)
    claims = _claims(examined, node.did, members, payload, entries, replaces)
    with_keys = signing(node, members)
    file = with_keys.countersign(_signed(claims, data, with_keys, order), members.network)
    for entry in entries:
        status.assign(conn, entry, file.digest)
    now_ms = node.clock.now_ms()
    kind = LeafKind.AMEND if replaces else LeafKind.ISSUE
    added = _append(conn, kind, claims.subject_digest(), claims.salt, file.digest, now_ms)
    documents.put_issued(conn, claims, file, leaf=added, now_ms=now_ms)
    events.record(
        conn,
        kind="issued",
        at=now_ms,
        document=file.digest,
        consignment=claims.consignment,
        actor=node.did,
        leaf=added,
        detail={"type": claims.document_type, "number": claims.number, **approved},
    )
    stored = documents.require(conn, file.digest)
    aeo_rows.note(conn, stored, now_ms)
    basis.note(conn, node, stored)
    ship_rows.note(conn, stored)
    return Issued(stored, fresh=True, warnings=(*examined.warnings, *unsure))


def _require_basis(conn: Connection, examined: Examined) -> tuple[Finding, ...]:
    """What is not known of the proofs that it stands on, to be shown; a wrong digest is refused."""
    found = pinned.findings(conn, examined.type.key, examined.order.payload)
    if pinned.errors(found):
        raise RefusedError("document_has_errors", "a proof it stands on is another", findings=found)
    return found


def _is_same(one: StoredDocument, payload: PayloadInfo, order: IssueOrder) -> bool:
    """Whether `one` is what the order asks for: these bytes, in that form."""
    form = DocumentFile.from_bytes(one.file).form
    kept = form if form in sd_credential.FORMS else None
    return one.payload_digest == payload.digest and kept == order.form


def _signed(
    claims: CredentialClaims, data: bytes, keys: Signing, order: IssueOrder
) -> DocumentFile:
    if order.form is None:
        return credential.issue(claims, data, keys.signer, x5c=keys.x5c)
    return sd_credential.issue(
        claims,
        data,
        keys.signer,
        x5c=keys.x5c,
        salts=secrets.token_bytes,
        form=order.form,
        holder=order.holder,
    )


def _earlier(conn: Connection, examined: Examined) -> list[StoredDocument]:
    return documents.find(conn, type=examined.type.key, number=examined.view.number, origin=ISSUED)


def _entries(conn: Connection, did: str) -> tuple[StatusEntry, StatusEntry]:
    """A place to be revoked and a place to be suspended, each drawn by itself."""
    return (
        status.allocate(conn, did, secrets.randbelow),
        status.allocate(conn, did, secrets.randbelow, SUSPENSION),
    )


def _claims(
    examined: Examined,
    did: str,
    members: MemberList,
    payload: PayloadInfo,
    entries: tuple[StatusEntry, StatusEntry],
    replaces: bytes | None,
) -> CredentialClaims:
    return CredentialClaims(
        id=f"urn:uuid:{uuid.uuid4()}",
        credential_type=examined.type.credential_type,
        issuer=did,
        network=members.network,
        valid_from=examined.valid_from,
        valid_until=examined.valid_until,
        status=entries[0],
        suspension=entries[1],
        document_type=examined.type.key,
        number=examined.view.number,
        salt=secrets.token_bytes(SALT_BYTES),
        payload=payload,
        consignment=examined.consignment,
        export_country=examined.export_country,
        import_country=examined.import_country,
        replaces=replaces,
    )


def _append(
    conn: Connection, kind: LeafKind, subject: bytes, salt: bytes, digest: bytes, now_ms: int
) -> bytes:
    return log.remember(conn, kind, subject, leaf.commit(salt, digest), now_ms).hash


def append_status(conn: Connection, document: StoredDocument, now_ms: int) -> bytes:
    """The leaf of a change of the document's status (R18: salted, no reason in it)."""
    return _append(conn, LeafKind.STATUS, document.subject, document.salt, document.digest, now_ms)
