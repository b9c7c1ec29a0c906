"""Fumigation certificate (UNTDID 267): a treatment with a gas, in numbers.

For wood packaging the schedule of ISPM 15 (annex 1, methyl bromide) is the measure: dose,
concentration times time, and final concentration by temperature over 24 hours. Doses are grams per
cubic metre (Recommendation 20: A93).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.definitions import JsonDocument
from schemas.fields import decimal, end, instant, member, text
from schemas.own_rules import COMMON_RULES
from schemas.own_view import own_view
from schemas.rules import Complaint, RuleBook
from schemas.view import DocumentType, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

TYPE = DocumentType(
    key="fumigation-certificate",
    code="267",
    name_en="Fumigation certificate",
    name_zh="熏蒸证书",
    media_type="application/json",
    issuer_roles=(
        "issuer",
        "plant-health",
        "customs",
    ),
    credential_type="FumigationCertificateCredential",
)
RULES = RuleBook(COMMON_RULES)
GRAMS_PER_CUBIC_METRE = "A93"
# ISPM 15 annex 1, tables 1 and 2: from °C; dose g/m³; CT g·h/m³ over 24 h; final g/m³.
SCHEDULE = (
    (Decimal(21), Decimal(48), Decimal(650), Decimal(24)),
    (Decimal(16), Decimal(56), Decimal(800), Decimal(28)),
    (Decimal(10), Decimal(64), Decimal(900), Decimal(32)),
)
LEAST_HOURS = Decimal(24)
MOST_RESIDUAL_GAS = Decimal(5)  # parts per million, threshold limit for people who open the doors


def _is_for_wood(document: Document) -> bool:
    return (
        text(document, "treatment", "fumigant") == "METHYL_BROMIDE"
        and text(document, "treatment", "target") == "WOOD_PACKAGING"
    )


def _schedule(document: Document) -> tuple[Decimal, Decimal, Decimal] | None:
    """Dose, CT and final concentration for the temperature; None where it is too cold."""
    temperature = decimal(document, "treatment", "temperature")
    if temperature is None:
        return None
    return next((row[1:] for row in SCHEDULE if temperature >= row[0]), None)


@RULES.error("FUM-001")
def exposure_is_the_time_between(document: Document) -> Iterator[Complaint]:
    """The hours of exposure are those between start and end, to the quarter of an hour."""
    started = instant(text(document, "treatment", "startedAt"))
    ended = instant(text(document, "treatment", "endedAt"))
    hours = decimal(document, "treatment", "exposureHours")
    if started is None or ended is None or hours is None:
        return
    between = Decimal(int((ended - started).total_seconds())) / 3600
    if abs(between - hours) > Decimal("0.25"):
        yield Complaint(
            "/treatment/exposureHours",
            "the exposure is not the time between start and end",
            {"stated": str(hours), "between": f"{between:.2f}"},
        )


@RULES.warning("FUM-002")
def dose_reaches_the_schedule(document: Document) -> Iterator[Complaint]:
    """Wood packaging gets at least the dose that ISPM 15 gives as an example for its temperature.

    A smaller one may reach what is required, which is FUM-003's: so this is a warning.
    """
    schedule, dose = _schedule(document), decimal(document, "treatment", "dose", "value")
    if not _is_for_wood(document) or schedule is None or dose is None:
        return
    if text(document, "treatment", "dose", "unit") != GRAMS_PER_CUBIC_METRE:
        yield Complaint("/treatment/dose/unit", "the dose is not in grams per cubic metre (A93)")
    elif dose < schedule[0]:
        yield Complaint(
            "/treatment/dose/value",
            "the dose is below the example schedule of ISPM 15",
            {"dose": str(dose), "schedule": str(schedule[0])},
        )


@RULES.error("FUM-003")
def long_and_strong_enough(document: Document) -> Iterator[Complaint]:
    """24 hours, and the CT and final concentration of ISPM 15 where they are stated."""
    schedule = _schedule(document)
    if not _is_for_wood(document) or schedule is None:
        return
    least = {"exposureHours": LEAST_HOURS, "concentrationTime": schedule[1]}
    for name, wanted in (least | {"finalConcentration": schedule[2]}).items():
        value = decimal(document, "treatment", name)
        if value is not None and value < wanted:
            yield Complaint(
                f"/treatment/{name}",
                "the treatment stays below the schedule of ISPM 15",
                {"stated": str(value), "schedule": str(wanted)},
            )


@RULES.error("FUM-004")
def warm_enough(document: Document) -> Iterator[Complaint]:
    """Below 10 °C the schedule has no dose."""
    temperature = decimal(document, "treatment", "temperature")
    if _is_for_wood(document) and temperature is not None and temperature < SCHEDULE[-1][0]:
        yield Complaint(
            "/treatment/temperature", "too cold for this fumigant", {"celsius": str(temperature)}
        )


@RULES.error("FUM-005")
def operator_is_licensed(document: Document) -> Iterator[Complaint]:
    """The licence lasts until the treatment ends."""
    until = end(text(document, "operator", "licensedUntil"))
    ended = instant(text(document, "treatment", "endedAt"))
    if until and ended and ended > until:
        yield Complaint("/operator/licensedUntil", "the licence had ended before the treatment")


@RULES.warning("FUM-006")
def free_of_gas(document: Document) -> Iterator[Complaint]:
    """Ventilated after the treatment, with at most 5 ppm left: people will open the doors."""
    ended = instant(text(document, "treatment", "endedAt"))
    aired = instant(text(document, "treatment", "ventilatedAt"))
    residual = decimal(document, "treatment", "residualGas")
    if aired is None or (ended and aired < ended):
        yield Complaint("/treatment/ventilatedAt", "not ventilated after the treatment")
    if residual is None or residual > MOST_RESIDUAL_GAS:
        yield Complaint("/treatment/residualGas", "not shown to be free of gas")


@RULES.error("FUM-007")
def treated_before_issued(document: Document) -> Iterator[Complaint]:
    """The certificate is not older than the treatment."""
    ended = instant(text(document, "treatment", "endedAt"))
    issued = end(text(document, "issueDate"))
    if ended and issued and ended > issued:
        yield Complaint("/treatment/endedAt", "the treatment is younger than the certificate")


def view(document: Document) -> View:
    """The normalised view."""
    facts: dict[str, JsonValue] = {
        "treatment": member(document, "treatment"),
        "operator": text(document, "operator", "name"),
        "licence": text(document, "operator", "licence"),
    }
    return own_view(document, TYPE.key, facts)


DOCUMENT = JsonDocument(TYPE, RULES, view)
