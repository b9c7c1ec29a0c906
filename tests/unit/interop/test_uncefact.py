"""Our certificates as UN/CEFACT D23B: valid there, and honest about what D23B cannot carry."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from interop import uncefact
from schemas import registry, sps
from tests.shared import shared_path
from tests.support.ginger import ginger

ORIGIN = "preferential-certificate-of-origin"
FACTS = sps.examine(sps.write(ginger()))[0]["facts"]


def snapshot(name: str) -> dict[str, Any]:
    path = shared_path(f"vectors/documents/uncefact_d23b/UNECE-{name}.json")
    schema: dict[str, Any] = json.loads(path.read_bytes())
    return schema


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """The snapshot; where it carries a sample of a code list, the full list of its release."""
    schema, full = snapshot(name), snapshot("SPSCertificate")
    lists, full_lists = (item["$defs"]["codeList"]["$defs"] for item in (schema, full))
    for list_id in set(lists) & set(full_lists) - {"UNTDID1001Type"}:
        lists[list_id] = full_lists[list_id]
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def faults(name: str, document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"
        for error in validator(name).iter_errors(document)
    ]


def origin() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(registry.example(ORIGIN))
    return document


def test_a_certificate_of_origin_is_valid_d23b() -> None:
    mapped = uncefact.preferential_certificate_of_origin(origin())
    assert faults("PreferentialCoO", mapped.document) == []
    consignment = mapped.document["specifiedConsignment"][0]
    assert mapped.document["exchangedDocument"]["id"] == {"content": "CN-2026-88210"}
    assert mapped.document["exchangedDocument"]["issueDateTime"] == "2026-11-08T00:00:00Z"
    assert consignment["applicableCrossBorderRegulatoryProcedure"] == [
        {
            "freeTradeAgreementName": {
                "content": "Regional Comprehensive Economic Partnership Agreement"
            }
        }
    ]
    (line,) = consignment["includedConsignmentItem"][0]["includedTradeLineItem"]
    assert line["specifiedTradeProduct"] == [
        {
            "designatedProductClassification": [{"classCode": {"content": "850760"}}],
            "originTradeCountry": [{"id": [{"content": "CN"}]}],
        }
    ]
    assert line["physicalReferencedLogisticsPackage"][0]["itemQuantity"] == {"content": "160"}


def test_the_published_schema_still_carries_only_samples_of_its_lists() -> None:
    countries = snapshot("PreferentialCoO")["$defs"]["codeList"]["$defs"]["UNTDID3207Type"]
    assert [entry["const"] for entry in countries["oneOf"]] == ["DE"]


def test_a_party_without_a_national_number_is_named_by_its_did() -> None:
    consignment = uncefact.preferential_certificate_of_origin(origin()).document[
        "specifiedConsignment"
    ][0]
    assert consignment["consignor"] == {"id": [{"content": "91310115MA0DEMR00F"}]}
    assert consignment["consignee"] == {"id": [{"content": "did:web:imp-b.example"}]}


def test_what_d23b_cannot_carry_is_told() -> None:
    left = set(uncefact.preferential_certificate_of_origin(origin()).left_behind)
    assert {
        "/goods/0/originCriterion",
        "/goods/0/quantity/value",
        "/goods/0/fob/amount",
        "/parties/exporter/name",
        "/validUntil",
    } <= left
    assert not left & {"/number", "/documentType", "/goods/0/hs", "/goods/0/marks", "/kind"}


def test_ports_travel_with_their_agency() -> None:
    transport = {"portOfLoading": "CNSHA", "portOfDischarge": "SGSIN"}
    mapped = uncefact.preferential_certificate_of_origin(origin() | {"transport": transport})
    assert faults("PreferentialCoO", mapped.document) == []
    port = mapped.document["specifiedConsignment"][0]["loadingLogisticsLocation"]
    assert port == {"id": [{"content": "CNSHA", "schemeAgencyId": "6"}]}


@pytest.mark.parametrize("document", [{}, {"goods": [{}], "number": True}, []])
def test_a_poor_certificate_gives_a_poor_but_valid_document(document: Any) -> None:
    mapped = uncefact.preferential_certificate_of_origin(document)
    assert faults("PreferentialCoO", mapped.document) == []


def test_a_code_that_d23b_does_not_know_is_left_behind() -> None:
    document = origin()
    document["goods"][0]["originCountry"] = "XX"
    document["goods"][0]["packages"]["packageType"] = "CTN"
    mapped = uncefact.preferential_certificate_of_origin(document)
    assert faults("PreferentialCoO", mapped.document) == []
    assert {"/goods/0/originCountry", "/goods/0/packages/packageType"} <= set(mapped.left_behind)


def test_a_phytosanitary_certificate_is_valid_d23b() -> None:
    mapped = uncefact.sps_certificate(FACTS)
    assert faults("SPSCertificate", mapped.document) == []
    consignment = mapped.document["specifiedConsignment"][0]
    assert consignment["exportTradeCountry"] == {"id": [{"content": "CN"}]}
    assert consignment["utilizedLogisticsTransportEquipment"][0]["id"] == {"content": "NHLU2631075"}
    (line,) = consignment["includedConsignmentItem"][0]["includedTradeLineItem"]
    product = line["specifiedTradeProduct"][0]
    assert product["grossWeight"] == [{"content": "26460", "unitCode": "KGM"}]
    assert product["scientificName"] == [{"content": "Zingiber officinale"}]


def test_the_ephyto_status_and_the_treatment_have_no_place_in_d23b() -> None:
    left = set(uncefact.sps_certificate(FACTS).left_behind)
    assert {"/statusCode", "/status", "/lines/0/treatments/0/characteristics/0/key"} <= left
    assert not left & {"/number", "/lines/0/description/0", "/lines/0/packages/0/type"}


@pytest.mark.parametrize("name", ["own/ok_pc.xml", "mattilsynet_SPSCertificateContent.xml"])
def test_shared_certificates_are_valid_d23b(name: str) -> None:
    path = shared_path(f"vectors/documents/ephyto_xml/{name}")
    mapped = uncefact.sps_certificate(sps.examine(path.read_bytes())[0]["facts"])
    assert faults("SPSCertificate", mapped.document) == []


def test_an_empty_certificate_maps_to_an_empty_but_valid_document() -> None:
    assert faults("SPSCertificate", uncefact.sps_certificate({}).document) == []
    poor = {"lines": [{"packages": [{"type": "CT"}], "treatments": [{}]}], "equipment": [{}]}
    assert faults("SPSCertificate", uncefact.sps_certificate(poor).document) == []
