"""A node that is carrier and platform, and everybody else: one server that answers for all.

Outside are a platform OUTP and a carrier OUTC (ISS, SUR) that the operator wrote down, and a PINT
platform OUTS that was told of by the test switches. Every call, in both directions, is held against
DCSA's published files.
"""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from node.daemon import factories
from node.http.listening import Listening
from node.operator import OperatorClient
from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.pint import answers, signed
from protocols.pint.chain import issuance_manifest
from protocols.pint.documents import read_document_body
from protocols.pint.envelope import open_envelope_manifest, read_envelope
from tests.support import founded_homes
from tests.support import pint_world as w
from tests.support.contract import Ledger
from tests.support.pki import Spec, key_of, make
from tests.support.running import caller, free_port, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node

PLATFORM, OUTSIDE = "PRTQ", "OUTS"
OURS, KEY = "key-that-we-show", "X-Api-Key"
COUNTERPARTS = {"OUTP": "platform", "OUTC": "carrier"}
LEFT_OUT = {"vc_api", "evidence", "trace", "release", "anchor", "chain", "aeo", "origin"}
UNTIL = 90.0


@dataclass
class Outside:
    """Whoever is not our node. heard: path → bodies; documents: those that came."""

    ledger: Ledger
    port: int = field(default_factory=free_port)
    heard: dict[str, list[Any]] = field(default_factory=dict)
    documents: set[bytes] = field(default_factory=set)
    missing: list[bytes] = field(default_factory=list)
    last: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> str:
        made = make(Spec("outside", key=key_of("outside")))
        return load_der_x509_certificate(made.der).public_bytes(Encoding.PEM).decode()

    @property
    def signer(self) -> SoftwareSigner:
        return SoftwareSigner("outside-1", key_of("outside"))

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.headers["API-Version"] == "3"
        self.ledger.sent(request.method, request.path, body)
        value = orjson.loads(body) if body else None
        self.heard.setdefault(request.path, []).append(value)
        if request.path == "/v3/envelopes":
            return self._start(body)
        if "/additional-documents/" in request.path:
            self.documents.add(sha256(read_document_body(body)))
            return web.Response(status=204)
        if request.path.endswith("/finish-transfer"):
            return self._said(answers.received(signed.checksum(self.last), self.missing))
        if request.path == "/v3/receiver-validation":
            return web.json_response({"partyName": "Outside"})
        return web.Response(status=204, headers={"API-Version": "3.0.4"})

    def _start(self, body: bytes) -> web.Response:
        envelope = read_envelope(body)
        self.last = envelope.chain[-1]
        _, manifest = open_envelope_manifest(envelope.manifest)
        self.missing = [one for one in manifest.additional if one not in self.documents]
        last = signed.checksum(self.last)
        if not self.missing:
            return self._said(answers.received(last, manifest.additional))
        started = answers.StartedResponse(
            "ref-1", envelope.document_checksum, last, tuple(self.missing)
        )
        return web.json_response(started.to_json(), status=201)

    def _said(self, finished: answers.FinishedResponse) -> web.Response:
        body = answers.body_of(finished.sign(self.signer))
        return web.Response(status=finished.status, body=body, content_type="application/json")

    def manifest(self, document: Mapping[str, Any], issue_to: Mapping[str, Any]) -> str:
        """As a carrier: what it signs when it issues."""
        return issuance_manifest(document, issue_to).sign(self.signer)


@dataclass
class Contract:
    """Our node under contract, its operator, and who calls it."""

    node: Node
    outside: Outside
    ledger: Ledger
    session: aiohttp.ClientSession

    @property
    def operator(self) -> OperatorClient:
        return OperatorClient(self.node.local_url, self.node.token)

    async def call(
        self, method: str, path: str, body: object = None, *, by: str = "", **headers: str
    ) -> tuple[int, Any]:
        """A call to our node; its answer is held against the files. by: who shows a key"""
        raw = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        data = None if raw is None else io.BytesIO(raw)
        sent = {"API-Version": "3", "Content-Type": "application/json", **headers}
        if by:
            sent[KEY] = by
        url = self.node.local_url + path
        async with (
            asyncio.timeout(UNTIL),
            self.session.request(method, url, data=data, headers=sent) as answer,
        ):
            found = await answer.read()
        self.ledger.answered(method, path, answer.status, answer.headers, found)
        return answer.status, orjson.loads(found) if found else None

    async def heard(self, path: str, count: int = 1) -> Any:
        """The newest body that our node sent to that path, once there are so many."""
        await self.eventually(lambda: len(self.outside.heard.get(path, [])) >= count, path)
        return self.outside.heard[path][count - 1]

    async def eventually(self, look: Callable[[], bool], told: object) -> None:
        """Until it is so."""
        end = time.monotonic() + UNTIL
        while not look():
            assert time.monotonic() < end, told
            await asyncio.sleep(0.02)


def _home(folder: Path, outside: Outside) -> Home:
    home = founded_homes.make(
        folder, "prtq", "NL", "carrier", "pint-platform",
        node={"platform": PLATFORM},
        pint={"registry_required": False},
        ebl={"counterparts": "counterparts.toml", "retry_base": 0.05, "retry_cap": 0.2},
    )  # fmt: skip
    founded_homes.found(home, ("bill-of-lading", "NL"))
    (home.path / "ours.key").write_text(OURS)
    (home.path / "outside.pem").write_text(outside.certificate)
    tables = []
    for name, role in COUNTERPARTS.items():
        (home.path / f"{name}.key").write_text(name)
        tables += [f"[{name}]", f'role = "{role}"', f'url = "{outside.url}"',
                   'send = "X-Our-Key: ours.key"', f'expect = "{KEY}: {name}.key"',
                   'certificates = "outside.pem"', 'subscription = "SUB-1"', ""]  # fmt: skip
    (home.path / "counterparts.toml").write_text("\n".join(tables))
    return home


@asynccontextmanager
async def contract(folder: Path) -> AsyncIterator[Contract]:
    """The node and the others, running."""
    ledger = Ledger()
    outside = Outside(ledger)
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", outside.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    services = [one for one in factories() if one[0] not in LEFT_OUT]
    listening = await Listening.start(runner, outside.port)
    try:
        async with (
            running_node(_home(folder, outside), services=services) as node,
            caller() as session,
        ):
            yield Contract(node, outside, ledger, session)
    finally:
        await listening.close()


def account(name: str) -> dict[str, str]:
    """The code of a party with an account at our node."""
    return {"codeListProvider": "ZZZ", "partyCode": name, "codeListName": "TEST"}


async def with_account(held: Contract, name: str) -> dict[str, str]:
    """Let a party have an account here."""
    body = {"code": account(name), "name": name}
    await held.operator.apost("/v1/ebl/accounts", body)
    return account(name)


def bill(reference: str, **edits: Any) -> dict[str, Any]:
    """A bill in blank of its own."""
    return w.bill(**({"/transportDocumentReference": reference} | edits))


async def issuance_request(held: Contract, reference: str, name: str = "shipper") -> dict[str, Any]:
    """What the carrier outside puts before our platform, for a party that has an account here."""
    document = bill(reference)
    issue_to = {
        "partyName": name,
        "sendToPlatform": PLATFORM,
        "identifyingCodes": [await with_account(held, name)],
    }
    return {
        "document": document,
        "issueTo": issue_to,
        "issuanceManifestSignedContent": held.outside.manifest(document, issue_to),
    }
