"""The operator's routes for the holder's work with bills across platforms."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from node.http.helpers import hex_digest, json_response, query_int, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.pint import outgoing, rows
from node.pint.beginning import Supporting
from node.pint.preparing import MAX_DOCUMENT, Move
from node.pint.sending_views import (
    chain_json,
    control_json,
    line_json,
    outgoing_json,
    title_of,
    untitled,
)
from protocols.fields import DID, Fields
from protocols.pint.envelope import MAX_DOCUMENTS
from protocols.pint.parties import read_code, read_party
from protocols.pint.reading import CODE, PLATFORM, TRIMMED
from protocols.pint.words import Action, Reason
from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.pint.sending import SendingService
    from node.runtime import Node

BASE = "/v1/ebl"
MAX_BODY = 48 * 1024 * 1024
MAX_WAIT = 15
_DEADLINE = 25.0
_TEXT = {"type": "string"}
_BILL = Parameter("refresh", "1: ask the arbiter first")
_MOVES = frozenset(set(Action) - {Action.ISSUE, Action.SIGN})


class SendingRoutes:
    """Reads requests strictly and answers in JSON; the work is the service's."""

    def __init__(self, service: SendingService) -> None:
        """Belongs to `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """All of them."""
        where, tag = Auth.OPERATOR, "bills"
        return [
            Route("GET", BASE + "/bills", self._list, where,
                  "Bills that are or were here, and what is under way with them", tag,
                  parameters=(
                      Parameter("status", "here, sent, surrendered, ended, disputed"),
                      Parameter("after", "cursor of the last page"),
                      Parameter("limit", "bills at most", {"type": "integer"}),
                  )),
            Route("GET", BASE + "/bills/{bill}", self._show, where,
                  "Who is in control of a bill now, with proof, without names", tag,
                  parameters=(_BILL,), deadline=_DEADLINE),
            Route("POST", BASE + "/bills/{bill}/moves", self._move, where,
                  "Transfer, endorse, surrender, or answer a surrender", tag,
                  request={JSON: _MOVE}, responses=_MOVED,
                  max_body=MAX_BODY, deadline=_DEADLINE),
            Route("POST", BASE + "/bills/{bill}/news", self._tell, where,
                  "Tell the platform that must know of what is final already", tag,
                  request={JSON: {"type": "object", "properties": {}}}, responses=_MOVED,
                  deadline=_DEADLINE),
            Route("GET", BASE + "/outgoing", self._transfers, where,
                  "Transfers to other platforms, the newest first", tag,
                  parameters=(
                      Parameter("state", "building, sending, confirming, cancelling, received …"),
                      Parameter("limit", "transfers at most", {"type": "integer"}),
                  )),
            Route("GET", BASE + "/outgoing/{transfer}", self._transfer, where,
                  "One transfer to another platform, with the signed answer", tag),
            Route("POST", BASE + "/receivers", self._receiver, where,
                  "The name that another platform has behind a code", tag,
                  request={JSON: _RECEIVER}, deadline=_DEADLINE),
        ]  # fmt: skip

    async def _title(self, request: web.Request) -> bytes:
        store, text = self._service.node.store, request.match_info["bill"]
        found: bytes = await store.read(title_of, text)
        return found

    async def _list(self, request: web.Request) -> web.Response:
        limit = query_int(request, "limit", 100, low=1, high=500)
        after, status = query_text(request, "after"), query_text(request, "status")
        cursor = hex_digest(after, "after") if after else None
        node = self._service.node
        body = await node.store.read(_page, node, cursor, limit, status)
        return json_response(body)

    async def _show(self, request: web.Request) -> web.Response:
        node, text = self._service.node, request.match_info["bill"]
        document = await node.store.read(untitled, text)
        if document is not None:
            return json_response(await node.store.read(chain_json, node, document))
        title = await self._title(request)
        await node.title.find(title, refresh=query_text(request, "refresh") == "1")
        return json_response(await node.store.read(control_json, node, title))

    async def _move(self, request: web.Request) -> web.Response:
        service, fields = self._service, Fields(await read_json(request), CODE)
        wait = fields.integer("wait", 0, MAX_WAIT) if fields.has("wait") else 4
        text = request.match_info["bill"]
        document = await service.node.store.read(untitled, text)
        if document is not None:
            order = read_move(b"", fields)
            return _answered(await service.move_untitled(document, order, wait=wait))
        title = await self._title(request)
        return _answered(await service.move(read_move(title, fields), wait=wait))

    async def _tell(self, request: web.Request) -> web.Response:
        await read_json(request)
        told = await self._service.tell(await self._title(request), wait=4)
        return (
            json_response({"outcome": "final", "state": "recorded"})
            if told is None
            else (_answered(told))
        )

    async def _transfers(self, request: web.Request) -> web.Response:
        limit, state = (
            query_int(request, "limit", 100, low=1, high=500),
            query_text(request, "state"),
        )
        found = await self._service.node.store.read(_transfers, state, limit)
        return json_response({"transfers": found})

    async def _transfer(self, request: web.Request) -> web.Response:
        entry = hex_digest(request.match_info["transfer"], "transfer")
        return json_response(await self._service.node.store.read(_one, entry))

    async def _receiver(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        platform = fields.text("platform", pattern=PLATFORM)
        name = await self._service.client.validate(platform, read_code(fields.child("code")))
        return json_response({"platform": platform, "partyName": name})


def _page(
    conn: Connection, node: Node, after: bytes | None, limit: int, status: str | None
) -> dict[str, Any]:
    found = rows.bills_page(conn, after=after, limit=limit, status=status)
    following = found[-1].document.hex() if len(found) == limit else None
    return {"bills": [line_json(conn, node, bill) for bill in found], "after": following}


def _transfers(conn: Connection, state: str | None, limit: int) -> list[dict[str, Any]]:
    return [outgoing_json(conn, row) for row in outgoing.page(conn, state=state, limit=limit)]


def _one(conn: Connection, entry: bytes) -> dict[str, Any]:
    return outgoing_json(conn, outgoing.require(conn, entry))


def _answered(body: dict[str, Any]) -> web.Response:
    return json_response(body, 202 if body["outcome"] == "pending" else 200)


def read_move(title: bytes, fields: Fields) -> Move:
    """POST …/moves; raises MalformedError `pint_message_malformed`, TooLargeError."""
    action = fields.text("action")
    if action not in {one.value for one in _MOVES}:
        raise fields.fault("action", "one of " + ", ".join(sorted(one.value for one in _MOVES)))
    reason = fields.optional_text("reason")
    if reason is not None and reason not in {one.value for one in Reason}:
        raise fields.fault("reason", "SWTP, COD or SWI")
    party = fields.optional_child("recipient")
    return Move(
        title,
        Action(action),
        to=fields.optional_text("to", pattern=DID),
        by=fields.optional_text("by", pattern=DID),
        reason=None if reason is None else Reason(reason),
        comments=fields.optional_text("comments", pattern=TRIMMED, max_length=255),
        supporting=tuple(_supporting(item) for item in fields.children("documents", MAX_DOCUMENTS)),
        party=None if party is None else read_party(party),
    )


def _supporting(fields: Fields) -> Supporting:
    try:
        content = base64.b64decode(fields.text("content", max_length=MAX_BODY), validate=True)
    except (ValueError, binascii.Error):
        raise fields.fault("content", "base64 (RFC 4648 §4)") from None
    if not content:
        raise MalformedError(CODE, "an empty document", pointer=fields.place("content"))
    if len(content) > MAX_DOCUMENT:
        raise TooLargeError("document_too_large", f"more than {MAX_DOCUMENT} bytes")
    return Supporting(
        fields.text("name", pattern=TRIMMED, max_length=100),
        fields.text("mediaType", max_length=100),
        content,
    )


_MOVED: dict[int, str] = {
    200: "Decided: `final`, or `refused` with the other platform's signed word",
    202: "Under way: it goes on by itself until a signed answer comes",
    409: "Another transfer of the bill is under way, or the arbiter refused",
}
_MOVE: dict[str, Any] = {
    "type": "object",
    "required": ["action"],
    "properties": {
        **dict.fromkeys(("action", "to", "by", "reason", "comments"), _TEXT),
        "wait": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT},
        "recipient": {"type": "object"},
        "documents": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "mediaType", "content"],
                "properties": dict.fromkeys(("name", "mediaType", "content"), _TEXT),
            },
        },
    },
}
_RECEIVER: dict[str, Any] = {
    "type": "object",
    "required": ["platform", "code"],
    "properties": {
        "platform": _TEXT,
        "code": {
            "type": "object",
            "required": ["codeListProvider", "partyCode"],
            "properties": dict.fromkeys(("codeListProvider", "partyCode", "codeListName"), _TEXT),
        },
    },
}
