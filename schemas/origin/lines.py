"""What each material counts for: originating or not, in which tests, at which value.

RCEP 3.4 (cumulation), 3.5(3) to (5) (values, undetermined origin, deductions), 3.8 to 3.11
(packing, accessories, indirect materials, commingled stock).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from schemas.findings import Outcome
from schemas.origin import steps
from schemas.origin.amounts import ZERO, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from schemas.findings import Check, Finding
    from schemas.origin.data import Agreement
    from schemas.origin.question import Deduction, Material, Question

#: 3.5(5): what a CIF value at importation does not contain cannot be taken out of it.
NOT_IN_CIF = frozenset({"inland-freight", "duty", "tax", "brokerage"})


class Standing(StrEnum):
    """Whether a material counts as originating; unknown where its certificate is undecided."""

    ORIGINATING = "originating"
    NON_ORIGINATING = "non-originating"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Line:
    """A material as the tests count it.

    value:  what counts in a value test: as given, for a non-originating one less its deductions
    gross:  as given (3.7 takes it without deductions)
    shift, exclusive, value_counts: whether it counts in CTC, in PE, in RVC
    code:   why it stands as it does, where that needs a word
    """

    material: Material
    standing: Standing
    code: str
    party: str | None
    value: Decimal | None
    shift: bool
    exclusive: bool
    value_counts: bool

    @property
    def gross(self) -> Decimal | None:
        """The value before deductions."""
        return self.material.value

    def to_json(self) -> dict[str, str | bool]:
        """One line of the report."""
        given = self.material
        body: dict[str, str | bool] = {"id": given.id, "counts": self.standing.value}
        optional = {
            "hs": given.hs,
            "from": given.party,
            "role": None if given.role == "material" else given.role,
            "because": self.code or None,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        if self.value is not None:
            body["value"] = plain(self.value)
        if self.value != given.value and given.value is not None:
            body["gross"] = plain(given.value)
        if not (self.shift and self.exclusive and self.value_counts):
            tests = {"PE": self.exclusive, "CTC": self.shift, "RVC": self.value_counts}
            body["setAside"] = ", ".join(name for name, counts in tests.items() if not counts)
        return body


@dataclass(slots=True)
class Counted:
    """All lines of a question, with what was found while counting them."""

    lines: tuple[Line, ...]
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]


class Counting:
    """Counts the materials of one question under given statuses of its certificates."""

    __slots__ = ("_agreement", "_checks", "_findings", "_on", "_question", "_statuses")

    def __init__(
        self, question: Question, agreement: Agreement, statuses: Mapping[str, Outcome]
    ) -> None:
        """statuses: outcome by the digest (hex) of an upstream certificate's credential."""
        self._question = question
        self._agreement = agreement
        self._statuses = statuses
        self._on: date = question.on
        self._checks: list[Check] = []
        self._findings: list[Finding] = []

    def count(self, *, cumulation: bool) -> Counted:
        """The lines. cumulation: whether other Parties' originating materials count (3.4(1))."""
        materials = self._question.materials or ()
        lines = tuple(
            self._line(material, at, cumulation=cumulation) for at, material in enumerate(materials)
        )
        return Counted(lines, tuple(self._checks), tuple(self._findings))

    def _line(self, material: Material, at: int, *, cumulation: bool) -> Line:
        shift, exclusive, value_counts = self._counts_in(material, at)
        standing, code = self._standing(material, at, cumulation=cumulation)
        value = material.value
        if material.deductions and standing is not Standing.ORIGINATING and value is not None:
            value = self._after_deductions(material, value, at)
        apart = standing is Standing.NON_ORIGINATING or material.role == "indirect"
        own = None if apart else material.party
        return Line(material, standing, code, own, value, shift, exclusive, value_counts)

    # -- which tests -----------------------------------------------------------------------------

    def _counts_in(self, material: Material, at: int) -> tuple[bool, bool, bool]:
        """Whether it counts in CTC, PE and RVC: 3.8 and 3.9. A role not shown changes nothing."""
        role = material.role
        if role == "material":
            return True, True, True
        if role == "transport-packing":
            self._checks.append(steps.passed("RCEP-070", material=material.id))
            return False, False, False
        if role == "retail-packing" and self._is_packing(material, at):
            return False, False, True
        if role == "accessory" and self._is_accessory(material, at):
            return False, True, True
        return True, True, True

    def _is_packing(self, material: Material, at: int) -> bool:
        """3.8(2): retail packing is set aside when it is classified with the good."""
        return self._role("RCEP-070", material, at, shown=material.classified_with_good is True)

    def _is_accessory(self, material: Material, at: int) -> bool:
        """3.9: only what is not invoiced separately, in customary quantity and value."""
        shown = material.invoiced_separately is False and material.customary is True
        return self._role("RCEP-071", material, at, shown=shown)

    def _role(self, rule: str, material: Material, at: int, *, shown: bool) -> bool:
        if shown:
            self._checks.append(steps.passed(rule, material=material.id))
        else:
            message = f"{material.id} is counted as any other material"
            self._checks.append(steps.failed(rule, "role_not_shown", material=material.id))
            self._findings.append(steps.warning(rule, f"/materials/{at}/role", message))
        return shown

    # -- originating or not ------------------------------------------------------------------------

    def _standing(self, material: Material, at: int, *, cumulation: bool) -> tuple[Standing, str]:
        if material.role == "indirect" and self._is_indirect(material, at):
            return Standing.ORIGINATING, "RCEP-072"
        if material.inventory_method is not None and not self._is_kept_apart(material):
            return Standing.NON_ORIGINATING, "RCEP-053"
        if material.origin == "undetermined":
            return Standing.NON_ORIGINATING, "RCEP-052"
        if material.origin == "non-originating":
            return Standing.NON_ORIGINATING, ""
        return self._originating(material, at, cumulation=cumulation)

    def _is_indirect(self, material: Material, at: int) -> bool:
        """3.10: not physically incorporated into the good."""
        return self._role("RCEP-072", material, at, shown=material.incorporated is not True)

    def _is_kept_apart(self, material: Material) -> bool:
        """3.11: commingled stock, by a method that is used throughout the fiscal year."""
        if material.inventory_method:
            self._checks.append(steps.passed("RCEP-053", material=material.id))
            return True
        code = "commingled_without_method"
        self._checks.append(steps.failed("RCEP-053", code, material=material.id))
        return False

    def _originating(
        self, material: Material, at: int, *, cumulation: bool
    ) -> tuple[Standing, str]:
        party = material.party or ""
        home = self._question.good.party if self._question.good else ""
        if party != home and (barred := self._barred(party, home, at, cumulation=cumulation)):
            return barred
        return self._by_certificate(material)

    def _barred(
        self, party: str, home: str, at: int, *, cumulation: bool
    ) -> tuple[Standing, str] | None:
        """Why a material of another country does not count here, if anything bars it (3.4(1))."""
        if party not in self._agreement.parties:
            message = f"{party} is no Party, so its material cannot be originating"
            self._findings.append(steps.warning("RCEP-050", f"/materials/{at}/from", message))
            return Standing.NON_ORIGINATING, "RCEP-050"
        if not cumulation or home not in self._agreement.parties:
            return Standing.NON_ORIGINATING, "RCEP-050"
        begins = self._agreement.pair_begins(party, home)
        if begins is None:
            return Standing.UNKNOWN, "pair_unknown"
        if self._on < begins:
            return Standing.NON_ORIGINATING, "RCEP-050"
        return None

    def _by_certificate(self, material: Material) -> tuple[Standing, str]:
        certificate = material.certificate
        if certificate is None:
            return Standing.ORIGINATING, "as-stated"
        outcome = self._statuses.get(certificate.digest, Outcome.INDETERMINATE)
        told = {"material": material.id, **certificate.to_json()}
        if outcome is Outcome.PASSED:
            self._checks.append(steps.passed("RCEP-051", **told))
            return Standing.ORIGINATING, "RCEP-051"
        if outcome is Outcome.FAILED:
            self._checks.append(steps.failed("RCEP-051", "origin_basis_lost", **told))
            return Standing.NON_ORIGINATING, "origin_basis_lost"
        self._checks.append(steps.unknown("RCEP-051", "origin_basis_unknown", **told))
        return Standing.UNKNOWN, "origin_basis_unknown"

    # -- value -------------------------------------------------------------------------------------

    def _after_deductions(self, material: Material, value: Decimal, at: int) -> Decimal:
        """3.5(5): each expense that is shown and is in the value, less what came back of it."""
        taken = ZERO
        for number, deduction in enumerate(material.deductions):
            pointer = f"/materials/{at}/deductions/{number}"
            if self._may_deduct(material, deduction, pointer):
                taken += max(ZERO, deduction.amount - deduction.less)
        if taken > value:
            message = "more is deducted than the material is worth; nothing is deducted"
            self._findings.append(steps.warning("RCEP-033", f"/materials/{at}/deductions", message))
            return value
        return value - taken

    def _may_deduct(self, material: Material, deduction: Deduction, pointer: str) -> bool:
        told = {"material": material.id, "kind": deduction.kind, "amount": plain(deduction.amount)}
        if not deduction.evidence:
            self._checks.append(steps.failed("RCEP-033", "deduction_without_evidence", **told))
            message = "no evidence, so no deduction"
            self._findings.append(steps.warning("RCEP-033", pointer, message, **told))
            return False
        if material.basis == "CIF" and deduction.kind in NOT_IN_CIF:
            self._checks.append(steps.failed("RCEP-034", "deduction_not_in_value", **told))
            message = "a CIF value at importation does not contain it"
            self._findings.append(steps.warning("RCEP-034", pointer, message, **told))
            return False
        if material.basis == "not-stated":
            message = "what the value contains is not stated"
            self._findings.append(steps.warning("RCEP-034", pointer, message, **told))
        self._checks.append(steps.passed("RCEP-033", **told))
        return True
