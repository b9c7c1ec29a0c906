"""A running node signs under a certificate and twice, has documents stamped, renews bundles."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from node.documents import signing
from node.evidence import renewing
from node.evidence.renewing import Wish
from node.http.listening import Listening
from protocols import timestamp
from protocols.credentials import credential
from protocols.evidence import archive
from protocols.evidence.verification import verify_bundle
from protocols.keys import thumbprint
from schemas import registry
from schemas.errors import ConflictError, RefusedError, SettingsError, TradeError
from tests.support import founded_homes, pki
from tests.support.running import free_port, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from node.runtime import Node
    from protocols.member_list import MemberList

KEY = "certificate-of-origin"
EXAMPLE = registry.example(KEY)
EXPORT = registry.examine(KEY, EXAMPLE).view.export_country or "CN"
DID = "did:web:chamber.example"
ROOT = pki.root("Chamber Root")
TIME_ROOT = pki.root("Time Root")
STAMPER = pki.server(TIME_ROOT)


class StoppedError(Exception):
    """Stands for a stop of the command half-way."""


class TimeServer:
    """An RFC 3161 server on loopback that counts and can be told to answer wrongly."""

    def __init__(self) -> None:
        self.port = free_port()
        self.queries: list[bytes] = []
        self.answer: bytes | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stamp"

    async def handle(self, request: web.Request) -> web.Response:
        from rfc3161_client import _rust

        query = await request.read()
        self.queries.append(query)
        read = _rust.parse_timestamp_request(query)
        body = self.answer or stamped(read.message_imprint.message, read.nonce)
        return web.Response(body=body, content_type=timestamp.MEDIA_TYPE_REPLY)


def stamped(digest: bytes, nonce: int) -> bytes:
    """A stamp over a digest that arrived: the server never sees more."""
    return STAMPER.stamp(b"", datetime.now(UTC), nonce=nonce, digest=digest)


@asynccontextmanager
async def serving(server: TimeServer) -> AsyncIterator[TimeServer]:
    app = web.Application()
    app.router.add_post("/stamp", server.handle)
    listening = await Listening.start(web.AppRunner(app), server.port)
    try:
        yield server
    finally:
        await listening.close()


@asynccontextmanager
async def world(
    path: Path,
    *,
    sections: dict[str, Any] | None = None,
    listed: bool = True,
    interval: float = 60.0,
) -> AsyncIterator[tuple[Node, Any, TimeServer]]:
    server = TimeServer()
    home = founded_homes.make(
        path, "chamber", EXPORT, "issuer",
        **{"timestamp": {"url": server.url, "interval": interval},
           "log": {"checkpoint_interval": 0.05}, **(sections or {})},
    )  # fmt: skip
    founded_homes.found(home, (KEY, EXPORT))
    async with serving(server), running_node(home) as node:
        client = founded_homes.client(node)
        if listed:
            anchors = [("credential", DID, ROOT), ("timestamp", server.url, TIME_ROOT)]
            body = {"anchors": [anchor(*each) for each in anchors]}
            await asyncio.to_thread(client.post, "/v1/trust/sign", body)
            assert len(members(node).anchors) == 2
        yield node, client, server


def anchor(purpose: str, subject: str, certificate: pki.Authority) -> dict[str, str]:
    text = base64.b64encode(certificate.der).decode()
    return {
        "purpose": purpose,
        "subject": subject,
        "certificate": text,
        "validFrom": "2026-01-01T00:00:00Z",
    }


def members(node: Node) -> MemberList:
    current = node.members.current
    assert current is not None
    return current


async def issue(client: Any, **more: str) -> tuple[dict[str, Any], bytes]:
    body = {"payload": base64.b64encode(EXAMPLE).decode(), **more}
    document = await asyncio.to_thread(client.post, "/v1/documents", body)
    path = f"/v1/documents/{document['digest']}"
    accept = {"Accept": document["mediaType"]}
    answer = await asyncio.to_thread(lambda: client.request("GET", path, headers=accept))
    return document, answer.body


async def verified(client: Any, file: bytes, **more: Any) -> dict[str, Any]:
    body = {"file": base64.b64encode(file).decode(), **more}
    report: dict[str, Any] = await asyncio.to_thread(client.post, "/v1/verify", body)
    return report


def check(report: dict[str, Any], check_id: str) -> dict[str, Any] | None:
    return next((each for each in report["checks"] if each["id"] == check_id), None)


@pytest.mark.asyncio
async def test_group_04_a_node_with_a_chain_signs_under_it_and_verify_shows_the_path(
    tmp_path: Path,
) -> None:
    sections = {"credential": {"certificates": "chain.pem"}}
    async with world(tmp_path, sections=sections) as (node, client, _):
        with pytest.raises(TradeError):
            await issue(client)
        certify(node, node.did)
        _, file = await issue(client)
        assert len(credential.open_file(file).jws.header.x5c) == 1
        report = await verified(client, file)
        path = check(report, "CRED-15")
        assert path is not None
        assert path["outcome"] == "PASSED"
        assert path["evidence"]["path"] == ["CN=Test Signer", "CN=Chamber Root"]
        certify(node, "did:web:another.example")
        with pytest.raises(SettingsError, match="certificate_chain_bad"):
            signing.signing(node, members(node))


def certify(node: Node, uri: str) -> None:
    """A certificate for the node's credential key, configured as the node's chain."""
    signer = node.keys.signer("credential")
    leaf = pki.leaf(ROOT, uri, Certified(signer))
    pem = x509.load_der_x509_certificate(leaf.der).public_bytes(Encoding.PEM)
    (node.home.path / "chain.pem").write_bytes(pem)
    assert thumbprint(signer.public_jwk)


class Certified:
    """The public half of a signer's key, as a certificate is made from."""

    def __init__(self, signer: Any) -> None:
        self._raw = signer.public().raw()

    def public_key(self) -> object:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self._raw)


@pytest.mark.asyncio
async def test_group_06_a_node_asked_to_signs_twice_with_a_key_made_by_command(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, sections={"credential": {"countersign": True}}) as (node, client, _):
        with pytest.raises(TradeError) as caught:
            await issue(client)
        assert caught.value.code == "countersigning_key_missing"
        order = {"purpose": "credential", "algorithm": "ML-DSA-65"}
        made = await asyncio.to_thread(client.post, "/v1/keys", order)
        asked = await asyncio.to_thread(client.post, "/v1/trust/ask", {"wants": []})
        await asyncio.to_thread(client.post, "/v1/trust/sign", {"requests": [asked["id"]]})
        assert members(node).key(made["kid"]) is not None
        document, file = await issue(client)
        assert document["mediaType"] == credential.MEDIA_TYPE_BESIDE
        again, _ = await issue(client)
        assert again["digest"] == document["digest"]
        found = check(await verified(client, file), "CRED-16")
        assert found is not None
        assert found["outcome"] == "PASSED"
        stripped = file.partition(b" ")[0]
        assert check(await verified(client, stripped), "CRED-16") is None
        await ask_for_both(node, client)
        found = check(await verified(client, stripped), "CRED-16")
        assert found is not None
        assert found["code"] == "countersignature_missing"


async def ask_for_both(node: Node, client: Any) -> None:
    """The roots' next list asks for two signatures from now on, edited as people edit it."""
    edited = await asyncio.to_thread(client.get, "/v1/trust/list")
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    edited["nodes"][0]["countersignedFrom"] = since
    await asyncio.to_thread(client.post, "/v1/trust/sign", {"list": edited})
    entry = members(node).node(node.did)
    assert entry is not None
    assert entry.countersigned_from is not None


@pytest.mark.asyncio
async def test_group_25_a_node_has_documents_stamped_and_believes_only_its_listed_server(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as (node, client, server):
        document, file = await issue(client)
        path = f"/v1/documents/{document['digest']}/timestamp"
        told = await asyncio.to_thread(client.post, path, {})
        assert len(server.queries) == 1
        assert credential.open_file(file).file.credential.encode() not in server.queries[0]
        again = await asyncio.to_thread(client.post, path, {})
        assert again == told
        assert len(server.queries) == 1
        found = check(await verified(client, file), "TST-01")
        assert found is not None
        assert found["outcome"] == "PASSED"
        server.answer = base64.b64decode(told["token"])
        with pytest.raises(RefusedError) as caught:
            await node.evidence.stamping.stamp(b"other bytes")
        assert caught.value.code == "tsa_other_digest"
        server.answer = b"not der"
        with pytest.raises(TradeError, match="tsa_not_der"):
            await node.evidence.stamping.stamp(b"other bytes")


@pytest.mark.asyncio
async def test_group_25_what_is_issued_is_stamped_by_itself_and_waits_for_no_server(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, interval=0.05) as (node, client, server):
        server.answer = b"away"
        document, file = await issue(client)
        digest = bytes.fromhex(document["digest"])
        await _until(lambda: len(server.queries) >= 2)  # asked again, and the document is there
        assert node.evidence.stamping.held(digest) == b""
        server.answer = b""
        await _until(lambda: node.evidence.stamping.held(digest) != b"")
        asked = len(server.queries)
        found = check(await verified(client, file), "TST-01")
        assert found is not None
        assert found["outcome"] == "PASSED"
        # It looks at the same events once more: one stamp is enough.
        node.evidence._issued._cursor = 0
        await node.evidence._issued.look()
        assert len(server.queries) == asked


async def _until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if look():
                return
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_r7_a_server_that_the_list_does_not_name_is_never_called(tmp_path: Path) -> None:
    async with world(tmp_path, listed=False) as (node, client, server):
        with pytest.raises(RefusedError, match="tsa_not_listed"):
            await node.evidence.stamping.stamp(b"bytes")
        document, _ = await issue(client)
        with pytest.raises(TradeError):
            await asyncio.to_thread(
                client.post, f"/v1/documents/{document['digest']}/timestamp", {}
            )
        assert server.queries == []


@pytest.mark.asyncio
async def test_bundles_are_renewed_together_and_a_stop_on_the_way_costs_nothing(
    tmp_path: Path,
) -> None:
    async with world(tmp_path / "n") as (node, client, server):
        document, _ = await issue(client)
        bundle, _ = await node.evidence.export(document["consignment"])
        folder = tmp_path / "bundles"
        folder.mkdir()
        count = 5
        for number in range(count):
            (folder / f"{number}.zip").write_bytes(bundle)
        now = datetime.now(UTC) + timedelta(minutes=1)
        names = set(archive.read(bundle)[0])
        assert "timestamps/001.tsr" in names
        asked = len(server.queries)

        def ask(data: bytes) -> bytes:
            return asyncio.run_coroutine_threadsafe(
                node.evidence.stamping.stamp(data), loop
            ).result(60)

        loop = asyncio.get_running_loop()
        wish = Wish((folder,), tmp_path / "work")

        def stopping(done: int, total: int) -> None:
            if done == count + 2:
                raise StoppedError

        with pytest.raises(StoppedError):
            await asyncio.to_thread(renewing.renew, wish, ask, stopping)
        told = await asyncio.to_thread(renewing.renew, wish, ask, lambda *_: None)
        assert told["bundles"] == count
        assert told["renewed"] == count - 2
        assert len(server.queries) == asked + 1
        for file in folder.iterdir():
            report = verify_bundle(file.read_bytes(), members(node), now=now)
            renewed = report.check("EVI-13")
            assert renewed is not None
            assert renewed.outcome.value == "PASSED", renewed
            assert len(renewed.evidence["renewed"]) == 1
        _refuses_changes(folder, tmp_path)


def _refuses_changes(folder: Path, tmp_path: Path) -> None:
    """By hand: the query is written, and a bundle that changed meanwhile is named."""
    work = tmp_path / "by-hand"
    wish = Wish((folder,), work, by_hand=True)
    told = renewing.renew(wish, pytest.fail, lambda *_: None)
    assert told["next"] == "--token"
    query = (work / "query.tsq").read_bytes()
    from rfc3161_client import _rust

    read = _rust.parse_timestamp_request(query)
    token = tmp_path / "answer"
    token.write_bytes(stamped(read.message_imprint.message, read.nonce))
    first = min(folder.iterdir())
    kept = first.read_bytes()
    first.write_bytes(archive.write({"history.json": b"[]"}))
    with pytest.raises(ConflictError, match="renewal_changed"):
        renewing.renew(Wish((folder,), work, token), pytest.fail, lambda *_: None)
    first.write_bytes(kept)
    told = renewing.renew(Wish((folder,), work, token), pytest.fail, lambda *_: None)
    assert told["renewed"] == len(list(folder.iterdir()))
    other = Wish((first,), work)
    renewing.renew(Wish((folder,), work, by_hand=True), pytest.fail, lambda *_: None)
    with pytest.raises(ConflictError, match="renewal_other_batch"):
        renewing.renew(other, pytest.fail, lambda *_: None)


@pytest.mark.asyncio
async def test_a_node_without_a_server_says_so(tmp_path: Path) -> None:
    async with world(tmp_path, sections={"timestamp": {"url": ""}}) as (node, _, _server):
        with pytest.raises(ConflictError, match="tsa_not_configured"):
            await node.evidence.stamping.stamp(b"bytes")
