"""SPS certificates in the JSON dialect of the UK's entry documents (CHED): read, never written.

The members are those of UN/CEFACT SPSCertificate 17 in camel case, each value an object
``{"value": …}``. Asked is the form only: which members must be there and of which kind they are
(SCH-001, SCH-002, SCH-007, SCH-008). The rules PHY-… are of the IPPC mapping and do not apply: a
CHED is an importer's document, a draft may leave countries empty, and its status codes have a table
of their own. Source: STW submission API, SPSCertificate JSON schema (draft-07).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import code_lists, strict_json
from schemas.fields import KILOGRAMS, beginning, instant, objects, pointer, text
from schemas.findings import Finding, Severity
from schemas.sps.status import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules import Document
    from schemas.strict_json import JsonValue

DOCUMENT, CONSIGNMENT = "spsExchangedDocument", "spsConsignment"
DIALECT = "ched"

_PARTY, _COUNTRY, _PLACE, _VALUE = ("name",), ("id", "name"), ("name",), ("value",)
#: Member name, or the end of one → what an object of that name must have.
_REQUIRED: dict[str, tuple[str, ...]] = {
    CONSIGNMENT: (
        *("consignorSpsParty", "consigneeSpsParty", "exportSpsCountry", "importSpsCountry"),
        *("examinationSpsEvent", "includedSpsConsignmentItem"),
    ),
    DOCUMENT: (
        *("id", "issueDateTime", "name", "signatorySpsAuthentication", "statusCode", "typeCode"),
    ),
    "SpsEvent": ("occurrenceSpsLocation",),
    "SpsAuthentication": ("actualDateTime", "includedSpsClause", "providerSpsParty"),
    "includedSpsClause": ("content",),
    "SpsNote": ("content",),
    "SpsReferencedDocument": ("relationshipTypeCode", "id"),
    "SpsCountrySubDivision": ("name", "hierarchicalLevelCode"),
    "SpsTransportEquipment": ("id",),
    "affixedSpsSeal": ("id",),
    "includedSpsConsignmentItem": ("includedSpsTradeLineItem",),
    "includedSpsTradeLineItem": ("description", "sequenceNumeric"),
    "applicableSpsClassification": ("className", "systemName"),
    "appliedSpsProcess": ("typeCode",),
    "applicableSpsProcessCharacteristic": ("description",),
    "completionSpsPeriod": ("startDateTime",),
    "physicalSpsPackage": ("itemQuantity", "levelCode", "typeCode"),
    "mainCarriageSpsTransportMovement": ("modeCode",),
    "usedSpsTransportMeans": ("name",),
    "DateTime": ("dateTime",),
    "SpsParty": _PARTY,
    "SpsCountry": _COUNTRY,
    "SpsLocation": _PLACE,
    "Measure": _VALUE,
    "id": _VALUE,
    "sequenceNumeric": _VALUE,
    "itemQuantity": _VALUE,
    "dateTime": _VALUE,
    "modeCode": _VALUE,
    "statusCode": _VALUE,
}
_ENDS = tuple(sorted((end for end in _REQUIRED if end[:1].isupper()), key=len, reverse=True))
_NUMBERS = ("Measure", "Quantity", "Numeric")
#: Arrays that have an element at least.
_FILLED = frozenset({"name", "content", "signatorySpsAuthentication"})
_LINE = ("includedSpsTradeLineItem",)


def recognises(document: Document) -> bool:
    """Whether a JSON object is one of these."""
    return DOCUMENT in document or CONSIGNMENT in document


def examine(payload: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """What a CHED says and what of its form is wrong; as `schemas.sps.examine` gives it.

    Raises MalformedError or TooLargeError json_… when the bytes are no JSON object.
    """
    document = strict_json.loads_object(payload)
    return _fields(document), tuple(_faults(document))


def _faults(document: Document) -> Iterator[Finding]:
    yield from _missing(document, (DOCUMENT, CONSIGNMENT), "")
    pending: list[tuple[str, str, JsonValue]] = [
        ("", name, item) for name, item in document.items()
    ]
    while pending:
        place, name, value = pending.pop()
        here = f"{place}{pointer(name)}"
        members = value if isinstance(value, list) else [value]
        if isinstance(value, list) and not value and name in _FILLED:
            yield Finding("SCH-007", Severity.ERROR, here, "must have at least 1 entries")
        for index, each in enumerate(members):
            at = f"{here}/{index}" if isinstance(value, list) else here
            if isinstance(each, dict):
                yield from _of_object(name, each, at)
                pending += [(at, inner, item) for inner, item in each.items()]
            elif place.count("/") < 1:
                yield Finding("SCH-002", Severity.ERROR, at, "must be of type object")


def _of_object(name: str, members: Document, place: str) -> Iterator[Finding]:
    yield from _missing(members, _required(name), place)
    value = members.get("value")
    if name.endswith(_NUMBERS) and "value" in members:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Finding("SCH-002", Severity.ERROR, f"{place}/value", "must be of type number")
    elif name == "dateTime" and instant(str(value)) is None:
        yield Finding("SCH-008", Severity.ERROR, f"{place}/value", "must be a real date-time")


def _required(name: str) -> tuple[str, ...]:
    found = _REQUIRED.get(name)
    if found is not None:
        return found
    return next((_REQUIRED[end] for end in _ENDS if name.endswith(end)), ())


def _missing(members: Document, names: tuple[str, ...], place: str) -> Iterator[Finding]:
    for name in names:
        if name not in members:
            yield Finding("SCH-001", Severity.ERROR, place, f"the member {name} is missing")


# -- what it says ----------------------------------------------------------------------------------


def _fields(document: Document) -> dict[str, Any]:
    lines = [
        line
        for _, item in objects(document, CONSIGNMENT, "includedSpsConsignmentItem")
        for _, line in objects(item, *_LINE)
    ]
    code = text(document, DOCUMENT, "statusCode", "value") or ""
    issued = text(document, DOCUMENT, "issueDateTime", "dateTime", "value")
    containers = objects(document, CONSIGNMENT, "utilizedSpsTransportEquipment")
    facts = {
        "dialect": DIALECT,
        "typeCode": text(document, DOCUMENT, "typeCode", "value"),
        "statusCode": code,
        "status": status_of(code, DIALECT) or "",
        "scientificNames": [
            said
            for line in lines
            for _, one in objects(line, "scientificName")
            if (said := text(one, "value"))
        ],
    }
    return {
        "number": text(document, DOCUMENT, "id", "value"),
        "issuedAt": issued if beginning(issued) else None,
        "exportCountry": text(document, CONSIGNMENT, "exportSpsCountry", "id", "value"),
        "importCountry": text(document, CONSIGNMENT, "importSpsCountry", "id", "value"),
        "containers": [said for _, one in containers if (said := text(one, "id", "value"))],
        "packages": None,
        "grossKg": _weight(lines, "grossWeightMeasure"),
        "netKg": _weight(lines, "netWeightMeasure"),
        "hs": _hs(lines),
        "parties": {
            role: name
            for role in ("consignor", "consignee")
            if (name := text(document, CONSIGNMENT, f"{role}SpsParty", "name", "value"))
        },
        "pointers": {"number": f"/{DOCUMENT}/id/value", "hs": f"/{CONSIGNMENT}"},
        "facts": {name: value for name, value in facts.items() if value},
    }


def _weight(lines: list[Document], name: str) -> str | None:
    """The sum in kilograms, None when any line does not say."""
    total = Decimal(0)
    for line in lines:
        measure = line.get(name)
        value = measure.get("value") if isinstance(measure, dict) else None
        factor = KILOGRAMS.get(text(measure, "unitCode") or "")
        if factor is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        total += Decimal(repr(value)) * factor
    return f"{total:f}" if lines else None


def _hs(lines: list[Document]) -> list[str]:
    """The first six digits of codes of the Combined Nomenclature, which begins with the HS."""
    codes = [
        (text(one, "classCode", "value") or "")[:6]
        for line in lines
        for _, one in objects(line, "applicableSpsClassification")
        if text(one, "systemID", "value") == "CN"
    ]
    return list(dict.fromkeys(code for code in codes if code_lists.is_hs6(code)))
