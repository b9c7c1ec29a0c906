"""The numbered rules that one certificate alone can break (PHY-010 … PHY-070).

A rule is a function of the root element; it yields the places where it does not hold. Rules about
two certificates (a status change, PHY-012) or about now (PHY-013 in the future) are separate
functions. Sources: ISPM 12; IPPC ePhyto mapping; the recommendations named at each rule.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from schemas import check_digits, code_lists
from schemas.findings import Finding, Severity
from schemas.sps import elements as sps
from schemas.sps.facts import kilograms
from schemas.sps.layout import SINGLE
from schemas.sps.shapes import is_ours
from schemas.sps.status import Status, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from schemas.sps.elements import Node, Root

    Check = Callable[[Root], Iterator["Complaint"]]

MAX_COMPLAINTS_PER_RULE = 20
TYPE_RULE = "PHY-011"
PHYTOSANITARY = frozenset({"851", "657"})
OFFICIAL = PHYTOSANITARY | {
    "852",
    "853",
    "636",
}  # with sanitary, veterinary and health certificates
CLOCKS_DIFFER = timedelta(minutes=5)
ZONES_DIFFER = timedelta(hours=14)
MAX_ATTACHMENT = 4 * 1024 * 1024  # as base64 below the reader's cap for one text

_FILE_STARTS = (
    b"%PDF-",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
)
_SYSTEMS = frozenset({"EPPO", "HS"})
_HEAD = ("SPSExchangedDocument",)
_GOODS = ("SPSConsignment",)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place where a rule does not hold: the element, a plain sentence, the values seen."""

    element: Node
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A numbered rule; its sentence for people is in the catalogue."""

    id: str
    severity: Severity
    check: Check


RULES: dict[str, Rule] = {}


def rule_findings(root: Root, type_codes: frozenset[str] = PHYTOSANITARY) -> list[Finding]:
    """All complaints of all rules, in the order of their numbers.

    type_codes: the UNTDID 1001 codes that the certificate may have
    """
    found = []
    for rule in _in_order():
        said = _has_type(root, type_codes) if rule.id == TYPE_RULE else rule.check(root)
        for each in islice(said, MAX_COMPLAINTS_PER_RULE):
            place = sps.path_of(each.element)
            found.append(Finding(rule.id, rule.severity, place, each.message, each.values))
    return found


@cache
def _in_order() -> tuple[Rule, ...]:
    """All rules by number; asked for only after the last has been registered."""
    return tuple(RULES[rule_id] for rule_id in sorted(RULES))


def _rule(rule_id: str, severity: Severity = Severity.ERROR) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        RULES[rule_id] = Rule(rule_id, severity, check)
        return check

    return register


def _place(root: Node, *path: str) -> Node:
    """The element at the path, or the nearest one above it that exists."""
    for end in range(len(path), 0, -1):
        found = sps.child(root, *path[:end])
        if found is not None:
            return found
    return root


@_rule("PHY-004")
def reads_in_one_way(root: Root) -> Iterator[Complaint]:
    """Two readers of one certificate must see the same number, country and weight."""
    if root.plain and not root.mixed:
        return
    for node in root.walk():
        if not (node.children and is_ours(node.namespace)):
            continue
        single = SINGLE.get(node.name, frozenset())
        if any(len(node.named(name)) > 1 for name in single):
            yield Complaint(node, "an element that may stand once only is repeated")
        if sps.has_text(node):
            yield Complaint(node, "text and elements are mixed")


# --- the document ---------------------------------------------------------------------------------


@_rule("PHY-010")
def has_number(root: Root) -> Iterator[Complaint]:
    """A certificate without a number cannot be referred to, replaced or withdrawn."""
    if not sps.text(root, *_HEAD, "ID"):
        yield Complaint(_place(root, *_HEAD), "the certificate has no number")


@_rule(TYPE_RULE)
def type_is_phytosanitary(root: Root) -> Iterator[Complaint]:
    """UNTDID 1001: 851 phytosanitary certificate, 657 phytosanitary re-export certificate."""
    yield from _has_type(root, PHYTOSANITARY)


def _has_type(root: Root, codes: frozenset[str]) -> Iterator[Complaint]:
    code = root.type_code
    if code not in codes:
        place = _place(root, *_HEAD, "TypeCode")
        message = f"the type code is not {' or '.join(sorted(codes))}"
        yield Complaint(place, message, {"code": code[:20]})


@_rule("PHY-013")
def has_issue_date(root: Root) -> Iterator[Complaint]:
    """See also `future_issue`."""
    if root.issued_at is None:
        place = _place(root, *_HEAD, "IssueDateTime")
        yield Complaint(place, "the date of issue is missing or no date")


@_rule("PHY-014")
def inspected_before_issue(root: Root) -> Iterator[Complaint]:
    """Only dates can be compared; authorities also write this note in words."""
    issued = root.issued_at
    for subject, content, note in root.notes:
        inspected = sps.moment(content) if subject in sps.INSPECTION_DATE else None
        if issued and inspected and inspected.date() > issued.date():
            values = {"inspected": content, "issued": issued.isoformat()}
            yield Complaint(note, "the inspection is later than the issue", values)


@_rule("PHY-015")
def has_status(root: Root) -> Iterator[Complaint]:
    """The status code is mandatory and a whole number in every dialect."""
    if not root.status_code.isdecimal():
        yield Complaint(_place(root, *_HEAD, "StatusCode"), "the status is missing or no number")


@_rule("PHY-016")
def is_issued(root: Root) -> Iterator[Complaint]:
    """A message that a certificate was withdrawn is no certificate; an unknown status is none."""
    code = root.status_code
    if code.isdecimal() and status_of(code) is not Status.ISSUED:
        said = status_of(code) or "unknown"
        message = f"the certificate is not in force: its status is {said}"
        yield Complaint(_place(root, *_HEAD, "StatusCode"), message, {"code": code[:20]})


@_rule("PHY-018", Severity.WARNING)
def issue_date_has_zone(root: Root) -> Iterator[Complaint]:
    """Without a zone the moment of issue is known to half a day only; it is read as UTC."""
    if root.issued_at is not None and not sps.has_zone(root.issued):
        place = _place(root, *_HEAD, "IssueDateTime")
        yield Complaint(place, "the date of issue has no time zone", {"issued": root.issued})


def future_issue(root: Root, at: datetime) -> list[Finding]:
    """PHY-013 for a certificate issued after `at` (aware), clocks and zones being allowed for."""
    issued = root.issued_at
    allowed = CLOCKS_DIFFER if sps.has_zone(root.issued) else ZONES_DIFFER
    if issued is None or issued - at <= allowed:
        return []
    place = sps.path_of(_place(root, *_HEAD, "IssueDateTime"))
    values = {"issued": root.issued, "at": at.isoformat()}
    message = "the date of issue is in the future"
    return [Finding("PHY-013", Severity.ERROR, place, message, values)]


# --- the consignment ------------------------------------------------------------------------------


@_rule("PHY-020")
def countries_are_known(root: Root) -> Iterator[Complaint]:
    """ISO 3166-1 alpha-2, for export, import, transit and origin."""
    for name, code in (("ExportSPSCountry", root.exporting), ("ImportSPSCountry", root.importing)):
        if not code:
            yield Complaint(_place(root, *_GOODS, name), f"{name} has no country code")
    known = code_lists.codes("country")
    named = [
        *root.at(*_GOODS, "ExportSPSCountry", "ID"),
        *root.at(*_GOODS, "ImportSPSCountry", "ID"),
        *root.at(*_GOODS, "TransitSPSCountry", "ID"),
        *(place for line in root.lines for place in line.at("OriginSPSCountry", "ID")),
    ]
    for place in named:
        code = sps.text(place)
        if code and code not in known:
            yield Complaint(place, "the code is no country code", {"code": code[:20]})


@_rule("PHY-021")
def crosses_a_border(root: Root) -> Iterator[Complaint]:
    """A certificate is for a border that the goods cross."""
    exporting = root.exporting
    if exporting and exporting == root.importing:
        place = _place(root, *_GOODS, "ImportSPSCountry", "ID")
        message = "the importing country is the exporting country"
        yield Complaint(place, message, {"country": exporting[:20]})


@_rule("PHY-022", Severity.WARNING)
def enters_the_importing_country(root: Root) -> Iterator[Complaint]:
    """UN/LOCODE (Recommendation 16); transit over a neighbour's port is real, hence a warning."""
    place = sps.child(root, *_GOODS, "UnloadingBaseportSPSLocation", "ID")
    code = sps.text(place)
    importing = root.importing
    if place is not None and code and not (code_lists.is_locode(code) and code[:2] == importing):
        message = "the point of entry is no UN/LOCODE of the importing country"
        yield Complaint(place, message, {"code": code[:20], "country": importing[:20]})


@_rule("PHY-040")
def container_numbers_check(root: Root) -> Iterator[Complaint]:
    """ISO 6346, for whatever has the form of a container number; trailers have other numbers."""
    for element in sps.children(root, *_GOODS, "UtilizedSPSTransportEquipment", "ID"):
        value = sps.equipment_number(element)
        if sps.CONTAINER.fullmatch(value) and not check_digits.iso6346(value):
            yield Complaint(element, "the container number fails its check", {"number": value})


@_rule("PHY-070", Severity.WARNING)
def attachments_are_known_files(root: Root) -> Iterator[Complaint]:
    """PDF, PNG, JPEG, GIF or TIFF by their first bytes, whatever the file name says."""
    path = (*_HEAD, "ReferenceSPSReferencedDocument", "AttachmentBinaryObject")
    for element in sps.children(root, *path):
        content = "".join((element.element.text or "").split())
        if not _start(content).startswith(_FILE_STARTS):
            yield Complaint(element, "the attachment is of no known type or not base64")
        elif len(content) * 3 // 4 > MAX_ATTACHMENT:
            yield Complaint(element, f"the attachment is larger than {MAX_ATTACHMENT} bytes")


def _start(content: str) -> bytes:
    try:
        base64.b64decode(content, validate=True)
        return base64.b64decode(content[:16])
    except (binascii.Error, ValueError):
        return b""


# --- the lines ------------------------------------------------------------------------------------


@_rule("PHY-030")
def lines_count_upwards(root: Root) -> Iterator[Complaint]:
    """SequenceNumeric rises from line to line; where it starts is the authority's choice."""
    last = -1
    for line in root.lines:
        value = line.said("SequenceNumeric")
        if not (value.isdecimal() and value.isascii() and len(value) < 10 and int(value) > last):
            message = "the line number is missing, repeated or not rising"
            yield Complaint(_place(line, "SequenceNumeric"), message, {"number": value[:20]})
        else:
            last = int(value)


@_rule("PHY-031")
def lines_say_what_they_are(root: Root) -> Iterator[Complaint]:
    """A description is mandatory per line, and a certificate has at least one line."""
    lines = root.lines
    if not lines:
        yield Complaint(_place(root, *_GOODS), "the certificate has no line of goods")
    for line in lines:
        if not line.all_said("Description"):
            yield Complaint(line, "the line has no description")


@_rule("PHY-032")
def lines_have_an_origin(root: Root) -> Iterator[Complaint]:
    """At least one country of origin per line (ISPM 12 §5)."""
    for line in root.lines:
        if not any(place.said("ID") for place in line.named("OriginSPSCountry")):
            yield Complaint(line, "the line has no country of origin")


@_rule("PHY-033")
def units_are_known(root: Root) -> Iterator[Complaint]:
    """Recommendation 20, for every measure that says something."""
    known = code_lists.codes("unit")
    for line in root.lines:
        for node, _, unit in line.measures:
            if unit not in known:
                message = "the unit is not in Recommendation 20"
                yield Complaint(node, message, {"unit": unit[:20]})


@_rule("PHY-034")
def packages_are_known(root: Root) -> Iterator[Complaint]:
    """Recommendation 21."""
    known = code_lists.codes("package")
    for line in root.lines:
        for package in line.packages:
            code = package.said("TypeCode")
            if code not in known:
                message = "the package type is not in Recommendation 21"
                yield Complaint(package, message, {"type": code[:20]})


@_rule("PHY-035")
def gross_is_not_below_net(root: Root) -> Iterator[Complaint]:
    """Compared in kilograms, exactly."""
    for line in root.lines:
        gross = sps.child(line, "GrossWeightMeasure")
        heavy, light = kilograms(gross), kilograms(sps.child(line, "NetWeightMeasure"))
        if gross is not None and heavy is not None and light is not None and heavy < light:
            values = {"grossKg": str(heavy), "netKg": str(light)}
            yield Complaint(gross, "the gross weight is below the net weight", values)


@_rule("PHY-036")
def packed_in_one_way(root: Root) -> Iterator[Complaint]:
    """Exactly one of PhysicalSPSPackage and the note OPTND (IPPC ePhyto mapping)."""
    for line in root.lines:
        in_words = any(subject == "OPTND" and said for subject, said, _ in line.notes)
        if not line.packages and not in_words:
            yield Complaint(line, "the line names no package")
        elif line.packages and in_words:
            yield Complaint(line, "the line names packages twice, in codes and in words")


@_rule("PHY-037", Severity.WARNING)
def lines_are_classified(root: Root) -> Iterator[Complaint]:
    """An EPPO or an HS code lets a machine compare the line with other documents."""
    for line in root.lines:
        if not any(
            item.said("SystemName").upper() in _SYSTEMS and item.said("ClassCode")
            for item in line.named("ApplicableSPSClassification")
        ):
            yield Complaint(line, "the line has neither an EPPO nor an HS code")


@_rule("PHY-038")
def quantities_are_numbers(root: Root) -> Iterator[Complaint]:
    """Measures and package counts are decimals, not below zero unless a temperature."""
    for line in root.lines:
        for node, said, unit in [*line.measures, *line.counts]:
            number = sps.DECIMAL.fullmatch(said)
            below_zero = number and said[0] == "-" and unit != "CEL" and Decimal(said) < 0
            if not number or below_zero:
                yield Complaint(node, "the quantity is no number or below zero")


@_rule("PHY-050")
def treatments_are_coded_as_agreed(root: Root) -> Iterator[Complaint]:
    """The type code is always ZZZ; what was done stands in the characteristics."""
    for line in root.lines:
        for process in line.processes:
            if process.said("TypeCode") != "ZZZ":
                yield Complaint(_place(process, "TypeCode"), "the treatment's type code is not ZZZ")


@_rule("PHY-051", Severity.WARNING)
def treatments_have_words(root: Root) -> Iterator[Complaint]:
    """TTFT, the full text, is what a person at the border reads."""
    for line in root.lines:
        for process in line.processes:
            characteristics = process.named("ApplicableSPSProcessCharacteristic")
            if not any(item.said("Description") == "TTFT" for item in characteristics):
                yield Complaint(process, "the treatment has no full text (TTFT)")


@_rule("PHY-060")
def reexport_names_its_origin(root: Root) -> Iterator[Complaint]:
    """A re-export certificate (657) names the original certificate and its country."""
    if root.type_code != "657":
        return
    said = {subject for subject, content, _ in root.notes if content}
    for subject, what in (("RPCRF", "original certificate"), ("RPCCO", "original country")):
        if subject not in said:
            message = f"the re-export certificate does not name its {what} ({subject})"
            yield Complaint(_place(root, *_HEAD), message, {"missing": subject})


@_rule("PHY-062")
def reexport_was_packed(root: Root) -> Iterator[Complaint]:
    """RPCPC must be True on a re-export certificate (IPPC ePhyto mapping)."""
    if root.type_code != "657":
        return
    for subject, content, note in root.notes:
        if subject == "RPCPC" and content.lower() != "true":
            yield Complaint(note, "the note RPCPC is not True")
