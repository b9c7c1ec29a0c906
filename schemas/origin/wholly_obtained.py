"""Wholly obtained (RCEP 3.2(a), 3.3), and produced of originating materials only (3.2(b))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.origin import steps
from schemas.origin.lines import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.findings import Check
    from schemas.origin.lines import Line
    from schemas.origin.question import Good, WhollyObtained

#: Clauses about the sea name a vessel; the others name a place in the Party.
AT_SEA, FACTORY_SHIP, WASTE = frozenset("fg"), "h", "i"


def wholly_obtained(good: Good, lines: Sequence[Line]) -> Check:
    """RCEP-010: the facts of one clause of 3.3, and nothing else in the good."""
    claim = good.wholly_obtained
    if claim is None:
        return steps.failed("RCEP-010", "not_claimed", "no clause of 3.3 is claimed")
    told = {"clause": f"3.3({claim.clause})", "party": good.party}
    foreign = [line.material.id for line in lines if line.exclusive and not _own(line, good)]
    if foreign:
        return steps.failed("RCEP-010", "other_materials_used", materials=foreign[:20], **told)
    missing, wrong = _facts(claim, good.party)
    if wrong:
        return steps.failed("RCEP-010", "wholly_obtained_fact", wrong, **told)
    if missing:
        return steps.unknown("RCEP-010", "wholly_obtained_unknown", missing, **told)
    return steps.passed("RCEP-010", **told)


def _own(line: Line, good: Good) -> bool:
    indirect = line.material.role == "indirect"
    return line.standing is Standing.ORIGINATING and (indirect or line.party == good.party)


def _facts(claim: WhollyObtained, party: str) -> tuple[str, str]:
    """What is not said, and what is said and does not fit."""
    if claim.clause in AT_SEA or claim.clause == FACTORY_SHIP:
        return _vessel(claim, party)
    missing = "" if claim.place else "where it was obtained is not stated"
    wrong = f"it was obtained in {claim.place}" if claim.place not in (None, party) else ""
    if claim.clause == WASTE and not wrong:
        if claim.only_for_recovery is False:
            wrong = "it is fit for more than disposal, recovery or recycling"
        elif claim.only_for_recovery is None:
            missing = missing or "whether it is fit only for recovery is not stated"
    return missing, wrong


def _vessel(claim: WhollyObtained, party: str) -> tuple[str, str]:
    """3.3 footnote: a vessel of the Party is registered there and entitled to fly its flag."""
    for name, country in (("registered", claim.registered), ("flagged", claim.flag)):
        if country not in (None, party):
            return "", f"the vessel is {name} in {country}"
    missing = "" if claim.registered and claim.flag else "registration and flag are not stated"
    if claim.clause not in AT_SEA:
        return missing, ""
    return _waters(claim, missing)


def _waters(claim: WhollyObtained, missing: str) -> tuple[str, str]:
    if claim.zone is None:
        return missing or "the waters are not stated", ""
    if claim.zone == "territorial-sea":
        return "", "it was taken inside a territorial sea"
    if claim.clause == "g" and claim.zone != "high-seas":
        return "", "it was not taken from the high seas"
    if claim.clause == "f" and claim.zone == "exclusive-economic-zone":
        if claim.rights is False:
            return "", "there are no rights to exploit those waters"
        if claim.rights is None:
            return missing or "rights to exploit those waters are not stated", ""
    return missing, ""


def exclusively_originating(good: Good, lines: Sequence[Line]) -> Check:
    """RCEP-011: produced in the Party from originating materials of one or more Parties only."""
    counted = [line for line in lines if line.exclusive]
    if not counted:
        return steps.unknown("RCEP-011", "no_materials_stated", "no materials are stated")
    other = [line.material.id for line in counted if line.standing is Standing.NON_ORIGINATING]
    if other:
        return steps.failed("RCEP-011", "non_originating_used", materials=other[:20])
    open_ = [line.material.id for line in counted if line.standing is Standing.UNKNOWN]
    if open_:
        return steps.unknown("RCEP-011", "origin_basis_unknown", materials=open_[:20])
    return steps.passed("RCEP-011", party=good.party, materials=len(counted))
