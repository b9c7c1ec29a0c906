"""Our certificates as UN/CEFACT D23B: valid there, and honest about what D23B cannot carry."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interop import uncefact
from interop.uncefact import TABLES, read, sps_certificate, write
from interop.uncefact.mapping import leaves_of
from schemas import registry, sps
from schemas.errors import MalformedError, RefusedError
from schemas.fields import pointer
from tests.shared import shared_path
from tests.support.d23b import faults, why_not
from tests.support.generated import documents
from tests.support.ginger import ginger

ORIGIN = "preferential-certificate-of-origin"
FACTS = sps.examine(sps.write(ginger()))[0]["facts"]


def coo(document: Any) -> uncefact.Mapped:
    return write(TABLES[ORIGIN], document)


def phyto(facts: Any) -> uncefact.Mapped:
    return write(TABLES["phytosanitary-certificate"], facts)


def origin() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(registry.example(ORIGIN))
    return document


def test_a_certificate_of_origin_is_valid_d23b() -> None:
    mapped = coo(origin())
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
    path = shared_path("vectors/documents/uncefact_d23b/UNECE-PreferentialCoO.json")
    countries = json.loads(path.read_bytes())["$defs"]["codeList"]["$defs"]["UNTDID3207Type"]
    assert [entry["const"] for entry in countries["oneOf"]] == ["DE"]


def test_a_party_without_a_national_number_is_named_by_its_did() -> None:
    consignment = coo(origin()).document["specifiedConsignment"][0]
    assert consignment["consignor"] == {"id": [{"content": "91310115MA0DEMR00F"}]}
    assert consignment["consignee"] == {"id": [{"content": "did:web:imp-b.example"}]}


def test_what_d23b_cannot_carry_is_told() -> None:
    left = set(coo(origin()).left_behind)
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
    mapped = coo(origin() | {"transport": transport})
    assert faults("PreferentialCoO", mapped.document) == []
    port = mapped.document["specifiedConsignment"][0]["loadingLogisticsLocation"]
    assert port == {"id": [{"content": "CNSHA", "schemeAgencyId": "6"}]}


@pytest.mark.parametrize("document", [{}, {"goods": [{}], "number": True}, []])
def test_a_poor_certificate_gives_a_poor_but_valid_document(document: Any) -> None:
    mapped = coo(document)
    assert faults("PreferentialCoO", mapped.document) == []


def test_a_code_that_d23b_does_not_know_is_left_behind() -> None:
    document = origin()
    document["goods"][0]["originCountry"] = "XX"
    document["goods"][0]["packages"]["packageType"] = "CTN"
    mapped = coo(document)
    assert faults("PreferentialCoO", mapped.document) == []
    assert {"/goods/0/originCountry", "/goods/0/packages/packageType"} <= set(mapped.left_behind)


def test_a_phytosanitary_certificate_is_valid_d23b() -> None:
    mapped = phyto(FACTS)
    assert faults("SPSCertificate", mapped.document) == []
    consignment = mapped.document["specifiedConsignment"][0]
    assert consignment["exportTradeCountry"] == {"id": [{"content": "CN"}]}
    assert consignment["utilizedLogisticsTransportEquipment"][0]["id"] == {"content": "NHLU2631075"}
    (line,) = consignment["includedConsignmentItem"][0]["includedTradeLineItem"]
    product = line["specifiedTradeProduct"][0]
    assert product["grossWeight"] == [{"content": "26460", "unitCode": "KGM"}]
    assert product["scientificName"] == [{"content": "Zingiber officinale"}]


def test_the_ephyto_status_and_the_treatment_have_no_place_in_d23b() -> None:
    left = set(phyto(FACTS).left_behind)
    assert {"/statusCode", "/status", "/lines/0/treatments/0/characteristics/0/key"} <= left
    assert not left & {"/number", "/lines/0/description/0", "/lines/0/packages/0/type"}


@pytest.mark.parametrize("name", ["own/ok_pc.xml", "mattilsynet_SPSCertificateContent.xml"])
def test_shared_certificates_are_valid_d23b(name: str) -> None:
    path = shared_path(f"vectors/documents/ephyto_xml/{name}")
    mapped = phyto(sps.examine(path.read_bytes())[0]["facts"])
    assert faults("SPSCertificate", mapped.document) == []


def test_an_empty_certificate_maps_to_an_empty_but_valid_document() -> None:
    assert faults("SPSCertificate", phyto({}).document) == []
    poor = {"lines": [{"packages": [{"type": "CT"}], "treatments": [{}]}], "equipment": [{}]}
    assert faults("SPSCertificate", phyto(poor).document) == []


JSON_TABLES = sorted(
    key
    for key in TABLES
    if key in registry.document_types() and registry.get(key).media_type == "application/json"
)
SPS_TABLES = sps_certificate.KEYS
PROPERTY = settings(
    max_examples=10,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


def carried(document: Any, mapped: uncefact.Mapped) -> dict[Any, Any]:
    """The leaves of ours that are not told as left behind."""
    left = set(mapped.left_behind)
    return {path: said for path, said in leaves_of(document).items() if pointer(*path) not in left}


def goes_out_and_comes_back(key: str, document: Any) -> None:
    table = TABLES[key]
    mapped = write(table, document)
    assert faults(table.snapshot, mapped.document) == []
    back = read(table, mapped.document)
    assert back.left_behind == ()
    met = {path: said for path, said in leaves_of(back.document).items() if said != {}}
    assert met == carried(document, mapped)
    whole = write(table, document, extended=True)
    assert faults(table.snapshot, whole.document) == []
    again = read(table, whole.document)
    assert again.document == document
    assert again.left_behind == ()


@pytest.mark.parametrize("key", JSON_TABLES)
@PROPERTY
@given(data=st.data())
def test_what_d23b_carries_of_a_generated_document_comes_back(
    key: str, data: st.DataObject
) -> None:
    goes_out_and_comes_back(key, data.draw(documents(key)))


@pytest.mark.parametrize("key", JSON_TABLES)
def test_the_packaged_example_goes_out_and_comes_back(key: str) -> None:
    goes_out_and_comes_back(key, json.loads(registry.example(key)))


TEXTS = st.text(st.sampled_from("ABCxyz 019-./:é姜"), min_size=1, max_size=12)
CODES = {
    "country": ("CN", "NL", "KE"),
    "unit": ("KGM", "MTQ"),
    "type": ("CT", "BX"),
    "mode": ("1", "3"),
}


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    """Facts of an SPS certificate: any members of the sample left out, texts drawn anew."""

    def vary(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            kept = {k: vary(v, k) for k, v in value.items() if k in NEEDED or draw(st.booleans())}
            return kept or {next(iter(value)): vary(next(iter(value.values())), next(iter(value)))}
        if isinstance(value, list):
            several = value * draw(st.integers(1, 2)) if isinstance(value[0], dict) else value
            return [vary(item, name) for item in several]
        if name in CODES:
            return draw(st.sampled_from(CODES[name]))
        return draw(TEXTS) if name in FREE else value

    made: dict[str, Any] = vary(ginger(), "")
    return made


NEEDED = {"value", "unit", "level", "quantity", "lines", "equipment"}
FREE = {
    "name",
    "number",
    "issuer",
    "place",
    "authority",
    "officer",
    "content",
    "description",
    "text",
}


@PROPERTY
@given(key=st.sampled_from(SPS_TABLES), document=facts())
def test_what_d23b_carries_of_a_generated_certificate_comes_back(
    key: str, document: dict[str, Any]
) -> None:
    goes_out_and_comes_back(key, document)


@pytest.mark.parametrize("key", sorted(TABLES))
def test_every_place_of_a_table_is_one_that_the_snapshot_has(key: str) -> None:
    table = TABLES[key]
    places = [row.theirs for row in table.rows] + [fixed.theirs for fixed in table.fixed]
    places += [f"{stack.array}/*/{stack.mark}" for stack in table.stacks]
    assert {place: why for place in places if (why := why_not(table.snapshot, place))} == {}
    pairs = [(row.ours, row.joined) for row in table.rows]
    assert len(set(pairs)) == len(pairs)


def test_a_sps_certificate_comes_back_as_the_xml_it_was() -> None:
    payload = sps.write(ginger())
    mapped = uncefact.to_d23b("phytosanitary-certificate", payload, extended=True)
    assert uncefact.from_d23b("phytosanitary-certificate", mapped.document).payload == payload
    bare = uncefact.to_d23b("phytosanitary-certificate", payload).document
    with pytest.raises(MalformedError, match="sps_not_writable"):
        uncefact.from_d23b("phytosanitary-certificate", bare)  # without the ePhyto status


def test_a_json_document_comes_back_as_a_payload_that_the_registry_accepts() -> None:
    for key in JSON_TABLES:
        mapped = uncefact.to_d23b(key, registry.example(key), extended=True)
        assert uncefact.guess(mapped.document) == key
        back = uncefact.from_d23b(key, mapped.document)
        assert registry.examine(key, back.payload).findings == ()


def test_a_d23b_document_is_known_by_its_type_code() -> None:
    assert uncefact.guess(coo(origin()).document) == ORIGIN
    assert uncefact.guess(phyto(FACTS).document) == "phytosanitary-certificate"
    assert uncefact.guess({"exchangedDocument": {"typeCode": {"content": "999"}}}) is None
    assert uncefact.guess([]) is None


def test_a_type_without_a_d23b_document_is_refused() -> None:
    with pytest.raises(RefusedError, match="no_d23b_mapping"):
        uncefact.to_d23b("aeo-status", b"{}")
    with pytest.raises(RefusedError, match="no_d23b_mapping"):
        uncefact.from_d23b("aeo-status", {})


@pytest.mark.parametrize(
    "members",
    [
        [["number", "1"]],
        [[["number", -1], "1"]],
        [[["a"] * 65, "1"]],
        [[["list", 2000], "1"]],
        [[["number"], {"deep": 1}]],
        [[["number", "inner"], "1"], [["number"], "1"]],
        [[["issuer"], "1"], [["issuer", "name"], "x"]],
        [[["list", 0], "1"], [["list", "name"], "x"]],
        ["x"],
    ],
)
def test_an_extension_that_contradicts_itself_is_refused(members: Any) -> None:
    document = coo({"number": "1"}).document
    document["x-pratique"] = {"profile": ORIGIN, "members": members}
    with pytest.raises(MalformedError, match="d23b_unreadable"):
        read(TABLES[ORIGIN], document)


def test_an_extension_of_another_type_is_left_behind() -> None:
    document = coo({"number": "1"}).document | {"x-pratique": {"profile": "other", "members": []}}
    assert "/x-pratique/profile" in read(TABLES[ORIGIN], document).left_behind


def test_what_others_say_and_we_have_no_member_for_is_told() -> None:
    document = coo(origin()).document
    document["exchangedDocument"]["name"] = [{"content": "Certificate"}]
    document["exchangedDocument"]["issueDateTime"] = "2026-11-08T15:00:00+08:00"
    back = read(TABLES[ORIGIN], document)
    assert back.left_behind == ("/exchangedDocument/name/0/content",)
    assert back.document["issueDate"] == "2026-11-08"


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "exchangedDocument",
                        "specifiedConsignment",
                        "id",
                        "content",
                        "x-pratique",
                        "profile",
                        "members",
                        "utilizedLogisticsTransportEquipment",
                        "categoryCode",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_makes_a_table_fail_but_with_its_own_error(document: Any) -> None:
    for table in TABLES.values():
        with contextlib.suppress(MalformedError):
            read(table, document)
        write(table, document)


def test_one_weight_stands_for_one_cargo_item_only() -> None:
    bill = json.loads(registry.example("bill-of-lading"))
    cargo = bill["consignmentItems"][0]["cargoItems"]
    cargo.append(json.loads(json.dumps(cargo[0])))
    left = write(TABLES["bill-of-lading"], bill).left_behind
    assert "/consignmentItems/0/cargoItems/0/cargoGrossWeight/value" in left
    assert "/consignmentItems/0/cargoItems/1/cargoGrossWeight/value" in left


def test_a_weight_in_pounds_has_no_unit_there() -> None:
    bill = json.loads(registry.example("bill-of-lading"))
    bill["consignmentItems"][0]["cargoItems"][0]["cargoGrossWeight"]["unit"] = "LBR"
    mapped = write(TABLES["bill-of-lading"], bill)
    place = "/consignmentItems/0/cargoItems/0/cargoGrossWeight"
    assert {f"{place}/value", f"{place}/unit"} <= set(mapped.left_behind)


def test_packages_without_a_count_stay_behind_as_a_whole() -> None:
    lines = [{"packages": [{"level": "4", "quantity": "1"}, {"type": "CT"}]}]
    mapped = phyto({"lines": lines})
    assert faults("SPSCertificate", mapped.document) == []
    assert len(mapped.left_behind) == 3
