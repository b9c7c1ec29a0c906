"""SHIP-01 … SHIP-03: how a ship certificate stands at the moment, by its day and by others' word.

Asked of ship certificates alone, beside CRED-…: the document's windows, the flag state's
delegations in the member list, the issuer's register. What is found are the rules SHP-010 … 013.
Sources: IMO FAL.5/Circ.39/Rev.2 §4 and §7, RO Code (MSC.349(92)).
"""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Callable

    from protocols.credentials.credential import CredentialClaims
    from protocols.ship_register import RegisterAnswer
    from protocols.verify.case import Case
    from schemas.documents.ship_certificate.standing import Delegation
    from schemas.rules import Document

CODES = {
    WINDOW_MISSED: "ship_window_missed",
    EXPIRED: "ship_certificate_expired",
    NOT_DELEGATED: "ship_not_delegated",
    UNKNOWN_NUMBER: "ship_number_unknown",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A certificate with what others say of it: None where nobody has told.

    silence: why the register's answer is not there; found: the rules that are broken
    """

    document: Document
    claims: CredentialClaims
    granted: tuple[Delegation, ...] | None
    answer: RegisterAnswer | None
    silence: Check | None
    found: tuple[Finding, ...]

    def check(self, step: str, evidence: dict[str, Any], *rules: str) -> Check:
        """The step's answer: failed by the first of those rules that is broken."""
        first = next((one for one in self.found if one.rule in rules), None)
        if first is None:
            return Check(step, PASSED, evidence=evidence)
        told = f"{first.rule} {first.pointer}: {first.message}"
        return Check(step, FAILED, told, CODES[first.rule], evidence)


def ship_checks(case: Case) -> tuple[tuple[Check, ...], tuple[Finding, ...]]:
    """The checks of a ship certificate, and the rules that it breaks; nothing of other types."""
    if case.claims is None or case.claims.document_type != TYPE.key:
        return (), ()
    if case.view is None or case.file is None:
        return tuple(map(not_reached, STEPS)), ()
    parsed = case.document
    document = parsed if isinstance(parsed, dict) else strict_json.loads_object(case.file.payload)
    asked = _asked(case, document, case.claims)
    return tuple(step(asked) for step in STEPS.values()), asked.found


def ship_01_windows(asked: Asked) -> Check:
    """SHIP-01: it has not expired, and no endorsement window has passed unendorsed (HSSC)."""
    return asked.check("SHIP-01", {}, WINDOW_MISSED, EXPIRED)


def ship_02_delegation(asked: Asked) -> Check:
    """SHIP-02: the flag state's administration issued it, or who acts for it by its delegation.

    By the member list of the moment, at the date of issue and at the moment: an organisation whose
    delegation was withdrawn vouches for nothing any more. An administration that was replaced later
    still issued what it issued.
    """
    flag, issuer = text(asked.document, "flag") or "", asked.claims.issuer
    if not _by_organisation(asked.document):
        return asked.check("SHIP-02", {"flag": flag, "administration": issuer}, NOT_DELEGATED)
    if asked.granted is None:
        return Check("SHIP-02", UNKNOWN, flag, "ship_delegations_unknown")
    own = [_delegation_json(one) for one in asked.granted if one.organisation == issuer]
    evidence = {"flag": flag, "organisation": issuer, "delegations": own}
    return asked.check("SHIP-02", evidence, NOT_DELEGATED)


def ship_03_register(asked: Asked) -> Check:
    """SHIP-03: the issuer's register knows the tracking number, and this document under it.

    Without its answer nothing is known: INDETERMINATE, never passed (R23).
    """
    if asked.answer is None:
        return asked.silence or not_reached("SHIP-03")
    evidence = {
        "register": asked.answer.register,
        "trackingNumber": asked.answer.number,
        "answeredAt": times.to_text(asked.answer.at),
        "documents": [each.hex() for each in asked.answer.documents],
    }
    return asked.check("SHIP-03", evidence, UNKNOWN_NUMBER)


STEPS: dict[str, Callable[[Asked], Check]] = {
    "SHIP-01": ship_01_windows,
    "SHIP-02": ship_02_delegation,
    "SHIP-03": ship_03_register,
}


def _asked(case: Case, document: Document, claims: CredentialClaims) -> Asked:
    answer, silence = _heard(case, document, claims)
    flag = text(document, "flag") or ""
    granted = rights.delegations(case.members, flag)
    numbers = None
    if answer is not None:
        numbers = {answer.number} if _knows(case, answer) else set[str]()
    found = standing(
        document, case.at, delegations=granted, known_numbers=numbers, issuer=claims.issuer
    )
    if not _by_organisation(document) and not _administered(case, document, claims, flag):
        message = "the issuer is not the flag state's administration"
        told = Finding(NOT_DELEGATED, Severity.ERROR, "/onBehalfOf", message, {"flag": flag})
        found = (*found, told)
    return Asked(document, claims, granted, answer, silence, found)


def _by_organisation(document: Document) -> bool:
    return text(document, "onBehalfOf") == "RECOGNISED_ORGANISATION"


def _administered(case: Case, document: Document, claims: CredentialClaims, flag: str) -> bool:
    """On its date and, as a date can be back-dated, at the moment it is proven to be signed by."""
    issued = beginning(text(document, "issueDate")) or claims.valid_from
    moments = (issued, max(claims.valid_from, case.signed_by))
    return all(rights.administers(case.members, claims.issuer, flag, at) for at in moments)


def _delegation_json(one: Delegation) -> dict[str, Any]:
    until = {"until": times.to_text(one.until)} if one.until else {}
    kinds = sorted(one.certificate_types)
    return {"since": times.to_text(one.since), **until, "certificateTypes": kinds}


def _heard(
    case: Case, document: Document, claims: CredentialClaims
) -> tuple[RegisterAnswer | None, Check | None]:
    """The answer of the issuer's register, or why there is none."""
    number = text(document, "trackingNumber") or ""
    silent = Check("SHIP-03", UNKNOWN, number, case.register_fault or "ship_register_silent")
    if case.register is None:
        return None, silent
    try:
        answer = ship_register.open_answer(case.register, case.logs or case.members)
    except TradeError as error:
        return None, fault("SHIP-03", error, UNKNOWN)
    if (answer.register, answer.number) != (claims.issuer, number):
        return None, Check("SHIP-03", UNKNOWN, number, "ship_register_other")
    if not _knows(case, answer) and answer.at < claims.valid_from:
        # It was asked before the certificate was there; that says nothing about it.
        return None, silent
    return answer, None


def _knows(case: Case, answer: RegisterAnswer) -> bool:
    return case.jws is not None and case.jws.payload_digest in answer.documents
