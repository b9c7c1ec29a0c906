"""The rules XDC-001 … XDC-018: each looks at two statements and yields where they disagree.

`left` is the leading document (a transport document, else a declaration), `right` the other.
A certificate or decision may be about part of the goods (`partial`): it may then say less, never
more, and name fewer containers, never others.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from schemas.cross.statement import Said
from schemas.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from schemas.cross.statement import Statement

    Check = Callable[["Pair"], Iterator["Disagreement"]]

QUANTITIES = ("gross", "net", "packages")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Both values with their places, and what is wrong between them."""

    left: Said
    right: Said
    message: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two statements about one consignment. partial: may `right` be about part of the goods?"""

    left: Statement
    right: Statement
    partial: bool = False

    def both(self, name: str) -> tuple[Said, Said] | None:
        """What both say under that name; None where either is silent."""
        one, other = self.left.single.get(name), self.right.single.get(name)
        return None if one is None or other is None else (one, other)

    def lists(self, name: str) -> tuple[tuple[Said, ...], tuple[Said, ...]] | None:
        """The same of lists."""
        one, other = self.left.lists.get(name, ()), self.right.lists.get(name, ())
        return (one, other) if one and other else None

    @property
    def part(self) -> bool:
        """True when `right` says itself that it is about some of the containers only."""
        found = self.lists("containers")
        if not self.partial or found is None:
            return False
        mine, theirs = ({said.value for said in each} for each in found)
        return theirs < mine


@dataclass(frozen=True, slots=True)
class CrossRule:
    """A rule with its stable id; the catalogue has its sentence, source and next step."""

    id: str
    severity: Severity
    check: Check


_RULES: dict[str, CrossRule] = {}
RULES: Mapping[str, CrossRule] = _RULES


def _rule(rule_id: str, severity: Severity) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        _RULES[rule_id] = CrossRule(rule_id, severity, check)
        return check

    return register


_warning = Severity.WARNING
_error = Severity.ERROR


def _quantity(pair: Pair, name: str, words: str) -> Iterator[Disagreement]:
    """Equal; a part says less. More than is carried is another rule."""
    found = pair.both(name)
    if found is None or pair.part:
        return
    if (order := _order(found)) and not (pair.partial and order == "more"):
        yield Disagreement(*found, f"the {words} differ")


def _order(found: tuple[Said, Said]) -> str:
    """ "more" or "less" where the right one is so, else empty."""
    try:
        left, right = (Decimal(said.value) for said in found)
    except InvalidOperation:
        return ""
    return "more" if right > left else "less" if right < left else ""


def _differ(pair: Pair, name: str, words: str) -> Iterator[Disagreement]:
    found = pair.both(name)
    if found is not None and found[0].value != found[1].value:
        yield Disagreement(*found, f"the {words} differ")


def _names_differ(pair: Pair, name: str, words: str) -> Iterator[Disagreement]:
    found = pair.both(name)
    if found is not None and _words(found[0].value) != _words(found[1].value):
        yield Disagreement(*found, f"the {words} differ")


def _words(name: str) -> str:
    """A name without case, punctuation and spacing, in which systems differ harmlessly."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _sets_differ(pair: Pair, name: str, words: str) -> Iterator[Disagreement]:
    found = pair.lists(name)
    if found is None:
        return
    mine, theirs = ({_words(said.value) for said in each} for each in found)
    if theirs - mine or (mine - theirs and not pair.partial):
        yield Disagreement(_joined(found[0]), _joined(found[1]), f"the {words} differ")


def _joined(listed: tuple[Said, ...]) -> Said:
    return Said(", ".join(said.value for said in listed), listed[0].pointer)


@_rule("XDC-001", _warning)
def gross_weight(pair: Pair) -> Iterator[Disagreement]:
    """The gross weights agree."""
    yield from _quantity(pair, "gross", "gross weights")


@_rule("XDC-002", _warning)
def net_weight(pair: Pair) -> Iterator[Disagreement]:
    """The net weights agree."""
    yield from _quantity(pair, "net", "net weights")


@_rule("XDC-003", _warning)
def packages(pair: Pair) -> Iterator[Disagreement]:
    """The numbers of packages agree."""
    yield from _quantity(pair, "packages", "numbers of packages")


@_rule("XDC-004", _error)
def containers(pair: Pair) -> Iterator[Disagreement]:
    """The same containers; of a part, no others."""
    yield from _sets_differ(pair, "containers", "containers")


@_rule("XDC-005", _warning)
def hs(pair: Pair) -> Iterator[Disagreement]:
    """The same six-digit HS codes; of a part, no others."""
    yield from _sets_differ(pair, "hs", "HS subheadings")


@_rule("XDC-006", _warning)
def countries(pair: Pair) -> Iterator[Disagreement]:
    """The same exporting and importing country."""
    yield from _differ(pair, "exportCountry", "exporting countries")
    yield from _differ(pair, "importCountry", "importing countries")


@_rule("XDC-007", _warning)
def ports(pair: Pair) -> Iterator[Disagreement]:
    """The same ports of loading and discharge."""
    yield from _differ(pair, "portOfLoading", "ports of loading")
    yield from _differ(pair, "portOfDischarge", "ports of discharge")


@_rule("XDC-008", _error)
def consignment(pair: Pair) -> Iterator[Disagreement]:
    """The same unique consignment reference."""
    yield from _differ(pair, "consignment", "consignment references")


@_rule("XDC-009", _warning)
def marks(pair: Pair) -> Iterator[Disagreement]:
    """The same shipping marks."""
    yield from _sets_differ(pair, "marks", "shipping marks")


@_rule("XDC-010", _warning)
def seals(pair: Pair) -> Iterator[Disagreement]:
    """The same seals on each container of which both say them."""
    for number, mine in pair.left.seals.items():
        theirs = pair.right.seals.get(number)
        if theirs and {said.value for said in mine} != {said.value for said in theirs}:
            yield Disagreement(_joined(mine), _joined(theirs), f"the seals of {number} differ")


@_rule("XDC-011", _warning)
def conveyance(pair: Pair) -> Iterator[Disagreement]:
    """The same ship and voyage."""
    yield from _names_differ(pair, "vessel", "ships")
    yield from _names_differ(pair, "voyage", "voyages")


@_rule("XDC-012", _warning)
def departure(pair: Pair) -> Iterator[Disagreement]:
    """The same day of departure."""
    yield from _differ(pair, "departure", "dates of departure")


@_rule("XDC-013", _warning)
def arrives_after_departure(pair: Pair) -> Iterator[Disagreement]:
    """Neither arrives before the other departs."""
    for one, other, way in ((pair.left, pair.right, False), (pair.right, pair.left, True)):
        departs, arrives = one.single.get("departure"), other.single.get("arrival")
        if departs and arrives and arrives.value < departs.value:
            shown = (arrives, departs) if way else (departs, arrives)
            yield Disagreement(*shown, "the arrival lies before the departure")


@_rule("XDC-014", _warning)
def valid_on_arrival(pair: Pair) -> Iterator[Disagreement]:
    """A certificate is still valid on the day of arrival."""
    arrives, until = pair.left.single.get("arrival"), pair.right.single.get("validUntil")
    if arrives and until and until.value < arrives.value:
        yield Disagreement(arrives, until, "the document expires before the arrival")


@_rule("XDC-015", _error)
def not_more_than_carried(pair: Pair) -> Iterator[Disagreement]:
    """A certificate or decision is about no more than is carried or declared."""
    for name in QUANTITIES if pair.partial else ():
        found = pair.both(name)
        if found is not None and _order(found) == "more":
            yield Disagreement(*found, f"more than the leading document says ({name})")


@_rule("XDC-016", _warning)
def parties(pair: Pair) -> Iterator[Disagreement]:
    """The same exporter (shipper, seller) and importer (consignee, buyer)."""
    yield from _names_differ(pair, "exporter", "exporters")
    yield from _names_differ(pair, "importer", "importers")


@_rule("XDC-017", _warning)
def invoice(pair: Pair) -> Iterator[Disagreement]:
    """The same invoice and, where both state one, the same amount."""
    yield from _names_differ(pair, "invoice", "invoices")
    found = pair.both("amount")
    # A declaration may convert; then customs' own rate decides, which stands in no document.
    if found is not None and found[0].value[-3:] == found[1].value[-3:]:
        yield from _differ(pair, "amount", "amounts")


@_rule("XDC-018", _warning)
def origins(pair: Pair) -> Iterator[Disagreement]:
    """The same countries of origin."""
    yield from _sets_differ(pair, "origins", "countries of origin")
