"""The gate service of a port's node: gates, their visits, collectors' presentations, pick-up right.

Routes: /v1/gates…, /v1/gate-presentations, /v1/pick-ups (operator). The gate itself runs elsewhere,
without a network: `node.gate.process`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node.gate import leasing, rows
from node.gate.pick_ups import PickUps, signer_of
from node.http.helpers import json_response, read_json
from node.http.routes import JSON, Auth, Route
from node.verification import judging
from protocols import times
from protocols.fields import DID, Fields
from protocols.keys import from_jwk
from protocols.release import gate as words
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.gate.rows import StoredGate
    from node.runtime import Node

CODE = "gate_malformed"
_NAME = re.compile(r"(?a:[A-Za-z0-9][A-Za-z0-9-]{0,60})")
_TEXT = {"type": "string"}
_GATE = {
    "type": "object",
    "required": ["name", "group", "key"],
    "properties": {"name": _TEXT, "group": _TEXT, "key": {"type": "object"}},
}
_VISIT = {
    "type": "object",
    "properties": {"journal": {"type": "array", "items": _TEXT}},
}
_PRESENT = {
    "type": "object",
    "required": ["order", "challenge", "vehicle"],
    "properties": dict.fromkeys(("order", "challenge", "vehicle", "by"), _TEXT),
}


class GateService:
    """`node.gate`."""

    name = "gate"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node
        self._pick_ups = PickUps(node)

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        operator, tag = Auth.OPERATOR, "gate"
        one = "/v1/gates/{name}"
        return (
            *self._pick_ups.routes(),
            Route("GET", "/v1/gates", self._list, operator,
                  "The gates, and the key by which this register signs", tag),
            Route("POST", "/v1/gates", self._register, operator, "Register a gate by its key", tag,
                  request={JSON: _GATE}, responses={201: "Registered"}),
            Route("POST", one + "/end", self._end, operator, "No lease goes to this gate any more",
                  tag, request={JSON: {"type": "object"}}),
            Route("POST", one + "/visit", self._visit, operator,
                  "Take a gate's journal in, and lease open orders of its group to it", tag,
                  request={JSON: _VISIT}),
            Route("GET", one + "/notices", self._notices, operator,
                  "Signed notices of orders taken back, to be carried to the gate", tag),
            Route("POST", "/v1/gate-presentations", self._present, operator,
                  "Sign a gate's challenge for a collector whose key is here", tag,
                  request={JSON: _PRESENT}),
        )  # fmt: skip

    async def start(self) -> None:
        """Takes part in the exchange."""
        if getattr(self._node, "exchange", None) is not None:
            self._pick_ups.start()

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _list(self, _request: web.Request) -> web.Response:
        found = await self._node.store.read(rows.listed)
        members = judging.members_of(self._node)
        signer = self._node.keys.signer(leasing.PURPOSE)
        register = {
            "did": self._node.did,
            "network": members.network.hex(),
            "kid": signer.kid,
            "key": dict(signer.public().jwk),
        }
        return json_response({"register": register, "items": [_gate_json(one) for one in found]})

    async def _register(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        name = fields.text("name", pattern=_NAME)
        group = fields.text("group", max_length=70)
        key = from_jwk(f"{self._node.did}#gate-{name}", fields.child("key").members)
        now_ms = self._node.clock.now_ms()
        await self._node.store.write(rows.register, name, group, dict(key.jwk), now_ms)
        return json_response({"name": name, "group": group, "key": key.thumbprint()}, 201)

    async def _end(self, request: web.Request) -> web.Response:
        name = _name(request)
        await self._node.store.write(rows.end, name, self._node.clock.now_ms())
        return json_response({"name": name, "ended": True})

    async def _visit(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        journal = fields.texts("journal", max_items=leasing.MAX_LINES, max_length=words.MAX_TEXT)
        found = await self._node.store.write(leasing.visit, self._node, _name(request), journal)
        body = {
            "leases": list(found.leases),
            "notices": list(found.notices),
            "confirmed": found.confirmed,
            "used": list(found.used),
        }
        return json_response(body)

    async def _notices(self, request: web.Request) -> web.Response:
        found = await self._node.store.read(leasing.notices, self._node, _name(request))
        return json_response({"notices": found})

    async def _present(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        node, now = self._node, self._node.clock.now()
        proof = words.presentation(
            judging.members_of(node).network.hex(),
            fields.digest("order").hex(),
            fields.text("challenge", max_length=64),
            fields.text("vehicle", max_length=20),
            now,
            signer_of(node, fields.optional_text("by", pattern=DID) or node.did, now),
        )
        return json_response({"proof": proof})


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise MalformedError(CODE, "a gate's name has letters, digits and hyphens")
    return name


def _gate_json(gate: StoredGate) -> dict[str, object]:
    return {
        "name": gate.name,
        "group": gate.group,
        "registeredAt": times.to_text(times.from_ms(gate.registered_at)),
        "ended": gate.ended_at is not None,
    }
