"""How the DCSA APIs answer: `API-Version` on everything, `ErrorResponse` for what went wrong."""

from __future__ import annotations

import http
from functools import wraps
from typing import TYPE_CHECKING

from aiohttp import web

from node.http.helpers import json_response
from node.http.routes import REQUEST_ID
from protocols import times
from protocols.pint.answers import DetailedError, ErrorResponse, errors_of
from schemas.errors import MalformedError, TradeError

if TYPE_CHECKING:
    from node.http.routes import Handler
    from node.runtime import Node

API_VERSION = "3.0.4"
NO_CONTENT = 204


def served(node: Node, handler: Handler) -> Handler:
    """`handler` with DCSA's headers, its errors as ErrorResponse."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            _require_version(request)
            response = await handler(request)
        except TradeError as error:
            response = error_response(node, request, error)
        except web.HTTPRequestEntityTooLarge:
            response = _error(node, request, 413, (DetailedError("body_too_large", "too long"),))
        response.headers["API-Version"] = API_VERSION
        return response

    return answer


def no_content() -> web.Response:
    """204: taken; what comes of it is told by a call of ours."""
    return web.Response(status=NO_CONTENT)


def error_response(node: Node, request: web.Request, error: TradeError) -> web.Response:
    """The unsigned error; findings one by one, with their JSONPath."""
    response = _error(node, request, error.status, errors_of(error))
    if error.retryable:
        response.headers["Retry-After"] = "1"
    return response


def _error(
    node: Node, request: web.Request, status: int, errors: tuple[DetailedError, ...]
) -> web.Response:
    body = ErrorResponse(
        method=request.method,
        uri=request.path_qs,
        status=status,
        status_text=http.HTTPStatus(status).phrase,
        at=times.to_text(node.clock.now()),
        errors=errors,
        reference=request.get(REQUEST_ID),
    )
    return json_response(body.to_json(), status)


def _require_version(request: web.Request) -> None:
    """Version 3 is what is spoken here; a caller that names none is taken at its word."""
    asked = request.headers.get("API-Version", "3").strip()
    if asked.partition(".")[0] != "3":
        raise MalformedError("ebl_version_unknown", "this is version 3 of the API")
