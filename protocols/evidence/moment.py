"""EVI-15: what a bundle's documents were worth at another moment than that of its export (R25).

The list in force then answers, as far as the verifier's chain and the lists in the bundle tell of
it; the status lists are those in the bundle, so what was revoked by the export and perhaps stood
before is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import member_list
from protocols.evidence import reading
from protocols.log import epochs as log_epochs
from protocols.members import history
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, not_reached
from schemas.findings import Check

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.evidence.verification import Bundle

STEP = "EVI-15"


def evi_15_moment(bundle: Bundle, at: datetime) -> Check:
    """EVI-15: every document stood at the moment that is asked about."""
    if bundle.lists is None or bundle.documents is None:
        return not_reached(STEP)
    lists = [bundle.members[name] for name in bundle.named("members")]
    later = member_list.walk(lists, bundle.held, now=None)
    versions = [*bundle.earlier, bundle.held, *later]
    members = history.in_force(versions, at)
    logs = log_epochs.as_known_by(versions[-1], bundle.lists)
    documents = reading.check_documents(bundle.members, members, at, logs=logs)
    evidence = {"version": members.version, "digest": members.digest.hex()}
    for outcome in (FAILED, UNKNOWN):
        for document in documents:
            wrong = next((one for one in document.report.checks if one.outcome is outcome), None)
            if wrong is not None:
                told = f"{document.name}: {wrong.id} {wrong.code}".strip()
                return Check(STEP, outcome, told, "evidence_document_then", evidence)
    return Check(STEP, PASSED, evidence=evidence)
