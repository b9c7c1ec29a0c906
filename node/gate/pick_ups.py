"""Passing the pick-up right on, taking it back, and taking in what other nodes say of it.

Messages `urn:pratique:pick-up` carry one link or revocation, signed by the company itself; whoever
forwards it adds nothing. Routes: /v1/pick-ups (operator).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from node.gate import rows
from node.http.helpers import hex_digest, json_response, query_text, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.store import events
from node.verification import judging
from protocols import times
from protocols.fields import DID, Fields
from protocols.release import pick_up
from protocols.release.pick_up import (
    Company,
    Link,
    Revocation,
    read_link,
    read_revocation,
    require_form,
)
from schemas import strict_json
from schemas.errors import ForbiddenError, MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aiohttp import web
    from sqlalchemy import Connection

    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from protocols.keys import SoftwareSigner
    from protocols.member_list import MemberList

TYPE = "urn:pratique:pick-up"
CODE = "pick_up_link_malformed"
DEFAULT_HOURS, MAX_HOURS = 72, 24 * 30
_DELEGATE = {
    "type": "object",
    "required": ["container", "consignment", "to"],
    "properties": {
        "container": {"type": "string"},
        "consignment": {"type": "string"},
        "by": {"type": "string"},
        "to": {"type": "string"},
        "previous": {"type": "string"},
        "vehicle": {"type": "string"},
        "hours": {"type": "integer", "minimum": 1, "maximum": MAX_HOURS},
        "send": {"type": "array", "items": {"type": "string"}},
    },
}
_REVOKE = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": {"type": "string"},
        "send": {"type": "array", "items": {"type": "string"}},
    },
}


@dataclass(frozen=True, slots=True)
class Delegation:
    """What an operator asks for: by whom (default: this node) to whom, for which container."""

    container: str
    consignment: str
    to: str
    by: str
    previous: str
    vehicle: str
    hours: int
    send: tuple[str, ...]


def signer_of(node: Node, did: str, now: datetime) -> SoftwareSigner:
    """The key here with which that company passes the right on.

    Raises ForbiddenError `pick_up_not_holder` for a company whose key is not here.
    """
    listed = pick_up.keys_of(did, now, judging.members_of(node))
    here = {node.did, *node.keys.parties()}
    if did not in here or not listed:
        raise ForbiddenError("pick_up_not_holder", f"no listed key of {did[:200]} is here")
    return node.keys.signer_for(listed[-1].kid)


class PickUps:
    """Routes and messages of the pick-up right."""

    def __init__(self, node: Node) -> None:
        """Takes part in the exchange once `start` was called."""
        self._node = node

    def start(self) -> None:
        """Messages of this type come here."""
        self._node.exchange.on(TYPE, PickUpHandler(self._node))

    def routes(self) -> Sequence[Route]:
        """Operator routes."""
        operator, tag = Auth.OPERATOR, "release"
        which = (
            Parameter("consignment", "the UCR", required=True),
            Parameter("container", "one container of it"),
        )
        return (
            Route("GET", "/v1/pick-ups", self._list, operator,
                  "The delegated pick-up right of a consignment's containers", tag,
                  parameters=which),
            Route("POST", "/v1/pick-ups", self._delegate, operator,
                  "Pass the right to pick a container up to the next company", tag,
                  request={JSON: _DELEGATE}, responses={201: "Delegated"}),
            Route("POST", "/v1/pick-ups/{digest}/revoke", self._revoke, operator,
                  "Take a delegation back; what hangs on it is worth nothing", tag,
                  request={JSON: _REVOKE}),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.Response:
        consignment = query_text(request, "consignment") or ""
        container = query_text(request, "container")
        members = judging.members_of(self._node)

        def read(conn: Connection) -> tuple[list[Link], frozenset[str]]:
            return rows.links(conn, members, consignment, container)

        found, revoked = await self._node.store.read(read)
        items = [_link_json(link) | {"revoked": link.digest in revoked} for link in found]
        return json_response({"items": items})

    async def _delegate(self, request: web.Request) -> web.Response:
        order = read_delegation(await read_json(request), self._node.did)
        link = await self._node.store.write(delegate, self._node, order)
        return json_response(_link_json(link), 201)

    async def _revoke(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        fields = Fields(await read_json(request), CODE)
        reason = fields.text("reason", max_length=500)
        send = fields.texts("send", pattern=DID)
        taken = await self._node.store.write(revoke, self._node, digest, reason, send)
        return json_response({"link": taken.link, "reason": taken.reason})


def read_delegation(body: dict[str, Any], own: str) -> Delegation:
    """POST /v1/pick-ups; raises MalformedError `pick_up_link_malformed`."""
    fields = Fields(body, CODE)
    return Delegation(
        container=fields.text("container", max_length=20),
        consignment=fields.text("consignment", max_length=100),
        to=fields.text("to", pattern=DID),
        by=fields.optional_text("by", pattern=DID) or own,
        previous=fields.digest("previous").hex() if fields.has("previous") else "",
        vehicle=fields.optional_text("vehicle", max_length=20) or "",
        hours=fields.integer("hours", 1, MAX_HOURS) if fields.has("hours") else DEFAULT_HOURS,
        send=fields.texts("send", pattern=DID),
    )


def delegate(conn: Connection, node: Node, order: Delegation) -> Link:
    """Sign, keep and send one link; what it hangs on is found by its recipient, if not said.

    Raises ForbiddenError `pick_up_not_holder`, MalformedError `pick_up_link_malformed`.
    """
    members, now = judging.members_of(node), node.clock.now()
    previous = order.previous or _held_by(conn, node, order)
    link = Link(
        network=members.network.hex(),
        container=order.container,
        consignment=order.consignment,
        delegator=order.by,
        to=_company(order.to, members, now),
        previous=previous,
        issued_at=times.from_ms(times.to_ms(now)),
        not_after=times.from_ms(times.to_ms(now + timedelta(hours=order.hours))),
        vehicle=order.vehicle,
        nonce=secrets.token_hex(8),
    )
    text = pick_up.sign_link(link, signer_of(node, order.by, now))
    signed = read_link(text, members)
    take_link(conn, node, signed)
    _send(conn, node, {"link": text}, (*order.send, *_host(order.to, members)))
    return signed


def _held_by(conn: Connection, node: Node, order: Delegation) -> str:
    """The standing link by which the delegator has the right; "" for a carrier or its agent."""
    members = judging.members_of(node)
    found, revoked = rows.links(conn, members, order.consignment, order.container)
    held = [one for one in found if one.to.did == order.by and one.digest not in revoked]
    if held:
        return held[-1].digest
    entry = members.node(order.by)
    if entry is None:
        raise ForbiddenError("pick_up_not_holder", order.by)
    return ""


def _company(did: str, members: MemberList, now: datetime) -> Company:
    listed = pick_up.keys_of(did, now, members)
    entry = members.party(did) or members.node(did)
    if entry is None or not listed:
        raise MalformedError(CODE, f"{did[:200]} has no key in the member list", pointer="/to")
    return Company(did, entry.name, listed[-1].public.thumbprint())


def _host(did: str, members: MemberList) -> tuple[str, ...]:
    """The node at which a company is found."""
    party = members.party(did)
    return (party.host,) if party else (did,)


def _send(conn: Connection, node: Node, body: dict[str, str], to: Sequence[str]) -> None:
    data = strict_json.canonical(dict(body))
    for did in dict.fromkeys(to):
        if did != node.did:
            node.exchange.enqueue(conn, did, TYPE, data, JSON, None)


def take_link(conn: Connection, node: Node, link: Link) -> None:
    """Keep a link that was read, and look again at what it changes."""
    require_form(link, judging.members_of(node))
    if rows.keep_link(conn, link, node.clock.now_ms()):
        detail = {
            "container": link.container,
            "to": link.to.name,
            "number": link.digest[:16],
            **({"vehicle": link.vehicle} if link.vehicle else {}),
        }
        _told(conn, node, "pick-up-delegated", link, detail)


def revoke(
    conn: Connection, node: Node, digest: bytes, reason: str, send: Sequence[str]
) -> Revocation:
    """Sign, keep and send the revocation of a link by the company that signed it."""
    members, now = judging.members_of(node), node.clock.now()
    link = read_link(rows.link_text(conn, digest), members)
    signer = signer_of(node, link.delegator, now)
    text = pick_up.sign_revocation(members.network.hex(), link.digest, now, reason, signer)
    taken = read_revocation(text, members)
    take_revocation(conn, node, taken)
    # The link goes with it: a revocation that overtakes its link must not be lost.
    body = {"revocation": text, "link": link.text}
    _send(conn, node, body, (*send, *_host(link.to.did, members)))
    return taken


def take_revocation(conn: Connection, node: Node, taken: Revocation) -> None:
    """Mark a link revoked by its own delegator, and look again at what it changes.

    Raises NotFoundError `pick_up_link_unknown`, RefusedError `pick_up_link_untrusted`.
    """
    digest = bytes.fromhex(taken.link)
    link = read_link(rows.link_text(conn, digest), judging.members_of(node))
    if link.delegator != taken.delegator:
        raise RefusedError("pick_up_link_untrusted", "only its own company takes a link back")
    if rows.revoke_link(conn, digest, taken.text, node.clock.now_ms()):
        detail = {"container": link.container, "to": link.to.name, "reason": taken.reason}
        _told(conn, node, "pick-up-revoked", link, detail)


def _told(conn: Connection, node: Node, kind: str, link: Link, detail: dict[str, str]) -> None:
    events.record(
        conn,
        kind=kind,
        at=node.clock.now_ms(),
        consignment=link.consignment,
        actor=link.delegator,
        detail=detail,
    )
    node.release.reconsider(conn, link.consignment)


class PickUpHandler:
    """Messages `urn:pratique:pick-up`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node) -> None:
        """Verifies against the node's member list."""
        self._node = node

    async def prepare(self, message: InboundMessage) -> tuple[Link, Revocation | None]:
        """Verify the company's own signature, whoever sent it."""
        fields = Fields(strict_json.loads_object(message.body), CODE)
        members = judging.members_of(self._node)
        link = read_link(fields.text("link", max_length=pick_up.MAX_TEXT), members)
        if not fields.has("revocation"):
            return link, None
        text = fields.text("revocation", max_length=pick_up.MAX_TEXT)
        return link, read_revocation(text, members)

    def apply(
        self,
        conn: Connection,
        message: InboundMessage,
        prepared: tuple[Link, Revocation | None],
    ) -> None:
        """Keep the link, and take it back where that is said too."""
        _ = message
        link, taken = prepared
        take_link(conn, self._node, link)
        if taken is not None:
            take_revocation(conn, self._node, taken)


def _link_json(link: Link) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(replace(link).payload())
    return body | {"digest": link.digest}
