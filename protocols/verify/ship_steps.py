"""SHIP-01 … SHIP-03: how a ship certificate stands at the moment, by its day and by others' word.

Asked of ship certificates alone, beside CRED-…: the document's windows, the flag state's
delegations in the member list, the issuer's register. What is found are the rules SHP-010 … 013.
Sources: IMO FAL.5/Circ.39/Rev.2 §4 and §7, RO Code (MSC.349(92)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocols import rights, ship_register, times
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from schemas import strict_json
from schemas.documents.ship_certificate import TYPE
from schemas.documents.ship_certificate.standing import (
    EXPIRED,
    NOT_DELEGATED,
    UNKNOWN_NUMBER,
    WINDOW_MISSED,
    standing,
)
from schemas.errors import TradeError
from schemas.fields import beginning, text
from schemas.findings import Check, Finding, Severity

if TYPE_CHECKING:
    from protocols.credential import CredentialClaims
    from protocols.ship_register import RegisterAnswer
    from protocols.verify.case import Case
    from schemas.rules import Document

CODES = {
    WINDOW_MISSED: "ship_window_missed",
    EXPIRED: "ship_certificate_expired",
    NOT_DELEGATED: "ship_not_delegated",
    UNKNOWN_NUMBER: "ship_number_unknown",
}
STEPS = ("SHIP-01", "SHIP-02", "SHIP-03")
_Answer = tuple[Check, tuple[Finding, ...]]


def ship_checks(case: Case) -> tuple[tuple[Check, ...], tuple[Finding, ...]]:
    """The checks of a ship certificate, and the rules that it breaks; nothing of other types."""
    if case.claims is None or case.claims.document_type != TYPE.key:
        return (), ()
    document = _document(case)
    if document is None:
        return tuple(map(not_reached, STEPS)), ()
    answers = (
        ship_01_windows(case, document),
        ship_02_delegation(case, document, case.claims),
        ship_03_register(case, document, case.claims),
    )
    return tuple(check for check, _ in answers), tuple(one for _, more in answers for one in more)


def _document(case: Case) -> Document | None:
    if case.view is None or case.file is None:
        return None
    if isinstance(case.document, dict):
        return case.document
    return strict_json.loads_object(case.file.payload)


def ship_01_windows(case: Case, document: Document) -> _Answer:
    """SHIP-01: it has not expired, and no endorsement window has passed unendorsed (HSSC)."""
    return _answer("SHIP-01", standing(document, case.at), {})


def ship_02_delegation(case: Case, document: Document, claims: CredentialClaims) -> _Answer:
    """SHIP-02: the flag state's administration issued it, or who acts for it by its delegation.

    By the member list of the moment, at the date of issue and at the moment: an organisation whose
    delegation was withdrawn vouches for nothing any more. An administration that was replaced later
    still issued what it issued.
    """
    flag = text(document, "flag") or ""
    if text(document, "onBehalfOf") != "RECOGNISED_ORGANISATION":
        return _by_administration(case, document, claims, flag)
    granted = rights.delegations(case.members, flag)
    if granted is None:
        return Check("SHIP-02", UNKNOWN, flag, "ship_delegations_unknown"), ()
    found = standing(document, case.at, delegations=granted, issuer=claims.issuer)
    own = [one for one in granted if one.organisation == claims.issuer]
    evidence = {
        "flag": flag,
        "organisation": claims.issuer,
        "delegations": [
            {
                "since": times.to_text(one.since),
                **({"until": times.to_text(one.until)} if one.until else {}),
                "certificateTypes": sorted(one.certificate_types),
            }
            for one in own
        ],
    }
    broken = tuple(one for one in found if one.rule == NOT_DELEGATED)
    return _answer("SHIP-02", broken, evidence)


def _by_administration(
    case: Case, document: Document, claims: CredentialClaims, flag: str
) -> _Answer:
    issued = beginning(text(document, "issueDate")) or claims.valid_from
    signed = max(claims.valid_from, case.signed_by)
    moments = (issued, signed)
    evidence = {"flag": flag, "administration": claims.issuer}
    if all(rights.administers(case.members, claims.issuer, flag, at) for at in moments):
        return _answer("SHIP-02", (), evidence)
    message = "the issuer is not the flag state's administration"
    finding = Finding(NOT_DELEGATED, Severity.ERROR, "/onBehalfOf", message, {"flag": flag})
    return _answer("SHIP-02", (finding,), evidence)


def ship_03_register(case: Case, document: Document, claims: CredentialClaims) -> _Answer:
    """SHIP-03: the issuer's register knows the tracking number, and this document under it.

    Without its answer nothing is known: INDETERMINATE, never passed (R23).
    """
    number = text(document, "trackingNumber") or ""
    if case.register is None:
        return Check("SHIP-03", UNKNOWN, number, case.register_fault or "ship_register_silent"), ()
    try:
        answer = ship_register.open_answer(case.register, case.logs or case.members)
    except TradeError as error:
        return fault("SHIP-03", error, UNKNOWN), ()
    if (answer.register, answer.number) != (claims.issuer, number):
        return Check("SHIP-03", UNKNOWN, number, "ship_register_other"), ()
    known = _knows(case, answer)
    if not known and answer.at < claims.valid_from:
        # It was asked before the certificate was there; that says nothing about it.
        return Check("SHIP-03", UNKNOWN, number, "ship_register_silent"), ()
    numbers = {number} if known else set[str]()
    found = standing(document, case.at, known_numbers=numbers)
    evidence = {
        "register": answer.register,
        "trackingNumber": number,
        "answeredAt": times.to_text(answer.at),
        "documents": [each.hex() for each in answer.documents],
    }
    broken = tuple(one for one in found if one.rule == UNKNOWN_NUMBER)
    return _answer("SHIP-03", broken, evidence)


def _knows(case: Case, answer: RegisterAnswer) -> bool:
    return case.jws is not None and case.jws.payload_digest in answer.documents


def _answer(step: str, found: tuple[Finding, ...], evidence: dict[str, Any]) -> _Answer:
    if not found:
        return Check(step, PASSED, evidence=evidence), ()
    first = found[0]
    told = f"{first.rule} {first.pointer}: {first.message}"
    return Check(step, FAILED, told, CODES[first.rule], evidence), found
