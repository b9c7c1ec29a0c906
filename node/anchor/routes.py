"""Anchors over HTTP: for the operator under /v1/anchors, their proofs for peers at /log/anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import anchors
from node.http.helpers import json_response, path_int, query_int
from node.http.routes import Auth, Parameter, Route
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from aiohttp import web

    from node.anchor.service import AnchorService

MAX_SIZE = 2**53 - 1
_INTEGER = {"type": "integer", "minimum": 0}
CALL_SECONDS = 60.0


def anchor_routes(service: AnchorService) -> list[Route]:
    """All routes of an `AnchorService`."""
    return [*_for_operator(service), _for_peers(service)]


def _for_operator(service: AnchorService) -> list[Route]:
    from node.anchor.service import anchor_json

    async def listed(request: web.Request) -> web.Response:
        below = query_int(request, "below", MAX_SIZE, low=0, high=MAX_SIZE)
        limit = query_int(request, "limit", 20, low=1, high=anchors.MAX_PAGE)
        found = await service.node.store.read(anchors.page, below, limit)
        body = await service.show()
        return json_response(body | {"anchors": [anchor_json(anchor) for anchor in found]})

    async def now(_request: web.Request) -> web.Response:
        made = await service.look(now=True)
        return json_response({"anchor": anchor_json(made)}, status=202 if made else 200)

    async def deploy(_request: web.Request) -> web.Response:
        return json_response(await service.deploy(), status=202)

    async def proof(request: web.Request) -> web.Response:
        return await _proof(service, path_int(request, "size", low=0, high=MAX_SIZE))

    return [
        Route(
            "POST",
            "/v1/anchors/contract",
            deploy,
            Auth.OPERATOR,
            "Put an anchor contract on the chain",
            "log",
            responses={202: "It will be sent"},
        ),
        Route(
            "GET",
            "/v1/anchors/{size}",
            proof,
            Auth.OPERATOR,
            "The proof of the first final anchor over a checkpoint",
            "log",
        ),
        Route(
            "GET",
            "/v1/anchors",
            listed,
            Auth.OPERATOR,
            "The log's anchors, newest first, and how the chain stands",
            "log",
            parameters=(
                Parameter("below", "anchors of fewer leaves than this", _INTEGER),
                Parameter("limit", "anchors at most", _INTEGER),
            ),
        ),
        Route(
            "POST",
            "/v1/anchors",
            now,
            Auth.OPERATOR,
            "Anchor the newest checkpoint now",
            "log",
            responses={200: "Nothing is new", 202: "It will be sent"},
            deadline=CALL_SECONDS,
        ),
    ]


async def _proof(service: AnchorService, size: int) -> web.Response:
    found = await service.proof(size) if size else None
    if found is None:
        raise NotFoundError("anchor_not_found", "no final anchor covers that checkpoint")
    return json_response(found.to_json())


def _for_peers(service: AnchorService) -> Route:
    async def proof(request: web.Request) -> web.Response:
        return await _proof(service, query_int(request, "size", 0, low=0, high=MAX_SIZE))

    return Route(
        "GET",
        "/log/anchor",
        proof,
        Auth.PEER,
        "The proof of the first final anchor over a checkpoint",
        "log",
        parameters=(Parameter("size", "leaves of the checkpoint", _INTEGER, required=True),),
    )
