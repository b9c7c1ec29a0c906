"""The OpenAPI 3.1 description, computed from the same routes the application serves."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from node.http.problems import PROBLEM
from node.http.routes import Auth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.http.routes import Parameter, Route

_PATH_PARAMETER = re.compile(r"\{([a-z_]+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code", "retry"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable; `pratique explain CODE` tells more"},
        "detail": {"type": "string"},
        "pointer": {"type": "string", "description": "JSON pointer or XML path of the place"},
        "next": {"type": "string", "description": "what to do about it"},
        "retry": {"type": "boolean", "description": "whether trying again can help"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_SECURITY: Mapping[Auth, list[dict[str, list[str]]]] = {
    Auth.OPEN: [],
    Auth.PEER: [{"peer": []}],
    Auth.OPERATOR: [{"operator": []}],
}
_SCHEMES = {
    "peer": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "HTTP Message Signature (RFC 9421) by an exchange key of a listed node",
    },
    "operator": {"type": "http", "scheme": "bearer", "description": "run/token, from loopback"},
}


def describe(routes: Iterable[Route], server: str) -> dict[str, Any]:
    """The OpenAPI document of `routes`, served at the base address `server`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PATH_PARAMETER.sub(lambda match: "{" + match[1] + "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pratique node",
            "version": version("pratique"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": {"Problem": _PROBLEM_SCHEMA}, "securitySchemes": _SCHEMES},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.tag],
        "operationId": _identifier(route),
        "security": _SECURITY[route.auth],
        "responses": _responses(route),
    }
    parameters = _path_parameters(route.path) + [_query(item) for item in route.parameters]
    if route.method == "POST" and route.auth is Auth.OPERATOR:
        parameters.append(_header("Idempotency-Key", "the same key does it once"))
    if parameters:
        operation["parameters"] = parameters
    if route.request:
        content = {media: {"schema": dict(schema)} for media, schema in route.request.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _identifier(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", _PATH_PARAMETER.sub(r" by \1 ", route.path))
    return "_".join([route.method.lower(), *words])


def _responses(route: Route) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answers: dict[str, Any] = {
        str(status): {"description": told} if isinstance(told, str) else dict(told)
        for status, told in route.responses.items()
    }
    answers["default"] = {"description": "A problem (RFC 9457)", "content": {PROBLEM: problem}}
    return answers


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(path)
    ]


def _query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.doc,
        "schema": dict(parameter.schema),
    }


def _header(name: str, doc: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": doc, "schema": {"type": "string"}}
