"""Regional value content (RCEP 3.5): build-down and build-up, either of which suffices.

Build-down ``(FOB - VNM) / FOB``; build-up ``(VOM + labour + overhead + profit + other) / FOB``;
both in per cent, compared with "no less than" and never rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.origin import steps
from schemas.origin.amounts import ZERO, Ratio, plain
from schemas.origin.lines import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.findings import Check, Finding
    from schemas.origin.lines import Line
    from schemas.origin.product_rules import Alternative
    from schemas.origin.question import Costs, Good


@dataclass(frozen=True, slots=True)
class Values:
    """Sums over the lines. The flags say whether every value that counts was stated."""

    originating: Decimal
    non_originating: Decimal
    non_originating_gross: Decimal
    originating_known: bool
    non_originating_known: bool

    @property
    def complete(self) -> bool:
        """Whether every value is known."""
        return self.originating_known and self.non_originating_known


def values_of(lines: Sequence[Line]) -> Values:
    """VOM and VNM of the lines that count by value."""
    originating = non_originating = gross = ZERO
    known = {True: True, False: True}
    for line in lines:
        if not line.value_counts:
            continue
        is_originating = line.standing is Standing.ORIGINATING
        if line.value is None or line.gross is None:
            known[is_originating] = False
        elif is_originating:
            originating += line.value
        else:
            non_originating += line.value
            gross += line.gross
    return Values(originating, non_originating, gross, known[True], known[False])


def build_down(good: Good, values: Values, rule: Alternative) -> Check:
    """RCEP-030."""
    if good.fob is None:
        return steps.unknown("RCEP-030", "whole_not_stated", "the FOB value is not stated")
    content = Ratio(good.fob - values.non_originating, good.fob)
    told = {
        "rule": rule.text,
        "fob": plain(good.fob),
        "nonOriginating": plain(values.non_originating),
        "percent": content.percent(),
        "threshold": plain(rule.percent),
    }
    if not content.reaches(rule.percent):
        return steps.failed("RCEP-030", "regional_value_too_low", **told)
    if not values.non_originating_known:
        return steps.unknown("RCEP-030", "value_not_stated", **told)
    return steps.passed("RCEP-030", **told)


def build_up(good: Good, values: Values, costs: Costs | None, rule: Alternative) -> Check | None:
    """RCEP-031, where the producer states costs."""
    if costs is None:
        return None
    if good.fob is None:
        return steps.unknown("RCEP-031", "whole_not_stated", "the FOB value is not stated")
    content = Ratio(values.originating + costs.total, good.fob)
    told = {
        "rule": rule.text,
        "fob": plain(good.fob),
        "originating": plain(values.originating),
        "labour": plain(costs.labour),
        "overhead": plain(costs.overhead),
        "profit": plain(costs.profit),
        "other": plain(costs.other),
        "percent": content.percent(),
        "threshold": plain(rule.percent),
    }
    if content.reaches(rule.percent):
        return steps.passed("RCEP-031", **told)
    if not values.originating_known:
        return steps.unknown("RCEP-031", "value_not_stated", **told)
    return steps.failed("RCEP-031", "regional_value_too_low", **told)


def accounts(good: Good, values: Values, costs: Costs | None) -> Finding | None:
    """RCEP-032: VOM, costs and VNM make up the FOB value, else the statement is wrong (3.5(2))."""
    if costs is None or good.fob is None or not values.complete:
        return None
    stated = values.originating + costs.total + values.non_originating_gross
    if stated == good.fob:
        return None
    return steps.warning(
        "RCEP-032",
        "/costs",
        "the cost statement does not close",
        code="costs_do_not_close",
        stated=plain(stated),
        fob=plain(good.fob),
    )
