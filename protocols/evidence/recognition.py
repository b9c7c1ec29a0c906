"""CRED-11 of a bundle: whether the verifier's country recognises each of its documents.

An agreement counts as it stood in the member list that was in force at the moment asked about: that
of the witnessed export, or another one (EVI-15). Which list that was, the verifier's chain says,
and what its roots signed after it, never the exporter: a bundle that was made under a list already
replaced is not recognised by what has ended in between (R5). What ended or began later changes
nothing of that day (R25).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import times
from protocols.evidence import contents, moment
from protocols.evidence.reading import RECOGNITION_STEP
from protocols.verify.credential_steps import PASSED, UNKNOWN
from schemas.findings import Check

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.evidence.moment import Moment
    from protocols.evidence.reading import CheckedDocument
    from protocols.evidence.verification import Bundle

_NOT_NEEDED = "recognition_not_needed"


def checks(bundle: Bundle, at: datetime | None) -> tuple[Check, ...]:
    """CRED-11 for every document, in their order; at: the moment asked about, else the export's."""
    then = bundle.asked if at is not None else _at_export(bundle)
    if then is None or not then.documents:
        names = filter(contents.document_of, sorted(bundle.members))
        return tuple(map(_unknown, names)) or (_unknown(""),)
    return tuple(_check(document, then) for document in then.documents)


def _at_export(bundle: Bundle) -> Moment | None:
    if bundle.at is None or bundle.lists is None or bundle.documents is None:
        return None
    members = moment.in_force(bundle, bundle.at)
    if members.digest == bundle.lists.digest:
        return moment.Moment(bundle.at, members, bundle.documents)
    return moment.examined(bundle, bundle.at)


def _unknown(name: str, code: str = "not_reached") -> Check:
    return Check(RECOGNITION_STEP, UNKNOWN, name, code)


def _check(document: CheckedDocument, then: Moment) -> Check:
    """The document's own check, with its name and the list that decided."""
    found, relied_on = document.recognition, document.report.check("CRED-12")
    if found is None or found.code == "not_reached":
        wrong = document.fault
        told = "" if wrong is None else f": {wrong.id} {wrong.code}".rstrip()
        return _unknown(document.name + told)
    if found.code != _NOT_NEEDED and relied_on is not None and relied_on.outcome is not PASSED:
        # A list of another time says nothing of the agreements of this one.
        return _unknown(document.name, relied_on.code)
    told = f"{document.name}: {found.reason}" if found.reason else document.name
    evidence = {
        "document": document.digest,
        "at": times.to_text(then.at),
        "version": then.members.version,
        "digest": then.members.digest.hex(),
        **found.evidence,
    }
    return Check(found.id, found.outcome, told, found.code, evidence)
