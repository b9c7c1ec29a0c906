"""Review of an application by rules before a human signs: the lane, and a finding per field.

AUTO:   nothing is wrong and the policy lets it be signed without a person looking at it
MANUAL: a person looks first; a second, other person where the policy says so
HOLD:   it cannot be signed as it is; the applicant corrects it and applies again

The policy is dated data (``schemas/data/review/policy.json``), cited by edition and digest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from schemas.errors import RefusedError
from schemas.fields import decimal, objects
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.rules import Document
    from schemas.view import View

SAMPLES = 100


class Lane(StrEnum):
    """Where an application goes after the rules."""

    AUTO = "AUTO"
    MANUAL = "MANUAL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class TypePolicy:
    """How applications for one type are treated.

    auto:        may be signed without a person looking at it
    second:      in the manual lane, a second, other person has to approve
    warnings:    "manual" or "pass": what a warning of the rules leads to
    first_time:  the first application of an exporter is looked at
    sample:      of a hundred applications that would pass, how many are looked at all the same
    amount_over: an amount from which on a person looks, in whatever currency it is stated
    """

    auto: bool
    second: bool
    warnings: str
    first_time: bool
    sample: int
    amount_over: Decimal | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One edition of the policy; digest: SHA-256 (hex) of the data it was read from."""

    edition: str
    digest: str
    default: TypePolicy
    types: Mapping[str, TypePolicy]

    def of(self, key: str) -> TypePolicy:
        """The policy for that document type."""
        return self.types.get(key, self.default)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the desk knows beside the document itself.

    number_used:     the number is in force with other bytes, or applied for otherwise
    right_missing:   why this node may not issue it, or ""
    first_time:      this exporter has no document of this type here yet
    amount:          what the goods are worth, where the document says so (`amount_of`)
    """

    number_used: bool = False
    right_missing: str = ""
    first_time: bool = False
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The lane, why, and whether two persons have to approve."""

    lane: Lane
    findings: tuple[Finding, ...]
    second: bool


def review(
    key: str,
    view: View,
    findings: tuple[Finding, ...],
    circumstances: Circumstances,
    policy: Policy,
    digest: bytes,
) -> Reviewed:
    """The lane of one application.

    findings: of the type's own rules, and of the rules across the consignment's papers
    digest:   of the payload; decides by itself whether the application is drawn as a sample
    """
    chosen = policy.of(key)
    told = (*findings, *_desk(view, circumstances))
    if any(each.severity is Severity.ERROR for each in told):
        return Reviewed(Lane.HOLD, told, chosen.second)
    reasons = tuple(_reasons(chosen, view, circumstances, digest))
    warned = bool(told) and chosen.warnings == "manual"
    lane = Lane.MANUAL if reasons or warned or not chosen.auto else Lane.AUTO
    return Reviewed(lane, (*told, *reasons), chosen.second)


def _desk(view: View, circumstances: Circumstances) -> Iterator[Finding]:
    """REV-001 … 003: what no person can approve away."""
    place = view.pointers.get("number", "/number")
    if not view.number:
        message = "the document has no number"
        yield Finding("REV-001", Severity.ERROR, place, message)
    if circumstances.number_used:
        message = "another document or application has this number"
        yield Finding("REV-002", Severity.ERROR, place, message, {"number": view.number})
    if circumstances.right_missing:
        message = "this desk may not issue it"
        values = {"detail": circumstances.right_missing}
        yield Finding("REV-003", Severity.ERROR, "/documentType", message, values)


def _reasons(
    chosen: TypePolicy, view: View, circumstances: Circumstances, digest: bytes
) -> Iterator[Finding]:
    """REV-010 … 012: why a person looks although nothing is wrong."""
    if chosen.first_time and circumstances.first_time:
        name = view.parties.get("exporter", "")
        message = "the first application of this exporter"
        yield _note("REV-010", "/parties/exporter", message, {"exporter": name})
    amount = circumstances.amount
    if chosen.amount_over is not None and amount is not None and amount > chosen.amount_over:
        values = {"amount": str(amount), "limit": str(chosen.amount_over)}
        yield _note("REV-011", "/goods", "the amount is above the limit", values)
    if digest[0] * 256 + digest[1] < chosen.sample * 65536 // SAMPLES:
        yield _note("REV-012", "", "drawn as a sample", {})


def _note(rule: str, place: str, message: str, values: dict[str, str]) -> Finding:
    return Finding(rule, Severity.WARNING, place, message, values)


def amount_of(document: Document) -> Decimal | None:
    """What a JSON document says it is worth: its total amount, else the sum of its FOB values."""
    total = decimal(document, "totalAmount", "amount")
    total = decimal(document, "totalAmount") if total is None else total
    if total is not None:
        return total
    lines = (decimal(line, "fob", "amount") for _, line in objects(document, "goods"))
    amounts = [each for each in lines if each is not None]
    return sum(amounts, Decimal(0)) if amounts else None


# -- the policy as data ------------------------------------------------------------------------


def policy_at(at: datetime, data: bytes | None = None) -> Policy:
    """The edition in force at `at` (aware UTC); data: a desk's own file in place of the packaged.

    Raises RefusedError `review_policy_missing` when the data has none for that day or is broken.
    """
    raw = packaged() if data is None else data
    try:
        for edition in json.loads(raw)["editions"]:
            if _in_force(edition, at):
                return _policy(edition, hashlib.sha256(raw).hexdigest())
    except (ValueError, KeyError, TypeError, ArithmeticError):
        raise RefusedError("review_policy_missing", "the policy cannot be read") from None
    raise RefusedError("review_policy_missing", f"no edition for {at:%Y-%m-%d}")


@cache
def packaged() -> bytes:
    """The policy that comes with the software."""
    return resources.files("schemas").joinpath("data", "review", "policy.json").read_bytes()


def _in_force(edition: Mapping[str, Any], at: datetime) -> bool:
    start, until = _day(edition["from"]), edition["until"]
    return start <= at and (until is None or at < _day(until))


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _policy(edition: Mapping[str, Any], digest: str) -> Policy:
    types = {key: _type_policy(each) for key, each in edition["types"].items()}
    return Policy(edition["edition"], digest, _type_policy(edition["default"]), types)


def _type_policy(data: Mapping[str, Any]) -> TypePolicy:
    over = data["amountOver"]
    return TypePolicy(
        auto=bool(data["auto"]),
        second=bool(data["second"]),
        warnings=str(data["warnings"]),
        first_time=bool(data["firstTime"]),
        sample=int(data["sample"]),
        amount_over=None if over is None else Decimal(over),
    )
