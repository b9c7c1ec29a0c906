"""HTTP of the release service, and what an operator says when signing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.http.helpers import hex_digest, json_response, lang, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.fields import DID, Fields
from protocols.release.order import Collector, OrderRequest
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aiohttp import web
    from sqlalchemy import Connection

    from node.release.rows import StoredOrder
    from node.release.service import ReleaseService
    from protocols.member_list import MemberList, NodeEntry
    from protocols.release.conditions import Decision

CODE = "release_request_malformed"
DEFAULT_MINUTES = 60
_CONTAINER = re.compile(r"(?a:[A-Z]{4}[0-9]{7})")
_THUMBPRINT = re.compile(r"(?a:[A-Za-z0-9_-]{43})")
_SIGN = {
    "type": "object",
    "properties": {
        "consignment": {"type": "string"},
        "gateGroup": {"type": "string"},
        "collector": {
            "type": "object",
            "required": ["name"],
            "properties": {name: {"type": "string"} for name in ("name", "did", "keyThumbprint")},
        },
        "minutes": {"type": "integer", "minimum": 1, "maximum": 240},
        "vehicle": {"type": "string"},
    },
}


@dataclass(frozen=True, slots=True)
class SignOrder:
    """What the operator says; what is left out is taken from the decision's documents."""

    consignment: str | None = None
    gate_group: str | None = None
    collector: Collector | None = None
    minutes: int = DEFAULT_MINUTES
    vehicle: str = ""

    def request(
        self,
        decision: Decision,
        conn: Connection,
        members: MemberList,
        entry: NodeEntry,
        now: datetime,
    ) -> OrderRequest:
        """The whole request: by default the first gate, whoever has the pick-up right, an hour.

        Raises RefusedError `release_collector_not_entitled` when the right leads to another one.
        """
        group = self.gate_group or f"{entry.locode or entry.did.rpartition(':')[2]}-1"
        entitled, vehicle = _entitled(decision)
        if entitled and self.collector and self.collector.name != entitled.name:
            raise RefusedError("release_collector_not_entitled", entitled.name)
        collector = entitled or self.collector or _consignee(conn, decision, members)
        minutes = timedelta(minutes=self.minutes)
        return OrderRequest(group, collector, now, minutes, self.vehicle or vehicle)


def _entitled(decision: Decision) -> tuple[Collector | None, str]:
    """To whom the delegated pick-up right leads, and the vehicle named in it."""
    right = decision.condition("REL-080")
    if right is None or not right.detail:
        return None, ""
    told = right.detail
    return Collector(told["name"], told["did"], told["keyThumbprint"]), told["vehicle"]


def _consignee(conn: Connection, decision: Decision, members: MemberList) -> Collector:
    """Whom the delivery order, else the transport document, names; with a listed key if any."""
    from node.documents import documents
    from schemas import registry

    for condition in (decision.condition("REL-060"), decision.condition("REL-010")):
        for digest in condition.basis if condition else ():
            stored = documents.get(conn, bytes.fromhex(digest))
            view = registry.examine(stored.type, stored.payload).view if stored else None
            name = view.parties.get("consignee") if view else None
            if name:
                return _listed(name, members)
    return Collector("the consignee")


def _listed(name: str, members: MemberList) -> Collector:
    party = next((each for each in members.parties if each.name == name), None)
    if party is None:
        return Collector(name)
    keys = [key for key in party.keys if key.purpose == "title"]
    return Collector(name, party.did, keys[-1].public.thumbprint() if keys else "")


class ReleaseHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, service: ReleaseService) -> None:
        """Calls `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        one, tag, operator = "/v1/releases/{container}", "release", Auth.OPERATOR
        which = (Parameter("consignment", "the UCR, where several name the container"),)
        return (
            Route("GET", one, self._show, operator, "The release decision, every condition listed",
                  tag, parameters=which),
            Route("GET", "/v1/consignments/{ucr}/release", self._all, operator,
                  "The decision on every container of a consignment: whole, partial or none", tag),
            Route("POST", one + "/sign", self._sign, operator,
                  "Sign the release order, if the decision is RELEASE now", tag,
                  request={JSON: _SIGN}, responses={201: "Signed"}),
            Route("POST", one + "/gate-out", self._use, operator,
                  "The container left under an order, which is spent by it", tag,
                  request={JSON: {"type": "object", "required": ["order"],
                                  "properties": {"order": {"type": "string"}}}}),
        )  # fmt: skip

    async def _show(self, request: web.Request) -> web.Response:
        container = _container(request)
        decision, orders = await self._service.show(container, query_text(request, "consignment"))
        return json_response(_decision_json(decision, orders, lang(request), self._now_ms()))

    async def _all(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        decisions = await self._service.show_all(ucr)
        outcomes = [each.outcome.value for each in decisions]
        free = [outcome for outcome in outcomes if outcome != "HOLD"]
        extent = "WHOLE" if len(free) == len(outcomes) else "PARTIAL" if free else "NONE"
        told = [
            {
                "container": each.container,
                "outcome": each.outcome.value,
                "unmet": [one.to_json(lang(request)) for one in each.unmet],
            }
            for each in decisions
        ]
        return json_response({"consignment": ucr, "extent": extent, "containers": told})

    async def _sign(self, request: web.Request) -> web.Response:
        order = read_sign(await read_json(request))
        signed = await self._service.sign(_container(request), order)
        where = {"Location": f"/v1/documents/{signed.digest.hex()}"}
        return json_response(signed.to_json(self._now_ms()), 201, headers=where)

    async def _use(self, request: web.Request) -> web.Response:
        container = _container(request)
        fields = Fields(await read_json(request), CODE)
        used = await self._service.use(container, hex_digest(fields.text("order"), "order"))
        return json_response({"order": used.digest.hex(), "container": used.container})

    def _now_ms(self) -> int:
        return self._service.now_ms()


def _container(request: web.Request) -> str:
    container = request.match_info["container"]
    if not _CONTAINER.fullmatch(container):
        raise MalformedError(CODE, "a container number has four letters and seven digits")
    return container


def read_sign(body: dict[str, Any]) -> SignOrder:
    """POST …/sign; raises MalformedError `release_request_malformed`."""
    fields = Fields(body, CODE)
    named = fields.optional_child("collector")
    collector = None
    if named is not None:
        collector = Collector(
            named.text("name", max_length=140),
            named.optional_text("did", pattern=DID) or "",
            named.optional_text("keyThumbprint", pattern=_THUMBPRINT) or "",
        )
    return SignOrder(
        consignment=fields.optional_text("consignment", max_length=100),
        gate_group=fields.optional_text("gateGroup", max_length=70),
        collector=collector,
        minutes=fields.integer("minutes", 1, 240) if fields.has("minutes") else DEFAULT_MINUTES,
        vehicle=fields.optional_text("vehicle", max_length=20) or "",
    )


def _decision_json(
    decision: Decision, orders: Sequence[StoredOrder], language: str, now_ms: int
) -> dict[str, Any]:
    return decision.to_json(language) | {"orders": [order.to_json(now_ms) for order in orders]}
