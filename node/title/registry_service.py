"""`node.registry`: sequences the registry the member list gives this node, witnesses others'."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from node.http.helpers import hex_digest, json_response, query_int, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.title.sequencing import Sequencing
from node.title.tasks import end
from node.title.witnessing import Witnessing
from node.trust import rows
from protocols.fields import Fields
from protocols.member_list import advance, open_founding
from protocols.registry import arbiter_of
from protocols.title_operation import MAX_TEXT, read_operation
from schemas.errors import MalformedError, NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from ledger.registry import Outcome
    from node.runtime import Node
    from node.title.sequencing import FinalTitle
    from protocols.member_list import MemberList, RegistryEntry

MAX_HANDED_IN = 100
FINAL_WAIT = 3
"""Seconds for which an accepted operation is waited for before it is answered as pending."""
_DEADLINE = 20.0


class RegistryService:
    """The routes of a registry and of a registry's witness; each works if the list says so."""

    name = "registry"

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self.node = node
        self.sequencing: Sequencing | None = None
        self.witnessing = Witnessing(node, self.members_with)
        self._lists: dict[bytes, MemberList] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._beginning = asyncio.Lock()

    def routes(self) -> Sequence[Route]:
        """Handing in operations, asking for titles, and the witness's routes."""
        tag = "registry"
        wait = Parameter("wait", "seconds to wait for a newer state", {"type": "integer"})
        return [
            Route(
                "POST",
                "/registry/1/operations",
                self._operations,
                Auth.PEER,
                "Hand in signed title operations; each is answered by itself",
                tag,
                request={JSON: {"type": "object"}},
                max_body=MAX_HANDED_IN * MAX_TEXT,
                deadline=_DEADLINE,
            ),
            Route(
                "GET",
                "/registry/1/titles/{title}",
                self._title,
                Auth.PEER,
                "A title's final state with its proof and history",
                tag,
                responses={200: "The title", 404: "Never issued, as far as is final"},
                parameters=(Parameter("after", "seq that is known", {"type": "integer"}), wait),
                deadline=_DEADLINE,
            ),
            Route(
                "GET",
                "/v1/registry",
                self._show,
                Auth.OPERATOR,
                "The registry sequenced here and those witnessed",
                tag,
            ),
            *self.witnessing.routes(),
        ]

    async def start(self) -> None:
        """Begin to sequence if the member list says so, now or later."""
        self.node.members.watch(self._members_changed)
        await self._follow()

    async def stop(self) -> None:
        """End the loops."""
        await end(self._following)
        if self.sequencing is not None:
            await self.sequencing.stop()

    def ready(self) -> str | None:
        """Not ready when the registry is sealed; waiting for witnesses is no fault of this node."""
        fault = self.sequencing.fault if self.sequencing else None
        return None if fault is None else str(fault)

    # -- the member list -----------------------------------------------------------------------

    def _members_changed(self, members: MemberList) -> None:
        self._lists[members.digest] = members
        self._following = {task for task in self._following if not task.done()}
        self._following.add(asyncio.create_task(self._follow(), name="registry.follow"))

    async def _follow(self) -> None:
        """Hold every version of the list, for batches under older ones; begin when it is time."""
        current = self.node.members.current
        if current is None:
            return
        self._lists[current.digest] = current
        signed = await self.node.store.read(rows.signed_lists)
        self._lists |= await asyncio.to_thread(_versions, signed)
        async with self._beginning:
            await self._begin()

    def members_with(self, digest: bytes) -> MemberList | None:
        """A held version of the member list by its digest."""
        return self._lists.get(digest)

    def own_entry(self) -> RegistryEntry | None:
        """The registry that this node sequences: its DID and its key in the list."""
        members = self.node.members.current
        if members is None or not self.node.keys.has("registry"):
            return None
        raw = self.node.keys.signer("registry").public().raw()
        for entry in members.registries:
            if entry.did == self.node.did and arbiter_of(entry).key.public_key == raw:
                return entry
        return None

    async def _begin(self) -> None:
        entry = self.own_entry()
        if entry is None or self.sequencing is not None:
            return
        sequencing = Sequencing(self.node, arbiter_of(entry), self._finalised, self.members_with)
        await sequencing.start()
        self.sequencing = sequencing

    def _finalised(self, titles: Sequence[bytes]) -> None:
        service = getattr(self.node, "title", None)
        if service is not None:
            service.finalised(titles)

    # -- handing in ----------------------------------------------------------------------------

    def require(self) -> Sequencing:
        """The registry here; raises NotFoundError `registry_not_here`."""
        if self.sequencing is None:
            raise NotFoundError("registry_not_here", "this node sequences no registry")
        return self.sequencing

    async def hand_in(self, text: str, wait: float) -> dict[str, Any]:
        """The answer to one operation, as JSON; never raises for what is wrong with it."""
        try:
            return await self._hand_in(text, wait)
        except TradeError as error:
            return {"outcome": "error", "problem": error.problem()}

    async def _hand_in(self, text: str, wait: float) -> dict[str, Any]:
        sequencing = self.require()
        operation = read_operation(text).operation
        outcome: Outcome = await sequencing.hand_in(text, operation.digest)
        body: dict[str, Any] = {"digest": operation.digest.hex()}
        if outcome.error is not None:
            return body | {"outcome": "error", "problem": outcome.error.problem()}
        if outcome.refusal is not None:
            return body | {"outcome": "refused", "refusal": outcome.refusal}
        assert outcome.batch is not None
        if not await sequencing.wait_final(outcome.batch, wait):
            return body | {"outcome": "pending"}
        found = sequencing.require_known(await sequencing.title(operation.title))
        return body | {"outcome": "final"} | final_json(found)

    async def _operations(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), "title_request_malformed")
        texts = _texts(fields)
        wait = fields.integer("wait", 0, 15) if fields.has("wait") else FINAL_WAIT
        self.require()
        answers = await asyncio.gather(*(self.hand_in(text, wait) for text in texts))
        return json_response({"results": answers})

    async def _title(self, request: web.Request) -> web.Response:
        title = hex_digest(request.match_info["title"], "title")
        after = query_int(request, "after", 0, low=0, high=10**9)
        wait = query_int(request, "wait", 0, low=0, high=15)
        return json_response(await self.title(title, after, wait))

    async def title(self, title: bytes, after: int = 0, wait: float = 0) -> dict[str, Any]:
        """The title as JSON, once it is final beyond `after` or `wait` seconds have passed."""
        sequencing = self.require()
        found = await sequencing.title(title)
        if wait and (found is None or found.proof.state.seq <= after):
            number = found.proof.number if found else 0
            await sequencing.wait_final(number + 1, wait)
            found = await sequencing.title(title)
        accepted = await sequencing.pending_seq(title)
        final = sequencing.require_known(found)
        return final_json(final) | {"accepted": accepted}

    async def _show(self, _request: web.Request) -> web.Response:
        own = self.sequencing.standing() if self.sequencing else None
        return json_response({"sequenced": own, "witnessed": await self.witnessing.standing()})


def final_json(found: FinalTitle) -> dict[str, Any]:
    """A final title as it travels: proof and history."""
    return {"proof": found.proof.to_json(), "history": list(found.history)}


def _versions(signed: Sequence[bytes]) -> dict[bytes, MemberList]:
    """Every version of the chain, each checked against the one before (R4)."""
    versions: dict[bytes, MemberList] = {}
    last: MemberList | None = None
    for data in signed:
        last = open_founding(data) if last is None else advance(last, data, now=None)
        versions[last.digest] = last
    return versions


def _texts(fields: Fields) -> list[str]:
    items = fields.members.get("operations")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_HANDED_IN:
        raise fields.fault("operations", f"a list of 1 to {MAX_HANDED_IN} operations")
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise MalformedError("title_request_malformed", "an operation is a compact JWS")
    return texts
