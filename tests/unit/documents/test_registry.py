"""The registry: discovery, examination, detection; no document makes it raise."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import registry
from schemas.errors import MalformedError, RefusedError, TooLargeError
from schemas.view import DocumentType, Reference, View
from tests.shared import shared_path
from tests.unit.documents.example_edits import JSON_TYPES, example, rules_of

TYPES = tuple(registry.document_types())
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.sampled_from([1e300, 5e-324])
    | st.text(max_size=8)
    | st.sampled_from(["2026-11-18", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


NUMBERS = {  # UNTDID 1001; the types without a number there are ours
    "arrival-notice": "781",
    "bill-of-lading": "705",
    "certificate-of-origin": "861",
    "commercial-invoice": "380",
    "customs-decision": "961",
    "dangerous-goods-declaration": "890",
    "delivery-order": "640",
    "export-declaration": "830",
    "fumigation-certificate": "267",
    "gate-pass": "655",
    "health-certificate": "636",
    "import-declaration": "929",
    "inspection-certificate": "856",
    "master-transport-document": "765",
    "negotiable-multimodal-document": "766",
    "origin-declaration": "862",
    "packing-list": "271",
    "phytosanitary-certificate": "851",
    "phytosanitary-re-export-certificate": "657",
    "preferential-certificate-of-origin": "864",
    "quality-certificate": "3",
    "rail-consignment-note": "720",
    "release-order": "129",
    "road-leg-note": "730",
    "sanitary-certificate": "852",
    "sea-waybill": "710",
    "veterinary-certificate": "853",
}
OWN = {
    "aeo-status",
    "back-to-back-certificate-of-origin",
    "equipment-interchange-receipt",
    "ship-certificate",
}


def test_every_type_of_the_design_is_known_by_its_number() -> None:
    codes = {key: kind.code for key, kind in registry.document_types().items()}
    assert {key: code for key, code in codes.items() if code} == NUMBERS
    assert {key for key, code in codes.items() if not code} >= OWN


def test_a_new_type_is_one_folder(tmp_path: Path) -> None:
    """A folder with its four files, in a copy of the package: nothing else is touched."""
    package = tmp_path / "schemas"
    # Without what the interpreters of other tests write and rename there meanwhile.
    written = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(str(resources.files("schemas"))), package, ignore=written)
    folder = package / "documents" / "tally_sheet"
    shutil.copytree(package / "documents" / "packing_list", folder)
    for file in folder.iterdir():
        if file.suffix in {".py", ".json"}:
            said = file.read_text(encoding="utf-8").replace("packing-list", "tally-sheet")
            file.write_text(said.replace("PackingList", "TallySheet"), encoding="utf-8")
    script = (
        "from schemas import registry\n"
        "payload = registry.example('tally-sheet')\n"
        "assert registry.examine('tally-sheet', payload).findings == ()\n"
        "assert registry.detect(payload) == 'tally-sheet'\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=180)


def test_each_type_has_names_roles_and_a_credential_type_of_its_own() -> None:
    kinds = registry.document_types().values()
    assert all(kind.name("en") and kind.name("zh") and kind.issuer_roles for kind in kinds)
    assert len({kind.credential_type for kind in kinds}) == len(kinds)


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RefusedError, match="bill-of-lading") as caught:
        registry.get("bill-of-ladding")
    assert caught.value.code == "unknown_document_type"
    with pytest.raises(RefusedError):
        registry.examine("zzzzzzzz" * 100, b"{}")


@pytest.mark.parametrize("key", TYPES)
def test_the_packaged_example_has_no_finding_and_is_detected(key: str) -> None:
    payload = registry.example(key)
    examination = registry.examine(key, payload)
    assert examination.findings == ()
    assert examination.acceptable
    assert examination.view.type == key
    assert examination.view.number
    assert examination.view.issued_at is not None
    assert registry.detect(payload) == key
    assert registry.detect(payload, registry.get(key).media_type) == key
    assert json.dumps(examination.view.to_json())


@pytest.mark.parametrize("key", JSON_TYPES)
def test_each_required_member_is_required(key: str) -> None:
    from schemas import profiles

    required = profiles.bundle(key)["required"]
    assert required
    for name in required:
        document = {member: value for member, value in example(key).items() if member != name}
        assert "SCH-001" in rules_of(key, document), name


@pytest.mark.parametrize("key", JSON_TYPES)
def test_an_empty_document_gives_findings_and_an_empty_view(key: str) -> None:
    examination = registry.examine(key, b"{}")
    assert not examination.acceptable
    assert examination.view.number == ""
    assert examination.view.containers == ()


@pytest.mark.parametrize("key", JSON_TYPES)
def test_unknown_members_survive(key: str) -> None:
    assert rules_of(key, example(key) | {"x-own": {"deep": [1, None]}}) == {}


@pytest.mark.parametrize("payload", [b"", b"[1]", b'{"a":1,"a":2}', b"\xff"])
def test_bytes_that_are_no_document_are_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        registry.examine("delivery-order", payload)
    assert registry.detect(payload) is None


def test_too_deep_a_document_is_too_large() -> None:
    with pytest.raises(TooLargeError):
        registry.examine("delivery-order", b'{"a":' * 99 + b"1" + b"}" * 99)


def test_xml_that_is_no_certificate_is_not_detected() -> None:
    assert registry.detect(b"<a/>") is None
    assert registry.detect(b"<!DOCTYPE a><a/>") is None
    assert registry.detect(b"{}", "application/xml; charset=utf-8") is None
    assert registry.detect(b'{"documentType":"no-such-type"}') is None


@given(document=st.dictionaries(st.text(max_size=6), JSON_VALUES))
def test_no_json_object_makes_any_type_raise(document: dict[str, Any]) -> None:
    payload = json.dumps(document).encode()
    for key in JSON_TYPES:
        assert registry.examine(key, payload).view.to_json()


@given(data=st.data(), key=st.sampled_from(JSON_TYPES))
def test_no_mutated_example_makes_its_type_raise(data: st.DataObject, key: str) -> None:
    document: Any = copy.deepcopy(example(key))
    node = document
    while True:
        names = list(node) if isinstance(node, dict) else range(len(node))
        name = data.draw(st.sampled_from(names))
        inner = node[name]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        node = inner
    if data.draw(st.booleans()):
        del node[name]
    else:
        node[name] = data.draw(JSON_VALUES)
    registry.examine(key, json.dumps(document).encode()).view.to_json()


def test_the_view_shows_weights_without_exponents_and_leaves_out_what_is_absent() -> None:
    view = View(
        type="packing-list",
        number="1",
        gross_kg=Decimal("26460.500"),
        net_kg=Decimal("2E+4"),
        references=(Reference("a", "1", "ff"), Reference("b", "2")),
    )
    shown = view.to_json()
    assert shown["grossKg"] == "26460.5"
    assert shown["netKg"] == "20000"
    assert shown["references"] == [
        {"type": "a", "number": "1", "digest": "ff"},
        {"type": "b", "number": "2"},
    ]
    assert "consignment" not in shown


def test_names_are_given_in_the_language_asked_for() -> None:
    kind = DocumentType("a", "", "English", "中文", "application/json", (), "A")
    assert kind.name() == "English"
    assert kind.name("zh") == "中文"


def test_the_certificates_of_others_are_examined_as_their_reader_says() -> None:
    folder = shared_path("vectors/documents/ephyto_xml/own")
    for name in ("ok_pc.xml", "ok_qualified_spelling.xml"):
        examination = registry.examine("phytosanitary-certificate", (folder / name).read_bytes())
        assert examination.acceptable
        assert examination.view.number == "TH-PC-2025-000123"
        assert examination.view.containers == ("CSQU3054383",)
        assert examination.view.packages == 2000
        assert examination.view.gross_kg == 24800
    bad = registry.examine("phytosanitary-certificate", (folder / "bad_no_id.xml").read_bytes())
    assert not bad.acceptable
    other = registry.examine("phytosanitary-certificate", b"<other/>")
    assert other.view.number == ""
    assert not other.acceptable
    assert registry.document_types()["phytosanitary-certificate"].media_type == "application/xml"
