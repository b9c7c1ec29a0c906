"""Serving members without a chain of their own: relaying their operations, telling what is final.

Whoever relays pays for gas, so an operation is sent on only where the title's final state would
take it. What is told is a proof that the asker checks for itself (R21); whose the addresses are is
told only to nodes that the title concerns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.http.helpers import hex_digest, json_response, query_text, read_json
from node.http.routes import JSON, PEER, Auth, Parameter, Route
from node.title import evm_peers, partners, rows
from node.title.following import host_of
from node.title.forms import reader
from protocols.evm.holder_keys import MAX_TEXT, read_statement
from protocols.evm.title_text import MAX_BYTES
from protocols.fields import Fields
from protocols.title import machine
from protocols.title.machine import Kind
from schemas.errors import ForbiddenError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.title.evm_making import Statements
    from node.title.evm_service import EvmTitles
    from node.title.news import TitleNews
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import Operation, TitleState

_CODE: Final = "title_request_malformed"
_DEADLINE: Final = 20.0
RELAY_WAIT: Final = 1
MAX_KEYS: Final = 16


class EvmServing:
    """The routes `/title-chain/1` of one node."""

    def __init__(self, titles: EvmTitles) -> None:
        """Belongs to `titles`."""
        self._titles, self._node = titles, titles.node

    def routes(self) -> Sequence[Route]:
        """Both of them."""
        asked = {
            "type": "object",
            "required": ["arbiter", "operation"],
            "properties": {
                "arbiter": {"type": "string"},
                "operation": {"type": "string"},
                "keys": {"type": "array", "items": {"type": "string"}},
            },
        }
        gone = {503: "This node has no chain, or is cut off from it"}
        return [
            Route(
                "POST",
                evm_peers.OPERATIONS,
                self._relay,
                Auth.PEER,
                "Relay a signed operation to its chain, for a member that cannot reach it",
                "titles",
                request={JSON: asked},
                responses={200: "Final, refused or pending, with what proves it", **gone},
                deadline=_DEADLINE,
            ),
            Route(
                "GET",
                evm_peers.TITLES + "/{title}",
                self._title,
                Auth.PEER,
                "A title's final state on a chain, with its proof",
                "titles",
                parameters=(Parameter("arbiter", "the arbiter's id", required=True),),
                responses={200: "The proof", **gone},
                deadline=_DEADLINE,
            ),
        ]

    def _entry(self, arbiter: bytes) -> ArbiterEntry:
        entry = partners.members_of(self._node).arbiter(arbiter)
        if entry is None:
            raise RefusedError("title_arbiter_unknown", "no listed arbiter has that id")
        self._titles.require_chain(entry)
        self._titles.require_reachable()
        return entry

    # -- telling -------------------------------------------------------------------------------

    async def _title(self, request: web.Request) -> web.Response:
        title = hex_digest(request.match_info["title"], "title")
        entry = self._entry(hex_digest(query_text(request, "arbiter") or "", "arbiter"))
        await self._titles.look(entry)
        return json_response(await self._told(entry, title, request[PEER]))

    async def _told(self, entry: ArbiterEntry, title: bytes, asker: str) -> dict[str, Any]:
        news = await self._titles.following.news(entry, self._titles.client(), title)
        body: dict[str, Any] = await self._node.store.read(self._body, news, asker)
        return body

    def _body(self, conn: Connection, news: TitleNews, asker: str) -> dict[str, Any]:
        title, proof = news.state.title, news.proof.to_json()
        if asker not in rows.told(conn, title) and asker not in self._concerned(news.state):
            # The chain shows numbers to everybody, and so do we.
            return {"proof": proof | {"keys": []}}
        bill = rows.bill(conn, title)
        return {"proof": proof} | ({"issuance": bill.issuance} if bill else {})

    def _concerned(self, state: TitleState) -> set[str | None]:
        members = partners.members_of(self._node)
        parties = (state.issuer, state.shipper, state.possessor, state.holder)
        return {host_of(members, party.did) for party in parties if party is not None}

    # -- relaying ------------------------------------------------------------------------------

    async def _relay(self, request: web.Request) -> web.Response:
        fields, asker = Fields(await read_json(request), _CODE), request[PEER]
        entry = self._entry(fields.digest("arbiter"))
        self._titles.require_open(entry)
        text = fields.text("operation", max_length=MAX_BYTES)
        submitter = self._node.title.submitter
        operation: Operation = submitter.read(text)
        if operation.arbiter != entry.id:
            raise fields.fault("operation", "it is for another arbiter")
        known = await self._node.store.read(rows.submission, operation.digest)
        if known is None:
            await self._require_fit(entry, operation, text, asker)
        keys = self._keys(fields, entry, operation.title)
        await self._node.store.write(self._remember, operation.title, asker, keys)
        found = await submitter.submit(text, wait=RELAY_WAIT)
        if found.status == "final":
            told = await self._told(entry, operation.title, asker)
            return json_response({"outcome": "final"} | told)
        if found.status == "refused":
            return json_response({"outcome": "refused", "refusal": found.refusal})
        return json_response({"outcome": "pending"})

    def _keys(self, fields: Fields, entry: ArbiterEntry, title: bytes) -> Statements:
        """The asker's statements of whose the operation's addresses are, each checked."""
        members = partners.members_of(self._node)
        texts = fields.texts("keys", max_items=MAX_KEYS, max_length=MAX_TEXT)
        read = [(read_statement(text, entry.arbiter, members), text) for text in texts]
        if any(statement.title not in (None, title) for statement, _ in read):
            raise fields.fault("keys", "a statement is about another title")
        return tuple(read)

    def _remember(self, conn: Connection, title: bytes, asker: str, keys: Statements) -> None:
        """Whoever asked is told what becomes of it."""
        for statement, text in keys:
            rows.put_statement(conn, statement, text)
        if asker not in rows.told(conn, title):
            rows.tell(conn, title, asker, 0)

    async def _require_fit(
        self, entry: ArbiterEntry, operation: Operation, text: str, asker: str
    ) -> None:
        """Raises what the contract would refuse it with; nothing is paid for that."""
        members = partners.members_of(self._node)
        if operation.kind is Kind.ISSUE:
            node = members.node(asker)
            if node is None or "carrier" not in node.roles:
                raise ForbiddenError("title_not_issuer", "titles are issued by carriers")
            return
        await self._titles.look(entry)
        try:
            news = await self._titles.following.news(entry, self._titles.client(), operation.title)
        except NotFoundError as error:
            raise RefusedError("title_never_issued", error.detail) from error
        named = await self._node.store.read(reader, members, operation.title)
        machine.apply(news.state, named(text), self._node.clock.now())
