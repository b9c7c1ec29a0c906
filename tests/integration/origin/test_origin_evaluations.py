"""Origin evaluated over certificates that nodes hold, signed, sent, flagged when one is revoked."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.origin.service import OriginService
from node.trust.service import TrustService
from node.verification.service import VerificationService
from protocols.member_list import Agreement, IssuerEntry
from schemas import registry
from schemas.errors import TradeError
from tests.integration.release.road import eventually, operator, send, verdict
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft

COO = "preferential-certificate-of-origin"
SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("verification", VerificationService),
    ("origin", OriginService),
)
TODAY = datetime.now(UTC).date()


def certificate(number: str, country: str, hs: str, **more: Any) -> bytes:
    document = json.loads(registry.example(COO))
    for name in ("inputs", "balance", "departureDate", "consignment"):
        del document[name]
    line = document["goods"][0]
    line |= {"hs": hs, "originCountry": country, "originCriterion": "CTC", "cumulation": False}
    del line["fob"], line["regionalValueContent"]
    document |= {
        "number": number,
        "issueDate": TODAY.isoformat(),
        "validUntil": (TODAY + timedelta(days=300)).isoformat(),
        "exportCountry": country,
        "importCountry": "CN",
        **more,
    }
    document["issuer"] |= {"country": country, "did": did_of(f"{country.lower()}-cert")}
    return json.dumps(document).encode()


def question(cells: str, housing: str) -> dict[str, Any]:
    def named(country: str, number: str, digest: str) -> dict[str, str]:
        return {"issuer": did_of(f"{country.lower()}-cert"), "number": number, "digest": digest}

    return {
        "on": TODAY.isoformat(),
        "currency": "USD",
        "importingParty": "SG",
        "rulesEdition": "demonstration-hs2022",
        "good": {"hs": "850760", "hsEdition": "HS2022", "producedIn": "CN", "fob": "86400"},
        "materials": [
            {"id": "cells", "hs": "850760", "value": "38880", "origin": "originating",
             "from": "KR", "certificate": named("KR", "KR-1", cells)},
            {"id": "housing", "hs": "850790", "value": "6480", "origin": "originating",
             "from": "VN", "certificate": named("VN", "VN-1", housing)},
            {"id": "ics", "hs": "854239", "value": "21600", "origin": "non-originating"},
        ],
        "operations": [{"name": "assembling"}],
    }  # fmt: skip


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[dict[str, Node]]:
    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        types = tuple(registry.document_types())
        issuers = [IssuerEntry(did_of(f"{c.lower()}-cert"), COO, c, start) for c in ("KR", "VN")]
        pairs = [(a, b) for a in ("CN", "SG") for b in ("KR", "VN", "CN") if a != b]
        agreements = [Agreement(f"{a}-{b}".lower(), a, b, types, start) for a, b in pairs]
        return replace(draft, issuers=tuple(issuers), agreements=tuple(agreements))

    fast = {"exchange": {"retry_base": 0.05, "poll_interval": 0.2}, "status": {"ttl": 2.0}}
    member = Member(settings=fast)
    made = make_network(
        tmp_path,
        {
            "kr-cert": replace(member, roles=("issuer",), country="KR"),
            "vn-cert": replace(member, roles=("issuer",), country="VN"),
            "cn-cert": replace(member, roles=("issuer",), country="CN"),
            "sg-customs": replace(member, roles=("customs",), country="SG"),
        },
        change=change,
    )
    async with running_network(made, services=SERVICES) as running:
        yield running


async def issue(node: Node, payload: bytes, *to: str) -> str:
    body = {"payload": base64.b64encode(payload).decode(), "type": COO}
    digest: str = (await operator(node).apost("/v1/documents", body))["digest"]
    await send(node, digest, *to)
    return digest


async def arrived(nodes: Mapping[str, Node], digest: str, *names: str) -> None:
    for name in names:
        assert await eventually(lambda name=name: verdict(nodes[name], digest)) == "PASSED"


def _percent(report: Mapping[str, Any]) -> str:
    tests = report["origin"]["tests"]
    found: str = next(t for t in tests if t["id"] == "RCEP-030")["evidence"]["percent"]
    return found


async def test_r25_a_revoked_input_flags_every_evaluation_that_stands_on_it(
    nodes: dict[str, Node],
) -> None:
    both = ("cn-cert", "sg-customs")
    cells = await issue(nodes["kr-cert"], certificate("KR-1", "KR", "850760"), *both)
    housing = await issue(nodes["vn-cert"], certificate("VN-1", "VN", "850790"), *both)
    for digest in (cells, housing):
        await arrived(nodes, digest, *both)
    maker, customs = operator(nodes["cn-cert"]), operator(nodes["sg-customs"])
    body = {"question": question(cells, housing), "sign": True}
    made = await maker.apost("/v1/origin-evaluations", body)
    assert (made["evaluation"]["verdict"], _percent(made["evaluation"])) == ("PASSED", "75")
    again = await maker.apost("/v1/origin-evaluations", body)
    assert again["document"] == made["document"]
    await send(nodes["cn-cert"], made["document"], "sg-customs")
    await arrived(nodes, made["document"], "sg-customs")
    path = f"/v1/origin-evaluations/{made['document']}"
    before = await customs.aget(path)
    assert (before["basisLost"], before["reproduced"]["outcome"]) == ([], "PASSED")

    reason = {"reason": "issued in error"}
    await operator(nodes["kr-cert"]).apost(f"/v1/documents/{cells}/revoke", reason)
    for client in (maker, customs):

        async def lost(client: Any = client) -> Any:
            found = await client.aget(path)
            return found if found["basisLost"] else None

        after = await eventually(lost)
        assert after["basisLost"] == [cells]
        assert (after["signed"]["verdict"], after["now"]["verdict"]) == ("PASSED", "FAILED")
        assert _percent(after["now"]) == "30"
    assert (await customs.aget(f"/v1/documents/{made['document']}"))["status"]["revoked"] is False


async def test_a_certificate_that_is_not_here_or_is_another_never_makes_origin(
    nodes: dict[str, Node],
) -> None:
    other = await issue(nodes["kr-cert"], certificate("KR-1", "KR", "850790"), "cn-cert")
    await arrived(nodes, other, "cn-cert")
    maker = operator(nodes["cn-cert"])
    asked = {"question": question(other, "ab" * 32)}
    answer = await maker.apost("/v1/origin-evaluations", asked)
    told = {each["digest"]: (each["status"], each["code"]) for each in answer["inputs"]}
    assert told[other] == ("FAILED", "certificate_other_goods")
    assert told["ab" * 32] == ("INDETERMINATE", "certificate_not_here")
    assert answer["evaluation"]["verdict"] == "FAILED"
    assert "document" not in answer
    abroad = certificate("KR-2", "KR", "850760", importCountry="TH")
    elsewhere = await issue(nodes["kr-cert"], abroad, "cn-cert")
    await arrived(nodes, elsewhere, "cn-cert")
    asked = question(elsewhere, "ab" * 32)
    asked["materials"][0]["certificate"]["number"] = "KR-2"
    answer = await maker.apost("/v1/origin-evaluations", {"question": asked})
    assert answer["inputs"][0]["reason"] == "it is for import into TH"
    unknown = {"question": question("cd" * 32, "ab" * 32)}
    open_ = await maker.apost("/v1/origin-evaluations", unknown)
    assert open_["evaluation"]["verdict"] == "INDETERMINATE"


async def test_a_bad_question_and_a_document_of_another_type_are_refused(
    nodes: dict[str, Node],
) -> None:
    maker = operator(nodes["cn-cert"])
    for body in ({"question": {"on": "2026-02-30"}}, {"question": {}}, {"sign": True}):
        with pytest.raises(TradeError) as caught:
            await maker.apost("/v1/origin-evaluations", body)
        assert caught.value.code in {"origin_question_malformed", "issue_malformed"}
    held = await issue(nodes["kr-cert"], certificate("KR-1", "KR", "850760"))
    with pytest.raises(TradeError) as caught:
        await operator(nodes["kr-cert"]).aget(f"/v1/origin-evaluations/{held}")
    assert caught.value.code == "origin_evaluation_other_type"


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(build(arguments), list(arguments))


def test_the_command_evaluates_without_a_node_and_works_its_report_out_again(
    tmp_path: Path,
) -> None:
    cells, housing = "aa" * 32, "bb" * 32
    file, report = tmp_path / "question.json", tmp_path / "report.json"
    file.write_text(json.dumps(question(cells, housing)))
    status = [f"--status={digest}=PASSED" for digest in (cells, housing)]
    done = _run("origin", "evaluate", str(file), "--offline", "--json", *status)
    assert done.exit_code == 0
    report.write_text(done.stdout)
    assert _percent(json.loads(done.stdout)["evaluation"]) == "75"
    assert _run("origin", "reproduce", str(report)).exit_code == 0
    report.write_text(done.stdout.replace('"PASSED"', '"FAILED"', 1))
    assert _run("origin", "reproduce", str(report)).exit_code == 1
    assert _run("origin", "evaluate", str(file), "--offline").exit_code == 3
    status[0] = f"--status={cells}=FAILED"
    shown = _run("origin", "evaluate", str(file), "--offline", *status)
    assert shown.exit_code == 1
    assert "percent 30" in shown.stdout
    assert "demonstration data" in shown.stdout
    listed = json.loads(_run("origin", "data", "--json").stdout)
    assert {"rcep-agreement.json", "rcep-rules-hs2012.json"} <= {each["file"] for each in listed}
