"""The basis service: statements of lost bases, taken in and given out (R25).

Routes: /v1/basis-lost (operator), /basis-lost (open). Messages: urn:pratique:basis.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.basis import flagging, rows
from node.basis.flagging import TYPE
from node.documents import documents
from node.http.helpers import json_response
from node.http.routes import Auth, Route
from node.store import events
from node.verification import judging
from protocols import basis
from protocols.credentials import status_list
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aiohttp import web
    from sqlalchemy import Connection

    from node.basis.rows import Flag
    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from protocols.basis import Lost
    from protocols.credentials.status_list import StatusList
    from protocols.member_list import MemberList

MAX_BODY = 4 * 1024 * 1024


class BasisService:
    """`node.basis`."""

    name = "basis"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background: documents and revocations call `flagging`."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """What stands on something lost here; and our own statements, for whoever verifies."""
        tag = "origin"
        return (
            Route("GET", "/v1/basis-lost", self._list, Auth.OPERATOR,
                  "Documents here that stand on a revoked proof, the newest first", tag),
            Route("GET", "/basis-lost", self._give, Auth.OPEN,
                  "Signed statements: which documents of this node lost their basis", tag),
        )  # fmt: skip

    async def start(self) -> None:
        """Takes part in the exchange."""
        self._node.exchange.on(TYPE, BasisHandler(self._node))

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _list(self, _request: web.Request) -> web.Response:
        return json_response({"items": await self._node.store.read(self._found)})

    def _found(self, conn: Connection) -> list[dict[str, Any]]:
        return [told for flag in rows.flagged(conn) if (told := self._told(conn, flag))]

    def _told(self, conn: Connection, flag: Flag) -> dict[str, Any] | None:
        stored = documents.get(conn, flag.document)
        if stored is None or flag.by not in (stored.issuer, self._node.did):
            return None
        named = {"document": stored.digest.hex(), "type": stored.type, "number": stored.number}
        return named | flag.to_json()

    async def _give(self, _request: web.Request) -> web.Response:
        found = await self._node.store.read(rows.signed_by, self._node.did)
        lists = dict.fromkeys(flag.status_list for flag in found if flag.status_list)
        body = {"statements": [flag.statement for flag in found], "statusLists": list(lists)}
        return json_response(body, headers={"Cache-Control": "no-cache"})


class BasisHandler:
    """Messages `urn:pratique:basis`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node) -> None:
        """Verifies against the node's member list."""
        self._node = node

    async def prepare(self, message: InboundMessage) -> tuple[Lost, str] | Fields:
        """A statement and the list that proves it, both verified; or feedback on our document."""
        body = strict_json.loads_object(message.body, max_bytes=MAX_BODY)
        fields = Fields(body, basis.CODE)
        if fields.has("feedback"):
            return fields.child("feedback")
        members = judging.members_of(self._node)
        lost = basis.read(fields.text("lost", max_length=basis.MAX_TEXT), members)
        text = fields.text("statusList", max_length=MAX_BODY)
        basis.require_revoked(lost, opened_list(text, members, self._node.clock.now()))
        return lost, text

    def apply(
        self, conn: Connection, message: InboundMessage, prepared: tuple[Lost, str] | Fields
    ) -> None:
        """Flag what is here, and pass it on; or tell the feedback."""
        if isinstance(prepared, Fields):
            self._hear(conn, message, prepared)
        else:
            flagging.take(conn, self._node, *prepared)

    def _hear(self, conn: Connection, message: InboundMessage, fields: Fields) -> None:
        """How much stood on a document of ours at who got it."""
        stored = documents.require(conn, fields.digest("document"))
        if stored.issuer != self._node.did:
            raise RefusedError("basis_untrusted", "the document is not of this node")
        counts = {name: fields.integer(name, 0, 10**9) for name in ("proofs", "decisions", "uses")}
        detail = {"number": stored.number, "lost": fields.digest("lost").hex(), **counts}
        events.record(
            conn,
            kind="basis-feedback",
            at=self._node.clock.now_ms(),
            document=stored.digest,
            consignment=stored.consignment,
            actor=message.sender,
            detail=detail,
        )


def opened_list(text: str, members: MemberList, now: datetime) -> StatusList:
    """The list as it was good when it was signed: a revocation stays. Raises as `open_list`."""
    # One second later: a key and a list may begin in the same moment.
    signed_at = status_list.parse_list(text)[1].valid_from
    moment = min(signed_at + timedelta(seconds=1), now)
    return status_list.open_list(text, members=members, now=moment)
