"""The operator's routes: put up bills, decide issuances, give bills back, answer surrenders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.ebl import (
    chains,
    issuance_carrier,
    issuance_platform,
    masters,
    rows,
    surrender_carrier,
    surrender_platform,
    views,
)
from node.ebl.issuance_carrier import Asked
from node.http.helpers import json_response, query_text, read_json
from node.http.problems import lang
from node.http.routes import JSON, Auth, Parameter, Route
from node.title import rows as title_rows
from protocols.fields import DID, Fields
from protocols.pint import issuance
from protocols.pint.reading import TRIMMED, word
from protocols.pint.words import IssuanceCode, Reason, SurrenderCode
from protocols.title.machine import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.runtime import Node

CODE = "ebl_request_malformed"
_TAG = "ebl"
_DEADLINE = 20.0
_TEXT = {"type": "string"}
_REFERENCE = Parameter("reference", "transport document reference")
_CODES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": dict.fromkeys(("codeListProvider", "partyCode", "codeListName"), _TEXT),
    },
}
_ISSUE: dict[str, Any] = {
    "type": "object",
    "required": ["document", "issueTo"],
    "properties": {
        "document": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "issueTo": {
            "type": "object",
            "required": ["partyName", "sendToPlatform", "identifyingCodes"],
            "properties": {
                "partyName": _TEXT,
                "sendToPlatform": _TEXT,
                "identifyingCodes": _CODES,
                "taxLegalReferences": {"type": "array"},
            },
        },
        "endorsee": _TEXT,
        "replaces": _TEXT,
        "arbiter": _TEXT,
        "visualisation": {
            "type": "object",
            "required": ["name", "content"],
            "properties": dict.fromkeys(("name", "content", "contentType"), _TEXT),
        },
    },
}


def _object(required: Sequence[str], *names: str) -> dict[str, Any]:
    members = dict.fromkeys((*required, *names), _TEXT)
    return {"type": "object", "required": list(required), "properties": members}


class OperatorRoutes:
    """Reads requests strictly, answers in JSON."""

    def __init__(self, node: Node) -> None:
        """Works through the modules of issuance and surrender."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """All of them."""
        answer = {
            "type": "object",
            "required": ["accept"],
            "properties": {"accept": {"type": "boolean"}, "comment": _TEXT},
        }
        decide = _object(["code"], "reason")
        ask = _object(["reference", "code"], "reason", "comments", "by")
        base = "/v1/ebl"
        return [
            self._post(
                f"{base}/issuances", self._issue, "Put an own bill before a platform", _ISSUE, 202
            ),
            self._post(
                f"{base}/issuances/{{reference}}/decision", self._decide,
                "Decide what a carrier put before this platform", decide, 200,
            ),
            self._get(f"{base}/issuances", self._issuances, "Bills put up for issuance"),
            self._post(f"{base}/surrenders", self._ask, "Give a bill to its carrier", ask, 202),
            self._post(
                f"{base}/surrenders/{{request}}/answer", self._answer,
                "Answer a surrender, as the carrier, once", answer, 200,
            ),
            self._get(f"{base}/surrenders", self._surrenders, "Surrenders, asked here or of us"),
            self._get(f"{base}/chains/{{reference}}", self._chain, "Endorsement chains (END)"),
            self._get(f"{base}/notifications", self._notifications, "Notifications"),
        ]  # fmt: skip

    def _post(self, path: str, handler: Any, summary: str, body: Any, status: int) -> Route:
        return Route(
            "POST", path, handler, Auth.OPERATOR, summary, _TAG,
            request={JSON: body}, responses={status: "How it stands"},
            max_body=issuance.MAX_REQUEST, deadline=_DEADLINE,
        )  # fmt: skip

    def _get(self, path: str, handler: Any, summary: str) -> Route:
        parameters = () if "{" in path else (_REFERENCE, Parameter("side", "carrier or platform"))
        return Route("GET", path, handler, Auth.OPERATOR, summary, _TAG, parameters=parameters)

    async def _issue(self, request: web.Request) -> web.Response:
        node, fields = self._node, Fields(await read_json(request), CODE)
        asked = _asked(fields)
        platform = node.ebl.counterparts.platform(asked.issue_to.platform)
        held = await node.store.write(issuance_carrier.request, node, platform, asked)
        node.ebl.wake()
        return json_response(views.issuance_json(held), 202)

    async def _decide(self, request: web.Request) -> web.Response:
        node, fields = self._node, Fields(await read_json(request), CODE)
        held = await node.store.write(
            issuance_platform.decide,
            node,
            request.match_info["reference"],
            word(fields, "code", IssuanceCode),
            fields.optional_text("reason", pattern=TRIMMED, max_length=255),
        )
        node.ebl.wake()
        return json_response(views.issuance_json(held))

    async def _issuances(self, request: web.Request) -> web.Response:
        side, reference = query_text(request, "side"), query_text(request, "reference")
        found = await self._node.store.read(_listed_issuances, side, reference)
        return json_response({"issuances": found})

    async def _ask(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        wanted = surrender_platform.Wanted(
            reference=fields.text("reference", pattern=TRIMMED, max_length=20),
            code=word(fields, "code", SurrenderCode),
            reason=word(fields, "reason", Reason) if fields.has("reason") else None,
            comments=fields.optional_text("comments", pattern=TRIMMED, max_length=255),
            party=fields.optional_text("by", pattern=DID),
        )
        if wanted.reason is not None and wanted.code is not SurrenderCode.AREQ:
            raise fields.fault("reason", "a reason is given for an amendment only")
        held = await surrender_platform.ask(self._node, wanted)
        return json_response(await self._shown(request, held), 202)

    async def _answer(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        held = await surrender_carrier.answer(
            self._node,
            request.match_info["request"],
            accept=fields.boolean("accept"),
            comment=fields.optional_text("comment", pattern=TRIMMED, max_length=255),
        )
        return json_response(await self._shown(request, held))

    async def _shown(self, request: web.Request, held: rows.Surrender) -> dict[str, Any]:
        """With its masters, of which an issuer of house bills is told when he answers, too."""
        return await self._node.store.read(_surrender, held, lang(request))

    async def _surrenders(self, request: web.Request) -> web.Response:
        side, reference = query_text(request, "side"), query_text(request, "reference")
        found = await self._node.store.read(_listed_surrenders, side, reference, lang(request))
        return json_response({"surrenders": found})

    async def _chain(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        found = await self._node.store.read(chains.endorsement_chains, self._node, reference)
        return json_response([one.to_json() for one in found])

    async def _notifications(self, request: web.Request) -> web.Response:
        reference = query_text(request, "reference")
        found = await self._node.store.read(rows.notifications_of, reference)
        return json_response({"notifications": [views.notification_json(one) for one in found]})


def _asked(fields: Fields) -> Asked:
    picture = fields.optional_child("visualisation")
    return Asked(
        document=fields.digest("document"),
        issue_to=issuance.read_issue_to(fields.child("issueTo")),
        endorsee=fields.optional_text("endorsee", pattern=DID),
        replaces=fields.optional_text("replaces", pattern=TRIMMED, max_length=20),
        arbiter=fields.optional_text("arbiter", max_length=300) or "",
        visualisation=None if picture is None else issuance.read_visualisation(picture),
    )


def _listed_issuances(
    conn: Connection, side: str | None, reference: str | None
) -> list[dict[str, Any]]:
    if reference is not None:
        found = rows.of_reference(conn, reference, side=side)
    else:
        found = rows.all_issuances(conn, side)
    about = {rows.CARRIER: "issuance", rows.PLATFORM: "response"}
    return [
        views.issuance_json(one, rows.calls_of(conn, about[one.side], one.number))
        | _waiting(conn, one)
        for one in found
    ]


def _waiting(conn: Connection, held: rows.Issuance) -> dict[str, Any]:
    """Why the title that was handed in here is not final yet; empty where there is nothing."""
    if held.title is None or held.state != rows.ISSUED:
        return {}
    tried = title_rows.submissions_of(conn, held.title)
    issues = [one for one in tried if one.kind == Kind.ISSUE.value]
    last = issues[-1] if issues else None
    if last is None or last.status not in title_rows.OPEN:
        return {}
    return {"titlePending": last.code or "title_pending"}


_ABOUT = {rows.CARRIER: "answer", rows.PLATFORM: "surrender"}


def _surrender(conn: Connection, held: rows.Surrender, language: str) -> dict[str, Any]:
    calls = rows.calls_of(conn, _ABOUT[held.side], held.number)
    bill = rows.issuance(conn, held.issuance)
    return views.surrender_json(held, calls, masters.standing(conn, bill, language))


def _listed_surrenders(
    conn: Connection, side: str | None, reference: str | None, language: str
) -> list[dict[str, Any]]:
    sides = [side] if side in (rows.CARRIER, rows.PLATFORM) else [rows.CARRIER, rows.PLATFORM]
    return [
        _surrender(conn, one, language)
        for name in sides
        for one in rows.surrenders_in(conn, name)
        if reference in (None, one.reference)
    ]
