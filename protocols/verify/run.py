"""A verification from end to end: the steps in order, under one frozen moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import times
from protocols.verify import certificate_steps as certificates
from protocols.verify import credential_steps as cred
from protocols.verify import disclosure_steps as disclosure
from protocols.verify import foreign_steps, presentation_steps, ship_steps
from protocols.verify.case import Case, Document
from protocols.verify.receipt_steps import receipt_checks
from protocols.verify.verified import _SEAL, Verified
from schemas.findings import Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from protocols.credentials.canonical_forms import Rdf
    from protocols.credentials.key_binding import Challenge
    from protocols.credentials.status_list import StatusList, StatusLists
    from protocols.member_list import MemberList
    from protocols.verify.case import Receipt
    from schemas.findings import Check

#: The credential steps in the order of their numbers. Removing one must make a test fail.
STEPS: tuple[Callable[[Case], Check], ...] = (
    cred.cred_01_form,
    cred.cred_02_key,
    cred.cred_03_signature,
    cred.cred_04_data_model,
    cred.cred_05_network,
    cred.cred_06_right,
    cred.cred_07_time,
    cred.cred_08_payload,
    cred.cred_09_document,
    cred.cred_10_status,
    cred.cred_11_recognition,
    cred.cred_12_member_list,
    disclosure.cred_13_disclosures,
    disclosure.cred_14_key_binding,
    certificates.cred_15_certificates,
    certificates.cred_16_countersignature,
)


def verify_document(
    file: bytes,
    *,
    members: MemberList,
    at: datetime,
    status: StatusLists = None,
    held_status: StatusList | None = None,
    verifier_country: str | None = None,
    receipt: Receipt | None = None,
    require_witnesses: bool = False,
    historical: bool = False,
    challenge: Challenge | None = None,
    logs: MemberList | None = None,
    rdf: Rdf | None = None,
    timestamp: bytes | None = None,
    blocks: frozenset[bytes] = frozenset(),
    register: str | None = None,
) -> tuple[Report, Verified[Document] | None]:
    """Verify one document file (DocumentFile bytes) at the moment `at`.

    members:          the list the verifier holds; nothing embedded is trusted for itself (R5)
    status:           the issuer's status list: signed text, or one opened by `open_list`
    held_status:      the list held before, to notice a roll-back
    verifier_country: alpha-2; without it recognition (CRED-11) is not asked
    historical:       `at` is not now: the report is marked and nothing Verified comes back (R25)
    challenge:        asks for key binding: the holder must have signed for it (CRED-14)
    logs:             the newest list held, where `members` is the one of another moment
    rdf:              imported contexts and canonical forms, for foreign proofs over RDF
    timestamp:        an RFC 3161 response over the credential's signature (TST-01, TST-02)
    blocks:           hashes of blocks got elsewhere, for a receipt's anchor (LOG-07)
    register:         the answer of the issuer's register of ship certificates (SHIP-03)

    Never raises for a bad file: every fault is a check. The second value is there only when the
    verdict is PASSED.
    """
    case = Case(
        file,
        members,
        at,
        status=status,
        held_status=held_status,
        verifier_country=verifier_country,
        receipt=receipt,
        require_witnesses=require_witnesses,
        challenge=challenge,
        logs=logs,
        rdf=rdf,
        timestamp=timestamp,
        blocks=blocks,
        register=register,
    )
    report, _, verified = verify_case(case, historical=historical)
    return report, verified


def verify_case(
    case: Case, *, historical: bool = False
) -> tuple[Report, Document | None, Verified[Document] | None]:
    """As `verify_document`, for a case that may be open already; the document comes back, too."""
    report, document = examine_document(case, historical=historical)
    if document is None or historical or report.verdict is not Outcome.PASSED:
        return report, document, None
    return report, document, Verified(document, report, seal=_SEAL)


def examine_document(case: Case, *, historical: bool = False) -> tuple[Report, Document | None]:
    """The report, and the document as far as it could be opened, whatever the verdict."""
    _unwrap(case)
    shown = presentation_steps.opened(case)
    if shown is not None:
        return presentation_steps.report(shown, _examined, historical=historical), None
    if foreign_steps.is_foreign(case.data):
        return foreign_steps.examine(case, historical=historical), None
    case.open()
    # What proves a time comes first: it decides at which moment key and right are judged.
    logged = (*receipt_checks(case), *certificates.timestamp_checks(case))
    certificates.examine_path(case)
    cred.examine(case)
    left_out = _not_asked(case)
    checks = tuple(step(case) for step in STEPS if step not in left_out)
    ship, found = ship_steps.ship_checks(case)
    subject = case.jws.payload_digest.hex() if case.jws is not None else ""
    report = Report(
        subject,
        times.to_text(case.at),
        (*checks, *ship, *logged),
        (*case.findings, *found),
        historical=historical,
    )
    if case.file is None or case.claims is None or case.view is None:
        return report, None
    return report, Document(case.file, case.claims, case.view)


def _unwrap(case: Case) -> None:
    """A document of ours in an Enveloped… object is the document (VC Data Model 2.0 §4.12.1)."""
    inner = presentation_steps.unwrapped(case.data)
    if inner != case.data:
        case.data, case.opened = inner, False
        case.faults.clear()


def _examined(case: Case) -> Report:
    return examine_document(case)[0]


def _not_asked(case: Case) -> tuple[Callable[[Case], Check], ...]:
    """The steps that this file, or this verifier, does not ask for."""
    asked = {
        cred.cred_11_recognition: case.verifier_country is not None,
        disclosure.cred_13_disclosures: case.selective,
        disclosure.cred_14_key_binding: case.challenge is not None,
        certificates.cred_15_certificates: case.jws is not None and bool(case.jws.header.x5c),
        certificates.cred_16_countersignature: bool(case.countersignature)
        or certificates.countersignature_wanted(case),
    }
    return tuple(step for step, wanted in asked.items() if not wanted)
