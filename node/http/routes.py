"""How a service declares what it serves. The application and OpenAPI both read these values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from aiohttp import web

from schemas.errors import TradeError

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refusal: TypeAlias = Callable[
    [web.BaseRequest, TradeError | web.HTTPException | None], web.Response
]
JsonSchema: TypeAlias = Mapping[str, Any]

JSON = "application/json"
#: A body of any type or none: what it is said to be decides nothing (C2SP prescribes no type).
ANY = "*/*"
DEFAULT_MAX_BODY = 1024 * 1024


class Auth(StrEnum):
    """Who may call: anybody, a listed node (R12), or this node's operator."""

    OPEN = "open"
    PEER = "peer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter; path parameters are found in the path."""

    name: str
    doc: str
    schema: JsonSchema = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    request:   media type → JSON Schema of the body ({} for bytes), or None when there is no body
    responses: status → sentence, or a whole OpenAPI Response Object
    max_body:  bytes of the body at most; more is answered 413
    deadline:  seconds for reading and answering, or None for `limits.handler_deadline`
    refusal:   how errors are answered where another standard says so (None for the error: a mistake
               of ours); problem documents otherwise
    """

    method: str
    path: str
    handler: Handler
    auth: Auth
    summary: str
    tag: str
    request: Mapping[str, JsonSchema] | None = None
    responses: Mapping[int, str | JsonSchema] = field(default_factory=lambda: {200: "Done"})
    max_body: int = DEFAULT_MAX_BODY
    deadline: float | None = None
    parameters: tuple[Parameter, ...] = ()
    refusal: Refusal | None = None


# What the guard tells about a request: its id, its route, the calling node, the problem's code.
REQUEST_ID = web.RequestKey("id", str)
ROUTE = web.RequestKey("route", Route)
PEER = web.RequestKey("peer", str)
CODE = web.RequestKey("code", str)
TRACE = web.RequestKey("trace", str)
