"""Minimal operations (RCEP 3.6) and chemical reactions (Annex 3A, headnote 7(f)).

3.6 overrides every product rule where non-originating materials were used: when nothing but minimal
operations was done, the good does not originate. "Simple" (no special skill, no machine, apparatus
or equipment specially produced or installed) qualifies clauses (c), (h), (i) and (j) only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from schemas.findings import Check
    from schemas.origin.data import Agreement
    from schemas.origin.question import Operation

_BREAKS = re.compile(r"[ ._:/()+-]+")
REACTION = "chemical-reaction"
NEW_MOLECULE = frozenset({"bonds", "spatial-arrangement", "biochemical"})
NO_REACTION = frozenset({"dissolving", "removing-solvent", "crystal-water"})


def more_than_minimal(operations: Sequence[Operation] | None, agreement: Agreement) -> Check:
    """RCEP-060: PASSED when a step beyond the list of 3.6 was done."""
    if not operations:
        return steps.unknown("RCEP-060", "operations_not_stated", "no step of production is stated")
    told = [_told(each, agreement) for each in operations]
    minimal = [_minimal(each, agreement) for each in operations]
    if False in minimal:
        return steps.passed("RCEP-060", operations=told)
    if None in minimal:
        return steps.unknown("RCEP-060", "simple_not_stated", operations=told)
    return steps.failed("RCEP-060", "minimal_operations_only", operations=told)


def _minimal(operation: Operation, agreement: Agreement) -> bool | None:
    """Whether a step is on the list; None where that hangs on a `simple` nobody stated.

    A step that only names one of the list among other words, as "hand sorting" does, is neither
    that one for certain nor another: only what 3.6 calls simple can be said not to be so.
    """
    entry, exact = _entry(operation, agreement)
    if entry is None:
        return False
    if entry["simple"]:
        return operation.simple
    return True if exact else None


def _entry(operation: Operation, agreement: Agreement) -> tuple[Mapping[str, Any] | None, bool]:
    """The entry of 3.6 that a step names, whatever its case and spacing; is that all it names?"""
    words = _BREAKS.split(operation.name.casefold())
    listed = agreement.minimal_operations
    if (entry := listed.get("-".join(words))) is not None:
        return entry, True
    return next((listed[word] for word in words if word in listed), None), False


def _told(operation: Operation, agreement: Agreement) -> str:
    entry, _ = _entry(operation, agreement)
    if entry is None:
        return f"{operation.name}: not in 3.6"
    said = {True: "simple", False: "not simple", None: "not stated whether simple"}
    suffix = f", {said[operation.simple]}" if entry["simple"] else ""
    return f"{operation.name}: 3.6({entry['clause']}){suffix}"


def chemical_reaction(operations: Sequence[Operation] | None) -> Check:
    """RCEP-040: a molecule with a new structure was made."""
    if not operations:
        return steps.unknown("RCEP-040", "operations_not_stated", "no step of production is stated")
    changes = [each.change for each in operations if each.name == REACTION]
    if not NEW_MOLECULE.isdisjoint(changes):
        return steps.passed("RCEP-040", changes=[each for each in changes if each])
    if any(change not in NO_REACTION for change in changes):
        return steps.unknown(
            "RCEP-040", "reaction_not_described", changes=[str(c) for c in changes]
        )
    return steps.failed("RCEP-040", "no_chemical_reaction", changes=[str(c) for c in changes])


def bars(check: Check) -> Outcome:
    """What 3.6 leaves of a product rule that is met.

    A producer who states no steps at all is taken at the statement that the rule is met: a finding
    says so. A stated step whose simplicity is not stated leaves it open.
    """
    return Outcome.PASSED if check.code == "operations_not_stated" else check.outcome
