"""HTTP of the preflight service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiohttp import web

from node.http.helpers import json_response, lang, read_json
from node.http.routes import JSON, Auth, Route
from protocols import times
from protocols.fields import DID, Fields
from protocols.preflight.standing import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.preflight.service import Advised, Arrived, PreflightService
    from protocols.preflight.standing import Standing

CODE = "preflight_malformed"
STANDING_PATH = "/px/1/standing"
MAX_NAMED = 500
_DIGEST = re.compile("(?a:[0-9a-f]{64})")
_NAMED = {
    "type": "object",
    "required": ["consignment", "documents"],
    "properties": {
        "consignment": {"type": "string"},
        "documents": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_NAMED},
    },
}
_RUN = {
    "type": "object",
    "required": ["consignment", "for"],
    "properties": {
        "consignment": {"type": "string"},
        "for": {"type": "string", "description": "the destination's DID"},
        "send": {"type": "boolean", "description": "send it the pre-advice; default true"},
    },
}


class PreflightHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, service: PreflightService) -> None:
        """Calls `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Two routes for listed nodes, the others for the operator."""
        operator, tag = Auth.OPERATOR, "preflight"
        return (
            Route("GET", "/rules", self._rules, Auth.PEER,
                  "This node's signed rule set: release rules, agreements, document rules", tag),
            Route("POST", STANDING_PATH, self._standing, Auth.PEER,
                  "How balance, lane and title stand here as of now, for papers that are named",
                  tag, request={JSON: _NAMED}, max_body=MAX_BYTES, deadline=20.0),
            Route("POST", "/v1/preflights", self._run, operator,
                  "Run a destination's signed rules over a consignment; sign the pre-advice", tag,
                  request={JSON: _RUN}, responses={201: "Run and signed"}, deadline=60.0),
            Route("GET", "/v1/consignments/{ucr}/preflight", self._arrival, operator,
                  "The pre-advices held for this node, and why anything is different now", tag,
                  deadline=60.0),
        )  # fmt: skip

    async def _rules(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._service.signed_rules(), content_type="application/jwt")

    async def _standing(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        named = fields.texts("documents", pattern=_DIGEST, max_items=MAX_NAMED, max_length=64)
        signed = await self._service.signed_standing(
            fields.text("consignment", max_length=100), list(map(bytes.fromhex, named))
        )
        return web.Response(text=signed, content_type="application/jwt")

    async def _run(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        run = await self._service.advise(
            fields.text("consignment", max_length=100),
            fields.text("for", pattern=DID),
            send=not fields.has("send") or fields.boolean("send"),
        )
        return json_response(_advised(run, lang(request)), 201)

    async def _arrival(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        found = await self._service.arrivals(ucr)
        told = [_arrived(one, lang(request)) for one in found]
        return json_response({"consignment": ucr, "preAdvices": told})


def _advised(run: Advised, language: str) -> dict[str, object]:
    body: dict[str, object] = {
        "destination": run.rules.node,
        "country": run.rules.country,
        "ruleSet": run.rules.digest,
        "verdict": run.verdict.value,
        "lines": [line.to_json(language) for line in run.lines],
        "standing": _standing(run.standing, language),
    }
    if run.document is not None:
        body |= {"document": run.document.digest.hex(), "number": run.document.number}
    return body


def _standing(found: Standing | None, language: str) -> dict[str, object] | None:
    """Null where the destination did not say."""
    if found is None:
        return None
    lines = [line.to_json(language) for line in found.lines]
    return {"asOf": times.to_text(found.at), "lines": lines}


def _arrived(one: Arrived, language: str) -> dict[str, object]:
    from protocols.preflight.verdicts import overall

    return {
        "document": one.advice.digest.hex(),
        "number": one.advice.number,
        "issuer": one.advice.issuer,
        "ruleSet": one.rules.digest,
        "advised": one.advised.value,
        "found": overall(one.lines).value,
        "lines": [line.to_json(language) for line in one.lines],
        "standing": _standing(one.standing, language),
        "differences": [each.to_json(language) for each in one.differences],
    }
