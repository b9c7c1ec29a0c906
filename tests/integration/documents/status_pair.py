"""An issuer and a verifier that run, and what the one asks the other about status."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from node.documents import documents
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.http.routes import Auth, Route
from node.store import events
from node.trust.service import TrustService
from node.verification.service import VerificationService
from protocols.credentials import token_status_list as tokens
from schemas import registry
from tests.support import founded_homes
from tests.support.clocks import Leaping
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from node.runtime import Node

KEY = "certificate-of-origin"
EXAMPLE = registry.example(KEY)
EXPORT = registry.examine(KEY, EXAMPLE).view.export_country or "CN"
TOKENS = "https://alpha.example/tokens/1"
TTL = 60.0


@dataclass
class Shelf:
    """A service that hands out whatever lies on it at /tokens/1, and remembers who asked what."""

    name: str = "shelf"
    body: str | bytes = ""
    #: None for the one that fits: a text is the JWT form, bytes are the CWT form.
    media_type: str | None = None
    asked: list[str] = field(default_factory=list)
    accepts: list[str] = field(default_factory=list)

    def routes(self) -> Sequence[Route]:
        return (Route("GET", "/tokens/1", self._get, Auth.OPEN, "A list", "test"),)

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.accepts.append(request.headers["Accept"])
        binary = isinstance(self.body, bytes)
        return web.Response(
            body=self.body if isinstance(self.body, bytes) else self.body.encode(),
            content_type=self.media_type or (tokens.CWT if binary else tokens.JWT),
        )

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def ready(self) -> str | None:
        return None


@dataclass
class Pair:
    """An issuer, a verifier, what lies on the issuer's shelf, and what the verifier asked.

    clock: that of both
    """

    alpha: Node
    beta: Node
    shelf: Shelf
    clock: Leaping
    asked: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def issue(self) -> bytes:
        body = {"payload": base64.b64encode(EXAMPLE).decode()}
        made = await founded_homes.client(self.alpha).apost("/v1/documents", body)
        return bytes.fromhex(made["digest"])

    async def file(self, digest: bytes) -> bytes:
        return (await self.alpha.store.read(documents.require, digest)).file

    async def change(self, digest: bytes, act: str, reason: str = "a reason") -> Any:
        path = f"/v1/documents/{digest.hex()}/{act}"
        return await founded_homes.client(self.alpha).apost(path, {"reason": reason})

    async def judged(self, file: bytes) -> tuple[str, str]:
        """What beta's own judgement, which uses what it holds, says of the status."""
        check = (await self.beta.verification.judge(file)).report.check("CRED-10")
        assert check is not None
        return check.outcome.value, check.code

    async def asks(self, file: bytes, **more: str) -> Any:
        """The report on the question an operator of beta asks."""
        body = {"file": base64.b64encode(file).decode(), **more}
        return await founded_homes.client(self.beta).apost("/v1/verify", body)

    async def alarms(self) -> list[Any]:
        found = await self.beta.store.read(events.after)
        return [one.detail for one in found if one.kind == "alarm"]


def cred_10(report: Any) -> tuple[str, str]:
    check = next(each for each in report["checks"] if each["id"] == "CRED-10")
    return check["outcome"], check.get("code", "")


async def eventually(check: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await check():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def two_nodes(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    first = founded_homes.make(path, "alpha", EXPORT, "issuer", "customs", status={"ttl": TTL})
    founded_homes.found(first, (KEY, EXPORT))
    second = founded_homes.make(path, "beta", "NL", "customs")
    clock, shelf, services = Leaping(), Shelf(), (
        ("trust", TrustService),
        ("documents", DocumentService),
        ("exchange", ExchangeService),
        ("verification", VerificationService),
    )  # fmt: skip
    shelved = (*services, ("shelf", lambda _: shelf))
    async with (
        running_node(first, clock=clock, services=shelved) as alpha,
        running_node(second, clock=clock, services=services) as beta,
    ):
        await beta.trust.join(alpha.endpoint, alpha.members.current.network)
        await founded_homes.client(alpha).apost("/v1/trust/sign", {"all": True})

        async def listed() -> bool:
            members = beta.members.current
            return members is not None and members.node(beta.did) is not None

        await eventually(listed)
        pair = Pair(alpha, beta, shelf, clock)
        real = beta.guarded.get

        async def recorded(url: str, **named: Any) -> bytes:
            pair.asked.append(url)
            given = pair.answers.get(url.rpartition("/")[2])
            return await real(url, **named) if given is None else given.encode()

        monkeypatch.setattr(beta.guarded, "get", recorded)
        yield pair
