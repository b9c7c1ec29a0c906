"""The operator's routes for disputes about bills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.http.helpers import json_response, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.pint.disputing import DisputeService

_CODE = "ebl_dispute_malformed"
_TAG = "ebl"
_DEADLINE = 30.0
_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["outcome", "reason"],
    "properties": {
        "outcome": {"type": "string", "enum": ["kept", "replaced", "withdrawn"]},
        "reason": {"type": "string"},
        "canonical": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
}


class DisputeRoutes:
    """Reads requests strictly; the work is the service's."""

    def __init__(self, service: DisputeService) -> None:
        """Belongs to `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """All of them."""
        base, where = "/v1/ebl/disputes", Auth.OPERATOR
        one = f"{base}/{{dispute}}"
        closed = {200: "The dispute", 409: "It was closed before, or the registry does not agree"}
        return (
            Route("GET", base, self._page, where, "Disputes about bills", _TAG,
                  parameters=(Parameter("status", "open, kept, replaced or withdrawn"),)),
            Route("GET", one, self._show, where,
                  "One dispute, both chains side by side", _TAG),
            Route("GET", f"{one}/evidence", self._evidence, where,
                  "Its evidence as one file, to be verified offline", _TAG, deadline=_DEADLINE),
            Route("POST", f"{one}/mark", self._mark, where,
                  "Record it at the bill's registry, where the bill then stands still", _TAG,
                  responses=closed, deadline=_DEADLINE),
            Route("POST", f"{one}/resolution", self._resolve, where, "Close it", _TAG,
                  request={JSON: _BODY}, responses=closed, deadline=_DEADLINE),
            Route("GET", "/v1/ebl/registries", self._registries, where,
                  "The control tracking registries that count here", _TAG),
        )  # fmt: skip

    async def _registries(self, _request: web.Request) -> web.Response:
        return json_response(self._service.registries())

    async def _page(self, request: web.Request) -> web.Response:
        found = await self._service.page(query_text(request, "status", limit=16))
        return json_response({"disputes": found})

    async def _show(self, request: web.Request) -> web.Response:
        return json_response(await self._service.show(request.match_info["dispute"][:32]))

    async def _evidence(self, request: web.Request) -> web.Response:
        evidence = await self._service.evidence(request.match_info["dispute"][:32])
        return web.Response(body=evidence.to_bytes(), content_type=JSON)

    async def _mark(self, request: web.Request) -> web.Response:
        return json_response(await self._service.mark(request.match_info["dispute"][:32]))

    async def _resolve(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        outcome = fields.text("outcome", max_length=16)
        if outcome not in _BODY["properties"]["outcome"]["enum"]:
            raise fields.fault("outcome", "outcome is kept, replaced or withdrawn")
        shown = await self._service.resolve(
            request.match_info["dispute"][:32],
            outcome,
            fields.text("reason", max_length=1000),
            fields.optional_digest("canonical"),
        )
        return json_response(shown)
