"""The RCEP country of origin (2.6): whose rate applies where the importing Party has several.

Appendix line in its period → 20 per cent of value added in the exporting Party, else (4);
otherwise the exporting Party where the good got its status, for goods of originating materials
only when more than minimal operations were done there, else (4): the Party that contributed the
highest value of originating materials. The choices of (6) are always told with what must be
proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import data, operations, steps
from schemas.origin.amounts import ZERO, Ratio, plain
from schemas.origin.lines import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.findings import Check
    from schemas.origin.data import Agreement, Source
    from schemas.origin.question import Good, Question, Tariff
    from schemas.origin.status import Origin


@dataclass(frozen=True, slots=True)
class Country:
    """The country of origin, or None with the reason; `options`: the choices of 2.6(6)."""

    country: str | None
    paragraph: str
    checks: tuple[Check, ...]
    contributions: Mapping[str, Decimal]
    options: Mapping[str, object]
    sources: tuple[Source, ...] = ()


def judge(question: Question, origin: Origin | None, agreement: Agreement) -> Country | None:
    """RCEP-120 and RCEP-121; None where nothing is originating or nothing was asked."""
    good, tariff = question.good, question.tariff
    assert good is not None
    criterion = origin.criterion if origin is not None else (tariff.criterion if tariff else None)
    if criterion is None:
        return None
    contributions, known = _contributions(question, origin)
    case = _Case(question, good, tariff, agreement, criterion, contributions, known, origin)
    return case.judge()


def _contributions(question: Question, origin: Origin | None) -> tuple[dict[str, Decimal], bool]:
    """Value of originating materials by Party, and whether every value is known."""
    stated = question.tariff.contributions if question.tariff else None
    if stated is not None:
        return dict(stated), True
    found: dict[str, Decimal] = {}
    known = True
    for line in origin.tried.lines if origin is not None else ():
        if line.standing is Standing.ORIGINATING and line.party is not None:
            if line.value is None:
                known = False
            else:
                found[line.party] = found.get(line.party, ZERO) + line.value
    return found, known


@dataclass(frozen=True, slots=True)
class _Case:
    question: Question
    good: Good
    tariff: Tariff | None
    agreement: Agreement
    criterion: str
    contributions: Mapping[str, Decimal]
    known: bool
    origin: Origin | None

    def judge(self) -> Country:
        listed, checks, sources = self._appendix()
        if listed is None:
            return self._country(None, "2.6(3)", checks, sources)
        if listed:
            added = self._value_added()
            checks = (*checks, added)
            if added.outcome is Outcome.PASSED:
                return self._country(self._exporting, "2.6(3)", checks, sources)
            if added.outcome is Outcome.INDETERMINATE:
                return self._country(None, "2.6(3)", checks, sources)
            return self._highest(checks, sources)
        if self.criterion != "PE":
            return self._country(self._exporting, "2.6(2)", checks, sources)
        shown = operations.more_than_minimal(self.question.operations, self.agreement)
        if shown.outcome is Outcome.PASSED:
            return self._country(self._exporting, "2.6(2)", checks, sources)
        return self._highest(checks, sources)

    @property
    def _exporting(self) -> str:
        """Where the good got its status: a back-to-back proof carries that Party on (Annex 3B)."""
        return self.good.party

    # -- 2.6(3) ----------------------------------------------------------------------------------

    def _appendix(self) -> tuple[bool | None, tuple[Check, ...], tuple[Source, ...]]:
        """Whether the good is on the importing Party's appendix now; None: not known."""
        importing = self.question.importing
        if self.tariff is None:
            return False, (), ()
        if importing and importing not in self.agreement.content["differentials"]:
            told = "the importing country has no different rates by Party"
            return False, (steps.passed("RCEP-121", told, importing=importing),), ()
        if self.tariff.appendix is not None or importing is None:
            return self.tariff.appendix is True, (), ()
        return self._look_up(importing)

    def _look_up(self, importing: str) -> tuple[bool | None, tuple[Check, ...], tuple[Source, ...]]:
        source = data.source(data.APPENDICES)
        appendix = source.content["appendices"][importing]
        line = (self.tariff.line if self.tariff else None) or ""
        digits = line.replace(".", "")
        for row in appendix["lines"]:
            if digits and row["line"] == digits:
                return data.in_force(row, self.question.on), (), (source,)
        if appendix["complete"] and digits:
            return False, (), (source,)
        told = {"importing": importing, "line": line}
        return None, (steps.unknown("RCEP-121", "appendix_unknown", **told),), (source,)

    def _value_added(self) -> Check:
        """RCEP-121: 3.5 with only the exporting Party's materials as originating."""
        fob, stated = self.good.fob, self.tariff.domestic_value if self.tariff else None
        added = stated if stated is not None else self._domestic(fob)
        if fob is None or added is None:
            return steps.unknown("RCEP-121", "value_not_stated")
        content = Ratio(added, fob)
        limit = self.agreement.appendix_value
        told = {
            "domestic": plain(added),
            "fob": plain(fob),
            "percent": content.percent(),
            "threshold": plain(limit),
        }
        if content.reaches(limit):
            return steps.passed("RCEP-121", **told)
        return steps.failed("RCEP-121", "domestic_value_too_low", **told)

    def _domestic(self, fob: Decimal | None) -> Decimal | None:
        """FOB less non-originating and other Parties' originating materials."""
        if fob is None or self.origin is None:
            return None
        foreign = ZERO
        for line in self.origin.tried.lines:
            if not line.value_counts or line.material.role == "indirect":
                continue
            if line.standing is Standing.ORIGINATING and line.party == self.good.party:
                continue
            if line.value is None:
                return None
            foreign += line.value
        return fob - foreign

    # -- 2.6(4) ----------------------------------------------------------------------------------

    def _highest(self, checks: tuple[Check, ...], sources: tuple[Source, ...]) -> Country:
        """The Party with the highest value of originating materials, the exporting one included."""
        if not self.contributions or not self.known:
            check = steps.unknown("RCEP-120", "contributions_unknown")
            return self._country(None, "2.6(4)", (*checks, check), sources)
        highest = max(self.contributions.values())
        first = sorted(party for party, each in self.contributions.items() if each == highest)
        if len(first) > 1 or highest == 0:
            check = steps.unknown("RCEP-120", "contributions_tie", ", ".join(first))
            return self._country(None, "2.6(4)", (*checks, check), sources)
        return self._country(first[0], "2.6(4)", checks, sources)

    def _country(
        self,
        country: str | None,
        paragraph: str,
        checks: tuple[Check, ...],
        sources: tuple[Source, ...],
    ) -> Country:
        told = {
            "paragraph": paragraph,
            "contributions": {party: plain(each) for party, each in self._sorted()},
        }
        if country is not None:
            checks = (*checks, steps.passed("RCEP-120", country=country, **told))
        elif not any(check.id == "RCEP-120" for check in checks):
            checks = (*checks, steps.unknown("RCEP-120", "country_undecided", **told))
        return Country(
            country, paragraph, checks, self.contributions, self._options(country), sources
        )

    def _sorted(self) -> list[tuple[str, Decimal]]:
        return sorted(self.contributions.items())

    # -- 2.6(6) ----------------------------------------------------------------------------------

    def _options(self, country: str | None) -> dict[str, object]:
        """What the importer may claim instead, and what of it must be proven."""
        rates = self.tariff.rates if self.tariff else None
        if not rates:
            return {}
        # With a criterion other than RVC no originating material was taken into account.
        contributed = sorted(self.contributions) if self.criterion in ("RVC", "PE") else []
        taken = [rates[party] for party in contributed if party in rates]
        complete = len(taken) == len(contributed) and bool(taken)
        return {
            "rate": plain(rates[country]) if country is not None and country in rates else None,
            "2.6(6)(a)": plain(max(taken)) if complete else None,
            "2.6(6)(a) proof": "the value of each Party's originating materials",
            "2.6(6)(a) parties": contributed,
            "2.6(6)(b)": plain(max(rates.values())),
        }
