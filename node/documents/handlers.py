"""HTTP of the document service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from node.basis import flagging as basis
from node.basis import pinned
from node.documents import documents, orders, status
from node.documents.documents import MAX_PAGE, StoredDocument
from node.http.helpers import hex_digest, json_response, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.approval import MAX_APPROVALS
from protocols.credentials import forms
from protocols.credentials.credential import MEDIA_TYPE
from protocols.credentials.sd_credential import FORMS
from protocols.credentials.status_list import REVOCATION, SUSPENSION
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from node.documents.service import DocumentService
    from node.runtime import Node

MAX_ISSUE_BYTES = 8 * 1024 * 1024
HISTORY_SECONDS = 86_400
_NAMES = ("type", "number", "consignment")
_APPROVALS = {
    "type": "array",
    "maxItems": MAX_APPROVALS,
    "items": {"type": "string", "description": "a person's px-approval+jws"},
}
_ISSUE = {
    "type": "object",
    "required": ["payload"],
    "properties": {
        "payload": {"type": "string", "contentEncoding": "base64"},
        **{
            name: {"type": "string"}
            for name in (
                "type",
                "consignment",
                "mediaType",
                "validUntil",
                "exportCountry",
                "importCountry",
            )
        },
        "form": {"type": "string", "enum": sorted(FORMS)},
        "holder": {"type": "object"},
        "approvals": _APPROVALS,
    },
}
_REVOKE = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": {"type": "string", "maxLength": orders.MAX_REASON},
        "approvals": _APPROVALS,
    },
}
_PAGE = (
    *(Parameter(name, f"only documents of this {name}") for name in _NAMES),
    Parameter("origin", "issued or received"),
    Parameter("limit", "documents at most", {"type": "integer", "minimum": 1}),
    Parameter("after", "`next` of the page before", {"type": "integer", "minimum": 0}),
)


class DocumentHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, node: Node, service: DocumentService) -> None:
        """Calls `service` for everything that changes something."""
        self._node = node
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Operator routes, and the open status lists."""
        operator, tag, one = Auth.OPERATOR, "documents", "/v1/documents/{digest}"
        return (
            Route("POST", "/v1/documents", self._issue, operator, "Issue a document", tag,
                  request={JSON: _ISSUE}, max_body=MAX_ISSUE_BYTES,
                  responses={201: "Issued", 200: "These bytes were issued already"}),
            Route("GET", "/v1/documents", self._list, operator,
                  "Documents in the order they came", tag, parameters=_PAGE),
            Route("GET", one, self._get, operator,
                  "One document: JSON, or the document file by Accept", tag),
            Route("GET", one + "/payload", self._payload, operator, "The document's bytes", tag),
            Route("GET", one + "/report", self._report, operator, "Its verification report", tag),
            Route("POST", one + "/revoke", self._revoke, operator, "Revoke a document", tag,
                  request={JSON: _REVOKE}),
            Route("POST", one + "/suspend", self._suspend, operator,
                  "Suspend a document until it is reinstated", tag, request={JSON: _REVOKE}),
            Route("POST", one + "/reinstate", self._reinstate, operator,
                  "End the suspension of a document", tag, request={JSON: _REVOKE}),
            Route("GET", "/status/{list}", self._status, Auth.OPEN, "A signed status list", tag,
                  parameters=(Parameter("timestamp", "the list as it was then: RFC 3339"),)),
        )  # fmt: skip

    async def _issue(self, request: web.Request) -> web.Response:
        issued = await self._service.issue(orders.read_issue(await read_json(request)))
        where = {"Location": f"/v1/documents/{issued.document.digest.hex()}"}
        status_code = 201 if issued.fresh else 200
        body = issued.document.to_json()
        if issued.warnings:
            body["warnings"] = [finding.to_json() for finding in issued.warnings]
        return json_response(body, status_code, headers=where)

    async def _list(self, request: web.Request) -> web.Response:
        limit = query_int(request, "limit", 100, low=1, high=MAX_PAGE)
        found = await self._node.store.read(
            documents.find,
            **{name: query_text(request, name) for name in (*_NAMES, "origin")},
            after=query_int(request, "after", 0, low=0, high=2**53),
            limit=limit,
        )
        cursor = found[-1].n if len(found) == limit else None
        lost = await self._node.store.read(basis.lost_among, self._node, found)
        told = [
            one.to_json() | ({"basisLost": True} if one.digest in lost else {}) for one in found
        ]
        return json_response({"documents": told, "next": cursor})

    async def _required(self, request: web.Request) -> StoredDocument:
        digest = hex_digest(request.match_info["digest"])
        return await self._node.store.read(documents.require, digest)

    async def _get(self, request: web.Request) -> web.Response:
        document = await self._required(request)
        accept = request.headers.get("Accept", "")
        if any(wanted in accept for wanted in (*forms.MEDIA_TYPES, "octet-stream")):
            return web.Response(body=document.file, content_type=document.media_type)
        reasons = await self._node.store.read(status.reasons_of, document.digest)
        body = document.to_json()
        if reasons:
            body["status"]["reason"] = reasons.get(REVOCATION) or reasons[SUSPENSION]
        lost = await self._node.store.read(basis.flags_of, self._node, document)
        if lost:
            body["basisLost"] = [flag.to_json() for flag in lost]
        read = self._node.store.read
        unsure = await read(pinned.findings, document.type, document.payload)
        if unsure:
            body["basisUnknown"] = [finding.to_json() for finding in unsure]
        to = await self._node.store.read(documents.recipients_of, document.digest)
        return json_response(body | {"recipients": to})

    async def _payload(self, request: web.Request) -> web.Response:
        document = await self._required(request)
        return web.Response(body=document.payload, content_type=document.payload_type)

    async def _report(self, request: web.Request) -> web.Response:
        document = await self._required(request)
        if document.report is None:
            raise NotFoundError("report_unknown", "no verification of this document is kept here")
        return json_response(orjson.loads(document.report))

    async def _revoke(self, request: web.Request) -> web.Response:
        return await _changed(self._service.revoke, request)

    async def _suspend(self, request: web.Request) -> web.Response:
        return await _changed(self._service.suspend, request)

    async def _reinstate(self, request: web.Request) -> web.Response:
        return await _changed(self._service.reinstate, request)

    async def _status(self, request: web.Request) -> web.Response:
        asked = query_text(request, "timestamp")
        at = None if asked is None else orders.read_timestamp(asked, self._node.clock.now())
        text = await self._service.signed_list(request.match_info["list"][:40], at)
        # What was in force at a past moment never changes.
        age = int(self._node.settings.status.ttl / 2) if at is None else HISTORY_SECONDS
        headers = {"Cache-Control": f"max-age={age}"}
        return web.Response(text=text, content_type=MEDIA_TYPE, headers=headers)


async def _changed(
    change: Callable[[bytes, str, Sequence[str]], Awaitable[StoredDocument]], request: web.Request
) -> web.Response:
    digest = hex_digest(request.match_info["digest"])
    reason, approvals = orders.read_change(await read_json(request))
    return json_response((await change(digest, reason, approvals)).to_json())
