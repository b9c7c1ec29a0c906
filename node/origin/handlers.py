"""HTTP of the origin service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents.orders import CODE as ORDER_CODE
from node.http.helpers import hex_digest, json_response, lang, read_json
from node.http.routes import JSON, Auth, Route
from protocols.fields import Fields
from schemas.origin import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from node.origin.inputs import Input
    from node.origin.service import OriginService

MAX_QUESTION_BYTES = 4 * 1024 * 1024
_EVALUATE = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "question": {"type": "object", "description": "see docs/origin.md"},
        "sign": {"type": "boolean"},
        "consignment": {"type": "string"},
    },
}


class OriginHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, service: OriginService) -> None:
        """Calls `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        many, tag, operator = "/v1/origin-evaluations", "origin", Auth.OPERATOR
        return (
            Route("POST", many, self._evaluate, operator,
                  "Evaluate an origin question over the certificates held here", tag,
                  request={JSON: _EVALUATE}, max_body=MAX_QUESTION_BYTES,
                  responses={200: "Evaluated", 201: "Evaluated, signed and issued"}),
            Route("GET", many + "/{digest}", self._again, operator,
                  "A signed evaluation held against now: what was lost of its basis", tag),
        )  # fmt: skip

    async def _evaluate(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), ORDER_CODE)
        question = read(fields.child("question").members)
        sign = fields.has("sign") and fields.boolean("sign")
        done = await self._service.evaluate(
            question, sign=sign, consignment=fields.optional_text("consignment", max_length=35)
        )
        body: dict[str, Any] = {
            "evaluation": done.evaluation.to_json(lang(request)),
            "inputs": _inputs(done.inputs),
        }
        if done.issued is None:
            return json_response(body)
        stored = done.issued.document
        body |= {"document": stored.digest.hex(), "number": stored.number}
        where = {"Location": f"/v1/documents/{stored.digest.hex()}"}
        return json_response(body, 201, headers=where)

    async def _again(self, request: web.Request) -> web.Response:
        found = await self._service.again(hex_digest(request.match_info["digest"]))
        return json_response(
            {
                "signed": found.report,
                "now": found.now.to_json(lang(request)),
                "inputs": _inputs(found.inputs),
                "basisLost": list(found.basis_lost),
                "reproduced": found.reproduced.to_json(lang(request)),
            }
        )


def _inputs(found: Mapping[str, Input]) -> list[dict[str, str]]:
    return [each.to_json() for each in found.values()]
