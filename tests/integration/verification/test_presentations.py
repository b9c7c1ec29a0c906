"""A holder presents a member's documents to a node: answered once, each looked up by itself."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from node.documents import documents
from protocols import keys
from protocols.credentials import data_integrity, did, envelope, presentation
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

road = importlib.import_module("tests.integration.release.road")


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[tuple[Made, dict[str, Node]]]:
    made = road.made(tmp_path, witnesses=())
    async with road.running(made) as nodes:
        yield made, nodes


def presented(files: list[str], challenge: str, domain: str) -> bytes:
    """The documents in one presentation, signed by a holder that nobody knows."""
    private = ed25519.Ed25519PrivateKey.generate()
    name = did.key_did(keys.SoftwareSigner("", private).public())
    holder = keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)
    members = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": name,
        "verifiableCredential": [
            envelope.wrap(envelope.CREDENTIAL, "vc+jwt", file) for file in files
        ],
    }
    made = data_integrity.draft(
        members,
        holder,
        created=datetime.now(UTC),
        purpose=presentation.AUTHENTICATION,
        more={"challenge": challenge, "domain": domain},
    )
    return strict_json.canonical(data_integrity.complete(made, holder))


async def ask(node: Node, data: bytes, **query: str) -> Any:
    path = "/v1/verify?" + "&".join(f"{name}={value}" for name, value in query.items())
    headers = {"Content-Type": "application/vp"}
    answer = await road.operator(node).arequest("POST", path, data, headers=headers)
    return json.loads(answer.body)


def outcomes(report: Any) -> dict[str, str]:
    return {check["id"]: check.get("code") or check["outcome"] for check in report["checks"]}


async def test_a_presentation_answers_a_challenge_once_and_its_documents_are_looked_up(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    customs = nodes["nl-customs"]
    files = []
    for kind in ("packing-list", "commercial-invoice"):
        digest = await road.issue(nodes, kind, ("nl-customs",))
        stored = await customs.store.read(documents.get, bytes.fromhex(digest))
        files.append(stored.file.decode())
    given = await road.operator(customs).apost("/v1/challenges", {})
    asked = {"nonce": given["nonce"], "audience": given["audience"]}
    shown = presented(files, given["nonce"], given["audience"])
    report = await ask(customs, shown, **asked)
    assert report["verdict"] == "PASSED", report
    told = next(check for check in report["checks"] if check["id"] == "VP-03")
    assert [one["verdict"] for one in told["evidence"]["credentials"]] == ["PASSED", "PASSED"]
    again = await ask(customs, shown, **asked)
    assert again["verdict"] != "PASSED"
    assert outcomes(again)["VP-01"] == "nonce_used"
    assert outcomes(await ask(customs, shown))["VP-01"] == "challenge_not_asked"
    forged = shown.replace(files[1][-40:].encode(), b"A" * 40)
    assert outcomes(await ask(customs, forged, **asked))["CRED-03"] == "proof_verification_error"


async def test_an_enveloping_object_of_ours_is_the_document(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    customs = nodes["nl-customs"]
    digest = await road.issue(nodes, "packing-list", ("nl-customs",))
    stored = await customs.store.read(documents.get, bytes.fromhex(digest))
    wrapped = envelope.wrap(envelope.CREDENTIAL, "vc+jwt", stored.file.decode())
    assert await customs.log.wait_for(stored.leaf, 60.0, witnessed=False) is not None
    report = await ask(customs, strict_json.canonical(wrapped))
    assert report["verdict"] == "PASSED"
    assert report["subject"] == digest
    assert report["document"]["type"] == "packing-list"
