"""The operations of ISS, SUR, END and EBL 3.0.4 that others call, at the paths DCSA gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from node.ebl import (
    chains,
    issuance_carrier,
    issuance_platform,
    retrieval,
    surrender_carrier,
    surrender_platform,
)
from node.ebl.switches import switches_of
from node.ebl.wire import no_content, refusal, served
from node.http.helpers import json_response, query_text
from node.http.routes import JSON, Auth, Route
from protocols.pint import endorsement, issuance, notification, surrender
from protocols.pint.reading import TRIMMED
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.http.routes import Handler
    from node.runtime import Node

_DEADLINE = 15.0
_TAG = "dcsa"
_HEADERS = {"API-Version": {"schema": {"type": "string"}}}
TRANSPORT_DOCUMENT = "/v3/transport-documents/{transportDocumentReference}"
_BRACES = re.compile(r"\{transportDocumentReference\}")


def _answered(status: int, told: str) -> dict[int, Any]:
    return {status: {"description": told, "headers": _HEADERS}}


class StandardRoutes:
    """Reads as the standard says, answers as it says; who calls is found out first."""

    def __init__(self, node: Node) -> None:
        """Works on the node's store through the modules of issuance and surrender."""
        self._node = node
        self._refusal = refusal(node)

    def routes(self) -> Sequence[Route]:
        """All of them."""
        taken = _answered(204, "Taken; the outcome is told by a call of its own")
        return [
            self._route("PUT", issuance.REQUESTS, self._issue, "Put a bill up for issuance", taken),
            self._route("POST", issuance.RESPONSES, self._issued, "Answer an issuance", taken),
            self._route("POST", surrender.REQUESTS, self._surrender, "Give a bill back", taken),
            self._route(
                "POST", surrender.RESPONSES, self._surrendered, "Answer a surrender", taken
            ),
            self._route(
                "POST", notification.NOTIFICATIONS, self._notify, "Tell of a transport document",
                taken,
            ),
            self._route(
                "GET", TRANSPORT_DOCUMENT, self._document, "A transport document",
                _answered(200, "The document") | _answered(202, "It is being worked on"),
            ),
            self._route(
                "GET", endorsement.CHAINS, self._chain, "The endorsement chains of a reference",
                _answered(200, "Every chain of that reference"),
            ),
        ]  # fmt: skip

    def _route(
        self, method: str, path: str, handler: Handler, summary: str, responses: dict[int, Any]
    ) -> Route:
        return Route(
            method,
            _BRACES.sub("{reference}", path),
            served(handler),
            Auth.OPEN,
            summary,
            _TAG,
            request={JSON: {}} if method != "GET" else None,
            responses=responses,
            max_body=issuance.MAX_REQUEST,
            deadline=_DEADLINE,
            refusal=self._refusal,
        )

    async def _issue(self, request: web.Request) -> web.Response:
        carrier = await self._node.ebl.counterparts.admit(request)
        made = issuance_platform.examine(self._node, carrier, await request.read())
        await self._node.store.write(issuance_platform.receive, self._node, carrier, made)
        return self._taken()

    async def _issued(self, request: web.Request) -> web.Response:
        platform = await self._node.ebl.counterparts.admit(request)
        response = issuance.read_response(await request.read())
        await self._node.store.write(issuance_carrier.take_response, self._node, platform, response)
        return self._taken()

    async def _surrender(self, request: web.Request) -> web.Response:
        platform = await self._node.ebl.counterparts.admit(request)
        body = await request.read()
        await self._node.store.write(surrender_carrier.receive, self._node, platform, body)
        return self._taken()

    async def _surrendered(self, request: web.Request) -> web.Response:
        carrier = await self._node.ebl.counterparts.admit(request)
        body = await request.read()
        told = switches_of(self._node).peer(carrier.name)
        lenient = told is not None and told.beta
        answer = surrender.read_answer(body, reason_required=not lenient)
        await self._node.store.write(
            surrender_platform.take_answer, self._node, carrier, answer, body
        )
        return self._taken()

    async def _notify(self, request: web.Request) -> web.Response:
        sender = await self._node.ebl.counterparts.admit(request)
        body = await request.read()
        await self._node.store.write(issuance_platform.hear, self._node, sender, body)
        return self._taken()

    def _taken(self) -> web.Response:
        self._node.ebl.wake()
        return no_content()

    async def _document(self, request: web.Request) -> web.Response:
        caller = await self._node.ebl.counterparts.admit(request)
        reference = _reference(request)
        found = await self._node.store.read(retrieval.transport_document, caller, reference)
        if found is None:
            from aiohttp import web

            return web.Response(status=202)
        return json_response(found)

    async def _chain(self, request: web.Request) -> web.Response:
        caller = await self._node.ebl.counterparts.admit(request)
        found = await self._node.store.read(
            chains.endorsement_chains,
            self._node,
            _reference(request),
            sub_reference=query_text(request, "transportDocumentSubReference", limit=100),
            carrier_scac=query_text(request, "carrierSCACCode", limit=4),
            caller=caller.name,
        )
        return json_response([one.to_json() for one in found])


def _reference(request: web.Request) -> str:
    """The reference in the path; one that no bill can have is the reference of none."""
    text = request.match_info["reference"]
    if len(text) > 20 or TRIMMED.fullmatch(text) is None:
        raise NotFoundError("ebl_bill_unknown", "a reference has at most 20 characters")
    return text
