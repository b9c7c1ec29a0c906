"""Documents in the store: synchronous functions over a passed connection.

A received document enters through `put_received`, which takes only a `Verified` one (DESIGN §1.4);
one whose verdict is INDETERMINATE may be kept, marked so, by `put_undecided`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from node.documents.tables import documents, recipients
from node.store import dialect
from protocols import times
from protocols.credentials import sd_credential
from protocols.credentials.credential import DocumentFile
from protocols.credentials.status_list import REVOCATION, SUSPENSION, StatusEntry
from protocols.digest import sha256
from schemas import strict_json
from schemas.errors import NotFoundError, TooLargeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from protocols.credentials.credential import CredentialClaims
    from protocols.verify import Document, Verified
    from schemas.findings import Report

ISSUED, RECEIVED = "issued", "received"
MAX_PAGE = 500
MAX_ALL = 10_000


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One row. file are the bytes as issued or received; times are milliseconds UTC."""

    n: int
    digest: bytes
    type: str
    number: str
    consignment: str | None
    issuer: str
    export_country: str | None
    import_country: str | None
    subject: bytes
    salt: bytes = field(repr=False)
    payload_digest: bytes
    payload_type: str
    media_type: str
    file: bytes = field(repr=False)
    valid_from: int
    valid_until: int
    status_list_url: str
    status_index: int
    suspension_list_url: str | None
    suspension_index: int | None
    origin: str
    received_at: int
    sender: str | None
    verdict: str | None
    report: str | None = field(repr=False)
    leaf: bytes | None
    revoked_at: int | None
    suspended_at: int | None

    @property
    def status(self) -> StatusEntry:
        """Where its revocation would stand."""
        return StatusEntry(self.status_list_url, self.status_index)

    @property
    def suspension(self) -> StatusEntry | None:
        """Where its suspension would stand, if its credential has such an entry."""
        if self.suspension_list_url is None or self.suspension_index is None:
            return None
        return StatusEntry(self.suspension_list_url, self.suspension_index, SUSPENSION)

    @property
    def status_lists(self) -> tuple[str, ...]:
        """The names of the status lists it depends on."""
        entries = (self.status, self.suspension)
        return tuple(entry.list_url for entry in entries if entry is not None)

    @property
    def payload(self) -> bytes:
        """The document's own bytes."""
        return DocumentFile.from_bytes(self.file).payload

    def to_json(self) -> dict[str, Any]:
        """For the API: without file, salt and report."""
        body = {
            "digest": self.digest.hex(),
            "type": self.type,
            "number": self.number,
            "consignment": self.consignment,
            "issuer": self.issuer,
            "exportCountry": self.export_country,
            "importCountry": self.import_country,
            "payloadDigest": self.payload_digest.hex(),
            "payloadType": self.payload_type,
            "mediaType": self.media_type,
            "size": len(self.file),
            "validFrom": times.to_text(times.from_ms(self.valid_from)),
            "validUntil": times.to_text(times.from_ms(self.valid_until)),
            "origin": self.origin,
            "receivedAt": times.to_text(times.from_ms(self.received_at)),
            "sender": self.sender,
            "verdict": self.verdict,
            "leaf": self.leaf.hex() if self.leaf else None,
            "status": {
                "list": self.status_list_url,
                "index": self.status_index,
                "revoked": self.revoked_at is not None,
                "revokedAt": _moment(self.revoked_at),
                "suspended": self.suspended_at is not None,
                "suspendedAt": _moment(self.suspended_at),
                "suspensionList": self.suspension_list_url,
                "suspensionIndex": self.suspension_index,
            },
        }
        return {name: value for name, value in body.items() if value is not None}


def _moment(ms: int | None) -> str | None:
    return None if ms is None else times.to_text(times.from_ms(ms))


def put_issued(
    conn: Connection, claims: CredentialClaims, file: DocumentFile, *, leaf: bytes, now_ms: int
) -> None:
    """Keep what this node issued."""
    values = _values(claims, file, now_ms) | {"origin": ISSUED, "leaf": leaf}
    conn.execute(insert(documents).values(**values))


def put_received(
    conn: Connection,
    verified: Verified[Document],
    *,
    sender: str,
    now_ms: int,
    leaf: bytes | None = None,
) -> bool:
    """Keep a verified document; False when it is here already, which then stays as it was.

    A copy that was not verified gives way: its signature may be anybody's, while the digest, which
    is the payload's, is the same.
    """
    document, report = verified.value, verified.report
    if _put(conn, document, report, sender, now_ms, leaf):
        return True
    values = _received_values(document, report, sender, now_ms, leaf)
    undecided = (
        documents.c.digest == document.digest,
        documents.c.origin == RECEIVED,
        documents.c.verdict != Outcome.PASSED.value,
    )
    changed = conn.execute(update(documents).where(*undecided).values(**values))
    if changed.rowcount == 0 and document.file.presented:
        _widen(conn, document.file)
    return changed.rowcount > 0


def _widen(conn: Connection, file: DocumentFile) -> None:
    """Another presentation of a document that is here: keep what either of them discloses."""
    held = require(conn, file.digest)
    data = sd_credential.combined(held.file, file.to_bytes())
    wider = DocumentFile.from_bytes(data)
    values = {"file": data, "payload_digest": sha256(wider.payload)}
    if wider.payload != held.payload:
        conn.execute(update(documents).where(documents.c.digest == file.digest).values(**values))


def put_undecided(
    conn: Connection,
    document: Document,
    report: Report,
    *,
    sender: str,
    now_ms: int,
    leaf: bytes | None = None,
) -> bool:
    """Keep a document about which not everything could be found out yet; it changes no state."""
    if report.verdict is not Outcome.INDETERMINATE:
        raise ValueError("only an undecided document is kept this way")
    return _put(conn, document, report, sender, now_ms, leaf)


def _put(
    conn: Connection,
    document: Document,
    report: Report,
    sender: str,
    now_ms: int,
    leaf: bytes | None,
) -> bool:
    values = _received_values(document, report, sender, now_ms, leaf)
    return dialect.insert_or_ignore(conn, documents, values)


def _received_values(
    document: Document, report: Report, sender: str, now_ms: int, leaf: bytes | None
) -> dict[str, Any]:
    return _values(document.claims, document.file, now_ms) | {
        "consignment": document.claims.consignment or document.view.consignment,
        "origin": RECEIVED,
        "sender": sender,
        "leaf": leaf,
        **_report_values(report),
    }


def _report_values(report: Report) -> dict[str, Any]:
    text = strict_json.canonical(report.to_json()).decode()
    return {"verdict": report.verdict.value, "report": text}


def _values(claims: CredentialClaims, file: DocumentFile, now_ms: int) -> dict[str, Any]:
    return stated(claims, file) | {"received_at": now_ms}


def stated(claims: CredentialClaims, file: DocumentFile) -> dict[str, Any]:
    """The columns of a row that follow from the document's file alone."""
    return {
        "digest": file.digest,
        "type": claims.document_type,
        "number": claims.number,
        "consignment": claims.consignment,
        "issuer": claims.issuer,
        "export_country": claims.export_country,
        "import_country": claims.import_country,
        "subject": claims.subject_digest(),
        "salt": claims.salt,
        "payload_digest": claims.payload.digest,
        "payload_type": claims.payload.media_type,
        "media_type": file.media_type,
        "file": file.to_bytes(),
        "valid_from": times.to_ms(claims.valid_from),
        "valid_until": times.to_ms(claims.valid_until),
        "status_list_url": claims.status.list_url,
        "status_index": claims.status.index,
        "suspension_list_url": claims.suspension.list_url if claims.suspension else None,
        "suspension_index": claims.suspension.index if claims.suspension else None,
    }


def set_report(conn: Connection, digest: bytes, report: Report) -> None:
    """Put a newer report and its verdict in the place of the old one."""
    change = update(documents).where(documents.c.digest == digest)
    conn.execute(change.values(**_report_values(report)))


def get(conn: Connection, digest: bytes) -> StoredDocument | None:
    """The document with that identity."""
    return _one(conn, select(documents).where(documents.c.digest == digest))


def require(conn: Connection, digest: bytes) -> StoredDocument:
    """The document with that identity; raises NotFoundError `document_not_here`."""
    found = get(conn, digest)
    if found is None:
        raise NotFoundError("document_not_here", "no document with this digest is here")
    return found


def find(
    conn: Connection,
    *,
    type: str | None = None,  # noqa: A002 the column's word
    consignment: str | None = None,
    number: str | None = None,
    origin: str | None = None,
    after: int = 0,
    limit: int = MAX_PAGE,
) -> list[StoredDocument]:
    """Documents in the order they came, at most min(limit, 500), numbered above `after`."""
    query = select(documents).where(documents.c.n > after)
    wanted = {"type": type, "consignment": consignment, "number": number, "origin": origin}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(documents.c[name] == value)
    page = query.order_by(documents.c.n).limit(max(1, min(limit, MAX_PAGE)))
    return [_stored(row) for row in conn.execute(page)]


def of_types(
    conn: Connection,
    types: Collection[str],
    *,
    consignment: str | None = None,
    number: str | None = None,
) -> list[StoredDocument]:
    """The first 500 documents of these types, of one consignment or with one number."""
    query = select(documents).where(documents.c.type.in_(types))
    for name, value in (("consignment", consignment), ("number", number)):
        if value is not None:
            query = query.where(documents.c[name] == value)
    return [_stored(row) for row in conn.execute(query.order_by(documents.c.n).limit(MAX_PAGE))]


def find_all(
    conn: Connection,
    *,
    type: str | None = None,  # noqa: A002 the column's word
    consignment: str | None = None,
) -> list[StoredDocument]:
    """As `find`, without an end to the page: what is decided on must not depend on who sent first.

    Raises TooLargeError `documents_too_many` beyond 10 000.
    """
    found: list[StoredDocument] = []
    while len(found) <= MAX_ALL:
        after = found[-1].n if found else 0
        page = find(conn, type=type, consignment=consignment, after=after)
        if not page:
            return found
        found += page
    raise TooLargeError("documents_too_many", f"more than {MAX_ALL} documents")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands by what is marked here, without its file. index: in the list asked."""

    digest: bytes
    issuer: str
    index: int
    marked: bool


#: Per purpose: where the entry stands, and since when its bit is set.
_PLACES = {
    REVOCATION: (documents.c.status_list_url, documents.c.status_index, documents.c.revoked_at),
    SUSPENSION: (
        documents.c.suspension_list_url,
        documents.c.suspension_index,
        documents.c.suspended_at,
    ),
}


def on_list(conn: Connection, url: str, purpose: str) -> list[Standing]:
    """Documents whose entry of that purpose stands in that list."""
    named, index, since = _PLACES[purpose]
    query = select(documents.c.digest, documents.c.issuer, index, since).where(named == url)
    rows = conn.execute(query)
    return [Standing(bytes(row[0]), row[1], row[2], row[3] is not None) for row in rows]


def mark(conn: Connection, digest: bytes, purpose: str, since_ms: int | None) -> None:
    """What the signed list says; a revocation counts from the first time and stays."""
    since = _PLACES[purpose][2]
    this = update(documents).where(documents.c.digest == digest)
    if since_ms is not None:
        this = this.where(since.is_(None))
    elif purpose == REVOCATION:
        raise ValueError("a revocation is not taken back")
    conn.execute(this.values({since: since_ms}))


def add_recipient(conn: Connection, digest: bytes, did: str, now_ms: int) -> None:
    """Remember to whom a document went: revocations follow it (R11)."""
    values = {"digest": digest, "did": did, "at": now_ms, "told": ""}
    dialect.insert_or_ignore(conn, recipients, values)


def recipients_of(conn: Connection, digest: bytes) -> list[str]:
    """To whom the document went from here."""
    query = select(recipients.c.did).where(recipients.c.digest == digest)
    return list(conn.execute(query.order_by(recipients.c.at, recipients.c.did)).scalars())


def untold(conn: Connection, digests: Sequence[bytes], standing: str) -> dict[str, list[bytes]]:
    """Per recipient, which of these documents it was sent and not last told to stand so."""
    query = select(recipients.c.did, recipients.c.digest).where(
        recipients.c.digest.in_(digests), recipients.c.told != standing
    )
    found: dict[str, list[bytes]] = {}
    for did, digest in conn.execute(query.order_by(recipients.c.did, recipients.c.at)):
        found.setdefault(did, []).append(bytes(digest))
    return found


def mark_told(conn: Connection, digests: Sequence[bytes], did: str, standing: str) -> None:
    """How these documents stand is on its way to that recipient."""
    conn.execute(
        update(recipients)
        .where(recipients.c.digest.in_(digests), recipients.c.did == did)
        .values(told=standing)
    )


def _one(conn: Connection, query: Select[Any]) -> StoredDocument | None:
    row = conn.execute(query).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[Any]) -> StoredDocument:
    return StoredDocument(**row._asdict())
