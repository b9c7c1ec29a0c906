"""Certificate of origin, non-preferential (UNTDID 861).

Where goods come from, without any claim of preference. Rules COO-… up to COO-009 also serve the
preferential certificate (WTO Agreement on Rules of Origin, Annex II; RCEP Annex 3B for the data).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import beginning, decimal, member, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="certificate-of-origin",
    code="861",
    name_en="Certificate of origin (non-preferential)",
    name_zh="原产地证书（非优惠）",
    media_type="application/json",
    issuer_roles=("issuer", "customs"),
    credential_type="CertificateOfOriginCredential",
)
ORIGIN_RULES = RuleBook(COMMON_RULES)
_SHOWN = 20


@ORIGIN_RULES.error("COO-001")
def crosses_a_border(document: Document) -> Iterator[Complaint]:
    """Export and import country differ."""
    country = text(document, "exportCountry")
    if country == text(document, "importCountry"):
        yield Complaint(
            "/importCountry",
            "the goods are exported to the country they leave",
            {"country": country},
        )


@ORIGIN_RULES.warning("COO-002")
def issued_by_the_exporting_country(document: Document) -> Iterator[Complaint]:
    """The issuer sits in the exporting country."""
    issuer, export = text(document, "issuer", "country"), text(document, "exportCountry")
    if issuer != export:
        yield Complaint(
            "/issuer/country",
            "the issuer does not sit in the exporting country",
            {"issuer": issuer, "export": export},
        )


@ORIGIN_RULES.warning("COO-003")
def invoice_before_certificate(document: Document) -> Iterator[Complaint]:
    """The invoice is not younger than the certificate."""
    invoice = beginning(text(document, "invoice", "date"))
    issued = beginning(text(document, "issueDate"))
    if invoice and issued and invoice > issued:
        yield Complaint("/invoice/date", "the invoice is younger than the certificate")


@ORIGIN_RULES.warning("COO-004")
def one_edition_of_the_system(document: Document) -> Iterator[Complaint]:
    """All lines use one edition of the Harmonized System."""
    editions = {text(line, "hsEdition") for _, line in objects(document, "goods")}
    if len(editions) > 1:
        yield Complaint("/goods", "the lines use different editions of the Harmonized System")


@ORIGIN_RULES.warning("COO-005")
def balance_is_what_the_lines_add_up_to(document: Document) -> Iterator[Complaint]:
    """One stated balance is what the lines add up to, in their one unit (SAFETY R23)."""
    kept = decimal(document, "balance", "quantity", "value")
    unit = text(document, "balance", "quantity", "unit")
    lines = [line for _, line in objects(document, "goods")]
    units = {text(line, "quantity", "unit") for line in lines}
    counted = [decimal(line, "quantity", "value") for line in lines]
    if kept is None or None in counted:
        return
    total = sum((each for each in counted if each is not None), Decimal(0))
    paths: dict[str, JsonValue] = {
        "balancePointer": "/balance/quantity/value",
        "linesPointer": "/goods",
    }
    if len(units) > 1:
        several = ", ".join(
            f"{decimal(each, 'quantity', 'value')} {text(each, 'quantity', 'unit')}"
            for each in lines[:_SHOWN]
        )
        yield Complaint(
            "/balance/quantity",
            "one balance is stated over lines in several units: without it each has its own",
            {"balance": f"{kept} {unit}", "lines": several, **paths},
        )
    elif units == {unit} and total != kept:
        yield Complaint(
            "/balance/quantity/value",
            "the balance is not what the lines add up to",
            {"balance": str(kept), "lines": str(total), **paths},
        )


def origin_facts(document: Document) -> dict[str, JsonValue]:
    """Origin by line, invoice and the register of the balance (R23)."""
    lines: list[JsonValue] = [
        {
            "sequence": member(line, "sequence"),
            "hs": text(line, "hs"),
            "originCountry": text(line, "originCountry"),
            "quantity": member(line, "quantity"),
        }
        for _, line in objects(document, "goods")
    ]
    return {
        "lines": lines,
        "invoice": text(document, "invoice", "number"),
        "balance": member(document, "balance"),
    }


def view(document: Document) -> View:
    """The normalised view."""
    return own_view(document, TYPE.key, origin_facts(document))


RULES = RuleBook(ORIGIN_RULES)
DOCUMENT = JsonDocument(TYPE, RULES, view)
