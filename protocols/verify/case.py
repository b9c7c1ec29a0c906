"""One verification under way: what was given, and what the steps found so far.

Everything is parsed once, before the first step. When a file cannot be opened as a whole, it is
opened in parts, so that the report names the step that fails and the others still speak.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import times
from protocols.credentials import forms
from protocols.credentials.status_list import MAX_AGE
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from protocols.credentials.canonical_forms import Rdf
    from protocols.credentials.credential import CredentialClaims, DocumentFile
    from protocols.credentials.key_binding import Challenge
    from protocols.credentials.sd_credential import Presentation
    from protocols.credentials.status_list import StatusList, StatusLists
    from protocols.jws import Jws
    from protocols.log.proof import ProofResult
    from protocols.log.receipt import ReceiptFile
    from protocols.member_list import Agreement, ListedKey, MemberList
    from protocols.timestamp import TimeStamp
    from protocols.verify.receipt_steps import CheckedCheckpoints
    from protocols.x509.path import CertificatePath
    from schemas.findings import Finding
    from schemas.strict_json import JsonValue
    from schemas.view import View


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was opened: its file, the issuer's claims, the normalised view."""

    file: DocumentFile
    claims: CredentialClaims
    view: View

    @property
    def digest(self) -> bytes:
        """SHA-256 of the JWS payload: the document's identity (R2)."""
        return self.file.digest


@dataclass(frozen=True, slots=True)
class Receipt:
    """A log receipt: the leaf's bytes and the C2SP tlog-proof text that places it in a log.

    anchor: where its log was anchored on a chain, in JSON (`protocols.evm.anchor_proof`)
    file:   the receipt file that it came in, for its renewals
    """

    entry: bytes
    proof: str
    anchor: Mapping[str, JsonValue] | None = None
    file: ReceiptFile | None = None


@dataclass(slots=True)
class Case:
    """Given: file, member list, the one frozen moment, status, country, receipt. Then the finds.

    status:      the issuer's status lists: each a signed text, or a list that
                 `status_list.open_list` verified; None when none could be had
    held_status: a list held before, against which a roll-back shows
    max_status_age: for how long a list is relied on at most, whatever ttl it states
    logs:        the list in which a receipt's log is looked up, where `members` is an earlier
                 one: a receipt may have been completed since
    challenge:   what a holder has to sign; None where key binding is not asked for
    rdf:         imported contexts and canonical forms, for foreign proofs over RDF
    timestamp:   an RFC 3161 response over the credential's signature
    stamped_until: when a later time-stamp covered that one; None where none does
    blocks:      hashes of blocks that the verifier got elsewhere and relies on
    register:    what the issuer's register of ship certificates answered, as a signed text
    register_fault: the code of why it could not be had
    checked:     checkpoints checked before, under the list in which logs are looked up
    """

    data: bytes
    members: MemberList
    at: datetime
    status: StatusLists = None
    held_status: StatusList | None = None
    max_status_age: timedelta = MAX_AGE
    verifier_country: str | None = None
    receipt: Receipt | None = None
    require_witnesses: bool = False
    challenge: Challenge | None = None
    logs: MemberList | None = None
    rdf: Rdf | None = None
    timestamp: bytes | None = None
    stamped_until: datetime | None = None
    blocks: frozenset[bytes] = frozenset()
    register: str | None = None
    register_fault: str = ""
    checked: CheckedCheckpoints | None = None
    faults: dict[str, TradeError] = field(default_factory=dict)
    jws: Jws | None = None
    claims: CredentialClaims | None = None
    file: DocumentFile | None = None
    document: JsonValue = None
    presentation: Presentation | None = None
    key: ListedKey | None = None
    proof: ProofResult | None = None
    anchored_at: datetime | None = None
    stamp: TimeStamp | None = None
    path: CertificatePath | None = None
    certified: ListedKey | None = None
    issuer_country: str | None = None
    agreement: Agreement | None = None
    view: View | None = None
    findings: tuple[Finding, ...] = ()
    opened: bool = False

    def open(self) -> None:
        """Parse the file, once; on failure find out which part of it is at fault."""
        if self.opened:
            return
        self.opened = True
        try:
            opened = forms.open_file(self.data)
        except TradeError as fault:
            self._open_in_parts(fault)
        else:
            self.jws, self.claims, self.file = opened.jws, opened.claims, opened.file
            self.presentation, self.document = opened.presentation, opened.document

    def _open_in_parts(self, fault: TradeError) -> None:
        try:
            parsed = forms.parse_signature(self.data)
        except TradeError as error:
            self.faults["CRED-01"] = error
            return
        self.jws = parsed
        try:
            self.claims = forms.read(parsed)
        except TradeError as error:
            self.faults["CRED-04"] = error
            return
        self.faults["CRED-13" if self.selective else "CRED-08"] = fault

    @property
    def selective(self) -> bool:
        """Whether the file has disclosures, or could have: it is an SD-JWT."""
        return forms.is_selective(self.data)

    @property
    def proven_at(self) -> datetime | None:
        """An upper bound of when it was signed: a quorum saw its leaf, a stamp or an anchor."""
        seconds = self.proof.witness_time if self.proof else None
        moments = [] if seconds is None else [end_of_second(seconds)]
        if self.stamp is not None:
            moments.append(self.stamp.at)
        if self.anchored_at is not None:
            moments.append(self.anchored_at)
        return min(moments, default=None)

    @property
    def countersignature(self) -> str:
        """The issuer's second signature in the file, "" where there is none."""
        return self.file.countersignature if self.file else ""

    @property
    def signed_by(self) -> datetime:
        """The latest moment at which it can have been signed: proven, else the frozen moment.

        An issuer's own date proves nothing: a key or a right that has ended could back-date (R17).
        """
        proven = self.proven_at
        return self.at if proven is None else min(proven, self.at)


def end_of_second(seconds: int) -> datetime:
    """The last millisecond of a POSIX second: cosignatures tell whole seconds only."""
    return times.from_ms(seconds * 1000 + 999)
