"""Change of tariff classification with its tolerance (RCEP Annex 3A headnotes 5 to 7, 3.7).

Every non-originating material must come from another chapter, heading or subheading than the good,
and from none that the rule excludes. What fails may be at most 10 per cent of the FOB value, valued
by 3.5(3) alone, or, for goods of chapters 50 to 63, at most 10 per cent of the good's weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps
from schemas.origin.amounts import ZERO, Ratio, plain
from schemas.origin.lines import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.findings import Check
    from schemas.origin.data import Agreement
    from schemas.origin.lines import Line
    from schemas.origin.product_rules import Alternative
    from schemas.origin.question import Good

MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Shift:
    """The tests tried for one alternative, and whether the tolerance was needed."""

    outcome: Outcome
    tests: tuple[Check, ...]
    tolerated: bool = False


def change_of_classification(
    good: Good,
    hs: str,
    lines: Sequence[Line],
    rule: Alternative,
    agreement: Agreement,
    codes: Mapping[str, str | None],
) -> Shift:
    """RCEP-020, and where it fails RCEP-021 and RCEP-022.

    hs: the good's code in the edition of the rule; codes: a material's code there, by its own
    """
    failing, unclear = [], []
    for line in lines:
        if line.shift and line.standing is Standing.NON_ORIGINATING:
            code = codes.get(line.material.hs or "")
            if code is None:
                unclear.append(line)
            elif not _changes(hs, code, rule):
                failing.append(line)
    told = {"rule": rule.text, "good": hs}
    if not failing and not unclear:
        return Shift(Outcome.PASSED, (steps.passed("RCEP-020", **told),))
    check = _not_all(failing, unclear, told)
    tolerances = _tolerances(good, failing, unclear, agreement)
    outcome = steps.any_of([check.outcome, *(each.outcome for each in tolerances)])
    tolerated = outcome is Outcome.PASSED
    return Shift(outcome, (check, *tolerances), tolerated)


def _changes(hs: str, code: str, rule: Alternative) -> bool:
    excluded = code.startswith(rule.excluded) if rule.excluded else False
    return code[: rule.digits] != hs[: rule.digits] and not excluded


def _not_all(failing: Sequence[Line], unclear: Sequence[Line], told: dict[str, str]) -> Check:
    named = [f"{line.material.id} ({line.material.hs})" for line in failing[:MAX_NAMED]]
    if failing:
        return steps.failed("RCEP-020", "classification_unchanged", materials=named, **told)
    named = [line.material.id for line in unclear[:MAX_NAMED]]
    return steps.unknown("RCEP-020", "material_not_classified", materials=named, **told)


def _tolerances(
    good: Good, failing: Sequence[Line], unclear: Sequence[Line], agreement: Agreement
) -> tuple[Check, ...]:
    value = _tolerance(
        "RCEP-021",
        (line.gross for line in failing),
        (line.gross for line in unclear),
        good.fob,
        agreement.tolerance_value,
    )
    if not agreement.weighs(good.hs):
        return (value,)
    weight = _tolerance(
        "RCEP-022",
        (line.material.weight for line in failing),
        (line.material.weight for line in unclear),
        good.weight,
        agreement.tolerance_weight,
    )
    return value, weight


def _tolerance(
    rule: str,
    failing: Iterable[Decimal | None],
    unclear: Iterable[Decimal | None],
    whole: Decimal | None,
    limit: Decimal,
) -> Check:
    """At most `limit` per cent; what is not known could be anything."""
    if whole is None:
        return steps.unknown(rule, "whole_not_stated", "the good's own figure is not stated")
    certain, complete = _sum(failing)
    possible, known = _sum(unclear)
    told = {"limit": plain(limit), "whole": plain(whole), "failing": plain(certain)}
    told["percent"] = Ratio(certain, whole).percent()
    if Ratio(certain, whole).exceeds(limit):
        return steps.failed(rule, "tolerance_exceeded", **told)
    if not complete or not known or Ratio(certain + possible, whole).exceeds(limit):
        return steps.unknown(rule, "tolerance_unknown", **told)
    return steps.passed(rule, **told)


def _sum(amounts: Iterable[Decimal | None]) -> tuple[Decimal, bool]:
    """The sum of what is known, and whether everything is."""
    total, complete = ZERO, True
    for amount in amounts:
        if amount is None:
            complete = False
        else:
            total += amount
    return total, complete
