"""`pratique schema`: every type listed, shown, validated and converted, without any node."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from interop import ephyto_hub
from interop.uncefact import TABLES
from node.cli.main import build
from schemas import registry, sps
from schemas.errors import TradeError

if TYPE_CHECKING:
    from pathlib import Path

TYPES = tuple(registry.document_types())
#: A certificate in XML is asked about the day on which it is looked at.
DAY = ("--at", "2026-11-18T06:00:00Z")


APP = build(["schema"])


def run(*words: str) -> Result:
    return CliRunner().invoke(APP, ["schema", *words])


def parsed(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


def written(folder: Path, key: str) -> str:
    file = folder / key
    file.write_bytes(registry.example(key))
    return str(file)


def test_the_list_names_every_type_and_its_d23b_document() -> None:
    listed = {one["key"]: one["d23b"] for one in parsed("list")}
    assert set(listed) == set(TYPES)
    assert {key for key, name in listed.items() if name} == set(TABLES)
    assert "sea-waybill" in run("list").output


@pytest.mark.parametrize("key", TYPES)
def test_every_type_is_shown_and_its_sample_validates(key: str, tmp_path: Path) -> None:
    shown = parsed("show", key)
    assert shown["type"] == key
    assert {one["id"] for one in shown["rules"]} == set(registry.rules_of(key))
    assert all(one["sentence"] for one in shown["rules"])
    verdict = parsed("validate", written(tmp_path, key), *DAY)
    assert (verdict["type"], verdict["verdict"], verdict["findings"]) == (key, "PASSED", [])
    assert verdict["view"]["mappingVersion"]


def test_a_person_reads_tables() -> None:
    assert "SHP-001" in run("show", "ship-certificate").output
    assert json.loads(run("show", "gate-pass", "--profile").stdout)["$id"]


def test_xml_has_no_json_schema() -> None:
    result = run("show", "health-certificate", "--profile")
    assert isinstance(result.exception, TradeError)
    assert result.exception.code == "no_json_schema"


def test_a_document_that_breaks_a_rule_fails(tmp_path: Path) -> None:
    document = json.loads(registry.example("gate-pass"))
    document["slot"]["until"] = "2026-11-20T05:00:00Z"
    file = tmp_path / "pass.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    result = run("validate", str(file))
    assert result.exit_code == 1
    assert "GTP-001" in result.output


def test_a_missed_window_is_seen_on_its_day(tmp_path: Path) -> None:
    file = written(tmp_path, "ship-certificate")
    assert parsed("validate", file, "--at", "2027-06-14T12:00:00Z")["verdict"] == "PASSED"
    late = parsed("validate", file, "--at", "2027-06-15T00:00:00Z")
    assert [one["rule"] for one in late["findings"]] == ["SHP-010"]
    error = run("validate", file, "--at", "tomorrow").exception
    assert isinstance(error, TradeError)
    assert error.code == "time_unreadable"


@pytest.mark.parametrize("key", sorted(TABLES))
def test_a_document_goes_to_d23b_and_comes_back(key: str, tmp_path: Path) -> None:
    there, back = str(tmp_path / "d23b.json"), tmp_path / "back"
    source = written(tmp_path, key)
    assert run("convert", source, "--to", "d23b", "--extended", "-o", there).exit_code == 0
    result = run("convert", there, "--to", "profile", "-o", str(back))
    assert result.exit_code == 0, result.exception
    examined = registry.examine(key, back.read_bytes())
    assert examined.acceptable
    assert examined.view.number == registry.examine(key, registry.example(key)).view.number


def test_what_has_no_place_is_told(tmp_path: Path) -> None:
    result = run("convert", written(tmp_path, "quality-certificate"), "--to", "d23b")
    assert result.exit_code == 0
    assert "left behind: /verdict" in result.stderr
    assert "x-pratique" not in result.stdout


def test_a_file_of_no_known_type_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "any.json"
    file.write_text("{}", encoding="utf-8")
    for words in (("validate", str(file)), ("convert", str(file), "--to", "profile")):
        error = run(*words).exception
        assert isinstance(error, TradeError)
        assert error.code == "unknown_document_type"
    assert isinstance(
        run("convert", str(file), "--to", "d23b", "--type", "aeo-status").exception, TradeError
    )


def test_a_certificate_is_unpacked_from_base64_and_from_the_hubs_envelope(tmp_path: Path) -> None:
    plain = registry.example("phytosanitary-certificate")
    header = ephyto_hub.header_for(sps.examine(plain)[0])
    for data in (base64.encodebytes(plain), ephyto_hub.envelope_bytes(header, plain)):
        file = tmp_path / "packed"
        file.write_bytes(data)
        verdict = parsed("validate", str(file), *DAY)
        assert (verdict["type"], verdict["verdict"]) == ("phytosanitary-certificate", "PASSED")


def test_a_certificate_of_tomorrow_fails_today_and_passes_then(tmp_path: Path) -> None:
    file = written(tmp_path, "phytosanitary-certificate")
    told = parsed("validate", file, "--at", "2026-10-01T00:00:00Z")["findings"]
    assert [one["rule"] for one in told] == ["PHY-013"]
    assert parsed("validate", file, "--at", "2026-10-14T00:00:00Z")["findings"] == []


def test_certificates_held_before_are_looked_at_beside_a_new_one(tmp_path: Path) -> None:
    file = written(tmp_path, "phytosanitary-certificate")
    withdrawn = tmp_path / "withdrawn"
    withdrawn.write_bytes(registry.example("phytosanitary-certificate").replace(b">70<", b">40<"))
    told = parsed("validate", file, "--held", str(withdrawn), *DAY)["findings"]
    assert [one["rule"] for one in told] == ["PHY-012"]
    assert parsed("validate", file, "--held", file, *DAY)["findings"] == []


def test_the_json_of_a_ched_is_asked_for_its_form(tmp_path: Path) -> None:
    file = tmp_path / "ched"
    file.write_text('{"spsExchangedDocument": {}, "spsConsignment": {}}')
    verdict = parsed("validate", str(file))
    assert (verdict["type"], verdict["verdict"]) == ("ched", "FAILED")
    assert {one["rule"] for one in verdict["findings"]} == {"SCH-001"}


def test_a_list_in_json_is_no_certificate_in_base64(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1, 2")
    told = run("validate", str(file), "--type", "packing-list").exception
    assert isinstance(told, TradeError)
    assert told.code == "json_syntax"
