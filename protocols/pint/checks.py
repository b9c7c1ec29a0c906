"""What a receiving platform checks before it takes an envelope, in order (PINT 3.0.0).

Numbered steps after one another: PINT-01 … PINT-17. The first that fails decides the answer, and
later ones are not reached. The order matters in one place: what is known of the bill is compared
before the manifest is held against the chain, because a retry may carry an entry that was signed
again under a manifest of before (digest of the standard, decision 5). Nothing here accepts: `READY`
means that the recipient may accept at the arbiter, and only after that is RECE said (R20).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from protocols.digest import sha256
from protocols.pint import documents, history, rules
from protocols.pint.chain import SignedEntry, open_entry, open_manifest
from protocols.pint.envelope import EblEnvelope, open_envelope_manifest, read_envelope
from protocols.pint.history import Relation
from protocols.pint.judgement import BILL, Judgement, Outcome
from protocols.pint.receiver import Receiver
from protocols.pint.refusal import EnvelopeRefusedError, bad_signature
from protocols.pint.tracking import parse_registry_uri
from protocols.pint.words import Response
from protocols.title import operation as title_operation
from schemas import registry, strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from schemas.findings import Check
from schemas.findings import Outcome as Verdict

if TYPE_CHECKING:
    from protocols.pint.chain import IssuanceManifest
    from protocols.pint.envelope import EnvelopeManifest
    from protocols.pint.platforms import Signatory
    from protocols.pint.rules import ChainState
    from protocols.pint.signed import Signed

T = TypeVar("T")
#: How far clocks of platforms may differ.
SKEW = timedelta(minutes=5)


class _Duplicate(Exception):  # noqa: N818 - no error: an earlier transfer stands
    """Ends the steps early."""


@dataclass(slots=True)
class _Case:
    """One envelope under examination; the parts appear as the steps go on."""

    data: bytes
    receiver: Receiver
    envelope: EblEnvelope | None = None
    manifest: tuple[Signed, EnvelopeManifest] | None = None
    issuance: tuple[Signed, IssuanceManifest] | None = None
    entries: tuple[SignedEntry, ...] = ()
    state: ChainState | None = None
    accepted: str | None = None
    missing: tuple[bytes, ...] = ()
    registry: str | None = None
    title: bytes | None = None
    document: bytes = b""
    platforms: dict[str, Signatory | None] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    outcome: Outcome | None = None
    error: TradeError | None = None

    def take(self, step_id: str, step: Callable[[_Case], Check]) -> None:
        """One step, unless an earlier one decided."""
        self.checks.append(_not_reached(step_id) if self.outcome else self._taken(step_id, step))

    def _taken(self, step_id: str, step: Callable[[_Case], Check]) -> Check:
        try:
            return step(self)
        except _Duplicate:
            self.outcome = Outcome.DUPLICATE
            return _passed(step_id, code="pint_duplicate")
        except TradeError as raised:
            self.error = raised
            signed = isinstance(raised, EnvelopeRefusedError)
            self.outcome = Outcome.REFUSED if signed else Outcome.MALFORMED
            return Check(step_id, Verdict.FAILED, raised.detail, raised.code)

    def platform(self, code: str) -> Signatory | None:
        """The platform of that code, looked up once."""
        if code not in self.platforms:
            self.platforms[code] = self.receiver.keyring.platform(code)
        return self.platforms[code]

    @property
    def read(self) -> EblEnvelope:
        assert self.envelope is not None  # PINT-01
        return self.envelope

    @property
    def signed_manifest(self) -> tuple[Signed, EnvelopeManifest]:
        assert self.manifest is not None  # PINT-03
        return self.manifest


def judge(data: bytes, receiver: Receiver, envelope: EblEnvelope | None = None) -> Judgement:
    """All steps over the body of POST /v3/envelopes. Never raises for what is in it.

    envelope: what `read_envelope` made of the data, where that was asked before
    """
    return judge_all([(data, receiver, envelope)])[0]


def judge_all(asked: Iterable[tuple[bytes, Receiver, EblEnvelope | None]]) -> list[Judgement]:
    """As `judge`, for envelopes that have nothing to do with each other.

    Each step is taken over all of them before the next: what a step needs is then still in the
    processor's caches, which each signature otherwise empties (a sixth of the whole time).
    """
    cases = [_Case(*one) for one in asked]
    for step_id, step in STEPS.items():
        for case in cases:
            case.take(step_id, step)
    return [_judgement(case) for case in cases]


def _judgement(case: _Case) -> Judgement:
    manifest = None if case.manifest is None else case.manifest[1]
    announced = () if manifest is None else tuple(manifest.additional)
    whole = Outcome.DOCUMENTS if case.missing else Outcome.READY
    return Judgement(
        outcome=case.outcome or whole,
        checks=tuple(case.checks),
        error=case.error,
        envelope=case.envelope,
        manifest=manifest,
        entries=case.entries,
        state=case.state,
        registry=case.registry,
        title=case.title,
        document=case.document,
        missing=case.missing,
        here=tuple(checksum for checksum in announced if checksum in case.receiver.held),
        accepted=case.accepted,
    )


@lru_cache(maxsize=1024)
def _passed(step_id: str, reason: str = "", code: str = "") -> Check:
    """Made once: nearly all envelopes pass nearly all steps, with the same few words."""
    return Check(step_id, Verdict.PASSED, reason, code)


@lru_cache(maxsize=64)
def _not_reached(step_id: str) -> Check:
    return Check(step_id, Verdict.INDETERMINATE, code="not_reached")


def pint_01_envelope(case: _Case) -> Check:
    """PINT-01: the body is an EblEnvelope in I-JSON; else 400, unsigned."""
    if case.envelope is None:
        case.envelope = read_envelope(case.data)
    return _passed("PINT-01")


def pint_02_document(case: _Case) -> Check:
    """PINT-02: the transport document obeys its schema; else 400, unsigned.

    What the standard says beyond the schema (BOL-…) is reported and refuses no transfer: the bill
    was issued by its carrier, and the sender cannot change it.
    """
    broken = registry.faults(BILL, dict(case.read.document))
    if broken:
        raise MalformedError(
            "pint_document_malformed",
            "the transport document does not obey its schema",
            pointer="/transportDocument" + broken[0].pointer,
            findings=broken,
        )
    return _passed("PINT-02")


def pint_03_signed_objects(case: _Case) -> Check:
    """PINT-03: manifest and entries are JWS (BSIG) and hold what they must hold (BENV)."""
    case.manifest = _opened(open_envelope_manifest, case.read.manifest)
    make = case.receiver.dialect
    dialect = None if make is None else make(case.read)
    case.entries = tuple(
        _opened(partial(open_entry, dialect=dialect, index=index), text)
        for index, text in enumerate(case.read.chain)
    )
    return _passed("PINT-03", f"entries: {len(case.entries)}")


def _opened(open_: Callable[[str], T], text: str) -> T:
    try:
        return open_(text)
    except (MalformedError, TooLargeError, RefusedError) as error:
        of_jws = error.code.startswith(("jws_", "base64url_")) or error.code == "pint_jws_malformed"
        response = Response.BSIG if of_jws else Response.BENV
        raise EnvelopeRefusedError(
            response, error.code, error.detail, pointer=error.pointer
        ) from None


def pint_04_platforms(case: _Case) -> Check:
    """PINT-04: every platform anywhere in the chain is listed (R7)."""
    for item in case.entries:
        if case.platform(item.entry.platform) is None:
            raise bad_signature("pint_platform_unknown", "a platform in the chain is not listed")
        for transaction in item.entry.transactions:
            for party in (transaction.actor, transaction.recipient):
                if party is not None and case.platform(party.platform) is None:
                    raise rules.refused(
                        "pint_platform_unknown", "a party is on a platform that is not listed"
                    )
    return _passed("PINT-04")


def _signatory(case: _Case, code: str) -> Signatory:
    signatory = case.platform(code)
    assert signatory is not None  # PINT-04
    return signatory


def pint_05_signatures(case: _Case) -> Check:
    """PINT-05: every entry is signed by the platform it names, the manifest by the last one.

    An entry counts at the time of its own last transaction, the last entry and the manifest now.
    """
    *earlier, last = case.entries
    for item in earlier:
        if item.jws.checksum not in case.receiver.verified:
            at = min(item.last.at, case.receiver.now)
            _signatory(case, item.entry.platform).verify(item.jws, at)
    sender = _signatory(case, last.entry.platform)
    if last.jws.checksum not in case.receiver.verified:
        sender.verify(last.jws, case.receiver.now)
    sender.verify(case.signed_manifest[0], case.receiver.now)
    return _passed("PINT-05")


def pint_06_issuance(case: _Case) -> Check:
    """PINT-06: the first entry holds the issuance manifest, signed by the carrier that issued."""
    first = case.entries[0].entry
    if first.issuance is None:
        raise rules.refused("pint_issuance_missing", "the first entry holds no issuance manifest")
    if any(one.entry.issuance not in (None, first.issuance) for one in case.entries):
        raise rules.refused("pint_issued_twice", "a later entry holds another issuance manifest")
    case.issuance = _opened(open_manifest, first.issuance)
    issue = first.transactions[0]
    carrier = case.receiver.keyring.carrier(issue.actor)
    if carrier is None:
        raise bad_signature("pint_carrier_unknown", "the carrier that issued is not listed")
    if case.entries[0].jws.checksum not in case.receiver.verified:
        carrier.verify(case.issuance[0], min(issue.at, case.receiver.now))
    return _passed("PINT-06")


def pint_07_links(case: _Case) -> Check:
    """PINT-07: every entry names the text of the one before it, the first names none."""
    expected: bytes | None = None
    for item in case.entries:
        if item.entry.previous != expected:
            raise rules.refused("pint_chain_broken", "an entry does not follow the one before it")
        expected = item.jws.checksum
    return _passed("PINT-07")


def pint_08_one_bill(case: _Case) -> Check:
    """PINT-08: all entries are about one document; the registry is named first or nowhere."""
    first = case.entries[0].entry
    if any(one.entry.document != first.document for one in case.entries):
        raise rules.refused("pint_chain_grafted", "entries of another document are in the chain")
    if any(one.entry.registry is not None for one in case.entries[1:]):
        raise rules.refused(
            "pint_registry_changed", "the registry is named in the first entry only"
        )
    return _passed("PINT-08")


def pint_09_history(case: _Case) -> Check:
    """PINT-09: nothing that is known of the bill is contradicted (DISE), nor is it done (DUPE)."""
    known = case.receiver.known(case.entries[0].entry.document)
    compared = history.compare(known, [item.jws for item in case.entries])
    if compared.relation is Relation.DUPLICATE:
        case.accepted = compared.accepted
        raise _Duplicate
    if compared.relation is Relation.DISPUTED:
        raise EnvelopeRefusedError(
            Response.DISE,
            "pint_disputed",
            f"the chain contradicts what is known here from entry {(compared.at or 0) + 1}",
        )
    return _passed("PINT-09", compared.relation.value)


def pint_10_last_entry(case: _Case) -> Check:
    """PINT-10: the manifest was signed for this last entry."""
    if case.signed_manifest[1].last != case.entries[-1].jws.checksum:
        raise bad_signature("pint_manifest_stale", "the manifest is for another last entry")
    return _passed("PINT-10")


def pint_11_document(case: _Case) -> Check:
    """PINT-11: the document is the one that manifest, chain and carrier signed (RFC 8785)."""
    assert case.issuance is not None  # PINT-06
    case.document = strict_json.canonical(case.read.document)
    checksum = sha256(case.document)
    if case.signed_manifest[1].document != checksum:
        raise bad_signature("pint_document_altered", "the manifest is for another document")
    if case.entries[-1].entry.document != checksum:
        raise bad_signature("pint_document_altered", "the chain is for another document")
    if case.issuance[1].document != checksum:
        raise rules.refused("pint_not_as_issued", "the carrier issued another document")
    return _passed("PINT-11")


def pint_12_visualisation(case: _Case) -> Check:
    """PINT-12: the carrier's picture of the bill goes along unchanged, or there is none."""
    assert case.issuance is not None  # PINT-06
    issued, picture = case.issuance[1].visualisation, case.signed_manifest[1].visualisation
    if issued != (None if picture is None else picture.checksum):
        raise rules.refused(
            "pint_visualisation_differs", "the carrier's visualisation is not the one it signed"
        )
    return _passed("PINT-12")


def pint_13_times(case: _Case) -> Check:
    """PINT-13: transactions are in the order of their times and none is of the future."""
    before: datetime | None = None
    for item in case.entries:
        for transaction in item.entry.transactions:
            if transaction.at > case.receiver.now + SKEW:
                raise rules.refused("pint_from_the_future", "a transaction lies in the future")
            if before is not None and transaction.at + SKEW < before:
                raise rules.refused(
                    "pint_out_of_order", "a transaction is older than its forerunner"
                )
            before = transaction.at
    return _passed("PINT-13")


def pint_14_registry(case: _Case) -> Check:
    """PINT-14: the registry that guards the bill is one that this network lists (R7, R19)."""
    policy, named = case.receiver.registries, case.entries[0].entry.registry
    if named is None:
        if policy.required:
            raise rules.refused("pint_registry_required", "no registry guards this bill")
        reason = "only the platforms' word stands against a second transfer"
        return _passed("PINT-14", reason, "pint_registry_absent")
    try:
        uri = parse_registry_uri(named, test=policy.test)
    except MalformedError as error:
        raise rules.refused(error.code, error.detail) from None
    if uri.text not in policy.listed:
        raise rules.refused("pint_registry_unlisted", "the registry is not in the member list")
    case.registry = uri.text
    arbiter = policy.arbiters.get(uri.text)
    if arbiter is not None:
        case.title = _title(case, arbiter)
    return _passed("PINT-14")


def _title(case: _Case, arbiter: bytes) -> bytes:
    """The title that the carrier's manifest makes, when it is for this arbiter and this bill."""
    assert case.issuance is not None  # PINT-06
    try:
        _, manifest = title_operation.read_manifest(case.issuance[0].text)
    except TradeError as error:
        raise rules.refused("pint_other_arbiter", error.detail) from None
    reference = case.read.document.get("transportDocumentReference")
    named = (manifest.arbiter, manifest.network, manifest.reference)
    if named != (arbiter, case.receiver.registries.network, reference):
        raise rules.refused("pint_other_arbiter", "the carrier issued under another arbiter")
    return manifest.title()


def pint_15_transactions(case: _Case) -> Check:
    """PINT-15: every transaction was possible for who did it (`protocols.pint.rules`)."""
    terms = rules.terms_of(
        case.read.document,
        possession_recorded=case.registry is not None,
        is_bank=case.receiver.is_bank,
        represents_carrier=case.receiver.represents_carrier,
    )
    if case.receiver.dialect is not None:
        terms = replace(terms, possession_traced=False)
    case.state = rules.replay((item.entry for item in case.entries), terms)
    return _passed("PINT-15", case.state.bill.value)


def pint_16_recipient(case: _Case) -> Check:
    """PINT-16: the last transaction is for a party with an account here, from another platform."""
    last = case.entries[-1].last
    here = case.receiver.platform
    if last.recipient is None or last.recipient.platform != here or last.actor.platform == here:
        raise rules.refused("pint_not_for_us", "the envelope is not for this platform")
    if not case.receiver.accepts(last.recipient):
        raise rules.refused("pint_recipient_unknown", "the recipient has no active account here")
    return _passed("PINT-16")


def pint_17_documents(case: _Case) -> Check:
    """PINT-17: which additional documents are still to come."""
    case.missing = documents.missing(case.signed_manifest[1], case.receiver.held)
    return _passed("PINT-17", f"{len(case.missing)} still to come")


STEPS: Mapping[str, Callable[[_Case], Check]] = MappingProxyType(
    {
        "PINT-01": pint_01_envelope,
        "PINT-02": pint_02_document,
        "PINT-03": pint_03_signed_objects,
        "PINT-04": pint_04_platforms,
        "PINT-05": pint_05_signatures,
        "PINT-06": pint_06_issuance,
        "PINT-07": pint_07_links,
        "PINT-08": pint_08_one_bill,
        "PINT-09": pint_09_history,
        "PINT-10": pint_10_last_entry,
        "PINT-11": pint_11_document,
        "PINT-12": pint_12_visualisation,
        "PINT-13": pint_13_times,
        "PINT-14": pint_14_registry,
        "PINT-15": pint_15_transactions,
        "PINT-16": pint_16_recipient,
        "PINT-17": pint_17_documents,
    }
)
