"""Documents nobody here wrote go from issuer to customs and back, by command alone.

Two nodes made by hand as an operator would make them, each a process of its own. The examples of
the DCSA standard and the certificates of other systems are issued with their old dates: what is
valid from now on is the credential.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from node.home import Home
from schemas import registry
from tests.shared import shared_path
from tests.support.process import node_process, pratique
from tests.support.running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CARRIER, CUSTOMS = "did:web:cn-carrier.example", "did:web:nl-customs.example"
UCR = "6CN91370784MA0DEMQ00FA261118"
PHYTO = "phytosanitary-certificate"
OWN = "vectors/documents/ephyto_xml/own"
SECONDS = 120.0


@dataclass(frozen=True)
class Pair:
    """The two homes and a folder for files."""

    carrier: Home
    customs: Home
    files: Path

    def home(self, did: str) -> Path:
        return (self.carrier if did == CARRIER else self.customs).path

    def file(self, name: str, data: bytes) -> Path:
        path = self.files / name
        path.write_bytes(data)
        return path


def run(*words: object, code: int = 0) -> Any:
    """The JSON a command prints; it must end with that exit code and without a traceback."""
    done = pratique(*words, "--json")
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def text(*words: object, **environment: str) -> str:
    """What a command shows to people at 80 columns."""
    done = pratique(*words, COLUMNS="80", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def init(folder: Path, did: str, name: str, country: str, *more: str) -> Home:
    run("init", folder, "--did", did, "--name", name, "--country", country,
        "--port", free_port(), *more)  # fmt: skip
    return Home(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A carrier that is also a plant-health authority founds a network; a customs office joins."""
    folder = tmp_path_factory.mktemp("pair")
    roles = ("--role", "carrier", "--role", "plant-health", "--role", "issuer")
    founding = ("--found", "Two ports", "--test", "--registry")
    carrier = init(folder / "carrier", CARRIER, "Yangpu Line", "CN", *roles, *founding)
    customs = init(folder / "customs", CUSTOMS, "Maas Customs", "NL",
                   "--role", "customs", "--role", "witness")  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(node_process(carrier))
        stack.enter_context(node_process(customs))
        network = run("trust", "show", "--home", carrier.path)["network"]
        url = carrier.endpoint_file.read_text()
        place = ("--home", customs.path)
        run("join", "--network-url", url, "--network-id", network, "--wait", 0, *place)
        # Whose certificates are at hand here is said by the list, as for any network: Argentina's
        # and Thailand's, the latter in two spellings, of which each node issues one.
        rights = [f"{CARRIER}={PHYTO}:AR", f"{CARRIER}={PHYTO}:TH", f"{CUSTOMS}={PHYTO}:TH"]
        agreements = [f"NL:AR:{PHYTO}", f"NL:TH:{PHYTO}", f"CN:TH:{PHYTO}"]
        run("trust", "sign", "--all", "--registry", CARRIER, "--witness", CUSTOMS,
            "--home", carrier.path,
            *(word for right in rights for word in ("--issuer", right)),
            *(word for one in agreements for word in ("--agreement", one)))  # fmt: skip
        assert run("join", *place)["state"] == "admitted"
        files = folder / "files"
        files.mkdir()
        yield Pair(carrier, customs, files)


def dcsa_examples() -> dict[str, bytes]:
    """The examples of GET /v3/transport-documents/{transportDocumentReference}, as JSON."""
    source = shared_path("standards/dcsa/ebl/EBL_v3.0.4.yaml").read_text(encoding="utf-8")
    path = "/v3/transport-documents/{transportDocumentReference}"
    answer = yaml.safe_load(source)["paths"][path]["get"]["responses"]["200"]
    examples = answer["content"]["application/json"]["examples"]
    return {
        name: json.dumps(one["value"], indent=2, default=str, ensure_ascii=False).encode()
        for name, one in examples.items()
    }


def travel(
    pair: Pair, file: Path, sender: str, *more: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """issue → send → inbox → verify → trace; what issuing told, and the recipient's report."""
    recipient = CUSTOMS if sender == CARRIER else CARRIER
    here, there = ("--home", pair.home(sender)), ("--home", pair.home(recipient))
    # Each for itself: the papers of one consignment would be held against each other.
    consignment = f"{UCR}{sha256(file.read_bytes())[:4].upper()}"
    issued = run("issue", file, "--consignment", consignment, *more, *here)
    digest = issued["digest"]
    assert run("send", digest, "--to", recipient, *here)["messages"][0]["to"] == recipient

    seen: list[dict[str, Any]] = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and not seen:
        rows = run("inbox", "--state", "delivered", *there)["items"]
        seen = [row for row in rows if row["document"] == digest]
    assert seen, "it did not arrive"

    saved = pair.files / f"{digest[:9]}.saved"
    run("inbox", "--save", digest[:9], saved, *there)
    assert sha256(saved.read_bytes()) == sha256(file.read_bytes()) == issued["payloadDigest"]
    (held,) = [one for one in run("documents", *there)["documents"] if one["digest"] == digest]
    assert (held["verdict"], held["origin"], held["sender"]) == ("PASSED", "received", sender)
    report = run("verify", digest, *there)
    assert {check["outcome"] for check in report["checks"]} == {"PASSED"}
    readable(text("trace", digest, *there), issued)
    return issued, report


def readable(shown: str, issued: dict[str, Any]) -> None:
    """A trace names type, number and acts in whole words, within 80 columns."""
    for word in (issued["type"], issued["number"], "received", "verified"):
        assert word in shown, shown
    assert max(map(len, shown.splitlines())) <= 110  # a digest is never cut


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def rules(found: list[dict[str, Any]]) -> set[str]:
    assert all(one["severity"] == "warning" for one in found), found
    return {one["rule"] for one in found}


@pytest.mark.parametrize("name", ["regularSTDExample", "reeferExample", "dgExample"])
def test_an_example_of_the_dcsa_standard_arrives_unaltered(pair: Pair, name: str) -> None:
    data = dcsa_examples()[name]
    issued, report = travel(pair, pair.file(f"{name}.json", data), CARRIER)
    assert issued["type"] == "bill-of-lading"
    assert issued["number"] == json.loads(data)["transportDocumentReference"]
    warned = rules(report["findings"])
    assert warned == rules(issued["warnings"])
    # The number HLXU1234567 fails ISO 6346: told, and no reason to refuse the bill.
    assert ("BOL-001" in warned) == (name == "dgExample")


def test_all_examples_of_that_operation_were_tried() -> None:
    assert set(dcsa_examples()) == {"regularSTDExample", "reeferExample", "dgExample"}


def test_a_certificate_of_another_system_arrives_with_its_deviations_as_warnings(
    pair: Pair,
) -> None:
    source = shared_path("vectors/documents/ephyto_xml/mattilsynet_SPSCertificateContent.xml")
    issued, report = travel(pair, pair.file("foreign.xml", source.read_bytes()), CARRIER)
    assert (issued["type"], issued["exportCountry"]) == (PHYTO, "AR")
    assert {"PHY-003", "PHY-070"} <= rules(report["findings"])


def expected(kinds: tuple[str, ...]) -> list[Path]:
    """The own certificates that INDEX.json expects to be one of these."""
    index = json.loads(shared_path("vectors/documents/INDEX.json").read_text())
    return [
        shared_path(f"vectors/documents/{one['file']}")
        for one in index
        if one["file"].startswith("ephyto_xml/own/") and one["expected"] in kinds
    ]


def test_valid_and_lenient_certificates_travel_in_both_directions(pair: Pair) -> None:
    files = expected(("valid", "lenient-valid"))
    assert [file.name for file in files] == ["ok_pc.xml", "ok_qualified_spelling.xml"]
    # Both spell one certificate, and one issuer has each number once.
    for file, sender in zip(files, (CARRIER, CUSTOMS), strict=True):
        issued, report = travel(pair, pair.file(file.name, file.read_bytes()), sender)
        assert issued["number"] == "TH-PC-2025-000123"
        # A copy of a number that is held already is compared with it, and says so.
        assert rules(report["findings"]) <= {"PHY-003", "ALT-001"}


def test_certificates_with_errors_are_refused_and_nothing_is_kept(pair: Pair) -> None:
    place = ("--home", pair.carrier.path)
    before = kept(pair.carrier)
    files = expected(("rule-invalid", "schema-invalid", "reject"))
    assert len(files) > 7
    for file in files:
        if file.name == "bad_future_issue.xml":
            continue  # its date has passed meanwhile, or will
        done = pratique("issue", file, "--type", PHYTO, "--to", CUSTOMS, *place, "--json")
        assert done.returncode in (2, 4), file.name
        told = json.loads(done.stdout)
        assert told["title"], file.name
        assert told["next"], file.name
        assert told["code"] == "document_has_errors" or told["code"].startswith("xml_"), told
    assert kept(pair.carrier) == before


def kept(home: Home) -> tuple[set[str], set[str]]:
    """Digests of the documents and ids of the messages there, whatever becomes of them."""
    documents = run("documents", "--home", home.path)["documents"]
    messages = run("outbox", "--home", home.path)["items"]
    return {one["digest"] for one in documents}, {one["id"] for one in messages}


def test_the_title_needs_a_bill_that_is_issued(pair: Pair) -> None:
    place = ("--home", pair.carrier.path)
    party = run("title", "party", "exporter", *place)["did"]
    run("trust", "ask", "--party", f"{party}=Exporter", *place)
    run("trust", "sign", "--all", *place)
    examples = dcsa_examples()
    for name, status in (("regularSTDExample", "DRAFT"), ("reeferExample", "APPROVED")):
        assert json.loads(examples[name])["transportDocumentStatus"] == status
        digest = run("issue", pair.file("bill.json", examples[name]), *place)["digest"]
        told = run("title", "issue", digest, "--holder", party, *place, code=4)
        assert (told["code"], "not ISSUED" in told["detail"]) == ("title_not_a_bill", True)
    digest = run("issue", pair.file("bill.json", examples["dgExample"]), *place)["digest"]
    title = run("title", "issue", digest, "--holder", party, *place)
    assert title["outcome"] == "final"
    shown = text("title", "show", title["title"], *place)
    assert "LIVE" in shown
    assert title["title"] in shown


@pytest.mark.parametrize("language", ["C.UTF-8", "zh_CN.UTF-8"])
def test_what_is_shown_can_be_copied_whole_at_80_columns(pair: Pair, language: str) -> None:
    list_ = json.loads(registry.example("packing-list")) | {"number": f"PL-{language}"}
    del list_["consignment"]  # as every document here, of a consignment of its own
    file = pair.file(f"{language}.json", json.dumps(list_).encode())
    validated(pair, travel(pair, file, CARRIER)[0]["digest"])
    shown = {
        (name, home): text(*name.split(), "--home", home.path, LANG=language)
        for name in ("documents", "trust show", "status", "outbox", "inbox")
        for home in (pair.carrier, pair.customs)
    }
    held = run("documents", "--home", pair.customs.path)["documents"]
    for one in held:
        assert one["digest"] in shown["documents", pair.customs]
        assert one["issuer"] in shown["documents", pair.customs]
    for home in (pair.carrier, pair.customs):
        assert home.endpoint_file.read_text() in shown["trust show", home]
        assert run("status", "--home", home.path)["network"] in shown["status", home]
    assert "receipted → PASSED" in shown["outbox", pair.carrier]
    assert UCR in shown["inbox", pair.customs]


def validated(pair: Pair, digest: str) -> None:
    """Wait until the carrier knows what the customs office found."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        sent = run("outbox", "--home", pair.carrier.path)["items"]
        if any(one["document"] == digest and one["validated"] == "PASSED" for one in sent):
            return
    raise AssertionError(sent)
