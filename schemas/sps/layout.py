"""The canonical order of an SPS certificate's elements, and its namespaces.

The order is that of UN/CEFACT SPSCertificate 17 as the IPPC hub describes it, with the elements
that authorities add from the full UN/CEFACT model in their places. An element that is not a key
here has no children.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "SPSCertificate"
_BASE = "urn:un:unece:uncefact:data:standard:"
CERTIFICATE = f"{_BASE}SPSCertificate:17"
ENTITY = f"{_BASE}ReusableAggregateBusinessInformationEntity:21"
DATA_TYPE = f"{_BASE}UnqualifiedDataType:21"

# Generation of the certificate → version of its building blocks.
GENERATIONS: Mapping[str, str] = {"17": "21", "8": "12"}

NAMESPACE = re.compile(
    r"urn:un:unece:uncefact:data:standard:"
    r"(SPSCertificate|ReusableAggregateBusinessInformationEntity|UnqualifiedDataType"
    r"|QualifiedDataType):([0-9]{1,3})",
    re.IGNORECASE,  # some systems write "Standard"
)

_PARTY = ("ID", "Name", "RoleCode", "TypeCode", "SpecifiedSPSAddress", "DefinedSPSContact")
_COUNTRY = ("ID", "Name", "SubordinateSPSCountrySubDivision")
_LOCATION = ("ID", "Name")
_MOMENT = ("DateTimeString", "DateTime")
_NOTE = ("Subject", "ContentCode", "Content", "SubjectCode")

LAYOUT: Mapping[str, tuple[str, ...]] = {
    ROOT: ("SPSExchangedDocument", "SPSConsignment"),
    "SPSExchangedDocument": (
        "Name",
        "ID",
        "Description",
        "TypeCode",
        "StatusCode",
        "IssueDateTime",
        "CopyIndicator",
        "IssuerSPSParty",
        "RecipientSPSParty",
        "IncludedSPSNote",
        "ReferenceSPSReferencedDocument",
        "SignatorySPSAuthentication",
    ),
    "IssueDateTime": _MOMENT,
    "ActualDateTime": _MOMENT,
    "StartDateTime": _MOMENT,
    "EndDateTime": _MOMENT,
    "IssuerSPSParty": (*_PARTY[:4], "SpecifiedSPSPerson", *_PARTY[4:]),
    "RecipientSPSParty": _PARTY,
    "IncludedSPSNote": _NOTE,
    "ReferenceSPSReferencedDocument": (
        "IssueDateTime",
        "TypeCode",
        "RelationshipTypeCode",
        "ID",
        "AttachmentBinaryObject",
        "Information",
    ),
    "SignatorySPSAuthentication": (
        "ActualDateTime",
        "IssueSPSLocation",
        "ProviderSPSParty",
        "LocationProviderSPSParty",
        "IncludedSPSClause",
    ),
    "IssueSPSLocation": _LOCATION,
    "ProviderSPSParty": (*_PARTY[:4], "SpecifiedSPSAddress", "SpecifiedSPSPerson"),
    "SpecifiedSPSPerson": ("Name", "AttainedSPSQualification"),
    "IncludedSPSClause": ("ID", "Content"),
    "SPSConsignment": (
        "ID",
        "AvailabilityDueDateTime",
        "ExportExitDateTime",
        "ShipStoresIndicator",
        "ConsignorSPSParty",
        "ConsigneeSPSParty",
        "CarrierSPSParty",
        "DespatchSPSParty",
        "DeliverySPSParty",
        "CustomsTransitAgentSPSParty",
        "ExportSPSCountry",
        "ReExportSPSCountry",
        "ImportSPSCountry",
        "TransitSPSCountry",
        "TransitSPSLocation",
        "LoadingBaseportSPSLocation",
        "UnloadingBaseportSPSLocation",
        "ConsigneeReceiptSPSLocation",
        "ExaminationSPSEvent",
        "StorageSPSEvent",
        "MainCarriageSPSTransportMovement",
        "UtilizedSPSTransportEquipment",
        "IncludedSPSConsignmentItem",
    ),
    "ConsignorSPSParty": _PARTY,
    "ConsigneeSPSParty": _PARTY,
    "CarrierSPSParty": _PARTY,
    "DespatchSPSParty": _PARTY,
    "DeliverySPSParty": _PARTY,
    "CustomsTransitAgentSPSParty": _PARTY,
    "SpecifiedSPSAddress": (
        "PostcodeCode",
        "LineOne",
        "LineTwo",
        "LineThree",
        "LineFour",
        "LineFive",
        "CityName",
        "CountryID",
        "CountryName",
        "CountrySubDivisionID",
        "CountrySubDivisionName",
    ),
    "ExportSPSCountry": _COUNTRY,
    "ReExportSPSCountry": _COUNTRY,
    "ImportSPSCountry": _COUNTRY,
    "TransitSPSCountry": _COUNTRY,
    "OriginSPSCountry": _COUNTRY,
    "SubordinateSPSCountrySubDivision": (
        "ID",
        "Name",
        "HierarchicalLevelCode",
        "FunctionTypeCode",
        "SuperordinateSPSCountrySubDivision",
        "ActivityAuthorizedSPSParty",
    ),
    "TransitSPSLocation": _LOCATION,
    "LoadingBaseportSPSLocation": _LOCATION,
    "UnloadingBaseportSPSLocation": _LOCATION,
    "ConsigneeReceiptSPSLocation": _LOCATION,
    "ExaminationSPSEvent": ("OccurrenceSPSLocation",),
    "StorageSPSEvent": ("OccurrenceSPSLocation",),
    "OccurrenceSPSLocation": _LOCATION,
    "MainCarriageSPSTransportMovement": ("ID", "ModeCode", "UsedSPSTransportMeans"),
    "UsedSPSTransportMeans": ("Name",),
    "UtilizedSPSTransportEquipment": ("ID", "AffixedSPSSeal", "SettingSPSTemperature"),
    "AffixedSPSSeal": ("ID",),
    "IncludedSPSConsignmentItem": ("NatureIdentificationSPSCargo", "IncludedSPSTradeLineItem"),
    "NatureIdentificationSPSCargo": ("TypeCode",),
    "IncludedSPSTradeLineItem": (
        "SequenceNumeric",
        "Description",
        "CommonName",
        "ScientificName",
        "IntendedUse",
        "NetWeightMeasure",
        "GrossWeightMeasure",
        "NetVolumeMeasure",
        "GrossVolumeMeasure",
        "AdditionalInformationSPSNote",
        "ApplicableSPSClassification",
        "PhysicalSPSPackage",
        "AssociatedSPSTransportEquipment",
        "OriginSPSCountry",
        "OriginSPSLocation",
        "AppliedSPSProcess",
    ),
    "AdditionalInformationSPSNote": _NOTE,
    "ApplicableSPSClassification": ("SystemID", "SystemName", "ClassCode", "ClassName"),
    "PhysicalSPSPackage": ("LevelCode", "TypeCode", "ItemQuantity", "PhysicalSPSShippingMarks"),
    "PhysicalSPSShippingMarks": ("Marking",),
    "AssociatedSPSTransportEquipment": ("ID", "AffixedSPSSeal", "SettingSPSTemperature"),
    "AppliedSPSProcess": (
        "TypeCode",
        "CompletionSPSPeriod",
        "ApplicableSPSProcessCharacteristic",
        "AdditionalInformationSPSNote",
    ),
    "CompletionSPSPeriod": ("StartDateTime", "EndDateTime", "DurationMeasure"),
    "ApplicableSPSProcessCharacteristic": ("Description", "ValueMeasure"),
}

_ONE_ID = frozenset({"ID"})
_ONE_MOMENT = frozenset(_MOMENT)
_ONE_SUBJECT = frozenset({"Subject"})

# What may stand once only in its parent: read twice, it could be read in two ways (PHY-004).
SINGLE: Mapping[str, frozenset[str]] = {
    ROOT: frozenset(LAYOUT[ROOT]),
    "SPSExchangedDocument": frozenset(
        {"ID", "TypeCode", "StatusCode", "IssueDateTime", "IssuerSPSParty"}
    ),
    "SPSConsignment": frozenset(
        {
            "ConsignorSPSParty",
            "ConsigneeSPSParty",
            "ExportSPSCountry",
            "ImportSPSCountry",
            "UnloadingBaseportSPSLocation",
        }
    ),
    "IncludedSPSTradeLineItem": frozenset(
        {
            "SequenceNumeric",
            "NetWeightMeasure",
            "GrossWeightMeasure",
            "NetVolumeMeasure",
            "GrossVolumeMeasure",
        }
    ),
    "PhysicalSPSPackage": frozenset({"LevelCode", "TypeCode", "ItemQuantity"}),
    "ApplicableSPSClassification": frozenset({"SystemName", "ClassCode"}),
    "AppliedSPSProcess": frozenset({"TypeCode"}),
    "ExportSPSCountry": _ONE_ID,
    "ImportSPSCountry": _ONE_ID,
    "TransitSPSCountry": _ONE_ID,
    "OriginSPSCountry": _ONE_ID,
    "UnloadingBaseportSPSLocation": _ONE_ID,
    "UtilizedSPSTransportEquipment": _ONE_ID,
    "AffixedSPSSeal": _ONE_ID,
    "IssueDateTime": _ONE_MOMENT,
    "ActualDateTime": _ONE_MOMENT,
    "StartDateTime": _ONE_MOMENT,
    "EndDateTime": _ONE_MOMENT,
    "IncludedSPSNote": _ONE_SUBJECT,
    "AdditionalInformationSPSNote": _ONE_SUBJECT,
}
