"""`node.registry`: sequences the registry the member list gives this node, witnesses others'."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ledger import registry_freezes
from node.http.helpers import hex_digest, json_response, query_int, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from node.title import freezing, straight
from node.title.disputing import (
    REGISTRY_FORK,
    RegistryForkHandler,
    TitleForkHandler,
    dispute_json,
)
from node.title.freezing import FreezeHandler, Freezing
from node.title.sequencing import Sequencing
from node.title.tasks import end
from node.title.witnessing import Witnessing
from node.trust import rows
from protocols.fields import Fields
from protocols.member_list import advance, open_founding
from protocols.title import fork as title_fork
from protocols.title import registry_freeze
from protocols.title.operation import MAX_TEXT, read_operation
from protocols.title.registry_freeze import Arbiter, Freezes, Lineage, arbiter_of
from schemas.errors import (
    MalformedError,
    NotFoundError,
    RefusedError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from ledger.registry import Outcome
    from node.runtime import Node
    from node.title.sequencing import FinalTitle
    from protocols.member_list import MemberList, RegistryEntry
    from protocols.title.machine import Operation

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
        self.freezes: Freezes = {}
        self._stale = False
        self.freezing = Freezing(node)
        self.witnessing = Witnessing(node, self.members_with, self.lineage_of)
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
                "The registry sequenced here, those witnessed, ended arbiters and disputes",
                tag,
            ),
            *self._governing(tag),
            *self.witnessing.routes(),
        ]

    def _governing(self, tag: str) -> list[Route]:
        """Ending an arbiter (R21)."""
        where, text = Auth.OPERATOR, {"type": "string"}
        order = {"type": "object", "properties": {"arbiter": text, "successor": text,
                 "block": {"type": "integer"}, "blockHash": text}}  # fmt: skip
        return [
            Route(
                "POST",
                "/v1/registry/freeze",
                self._draft,
                where,
                "Draft the document that ends an arbiter, for the roots to sign",
                tag,
                request={JSON: order},
                deadline=_DEADLINE,
            ),
            Route(
                "POST",
                "/v1/registry/freezes",
                self._take,
                where,
                "Sign such a document with the roots here (sign=1), or take in a complete one",
                tag,
                request={JSON: {"type": "object"}},
                parameters=(Parameter("sign", "1: sign with the roots in this home"),),
                max_body=registry_freeze.MAX_BYTES,
                deadline=_DEADLINE,
            ),
            Route(
                "POST",
                "/v1/registry/stop",
                self._stop,
                where,
                "Stop, or with resume go on with, the registry sequenced here",
                tag,
                request={JSON: {"type": "object"}},
            ),
        ]

    async def start(self) -> None:
        """Begin to sequence if the member list says so, now or later."""
        self._listen()
        self.node.store.after_commit(self._committed)
        await self._load_freezes()
        self.node.members.watch(self._members_changed)
        await self._follow()

    async def stop(self) -> None:
        """End the loops."""
        await end(self._following)
        if self.sequencing is not None:
            await self.sequencing.stop()

    def _listen(self) -> None:
        exchange = getattr(self.node, "exchange", None)
        if exchange is not None:
            exchange.on(registry_freeze.TYPE, FreezeHandler(self.node))
            exchange.on(REGISTRY_FORK, RegistryForkHandler(self.node))
            exchange.on(title_fork.TYPE, TitleForkHandler(self.node))

    def ready(self) -> str | None:
        """Not ready when the registry is sealed, or halted because no quorum answers (R21)."""
        if self.sequencing is None:
            return None
        if self.sequencing.fault is not None:
            return str(self.sequencing.fault)
        if self.sequencing.halted():
            return "registry_awaiting_witnesses: no quorum cosigns; no title moves"
        return None

    # -- ended arbiters ------------------------------------------------------------------------

    async def _load_freezes(self) -> None:
        self.freezes = await self.node.store.read(registry_freezes.held)

    async def freezes_changed(self) -> None:
        """Take the freezes held in force: stop sequencing, or begin as a successor."""
        await self._load_freezes()
        await self._follow()

    def freezes_change_soon(self) -> None:
        """The same, once the transaction that runs now is committed; from any thread."""
        self._stale = True

    def _committed(self) -> None:
        if self._stale:
            self._stale = False
            task = asyncio.create_task(self.freezes_changed(), name="registry.freezes")
            self._following.add(task)

    def lineage_of(self, arbiter: Arbiter) -> Lineage:
        """Whom that arbiter continues; raises RefusedError `freeze_lineage_invalid`."""
        return registry_freeze.lineage(arbiter, self.freezes)

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
        mine = [
            entry
            for entry in members.registries
            if entry.did == self.node.did and arbiter_of(entry).key.public_key == raw
        ]
        # One that stands goes before one that has ended and only answers for its past.
        return min(mine, key=lambda one: arbiter_of(one).id in self.freezes, default=None)

    async def _begin(self) -> None:
        entry = self.own_entry()
        if entry is None:
            return
        line = self.lineage_of(arbiter_of(entry))
        if self.sequencing is not None:
            # A successor takes over before it has sequenced anything, or when its own turn at
            # another registry is over.
            ended = self.sequencing.arbiter.id in self.freezes
            if self.sequencing.lineage == line or (self.sequencing.has_begun() and not ended):
                return
            await self.sequencing.stop()
        sequencing = Sequencing(self.node, line, self._finalised, self.members_with)
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
        await self._require_still(sequencing, operation)
        await self._require_no_stranger(sequencing, operation)
        outcome: Outcome = await sequencing.hand_in(text, operation.digest)
        body: dict[str, Any] = {"digest": operation.digest.hex()}
        if outcome.error is not None:
            return body | {"outcome": "error", "problem": outcome.error.problem()}
        if outcome.refusal is not None:
            return body | {"outcome": "refused", "refusal": outcome.refusal}
        assert outcome.batch is not None
        if not await sequencing.wait_final(outcome.batch, wait):
            return body | {"outcome": "pending"}
        again = await sequencing.known(operation.digest)
        if again is None or again.batch is None:
            # Its batch was restated, and then it did not hold any more.
            refusal = again.refusal if again else None
            return body | ({"outcome": "refused", "refusal": refusal} if refusal else _undecided())
        found = sequencing.require_known(await sequencing.title(operation.title))
        return body | {"outcome": "final"} | final_json(found)

    async def _require_still(self, sequencing: Sequencing, operation: Operation) -> None:
        """Nothing new about a title whose bill is disputed at the register kept here."""
        tracking = getattr(self.node, "tracking", None)
        if tracking is None or not tracking.is_disputed(operation.title):
            return
        if await sequencing.known(operation.digest) is None:
            tracking.require_still(operation.title)

    async def _require_no_stranger(self, sequencing: Sequencing, operation: Operation) -> None:
        """A straight bill goes to no stranger by an operation that is new here."""
        if operation.kind not in straight.MOVES:
            return
        try:
            await self.node.store.read(straight.require_admissible, self.node, operation)
        except RefusedError:
            if await sequencing.known(operation.digest) is None:
                raise

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
        disputes = await self.node.store.read(registry_freezes.disputes_of)
        body = {
            "sequenced": own,
            "witnessed": await self.witnessing.standing(),
            "listed": self._listed(),
            "frozen": [freezing.freeze_json(one) for one in self.freezes.values()],
            "disputes": [dispute_json(one) for one in disputes],
        }
        return json_response(body)

    def _listed(self) -> list[dict[str, Any]]:
        members = self.node.members.current
        found = [(entry, arbiter_of(entry).id) for entry in (members.registries if members else ())]
        return [
            {
                "origin": entry.origin,
                "did": entry.did,
                "arbiter": arbiter.hex(),
                "frozen": arbiter in self.freezes,
            }
            for entry, arbiter in found
        ]

    async def _draft(self, request: web.Request) -> web.Response:
        document = await self.freezing.draft(freezing.read_wish(await read_json(request)))
        return self._document(document)

    async def _take(self, request: web.Request) -> web.Response:
        document = registry_freeze.read(await request.read())
        if request.query.get("sign") == "1":
            document = await self.freezing.sign(document)
        else:
            await self.freezing.take(document, announce=True)
        return self._document(document)

    def _document(self, document: registry_freeze.SignedFreeze) -> web.Response:
        members = self.node.members.current
        assert members is not None
        return json_response(
            {
                **freezing.freeze_json(document),
                "document": document.to_bytes().decode(),
                "counted": document.counted(members),
                "threshold": members.roots.threshold,
                "inForce": self.freezing.is_complete(document),
            }
        )

    async def _stop(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        await self.require().stop_sequencing(stop=body.get("resume") is not True)
        return json_response(self.require().standing())


def _undecided() -> dict[str, Any]:
    error = UnavailableError("registry_awaiting_witnesses", "its batch was restated without it")
    return {"outcome": "error", "problem": error.problem()}


def final_json(found: FinalTitle) -> dict[str, Any]:
    """A final title as it travels: proof, history and the hand-overs that led to this arbiter."""
    body: dict[str, Any] = {"proof": found.proof.to_json(), "history": list(found.history)}
    if found.freezes:
        body["freezes"] = [one.to_bytes().decode() for one in found.freezes]
    return body


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
