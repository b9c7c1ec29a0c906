"""Ship certificate (IMO FAL.5/Circ.39/Rev.2): statutory or class, with UTN and endorsements.

Rules SHP-001 to SHP-009 look at the certificate alone. What depends on the day and on others, a
window that has passed, an organisation whose delegation was withdrawn, a tracking number its
register does not know, is `schemas.documents.ship_certificate.standing`. Sources: the circular;
SOLAS and MARPOL under the harmonized system of survey and certification (A.1186(33)): a certificate
lasts five years and is endorsed within three months of each anniversary; RO Code (MSC.349(92)).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas import check_digits
from schemas.definitions import JsonDocument
from schemas.documents.ship_certificate.standing import next_window
from schemas.fields import beginning, end, member, objects, text, texts
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="ship-certificate",
    code="",
    name_en="Ship certificate",
    name_zh="船舶证书",
    media_type="application/json",
    issuer_roles=("issuer", "port"),
    credential_type="ShipCertificateCredential",
)
RULES = RuleBook(COMMON_RULES)
# The circular wants a number unique in the issuer's register and leaves its form open; what is
# shorter than this, or has blanks, no register of an administration gives.
TRACKING_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z./-]{6,34}", re.ASCII)
LONGEST = timedelta(days=5 * 366)
ANNIVERSARY_WINDOW = timedelta(days=93)


@RULES.error("SHP-001")
def tracking_number_has_a_form(document: Document) -> Iterator[Complaint]:
    """The UTN is one word of 7 to 35 letters, digits and - . / with at least one digit."""
    number = text(document, "trackingNumber") or ""
    if not TRACKING_NUMBER.fullmatch(number) or not any(map(str.isdecimal, number)):
        yield Complaint("/trackingNumber", "this is no unique tracking number in a known form")


@RULES.error("SHP-002")
def ship_number_checks(document: Document) -> Iterator[Complaint]:
    """The IMO number passes its check digit: another number is another ship."""
    number = text(document, "ship", "imo") or ""
    if not check_digits.is_valid("imo", number):
        yield Complaint("/ship/imo", "the IMO number has a wrong check digit", {"imo": number})


@RULES.error("SHP-003")
def endorsed_within_the_window(document: Document) -> Iterator[Complaint]:
    """An endorsement is made within its window."""
    for place, item in objects(document, "endorsements"):
        made = beginning(text(item, "endorsedOn"))
        first, last = beginning(text(item, "dueFrom")), end(text(item, "dueUntil"))
        if made and first and last and not first <= made <= last:
            yield Complaint(
                f"{place}/endorsedOn",
                "the endorsement was made outside its window",
                {"endorsedOn": text(item, "endorsedOn"), "dueUntil": text(item, "dueUntil")},
            )


@RULES.error("SHP-004")
def no_window_was_passed_over(document: Document) -> Iterator[Complaint]:
    """No endorsement was made after a window that was missed: the certificate had lapsed."""
    missed: str | None = None
    for place, item in objects(document, "endorsements"):
        if text(item, "endorsedOn") is None:
            missed = missed or place
        elif missed:
            yield Complaint(f"{missed}/endorsedOn", "an earlier endorsement was missed")
            return


@RULES.error("SHP-005")
def organisation_names_its_delegation(document: Document) -> Iterator[Complaint]:
    """A recognised organisation names the administration's delegation, of this flag and type."""
    if text(document, "onBehalfOf") != "RECOGNISED_ORGANISATION":
        return
    if not isinstance(member(document, "delegation"), dict):
        yield Complaint("/delegation", "a recognised organisation names its delegation")
        return
    if text(document, "delegation", "flag") != text(document, "flag"):
        yield Complaint("/delegation/flag", "the delegation is of another flag")
    if text(document, "certificateType") not in texts(document, "delegation", "certificateTypes"):
        yield Complaint(
            "/delegation/certificateTypes", "the delegation does not cover this certificate"
        )


@RULES.error("SHP-006")
def delegated_when_issued(document: Document) -> Iterator[Complaint]:
    """The delegation was in force when the certificate was issued."""
    issued = beginning(text(document, "issueDate"))
    since = beginning(text(document, "delegation", "from"))
    until = end(text(document, "delegation", "until"))
    if issued and ((since and issued < since) or (until and issued > until)):
        yield Complaint("/delegation", "the delegation was not in force at the date of issue")


@RULES.error("SHP-007")
def lasts_five_years_at_most(document: Document) -> Iterator[Complaint]:
    """Valid for at most five years from the completion of the survey (HSSC)."""
    since = beginning(text(document, "completionSurveyDate") or text(document, "issueDate"))
    until = beginning(text(document, "validUntil"))
    if since and until and until - since > LONGEST:
        yield Complaint("/validUntil", "a certificate lasts five years at most")


@RULES.warning("SHP-008")
def windows_lie_about_the_anniversary(document: Document) -> Iterator[Complaint]:
    """A window lies within three months of the day and month on which the certificate ends."""
    until = beginning(text(document, "validUntil"))
    for place, item in objects(document, "endorsements"):
        first, last = beginning(text(item, "dueFrom")), beginning(text(item, "dueUntil"))
        if until is None or first is None or last is None or text(item, "kind") == "ADDITIONAL":
            continue
        if not any(
            abs(first - day) <= ANNIVERSARY_WINDOW and abs(last - day) <= ANNIVERSARY_WINDOW
            for day in _anniversaries(until, first)
        ):
            yield Complaint(f"{place}/dueFrom", "the window does not lie about the anniversary")


def _anniversaries(until: datetime, near: datetime) -> Iterator[datetime]:
    """The certificate's day in the years about `near`; 29 February counts as the 28th."""
    day = 28 if (until.month, until.day) == (2, 29) else until.day
    for year in (near.year, near.year + 1):
        if year <= 9999:
            yield until.replace(year=year, day=day)


@RULES.error("SHP-009")
def surveyed_before_issue(document: Document) -> Iterator[Complaint]:
    """The survey was complete when the certificate was issued."""
    surveyed = beginning(text(document, "completionSurveyDate"))
    issued = end(text(document, "issueDate"))
    if surveyed and issued and surveyed > issued:
        yield Complaint("/completionSurveyDate", "the survey is younger than the certificate")


def view(document: Document) -> View:
    """The normalised view; `nextWindow` is the first that nobody has endorsed."""
    made = [text(item, "endorsedOn") for _, item in objects(document, "endorsements")]
    facts: dict[str, JsonValue] = {
        "certificateType": text(document, "certificateType"),
        "trackingNumber": text(document, "trackingNumber"),
        "ship": text(document, "ship", "name"),
        "imo": text(document, "ship", "imo"),
        "flag": text(document, "flag"),
        "onBehalfOf": text(document, "onBehalfOf"),
        "delegation": text(document, "delegation", "reference"),
        "lastEndorsement": max((day for day in made if day), default=None),
        "nextWindow": next_window(document),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
