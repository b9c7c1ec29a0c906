"""What the checks of a receiving platform come to, and the answers that follow (PINT 3.0.0).

`protocols.pint.checks` makes it. Nothing here accepts: `READY` means that the recipient may accept
at the arbiter, and only after that is RECE said (R20).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from protocols.pint import answers, documents
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import MOVES_POSSESSION
from schemas import registry
from schemas.findings import Report

if TYPE_CHECKING:
    from collections.abc import Collection

    from protocols.pint.answers import FinishedResponse
    from protocols.pint.chain import SignedEntry
    from protocols.pint.envelope import EblEnvelope, EnvelopeManifest
    from protocols.pint.rules import ChainState
    from schemas.errors import TradeError
    from schemas.findings import Check, Finding

BILL = "bill-of-lading"


class Outcome(Enum):
    """What the checks come to.

    READY: everything is here, the recipient may accept. DOCUMENTS: the transfer is active, 201.
    DUPLICATE: DUPE. REFUSED: a signed refusal. MALFORMED: an unsigned 400.
    """

    READY = "ready"
    DOCUMENTS = "documents"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of all steps, with what was read on the way.

    state: where the bill will be after acceptance; registry: the arbiter's base URI
    title: the title's id, for a bill under an arbiter of this network
    document: the RFC 8785 form of the transport document, once it was compared (PINT-11)
    missing, here: documents of the manifest that are not held yet, and that are
    accepted: for a duplicate, the entry that stands
    moves_possession: False when the envelope only notifies (ENDORSE…, SACC)
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    error: TradeError | None = None
    envelope: EblEnvelope | None = None
    manifest: EnvelopeManifest | None = None
    entries: tuple[SignedEntry, ...] = ()
    state: ChainState | None = None
    registry: str | None = None
    title: bytes | None = None
    document: bytes = b""
    missing: tuple[bytes, ...] = ()
    here: tuple[bytes, ...] = ()
    accepted: str | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules of bills (BOL-…) say of the document; worked out when it is asked for."""
        if self.envelope is None or self.outcome is Outcome.MALFORMED:
            return ()
        return tuple(registry.examine_parsed(BILL, dict(self.envelope.document)).findings)

    @property
    def moves_possession(self) -> bool:
        """Whether the last transaction moves the possession here."""
        return bool(self.entries) and self.entries[-1].last.action in MOVES_POSSESSION

    def report(self, subject: str, at: str) -> Report:
        """The checks as a report for people; at: RFC 3339."""
        return Report(subject, at, self.checks, self.findings)

    def started(self, reference: str) -> answers.StartedResponse:
        """The body of 201; only for `DOCUMENTS`."""
        assert self.outcome is Outcome.DOCUMENTS
        assert self.envelope is not None
        envelope = self.envelope
        return answers.StartedResponse(
            reference, envelope.document_checksum, envelope.last_checksum, self.missing
        )

    def finished(self) -> FinishedResponse:
        """What is signed and answered at once; only for `REFUSED` and `DUPLICATE`."""
        assert self.envelope is not None
        last = self.envelope.last_checksum
        if self.outcome is Outcome.DUPLICATE:
            assert self.accepted is not None
            return answers.duplicate(last, self.accepted, self.here)
        assert isinstance(self.error, EnvelopeRefusedError)
        return answers.rejected(last, self.error.response, self.error.detail)

    def received(self, arrived: Collection[bytes] = ()) -> FinishedResponse:
        """RECE; to be signed only after the recipient's acceptance is final (R20).

        arrived: documents that were taken since. Raises EnvelopeRefusedError MDOC
        `pint_documents_missing` while any is missing: a receipt names only what is here.
        """
        assert self.outcome in {Outcome.READY, Outcome.DOCUMENTS}
        assert self.envelope is not None
        assert self.manifest is not None
        documents.require_all(self.manifest, {*self.here, *arrived})
        return answers.received(self.envelope.last_checksum, self.manifest.additional)
