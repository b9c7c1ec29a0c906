"""A carrier or platform outside the network: a raw server with its own key, that speaks JSON."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from node.http.listening import Listening
from protocols.keys import SoftwareSigner
from protocols.pint.chain import issuance_manifest
from tests.support.dcsa import body_faults
from tests.support.pki import Spec, key_of, make
from tests.support.running import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from node.home import Home
    from node.runtime import Node

OURS, THEIRS = "key-that-we-show", "key-that-they-show"
HEADERS = {"API-Version": "3", "X-Api-Key": THEIRS}
_APIS = {
    "/v3/ebl-issuance-requests": "ISS",
    "/v3/ebl-issuance-responses": "ISS",
    "/v3/ebl-surrender-requests": "SUR",
    "/v3/ebl-surrender-responses": "SUR",
    "/v3/transport-document-notifications": "EBL",
}


@dataclass
class Foreign:
    """What it was asked, what it does before it answers, which statuses it gives first by path."""

    port: int = field(default_factory=free_port)
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    before: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None
    name: str = "outside"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.Response:
        assert request.headers["X-Our-Key"] == OURS
        assert request.headers["API-Version"] == "3"
        body = orjson.loads(await request.read())
        api = _APIS[request.path]
        assert body_faults(api, request.method, request.path, body) == []
        self.heard.append((request.path, body))
        if self.answers.get(request.path):
            return web.Response(status=self.answers[request.path].pop(0))
        if self.before is not None:
            await self.before(request.path, body)
        return web.Response(status=204, headers={"API-Version": "3.0.4"})

    def of(self, path: str) -> list[dict[str, Any]]:
        """The bodies that came to one path."""
        return [body for where, body in self.heard if where == path]

    def manifest(self, document: Mapping[str, Any], issue_to: Mapping[str, Any]) -> str:
        """An issuance manifest by its own certified key, in DCSA's plain form."""
        signer = SoftwareSigner("outside-1", key_of(self.name))
        return issuance_manifest(document, issue_to).sign(signer)

    @property
    def certificate(self) -> bytes:
        made = make(Spec("an outside carrier", key=key_of(self.name)))
        return load_der_x509_certificate(made.der).public_bytes(Encoding.PEM)


def write_down(home: Home, name: str, role: str, foreign: Foreign) -> None:
    """What the operator writes of it; the node is to be started with `ebl.counterparts`."""
    (home.path / "ours.key").write_text(OURS)
    (home.path / "theirs.key").write_text(THEIRS + "\n")
    (home.path / "outside.pem").write_bytes(foreign.certificate)
    (home.path / "counterparts.toml").write_text(
        f'[{name}]\nrole = "{role}"\nurl = "{foreign.url}/"\n'
        'send = "X-Our-Key: ours.key"\nexpect = "X-Api-Key: theirs.key"\n'
        'certificates = "outside.pem"\nsubscription = "SUB-1"\n'
    )


@asynccontextmanager
async def serving(foreign: Foreign) -> AsyncIterator[Foreign]:
    """The server, running."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", foreign.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    listening = await Listening.start(runner, foreign.port)
    try:
        yield foreign
    finally:
        await listening.close()


async def call(
    node: Node, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any, Mapping[str, str]]:
    """A call by the outside one: status, JSON, headers."""
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
    if data is not None:
        sent["Content-Type"] = "application/json"
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession() as session,
        session.request(method, node.local_url + path, data=data, headers=sent) as response,
    ):
        found = await response.read()
        return response.status, orjson.loads(found) if found else None, dict(response.headers)
