"""Writes a certificate in one form only: generation 17, everything qualified, canonical order.

What is written is examined before it leaves: a certificate that breaks a rule is not written.
Attachments are not written; they travel beside the certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lxml import etree

from schemas.errors import MalformedError
from schemas.findings import Severity
from schemas.sps.deviations import deviations
from schemas.sps.elements import Root
from schemas.sps.layout import CERTIFICATE, DATA_TYPE, ENTITY
from schemas.sps.rules import OFFICIAL, rule_findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, Any]

_PREFIXES = {"rsm": CERTIFICATE, "ram": ENTITY, "udt": DATA_TYPE}
_ADDRESS = ("LineOne", "LineTwo", "LineThree", "LineFour", "LineFive")


def write(facts: Fields) -> bytes:
    """The XML bytes of a certificate from the `facts` that `schemas.sps.examine` gives.

    Unknown and derived members (generation, status) are left out. Raises MalformedError
    sps_not_writable, with findings where rules are broken.
    """
    root = etree.Element(f"{{{CERTIFICATE}}}SPSCertificate", nsmap=_PREFIXES)
    try:
        _document(etree.SubElement(root, f"{{{CERTIFICATE}}}SPSExchangedDocument"), facts)
        _consignment(etree.SubElement(root, f"{{{CERTIFICATE}}}SPSConsignment"), facts)
    except (AttributeError, TypeError, ValueError):
        detail = "a member is of the wrong kind or holds a character that XML cannot carry"
        raise MalformedError("sps_not_writable", detail) from None
    written = Root(root)
    faults = [
        finding
        for finding in [*deviations(written), *rule_findings(written, OFFICIAL)]
        if finding.severity is Severity.ERROR
    ]
    if faults:
        detail = "the certificate would break a rule"
        raise MalformedError("sps_not_writable", detail, findings=faults)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _add(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{ENTITY}}}{name}")


def _text(parent: etree._Element, name: str, value: str | None) -> None:
    if value:
        _add(parent, name).text = value


def _nested(parent: etree._Element, path: str, value: str | None) -> None:
    """A text at the end of a path of elements, made only when there is something to say."""
    *outer, last = path.split("/")
    if value:
        for name in outer:
            parent = _add(parent, name)
        _text(parent, last, value)


def _moment(parent: etree._Element, name: str, value: str | None) -> None:
    if value:
        etree.SubElement(_add(parent, name), f"{{{DATA_TYPE}}}DateTimeString").text = value


def _measure(parent: etree._Element, name: str, measure: Fields | None) -> None:
    if measure:
        element = _add(parent, name)
        element.text = measure.get("value")
        element.set("unitCode", measure.get("unit", ""))


def _notes(parent: etree._Element, name: str, notes: list[Fields]) -> None:
    for note in notes:
        element = _add(parent, name)
        _text(element, "Subject", note.get("subject"))
        _text(element, "Content", note.get("content"))


def _document(head: etree._Element, facts: Fields) -> None:
    _text(head, "Name", facts.get("name"))
    _text(head, "ID", facts.get("number"))
    _text(head, "TypeCode", facts.get("typeCode"))
    _text(head, "StatusCode", facts.get("statusCode"))
    _moment(head, "IssueDateTime", facts.get("issuedAt"))
    _nested(head, "IssuerSPSParty/Name", facts.get("issuer"))
    _notes(head, "IncludedSPSNote", facts.get("notes", []))
    for document in facts.get("documents", []):
        _referenced(_add(head, "ReferenceSPSReferencedDocument"), document)
    _signature(head, facts)


def _referenced(element: etree._Element, document: Fields) -> None:
    _moment(element, "IssueDateTime", document.get("issuedAt"))
    _text(element, "TypeCode", document.get("typeCode"))
    _text(element, "RelationshipTypeCode", document.get("relationship"))
    _text(element, "ID", document.get("number"))
    _text(element, "Information", document.get("information"))


def _signature(head: etree._Element, facts: Fields) -> None:
    members = ("signedAt", "place", "authority", "officer", "clauses")
    if not any(facts.get(member) for member in members):
        return
    signature = _add(head, "SignatorySPSAuthentication")
    _moment(signature, "ActualDateTime", facts.get("signedAt"))
    _nested(signature, "IssueSPSLocation/Name", facts.get("place"))
    if facts.get("authority") or facts.get("officer"):
        provider = _add(signature, "ProviderSPSParty")
        _text(provider, "Name", facts.get("authority"))
        _nested(provider, "SpecifiedSPSPerson/Name", facts.get("officer"))
    for clause in facts.get("clauses", []):
        element = _add(signature, "IncludedSPSClause")
        _text(element, "ID", clause.get("id"))
        _text(element, "Content", clause.get("text"))


def _consignment(goods: etree._Element, facts: Fields) -> None:
    _party(goods, "ConsignorSPSParty", facts.get("consignor"))
    _party(goods, "ConsigneeSPSParty", facts.get("consignee"))
    _nested(goods, "ExportSPSCountry/ID", facts.get("exportCountry"))
    _nested(goods, "ImportSPSCountry/ID", facts.get("importCountry"))
    for country in facts.get("transitCountries", []):
        _nested(goods, "TransitSPSCountry/ID", country)
    if port := facts.get("pointOfEntry"):
        location = _add(goods, "UnloadingBaseportSPSLocation")
        _text(location, "ID", port.get("code"))
        _text(location, "Name", port.get("name"))
    examined = "ExaminationSPSEvent/OccurrenceSPSLocation/Name"
    _nested(goods, examined, facts.get("examinationPlace"))
    for transport in facts.get("transports", []):
        _transport(_add(goods, "MainCarriageSPSTransportMovement"), transport)
    for equipment in facts.get("equipment", []):
        _equipment(_add(goods, "UtilizedSPSTransportEquipment"), equipment)
    item = _add(goods, "IncludedSPSConsignmentItem")
    _nested(item, "NatureIdentificationSPSCargo/TypeCode", facts.get("cargoType"))
    for line in facts.get("lines", []):
        _line(_add(item, "IncludedSPSTradeLineItem"), line)


def _party(goods: etree._Element, name: str, party: Fields | None) -> None:
    if not party:
        return
    element = _add(goods, name)
    _text(element, "Name", party.get("name"))
    if lines := party.get("address"):
        address = _add(element, "SpecifiedSPSAddress")
        for line_name, line in zip(_ADDRESS, lines, strict=False):
            _text(address, line_name, line)


def _transport(element: etree._Element, transport: Fields) -> None:
    _text(element, "ID", transport.get("voyage"))
    _text(element, "ModeCode", transport.get("mode"))
    _nested(element, "UsedSPSTransportMeans/Name", transport.get("name"))


def _equipment(element: etree._Element, equipment: Fields) -> None:
    _text(element, "ID", equipment.get("number"))
    for seal in equipment.get("seals", []):
        _nested(element, "AffixedSPSSeal/ID", seal)


def _line(element: etree._Element, line: Fields) -> None:
    _text(element, "SequenceNumeric", line.get("sequence"))
    for member in ("description", "commonName", "scientificName", "intendedUse"):
        for said in line.get(member, []):
            _text(element, member[0].upper() + member[1:], said)
    for member in ("netWeight", "grossWeight", "netVolume", "grossVolume"):
        _measure(element, f"{member[0].upper()}{member[1:]}Measure", line.get(member))
    _notes(element, "AdditionalInformationSPSNote", line.get("notes", []))
    for code in line.get("classifications", []):
        classification = _add(element, "ApplicableSPSClassification")
        _text(classification, "SystemName", code.get("system"))
        _text(classification, "ClassCode", code.get("code"))
        _text(classification, "ClassName", code.get("name"))
    for package in line.get("packages", []):
        packed = _add(element, "PhysicalSPSPackage")
        _text(packed, "LevelCode", package.get("level"))
        _text(packed, "TypeCode", package.get("type"))
        _text(packed, "ItemQuantity", package.get("quantity"))
    for origin in line.get("origins", []):
        _origin(_add(element, "OriginSPSCountry"), origin)
    for treatment in line.get("treatments", []):
        _treatment(_add(element, "AppliedSPSProcess"), treatment)


def _origin(element: etree._Element, origin: Fields) -> None:
    _text(element, "ID", origin.get("country"))
    _text(element, "Name", origin.get("name"))
    _nested(element, "SubordinateSPSCountrySubDivision/Name", origin.get("region"))


def _treatment(element: etree._Element, treatment: Fields) -> None:
    _text(element, "TypeCode", treatment.get("typeCode"))
    if any(treatment.get(member) for member in ("start", "end", "duration")):
        period = _add(element, "CompletionSPSPeriod")
        _moment(period, "StartDateTime", treatment.get("start"))
        _moment(period, "EndDateTime", treatment.get("end"))
        _measure(period, "DurationMeasure", treatment.get("duration"))
    for said in treatment.get("characteristics", []):
        characteristic = _add(element, "ApplicableSPSProcessCharacteristic")
        for description in (said.get("key"), *said.get("texts", [])):
            _text(characteristic, "Description", description)
        _measure(characteristic, "ValueMeasure", said.get("value"))
