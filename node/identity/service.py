"""The identity service: publishes this node's DID documents, resolves others', and watches them.

Open: /.well-known/did.json and /<path>/did.json, for the node and the parties it hosts, made from
the member list. Operator: GET /v1/resolve. Every `fetching.watch` seconds the document of every
listed node is compared with the list, on no occasion, so that asking tells nobody what is being
relied on (R11).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from node.guarded.places import web_authority
from node.http.helpers import json_response, query_text
from node.http.routes import Auth, Parameter, Route
from node.identity.resolver import Resolver
from protocols.credentials import did, did_document
from schemas import strict_json
from schemas.errors import MalformedError, NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.identity.resolver import Resolution
    from node.runtime import Node

_DID = Parameter("did", "the DID: did:web, did:key or did:jwk", required=True)
_REFRESH = Parameter("refresh", "1: fetch it anew, whatever is held")
_MAX_AGE = 300


class IdentityService:
    """`node.identity`."""

    name = "identity"

    def __init__(self, node: Node) -> None:
        """Fetches nothing yet."""
        self._node = node
        self._resolver = Resolver(node)
        self._loop: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[Route]:
        """See the module."""
        tag = "identity"
        return (
            Route("GET", "/.well-known/did.json", self._own, Auth.OPEN,
                  "The DID document of this node, or of a party by its host name", tag),
            Route("GET", "/{path:.+}/did.json", self._own, Auth.OPEN,
                  "The DID document of a DID with a path", tag),
            Route("GET", "/v1/resolve", self._resolve, Auth.OPERATOR,
                  "A DID's document, the member list's pins, and whether they agree", tag,
                  parameters=(_DID, _REFRESH), deadline=10.0),
        )  # fmt: skip

    async def start(self) -> None:
        """Begins to watch, where the settings say so."""
        self._node.members.watch(lambda _: self._resolver.forget())
        if self._node.settings.fetching.watch > 0:
            self._loop = asyncio.create_task(self._watch(), name="identity")

    async def stop(self) -> None:
        """Ends watching."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None

    def ready(self) -> str | None:
        """It needs nothing."""
        return None

    async def resolve(self, subject: str, *, refresh: bool = False) -> Resolution:
        """See `Resolver.resolve`."""
        return await self._resolver.resolve(subject, refresh=refresh)

    async def look(self) -> None:
        """Compare the document of every other listed node with the list, once."""
        members = self._node.members.current
        for node in members.nodes if members else ():
            if node.did == self._node.did:
                continue
            try:
                await self._resolver.resolve(node.did, refresh=True)
            except TradeError as error:
                self._node.telemetry.log.info("identity.look", did=node.did, code=error.code)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.fetching.watch)
            await self.look()

    async def _own(self, request: web.Request) -> web.Response:
        subject = self._hosted(request.host, request.match_info.get("path", ""))
        keys = self._resolver.pins(subject).values()
        document = did_document.write(subject, keys, self._node.clock.now())
        return web.Response(
            body=strict_json.canonical(document),
            content_type=did_document.MEDIA_TYPE,
            headers={"Cache-Control": f"max-age={_MAX_AGE}", "Access-Control-Allow-Origin": "*"},
        )

    def _hosted(self, host: str, path: str) -> str:
        """The DID that this address is of: by host name and path, else by the path alone."""
        members = self._node.members.current
        if members is not None:
            ours = [party.did for party in members.parties if party.host == self._node.did]
            if members.node(self._node.did) is not None:
                ours.insert(0, self._node.did)
            at_path = [each for each in ours if _path(each) == path]
            named = [each for each in at_path if web_authority(each) == host.lower()]
            for subject in (*named, *at_path):
                return subject
        raise NotFoundError("did_not_here", "no DID of this address is listed under this node")

    async def _resolve(self, request: web.Request) -> web.Response:
        subject = query_text(request, "did", limit=did.MAX_LENGTH)
        if subject is None:
            raise MalformedError("query_bad", "did is missing", name="did")
        refresh = query_text(request, "refresh") == "1"
        found = await self.resolve(subject, refresh=refresh)
        return json_response(found.to_json(self._node.clock.now_ms()))


def _path(subject: str) -> str:
    return "/".join(subject.split(":")[3:])
