"""What is asked of the origin engine: one good, how it was made, its road and its proof.

One question is one JSON object; `read` turns it into typed values. Amounts are all in the one
``currency`` of the question. What is left out is not asked: without ``materials`` and
``whollyObtained`` nothing is said about origin, without ``proof`` nothing about a proof.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas.errors import MalformedError
from schemas.origin import product_rules
from schemas.origin.proof_question import Proof, read_proof
from schemas.origin.reading import CODE, COUNTRY, CURRENCY, DIGEST, HS, WORD, Members

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLES = frozenset({"material", "indirect", "transport-packing", "retail-packing", "accessory"})
ORIGINS = frozenset({"originating", "non-originating", "undetermined"})
BASES = frozenset({"CIF", "domestic-price", "not-stated"})
CRITERIA = frozenset({"WO", "PE", "CTC", "RVC", "CR"})
EDITIONS = frozenset({"HS2012", "HS2017", "HS2022"})
DEDUCTIONS = frozenset(
    {
        "freight",
        "insurance",
        "packing",
        "transport",
        "inland-freight",
        "duty",
        "tax",
        "brokerage",
        "waste",
    }
)


@dataclass(frozen=True, slots=True)
class WhollyObtained:
    """Why a good is wholly obtained: the clause of 3.3 and the facts it asks for."""

    clause: str
    place: str | None = None
    registered: str | None = None
    flag: str | None = None
    zone: str | None = None
    rights: bool | None = None
    only_for_recovery: bool | None = None


@dataclass(frozen=True, slots=True)
class CertificateReference:
    """An upstream certificate: issuer's DID, document number, SHA-256 of its credential (hex)."""

    issuer: str
    number: str
    digest: str

    def to_json(self) -> dict[str, str]:
        """As the question said it."""
        return {"issuer": self.issuer, "number": self.number, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Deduction:
    """An expense inside a material's value (3.5(5)); `less`: refunds, or the value of scrap."""

    kind: str
    amount: Decimal
    less: Decimal
    evidence: bool


@dataclass(frozen=True, slots=True)
class Material:
    """One line of the bill of materials. `party`: the Party (or country) it comes from."""

    id: str
    origin: str
    hs: str | None
    value: Decimal | None
    party: str | None
    certificate: CertificateReference | None
    role: str = "material"
    basis: str = "not-stated"
    weight: Decimal | None = None
    deductions: tuple[Deduction, ...] = ()
    classified_with_good: bool | None = None
    invoiced_separately: bool | None = None
    customary: bool | None = None
    incorporated: bool | None = None
    inventory_method: bool | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of production; `simple` as headnoted in 3.6, `change` for a chemical reaction."""

    name: str
    simple: bool | None = None
    change: str | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """The producer's own additions, for build-up (3.5(1)(b))."""

    labour: Decimal
    overhead: Decimal
    profit: Decimal
    other: Decimal

    @property
    def total(self) -> Decimal:
        """All four together."""
        return self.labour + self.overhead + self.profit + self.other


@dataclass(frozen=True, slots=True)
class Stay:
    """One country on the way (3.15)."""

    country: str
    operations: tuple[str, ...]
    customs_control: bool | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """What tariff differentials need beyond the good itself (2.6).

    appendix: whether the good is on the importing Party's appendix, as stated; None: look it up
    criterion: how the good got its status, when no materials are given here
    """

    line: str | None = None
    appendix: bool | None = None
    domestic_value: Decimal | None = None
    criterion: str | None = None
    contributions: Mapping[str, Decimal] | None = None
    rates: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """The good itself. fob: 3.1; weight in kilograms."""

    hs: str
    edition: str | None
    party: str
    fob: Decimal | None
    weight: Decimal | None
    wholly_obtained: WhollyObtained | None


@dataclass(frozen=True, slots=True)
class Question:
    """A whole question. `on` is the day on which preference is claimed."""

    on: date
    good: Good | None
    exporting: str | None
    importing: str | None
    currency: str | None
    cumulation: bool
    criterion: str | None
    rule: tuple[str, ...] | None
    rules_edition: str | None
    materials: tuple[Material, ...] | None
    operations: tuple[Operation, ...] | None
    costs: Costs | None
    route: tuple[Stay, ...] | None
    proof: Proof | None
    tariff: Tariff | None
    body: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def asks_origin(self) -> bool:
        """Whether anything was said about how the good was made."""
        made = self.materials is not None
        return self.good is not None and (made or self.good.wholly_obtained is not None)


_NAMES = frozenset(
    {
        "agreement",
        "on",
        "good",
        "exportingParty",
        "importingParty",
        "currency",
        "cumulation",
        "criterion",
        "rule",
        "rulesEdition",
        "materials",
        "operations",
        "costs",
        "route",
        "proof",
        "tariff",
        "note",
    }
)


def read(body: Mapping[str, Any]) -> Question:
    """The question in a parsed JSON object; MalformedError `origin_question_malformed`."""
    members = Members(body)
    members.only(_NAMES)
    members.choice("agreement", {"RCEP"}, "RCEP")
    members.text("note")
    on = members.day("on")
    if on is None:
        raise members.fault("on", "the day of the claim is missing")
    rule = members.texts("rule")
    if rule is not None:
        product_rules.parse_all(rule)
    criterion = members.choice("criterion", CRITERIA) if "criterion" in body else None
    cumulation = members.flag("cumulation")
    question = Question(
        on=on,
        good=_good(members.child("good")),
        exporting=members.text("exportingParty", COUNTRY),
        importing=members.text("importingParty", COUNTRY),
        currency=members.text("currency", CURRENCY),
        cumulation=cumulation is not False,
        criterion=criterion,
        rule=rule,
        rules_edition=members.text("rulesEdition", WORD),
        materials=members.children("materials", _material),
        operations=members.children("operations", _operation),
        costs=_costs(members.child("costs")),
        route=members.children("route", _stay),
        proof=read_proof(members.child("proof")),
        tariff=_tariff(members.child("tariff")),
        body=body,
    )
    return _coherent(question)


def _coherent(question: Question) -> Question:
    """What one member alone cannot show."""
    good = question.good
    needs_good = (question.materials, question.tariff, question.rule, question.operations)
    if good is None and any(each is not None for each in needs_good):
        raise MalformedError(CODE, "the good is missing", pointer="/good")
    if good is None and question.proof is None and question.route is None:
        raise MalformedError(CODE, "nothing is asked", pointer="")
    ids = [each.id for each in question.materials or ()]
    if len(set(ids)) != len(ids):
        raise MalformedError(CODE, "two materials have the same id", pointer="/materials")
    if question.currency is None and any(each.value for each in question.materials or ()):
        raise MalformedError(CODE, "amounts need a currency", pointer="/currency")
    return question


_GOOD = frozenset(
    {"hs", "hsEdition", "producedIn", "fob", "weightKg", "whollyObtained", "description"}
)


def _good(members: Members | None) -> Good | None:
    if members is None:
        return None
    members.only(_GOOD)
    members.text("description")
    fob = members.amount("fob")
    weight = members.amount("weightKg")
    if fob == 0 or weight == 0:
        raise members.fault("fob" if fob == 0 else "weightKg", "is more than nothing")
    edition = members.choice("hsEdition", EDITIONS) if "hsEdition" in members.values else None
    return Good(
        hs=members.required("hs", HS),
        edition=edition,
        party=members.required("producedIn", COUNTRY),
        fob=fob,
        weight=weight,
        wholly_obtained=_wholly(members.child("whollyObtained")),
    )


_WHOLLY = frozenset({"clause", "in", "registeredIn", "flag", "zone", "rights", "onlyForRecovery"})


def _wholly(members: Members | None) -> WhollyObtained | None:
    if members is None:
        return None
    members.only(_WHOLLY)
    zones = {"territorial-sea", "exclusive-economic-zone", "high-seas"}
    return WhollyObtained(
        clause=members.choice("clause", frozenset("abcdefghij")),
        place=members.text("in", COUNTRY),
        registered=members.text("registeredIn", COUNTRY),
        flag=members.text("flag", COUNTRY),
        zone=members.choice("zone", zones) if "zone" in members.values else None,
        rights=members.flag("rights"),
        only_for_recovery=members.flag("onlyForRecovery"),
    )


_MATERIAL = frozenset({"id", "description", "origin", "hs", "value", "from", "certificate"})
#: What few materials say; one that says none of it is read without asking for each.
_SELDOM = frozenset(
    {
        "role",
        "valueBasis",
        "weightKg",
        "deductions",
        "classifiedWithGood",
        "invoicedSeparately",
        "customary",
        "incorporated",
        "commingled",
    }
)


def _material(members: Members) -> Material:
    seldom = {} if _MATERIAL.issuperset(members.values) else _seldom(members)
    if "description" in members.values:
        members.text("description")
    origin = members.choice("origin", ORIGINS)
    party = members.text("from", COUNTRY)
    if origin == "originating" and party is None:
        raise members.fault("from", "an originating material comes from a Party")
    certificate = _certificate(members.child("certificate"))
    if certificate is not None and origin != "originating":
        raise members.fault("certificate", "a certificate proves an originating material")
    return Material(
        members.required("id"),
        origin,
        members.text("hs", HS),
        members.amount("value"),
        party,
        certificate,
        **seldom,
    )


def _seldom(members: Members) -> dict[str, Any]:
    members.only(_MATERIAL | _SELDOM)
    return {
        "role": members.choice("role", ROLES, "material"),
        "basis": members.choice("valueBasis", BASES, "not-stated"),
        "weight": members.amount("weightKg"),
        "deductions": members.children("deductions", _deduction) or (),
        "classified_with_good": members.flag("classifiedWithGood"),
        "invoiced_separately": members.flag("invoicedSeparately"),
        "customary": members.flag("customary"),
        "incorporated": members.flag("incorporated"),
        "inventory_method": _commingled(members.child("commingled")),
    }


_CERTIFICATE = frozenset({"issuer", "number", "digest"})


def _certificate(members: Members | None) -> CertificateReference | None:
    if members is None:
        return None
    members.only(_CERTIFICATE)
    return CertificateReference(
        members.required("issuer"), members.required("number"), members.required("digest", DIGEST)
    )


def _commingled(members: Members | None) -> bool | None:
    """Whether commingled stock is kept apart by a method held for the whole fiscal year (3.11)."""
    if members is None:
        return None
    members.only(frozenset({"method", "wholeFiscalYear"}))
    return members.text("method") is not None and members.flag("wholeFiscalYear") is True


def _deduction(members: Members) -> Deduction:
    members.only(frozenset({"kind", "amount", "less", "evidence"}))
    amount, less = members.amount("amount"), members.amount("less")
    if amount is None:
        raise members.fault("amount", "a deduction has an amount")
    kind = members.choice("kind", DEDUCTIONS)
    return Deduction(kind, amount, less or Decimal(0), members.flag("evidence") is True)


def _operation(members: Members) -> Operation:
    members.only(frozenset({"name", "simple", "change"}))
    change = members.text("change", WORD)
    return Operation(members.required("name", WORD), members.flag("simple"), change)


def _costs(members: Members | None) -> Costs | None:
    if members is None:
        return None
    names = ("labour", "overhead", "profit", "other")
    members.only(frozenset(names))
    return Costs(*((members.amount(name) or Decimal(0)) for name in names))


def _stay(members: Members) -> Stay:
    members.only(frozenset({"country", "operations", "customsControl", "evidence"}))
    return Stay(
        members.required("country", COUNTRY),
        members.texts("operations") or (),
        members.flag("customsControl"),
        members.texts("evidence") or (),
    )


_TARIFF = frozenset({"line", "appendix", "domesticValue", "criterion", "contributions", "rates"})


def _tariff(members: Members | None) -> Tariff | None:
    if members is None:
        return None
    members.only(_TARIFF)
    given = "criterion" in members.values
    return Tariff(
        line=members.text("line", WORD),
        appendix=members.flag("appendix"),
        domestic_value=members.amount("domesticValue"),
        criterion=members.choice("criterion", CRITERIA) if given else None,
        contributions=members.by_party("contributions"),
        rates=members.by_party("rates"),
    )
