"""How this node judges a document: its member list, its country, the status it holds.

`judge` runs without waiting, over what is held; `VerificationService.judge` fetches first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.documents import documents
from protocols.credentials.credential import MEDIA_TYPE, MEDIA_TYPE_BESIDE
from protocols.verify import Case, verify_case
from protocols.verify.altered import differences, given_payload, named_by
from schemas.errors import UnavailableError
from schemas.findings import Outcome, Severity

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.credentials.key_binding import Challenge
    from protocols.credentials.status_list import StatusLists
    from protocols.member_list import MemberList
    from protocols.verify import Document, Receipt, Verified
    from schemas.findings import Check, Finding, Report


@dataclass(frozen=True, slots=True)
class Judged:
    """A report; the document as far as it could be opened; its Verified value when it passed."""

    report: Report
    document: Document | None
    verified: Verified[Document] | None

    @property
    def reason(self) -> Check | None:
        """The check that decided against it: the first that failed, else the first unknown."""
        checks = self.report.checks
        for outcome in (Outcome.FAILED, Outcome.INDETERMINATE):
            found = next((check for check in checks if check.outcome is outcome), None)
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class Question:
    """What an operator asks: a file; perhaps another moment, country, proofs of time, binding."""

    file: bytes
    at: datetime | None = None
    country: str | None = None
    receipt: Receipt | None = None
    challenge: Challenge | None = None
    timestamp: bytes | None = None
    blocks: frozenset[bytes] = frozenset()


def members_of(node: Node) -> MemberList:
    """The member list in force; raises UnavailableError `outside_a_network`."""
    members = node.members.current
    if members is None:
        raise UnavailableError("no_member_list", "this node holds no member list yet")
    return members


def country_of(node: Node) -> str | None:
    """The country this node verifies for: its entry in the list, else its settings."""
    members = node.members.current
    entry = members.node(node.did) if members else None
    return entry.country if entry else node.settings.node.country or None


def case_of(node: Node, data: bytes, at: datetime, members: MemberList | None = None) -> Case:
    """A document file (DocumentFile bytes) opened for this node's list and country at `at`.

    members: the list of another time, where one is asked about
    """
    case = Case(data, members or members_of(node), at, verifier_country=country_of(node))
    case.open()
    return case


def judge(case: Case, status: StatusLists, *, historical: bool = False) -> Judged:
    """Judge an open case with the status lists given."""
    case.status = status
    report, document, verified = verify_case(case, historical=historical)
    return Judged(report, document, verified)


def with_fault(judged: Judged, check_id: str, code: str) -> Judged:
    """The same, but that check failed after all; nothing verified comes out of it."""
    checks = tuple(
        replace(each, outcome=Outcome.FAILED, code=code) if each.id == check_id else each
        for each in judged.report.checks
    )
    return replace(judged, report=replace(judged.report, checks=checks), verified=None)


def name_differences(conn: Connection, data: bytes, judged: Judged) -> Judged:
    """Add what an altered copy changed, when an intact document of its type and number is held.

    A document that verifies and yet differs from another one held is told as warnings.
    """
    found = _differences(conn, data, judged)
    if not found:
        return judged
    return replace(
        judged, report=replace(judged.report, findings=(*judged.report.findings, *found))
    )


def _differences(conn: Connection, data: bytes, judged: Judged) -> tuple[Finding, ...]:
    given = given_payload(data) if judged.document is None else judged.document.file.payload
    named = None if given is None else named_by(given)
    if given is None or named is None:
        return ()
    severity = Severity.WARNING if judged.verified is not None else Severity.ERROR
    for held in documents.find(conn, type=named[0], number=named[1], limit=20):
        # What a holder withholds must not be told to whoever sends an altered copy.
        whole = held.media_type in (MEDIA_TYPE, MEDIA_TYPE_BESIDE)
        intact = whole and held.verdict in (None, Outcome.PASSED.value)
        if intact and held.digest.hex() != judged.report.subject:
            return differences(held.type, held.payload, given, severity)
    return ()
