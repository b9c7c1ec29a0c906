"""HTTP of the exchange: PX/1 for peers, inbox, outbox and sending for the operator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.exchange import outbox_rows, sending, views
from node.exchange.peer_rows import peer_row
from node.exchange.tables import inbox, outbox
from node.http.helpers import (
    hex_digest,
    json_response,
    peer,
    query_int,
    query_text,
    read_json,
)
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.exchange import answer, frames
from protocols.http_signature import read_members_claim
from schemas.errors import MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from node.exchange.service import ExchangeService
    from node.runtime import Node

_DIGITS = re.compile(r"[0-9a-f]{8,64}")
_INTEGER = {"type": "integer", "minimum": 0}
_PAGE = (
    Parameter("consignment", "only of this UCR"),
    Parameter("state", "only in this state"),
    Parameter("document", "only of this document (its digest or the beginning of it)"),
    Parameter("after", "number of the last row already seen", _INTEGER),
    Parameter("limit", f"rows at most, up to {views.MAX_PAGE}", _INTEGER),
)
_SEND = {
    "type": "object",
    "required": ["to"],
    "properties": {
        "to": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string"}},
        "again": {"type": "boolean"},
        "disclose": {"type": "array", "items": {"type": "string"}},
    },
}


def routes_of(service: ExchangeService, node: Node) -> Sequence[Route]:
    """The routes of one node's exchange."""
    return [*_PeerRoutes(service, node).routes(), *_OperatorRoutes(service, node).routes()]


class _PeerRoutes:
    """PX/1."""

    def __init__(self, service: ExchangeService, node: Node) -> None:
        self._service = service
        self._node = node

    def routes(self) -> list[Route]:
        bytes_ = {frames.MEDIA_TYPE: {"type": "string", "format": "binary"}}
        return [
            Route(
                "POST",
                "/px/1/messages",
                self._take,
                Auth.PEER,
                "Hand in up to 100 messages; the answer is a signed receipt",
                "exchange",
                request=bytes_,
                responses={200: {"description": "Receipts", "content": {JSON: {}}}},
                max_body=frames.MAX_BATCH_BYTES,
                deadline=node_deadline(self._node),
            ),
            Route(
                "GET",
                "/px/1/messages",
                self._give,
                Auth.PEER,
                "Fetch what waits for the caller",
                "exchange",
                responses={200: "Frames, application/px-seq", 204: "Nothing waits"},
                parameters=(
                    Parameter("after", "the cursor of the answer before", _INTEGER),
                    Parameter("limit", "messages at most, up to 100", _INTEGER),
                ),
            ),
            Route(
                "POST",
                "/px/1/receipts",
                self._receipts,
                Auth.PEER,
                "Hand in the receipts of messages that were fetched",
                "exchange",
                request={JSON: {"type": "object"}},
                responses={204: "Taken"},
                max_body=answer.MAX_ANSWER_BYTES,
            ),
            Route(
                "GET",
                "/px/1/messages/{from}/{id}/receipt",
                self._receipt,
                Auth.PEER,
                "The receipt of one message of the caller, byte for byte",
                "exchange",
                responses={200: {"description": "The item's receipt", "content": {JSON: {}}}},
            ),
        ]

    async def _take(self, request: web.Request) -> web.Response:
        if request.content_type != frames.MEDIA_TYPE:
            raise MalformedError("batch_malformed", f"the body is {frames.MEDIA_TYPE}")
        batch = frames.decode(await request.read())
        answers = await self._service.receive(peer(request), batch, behind=self._behind(request))
        return web.Response(body=answer.write(answers), content_type=JSON)

    def _behind(self, request: web.Request) -> bool:
        """Whether the caller holds a later member list than this node."""
        members = self._node.members.current
        claim = read_members_claim(request.headers["Px-Members"])
        return members is not None and claim.version > members.version

    async def _give(self, request: web.Request) -> web.Response:
        caller = peer(request)
        cursor = query_int(request, "after", 0, low=0, high=2**62)
        limit = query_int(request, "limit", frames.MAX_ITEMS, low=1, high=frames.MAX_ITEMS)
        most = self._node.settings.exchange.batch_bytes
        found = await self._node.store.read(outbox_rows.due, caller, limit, most, cursor=cursor)
        self._service.heard_from(caller)
        row = await self._node.store.read(peer_row, caller)
        if not found or (row is not None and row.paused):
            return web.Response(status=204)
        body = frames.encode(frames.Frame(one.manifest, one.body) for one in found)
        return web.Response(
            body=body,
            content_type=frames.MEDIA_TYPE,
            headers={"Px-Cursor": str(found[-1].n)},
        )

    async def _receipts(self, request: web.Request) -> web.Response:
        caller = peer(request)
        items = answer.read(await request.read())
        named = {_id_of(item): item for item in items}
        ids = [name for name in named if name is not None]
        sent = await self._node.store.read(outbox_rows.by_ids, caller, ids)
        if sent:
            known = [named[one.id] for one in sent]
            await self._service.senders.make(caller).settle(known, sent)
        return web.Response(status=204)

    async def _receipt(self, request: web.Request) -> web.Response:
        caller = peer(request)
        proof = None
        # Receipts go to `from` only (R12); for anybody else there is nothing here.
        if request.match_info["from"] == caller:
            proof = await self._service.receipt_of(caller, request.match_info["id"])
        if proof is None:
            raise NotFoundError("receipt_unknown", "no message of yours by that id was stored here")
        return json_response(proof.to_json())


def _id_of(item: answer.Unsigned | Any) -> str | None:
    if isinstance(item, answer.Unsigned):
        return item.id
    name: str = item.item.id
    return name


def _beginning(text: str) -> str:
    """The first digits of a document's digest."""
    if not _DIGITS.fullmatch(text):
        raise MalformedError("query_bad", "document is 8 to 64 lower-case hex digits")
    return text


def _state(request: web.Request, table: Table) -> str | None:
    """The state asked for; one that no row can have is named with those there are."""
    states = views.STATES[table.name]
    state = query_text(request, "state")
    if state is not None and state not in states:
        raise MalformedError("query_bad", f"state is one of {', '.join(states)}", name="state")
    return state


def node_deadline(node: Node) -> float:
    """A full batch may take as long to arrive as a caller would wait for its answer."""
    return max(node.settings.limits.call_deadline, node.settings.limits.handler_deadline)


class _OperatorRoutes:
    """Inbox, outbox, sending, peers."""

    def __init__(self, service: ExchangeService, node: Node) -> None:
        self._service = service
        self._node = node

    def routes(self) -> list[Route]:
        return [*self._lists(), *self._actions()]

    def _lists(self) -> list[Route]:
        page = {200: {"description": "A page", "content": {JSON: {}}}}
        return [
            Route(
                "GET",
                "/v1/inbox",
                self._inbox,
                Auth.OPERATOR,
                "Messages received, oldest first, by cursor",
                "exchange",
                responses=page,
                parameters=_PAGE,
            ),
            Route(
                "GET",
                "/v1/outbox",
                self._outbox,
                Auth.OPERATOR,
                "Messages promised to others, oldest first, by cursor",
                "exchange",
                responses=page,
                parameters=_PAGE,
            ),
            Route(
                "GET",
                "/v1/inbox/{digest}/payload",
                self._payload,
                Auth.OPERATOR,
                "The payload of a received document, byte for byte, whatever its verdict",
                "exchange",
                responses={200: "The issuer's bytes", 404: "Never received"},
            ),
            Route(
                "GET",
                "/v1/peers",
                self._peers,
                Auth.OPERATOR,
                "What waits for each peer, and whether it can be reached",
                "exchange",
                responses=page,
            ),
        ]

    def _actions(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/documents/{digest}/send",
                self._send,
                Auth.OPERATOR,
                "Send a document to other nodes",
                "exchange",
                request={JSON: _SEND},
                responses={202: {"description": "Promised", "content": {JSON: {}}}},
            ),
            *(
                Route(
                    "POST",
                    f"/v1/peers/{{did}}/{act}",
                    handler,
                    Auth.OPERATOR,
                    summary,
                    "exchange",
                    request={JSON: {"type": "object"}},
                    responses={200: {"description": "Done", "content": {JSON: {}}}},
                )
                for act, handler, summary in (
                    ("pause", self._pause, "Stop exchanging with a peer; what waits is kept"),
                    ("resume", self._resume, "Exchange with a peer again"),
                    ("pull", self._pull, "Fetch what waits for this node at a peer"),
                )
            ),
        ]

    async def _inbox(self, request: web.Request) -> web.Response:
        return await self._page(request, inbox)

    async def _outbox(self, request: web.Request) -> web.Response:
        return await self._page(request, outbox)

    async def _page(self, request: web.Request, table: Table) -> web.Response:
        document = query_text(request, "document")
        limit = query_int(request, "limit", 100, low=1, high=views.MAX_PAGE)
        rows = await self._node.store.read(
            views.page,
            table,
            consignment=query_text(request, "consignment"),
            state=_state(request, table),
            document=None if document is None else _beginning(document),
            cursor=query_int(request, "after", 0, low=0, high=2**62),
            limit=limit,
        )
        following = rows[-1]["n"] if len(rows) == limit else None
        return json_response({"items": rows, "next": following})

    async def _payload(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        data = await self._node.store.read(views.received_file, digest)
        if data is None:
            raise NotFoundError("document_unreceived", "no message brought that document")
        from protocols.credentials.forms import open_file

        opened = open_file(data)
        return web.Response(
            body=opened.file.payload, headers={"Content-Type": opened.claims.payload.media_type}
        )

    async def _peers(self, _request: web.Request) -> web.Response:
        return json_response({"items": await self._node.store.read(views.peer_list)})

    async def _send(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        order = sending.read_order(await read_json(request))
        messages = await self._node.store.write(sending.send, self._node, digest, order)
        return json_response({"messages": messages}, 202)

    async def _pause(self, request: web.Request) -> web.Response:
        await self._service.pause(self._listed(request), paused=True)
        return json_response({"paused": True})

    async def _resume(self, request: web.Request) -> web.Response:
        await self._service.pause(self._listed(request), paused=False)
        return json_response({"paused": False})

    async def _pull(self, request: web.Request) -> web.Response:
        return json_response({"messages": await self._service.pull(self._listed(request))})

    def _listed(self, request: web.Request) -> str:
        did, members = request.match_info["did"], self._node.members.current
        if members is None or members.node(did) is None:
            raise NotFoundError("peer_unknown", f"{did} is not in the member list")
        return did
