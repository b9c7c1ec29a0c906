"""Problem documents (RFC 9457): the one form in which anything is refused over HTTP."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from schemas.catalogue import explain
from schemas.errors import FAMILIES, PROBLEM_TYPE, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM = "application/problem+json"
_BY_STATUS = {family.status: family for family in FAMILIES.values() if family.status != 500}
_HTTP_CODES = {
    404: "path_unknown",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "media_type_unsupported",
    417: "expectation_unknown",
}


def lang(request: web.BaseRequest) -> str:
    """`zh` when Accept-Language prefers Chinese to English, else `en` (RFC 9110 §12.5.4)."""
    best, language = 0.0, "en"
    for part in request.headers.get("Accept-Language", "")[:200].split(","):
        tag, _, parameters = part.strip().partition(";")
        name, weight = tag.strip().lower()[:2], _weight(parameters)
        if name in {"en", "zh"} and weight > best:
            best, language = weight, name
    return language


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def problem(error: TradeError, request: web.BaseRequest) -> web.Response:
    """The answer for a TradeError; 503 asks to come back (R13)."""
    headers = {"Retry-After": "1"} if isinstance(error, UnavailableError) else {}
    return _answer(error.problem(lang(request)), headers)


def http_problem(error: web.HTTPException, request: web.BaseRequest) -> web.Response:
    """The answer for what the HTTP layer itself refuses: unknown path, method, size."""
    code = _HTTP_CODES.get(error.status, "http_refused")
    entry, language = explain(code), lang(request)
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + code,
        "title": entry.sentence(language) if entry else http.HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": code,
        "retry": False,
    }
    if entry:
        body["next"] = entry.next_step(language)
    allow = error.headers.get("Allow")
    return _answer(body, {"Allow": allow} if allow else {})


def fault(request_id: str) -> web.Response:
    """The answer for a mistake of ours: nothing inside is shown, the id finds it in the log."""
    body = {
        "type": PROBLEM_TYPE + "internal_fault",
        "title": "This node made a mistake.",
        "status": 500,
        "code": "internal_fault",
        "retry": True,
        "request": request_id,
    }
    return _answer(body, {})


def from_problem(status: int, body: Mapping[str, Any]) -> TradeError:
    """The error a problem document tells of, as the family its code or its status belongs to."""
    code = str(body.get("code", "http_refused" if status < 500 else "internal_fault"))
    entry = explain(code)
    family = FAMILIES.get(entry.family if entry else "") or _BY_STATUS.get(status)
    family = family or UnavailableError
    known = {"type", "title", "status", "code", "retry", "detail", "pointer", "next", "findings"}
    context = {name: value for name, value in body.items() if name not in known}
    detail, pointer = str(body.get("detail", "")), str(body.get("pointer", ""))
    return family(code, detail, pointer=pointer, **context)


def _answer(body: Mapping[str, Any], headers: Mapping[str, str]) -> web.Response:
    data = orjson.dumps(body, default=str)
    return web.Response(
        body=data, status=body["status"], content_type=PROBLEM, headers=dict(headers)
    )
