"""Group 27 where strangers are served, challenges answered and evidence is put together.

A node in VC-API mode issues with concealed members and verifies whole, shown, broken and hostile
credentials; a relying node answers presentations of a document shown in part and bundles what it
holds. All at debug level; then everything they wrote is searched.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519

from node.store.registered import all_metadata
from protocols import keys
from protocols.credentials import data_integrity, did, envelope, presentation, sd_credential
from schemas import strict_json
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Connection

    from node.runtime import Node

elsewhere = importlib.import_module("tests.integration.sd_jwt.test_group_27")
road = importlib.import_module("tests.integration.release.road")
shown = importlib.import_module("tests.integration.sd_jwt.test_shown_in_part")
vc_api = importlib.import_module("tests.integration.vc_api.test_vc_api")

CANARY = "Canarybird Concealed Holdings"


def columns_with(conn: Connection, canaries: list[bytes]) -> set[str]:
    """Every column of every store in which one of `canaries` stands."""
    return {
        f"{table.name}.{name}"
        for metadata in all_metadata()
        for table in metadata.sorted_tables
        for row in conn.execute(table.select())
        for name, value in row._mapping.items()
        if any(
            one in (value if isinstance(value, bytes) else str(value).encode()) for one in canaries
        )
    }


async def test_group_27_the_vc_api_writes_down_nothing_that_strangers_show_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**vc_api.SETTINGS, "telemetry": {"log_level": "debug"}}
    monkeypatch.setattr(vc_api, "SETTINGS", settings)
    async with vc_api.running(tmp_path) as (node, caller):
        credential = {**vc_api.CREDENTIAL, "credentialSubject": {"id": "urn:x", "name": CANARY}}
        body = {"credential": credential, "options": {"conceal": ["/credentialSubject/name"]}}
        status, issued = await caller.post("/sd-jwt/p-256/credentials/issue", body)
        assert status == 201
        text = issued["id"].partition(",")[2]
        signed, disclosure, _ = text.split("~")
        salt = json.loads(base64.urlsafe_b64decode(disclosure + "=="))[0]
        secret = [CANARY, disclosure, salt]
        told = ""
        for broken in (
            f"{signed}~",
            f"{signed[:-6]}AAAAAA~{disclosure}~",
            f"{signed}~{disclosure}~{disclosure}~",
            f"{signed}~{disclosure[:-4]}AAAA~",
            f"{signed}~{disclosure}",
            f"{disclosure}.{disclosure}.{disclosure}",
            CANARY,
        ):
            for members in (broken, envelope.wrap(envelope.CREDENTIAL, "vc+sd-jwt", broken)):
                path = "/sd-jwt/p-256/credentials/verify"
                _, answer = await caller.post(path, {"verifiableCredential": members})
                told += json.dumps(answer)
        for path in ("credentials/issue", "presentations/verify", "credentials/status"):
            for request in ({CANARY: disclosure}, f"{{{CANARY}".encode(), [salt]):
                _, answer = await caller.post(f"/sd-jwt/p-256/{path}", request)
                told += json.dumps(answer)
        status, whole = await caller.post(
            "/sd-jwt/p-256/credentials/verify", {"verifiableCredential": issued}
        )
        assert (status, whole["document"]["credentialSubject"]["name"]) == (200, CANARY)
        told += await elsewhere.answers(node, ("GET", "/metrics", b""), ("GET", "/v1/events", b""))
        written = capfd.readouterr()
        logs = written.out + written.err
        assert '"level": "debug"' in logs or '"level":"debug"' in logs
        for canary in (*secret, node.token):
            assert canary not in logs
            assert canary not in told
        everything = [one.encode() for one in (*secret, signed)]
        assert await node.store.read(lambda conn: columns_with(conn, everything)) == set()
        assert elsewhere.files_with(node.home.path, everything) == set()


def presented(file: str, asked: dict[str, str]) -> bytes:
    """One document shown in part, in a presentation that answers a challenge."""
    private = ed25519.Ed25519PrivateKey.generate()
    name = did.key_did(keys.SoftwareSigner("", private).public())
    holder = keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)
    members = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": name,
        "verifiableCredential": [envelope.wrap(envelope.CREDENTIAL, "vc+sd-jwt", file)],
    }
    made = data_integrity.draft(
        members,
        holder,
        created=datetime.now(UTC),
        purpose=presentation.AUTHENTICATION,
        more={"challenge": asked["nonce"], "domain": asked["audience"]},
    )
    return strict_json.canonical(data_integrity.complete(made, holder))


async def test_group_27_presentations_challenges_and_evidence_hold_only_what_was_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = road.made(tmp_path, witnesses=())
    elsewhere.at_debug_level(made)
    async with road.running(made) as nodes:
        issuer, port = nodes["cn-cert"], nodes["nl-port"]
        client = road.operator(issuer)
        digest = (await client.apost("/v1/documents", shown.order()))["digest"]
        file = (await shown.stored(issuer, digest)).file
        canaries = shown.secrets_of(file)
        part = {"to": [did_of("nl-port")], "disclose": []}
        await client.apost(f"/v1/documents/{digest}/send", part)
        await shown.arrived(port, digest)
        bare = sd_credential.present(file, []).text
        asked = await road.operator(port).apost("/v1/challenges", {})
        good = presented(bare, asked)
        told = ""
        for data in (good, good, good.replace(bare[-30:-10].encode(), b"A" * 20)):
            told += await _verify(port, data, asked)
        assert '"nonce_used"' in told
        whole = presented(file.decode(), await road.operator(port).apost("/v1/challenges", {}))
        told += await _verify(port, whole, asked)  # shown in full, and for another challenge
        bundle = await _bundle(port)
        relying = capfd.readouterr()
        logs = relying.out + relying.err
        for canary in (*canaries, port.token.encode(), issuer.token.encode()):
            assert canary.decode() not in logs
            assert canary.decode() not in told
            assert canary not in bundle
        assert bare[:60].encode() in bundle  # it is the document that was searched
        everything = [*canaries, whole[-200:]]
        assert await port.store.read(lambda conn: columns_with(conn, everything)) == set()
        assert elsewhere.files_with(port.home.path, everything) == set()


async def _verify(node: Node, data: bytes, asked: dict[str, str]) -> str:
    path = f"/v1/verify?nonce={asked['nonce']}&audience={asked['audience']}"
    headers = {"Content-Type": "application/vp"}
    answer = await road.operator(node).arequest("POST", path, data, headers=headers)
    return str(answer.body.decode())


async def _bundle(node: Node) -> bytes:
    """The evidence about the consignment, as the relying node can give it."""
    body = json.dumps({"consignment": road.UCR}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await road.operator(node).arequest("POST", "/v1/evidence", body, headers=headers)
    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())
