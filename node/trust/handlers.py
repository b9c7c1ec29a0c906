"""HTTP of the trust service: lists and requests for everybody, the roots' work for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from node.http.helpers import hex_digest, json_response, lang, query_int, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.trust import rows, views
from node.trust.following import PATH
from node.trust.joining import JOIN
from node.trust.signing import PROPOSALS
from protocols import joining, member_list, times
from protocols.fields import Fields
from protocols.members import proposal
from schemas import strict_json
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from node.runtime import Node
    from node.trust.service import TrustService
    from protocols.member_list import MemberList

MAX_PAGE_BYTES = 6 * 1024 * 1024
MAX_IMPORT_BYTES = member_list.MAX_EXPORT_BYTES
_OBJECT = {"type": "object"}
_AT = Parameter("at", "another moment (RFC 3339): the list that was in force then")
_NETWORK = Parameter("network", "the network id that a node in no network yet pins")
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
            Route("GET", "/v1/trust", self._show, operator,
                  "The member list in force, now or at another moment", tag, parameters=(_AT,)),
            Route("GET", "/v1/trust/list", self._list, operator,
                  "The member list in force as it is signed, for editing", tag),
            Route("GET", "/v1/trust/requests", self._requests, operator,
                  "Requests and proposals that wait", tag),
            Route("POST", "/v1/trust/refuse", self._refuse, operator,
                  "Let requests wait no longer that no list is to grant", tag,
                  request={JSON: views.REFUSE}),
            Route("POST", "/v1/trust/propose", self._propose, operator,
                  "Draft the next list; nothing is signed or kept", tag,
                  request={JSON: views.PROPOSE}, deadline=30.0, max_body=MAX_PAGE_BYTES),
            Route("POST", "/v1/trust/diff", self._diff, operator,
                  "What a proposal would change, and what would follow", tag,
                  request={JSON: _OBJECT, member_list.MEDIA_TYPE: _OBJECT}, deadline=30.0,
                  max_body=MAX_PAGE_BYTES),
            Route("POST", "/v1/trust/sign", self._sign, operator,
                  "Sign a proposal, or the next list as wished, with the root keys held here", tag,
                  request={JSON: views.SIGN}, deadline=30.0, max_body=MAX_PAGE_BYTES),
            Route("POST", "/v1/trust/roots", self._new_root, operator,
                  "Make a root key here; it counts when a list names it", tag,
                  responses={201: "Its id and public key"}),
            Route("POST", "/v1/trust/import", self._import, operator,
                  "Take in a file of lists, each verified by the one before it", tag,
                  request={JSON: _OBJECT}, parameters=(_NETWORK,), deadline=60.0,
                  max_body=MAX_IMPORT_BYTES),
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
        state, left = await self._trust.joining.state(request_id)
        missing = [one.tell().strip() for one in left]
        body: dict[str, Any] = {"id": request_id.hex(), "state": state}
        return json_response(body | ({"missing": missing} if missing else {}))

    async def _proposal(self, request: web.Request) -> web.Response:
        taken = await self._trust.signing.take(await request.read())
        body = {"signatures": taken.standing.signatures, "published": taken.published}
        return json_response(body)

    async def _show(self, request: web.Request) -> web.Response:
        current = self._current()
        fields = Fields(dict(request.query), views.CODE)
        at = fields.optional_time("at")
        if at is not None:
            current = await self._trust.members_at(at) or current
            if current.issued_at > at:
                founded = times.to_text(current.issued_at)
                raise NotFoundError("member_list_not_yet", f"the network was founded at {founded}")
        await self._trust.joining.settle()
        pending = await self._node.store.read(rows.pending_requests)
        roots = [one.kid for one in self._trust.signing.roots()]
        body = views.members(current, at or self._node.clock.now())
        return json_response(body | {"pending": len(pending), "rootKeys": roots})

    async def _list(self, _: web.Request) -> web.Response:
        return web.Response(body=self._current().payload, content_type=JSON)

    async def _requests(self, request: web.Request) -> web.Response:
        current = self._current()
        await self._trust.joining.settle()
        pending = await self._node.store.read(rows.pending_requests)
        now, told_in = self._node.clock.now(), lang(request)
        waiting = [views.request(one, current, now, told_in) for one in pending]
        proposals = await self._node.store.read(rows.open_proposals)
        opened = [proposal.read(one) for one in proposals]
        following = [one for one in opened if one.members.previous == current.digest]
        examined = [self._trust.signing.examine(one.to_bytes()) for one in following]
        told = [views.signed(one, lang(request)) for one in examined]
        return json_response({"requests": waiting, "proposals": told})

    async def _refuse(self, request: web.Request) -> web.Response:
        ids, why = views.read_refusal(await read_json(request))
        await self._trust.joining.refuse(ids, why)
        return json_response({"requests": [one.hex() for one in ids], "state": "dropped"})

    async def _propose(self, request: web.Request) -> web.Response:
        wish = views.read_wish(await read_json(request))
        drafted = await self._trust.signing.propose(wish)
        examined = self._trust.signing.examine(drafted.to_bytes())
        return json_response(views.signed(examined, lang(request)))

    async def _diff(self, request: web.Request) -> web.Response:
        examined = self._trust.signing.examine(await request.read())
        return json_response(views.signed(examined, lang(request)))

    async def _sign(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        fields = Fields(body, views.CODE)
        given, kid = fields.optional_child("proposal"), fields.optional_text("root")
        if given is None:
            signed = await self._trust.signing.sign(views.read_wish(body))
        else:
            data = strict_json.canonical(cast("strict_json.JsonValue", dict(given.members)))
            anyway = fields.has("anyway") and fields.boolean("anyway")
            signed = [await self._trust.signing.sign_file(data, kid, anyway=anyway)]
        told = [views.signed(one, lang(request)) for one in signed]
        return json_response({"signed": told})

    async def _new_root(self, _: web.Request) -> web.Response:
        key = self._trust.signing.new_root().public()
        return json_response({"kid": key.kid, "jwk": dict(key.jwk)}, 201)

    async def _import(self, request: web.Request) -> web.Response:
        network = Fields(dict(request.query), views.CODE).optional_digest("network")
        lists = member_list.read_export(await request.read())
        added = await self._trust.follower.take_in(lists, network)
        return json_response(views.versions(added, self._node.members.current))

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
