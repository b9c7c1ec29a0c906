"""Documents in JSON form with a Data Integrity proof: made by command, and verified again."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.documents import documents, proving
from node.documents.service import DocumentService
from node.store import events
from node.trust.service import TrustService
from node.verification.service import VerificationService
from schemas import registry
from schemas.errors import ForbiddenError, NotFoundError, RefusedError, TooLargeError
from tests.support import founded_homes
from tests.support.running import running_node

if TYPE_CHECKING:
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node

SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("verification", VerificationService),
)
KEY, SPS = "certificate-of-origin", "phytosanitary-certificate"
EXPORT = registry.examine(KEY, registry.example(KEY)).view.export_country or "CN"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = founded_homes.make(tmp_path, "alpha", EXPORT, "issuer", "plant-health")
    founded_homes.found(made, (KEY, EXPORT), (SPS, EXPORT))
    return made


async def issued(node: Node, key: str = KEY) -> str:
    payload = base64.b64encode(registry.example(key)).decode()
    made = await founded_homes.client(node).apost("/v1/documents", {"payload": payload})
    digest: str = made["digest"]
    return digest


async def judged(node: Node, file: bytes) -> Any:
    body = {"file": base64.b64encode(file).decode()}
    return await founded_homes.client(node).apost("/v1/verify", body)


async def test_a_document_is_proven_by_command_and_verifies_with_its_fetched_status(
    home: Home, tmp_path: Path
) -> None:
    async with running_node(home, services=SERVICES) as node:
        digest = await issued(node)
        out = tmp_path / "proven.json"
        command = ["prove", digest, "--home", str(home.path), "-o", str(out)]
        result = await asyncio.to_thread(CliRunner().invoke, build(command), command)
        assert result.exit_code == 0, result.output
        document = json.loads(out.read_bytes())
        assert document["proof"]["cryptosuite"] == "ecdsa-jcs-2019"
        report = await judged(node, out.read_bytes())
        assert report["verdict"] == "PASSED", report
        assert "CRED-10" in {check["id"] for check in report["checks"]}
        told = [one for one in await node.store.read(events.after) if one.kind == "proved"]
        assert [one.document for one in told] == [bytes.fromhex(digest)]
        shown = await asyncio.to_thread(CliRunner().invoke, build(command[:4]), command[:4])
        assert json.loads(shown.stdout)["id"] == document["id"]
        path = f"/v1/documents/{digest}"
        await founded_homes.client(node).apost(f"{path}/revoke", {"reason": "wrong weight"})
        report = await judged(node, out.read_bytes())
        assert report["verdict"] == "FAILED"
        assert "revoked" in {check.get("code") for check in report["checks"]}


async def test_only_our_own_json_documents_of_readable_size_are_proven(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(home, services=SERVICES) as node:
        with pytest.raises(NotFoundError):
            await node.store.read(proving.prove, node, bytes(32))
        beside = bytes.fromhex(await issued(node, SPS))
        with pytest.raises(RefusedError) as caught:
            await node.store.write(proving.prove, node, beside)
        assert caught.value.code == "document_not_json"
        assert "xml" in caught.value.detail
        digest = bytes.fromhex(await issued(node))
        monkeypatch.setattr(proving.foreign_credential, "MAX_BYTES", 10)
        with pytest.raises(TooLargeError):
            await node.store.write(proving.prove, node, digest)
        stored = await node.store.read(documents.require, digest)
        foreign = replace(stored, issuer="did:web:beta.example")
        monkeypatch.setattr(proving.documents, "require", lambda conn, digest: foreign)
        with pytest.raises(ForbiddenError):
            await node.store.write(proving.prove, node, digest)
