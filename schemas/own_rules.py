"""Rules DOC-001 … DOC-016: what holds for every one of our own JSON profiles.

They rest on the member names that ``schemas/documents/common.json`` shares, wherever in a document
such a member stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import check_digits, code_lists
from schemas.fields import beginning, end, integer, member, objects, text, weight_in_kilograms
from schemas.findings import Severity
from schemas.own_view import containers, line_packages, line_weight
from schemas.rules import Complaint, RuleBook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

COMMON_RULES = RuleBook()

COUNTRIES = frozenset({"country", "exportCountry", "importCountry", "originCountry"})
PLACES = frozenset({"locode", "portOfLoading", "portOfDischarge"})
# Scheme of a party identifier → the kind of check digit it carries.
IDENTIFIER_KINDS = {"LEI": "lei", "USCC": "uscc", "AEOCN": "aeo_cn"}


def _not_in_list(value: JsonValue, list_id: str) -> tuple[Complaint, ...]:
    if not isinstance(value, str) or code_lists.contains(list_id, value):
        return ()
    return (Complaint("", f"this code is not in the {list_id} list", {"code": value}),)


@COMMON_RULES.members("DOC-001", COUNTRIES)
def countries(value: JsonValue) -> tuple[Complaint, ...]:
    """Countries are in ISO 3166-1."""
    return _not_in_list(value, "country")


@COMMON_RULES.members("DOC-002", {"currency"})
def currencies(value: JsonValue) -> tuple[Complaint, ...]:
    """Currencies are in ISO 4217."""
    return _not_in_list(value, "currency")


@COMMON_RULES.members("DOC-003", {"unit"})
def units(value: JsonValue) -> tuple[Complaint, ...]:
    """Units are in UN/ECE Recommendation 20."""
    return _not_in_list(value, "unit")


@COMMON_RULES.members("DOC-004", {"packageType"})
def package_types(value: JsonValue) -> tuple[Complaint, ...]:
    """Package types are in UN/ECE Recommendation 21."""
    return _not_in_list(value, "package")


@COMMON_RULES.members("DOC-005", {"mode"})
def transport_modes(value: JsonValue) -> tuple[Complaint, ...]:
    """Modes of transport are in UN/ECE Recommendation 19."""
    return _not_in_list(value, "transport-mode")


@COMMON_RULES.warning("DOC-006")
def container_check_digits(document: Document) -> Iterator[Complaint]:
    """Container numbers have the right check digit."""
    listed = [*objects(document, "containers"), *objects(document, "scope", "containers")]
    for place, item in listed:
        number = text(item, "number") or ""
        if not check_digits.is_valid("iso6346", number):
            yield Complaint(
                f"{place}/number",
                "the container number has no valid ISO 6346 check digit",
                {"container": number},
            )


@COMMON_RULES.members("DOC-007", {"identifiers"}, Severity.WARNING)
def identifier_check_digits(value: JsonValue) -> Iterator[Complaint]:
    """Identifiers of a scheme with check digits carry the right ones."""
    kind = IDENTIFIER_KINDS.get(text(value, "scheme") or "")
    if kind and not check_digits.is_valid(kind, text(value, "value") or ""):
        yield Complaint("/value", "the identifier has a wrong form or check digit")


@COMMON_RULES.members("DOC-008", PLACES, Severity.WARNING)
def places(value: JsonValue) -> Iterator[Complaint]:
    """UN/LOCODEs begin with a country that exists."""
    if isinstance(value, str) and not code_lists.is_locode(value):
        yield Complaint("", "this is no UN/LOCODE of a known country", {"locode": value})


@COMMON_RULES.error("DOC-009")
def sequence(document: Document) -> Iterator[Complaint]:
    """Goods lines are numbered upwards without repetition."""
    last = 0
    for place, line in objects(document, "goods"):
        number = integer(line, "sequence") or 0
        if number <= last:
            yield Complaint(
                f"{place}/sequence",
                "the line is out of order or repeats a number",
                {"line": number},
            )
        last = max(last, number)


@COMMON_RULES.error("DOC-010")
def net_below_gross(document: Document) -> Iterator[Complaint]:
    """A net weight does not exceed its gross weight."""
    totals = member(document, "totals")
    stated = [("/totals", totals)] if isinstance(totals, dict) else []
    for place, node in [*objects(document, "goods"), *objects(document, "containers"), *stated]:
        net = weight_in_kilograms(node, "netWeight")
        gross = weight_in_kilograms(node, "grossWeight")
        if net is not None and gross is not None and net > gross:
            yield Complaint(
                f"{place}/netWeight",
                "the net weight exceeds the gross weight",
                {"net": str(net), "gross": str(gross)},
            )


@COMMON_RULES.error("DOC-011")
def totals_are_sums(document: Document) -> Iterator[Complaint]:
    """Totals equal the sum of the lines, where every line states the value."""
    goods = [line for _, line in objects(document, "goods")]
    stated, counted = integer(document, "totals", "packages"), line_packages(goods)
    if stated is not None and counted is not None and stated != counted:
        yield _wrong_total("packages", str(stated), str(counted))
    for name in ("netWeight", "grossWeight"):
        total, weighed = weight_in_kilograms(document, "totals", name), line_weight(goods, name)
        if total is not None and weighed is not None and total != weighed:
            yield _wrong_total(name, str(total), str(weighed))


def _wrong_total(name: str, stated: str, lines: str) -> Complaint:
    return Complaint(
        f"/totals/{name}",
        "the total is not the sum of the lines",
        {"stated": stated, "lines": lines},
    )


@COMMON_RULES.error("DOC-012")
def validity(document: Document) -> Iterator[Complaint]:
    """A document does not expire before it is issued."""
    issued, until = beginning(text(document, "issueDate")), end(text(document, "validUntil"))
    if issued and until and until < issued:
        yield Complaint("/validUntil", "the document expires before it is issued")


@COMMON_RULES.error("DOC-013")
def hs_codes(document: Document) -> Iterator[Complaint]:
    """HS codes lie in a chapter of the Harmonized System."""
    for place, line in objects(document, "goods"):
        code = text(line, "hs")
        if code and not code_lists.is_hs6(code):
            yield Complaint(f"{place}/hs", "no such HS chapter", {"hs": code})


@COMMON_RULES.warning("DOC-014")
def ship_number(document: Document) -> Iterator[Complaint]:
    """IMO ship numbers have the right check digit."""
    number = text(document, "transport", "vessel", "imo")
    if number and not check_digits.is_valid("imo", number):
        yield Complaint(
            "/transport/vessel/imo", "the IMO number has a wrong check digit", {"imo": number}
        )


@COMMON_RULES.error("DOC-015")
def containers_once(document: Document) -> Iterator[Complaint]:
    """A container is listed once."""
    seen: set[str] = set()
    for place, item in objects(document, "containers"):
        number = text(item, "number") or ""
        if number in seen:
            yield Complaint(
                f"{place}/number", "the container is listed twice", {"container": number}
            )
        seen.add(number)


@COMMON_RULES.error("DOC-016")
def goods_in_listed_containers(document: Document) -> Iterator[Complaint]:
    """A goods line that names a container names one of the document."""
    listed = set(containers(document))
    for place, line in objects(document, "goods"):
        number = text(line, "container")
        if number and listed and number not in listed:
            yield Complaint(
                f"{place}/container",
                "these goods are in a container that the document does not list",
                {"container": number},
            )
