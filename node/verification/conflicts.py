"""One number given to two documents: told as an alarm here and, by message, at the issuer.

A document is its payload's digest (R2): the same bytes again, or the same statement under another
of ECDSA's two signatures, is the same document and no conflict. A replacement that names what it
replaces, and whatever was revoked, is none either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from node.documents import documents
from node.exchange.message import Handler
from node.store import events
from protocols.exchange.control import MEDIA_TYPE, Conflict, read_conflict
from protocols.exchange.manifest import CONFLICT
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from protocols.verify import Document

CODE = "conflicting_issuance"


def watch(conn: Connection, node: Node, document: Document) -> None:
    """Compare a verified document, just kept, with the others of its issuer, type and number."""
    claims = document.claims
    for other in documents.find(conn, type=claims.document_type, number=claims.number, limit=20):
        twin = other.issuer == claims.issuer and other.digest != document.digest
        if not twin or other.revoked_at is not None or claims.replaces == other.digest:
            continue
        detail = {"code": CODE, "other": other.digest.hex()}
        _alarm(conn, node, document.digest, claims.consignment, claims.issuer, detail)
        notice = Conflict(claims.document_type, claims.number, (other.digest, document.digest))
        _tell_issuer(conn, node, claims.issuer, notice)


class ConflictHandler(Handler):
    """Messages `urn:pratique:conflict`: somebody holds two documents of ours with one number."""

    def __init__(self, node: Node) -> None:
        """Compares with what the node issued."""
        self._node = node

    @override
    async def prepare(self, message: InboundMessage) -> Conflict:
        """Raises RefusedError `conflict_not_ours` when we issued neither of them."""
        notice = read_conflict(message.body)
        if not await self._node.store.read(self._issued, notice):
            raise RefusedError("conflict_not_ours", "neither document was issued here")
        return notice

    @override
    def apply(self, conn: Connection, message: InboundMessage, prepared: Any) -> None:
        """Tell it once, naming the documents that bear our signature and were not issued here."""
        notice: Conflict = prepared
        issued = self._issued(conn, notice)
        about = issued[-1]
        other = next(digest for digest in notice.documents if digest != about)
        told = events.of(conn, document=about)
        if any(each.kind == "alarm" and each.detail.get("other") == other.hex() for each in told):
            return
        unknown = [digest.hex() for digest in notice.documents if digest not in issued]
        detail = {"code": CODE, "other": other.hex(), "notIssuedHere": unknown}
        consignment = documents.require(conn, about).consignment
        _alarm(conn, self._node, about, consignment, message.sender, detail)

    def _issued(self, conn: Connection, notice: Conflict) -> list[bytes]:
        """Which of the two are ours and are what the notice says."""
        ours = []
        for digest in notice.documents:
            held = documents.get(conn, digest)
            same = held is not None and (held.type, held.number) == (notice.type, notice.number)
            if held is not None and same and held.issuer == self._node.did:
                ours.append(digest)
        return ours


def _alarm(
    conn: Connection,
    node: Node,
    digest: bytes,
    consignment: str | None,
    actor: str,
    detail: dict[str, Any],
) -> None:
    events.record(
        conn,
        kind="alarm",
        at=node.clock.now_ms(),
        document=digest,
        consignment=consignment,
        actor=actor,
        detail=detail,
    )


def _tell_issuer(conn: Connection, node: Node, issuer: str, notice: Conflict) -> None:
    """The issuer must know most of all: one of the two may not be its own."""
    exchange = getattr(node, "exchange", None)
    if exchange is None or issuer == node.did:
        return
    try:
        exchange.enqueue(conn, issuer, CONFLICT, notice.to_bytes(), MEDIA_TYPE, None)
    except RefusedError as error:
        # Who left the network is told nothing; the alarm here stands.
        node.telemetry.log.warning("verification.conflict", peer=issuer, code=error.code)
