"""Status event of an authorised economic operator, numbered and chained per authorisation.

``prevHash`` is the SHA-256 (hex) of the payload of the previous event, so a missing event shows.
A gap means no benefit but normal clearance (DESIGN §7; WCO SAFE Framework, AEO).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import check_digits, code_lists
from schemas.definitions import JsonDocument
from schemas.fields import beginning, flag, instant, integer, member, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="aeo-status",
    code="",
    name_en="AEO status event",
    name_zh="AEO 资格状态事件",
    media_type="application/json",
    issuer_roles=("issuer", "customs"),
    credential_type="AuthorisedEconomicOperatorStatusCredential",
)
RULES = RuleBook(COMMON_RULES)
CHINA = "AEOCN"


def _country(code: str) -> str:
    """The country a trader identification number names: AEOCN… or CN…, else nothing."""
    body = code.removeprefix("AEO")
    return body[:2] if code_lists.contains("country", body[:2]) else ""


@RULES.error("AEO-001")
def code_has_its_form(document: Document) -> Iterator[Complaint]:
    """A Chinese code is AEOCN and ten characters; every code names a country (WCO TIN, 2018)."""
    code = text(document, "holder", "code") or ""
    wrong = code.startswith(CHINA) and not check_digits.is_valid("aeo_cn", code)
    if wrong or not _country(code):
        yield Complaint("/holder/code", "the code has not the form of its country")


@RULES.error("AEO-002")
def granted_by_its_country(document: Document) -> Iterator[Complaint]:
    """Issuer, programme and code belong to one administration."""
    programme = text(document, "programme", "country")
    issuer, code = text(document, "issuer", "country"), text(document, "holder", "code") or ""
    if programme != issuer or _country(code) not in ("", programme):
        yield Complaint(
            "/programme/country",
            "issuer, programme and code do not belong to one country",
            {"issuer": issuer, "programme": programme},
        )


@RULES.error("AEO-003")
def chained_to_the_previous_event(document: Document) -> Iterator[Complaint]:
    """Event 1 has no prevHash, every later one has."""
    first = integer(document, "seq") == 1
    if first == ("prevHash" in document):
        yield Complaint(
            "/prevHash", "event 1 has no previous event, every later one names its hash"
        )


@RULES.error("AEO-004")
def first_event_grants(document: Document) -> Iterator[Complaint]:
    """The first event of an authorisation is ACTIVE."""
    if integer(document, "seq") == 1 and text(document, "status") != "ACTIVE":
        yield Complaint("/status", "the first event of an authorisation grants it")


@RULES.warning("AEO-005")
def name_only_with_consent(document: Document) -> Iterator[Complaint]:
    """Name and address are disclosed only while consent is given."""
    holder = member(document, "holder")
    named = isinstance(holder, dict) and ("name" in holder or "address" in holder)
    if named and flag(document, "consent", "given") is False:
        yield Complaint("/holder/name", "the holder is named although consent is not given")


@RULES.warning("AEO-006")
def end_has_a_reason(document: Document) -> Iterator[Complaint]:
    """Suspension and revocation state a reason."""
    if text(document, "status") in ("SUSPENDED", "REVOKED") and not text(document, "reason"):
        yield Complaint("/reason", "the holder and partners are not told why")


@RULES.error("AEO-007")
def consent_not_after_recording(document: Document) -> Iterator[Complaint]:
    """Consent was given or withdrawn before the event was recorded."""
    given = beginning(text(document, "consent", "date"))
    recorded = instant(text(document, "recorded"))
    if given and recorded and given > recorded:
        yield Complaint("/consent/date", "the consent is younger than the record of it")


def view(document: Document) -> View:
    """The normalised view; the holder counts as a party only where it is named."""
    facts: dict[str, JsonValue] = {
        "code": text(document, "holder", "code"),
        "holder": text(document, "holder", "name"),
        "holderDid": text(document, "holder", "did"),
        "programmeCountry": text(document, "programme", "country"),
        "authorisation": text(document, "authorisation"),
        "roles": member(document, "roles"),
        "seq": integer(document, "seq"),
        "prevHash": text(document, "prevHash"),
        "status": text(document, "status"),
        "effective": text(document, "effective"),
        "recorded": text(document, "recorded"),
        "mraRefs": member(document, "mraRefs"),
        "consent": flag(document, "consent", "given"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
