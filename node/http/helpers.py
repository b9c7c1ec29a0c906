"""What handlers share: reading bodies and query parameters strictly, answering in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from node.http.problems import lang
from node.http.routes import JSON, PEER, ROUTE
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.http.routes import JsonSchema
    from schemas.strict_json import JsonValue

__all__ = [
    "hex_digest",
    "json_response",
    "lang",
    "peer",
    "query_int",
    "query_text",
    "read_json",
]


def json_response(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`value` as JSON. Datetimes, UUIDs and dataclasses are written as orjson writes them."""
    return web.Response(
        body=orjson.dumps(value),
        status=status,
        content_type="application/json",
        headers=dict(headers or {}),
    )


async def read_json(request: web.Request) -> dict[str, JsonValue]:
    """The body as a JSON object, read strictly, without members that the route does not declare.

    Raises MalformedError `json_*`, `member_unknown`; TooLargeError.
    """
    from schemas import strict_json

    body = strict_json.loads_object(await request.read())
    route = request.get(ROUTE)
    if route is not None and route.request is not None:
        _require_declared(body, route.request.get(JSON, {}), "")
    return body


def _require_declared(value: JsonValue, schema: JsonSchema, pointer: str) -> None:
    """A misspelt member would otherwise count as left out; the nearest right name is told."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _require_declared(item, schema.get("items", {}), f"{pointer}/{index}")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    declared = schema["properties"]
    for name, item in value.items():
        if name not in declared:
            raise _unknown_member(name, declared, pointer)
        _require_declared(item, declared[name], f"{pointer}/{name}")


def _unknown_member(name: str, declared: Iterable[str], pointer: str) -> MalformedError:
    from difflib import get_close_matches

    near = get_close_matches(name[:64], declared, n=1)
    detail = f"did you mean {near[0]}?" if near else f"known are {', '.join(declared)}"
    return MalformedError("member_unknown", detail, pointer=f"{pointer}/{name[:64]}")


def peer(request: web.Request) -> str:
    """The DID of the node that made this call; for routes with Auth.PEER."""
    return request[PEER]


def query_int(request: web.Request, name: str, default: int, *, low: int, high: int) -> int:
    """A whole number from the query; above `high` counts as `high`, below `low` is malformed."""
    text = request.query.get(name)
    return default if text is None else _whole(text, name, low, high)


def path_int(request: web.Request, name: str, *, low: int, high: int) -> int:
    """A whole number from the path; as `query_int`."""
    return _whole(request.match_info[name], name, low, high)


def _whole(text: str, name: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < low:
        raise MalformedError("query_bad", f"{name} is a whole number from {low}", name=name)
    return min(int(text), high)


def query_text(request: web.Request, name: str, *, limit: int = 256) -> str | None:
    """A text from the query, or None; longer than `limit` is malformed."""
    text = request.query.get(name)
    if text is not None and len(text) > limit:
        raise MalformedError("query_bad", f"{name} has at most {limit} characters", name=name)
    return text


def hex_digest(text: str, name: str = "digest") -> bytes:
    """32 bytes from 64 lower-case hex digits, as in a path; raises MalformedError `query_bad`."""
    if len(text) != 64 or any(letter not in "0123456789abcdef" for letter in text):
        raise MalformedError("query_bad", f"{name} is 64 lower-case hex digits", name=name)
    return bytes.fromhex(text)
