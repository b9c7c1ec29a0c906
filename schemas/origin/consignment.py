"""Direct consignment (RCEP 3.15): straight to the importing Party, or through others untouched.

Intermediate Parties count like non-Parties. The list of logistics is open ("such as"): splitting
and labelling are named as logistics in 3.19 only, so here they are left to the importing Party;
repacking is set beside logistics there, so it is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.findings import Check, Finding
    from schemas.origin.data import Agreement
    from schemas.origin.question import Stay


def judge(
    route: Sequence[Stay], agreement: Agreement
) -> tuple[tuple[Check, ...], tuple[Finding, ...]]:
    """RCEP-080 and RCEP-081 over every stay, RCEP-082 where evidence is wanting."""
    if not route:
        return (steps.passed("RCEP-080", "carried directly"),), ()
    untouched = [_untouched(stay, agreement) for stay in route]
    controlled = [_controlled(stay) for stay in route]
    findings = tuple(
        steps.warning(
            "RCEP-082",
            f"/route/{at}/evidence",
            "the importing customs may ask for documents of this stay",
            country=stay.country,
        )
        for at, stay in enumerate(route)
        if not stay.evidence
    )
    return (*_worst("RCEP-080", untouched), *_worst("RCEP-081", controlled)), findings


def _worst(rule: str, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The stays that do not pass; one passed check where all do."""
    faults = tuple(check for check in checks if check.outcome is not Outcome.PASSED)
    return faults or (steps.passed(rule, stays=len(checks)),)


def _untouched(stay: Stay, agreement: Agreement) -> Check:
    allowed = agreement.content["transit_operations"]
    open_ = agreement.content["transit_operations_open"]
    other = [each for each in stay.operations if each not in allowed]
    told = {"country": stay.country, "operations": list(stay.operations)}
    if any(each not in open_ for each in other):
        return steps.failed("RCEP-080", "processed_on_the_way", ", ".join(other), **told)
    if other:
        return steps.unknown("RCEP-080", "logistics_not_named", ", ".join(other), **told)
    return steps.passed("RCEP-080", **told)


def _controlled(stay: Stay) -> Check:
    if stay.customs_control is None:
        return steps.unknown("RCEP-081", "customs_control_not_stated", country=stay.country)
    if not stay.customs_control:
        return steps.failed("RCEP-081", "out_of_customs_control", country=stay.country)
    return steps.passed("RCEP-081", country=stay.country)
