"""What is no HTTP at all is answered like everything else that is refused: with a problem.

aiohttp answers it with words of its own and writes a traceback to the log, which a stranger could
then fill (RFC 9112 §2.2 lets a server answer 400 and close).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from typing_extensions import override

from node.http.problems import fault, http_problem

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest


class Connection(web.RequestHandler):
    """One connection; a request that could not be read ends it."""

    __slots__ = ()

    @override
    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        if status < 500:
            response = http_problem(web.HTTPBadRequest(), request)
        else:
            self.log_exception("Error handling request", exc_info=exc)
            response = fault("")
        response.force_close()
        return response
