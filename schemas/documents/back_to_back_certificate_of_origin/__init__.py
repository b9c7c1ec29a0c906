"""Back-to-back certificate of origin: an intermediate Party's proof on an original one.

RCEP 3.19; in ACFTA and ATIGA the movement certificate. It keeps the origin and the validity of the
original and covers no more than its quantity (rules COO-016 to COO-018); how much of the original
is left is the register's work. UNTDID 1001 has no code of its own for it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.documents import preferential_certificate_of_origin
from schemas.fields import decimal, member, objects, text
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, Reference, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="back-to-back-certificate-of-origin",
    code="",
    name_en="Back-to-back certificate of origin",
    name_zh="背对背原产地证书",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "customs",
    ),
    credential_type="BackToBackCertificateOfOriginCredential",
)
RULES = RuleBook(preferential_certificate_of_origin.RULES)


@RULES.error("B2B-001")
def issued_by_an_intermediate_party(document: Document) -> Iterator[Complaint]:
    """The exporting Party is another than the one where the goods originate (RCEP 3.19(1))."""
    origin = text(document, "backToBack", "originCountry")
    if origin == text(document, "exportCountry"):
        yield Complaint(
            "/exportCountry", "the exporting Party is the Party of origin", {"origin": origin}
        )


@RULES.error("B2B-002")
def lines_are_what_is_drawn(document: Document) -> Iterator[Complaint]:
    """The lines add up to what is drawn from the original, or from its lines, by unit."""
    goods = _by_unit(line for _, line in objects(document, "goods"))
    whole, lines = member(document, "backToBack"), list(objects(document, "backToBack", "lines"))
    stated = {"/backToBack/quantity/value": _by_unit([whole])} if member(whole, "quantity") else {}
    if lines:
        stated["/backToBack/lines"] = _by_unit(line for _, line in lines)
    for place, drawn in stated.items():
        if set(goods) - set(drawn):
            yield Complaint("/goods", "a line is not in the unit of the quantity drawn")
            continue
        for unit, amount in drawn.items():
            total = goods.get(unit, Decimal(0))
            if total != amount:
                yield Complaint(
                    place,
                    "the lines do not add up to the quantity drawn",
                    {"drawn": str(amount), "lines": str(total), "linesPointer": "/goods"},
                )


def _by_unit(counted: Iterable[JsonValue]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for each in counted:
        unit = text(each, "quantity", "unit") or ""
        value = decimal(each, "quantity", "value") or Decimal(0)
        found[unit] = found.get(unit, Decimal(0)) + value
    return found


@RULES.warning("B2B-003")
def pins_its_original(document: Document) -> Iterator[Complaint]:
    """The original is named by its digest, so that its withdrawal is seen here."""
    if not text(document, "backToBack", "digest"):
        yield Complaint("/backToBack/digest", "the original proof is not named by its digest")


def view(document: Document) -> View:
    """The view of a preferential proof, with the original among the references."""
    base = preferential_certificate_of_origin.view(document)
    number = text(document, "backToBack", "number")
    digest = text(document, "backToBack", "digest") or ""
    original = preferential_certificate_of_origin.TYPE.key
    named = (Reference(original, number, digest),) if number else ()
    return replace(base, type=TYPE.key, references=(*base.references, *named))


DOCUMENT = JsonDocument(TYPE, RULES, view)
