"""EVI-15: what a bundle's documents were worth at another moment than that of its export (R25).

The list in force then answers, as far as the verifier's chain and the lists in the bundle tell of
it; the status lists are those in the bundle, so what was revoked by the export and perhaps stood
before is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import member_list
from protocols.evidence import reading
from protocols.log import epochs as log_epochs
from protocols.members import history
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, not_reached
from schemas.findings import Check

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.evidence.reading import CheckedDocument
    from protocols.evidence.verification import Bundle
    from protocols.member_list import MemberList

STEP = "EVI-15"


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, the member list in force at it, and the bundle's documents as they stood then."""

    at: datetime
    members: MemberList
    documents: tuple[CheckedDocument, ...]


def in_force(bundle: Bundle, at: datetime) -> MemberList:
    """The list in force at `at`, of the versions held and those in the bundle that follow them."""
    return history.in_force(_versions(bundle), at)


def _versions(bundle: Bundle) -> list[MemberList]:
    lists = [bundle.members[name] for name in bundle.named("members")]
    later = member_list.walk(lists, bundle.held, now=None)
    return [*bundle.earlier, bundle.held, *later]


def examined(bundle: Bundle, at: datetime) -> Moment:
    """Every document at `at`; the bundle's own list must have been linked to the one held."""
    assert bundle.lists is not None
    members = in_force(bundle, at)
    logs = log_epochs.as_known_by(_versions(bundle)[-1], bundle.lists)
    documents = reading.check_documents(
        bundle.members, members, at, logs=logs, country=bundle.country
    )
    return Moment(at, members, documents)


def evi_15_moment(bundle: Bundle, at: datetime) -> Check:
    """EVI-15: every document stood at the moment that is asked about."""
    if bundle.lists is None or bundle.documents is None:
        return not_reached(STEP)
    bundle.asked = then = examined(bundle, at)
    evidence = {"version": then.members.version, "digest": then.members.digest.hex()}
    for outcome in (FAILED, UNKNOWN):
        for document in then.documents:
            wrong = next((one for one in document.report.checks if one.outcome is outcome), None)
            if wrong is not None:
                told = f"{document.name}: {wrong.id} {wrong.code}".strip()
                return Check(STEP, outcome, told, "evidence_document_then", evidence)
    return Check(STEP, PASSED, evidence=evidence)
