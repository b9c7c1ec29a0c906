"""What can be said of others' credentials and presentations without any member list.

That a key signed, that the key is the one that the issuer's or holder's own identifier names, that
the document obeys its data model, that it is valid at the moment. The numbered steps of
`protocols.verify.foreign_steps` begin with these and go on to what only the list says: whose key
it is. A presentation adds its own: challenge and domain, the holder, each credential in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import times
from protocols.credentials import data_integrity, foreign_credential, presentation, secured, vcdm
from protocols.credentials.vcdm import require_in_time
from protocols.digest import sha256
from protocols.fields import Fields
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from schemas import strict_json
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check, Outcome, Report

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.credentials.canonical_forms import Rdf
    from protocols.credentials.data_integrity import Expected, ProofResult, Resolver, Verification
    from protocols.credentials.foreign_credential import ForeignCredential
    from protocols.credentials.presentation import Presentation
    from schemas.strict_json import JsonValue

#: A contained credential's file → its report.
Examine = Callable[[bytes], Report]


@dataclass(slots=True)
class Proven:
    """One document under verification: what was read, and what the steps found."""

    at: datetime
    fault: TradeError | None = None
    members: Mapping[str, JsonValue] = field(default_factory=dict)
    proofs: Verification | None = None
    credential: ForeignCredential | None = None
    presentation: Presentation | None = None
    model_fault: TradeError | None = None

    @property
    def digest(self) -> bytes | None:
        """SHA-256 of the document without its proofs: what it is, whoever proves it (R2)."""
        if not self.members:
            return None
        held = self.proofs.document if self.proofs else None
        body = held or {name: item for name, item in self.members.items() if name != "proof"}
        return sha256(strict_json.canonical(dict(body)))

    def read(
        self,
        data: bytes,
        resolve: Resolver,
        asked: Expected,
        rdf: Rdf | None = None,
        *,
        legacy: bool = False,
    ) -> None:
        """Parse the file, verify its proofs, read what they cover. Never raises."""
        forms = rdf.forms if rdf else None
        try:
            opened = secured.open_secured(data, resolve, asked, forms, legacy=legacy)
        except TradeError as error:
            self.fault = error
            return
        self.members, self.proofs = opened.members, opened.proofs
        try:
            # What was appended to the contexts after signing is not read.
            self._read_model(opened.document, rdf)
        except TradeError as error:
            self.model_fault = error

    def _read_model(self, document: Mapping[str, JsonValue], rdf: Rdf | None) -> None:
        if presentation.is_presentation(document):
            self.presentation = presentation.read(document)
        else:
            imported = rdf.contexts if rdf else None
            self.credential = foreign_credential.read(document, imported)
            if rdf is not None:
                fields = Fields(document, foreign_credential.CODE)
                vcdm.require_resources(fields, rdf.resources)

    @property
    def party(self) -> str:
        """The issuer or the holder by what the document says; empty where it names none."""
        held = self.proofs.document if self.proofs else None
        return secured.party_of(held or self.members)


def di_01_form(found: Proven) -> Check:
    """DI-01: the file is strict JSON with readable proofs, or a readable envelope."""
    if found.fault is not None:
        return fault("DI-01", found.fault)
    assert found.proofs is not None
    suites = [proof.cryptosuite for proof in found.proofs.proofs]
    return Check("DI-01", PASSED, evidence={"proofs": suites})


def cred_03_signature(found: Proven) -> Check:
    """CRED-03: every proof holds (vc-data-integrity §4.5, VC-JOSE-COSE §3)."""
    if found.proofs is None:
        return not_reached("CRED-03")
    worst = found.proofs.worst
    evidence = {"proofs": [_told(proof) for proof in found.proofs.proofs]}
    return Check("CRED-03", worst.outcome, worst.detail[:200], worst.code, evidence)


def _told(proof: ProofResult) -> dict[str, str]:
    problem = data_integrity.PROBLEMS.get(proof.code)
    return {
        "cryptosuite": proof.cryptosuite[:100],
        "verificationMethod": proof.method[:400],
        "outcome": proof.outcome.value,
        **({"problem": problem} if problem else {}),
    }


def cred_04_data_model(found: Proven) -> Check:
    """CRED-04: the document obeys W3C VC Data Model 2.0, or 1.1."""
    if found.model_fault is not None:
        return fault("CRED-04", found.model_fault)
    if found.presentation is not None:
        return Check("CRED-04", PASSED, evidence={"holder": found.presentation.holder or ""})
    if found.credential is None:
        return not_reached("CRED-04")
    evidence = {"issuer": found.credential.issuer, "version": found.credential.version}
    return Check("CRED-04", PASSED, evidence=evidence)


def cred_07_time(found: Proven) -> Check:
    """CRED-07: the credential is valid at the moment (60 s for clocks)."""
    credential = found.credential
    if credential is None:
        return not_reached("CRED-07")
    spans = {"validFrom": credential.valid_from, "validUntil": credential.valid_until}
    evidence = {name: times.to_text(at) for name, at in spans.items() if at is not None}
    try:
        require_in_time(credential.valid_from, credential.valid_until, found.at)
    except RefusedError as error:
        return Check("CRED-07", FAILED, error.detail, error.code, evidence)
    return Check("CRED-07", PASSED, evidence=evidence)


def prf_01_own_key(found: Proven) -> Check:
    """PRF-01: a proof is by a key of the very identifier that the document names as its issuer.

    Of an issuer that is a URL and no DID this cannot be said when the key is a DID's own: its
    document would have to be fetched, and only the member list could vouch for it (R7).
    """
    if found.proofs is None or not found.party:
        return not_reached("PRF-01")
    keys = [proof.key for proof in found.proofs.proofs if proof.key is not None]
    if any(key.kid.partition("#")[0] == found.party for key in keys):
        return Check("PRF-01", PASSED, evidence={"party": found.party[:400]})
    if not found.party.startswith("did:") and all(key.kid.startswith("did:") for key in keys):
        return Check("PRF-01", PASSED, code="issuer_not_proven")
    return Check("PRF-01", FAILED, code="proof_not_issuers")


def vp_01_challenge(found: Proven, asked: Expected) -> Check:
    """VP-01: it answers the challenge that was asked; without one it may be somebody's copy."""
    if found.proofs is None:
        return not_reached("VP-01")
    if asked.challenge is None:
        return Check("VP-01", UNKNOWN, code="challenge_not_asked")
    # That it is the one asked for is part of verifying the proof (CRED-03).
    return Check("VP-01", found.proofs.worst.outcome, code=found.proofs.worst.code)


def vp_02_holder(found: Proven) -> Check:
    """VP-02: who proves it is the holder that the presentation names."""
    if found.presentation is None or found.proofs is None:
        return not_reached("VP-02")
    if found.presentation.holder is None:
        return Check("VP-02", PASSED, code="holder_not_named")
    bound = prf_01_own_key(found)
    code = "" if bound.outcome is PASSED else "holder_not_proven"
    return Check("VP-02", bound.outcome, code=code, evidence=bound.evidence)


def vp_03_credentials(found: Proven, examine: Examine) -> Check:
    """VP-03: every contained credential is verified by itself; the worst of them decides."""
    if found.presentation is None:
        return not_reached("VP-03")
    reports = [examine(file) for file in found.presentation.files()]
    told = [_summary(report) for report in reports]
    verdicts = {report.verdict for report in reports}
    for outcome in (Outcome.FAILED, Outcome.INDETERMINATE):
        if outcome in verdicts:
            return Check("VP-03", outcome, "", "contained_not_verified", {"credentials": told})
    return Check("VP-03", PASSED, evidence={"credentials": told})


def _summary(report: Report) -> dict[str, str]:
    decided = next((one for one in report.checks if one.outcome is report.verdict), None)
    told = {"subject": report.subject, "verdict": report.verdict.value}
    if decided is not None and decided.outcome is not PASSED:
        told |= {"check": decided.id, "code": decided.code}
    return told


#: What can be said of a credential without a member list, in this order.
CREDENTIAL_STEPS: tuple[Callable[[Proven], Check], ...] = (
    di_01_form,
    cred_03_signature,
    cred_04_data_model,
    prf_01_own_key,
    cred_07_time,
)


def presentation_report(
    found: Proven, asked: Expected, examine: Examine, *, historical: bool = False
) -> Report:
    """The report on a presentation; `examine` judges each credential in it."""
    checks = (
        di_01_form(found),
        cred_03_signature(found),
        cred_04_data_model(found),
        vp_01_challenge(found, asked),
        vp_02_holder(found),
        vp_03_credentials(found, examine),
    )
    subject = found.digest.hex() if found.digest is not None else ""
    return Report(subject, times.to_text(found.at), checks, historical=historical)


def credential_report(found: Proven) -> Report:
    """The report on a credential by its proofs alone: nothing about who the issuer is."""
    checks = tuple(step(found) for step in CREDENTIAL_STEPS)
    subject = found.digest.hex() if found.digest is not None else ""
    return Report(subject, times.to_text(found.at), checks)
