"""HTTP of the trust service: lists and requests for everybody, the roots' work for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.http.helpers import hex_digest, json_response, query_int, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.trust import rows, views
from node.trust.following import PATH
from node.trust.joining import JOIN
from node.trust.signing import PROPOSALS
from protocols import joining, member_list
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from node.runtime import Node
    from node.trust.service import TrustService
    from protocols.member_list import MemberList

MAX_PAGE_BYTES = 6 * 1024 * 1024
_OBJECT = {"type": "object"}
_FROM = Parameter("from", "the first version wanted", {"type": "integer", "minimum": 1})


class TrustHandlers:
    """The handlers, and the routes that lead to them."""

    def __init__(self, node: Node, trust: TrustService) -> None:
        """Calls `trust` for everything that changes something."""
        self._node = node
        self._trust = trust

    def routes(self) -> Sequence[Route]:
        """Open, peer and operator routes."""
        operator, tag = Auth.OPERATOR, "trust"
        return (
            Route("GET", PATH, self._members, Auth.OPEN, "Signed member lists by version", tag,
                  parameters=(_FROM,)),
            Route("POST", f"{PATH}/notice", self._notice, Auth.PEER,
                  "Tell a node which list is in force; the Px-Members header says it", tag),
            Route("POST", JOIN, self._join, Auth.OPEN, "Ask to be listed, proven by every key", tag,
                  request={joining.MEDIA_TYPE: _OBJECT, JSON: _OBJECT},
                  responses={202: "The request waits for the roots"}, max_body=joining.MAX_BYTES),
            Route("GET", JOIN + "/{id}", self._join_state, Auth.OPEN, "A request", tag),
            Route("POST", PROPOSALS, self._proposal, Auth.PEER,
                  "Hand over a next list that misses signatures", tag,
                  request={member_list.MEDIA_TYPE: _OBJECT}, max_body=MAX_PAGE_BYTES),
            Route("GET", "/v1/trust", self._show, operator, "The member list in force", tag),
            Route("GET", "/v1/trust/requests", self._requests, operator,
                  "Requests and proposals that wait", tag),
            Route("POST", "/v1/trust/sign", self._sign, operator,
                  "Sign the next list with the root keys held here", tag,
                  request={JSON: views.SIGN}, deadline=30.0),
            Route("GET", "/v1/trust/export", self._export, operator,
                  "All versions in one file, for verifiers without a node", tag),
            Route("POST", "/v1/trust/join", self._begin, operator, "Ask to join a network", tag,
                  request={JSON: views.BEGIN}, responses={202: "Asked"}, deadline=30.0),
            Route("GET", "/v1/trust/join", self._waiting, operator, "Our own request", tag),
            Route("POST", "/v1/trust/ask", self._ask, operator,
                  "As a member, ask the roots for rights, new keys and hosted parties", tag,
                  request={JSON: views.ASK}, responses={202: "Asked"}, deadline=30.0),
        )  # fmt: skip

    def _current(self) -> MemberList:
        current = self._node.members.current
        if current is None:
            raise NotFoundError("no_network", "this node is in no network yet")
        return current

    async def _members(self, request: web.Request) -> web.Response:
        start = query_int(request, "from", 1, low=1, high=1_000_000)
        lists = await self._node.store.read(rows.signed_lists, start, 100)
        page: list[bytes] = []
        size = 0
        for signed in lists:
            size += len(signed)
            if page and size > MAX_PAGE_BYTES:
                break
            page.append(signed)
        return web.Response(body=member_list.write_export(page), content_type=JSON)

    async def _notice(self, request: web.Request) -> web.Response:
        # The guard has already passed the caller's Px-Members on.
        await request.read()
        return web.Response(status=204)

    async def _join(self, request: web.Request) -> web.Response:
        asked = await self._trust.joining.take(await request.read())
        body = {"id": asked.digest.hex(), "state": "pending"}
        return json_response(body, 202, headers={"Location": f"{JOIN}/{asked.digest.hex()}"})

    async def _join_state(self, request: web.Request) -> web.Response:
        request_id = hex_digest(request.match_info["id"], "id")
        state = await self._trust.joining.state(request_id)
        return json_response({"id": request_id.hex(), "state": state})

    async def _proposal(self, request: web.Request) -> web.Response:
        count, published = await self._trust.signing.take(await request.read())
        return json_response({"signatures": count, "published": published})

    async def _show(self, _: web.Request) -> web.Response:
        current = self._current()
        pending = await self._node.store.read(rows.pending_requests)
        roots = [one.kid for one in self._trust.signing.roots()]
        body = views.members(current, self._node.clock.now())
        return json_response(body | {"pending": len(pending), "rootKeys": roots})

    async def _requests(self, _: web.Request) -> web.Response:
        current = self._current()
        pending = await self._node.store.read(rows.pending_requests)
        waiting = [views.request(one, test=current.test) for one in pending]
        proposals = await self._node.store.read(rows.open_proposals)
        return json_response(
            {"requests": waiting, "proposals": [views.proposal(one, current) for one in proposals]}
        )

    async def _sign(self, request: web.Request) -> web.Response:
        wish = views.read_wish(await read_json(request))
        signed = await self._trust.signing.sign(wish)
        return json_response({"signed": [views.signed(one) for one in signed]})

    async def _export(self, _: web.Request) -> web.Response:
        self._current()
        return web.Response(body=await self._trust.export(), content_type=JSON)

    async def _begin(self, request: web.Request) -> web.Response:
        url, network, wants = views.read_begin(await read_json(request))
        asked = await self._trust.join(url, network, wants)
        return json_response({"id": asked.digest.hex(), "state": "pending"}, 202)

    async def _waiting(self, _: web.Request) -> web.Response:
        current = self._node.members.current
        if current is not None:
            body: dict[str, Any] = {"state": "admitted", "network": current.network.hex()}
            return json_response(body | {"version": current.version, "name": current.name})
        ours = await self._node.store.read(rows.our_joining)
        if ours is None:
            return json_response({"state": "none"})
        await self._trust.joining.poll()
        body = {"state": "pending", "id": ours.id.hex(), "url": ours.url}
        return json_response(body | {"network": ours.network.hex()})

    async def _ask(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        parties = self._trust.joining.hosted(views.read_parties(body))
        asked = await self._trust.ask(wants=views.read_rights(body), parties=parties)
        return json_response({"id": asked.hex(), "state": "pending"}, 202)
