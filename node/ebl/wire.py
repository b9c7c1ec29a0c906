"""How the DCSA APIs answer: `API-Version` on everything, `ErrorResponse` for what went wrong."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING

from aiohttp import web

from node.pint import replies
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from node.http.routes import Handler, Refusal
    from node.runtime import Node

API_VERSION, MAJOR = "3.0.4", "3"


def refusal(node: Node) -> Refusal:
    """How errors are written, also those of the HTTP layer and mistakes of ours."""
    return partial(replies.refusal, clock=node.clock, version=API_VERSION)


def served(handler: Handler) -> Handler:
    """`handler` in version 3; a caller that names no version is taken to speak it.

    Raises MalformedError `ebl_version_unknown`.
    """

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = request.headers.get(replies.VERSION_HEADER, MAJOR).strip()
        if asked.partition(".")[0] != MAJOR:
            raise MalformedError("ebl_version_unknown", "this is version 3 of the API")
        response = await handler(request)
        response.headers[replies.VERSION_HEADER] = API_VERSION
        return response

    return answer


def no_content() -> web.Response:
    """204: taken; what comes of it is told by a call of ours."""
    return web.Response(status=204)
