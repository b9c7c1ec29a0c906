"""Preferential certificate of origin (UNTDID 864): RCEP, ATIGA, ACFTA, and back-to-back proofs.

Rules COO-010 … COO-025 follow chapter 3 of the RCEP agreement where they name an article; they
check the proof, never the origin itself (that is the origin engine's work).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents.certificate_of_origin import ORIGIN_RULES, origin_facts
from schemas.fields import beginning, decimal, end, flag, integer, member, objects, text
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document

TYPE = DocumentType(
    key="preferential-certificate-of-origin",
    code="864",
    name_en="Certificate of origin (preferential)",
    name_zh="原产地证书（优惠）",
    media_type="application/json",
    issuer_roles=("issuer", "customs"),
    credential_type="PreferentialCertificateOfOriginCredential",
)
RULES = RuleBook(ORIGIN_RULES)

ASEAN = frozenset({"BN", "ID", "KH", "LA", "MM", "MY", "PH", "SG", "TH", "VN"})
PARTIES = {
    "RCEP_COO": ASEAN | {"AU", "CN", "JP", "KR", "NZ"},
    "RCEP_DOO": ASEAN | {"AU", "CN", "JP", "KR", "NZ"},
    "ATIGA_D": ASEAN,
    "ACFTA_E": ASEAN | {"CN"},
}
RCEP = frozenset({"RCEP_COO", "RCEP_DOO"})
LONGEST_YEAR = timedelta(days=366)
# ATIGA and ACFTA count issue up to three days after shipment as at shipment; RCEP has no grace.
GRACE = timedelta(days=3)


def _parties(document: Document) -> frozenset[str]:
    return PARTIES[text(document, "kind") or ""]


@RULES.error("COO-010")
def countries_are_parties(document: Document) -> Iterator[Complaint]:
    """Exporting and importing country are Parties of the agreement."""
    for name in ("exportCountry", "importCountry"):
        country = text(document, name)
        if country not in _parties(document):
            yield Complaint(
                f"/{name}", "the country is not a Party of this agreement", {"country": country}
            )


@RULES.error("COO-011")
def origin_is_a_party(document: Document) -> Iterator[Complaint]:
    """The country of origin of each line is a Party (RCEP 2.6, 3.2)."""
    for place, line in objects(document, "goods"):
        country = text(line, "originCountry")
        if country not in _parties(document):
            yield Complaint(
                f"{place}/originCountry",
                "the country of origin is not a Party of this agreement",
                {"country": country},
            )


@RULES.error("COO-012")
def value_only_with_regional_value_content(document: Document) -> Iterator[Complaint]:
    """FOB value if and only if the criterion is RVC (RCEP Annex 3B)."""
    for place, line in objects(document, "goods"):
        by_value = text(line, "originCriterion") == "RVC"
        if by_value != ("fob" in line):
            yield Complaint(
                f"{place}/fob",
                "the FOB value is given for criterion RVC and for no other",
                {"criterion": text(line, "originCriterion")},
            )


@RULES.error("COO-013")
def valid_for_one_year(document: Document) -> Iterator[Complaint]:
    """A proof is valid for one year from issue (RCEP 3.16(6)); the anniversary day counts."""
    issued = beginning(text(document, "issueDate"))
    until = beginning(text(document, "validUntil"))
    if issued and until and until - issued > LONGEST_YEAR:
        yield Complaint("/validUntil", "a proof of origin is valid for at most one year")


def _after_shipment(document: Document) -> timedelta | None:
    issued = beginning(text(document, "issueDate"))
    departure = beginning(text(document, "departureDate"))
    return issued - departure if issued and departure else None


@RULES.warning("COO-014")
def retroactive_issue_is_marked(document: Document) -> Iterator[Complaint]:
    """A proof issued after shipment is marked ISSUED RETROACTIVELY (RCEP 3.17(8))."""
    late = _after_shipment(document)
    grace = timedelta(0) if text(document, "kind") in RCEP else GRACE
    if late and late > grace and not flag(document, "issuedRetroactively"):
        yield Complaint("/issuedRetroactively", "issued after shipment, but not marked so")


@RULES.error("COO-015")
def retroactive_issue_within_a_year(document: Document) -> Iterator[Complaint]:
    """Retroactive issue ends one year after shipment (RCEP 3.17(8))."""
    late = _after_shipment(document)
    if late and late > LONGEST_YEAR:
        yield Complaint("/issueDate", "issued more than one year after shipment")


@RULES.error("COO-016")
def back_to_back_within_the_original(document: Document) -> Iterator[Complaint]:
    """A back-to-back proof does not exceed its original, nor any line (RCEP 3.19(1)(e))."""
    lines = list(objects(document, "backToBack", "lines"))
    for place, drawn in [("/backToBack", member(document, "backToBack")), *lines]:
        part, whole = (decimal(drawn, name, "value") for name in ("quantity", "originalQuantity"))
        if part is not None and whole is not None and part > whole:
            yield Complaint(
                f"{place}/quantity",
                "the back-to-back proof covers more than its original",
                {
                    "quantity": str(part),
                    "original": str(whole),
                    "originalPointer": f"{place}/originalQuantity",
                },
            )
    numbers = [integer(each, "line") for _, each in lines]
    for at, (place, _) in enumerate(lines):
        if numbers[at] in numbers[:at]:
            told = {"line": numbers[at]}
            yield Complaint(f"{place}/line", "a line of the original is named twice", told)


@RULES.error("COO-017")
def back_to_back_does_not_outlive(document: Document) -> Iterator[Complaint]:
    """A back-to-back proof ends with its original (RCEP 3.19(1)(b))."""
    until = end(text(document, "validUntil"))
    original = end(text(document, "backToBack", "validUntil")) or _anniversary(document)
    if until and original and until > original:
        yield Complaint("/validUntil", "the back-to-back proof outlives its original")


def _anniversary(document: Document) -> datetime | None:
    issued = end(text(document, "backToBack", "issueDate"))
    return issued + LONGEST_YEAR if issued else None


@RULES.error("COO-018")
def back_to_back_keeps_the_origin(document: Document) -> Iterator[Complaint]:
    """A back-to-back proof keeps the country of origin of the first exporter (RCEP Annex 3B)."""
    original = text(document, "backToBack", "originCountry")
    for place, line in objects(document, "goods"):
        if original and text(line, "originCountry") != original:
            yield Complaint(
                f"{place}/originCountry",
                "a back-to-back proof keeps the origin of its original",
                {"original": original, "line": text(line, "originCountry")},
            )


@RULES.error("COO-019")
def declaration_names_the_approved_exporter(document: Document) -> Iterator[Complaint]:
    """A declaration of origin carries the approved exporter's code (RCEP 3.21(3))."""
    if text(document, "kind") == "RCEP_DOO" and not text(document, "approvedExporterCode"):
        yield Complaint(
            "/approvedExporterCode", "a declaration of origin names the exporter's code"
        )


@RULES.warning("COO-020")
def regional_value_reaches_forty(document: Document) -> Iterator[Complaint]:
    """A stated RVC is at least 40 (RCEP Annex 3A headnote 7(a)), compared without rounding."""
    for place, line in objects(document, "goods"):
        value = decimal(line, "regionalValueContent")
        if text(document, "kind") in RCEP and value is not None and value < 40:
            yield Complaint(
                f"{place}/regionalValueContent",
                "the regional value content is below 40 per cent",
                {"rvc": str(value)},
            )


@RULES.warning("COO-021")
def cumulation_names_its_inputs(document: Document) -> Iterator[Complaint]:
    """A line that cumulates rests on upstream certificates (RCEP 3.4)."""
    cumulates = any(flag(line, "cumulation") for _, line in objects(document, "goods"))
    if cumulates and not member(document, "inputs"):
        yield Complaint("/inputs", "origin rests on cumulation, but no input certificate is named")


@RULES.warning("COO-022")
def forms_state_the_percentage(document: Document) -> Iterator[Complaint]:
    """Forms D and E state the percentage beside criterion RVC (ATIGA form D, ACFTA form E)."""
    if text(document, "kind") in RCEP:
        return
    for place, line in objects(document, "goods"):
        stated = decimal(line, "regionalValueContent") is not None
        if text(line, "originCriterion") == "RVC" and not stated:
            yield Complaint(
                f"{place}/regionalValueContent", "the form states the percentage with criterion RVC"
            )


@RULES.warning("COO-023")
def tolerance_only_for_a_change_of_classification(document: Document) -> Iterator[Complaint]:
    """De minimis is claimed for a change of tariff classification alone (RCEP 3.7)."""
    for place, line in objects(document, "goods"):
        if flag(line, "deMinimis") and text(line, "originCriterion") != "CTC":
            yield Complaint(
                f"{place}/deMinimis",
                "de minimis helps a change of classification and no other criterion",
                {"criterion": text(line, "originCriterion")},
            )


@RULES.warning("COO-024")
def wholly_obtained_cumulates_nothing(document: Document) -> Iterator[Complaint]:
    """What is wholly obtained in one Party rests on no other Party's material (RCEP 3.3, 3.4)."""
    for place, line in objects(document, "goods"):
        if flag(line, "cumulation") and text(line, "originCriterion") == "WO":
            yield Complaint(
                f"{place}/cumulation", "what is wholly obtained in one Party cumulates nothing"
            )


@RULES.warning("COO-025")
def a_copy_is_no_late_certificate(document: Document) -> Iterator[Complaint]:
    """A certified true copy keeps number and date of the original (RCEP 3.17(9))."""
    if flag(document, "certifiedTrueCopy") and text(document, "supersedes", "number"):
        yield Complaint(
            "/certifiedTrueCopy", "a certified true copy replaces nothing: it is the original"
        )


def view(document: Document) -> View:
    """The normalised view; `inputs` are the upstream certificates origin stands on."""
    facts = origin_facts(document) | {
        "kind": text(document, "kind"),
        "criteria": [text(line, "originCriterion") for _, line in objects(document, "goods")],
        "inputs": member(document, "inputs"),
        "backToBack": member(document, "backToBack"),
        "issuedRetroactively": flag(document, "issuedRetroactively"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
