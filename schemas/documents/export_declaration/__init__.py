"""Goods declaration for exportation (UNTDID 830).

Own profile after the WCO Data Model. Rules DCL-… and the view serve the import
declaration (929) as well.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from schemas import code_lists
from schemas.definitions import JsonDocument
from schemas.fields import decimal, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="export-declaration",
    code="830",
    name_en="Export declaration",
    name_zh="出口报关单",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "customs",
        "carrier",
        "port",
        "terminal",
        "dry-port",
        "bank",
    ),
    credential_type="ExportDeclarationCredential",
)
DECLARATION_RULES = RuleBook(COMMON_RULES)


@DECLARATION_RULES.error("DCL-001")
def values_add_up(document: Document) -> Iterator[Complaint]:
    """The values of the lines add up to the total, in one currency."""
    currency = text(document, "totalAmount", "currency")
    lines = [line for _, line in objects(document, "goods")]
    if any(text(line, "value", "currency") != currency for line in lines):
        yield Complaint("/goods", "a line is in another currency than the total")
        return
    total = decimal(document, "totalAmount", "amount")
    found = sum((decimal(line, "value", "amount") or Decimal(0) for line in lines), Decimal(0))
    if total is not None and total != found:
        yield Complaint(
            "/totalAmount/amount",
            "the total is not the sum of the lines",
            {"stated": str(total), "lines": str(found)},
        )


@DECLARATION_RULES.error("DCL-002")
def crosses_a_border(document: Document) -> Iterator[Complaint]:
    """Export and import country differ."""
    country = text(document, "exportCountry")
    if country == text(document, "importCountry"):
        yield Complaint("/importCountry", "nothing crosses a border", {"country": country})


@DECLARATION_RULES.error("DCL-003")
def known_delivery_term(document: Document) -> Iterator[Complaint]:
    """The delivery term is one of Incoterms 2020."""
    code = text(document, "deliveryTerm", "code")
    if code is not None and not code_lists.contains("incoterm", code):
        yield Complaint("/deliveryTerm/code", "this is no Incoterms code", {"code": code})


@DECLARATION_RULES.warning("DCL-004")
def national_code_begins_with_hs(document: Document) -> Iterator[Complaint]:
    """A national tariff code begins with the six digits of the Harmonized System."""
    for place, line in objects(document, "goods"):
        hs, national = text(line, "hs") or "", text(line, "nationalCode")
        if national and not national.startswith(hs):
            yield Complaint(f"{place}/nationalCode", "the national code is not under the HS code")


def declaration_view(document: Document, key: str) -> View:
    """The normalised view of either declaration; `key` is its document type."""
    facts: dict[str, JsonValue] = {
        "procedure": text(document, "procedure"),
        "office": text(document, "office", "code"),
        "declarant": text(document, "parties", "declarant", "name"),
        "totalAmount": member(document, "totalAmount"),
        "invoice": text(document, "invoice", "number"),
        "dataSet": text(document, "dataSet"),
    }
    return own_view(document, key, facts)


RULES = RuleBook(DECLARATION_RULES)


@RULES.error("EXD-001")
def office_of_the_exporting_country(document: Document) -> Iterator[Complaint]:
    """The customs office lies in the exporting country."""
    office, country = text(document, "office", "code") or "", text(document, "exportCountry") or ""
    if not office.startswith(country):
        yield Complaint("/office/code", "the office is not in the exporting country")


def view(document: Document) -> View:
    """The normalised view."""
    return declaration_view(document, TYPE.key)


DOCUMENT = JsonDocument(TYPE, RULES, view)
