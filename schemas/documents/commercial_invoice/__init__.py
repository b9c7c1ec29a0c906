"""Commercial invoice (UNTDID 380). Amounts are exact decimals; nothing is rounded before a sum."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

from schemas import code_lists
from schemas.definitions import JsonDocument
from schemas.fields import decimal, objects, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="commercial-invoice",
    code="380",
    name_en="Commercial invoice",
    name_zh="商业发票",
    media_type="application/json",
    issuer_roles=("carrier", "port", "terminal", "dry-port", "bank", "issuer"),
    credential_type="CommercialInvoiceCredential",
)
RULES = RuleBook(COMMON_RULES)

# Wide enough for the exact product of the longest quantity and price a profile allows.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


@RULES.error("INV-001")
def amount_of_a_line(document: Document) -> Iterator[Complaint]:
    """Amount = quantity x unit price, rounded half up to the places the amount states."""
    for place, line in objects(document, "goods"):
        quantity, price = decimal(line, "quantity", "value"), decimal(line, "unitPrice")
        amount = decimal(line, "amount")
        if quantity is None or price is None or amount is None:
            continue
        expected = EXACT.quantize(EXACT.multiply(quantity, price), amount)
        if expected != amount:
            yield Complaint(
                f"{place}/amount",
                "the amount is not quantity times unit price",
                {"amount": str(amount), "expected": str(expected)},
            )


@RULES.error("INV-002")
def total_of_the_invoice(document: Document) -> Iterator[Complaint]:
    """The total is the sum of lines and charges, as far as all of them are shown."""
    stated = [decimal(line, "amount") for _, line in objects(document, "goods")]
    stated += [decimal(charge, "amount") for _, charge in objects(document, "charges")]
    parts = [part for part in stated if part is not None]
    total, expected = decimal(document, "totalAmount"), sum(parts, Decimal(0))
    if total is None or len(parts) != len(stated):
        return  # the profile asks for all of them: what is absent is withheld
    if total != expected:
        yield Complaint(
            "/totalAmount",
            "the total is not the sum of lines and charges",
            {"total": str(total), "expected": str(expected)},
        )


@RULES.error("INV-003")
def delivery_term(document: Document) -> Iterator[Complaint]:
    """The delivery term is an Incoterms code (UNTDID 4053)."""
    term = text(document, "delivery", "incoterm")
    if not code_lists.contains("incoterm", term):
        yield Complaint("/delivery/incoterm", "this is no Incoterms code", {"code": term})


@RULES.warning("INV-004")
def somebody_else_buys(document: Document) -> Iterator[Complaint]:
    """Seller and buyer differ."""
    seller = text(document, "parties", "seller", "name")
    if seller == text(document, "parties", "buyer", "name"):
        yield Complaint("/parties/buyer/name", "seller and buyer are the same")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "currency": text(document, "currency"),
        "totalAmount": text(document, "totalAmount"),
        "incoterm": text(document, "delivery", "incoterm"),
        "deliveryPlace": text(document, "delivery", "place"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
