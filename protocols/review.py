"""Review of an application by rules before a human signs: the lane, and a finding per field.

AUTO:   nothing is wrong and the policy lets it be signed without a person looking at it
MANUAL: a person looks first; a second, other person where the policy says so
HOLD:   it cannot be signed as it is; the applicant corrects it and applies again

The policy is dated data (``schemas/data/review/policy.json``), cited by edition and digest. What it
asks for, the document signer asks for too, by whatever door a request comes (R26): one approval
where a person looks, two where the policy says so, none where the rules alone decide.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols.approval import STATUS_ACTS
from protocols.fields import Fields
from schemas import registry, strict_json
from schemas.errors import RefusedError, TradeError
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
    acts:        how many approvals a change of a document's status needs; what is not named, none
    """

    auto: bool
    second: bool
    warnings: str
    first_time: bool
    sample: int
    amount_over: Decimal | None
    acts: Mapping[str, int] = field(default_factory=dict)

    def persons(self, lane: Lane) -> int:
        """How many persons the signer asks for before a document of that lane is signed."""
        return 0 if lane is Lane.AUTO else 2 if self.second else 1


@dataclass(frozen=True, slots=True)
class Policy:
    """One edition of the policy; digest: SHA-256 (hex) of the data it was read from.

    binding: the signer refuses what lacks the approvals it asks for
    """

    edition: str
    digest: str
    default: TypePolicy
    types: Mapping[str, TypePolicy]
    binding: bool = True

    @property
    def version(self) -> str:
        """What an approval names."""
        return f"{self.edition} {self.digest}"

    def of(self, key: str) -> TypePolicy:
        """The policy for that document type."""
        return self.types.get(key, self.default)

    @property
    def most(self) -> int:
        """The greatest number of persons that anything may need, of whatever type."""
        return max(
            count
            for each in (self.default, *self.types.values())
            for count in (each.persons(Lane.MANUAL), *each.acts.values())
        )


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the desk knows beside the document itself.

    number_used:     the number is in force with other bytes, or applied for otherwise
    right_missing:   why this node may not issue it, or ""
    first_time:      this exporter has no document of this type here yet
    amount:          what the goods are worth, where the document says so (`amount_of`)
    returned:        why the signer gave it back, or ""
    """

    number_used: bool = False
    right_missing: str = ""
    first_time: bool = False
    amount: Decimal | None = None
    returned: str = ""


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
    """REV-006, 010 … 012: why a person looks although nothing is wrong."""
    if circumstances.returned:
        message = "the approvals no longer counted when it was to be signed"
        yield _note("REV-006", "", message, {"code": circumstances.returned})
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

CODE = "review_policy_missing"
MAX_PERSONS = 5
_EDITION = re.compile(r"(?a:[A-Za-z0-9][A-Za-z0-9._-]{0,39})")
_WARNINGS = re.compile("manual|pass")
_AMOUNT = re.compile(r"(?a:[0-9]{1,18}(?:\.[0-9]{1,6})?)")
_TYPE_MEMBERS = frozenset(
    {"auto", "second", "warnings", "firstTime", "sample", "amountOver", "acts"}
)


@dataclass(frozen=True, slots=True)
class _Edition:
    """An edition and the days from which and before which it is in force."""

    start: datetime
    until: datetime | None
    policy: Policy


def policy_at(at: datetime, data: bytes | None = None) -> Policy:
    """The edition in force at `at` (aware UTC); data: a desk's own file in place of the packaged.

    Raises RefusedError `review_policy_missing` when the data has none for that day or is broken:
    a misspelt member would otherwise be an approval that nobody asks for.
    """
    for edition in _editions(packaged() if data is None else data):
        if edition.start <= at and (edition.until is None or at < edition.until):
            return edition.policy
    raise RefusedError(CODE, f"no edition for {at:%Y-%m-%d}")


@cache
def packaged() -> bytes:
    """The policy that comes with the software."""
    return resources.files("schemas").joinpath("data", "review", "policy.json").read_bytes()


@lru_cache(maxsize=8)
def _editions(raw: bytes) -> tuple[_Edition, ...]:
    digest = hashlib.sha256(raw).hexdigest()
    try:
        fields = _only(
            Fields(strict_json.loads_object(raw), CODE), frozenset({"binding", "editions"})
        )
        # An example binds nobody; a desk's own policy does unless it says that it does not.
        binding = fields.boolean("binding") if fields.has("binding") else True
        return tuple(_edition(each, digest, binding) for each in fields.children("editions", 100))
    except TradeError as error:
        detail = f"the policy cannot be read: {error.pointer} {error.detail}"
        raise RefusedError(CODE, detail) from None


def _edition(fields: Fields, digest: str, binding: bool) -> _Edition:
    _only(fields, frozenset({"edition", "from", "until", "default", "types"}))
    types = fields.child("types")
    read = {key: _type_policy(types.child(key), key) for key in types.members}
    policy = Policy(
        fields.text("edition", pattern=_EDITION),
        digest,
        _type_policy(fields.child("default")),
        MappingProxyType(read),
        binding,
    )
    until = None if fields.members.get("until") is None else _day(fields, "until")
    return _Edition(_day(fields, "from"), until, policy)


def _day(fields: Fields, name: str) -> datetime:
    try:
        day = date.fromisoformat(fields.text(name, max_length=10))
    except ValueError:
        raise fields.fault(name, "a day is written 2026-01-31") from None
    return datetime.combine(day, datetime.min.time(), UTC)


def _type_policy(fields: Fields, key: str = "") -> TypePolicy:
    _only(fields, _TYPE_MEMBERS)
    if key and key not in registry.document_types():
        raise fields.fault("", "there is no such document type")
    over = fields.optional_text("amountOver", pattern=_AMOUNT) if _said(fields) else None
    acts = fields.optional_child("acts")
    return TypePolicy(
        auto=fields.boolean("auto"),
        second=fields.boolean("second"),
        warnings=fields.text("warnings", pattern=_WARNINGS),
        first_time=fields.boolean("firstTime"),
        sample=fields.integer("sample", 0, SAMPLES),
        amount_over=None if over is None else Decimal(over),
        acts=MappingProxyType(_acts(acts) if acts else {}),
    )


def _said(fields: Fields) -> bool:
    return fields.members.get("amountOver") is not None


def _acts(fields: Fields) -> dict[str, int]:
    _only(fields, frozenset(STATUS_ACTS))
    return {act: fields.integer(act, 0, MAX_PERSONS) for act in fields.members}


def _only(fields: Fields, known: frozenset[str]) -> Fields:
    unknown = fields.members.keys() - known
    if unknown:
        raise fields.fault(min(unknown), f"known are {', '.join(sorted(known))}")
    return fields
