"""Rules about a certificate and others that are held: PHY-012, PHY-061, PHY-080.

Numbers are compared within one exporting country, whose authority gives them. What is not held is
not known: only a re-export certificate must have its original beside it, because the border checks
the two together. Sources: ISPM 12 §2.2 (replacement), §6 (re-export); IPPC ePhyto mapping (ADRPN,
RPCRF, RPCCO).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.findings import Finding, Severity
from schemas.sps.status import Status, may_follow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Facts = Mapping[str, Any]

_DOCUMENT = "/SPSCertificate/SPSExchangedDocument"
_NOTE = f"{_DOCUMENT}/IncludedSPSNote"
_REEXPORT = "657"


def pair_findings(facts: Facts, held: Sequence[Facts]) -> tuple[Finding, ...]:
    """What is wrong between a certificate and those that came before it.

    facts, held: as `schemas.sps.examine` gives them
    """
    found = [*_succession(facts, held), *_original(facts, held), *_replaced(facts, held)]
    return tuple(found)


def _succession(facts: Facts, held: Sequence[Facts]) -> Iterator[Finding]:
    """PHY-012: a certificate of one number goes from status to status as it may."""
    after = _status(facts)
    for other in held:
        before = _status(other)
        same = _named(other) == _named(facts)
        if same and before and after and not may_follow(before, after):
            values = {"before": before, "after": after}
            message = "the status may not follow the one that this certificate had"
            yield Finding("PHY-012", Severity.ERROR, f"{_DOCUMENT}/StatusCode", message, values)


def _original(facts: Facts, held: Sequence[Facts]) -> Iterator[Finding]:
    """PHY-061: the certificate behind a re-export is here."""
    number = _noted(facts, "RPCRF")
    if facts.get("typeCode") != _REEXPORT or not number:
        return
    country = _noted(facts, "RPCCO")
    if not any(
        other.get("number") == number and other.get("exportCountry") in (country, None)
        for other in held
        if other is not facts
    ):
        message = "the original certificate of this re-export is not held"
        yield Finding("PHY-061", Severity.ERROR, _NOTE, message, {"number": number})


def _replaced(facts: Facts, held: Sequence[Facts]) -> Iterator[Finding]:
    """PHY-080: the certificate that this one replaces is withdrawn."""
    number = _noted(facts, "ADRPN")
    for other in held if number else ():
        replaced = _named(other) == (facts.get("exportCountry"), number)
        if replaced and _status(other) is Status.ISSUED:
            message = "the certificate that this one replaces is still in force"
            yield Finding("PHY-080", Severity.ERROR, _NOTE, message, {"number": number})


def _named(facts: Facts) -> tuple[str | None, str | None]:
    return facts.get("exportCountry"), facts.get("number")


def _status(facts: Facts) -> Status | None:
    return Status(facts["status"]) if facts.get("status") else None


def _noted(facts: Facts, subject: str) -> str:
    """The content of the first note of that subject, "" without one."""
    notes = facts.get("notes", ())
    return next((note["content"] for note in notes if note["subject"] == subject), "")
