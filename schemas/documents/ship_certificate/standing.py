"""A ship certificate on a day: windows that have passed, delegations and registers of others.

Port State control asks this at the gangway. The flag administration's list says to whom it has
delegated what and since when; the issuer's register says which tracking numbers it knows. Without a
list or a register the question stays open and is not answered here. Sources: IMO FAL.5/Circ.39
Rev.2, sections 4 and 7; RO Code, part 1, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.fields import beginning, end, objects, text
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

WINDOW_MISSED, NOT_DELEGATED, UNKNOWN_NUMBER, EXPIRED = "SHP-010", "SHP-011", "SHP-012", "SHP-013"


@dataclass(frozen=True, slots=True)
class Delegation:
    """An administration's grant to a recognised organisation; `until` from when it is withdrawn.

    certificate_types: none named, all that the administration itself issues
    """

    flag: str
    organisation: str
    certificate_types: frozenset[str]
    since: datetime
    until: datetime | None = None

    def covers(self, flag: str, organisation: str, kind: str, at: datetime) -> bool:
        """Whether it lets `organisation` certify this for ships of `flag` at that moment."""
        within = self.since <= at and (self.until is None or at < self.until)
        same = (self.flag, self.organisation) == (flag, organisation)
        return within and same and (not self.certificate_types or kind in self.certificate_types)


def standing(
    document: Document,
    at: datetime,
    *,
    delegations: Collection[Delegation] | None = None,
    known_numbers: Collection[str] | None = None,
    issuer: str | None = None,
) -> tuple[Finding, ...]:
    """What is wrong with a certificate at the moment `at` (aware), beside its own rules.

    None for `delegations` or `known_numbers`: nobody has told, and nothing is said about it.
    issuer: DID of whoever signed it; without one the document's own word, a DID or a name
    """
    found = [*_expired(document, at), *_missed(document, at)]
    if delegations is not None:
        said = text(document, "issuer", "did") or text(document, "issuer", "name") or ""
        found += _undelegated(document, at, delegations, issuer or said)
    if known_numbers is not None and text(document, "trackingNumber") not in known_numbers:
        message = "the issuer's register does not know this tracking number"
        found.append(Finding(UNKNOWN_NUMBER, Severity.ERROR, "/trackingNumber", message))
    return tuple(found)


def next_window(document: Document) -> JsonValue:
    """The first window without an endorsement: {kind, from, until}, or None."""
    for _, item in objects(document, "endorsements"):
        if text(item, "endorsedOn") is None:
            return {
                "kind": text(item, "kind"),
                "from": text(item, "dueFrom"),
                "until": text(item, "dueUntil"),
            }
    return None


def _expired(document: Document, at: datetime) -> Iterator[Finding]:
    until = end(text(document, "validUntil"))
    if until and at > until:
        message = "the certificate has expired"
        yield Finding(EXPIRED, Severity.ERROR, "/validUntil", message)


def _missed(document: Document, at: datetime) -> Iterator[Finding]:
    for place, item in objects(document, "endorsements"):
        last = end(text(item, "dueUntil"))
        if last and at > last and text(item, "endorsedOn") is None:
            yield Finding(
                WINDOW_MISSED,
                Severity.ERROR,
                f"{place}/endorsedOn",
                "the window passed without an endorsement",
                {"dueUntil": text(item, "dueUntil")},
            )


def _undelegated(
    document: Document, at: datetime, delegations: Collection[Delegation], issuer: str
) -> Iterator[Finding]:
    """Now, and when it was issued: a later withdrawal ends what the organisation certified."""
    if text(document, "onBehalfOf") != "RECOGNISED_ORGANISATION":
        return
    flag, kind = text(document, "flag") or "", text(document, "certificateType") or ""
    issued = beginning(text(document, "issueDate")) or at
    for moment, when in ((issued, "at the date of issue"), (at, "any more")):
        if not any(one.covers(flag, issuer, kind, moment) for one in delegations):
            message = f"the flag state has not delegated this to the organisation {when}"
            yield Finding(NOT_DELEGATED, Severity.ERROR, "/issuer", message, {"flag": flag})
            return
