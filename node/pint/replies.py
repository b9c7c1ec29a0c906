"""What a PINT endpoint answers: a signed word as a bare JSON string, or an unsigned body.

Every answer has `API-Version` with the whole version (PINT 3.0.0). What cannot be attributed to an
envelope is an unsigned ErrorResponse, also where the HTTP layer itself refuses: body too large,
another media type, a mistake of ours. A sender learns nothing from it and asks again (R13).
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from node.http.routes import JSON, REQUEST_ID
from protocols import times
from protocols.pint.answers import (
    TECHNICAL,
    DetailedError,
    ErrorResponse,
    FinishedResponse,
    body_of,
    errors_of,
)
from protocols.pint.words import API_VERSION
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from protocols.keys import Signer
    from protocols.seams import Clock
    from schemas.strict_json import JsonValue

VERSION_HEADER = "API-Version"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that went well, or a signed refusal. body: empty for 204; code: for the log."""

    status: int
    body: bytes = b""
    code: str = ""

    def response(self) -> web.Response:
        """As HTTP."""
        headers = {VERSION_HEADER: API_VERSION}
        if not self.body:
            return web.Response(status=self.status, headers=headers)
        return web.Response(body=self.body, status=self.status, content_type=JSON, headers=headers)


def signed(finished: FinishedResponse, signer: Signer) -> Reply:
    """A word of this platform, signed now."""
    return told(finished.sign(signer), finished.status, finished.response.value)


def told(text: str, status: int, code: str) -> Reply:
    """A word that was signed before, given again as it is."""
    return Reply(status, body_of(text), code)


def unsigned(value: Mapping[str, JsonValue], status: int) -> Reply:
    """A body without signature."""
    return Reply(status, strict_json.canonical(dict(value)))


def refusal(
    request: web.BaseRequest,
    error: TradeError | web.HTTPException | None,
    clock: Clock,
    version: str = API_VERSION,
) -> web.Response:
    """The unsigned ErrorResponse; None is a mistake of ours, of which nothing is shown."""
    status, details = _of(error)
    phrase = http.HTTPStatus(status).phrase
    body = ErrorResponse(
        method=request.method,
        uri=request.path_qs[:8000],
        status=status,
        status_text=phrase,
        at=times.to_text(clock.now()),
        errors=details or (DetailedError(phrase, phrase, TECHNICAL),),
        reference=request.get(REQUEST_ID),
    )
    headers = {VERSION_HEADER: version}
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return web.Response(
        body=strict_json.canonical(body.to_json()),
        status=status,
        content_type=JSON,
        headers=headers,
    )


def _of(
    error: TradeError | web.HTTPException | None,
) -> tuple[int, tuple[DetailedError, ...]]:
    if isinstance(error, TradeError):
        return error.status, errors_of(error)
    return (500 if error is None else error.status), ()
