"""What every node serves whatever it does: health, readiness, metrics, descriptions of itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.http.helpers import json_response, lang, query_int
from node.http.routes import JSON, Auth, Parameter, Route
from node.store import events
from protocols.times import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.runtime import Node

_INTEGER = {"type": "integer", "minimum": 0}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class SystemService:
    """/, /healthz, /readyz, /metrics, /openapi.json, /.well-known/px, /v1/status, /v1/events."""

    def __init__(self, node: Node) -> None:
        """Reads the node; changes nothing."""
        self._node = node
        self._routes: list[Route] = []

    def routes(self, others: Sequence[Route]) -> list[Route]:
        """These routes; `others` are described together with them."""
        mine = [
            Route("GET", "/", self._front, Auth.OPEN, "Who answers here, for people", "node"),
            Route("GET", "/healthz", self._health, Auth.OPEN, "Whether the process lives", "node"),
            Route(
                "GET",
                "/readyz",
                self._ready,
                Auth.OPEN,
                "Whether every service can do its work; each that cannot is named",
                "node",
                responses={200: "Ready", 503: "Not ready"},
            ),
            Route("GET", "/metrics", self._metrics, Auth.OPEN, "Prometheus metrics", "node"),
            Route("GET", "/openapi.json", self._openapi, Auth.OPEN, "This description", "node"),
            Route(
                "GET", "/.well-known/px", self._well_known, Auth.OPEN, "Who this node is", "node"
            ),
            Route("GET", "/v1/status", self._status, Auth.OPERATOR, "The node at a glance", "node"),
            Route(
                "GET",
                "/v1/events",
                self._events,
                Auth.OPERATOR,
                "What happened, oldest first, by cursor",
                "node",
                responses={200: {"description": "Events", "content": {JSON: {}}}},
                parameters=(
                    Parameter("after", "number of the last event already seen", _INTEGER),
                    Parameter("limit", "events at most, up to 1000", _INTEGER),
                ),
            ),
        ]
        self._routes = [*mine, *others]
        return mine

    async def _front(self, request: web.Request) -> web.Response:
        from node.http.front import page

        return web.Response(text=page(self._node, lang(request)), content_type="text/html")

    async def _health(self, _request: web.Request) -> web.Response:
        return json_response({"alive": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        unready = self._node.unready()
        body = {"ready": not unready, "services": self._states(unready)}
        return json_response(body, 503 if unready else 200)

    def _states(self, unready: dict[str, str]) -> dict[str, str]:
        return {
            service.name: unready.get(service.name) or _notice(service) or "ready"
            for service in self._node.services
        }

    async def _metrics(self, _request: web.Request) -> web.Response:
        from node.vitals import refresh

        await refresh(self._node)
        return web.Response(
            body=self._node.telemetry.exposition(), headers={"Content-Type": _PROMETHEUS}
        )

    async def _openapi(self, _request: web.Request) -> web.Response:
        from node.http.openapi import describe

        return json_response(describe(self._routes, self._node.endpoint))

    async def _well_known(self, _request: web.Request) -> web.Response:
        return json_response(self._who())

    def _who(self) -> dict[str, Any]:
        node, members = self._node, self._node.members.current
        return {
            "did": node.did,
            "name": node.settings.node.name,
            "endpoint": node.endpoint,
            "protocols": ["px/1"],
            "software": f"pratique/{version('pratique')}",
            "network": members.network.hex() if members else None,
            "members": (
                {"version": members.version, "digest": members.digest.hex()} if members else None
            ),
        }

    def _members(self) -> dict[str, Any] | None:
        """The list in force with its end and the other nodes' addresses."""
        members = self._node.members.current
        if members is None:
            return None
        others = (node for node in members.nodes if node.did != self._node.did)
        return {
            "version": members.version,
            "digest": members.digest.hex(),
            "expires": to_text(members.expires),
            "peers": {node.did: node.endpoint for node in others},
        }

    async def _status(self, _request: web.Request) -> web.Response:
        node, unready = self._node, self._node.unready()
        alarms = await node.store.read(events.newest_of, "alarm")
        body = self._who() | {
            "members": self._members(),
            "home": str(node.home.path),
            "store": node.store.dialect,
            "country": node.settings.node.country,
            "roles": list(node.settings.node.roles),
            "ready": not unready,
            "services": self._states(unready),
            "alarms": [alarm.to_json() for alarm in alarms],
        }
        return json_response(body)

    async def _events(self, request: web.Request) -> web.Response:
        cursor = query_int(request, "after", 0, low=0, high=2**62)
        limit = query_int(request, "limit", 100, low=1, high=events.MAX_PAGE)
        found = await self._node.store.read(events.after, cursor, limit)
        last = found[-1].number if found else cursor
        return json_response({"events": [event.to_json() for event in found], "next": last})


def _notice(service: object) -> str | None:
    """What a ready service wants people to know: `notice()`, where it has one."""
    told = getattr(service, "notice", None)
    return told() if callable(told) else None
