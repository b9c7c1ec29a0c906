"""Whether what a document stands on is held here: what nobody holds, nobody can flag (R25).

A proof of origin pins its inputs by digest. A digest of no document here says nothing yet: it is
shown, and counts neither for nor against the document. When the proof of that type and number is
held under another digest, the digest is wrong: our own proof is not signed with it, and one that
came is told as an error of its issuer, who alone invalidates it (RCEP 3.17(5)).
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

NOT_HERE, OTHER_DIGEST = "BAS-002", "BAS-003"
_LINKED = PROOFS | DECISIONS | {basis.EVALUATION}
_GENUINE = (None, Outcome.PASSED.value)


def findings(conn: Connection, document_type: str, payload: bytes) -> tuple[Finding, ...]:
    """BAS-002 for each pinned proof that is not here, BAS-003 where it is here as another one.

    A decision is warned only: goods wait for no preference.
    """
    if document_type not in _LINKED:
        return ()
    try:
        document = strict_json.loads_object(payload)
    except TradeError:
        return ()  # what cannot be read is told by the rules of its type
    return tuple(
        _finding(pin, _namesake(conn, pin), document_type)
        for pin in basis.pins(document_type, document)
        if documents.get(conn, pin.digest) is None
    )


def errors(found: tuple[Finding, ...]) -> bool:
    """Whether one of them keeps a document from being signed."""
    return any(each.severity is Severity.ERROR for each in found)


def _namesake(conn: Connection, pin: Pin) -> StoredDocument | None:
    """The genuine proof in force, held here, that has the pinned one's number but not its digest.

    A reference need not name the issuer; where it does, only that issuer's counts.
    """
    if not pin.number:
        return None
    for kind in [pin.type] if pin.type else sorted(PROOFS):
        for held in documents.find(conn, type=kind, number=pin.number):
            genuine = held.verdict in _GENUINE and held.revoked_at is None
            if genuine and pin.issuer in ("", held.issuer):
                return held
    return None


def _finding(pin: Pin, namesake: StoredDocument | None, document_type: str) -> Finding:
    named = {"pinned": pin.digest.hex(), "number": pin.number}
    if namesake is None:
        told = "the proof that it stands on is not here: if it is revoked, nothing is flagged here"
        return Finding(NOT_HERE, Severity.WARNING, pin.pointer, told, named)
    held = {"held": namesake.digest.hex(), "issuer": namesake.issuer}
    refuses = document_type not in DECISIONS
    return Finding(
        OTHER_DIGEST,
        Severity.ERROR if refuses else Severity.WARNING,
        pin.pointer,
        "the proof of that number, which is here, has another digest",
        named | held,
    )
