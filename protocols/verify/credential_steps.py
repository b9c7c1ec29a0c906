"""CRED-01 … CRED-12: the steps that establish what a credential is worth at one moment.

Each step is one function named after its number; the number stands in the report and in the
catalogue. A step that needs what an earlier one could not find answers INDETERMINATE
`not_reached`. Unknown never becomes valid: what cannot be found out is INDETERMINATE, only what is
known to be wrong is FAILED (ETSI EN 319 102-1 §5.1.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import jws, rights, times
from protocols.credentials import vcdm
from protocols.member_list import Freshness, KeyStanding
from protocols.members.trust import CLOCK_SKEW
from protocols.verify import appearance
from protocols.verify.status_steps import status_check
from schemas import registry
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check, Outcome, Severity

if TYPE_CHECKING:
    from protocols.credentials.credential import CredentialClaims
    from protocols.member_list import Agreement
    from protocols.verify.case import Case
    from schemas.view import Examination, View

PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE


def not_reached(check_id: str) -> Check:
    """The answer of a step whose ground an earlier one did not give."""
    return Check(check_id, UNKNOWN, code="not_reached")


def fault(check_id: str, error: TradeError, outcome: Outcome = FAILED) -> Check:
    """A step that met a typed error. The detail never echoes foreign content."""
    return Check(check_id, outcome, error.detail, error.code)


def cred_01_form(case: Case) -> Check:
    """CRED-01: the file is a compact JWS of typ vc+jwt under our header rules (VC-JOSE-COSE)."""
    error = case.faults.get("CRED-01")
    if error is not None:
        return fault("CRED-01", error)
    assert case.jws is not None
    return Check("CRED-01", PASSED, evidence={"digest": case.jws.payload_digest.hex()})


_STANDINGS = {
    KeyStanding.NOT_YET: (FAILED, "key_not_yet_valid"),
    KeyStanding.ENDED: (FAILED, "key_not_current"),
    KeyStanding.DOUBTFUL: (UNKNOWN, "key_doubtful"),
    KeyStanding.COMPROMISED: (FAILED, "key_compromised"),
}


def cred_02_key(case: Case) -> Check:
    """CRED-02: the key is listed, is a credential key, and stood in its time (R1, R17).

    A key that is certified under an anchor listed for its owner counts as listed. "Its time" is
    the witnesses' or the time-stamp's where there is one, else the moment of verification.
    """
    if case.jws is None:
        return not_reached("CRED-02")
    key = case.members.key(case.jws.kid) or case.certified
    if key is None:
        return Check("CRED-02", UNKNOWN, case.jws.kid, "key_not_listed")
    evidence = {"kid": key.kid, "thumbprint": key.public.thumbprint()}
    if key.purpose != "credential":
        return Check("CRED-02", FAILED, key.purpose, "key_wrong_purpose", evidence)
    standing = key.standing(case.signed_by, proven=case.proven_at is not None)
    case.key = key
    if standing is KeyStanding.VALID:
        return Check("CRED-02", PASSED, evidence=evidence)
    outcome, code = _STANDINGS[standing]
    ended = case.members.algorithm_until(key.public.algorithm)
    if standing is KeyStanding.ENDED and ended is not None and ended <= case.signed_by:
        return Check("CRED-02", FAILED, key.public.algorithm, "algorithm_refused", evidence)
    return Check("CRED-02", outcome, key.kid, code, evidence)


def cred_03_signature(case: Case) -> Check:
    """CRED-03: the signature fits the listed key, which names the algorithm, and the bytes (R3)."""
    if case.jws is None or case.key is None:
        return not_reached("CRED-03")
    try:
        jws.verify(case.jws, case.key.public)
    except RefusedError as error:
        return fault("CRED-03", error)
    return Check("CRED-03", PASSED, evidence={"kid": case.jws.kid})


def cred_04_data_model(case: Case) -> Check:
    """CRED-04: the payload obeys W3C VC Data Model 2.0 and our profile of it."""
    error = case.faults.get("CRED-04")
    if error is not None:
        return fault("CRED-04", error)
    if case.claims is None:
        return not_reached("CRED-04")
    return Check("CRED-04", PASSED, evidence={"id": case.claims.id, "issuer": case.claims.issuer})


def cred_05_network(case: Case) -> Check:
    """CRED-05: the credential belongs to this network (R1)."""
    if case.claims is None:
        return not_reached("CRED-05")
    if case.claims.network != case.members.network:
        return Check("CRED-05", FAILED, code="other_network")
    return Check("CRED-05", PASSED, evidence={"network": case.claims.network.hex()})


def cred_06_right(case: Case) -> Check:
    """CRED-06: the issuer may issue this type for this country, on its date and when signed.

    The rule itself is `protocols.rights`, the same that is asked when a document is issued.
    """
    if case.claims is None:
        return not_reached("CRED-06")
    claims, node = case.claims, case.members.node(case.claims.issuer)
    if node is None:
        return Check("CRED-06", UNKNOWN, claims.issuer, "issuer_not_listed")
    try:
        document_type = registry.get(claims.document_type)
    except RefusedError as error:
        return fault("CRED-06", error)
    # On its date and, as a date can be back-dated, at the moment it is proven to be signed by.
    moments = (claims.valid_from, max(claims.valid_from, case.signed_by))
    countries = {
        rights.country_of_right(
            case.members,
            claims.issuer,
            document_type,
            export_country=claims.export_country,
            at=moment,
        )
        for moment in moments
    }
    if len(countries) != 1 or None in countries:
        return Check("CRED-06", FAILED, claims.document_type, "issuer_without_right")
    case.issuer_country = countries.pop()
    evidence = {"issuer": claims.issuer, "country": case.issuer_country}
    return Check("CRED-06", PASSED, node.name, evidence=evidence)


def cred_07_time(case: Case) -> Check:
    """CRED-07: the credential and the document are valid at the moment (60 s for clocks)."""
    if case.claims is None:
        return not_reached("CRED-07")
    claims = case.claims
    evidence = {
        "validFrom": times.to_text(claims.valid_from),
        "validUntil": times.to_text(claims.valid_until),
    }
    try:
        vcdm.require_in_time(claims.valid_from, claims.valid_until, case.at)
        if case.view is not None:
            vcdm.require_in_time(None, case.view.valid_until, case.at)
    except RefusedError as error:
        return Check("CRED-07", FAILED, error.detail, error.code, evidence)
    return Check("CRED-07", PASSED, evidence=evidence)


def cred_08_payload(case: Case) -> Check:
    """CRED-08: the document's bytes are the ones whose SHA-256 the issuer signed."""
    error = case.faults.get("CRED-08")
    if error is not None:
        return fault("CRED-08", error)
    if case.file is None or case.claims is None:
        return not_reached("CRED-08")
    return Check("CRED-08", PASSED, evidence={"sha256": case.claims.payload.digest.hex()})


def examine(case: Case) -> None:
    """Read the document once: its view and findings. Faults are kept for CRED-09."""
    if case.file is None or case.claims is None:
        return
    try:
        examination = _examination(case, case.claims.document_type, case.file.payload)
    except TradeError as error:
        case.faults["CRED-09"] = error
        return
    members = case.document if isinstance(case.document, dict) else examination.view.to_json()
    case.view = examination.view
    case.findings = examination.findings + appearance.warnings(case.file.payload, members)


def _examination(case: Case, document_type: str, payload: bytes) -> Examination:
    withheld = case.presentation.withheld if case.presentation is not None else ()
    if withheld:
        return registry.examine_part(document_type, payload, frozenset(withheld))
    if isinstance(case.document, dict):
        return registry.examine_parsed(document_type, case.document)
    return registry.examine(document_type, payload)


def cred_09_document(case: Case) -> Check:
    """CRED-09: the document satisfies its profile and rules and says what the claims say.

    Error findings fail; warnings are shown and pass.
    """
    error = case.faults.get("CRED-09")
    if error is not None:
        return fault("CRED-09", error)
    if case.view is None or case.claims is None:
        return not_reached("CRED-09")
    errors = [finding for finding in case.findings if finding.severity is Severity.ERROR]
    if errors:
        first = errors[0]
        told = f"{first.rule} {first.pointer}: {first.message}"
        return Check("CRED-09", FAILED, told, "document_breaks_rules", {"errors": len(errors)})
    other = _contradiction(case.claims, case.view)
    if other:
        return Check("CRED-09", FAILED, other, "claims_contradict_document")
    return Check("CRED-09", PASSED, evidence={"warnings": len(case.findings)})


def _contradiction(claims: CredentialClaims, view: View) -> str:
    """The first member in which the signed claims and the document differ, or ""."""
    pairs = {
        "type": (claims.credential_type, registry.get(claims.document_type).credential_type),
        "number": (claims.number, view.number),
        "consignment": (claims.consignment, view.consignment),
        "exportCountry": (claims.export_country, view.export_country),
        "importCountry": (claims.import_country, view.import_country),
    }
    differing = (name for name, (said, seen) in pairs.items() if said and seen and said != seen)
    return next(differing, "")


def cred_10_status(case: Case) -> Check:
    """CRED-10: the issuer's signed status lists, not rolled back and fresh, say that it stands.

    See `protocols.verify.status_steps`.
    """
    if case.claims is None:
        return not_reached("CRED-10")
    return status_check(case, case.claims.statuses, case.claims.issuer)


def cred_11_recognition(case: Case) -> Check:
    """CRED-11: the verifier's country recognises this type from the issuer's country.

    Asked of authorities' documents only; a carrier's or trader's paper needs no agreement.
    """
    if case.claims is None or case.verifier_country is None or case.issuer_country is None:
        return not_reached("CRED-11")
    claims = case.claims
    if not rights.is_official(registry.get(claims.document_type)):
        return Check("CRED-11", PASSED, code="recognition_not_needed")
    pair = (case.verifier_country, case.issuer_country)
    told = f"{case.issuer_country} → {case.verifier_country}, {claims.document_type}"
    agreement = case.members.agreement(*pair, claims.document_type, claims.valid_from)
    # As for the right: a date can be back-dated, so an agreement that has ended recognises only
    # what is proven to have been signed before.
    signed = max(claims.valid_from, case.signed_by)
    if agreement is None or not case.members.agreement(*pair, claims.document_type, signed):
        return Check("CRED-11", FAILED, told, "not_recognised")
    case.agreement = agreement
    return Check("CRED-11", PASSED, told, evidence=_agreed(agreement))


def _agreed(agreement: Agreement) -> dict[str, str]:
    """Under which agreement, since when and by which rules it recognises."""
    rules = {} if agreement.rules is None else {"rules": agreement.rules}
    return {"agreement": agreement.id, "since": times.to_text(agreement.valid_from), **rules}


def cred_12_member_list(case: Case) -> Check:
    """CRED-12: the member list may still be relied on at the moment (R6)."""
    members = case.members
    evidence = {
        "version": members.version,
        "digest": members.digest.hex(),
        "issued": times.to_text(members.issued_at),
        "expires": times.to_text(members.expires),
    }
    if case.at < members.issued_at - CLOCK_SKEW:
        return Check("CRED-12", UNKNOWN, code="list_not_yet", evidence=evidence)
    freshness = members.freshness(case.at)
    if freshness is Freshness.STALE:
        return Check("CRED-12", UNKNOWN, code="list_stale", evidence=evidence)
    if case.key is not None and members.expires <= min(case.key.valid_from, case.at):
        # Grace is for keys that were at work while the list was fresh; a new one fails closed.
        return Check("CRED-12", UNKNOWN, case.key.kid, "list_stale_for_new_key", evidence)
    code = "" if freshness is Freshness.FRESH else "list_reading_only"
    return Check("CRED-12", PASSED, code=code, evidence=evidence)
