"""POST /v1/fsck: one area, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import fsck
from node.http.helpers import json_response, lang, read_json
from node.http.routes import JSON, Auth, Route
from protocols.times import to_text
from schemas.errors import MalformedError
from schemas.findings import Report

if TYPE_CHECKING:
    from aiohttp import web

    from node.runtime import Node

DEADLINE = 600.0


def fsck_routes(node: Node) -> list[Route]:
    """The route, over the running node's store."""

    async def examine(request: web.Request) -> web.Response:
        asked = await read_json(request)
        area, repair = asked.get("area"), asked.get("repair", False) is True
        if area is None:
            report = await fsck.run(node.store, node.home, node.keys, node.clock)
        elif isinstance(area, str):
            check = await fsck.run_area(node.store, node.home, node.keys, area, repair=repair)
            report = Report("store", to_text(node.clock.now()), (check,))
        else:
            raise MalformedError("log_request_malformed", "area is a text", pointer="/area")
        return json_response(report.to_json(lang(request)))

    return [
        Route(
            "POST",
            "/v1/fsck",
            examine,
            Auth.OPERATOR,
            "Verify everything stored, or one area of it",
            "node",
            request={
                JSON: {
                    "type": "object",
                    "properties": {"area": {"type": "string"}, "repair": {"type": "boolean"}},
                },
            },
            deadline=DEADLINE,
        )
    ]
