"""Whether what a document stands on is held here: what nobody holds, nobody can flag (R25).

A proof of origin pins its inputs by digest. A digest of no document here says nothing yet: it is
shown, and counts neither for nor against the document. When the proof of that type and number is
held under another digest, the digest is wrong: our own proof is not signed with it, and one that
came is told as an error of its issuer, who alone invalidates it (RCEP 3.17(5)). A number is unique
with its issuing body only (3.17(3)): held from several of them, it names none, and that is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import documents
from protocols import basis
from protocols.basis import DECISIONS, PROOFS
from schemas import strict_json
from schemas.errors import TradeError
from schemas.findings import Finding, Outcome, Severity

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from protocols.basis import Pin

NOT_HERE, OTHER_DIGEST, AMBIGUOUS = "BAS-002", "BAS-003", "BAS-004"
MAX_ISSUERS = 1_000
_LINKED = PROOFS | DECISIONS | {basis.EVALUATION}
_GENUINE = (None, Outcome.PASSED.value)


def findings(conn: Connection, document_type: str, payload: bytes) -> tuple[Finding, ...]:
    """BAS-002 for each pinned proof that is not here, BAS-003 where it is here as another one.

    BAS-004 where several issuers' are here, and which of them is meant cannot be told.
    A decision is warned only: goods wait for no preference.
    """
    if document_type not in _LINKED:
        return ()
    try:
        document = strict_json.loads_object(payload)
    except TradeError:
        return ()  # what cannot be read is told by the rules of its type
    return tuple(
        _finding(pin, _namesakes(conn, pin), document_type)
        for pin in basis.pins(document_type, document)
        if documents.get(conn, pin.digest) is None
    )


def errors(found: tuple[Finding, ...]) -> bool:
    """Whether one of them keeps a document from being signed."""
    return any(each.severity is Severity.ERROR for each in found)


def _namesakes(conn: Connection, pin: Pin) -> tuple[StoredDocument, ...]:
    """Genuine proofs in force, held here, that have the pinned one's number but not its digest.

    One of each issuer. A reference need not name the issuer; where it does, only that one's count.
    """
    if not pin.number:
        return ()
    kinds = [pin.type] if pin.type else sorted(PROOFS)
    found: dict[str, StoredDocument] = {}
    for held in documents.of_types(conn, kinds, number=pin.number):
        genuine = held.verdict in _GENUINE and held.revoked_at is None
        if genuine and pin.issuer in ("", held.issuer):
            found.setdefault(held.issuer, held)
    return tuple(found.values())


def _finding(pin: Pin, namesakes: tuple[StoredDocument, ...], document_type: str) -> Finding:
    named = {"pinned": pin.digest.hex(), "number": pin.number}
    if not namesakes:
        told = "the proof that it stands on is not here: if it is revoked, nothing is flagged here"
        return Finding(NOT_HERE, Severity.WARNING, pin.pointer, told, named)
    if len(namesakes) > 1:
        told = "several issuers' proofs of that number are here, none with this digest"
        named |= {"issuers": ", ".join(sorted(each.issuer for each in namesakes))[:MAX_ISSUERS]}
        return Finding(AMBIGUOUS, Severity.WARNING, pin.pointer, told, named)
    (namesake,) = namesakes
    held = {"held": namesake.digest.hex(), "issuer": namesake.issuer}
    refuses = document_type not in DECISIONS
    return Finding(
        OTHER_DIGEST,
        Severity.ERROR if refuses else Severity.WARNING,
        pin.pointer,
        "the proof of that number, which is here, has another digest",
        named | held,
    )
