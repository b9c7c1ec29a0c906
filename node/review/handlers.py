"""HTTP of the review service."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from node.documents.orders import read_approvals
from node.http.helpers import json_response, lang, path_int, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.review import approving, desk_policy, people, rows
from node.verification.judging import members_of
from protocols import approval
from protocols.fields import Fields
from schemas import strict_json
from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.review.rows import Application
    from node.review.service import ReviewService
    from node.runtime import Node

CODE = "review_malformed"
MAX_ITEMS = 500
MAX_TOTAL = 100_000
MAX_BODY = 16 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_PERSON = re.compile(r"\S(?:.{0,78}\S)?")
_APPROVAL = {"type": "string", "description": "a person's px-approval+jws"}
_APPLY = {
    "type": "object",
    "required": ["payload"],
    "properties": {
        "payload": {"type": "string", "description": "the document, base64"},
        **{
            name: {"type": "string"}
            for name in ("type", "consignment", "mediaType", "validUntil", "exportCountry",
                         "importCountry")
        },
    },
}  # fmt: skip
_BATCH = {
    "type": "object",
    "required": ["name", "total"],
    "properties": {
        "name": {"type": "string"},
        "total": {"type": "integer"},
        "documents": {
            "type": "string",
            "description": "base64: 32 bytes for each document in order, digest and terms hashed",
        },
        "approval": _APPROVAL,
    },
}
_ITEMS = {
    "type": "object",
    "required": ["first", "items"],
    "properties": {
        "first": {"type": "integer"},
        "items": {"type": "array", "items": _APPLY, "maxItems": MAX_ITEMS},
    },
}
_DECIDE = {
    "type": "object",
    "required": ["approval"],
    "properties": {"approval": _APPROVAL},
}
_PERSON_BODY = {
    "type": "object",
    "required": ["name", "key"],
    "properties": {
        "name": {"type": "string"},
        "key": {"type": "string"},
        "approvals": {"type": "array", "items": _APPROVAL},
    },
}


class ReviewHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, node: Node, service: ReviewService) -> None:
        """Reads and writes the store; the service reviews and issues."""
        self._node = node
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        operator, tag = Auth.OPERATOR, "review"
        many, one = "/v1/review/applications", "/v1/review/applications/{n}"
        batch, persons = "/v1/review/batches/{name}", "/v1/review/people"
        listing = (
            Parameter("state", "received, ready, manual, hold, approved, issued or refused"),
            Parameter("batch", "only of this batch"),
            Parameter("after", "the `next` of the page before", {"type": "integer"}),
            Parameter("limit", "at most 500", {"type": "integer"}),
        )
        return (
            Route("POST", many, self._apply, operator, "Apply for one document", tag,
                  request={JSON: _APPLY}, responses={202: "Kept; the rules review it"},
                  max_body=MAX_BODY),
            Route("GET", many, self._list, operator, "Applications with lane and findings", tag,
                  parameters=listing),
            Route("GET", one, self._show, operator, "One application", tag),
            Route("GET", one + "/order", self._order, operator,
                  "The order that was applied for: what a person signs who approves it", tag),
            Route("POST", one + "/decision", self._decide, operator,
                  "A person's signed approval or refusal; a second one where the policy says so",
                  tag, request={JSON: _DECIDE}),
            Route("GET", "/v1/review/policy", self._policy, operator,
                  "The policy in force, and the network: what an approval names", tag),
            Route("POST", "/v1/review/batches", self._open, operator,
                  "Begin a batch, or go on with it; an approval signs for its AUTO lane", tag,
                  request={JSON: _BATCH}, responses={201: "Open"}, max_body=MAX_BODY),
            Route("GET", batch, self._progress, operator, "How far a batch is", tag),
            Route("PUT", batch + "/applications", self._put, operator,
                  "Applications of a batch from a place on; each is taken in once", tag,
                  request={JSON: _ITEMS}, max_body=MAX_BODY, deadline=60.0),
            Route("GET", persons, self._people, operator, "Who may decide, by which key", tag),
            Route("POST", persons, self._add, operator,
                  "Add a person by the did:key of their own key, approved by persons where the"
                  " policy asks for two", tag,
                  request={JSON: _PERSON_BODY}, responses={201: "Added"}),
            Route("DELETE", persons + "/{name}", self._end, operator,
                  "The person decides no more", tag),
        )  # fmt: skip

    async def _apply(self, request: web.Request) -> web.Response:
        places = await self._service.submit("", None, [await read_json(request)])
        kept = await self._node.store.read(rows.at, "", places[0])
        return json_response(_told(kept, lang(request)), 202)

    async def _list(self, request: web.Request) -> web.Response:
        state, limit = (
            query_text(request, "state"),
            query_int(request, "limit", 100, low=1, high=500),
        )
        found = await self._node.store.read(
            rows.find,
            states=(state,) if state else (),
            batch=query_text(request, "batch"),
            after=query_int(request, "after", 0, low=0, high=2**53),
            limit=limit,
        )
        cursor = found[-1].n if len(found) == limit else None
        told = [_told(each, lang(request)) for each in found]
        return json_response({"applications": told, "next": cursor})

    async def _show(self, request: web.Request) -> web.Response:
        n = path_int(request, "n", low=1, high=2**53)
        return json_response(_told(await self._node.store.read(rows.require, n), lang(request)))

    async def _order(self, request: web.Request) -> web.Response:
        n = path_int(request, "n", low=1, high=2**53)
        one = await self._node.store.read(rows.require, n)
        order = strict_json.loads_object(one.envelope.encode())
        payload = base64.b64encode(one.payload).decode()
        return json_response(order | {"payload": payload})

    async def _decide(self, request: web.Request) -> web.Response:
        text = _signed(Fields(await read_json(request), CODE))
        n = path_int(request, "n", low=1, high=2**53)
        return json_response(_told(await self._service.decide(n, text), lang(request)))

    async def _policy(self, _request: web.Request) -> web.Response:
        policy = desk_policy.policy_of(self._node)
        body = {
            "network": members_of(self._node).network.hex(),
            "policy": policy.version,
            "binding": policy.binding,
        }
        return json_response(body)

    async def _open(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        name = fields.text("name", pattern=_NAME)
        total = fields.integer("total", 1, MAX_TOTAL)
        signed = fields.has("approval")
        text = _signed(fields) if signed else ""
        items = _items(fields, total) if signed else b""
        await self._service.open_batch(name, total, items, text)
        return json_response(await self._told_progress(name), 201)

    async def _progress(self, request: web.Request) -> web.Response:
        return json_response(await self._told_progress(request.match_info["name"][:100]))

    async def _told_progress(self, name: str) -> dict[str, Any]:
        body = await self._node.store.read(rows.progress, name)
        body["missing"] = await self._node.store.read(rows.missing, name)
        return body

    async def _put(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        first = fields.integer("first", 0, MAX_TOTAL)
        items = [child.members for child in fields.children("items", MAX_ITEMS)]
        name = request.match_info["name"][:100]
        taken = await self._service.submit(name, first, items)
        return json_response({"taken": len(taken), "known": len(items) - len(taken)})

    async def _people(self, _request: web.Request) -> web.Response:
        return json_response({"people": await self._node.store.read(people.listed)})

    async def _add(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        name = fields.text("name", pattern=_PERSON)
        key = fields.text("key", max_length=120)
        texts = read_approvals(fields)
        await self._node.store.write(approving.add_person, self._node, name, key, texts)
        return json_response({"name": name, "key": key, "active": True}, 201)

    async def _end(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._node.store.write(people.end, self._node, name)
        return json_response({"name": name, "active": False})


def _signed(fields: Fields) -> str:
    text = fields.text("approval", max_length=approval.MAX_BYTES)
    if not text.isascii():
        raise fields.fault("approval", "an approval is a compact JWS")
    return text


def _items(fields: Fields, total: int) -> bytes:
    """What is signed for: 32 bytes for each document of the batch."""
    text = fields.text("documents", max_length=2 * 32 * MAX_TOTAL)
    try:
        items = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise fields.fault("documents", "base64 (RFC 4648 §4)") from None
    if len(items) != 32 * total:
        raise fields.fault("documents", "32 bytes for each document of the batch")
    return items


def _told(one: Application, language: str) -> dict[str, Any]:
    """An application with the sentences of its findings in the reader's language."""
    body = one.to_json()
    for finding in body["findings"]:
        entry = explain(finding["rule"])
        if entry is not None:
            finding |= {"title": entry.sentence(language), "next": entry.next_step(language)}
    return body
