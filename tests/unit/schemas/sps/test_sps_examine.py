"""SPS certificates: the shared files give what their index says, and every rule can fail."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from schemas import sps
from schemas.catalogue import catalogue
from schemas.errors import MalformedError
from schemas.findings import Severity
from schemas.sps.status import Status, code_of
from tests.shared import shared_path
from tests.support.ginger import ginger

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FOLDER = "vectors/documents/ephyto_xml"
EXPECTED_RULE = {
    "bad_no_id": "PHY-010",
    "bad_no_origin": "PHY-032",
    "bad_export_equals_import": "PHY-021",
    "bad_unit": "PHY-033",
    "bad_duplicate_sequence": "PHY-030",
    "bad_container_check_digit": "PHY-040",
    "bad_treatment_typecode": "PHY-050",
    "bad_type_not_int": "PHY-011",
    "bad_future_issue": "PHY-013",
}


def errors_of(payload: bytes) -> set[str]:
    findings = sps.examine(payload, at=NOW)[1]
    return {item.rule for item in findings if item.severity is Severity.ERROR}


def rules_of(payload: bytes) -> set[str]:
    return {item.rule for item in sps.examine(payload, at=NOW)[1]}


def own_files() -> list[dict[str, str]]:
    index = json.loads(shared_path("vectors/documents/INDEX.json").read_bytes())
    return [entry for entry in index if entry["file"].startswith("ephyto_xml/own/")]


def test_every_shared_certificate_gives_what_the_index_says() -> None:
    entries = own_files()
    assert len(entries) == 12
    for entry in entries:
        payload = shared_path(f"vectors/documents/{entry['file']}").read_bytes()
        name = entry["file"].rpartition("/")[2].removesuffix(".xml")
        if entry["expected"] == "reject":
            with pytest.raises(MalformedError):
                sps.examine(payload)
        elif entry["expected"] in {"valid", "lenient-valid"}:
            assert errors_of(payload) == set(), name
        else:
            assert errors_of(payload) == {EXPECTED_RULE[name]}, name


def test_a_real_authoritys_certificate_is_read_with_warnings_only() -> None:
    payload = shared_path(f"{FOLDER}/mattilsynet_SPSCertificateContent.xml").read_bytes()
    fields, findings = sps.examine(payload, at=NOW)
    assert {item.severity for item in findings} == {Severity.WARNING}
    assert [item.rule for item in findings] == [
        "PHY-003",
        "PHY-022",
        "PHY-037",
        "PHY-051",
        "PHY-070",
    ]
    assert findings[0].values["kind"] == "order"
    assert fields["number"] == "123ABC"
    assert fields["issuedAt"] == "2016-04-22T16:53:08.000Z"
    assert fields["packages"] is None  # the second line states its packages in words
    assert fields["grossKg"] is None  # and no weight
    assert fields["hs"] == ["060290"]
    assert fields["references"] == [
        {"type": "import-permit", "number": "DFGG 1111"},
        {"type": "phytosanitary-certificate", "number": "3214356"},
        {"type": "phytosanitary-certificate", "number": "677636"},
    ]
    assert [item.get("filename") for item in fields["facts"]["documents"]][5] == "UkjentFiltype"


def test_the_hubs_unqualified_elements_are_read_with_a_warning() -> None:
    plain = shared_path(f"{FOLDER}/own/ok_pc.xml").read_bytes()
    qualified = shared_path(f"{FOLDER}/own/ok_qualified_spelling.xml").read_bytes()
    fields, findings = sps.examine(plain)
    assert [(item.rule, item.values["kind"]) for item in findings] == [("PHY-003", "unqualified")]
    assert (fields, ()) == sps.examine(qualified)


def test_the_view_of_a_certificate() -> None:
    fields, findings = sps.examine(sps.write(ginger()), at=NOW)
    assert findings == ()
    assert fields["number"] == "CN-PC-2026-004711"
    assert fields["issuedAt"] == "2026-11-18T01:30:00.000Z"
    assert (fields["exportCountry"], fields["importCountry"]) == ("CN", "NL")
    assert fields["containers"] == ["NHLU2631075"]
    assert (fields["packages"], fields["grossKg"], fields["netKg"]) == (1890, "26460", "24570")
    assert fields["hs"] == ["091011"]
    assert fields["parties"] == {
        "consignor": "Anhe Fresh Produce Co., Ltd.",
        "consignee": "Polder Roots B.V.",
        "issuer": "East Coast Certification Desk",
    }
    assert fields["portOfDischarge"] == "NLRTM"
    assert fields["pointers"]["number"] == "/SPSCertificate/SPSExchangedDocument/ID"
    assert fields["facts"]["status"] == "ISSUED"


# --- every rule, from one sound certificate and one change ----------------------------------------

REEXPORT = (
    b"<ram:IncludedSPSNote><ram:Subject>RPCRF</ram:Subject><ram:Content>AR-1</ram:Content>"
    b"</ram:IncludedSPSNote><ram:IncludedSPSNote><ram:Subject>RPCCO</ram:Subject>"
    b"<ram:Content>AR</ram:Content></ram:IncludedSPSNote><ram:IncludedSPSNote>"
    b"<ram:Subject>RPCPC</ram:Subject><ram:Content>%b</ram:Content></ram:IncludedSPSNote>"
)
SIGNATORY = rb"<ram:SignatorySPSAuthentication>"
ATTACHED = rb"<ram:Information>Field report</ram:Information>"
FILE = b"<ram:AttachmentBinaryObject>%b</ram:AttachmentBinaryObject>"


@pytest.mark.parametrize(
    ("rule", "pattern", "replacement"),
    [
        ("PHY-002", rb"SPSCertificate:17", b"SPSCertificate:9"),
        ("PHY-002", rb"rsm:SPSCertificate", b"rsm:SPSAcknowledgement"),
        ("PHY-003", rb"(<ram:TypeCode>851</ram:TypeCode>)(.*?</ram:StatusCode>)", rb"\2\1"),
        ("PHY-003", rb"<ram:PlaceHolder/>|<ram:Name>Anqiu</ram:Name>", b"<ram:Town/>"),
        ("PHY-003", rb"UnqualifiedDataType:21", b"UnqualifiedDataType:12"),
        ("PHY-003", rb"data:standard:Reusable", b"data:Standard:Reusable"),
        ("PHY-003", rb"<ram:Name>Rotterdam</ram:Name>", b'<x:Name xmlns:x="urn:x">R</x:Name>'),
        ("PHY-004", rb"(<ram:ID>CN-PC-2026-004711</ram:ID>)", rb"\1<ram:ID>CN-PC-1</ram:ID>"),
        ("PHY-004", rb"(<ram:ID>NHLU2631075</ram:ID>)", rb"\1<ID>NHLU2631076</ID>"),
        ("PHY-004", rb">26460<", b">264<ram:Name/>60<"),
        ("PHY-004", rb"<ram:IssueDateTime>", b"<ram:IssueDateTime>2020-01-01"),
        ("PHY-010", rb"<ram:ID>CN-PC-2026-004711</ram:ID>", b""),
        ("PHY-011", rb">851<", b">852<"),
        ("PHY-013", rb"<ram:IssueDateTime>.*?</ram:IssueDateTime>", b""),
        ("PHY-013", rb"2026-11-18T01:30:00.000Z", b"18 November 2026"),
        ("PHY-013", rb"2026-11-18T01:30:00.000Z", b"2026-02-30"),
        ("PHY-013", rb"2026-11-18T01:30:00.000Z", b"2026-11-23T01:30:00Z"),
        ("PHY-014", rb">2026-11-17<", b">2026-11-19<"),
        ("PHY-015", rb"<ram:StatusCode>70</ram:StatusCode>", b""),
        ("PHY-015", rb"<ram:StatusCode>70<", b"<ram:StatusCode>issued<"),
        ("PHY-016", rb"<ram:StatusCode>70<", b"<ram:StatusCode>40<"),
        ("PHY-016", rb"<ram:StatusCode>70<", b"<ram:StatusCode>1<"),
        ("PHY-018", rb"2026-11-18T01:30:00.000Z", b"2026-11-18"),
        ("PHY-018", rb"2026-11-18T01:30:00.000Z", b"2026-11-18T01:30"),
        ("PHY-020", rb"<ram:ExportSPSCountry>.*?</ram:ExportSPSCountry>", b""),
        ("PHY-020", rb"<ram:ID>SG</ram:ID>", b"<ram:ID>Singapore</ram:ID>"),
        ("PHY-020", rb"(<ram:OriginSPSCountry><ram:ID>)CN", rb"\1XX"),
        ("PHY-021", rb"<ram:ID>NL</ram:ID>", b"<ram:ID>CN</ram:ID>"),
        ("PHY-022", rb"<ram:ID>NLRTM</ram:ID>", b"<ram:ID>BEANR</ram:ID>"),
        ("PHY-022", rb"<ram:ID>NLRTM</ram:ID>", b"<ram:ID>Rotterdam</ram:ID>"),
        ("PHY-030", rb"<ram:SequenceNumeric>1</ram:SequenceNumeric>", b""),
        ("PHY-030", rb"(<ram:SequenceNumeric>)1<", rb"\1one<"),
        ("PHY-031", rb"<ram:Description>Fresh ginger, air-dried</ram:Description>", b""),
        ("PHY-031", rb"<ram:IncludedSPSTradeLineItem>.*</ram:IncludedSPSTradeLineItem>", b""),
        ("PHY-032", rb"<ram:OriginSPSCountry>.*?</ram:OriginSPSCountry>", b""),
        ("PHY-033", rb'unitCode="MTQ"', b'unitCode="M3"'),
        ("PHY-033", rb' unitCode="CEL"', b""),
        ("PHY-034", rb">CT<", b">CTN<"),
        ("PHY-035", rb">26460<", b">24569.9<"),
        ("PHY-036", rb"<ram:PhysicalSPSPackage>.*?</ram:PhysicalSPSPackage>", b""),
        ("PHY-036", rb">ADTLIL<", b">OPTND<"),
        ("PHY-037", rb"<ram:SystemName>(HS|EPPO)<", b"<ram:SystemName>IPPCPCVP<"),
        ("PHY-038", rb">26460<", b">26 t<"),
        ("PHY-038", rb">1890<", b">-1890<"),
        ("PHY-040", rb">NHLU2631075<", b">NHLU 263107-6<"),
        ("PHY-050", rb"(<ram:AppliedSPSProcess><ram:TypeCode>)ZZZ", rb"\1WASH"),
        ("PHY-050", rb"(<ram:AppliedSPSProcess>)<ram:TypeCode>ZZZ</ram:TypeCode>", rb"\1"),
        ("PHY-051", rb">TTFT<", b">TTAI<"),
        ("PHY-060", rb">851<", b">657<"),
        ("PHY-070", rb"(%b)" % ATTACHED, rb"\1" + FILE % b"TVqQAAMAAAAEAAAA"),
        ("PHY-070", rb"(%b)" % ATTACHED, rb"\1" + FILE % b"JVBERi0xLj=MKJcTl8uXrp"),
        ("PHY-070", rb"(%b)" % ATTACHED, rb"\1" + FILE % (b"JVBERi0x" + b"AAAA" * 1_400_000)),
    ],
)
def test_a_rule_fails_where_its_condition_is_broken(
    rule: str, pattern: bytes, replacement: bytes
) -> None:
    sound = sps.write(ginger())
    assert rules_of(sound) == set()
    broken = re.sub(pattern, replacement, sound, flags=re.DOTALL)
    assert broken != sound
    assert rule in rules_of(broken)


def test_a_reexport_certificate_passes_with_its_statement_and_fails_without() -> None:
    sound = sps.write(ginger()).replace(b">851<", b">657<")
    told = sound.replace(SIGNATORY, REEXPORT % b"True" + SIGNATORY)
    assert errors_of(told) == set()
    assert errors_of(sound.replace(SIGNATORY, REEXPORT % b"False" + SIGNATORY)) == {"PHY-062"}
    assert errors_of(sound) == {"PHY-060"}


def test_a_trailer_or_a_waggon_has_no_container_check_digit() -> None:
    assert rules_of(sps.write(ginger(equipment=[{"number": "RB 12-XYZ-9"}]))) == set()


def test_an_attachment_of_a_known_type_passes_whatever_its_name() -> None:
    sound = sps.write(ginger())
    attached = sound.replace(ATTACHED, ATTACHED + FILE % b"JVBERi0x\nLjMKJcTl")
    fields, findings = sps.examine(attached)
    assert {item.rule for item in findings} <= {"PHY-003"}  # it stands behind Information
    assert fields["facts"]["documents"][0]["number"] == "ZJ-2026-88"


def test_the_older_generation_is_read_without_a_warning() -> None:
    newer = sps.write(ginger())
    older = newer.replace(b"SPSCertificate:17", b"SPSCertificate:8").replace(b":21", b":12")
    fields, findings = sps.examine(older)
    assert findings == ()
    assert fields["facts"]["generation"] == "8"


def test_other_xml_gives_a_finding_and_no_view() -> None:
    fields, findings = sps.examine(b"<note/>")
    assert [item.rule for item in findings] == ["PHY-002"]
    assert fields == {"number": None, "facts": {}, "pointers": {}}


def test_an_empty_certificate_has_many_faults_and_a_view() -> None:
    root = b'<SPSCertificate xmlns="urn:un:unece:uncefact:data:standard:SPSCertificate:17"/>'
    fields, findings = sps.examine(root)
    assert {"PHY-010", "PHY-011", "PHY-013", "PHY-015", "PHY-020", "PHY-031"} == {
        item.rule for item in findings
    }
    assert {item.pointer for item in findings} == {"/SPSCertificate"}
    assert fields["number"] is None
    assert fields["packages"] is fields["grossKg"] is None


def test_many_faults_of_one_rule_are_told_twenty_times() -> None:
    lines = [ginger()["lines"][0] | {"sequence": str(at)} for at in range(1, 50)]
    payload = sps.write(ginger(lines=lines)).replace(b">CT<", b">CTN<")
    findings = sps.examine(payload)[1]
    assert len(findings) == 20


@pytest.mark.parametrize(
    ("packages", "count"),
    [
        ([("1", "100"), ("2", "20")], 20),
        ([("3", "5"), ("3", "6")], 11),
        ([("4", "7"), ("1", "700")], 7),
        ([("4", "7.5")], None),
        ([("outer", "7")], None),
        ([("5", "1")], None),
    ],
)
def test_packages_are_counted_at_the_outermost_level(
    packages: list[tuple[str, str]], count: int | None
) -> None:
    lines = ginger()["lines"]
    lines[0]["packages"] = [
        {"level": level, "type": "CT", "quantity": quantity} for level, quantity in packages
    ]
    assert sps.examine(sps.write(ginger(lines=lines)))[0]["packages"] == count


@pytest.mark.parametrize(
    ("value", "unit", "total"),
    [("26.4605", "TNE", "26460.5"), ("2646000000", "GRM", "2646000"), ("58000", "LTR", None)],
)
def test_weights_are_summed_in_kilograms(value: str, unit: str, total: str | None) -> None:
    lines = ginger()["lines"]
    lines[0]["grossWeight"] = {"value": value, "unit": unit}
    assert sps.examine(sps.write(ginger(lines=lines)))[0]["grossKg"] == total


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-18T09:30:00+08:00", "2026-11-18T01:30:00.000Z"),
        ("2026-11-18", "2026-11-18"),
        ("2026-11-18Z", "2026-11-18"),
        ("0001-01-01T00:00:00+14:00", None),
        ("now", None),
    ],
)
def test_times_are_normalised(value: str, expected: str | None) -> None:
    payload = sps.write(ginger()).replace(b"2026-11-18T01:30:00.000Z", value.encode())
    assert sps.examine(payload)[0]["issuedAt"] == expected


def test_a_date_without_zone_may_be_half_a_day_ahead() -> None:
    payload = sps.write(ginger()).replace(b"2026-11-18T01:30:00.000Z", b"2026-11-22T12:00:00")
    assert errors_of(payload) == set()


#: Of the reader, of the form, of two certificates.
BESIDE = ("PHY-001", "PHY-002", "PHY-003", "PHY-012", "PHY-061", "PHY-080")


def test_every_emitted_code_is_explained() -> None:
    entries = {code: item for code, item in catalogue().items() if code.startswith("PHY-")}
    assert set(entries) == {*sps.RULES, *BESIDE}
    assert all(item.en and item.zh and item.next and item.next_zh for item in entries.values())


def test_a_status_is_read_by_dialect_only() -> None:
    assert sps.status_of("40") is Status.WITHDRAWN
    assert sps.status_of("40", "untdid-1373") is Status.SUSPENDED
    assert sps.status_of("70", "untdid-1373") is None
    assert code_of(Status.ISSUED) == "70"
    assert code_of(Status.SUSPENDED) is None


def test_what_ended_stays_ended() -> None:
    assert sps.may_follow(Status.ISSUED, Status.WITHDRAWN)
    assert sps.may_follow(Status.WITHDRAWN, Status.WITHDRAWN)
    assert not sps.may_follow(Status.WITHDRAWN, Status.ISSUED)
    assert not sps.may_follow(Status.ISSUED, Status.DRAFT)
