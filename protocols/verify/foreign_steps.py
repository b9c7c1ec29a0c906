"""Verifying what others sign in their own form: a JSON credential with Data Integrity proofs.

The same numbered steps as for our own documents, where they apply: DI-01 stands for CRED-01, and
CRED-08 falls away because the document is inside what was signed. Nothing `Verified` ever comes
out: a foreign statement is reported on and changes no state (DESIGN §1.4).

A proof shows that somebody held a key. That the key is the issuer's, the member list alone says:
a did:key or did:jwk that it does not list under that issuer's name stays INDETERMINATE, whatever
the mathematics say. A did:web is looked up in the list and never fetched (R7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from protocols import rights, times
from protocols.credentials import (
    data_integrity,
    did,
    foreign_credential,
    jsonld,
    secured,
    status_list,
)
from protocols.credentials import token_status_list as token_list
from protocols.credentials.data_integrity import Expected, ProofResult
from protocols.credentials.status_list import REVOCATION, SUSPENSION
from protocols.credentials.token_status_list import TokenStatus
from protocols.fields import COUNTRY, TYPE_KEY, Fields
from protocols.member_list import KeyStanding
from protocols.verify import appearance, proven
from protocols.verify.credential_steps import (
    FAILED,
    PASSED,
    UNKNOWN,
    cred_12_member_list,
    fault,
    not_reached,
)
from protocols.verify.proven import Proven, cred_04_data_model, cred_07_time, di_01_form
from protocols.verify.status_steps import SUSPENDED, status_check
from schemas import registry, strict_json
from schemas.errors import TradeError
from schemas.findings import Check, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocols.credentials.canonical_forms import CanonicalInput
    from protocols.credentials.foreign_credential import ForeignCredential
    from protocols.credentials.token_status_list import ListToken, TokenStatusList
    from protocols.keys import PublicKey
    from protocols.member_list import ListedKey
    from protocols.verify.case import Case
    from schemas.findings import Finding
    from schemas.strict_json import JsonValue
    from schemas.view import DocumentType

MAX_ENTRIES = 10
_DECIDING = (REVOCATION, SUSPENSION)
#: Purposes that tell of something and never say that a credential does not stand (§2.2).
_TELLING = ("refresh", "message")

_STANDINGS = {
    KeyStanding.NOT_YET: (FAILED, "key_not_yet_valid"),
    KeyStanding.ENDED: (FAILED, "key_not_current"),
    KeyStanding.DOUBTFUL: (UNKNOWN, "key_doubtful"),
    KeyStanding.COMPROMISED: (FAILED, "key_compromised"),
}


@dataclass(slots=True, kw_only=True)
class Foreign(Proven):
    """One foreign credential under verification, with what only the member list says."""

    case: Case
    key: ListedKey | None = None
    document_type: DocumentType | None = None
    country: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def subject(self) -> Mapping[str, JsonValue]:
        """The claims; those of the first subject where there are several."""
        return self.credential.subjects[0] if self.credential else {}


def is_foreign(data: bytes) -> bool:
    """Whether the file is for these steps, by its form."""
    return foreign_credential.has_form(data) or secured.has_envelope(data)


def opened(case: Case) -> Foreign:
    """The file parsed, its proofs verified, and what they cover read. Never raises."""
    found = Foreign(at=case.at, case=case)
    found.read(case.data, lambda method: _resolve(case, method), expected(case), case.rdf)
    return found


def expected(case: Case) -> Expected:
    """What a presentation is asked for; a credential is asked for neither of them."""
    if case.challenge is None:
        return Expected(case.at)
    return Expected(case.at, domain=case.challenge.audience, challenge=case.challenge.nonce)


def rdf_inputs(case: Case) -> tuple[CanonicalInput, ...]:
    """What the verifier has to bring in canonical form (`Case.rdf`); nothing for other files."""
    if not (is_foreign(case.data) or secured.is_compact_presentation(case.data)):
        return ()
    return secured.canonical_inputs(case.data, lambda method: _resolve(case, method))


def _resolve(case: Case, method: str) -> PublicKey | None:
    if not method.startswith("did:"):
        return None  # a key document at some URL: nothing is fetched (R7)
    url = did.parse(method)
    if url.carries_its_key:
        return did.resolve(url)
    listed = case.members.key(method)
    return None if listed is None else listed.public


@dataclass(frozen=True, slots=True)
class StatusNamed:
    """The lists that a foreign credential of a listed `issuer` names, by what they are called.

    token: the name of a Token Status List (IETF); such a credential names no others
    """

    issuer: str
    lists: tuple[str, ...] = ()
    token: str | None = None


def status_named(case: Case) -> StatusNamed | None:
    """What has to be had for CRED-10; None where nothing is named, or by nobody in the list."""
    found = opened(case)
    cred_02_key(found)
    if found.key is None or found.credential is None:
        return None
    token = _token(found.credential)
    try:
        if token is not None:
            uri = token_list.read_reference(token.child("status_list")).uri
            return StatusNamed(found.key.did, token=uri)
        lists = (entry.list_url for entry in _entries(found.credential))
        return StatusNamed(found.key.did, tuple(dict.fromkeys(lists)))
    except TradeError:
        return None


def examine(case: Case, *, historical: bool = False) -> Report:
    """The report on a foreign credential."""
    found = opened(case)
    checks = tuple(step(found) for step in STEPS if _applies(step, found))
    subject = found.digest.hex() if found.digest is not None else ""
    at = times.to_text(case.at)
    return Report(subject, at, checks, found.findings, historical=historical)


def _applies(step: Callable[[Foreign], Check], found: Foreign) -> bool:
    if step is cred_05_network:
        return "network" in found.members
    return step is not cred_11_recognition or found.case.verifier_country is not None


def cred_02_key(found: Foreign) -> Check:
    """CRED-02: one of the proofs is by a key that the list has for the issuer, in its time."""
    if found.proofs is None or found.credential is None:
        return not_reached("CRED-02")
    issuer = found.credential.issuer
    own = [proof for proof in found.proofs.proofs if _is_issuers(found.case, proof, issuer)]
    if not own:
        return _not_the_issuers(issuer)
    listed = next(filter(None, (_listed(found.case, proof) for proof in own)), None)
    if listed is None:
        return Check("CRED-02", UNKNOWN, own[0].method[:200], "key_not_listed")
    evidence = {"kid": listed.kid, "thumbprint": listed.public.thumbprint()}
    if listed.purpose != "credential":
        return Check("CRED-02", FAILED, listed.purpose, "key_wrong_purpose", evidence)
    found.key = listed
    standing = listed.standing(found.case.at, proven=False)
    if standing is KeyStanding.VALID:
        return Check("CRED-02", PASSED, evidence=evidence)
    outcome, code = _STANDINGS[standing]
    ended = found.case.members.algorithm_until(listed.public.algorithm)
    if standing is KeyStanding.ENDED and ended is not None and ended <= found.case.at:
        code = "algorithm_refused"
    return Check("CRED-02", outcome, listed.kid, code, evidence)


def _listed(case: Case, proof: ProofResult) -> ListedKey | None:
    """The list's entry for the key of a proof, found by the key itself (RFC 7638)."""
    if proof.key is None:
        return None
    wanted = proof.key.thumbprint()
    keys = case.members.keys.values()
    return next((key for key in keys if key.public.thumbprint() == wanted), None)


def _is_issuers(case: Case, proof: ProofResult, issuer: str) -> bool:
    """Whether a proof is by the issuer: under its own DID, or by a key listed for it."""
    listed = _listed(case, proof)
    return proof.method.partition("#")[0] == issuer or (listed is not None and listed.did == issuer)


def _not_the_issuers(issuer: str) -> Check:
    """A DID is proven by its own keys; who else may speak for a URL is not known here."""
    if issuer.startswith("did:"):
        return Check("CRED-02", FAILED, code="proof_not_issuers")
    return Check("CRED-02", UNKNOWN, code="issuer_not_listed")


def cred_03_signature(found: Foreign) -> Check:
    """CRED-03: every proof holds, and the words it is made of are not the document's own."""
    check = proven.cred_03_signature(found)
    if check.code == jsonld.MISSING:
        held = found.case.rdf.contexts if found.case.rdf else {}
        named = jsonld.context_urls(dict(found.members))
        missing = [url for url in named if url not in held]
        return replace(check, evidence={**check.evidence, "missing": missing})
    if check.outcome is PASSED and _words_unsigned(found):
        return Check("CRED-03", UNKNOWN, code="proof_contexts_inline", evidence=check.evidence)
    return check


def _words_unsigned(found: Foreign) -> bool:
    """Whether words stand in the document's own contexts, which no proof over RDF covers."""
    assert found.proofs is not None
    suites = {proof.cryptosuite for proof in found.proofs.proofs}
    return suites <= data_integrity.RDF_SUITES and bool(jsonld.inline_contexts(dict(found.members)))


def cred_05_network(found: Foreign) -> Check:
    """CRED-05: a credential that names a network names this one (R1)."""
    if found.members["network"] != found.case.members.network.hex():
        return Check("CRED-05", FAILED, code="other_network")
    return Check("CRED-05", PASSED)


def cred_06_right(found: Foreign) -> Check:
    """CRED-06: the listed holder of the key may issue the document type that is named.

    A credential that names none of the network's types can be held by no right.
    """
    if found.key is None or found.credential is None:
        return not_reached("CRED-06")
    claims = Fields(found.subject, foreign_credential.CODE, "/credentialSubject")
    try:
        found.document_type = registry.get(claims.text("documentType", pattern=TYPE_KEY))
        export = claims.optional_text("exportCountry", pattern=COUNTRY)
    except TradeError:
        return Check("CRED-06", UNKNOWN, code="document_type_not_named")
    issuer, at = found.key.did, found.case.at
    # On its own date and, as a date can be back-dated, now.
    moments = (found.credential.valid_from or at, at)
    countries = {
        rights.country_of_right(
            found.case.members, issuer, found.document_type, export_country=export, at=moment
        )
        for moment in moments
    }
    if len(countries) != 1 or None in countries:
        return Check("CRED-06", FAILED, found.document_type.key, "issuer_without_right")
    found.country = countries.pop()
    return Check("CRED-06", PASSED, evidence={"issuer": issuer, "country": found.country})


def cred_09_document(found: Foreign) -> Check:
    """CRED-09: the document inside satisfies the profile and rules of the type that is named."""
    document = found.subject.get("document")
    if found.document_type is None or not isinstance(document, dict):
        return not_reached("CRED-09")
    try:
        payload = strict_json.canonical(document)
        examined = registry.examine(found.document_type.key, payload)
    except TradeError as error:
        return fault("CRED-09", error)
    found.findings = examined.findings + appearance.warnings(payload, document)
    errors = [item for item in examined.findings if item.severity is Severity.ERROR]
    if errors:
        told = f"{errors[0].rule} {errors[0].pointer}: {errors[0].message}"
        return Check("CRED-09", FAILED, told, "document_breaks_rules", {"errors": len(errors)})
    said, view = found.subject, examined.view
    pairs = (
        ("number", view.number),
        ("consignment", view.consignment),
        ("exportCountry", view.export_country),
        ("importCountry", view.import_country),
    )
    for name, seen in pairs:
        if name in said and seen and said[name] != seen:
            return Check("CRED-09", FAILED, name, "claims_contradict_document")
    return Check("CRED-09", PASSED, evidence={"warnings": len(found.findings)})


def cred_10_status(found: Foreign) -> Check:
    """CRED-10: the lists of the listed issuer, of the kind that is named, say that it stands."""
    credential, case = found.credential, found.case
    if credential is None or found.key is None:
        return not_reached("CRED-10")
    token = _token(credential)
    try:
        if token is not None:
            return _token_says(found, token)
        entries = _entries(credential)
    except TradeError as error:
        return fault("CRED-10", error, UNKNOWN)
    if not entries:
        return Check("CRED-10", UNKNOWN, code="status_not_stated")
    return status_check(case, entries, found.key.did)


def _token(credential: ForeignCredential) -> Fields | None:
    """The claim `status` of a credential that states nothing in the W3C's way."""
    token = credential.members.get("status")
    if credential.statuses or not isinstance(token, dict):
        return None
    return Fields(token, foreign_credential.CODE, "/status")


def _entries(credential: ForeignCredential) -> list[status_list.StatusEntry]:
    """The entries of credentialStatus that say whether it stands; `refresh` and `message` do not.

    Raises MalformedError `status_malformed`: what cannot be read may say that it does not stand.
    """
    fields = Fields({"credentialStatus": credential.statuses}, status_list.CODE)
    found = [
        status_list.read_entry(each)
        for each in fields.children("credentialStatus", max_items=MAX_ENTRIES)
        if each.members.get("statusPurpose") not in _TELLING
    ]
    if any(entry.purpose not in _DECIDING for entry in found):
        raise fields.fault("credentialStatus", "an entry has a purpose that is not known here")
    return sorted(found, key=lambda entry: _DECIDING.index(entry.purpose))


_TOKEN_SAYS = {
    TokenStatus.VALID: (PASSED, ""),
    TokenStatus.INVALID: (FAILED, "revoked"),
    TokenStatus.SUSPENDED: (UNKNOWN, SUSPENDED),
    TokenStatus.OTHER: (UNKNOWN, "status_unknown"),
}


def _token_says(found: Foreign, status: Fields) -> Check:
    case = found.case
    assert found.key is not None
    reference = token_list.read_reference(status.child("status_list"))
    given = _token_given(case, reference.uri)
    if given is None:
        return Check("CRED-10", UNKNOWN, code="status_unknown")
    held = token_list.open_list(given, members=case.members, now=case.at, issuer=found.key.did)
    says = token_list.check(reference, held)
    outcome, code = _TOKEN_SAYS[says]
    evidence = {
        "list": held.uri,
        "index": reference.index,
        "says": says.value,
        "signedAt": times.to_text(held.issued_at),
        "ageSeconds": int(held.age(case.at).total_seconds()),
    }
    if outcome is PASSED and not held.fresh_at(case.at, case.max_status_age):
        return Check("CRED-10", UNKNOWN, code="status_stale", evidence=evidence)
    return Check("CRED-10", outcome, code=code, evidence=evidence)


def _token_given(case: Case, uri: str) -> ListToken | None:
    """Of several lists at hand the newest of that name; without one the first, to say why not."""
    given = case.status if isinstance(case.status, tuple) else (case.status,)
    signed = [one for one in given if isinstance(one, str | bytes)]
    if len(signed) < 2:
        return signed[0] if signed else None
    named = [(held.issued_at, one) for one in signed if (held := _token_read(one, uri))]
    return max(named, key=lambda pair: pair[0])[1] if named else signed[0]


def _token_read(given: ListToken, uri: str) -> TokenStatusList | None:
    try:
        held = token_list.parse_list(given)[1]
    except TradeError:
        return None
    return held if held.uri == uri else None


def cred_11_recognition(found: Foreign) -> Check:
    """CRED-11: the verifier's country recognises this type from the issuer's country."""
    verifier, kind = found.case.verifier_country, found.document_type
    if verifier is None or kind is None or found.country is None or found.credential is None:
        return not_reached("CRED-11")
    if not rights.is_official(kind):
        return Check("CRED-11", PASSED, code="recognition_not_needed")
    at = found.credential.valid_from or found.case.at
    # On its own date and, as a date can be back-dated, now.
    agreed = [
        found.case.members.agreement(verifier, found.country, kind.key, moment)
        for moment in (found.case.at, at)
    ]
    agreement = agreed[-1] if all(agreed) else None
    pair = f"{found.country} → {verifier}, {kind.key}"
    if agreement is None:
        return Check("CRED-11", FAILED, pair, "not_recognised")
    return Check("CRED-11", PASSED, pair, evidence={"agreement": agreement.id})


def cred_12(found: Foreign) -> Check:
    """CRED-12: the member list may be relied on (R6)."""
    return cred_12_member_list(found.case)


#: The steps in their order; CRED-05 and CRED-11 where they are asked.
STEPS: tuple[Callable[[Foreign], Check], ...] = (
    di_01_form,
    cred_02_key,
    cred_03_signature,
    cred_04_data_model,
    cred_05_network,
    cred_06_right,
    cred_07_time,
    cred_09_document,
    cred_10_status,
    cred_11_recognition,
    cred_12,
)
