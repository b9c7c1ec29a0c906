"""The normalised view of a certificate and the facts only certificates have.

`facts` is plain JSON and what `schemas.sps.writer.write` takes; attachments are named there, not
carried. Weights are summed only when every line says its weight: a part is not the whole.
"""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import code_lists
from schemas.fields import KILOGRAMS
from schemas.sps import elements as sps
from schemas.sps.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from schemas.sps.elements import Node, Root

_ADDRESS = ("LineOne", "LineTwo", "LineThree", "LineFour", "LineFive")
_NO_HIERARCHY = 4  # UNTDID 7075: 1 inner, 2 intermediate, 3 outer, 4 no packaging hierarchy


def view_fields(root: Root) -> dict[str, Any]:
    """The members of the normalised view (see `schemas.sps.examine`)."""
    facts = facts_of(root)
    goods = root.lines
    port = facts.get("pointOfEntry", {}).get("code", "")
    return {
        "number": facts.get("number"),
        "issuedAt": facts.get("issuedAt"),
        "exportCountry": facts.get("exportCountry"),
        "importCountry": facts.get("importCountry"),
        "containers": [item["number"] for item in facts["equipment"] if "number" in item],
        "packages": _total_packages(goods),
        "grossKg": _total_kilograms(goods, "GrossWeightMeasure"),
        "netKg": _total_kilograms(goods, "NetWeightMeasure"),
        "hs": _hs(facts["lines"]),
        "parties": _parties(facts),
        "references": _references(root),
        "portOfDischarge": port if code_lists.is_locode(port) else None,
        "pointers": _pointers(root),
        "facts": facts,
    }


def facts_of(root: Root) -> dict[str, Any]:
    """Everything of the certificate that is read, as JSON; absent members are left out."""
    document, consignment = sps.child(root, "SPSExchangedDocument"), _consignment(root)
    code = sps.text(document, "StatusCode")
    return {
        "generation": root.generation,
        "status": status_of(code) or "",
        **_present(
            name=sps.text(document, "Name"),
            number=sps.text(document, "ID"),
            typeCode=sps.text(document, "TypeCode"),
            statusCode=code,
            issuedAt=_moment(sps.child(document, "IssueDateTime")),
            issuer=sps.text(document, "IssuerSPSParty", "Name"),
            **_signature(sps.child(document, "SignatorySPSAuthentication")),
            notes=_notes(document),
            documents=_each(document, "ReferenceSPSReferencedDocument", _referenced),
        ),
        **_consignment_facts(consignment),
        "equipment": _each(consignment, "UtilizedSPSTransportEquipment", _equipment),
        "lines": [_line(line) for line in root.lines],
    }


def _consignment(root: Node) -> Node | None:
    return sps.child(root, "SPSConsignment")


def _consignment_facts(consignment: Node | None) -> dict[str, Any]:
    port = sps.child(consignment, "UnloadingBaseportSPSLocation")
    cargo = ("IncludedSPSConsignmentItem", "NatureIdentificationSPSCargo", "TypeCode")
    return _present(
        consignor=_party(sps.child(consignment, "ConsignorSPSParty")),
        consignee=_party(sps.child(consignment, "ConsigneeSPSParty")),
        exportCountry=sps.text(consignment, "ExportSPSCountry", "ID"),
        importCountry=sps.text(consignment, "ImportSPSCountry", "ID"),
        transitCountries=[
            code
            for country in sps.children(consignment, "TransitSPSCountry")
            if (code := sps.text(country, "ID"))
        ],
        pointOfEntry=_present(code=sps.text(port, "ID"), name=sps.text(port, "Name")),
        examinationPlace=sps.text(
            consignment, "ExaminationSPSEvent", "OccurrenceSPSLocation", "Name"
        ),
        transports=_each(consignment, "MainCarriageSPSTransportMovement", _transport),
        cargoType=sps.text(consignment, *cargo),
    )


def _present(**members: Any) -> dict[str, Any]:
    """Without the members that say nothing."""
    return {name: value for name, value in members.items() if value not in ("", None, [], {})}


def _each(
    element: Node | None, name: str, read: Callable[[Node], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [fields for node in sps.children(element, name) if (fields := read(node))]


def _moment(element: Node | None) -> str:
    """RFC 3339 in UTC with milliseconds; a bare date as it is; "" when it cannot be read."""
    value = sps.moment_text(element)
    moment = sps.moment(value)
    if moment is None:
        return ""
    if "T" not in value:
        return value[:10]
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return ""
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _signature(element: Node | None) -> dict[str, Any]:
    return {
        "signedAt": _moment(sps.child(element, "ActualDateTime")),
        "place": sps.text(element, "IssueSPSLocation", "Name"),
        "authority": sps.text(element, "ProviderSPSParty", "Name"),
        "officer": sps.text(element, "ProviderSPSParty", "SpecifiedSPSPerson", "Name"),
        "clauses": _each(element, "IncludedSPSClause", _clause),
    }


def _clause(element: Node) -> dict[str, Any]:
    return _present(id=sps.text(element, "ID"), text=sps.text(element, "Content"))


def _notes(element: Node | None) -> list[dict[str, str]]:
    if element is None:
        return []
    return [{"subject": subject, "content": said} for subject, said, _ in sps.notes(element)]


def _referenced(element: Node) -> dict[str, Any]:
    attachment = sps.child(element, "AttachmentBinaryObject")
    return _present(
        number=sps.text(element, "ID"),
        typeCode=sps.text(element, "TypeCode"),
        relationship=sps.text(element, "RelationshipTypeCode"),
        issuedAt=_moment(sps.child(element, "IssueDateTime")),
        information=sps.text(element, "Information"),
        filename=attachment.get("filename") if attachment is not None else "",
    )


def _party(element: Node | None) -> dict[str, Any]:
    address = sps.child(element, "SpecifiedSPSAddress")
    lines = [line for name in _ADDRESS if (line := sps.text(address, name))]
    return _present(name=sps.text(element, "Name"), address=lines)


def _transport(element: Node) -> dict[str, Any]:
    return _present(
        voyage=sps.text(element, "ID"),
        mode=sps.text(element, "ModeCode"),
        name=sps.text(element, "UsedSPSTransportMeans", "Name"),
    )


def _equipment(element: Node) -> dict[str, Any]:
    number = sps.child(element, "ID")
    return _present(
        number=sps.equipment_number(number) if number is not None else "",
        seals=[
            said
            for seal in sps.children(element, "AffixedSPSSeal")
            if (said := sps.text(seal, "ID"))
        ],
    )


def _line(line: Node) -> dict[str, Any]:
    return _present(
        sequence=sps.text(line, "SequenceNumeric"),
        description=line.all_said("Description"),
        commonName=line.all_said("CommonName"),
        scientificName=line.all_said("ScientificName"),
        intendedUse=line.all_said("IntendedUse"),
        netWeight=_measure(sps.child(line, "NetWeightMeasure")),
        grossWeight=_measure(sps.child(line, "GrossWeightMeasure")),
        netVolume=_measure(sps.child(line, "NetVolumeMeasure")),
        grossVolume=_measure(sps.child(line, "GrossVolumeMeasure")),
        notes=_notes(line),
        classifications=_each(line, "ApplicableSPSClassification", _classification),
        packages=_each(line, "PhysicalSPSPackage", _package),
        origins=_each(line, "OriginSPSCountry", _origin),
        treatments=_each(line, "AppliedSPSProcess", _treatment),
    )


def _measure(element: Node | None) -> dict[str, Any]:
    if element is None:
        return {}
    return _present(value=sps.text(element), unit=element.get("unitCode"))


def _classification(element: Node) -> dict[str, Any]:
    return _present(
        system=sps.text(element, "SystemName"),
        code=sps.text(element, "ClassCode"),
        name=sps.text(element, "ClassName"),
    )


def _package(element: Node) -> dict[str, Any]:
    return _present(
        level=sps.text(element, "LevelCode"),
        type=sps.text(element, "TypeCode"),
        quantity=sps.text(element, "ItemQuantity"),
    )


def _origin(element: Node) -> dict[str, Any]:
    region = sps.text(element, "SubordinateSPSCountrySubDivision", "Name")
    return _present(country=sps.text(element, "ID"), name=sps.text(element, "Name"), region=region)


def _treatment(element: Node) -> dict[str, Any]:
    period = sps.child(element, "CompletionSPSPeriod")
    return _present(
        typeCode=sps.text(element, "TypeCode"),
        start=_moment(sps.child(period, "StartDateTime")),
        end=_moment(sps.child(period, "EndDateTime")),
        duration=_measure(sps.child(period, "DurationMeasure")),
        characteristics=_each(element, "ApplicableSPSProcessCharacteristic", _characteristic),
    )


def _characteristic(element: Node) -> dict[str, Any]:
    said = element.all_said("Description")
    value = _measure(sps.child(element, "ValueMeasure"))
    return _present(key="".join(said[:1]), texts=said[1:], value=value)


# --- what the common view asks for ----------------------------------------------------------------


def kilograms(element: Node | None) -> Decimal | None:
    """A weight in kilograms, None when it is absent or its unit is no weight we know."""
    value = sps.number(element)
    factor = KILOGRAMS.get(element.get("unitCode")) if element is not None else None
    return None if value is None or factor is None else value * factor


def _total_kilograms(lines: Sequence[Node], name: str) -> str | None:
    weights = [kilograms(sps.child(line, name)) for line in lines]
    known = [weight for weight in weights if weight is not None]
    if not known or len(known) < len(weights):
        return None
    return _plain(sum(known, Decimal(0)))


def _total_packages(lines: Sequence[Node]) -> int | None:
    counts = [_packages_of(line) for line in lines]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _packages_of(line: Node) -> int | None:
    """The packages one sees from outside: those of the outermost level the line names."""
    by_level: dict[int, Decimal] = {}
    for package in sps.children(line, "PhysicalSPSPackage"):
        level, count = sps.number(sps.child(package, "LevelCode")), _count(package)
        if level is None or count is None:
            return None
        by_level[int(level)] = by_level.get(int(level), Decimal(0)) + count
    outermost = max((level for level in by_level if level <= _NO_HIERARCHY), default=None)
    return None if outermost is None else int(by_level[outermost])


def _count(package: Node) -> Decimal | None:
    count = sps.number(sps.child(package, "ItemQuantity"))
    return count if count is not None and count == int(count) else None


def _plain(value: Decimal) -> str:
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _hs(lines: Iterable[dict[str, Any]]) -> list[str]:
    codes = [
        "".join(filter(str.isdigit, item.get("code", "")))[:6]
        for line in lines
        for item in line.get("classifications", [])
        if item.get("system", "").upper() == "HS"
    ]
    return list(dict.fromkeys(code for code in codes if code_lists.is_hs6(code)))


def _parties(facts: dict[str, Any]) -> dict[str, str]:
    named = {role: facts.get(role, {}).get("name") for role in ("consignor", "consignee")}
    named["issuer"] = facts.get("issuer") or facts.get("authority")
    return {role: name for role, name in named.items() if name}


def _references(root: Root) -> list[dict[str, str]]:
    kinds = {"RPCRF": "phytosanitary-certificate", "ADRPN": "phytosanitary-certificate"}
    kinds |= dict.fromkeys(sps.IMPORT_PERMIT, "import-permit")
    found = dict.fromkeys(
        (kinds[subject], content)
        for subject, content, _ in root.notes
        if subject in kinds and content
    )
    return [{"type": kind, "number": said} for kind, said in found]


def _pointers(root: Node) -> dict[str, str]:
    line = ("SPSConsignment", "IncludedSPSConsignmentItem", "IncludedSPSTradeLineItem")
    places = {
        "number": ("SPSExchangedDocument", "ID"),
        "issuedAt": ("SPSExchangedDocument", "IssueDateTime"),
        "exportCountry": ("SPSConsignment", "ExportSPSCountry", "ID"),
        "importCountry": ("SPSConsignment", "ImportSPSCountry", "ID"),
        "containers": ("SPSConsignment", "UtilizedSPSTransportEquipment", "ID"),
        "portOfDischarge": ("SPSConsignment", "UnloadingBaseportSPSLocation", "ID"),
        "packages": (*line, "PhysicalSPSPackage"),
        "grossKg": (*line, "GrossWeightMeasure"),
        "netKg": (*line, "NetWeightMeasure"),
        "hs": (*line, "ApplicableSPSClassification"),
    }
    found = {member: sps.child(root, *path) for member, path in places.items()}
    return {member: sps.path_of(node) for member, node in found.items() if node is not None}
