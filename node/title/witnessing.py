"""Witnessing title registries: mirrors that re-execute every batch before they cosign (R22).

Which registries follows from the member list: those whose policy names this node's
registry-witness key. After a start nothing is cosigned until the other witnesses have confirmed
the last state (R15); answering their own question needs neither.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ledger import forks, log, registry_witness
from ledger.registry_witness import Mirror, MirrorAnswer, View
from ledger.witness import Cosigner
from node.http.helpers import json_response, query_int, query_text
from node.http.routes import JSON, Auth, Parameter, Route
from node.title import disputing, partners
from protocols.log import witness_protocol
from protocols.log.fork_evidence import ForkEvidence
from protocols.log.witness_protocol import WitnessState
from protocols.title import registry_wire
from protocols.title.registry_freeze import Arbiter, Lineage, arbiter_of
from protocols.title.registry_wire import AddBatch, origin_hash
from schemas.errors import NotFoundError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.policy import Witness
    from protocols.member_list import MemberList

_NOTE = "text/plain; charset=utf-8"
_HASH = "{origin_hash:[0-9a-f]{64}}"
ENTRIES = 1_000
ADD_DEADLINE = 20.0


@dataclass(slots=True)
class _Watched:
    """A registry we witness: its arbiter and sequencer, our mirror, what partners confirmed.

    floor:   the most that they hold
    binding: the size that a quorum with us in it may have cosigned, as far as they know
    """

    arbiter: Arbiter
    did: str
    cosigner: Cosigner
    mirror: Mirror
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    confirmed: bool = False
    floor: Checkpoint | None = None
    binding: int = 0

    def others(self) -> tuple[Witness, ...]:
        """The other witnesses that count."""
        voters = self.arbiter.policy.voters(self.arbiter.origin)
        return tuple(item for item in voters if item.key != self.cosigner.key)


class Witnessing:
    """The registry witness of a node."""

    def __init__(
        self,
        node: Node,
        members_of: Callable[[bytes], MemberList | None],
        lineage_of: Callable[[Arbiter], Lineage],
    ) -> None:
        """members_of: a held version of the member list by its digest."""
        self.node = node
        self._members_of = members_of
        self._lineage_of = lineage_of
        self._watched: dict[bytes, _Watched] = {}

    def routes(self) -> Sequence[Route]:
        """add-batch, the cosigned checkpoint, R15's question, and the mirrored entries."""
        base, tag, where = "/registry-witness/1", "registry", Auth.PEER
        number = {"type": "integer", "minimum": 0}
        return [
            Route(
                "POST",
                f"{base}/add-batch",
                self._add_batch,
                where,
                "Have a registry's batches re-executed and cosigned",
                tag,
                request={JSON: {"type": "object"}},
                responses={200: "The cosignature line", 409: "The size that is held"},
                max_body=registry_wire.MAX_BYTES,
                deadline=ADD_DEADLINE,
            ),
            Route(
                "GET",
                f"{base}/{_HASH}/checkpoint",
                self._checkpoint,
                where,
                "The last checkpoint cosigned for a registry",
                tag,
            ),
            Route(
                "GET",
                f"{base}/{_HASH}/state",
                self._state,
                where,
                "A signed statement of what is held of a registry",
                tag,
                parameters=(Parameter("nonce", "32 hexadecimal digits", required=True),),
            ),
            Route(
                "GET",
                f"{base}/{_HASH}/entries",
                self._entries,
                where,
                "Mirrored entries of a registry, for its members",
                tag,
                parameters=(
                    Parameter("start", "index of the first entry", number),
                    Parameter("end", "index after the last entry", number),
                ),
            ),
        ]

    # -- which registries ----------------------------------------------------------------------

    def watched(self, origin: str) -> _Watched:
        """The registry of that origin; raises NotFoundError `registry_witness_not_here`."""
        members = self.node.members.current
        entry = members.registry(origin) if members else None
        if members is None or entry is None or not self.node.keys.has("registry-witness"):
            raise _not_here()
        arbiter = arbiter_of(entry)
        held, line = self._watched.get(arbiter.id), self._lineage_of(arbiter)
        if held is None or held.mirror.lineage != line:
            cosigner = self._cosigner(arbiter)
            mirror = Mirror(members.network, line, cosigner)
            self._watched[arbiter.id] = _Watched(arbiter, entry.did, cosigner, mirror)
        return self._watched[arbiter.id]

    def _cosigner(self, arbiter: Arbiter) -> Cosigner:
        signer = self.node.keys.signer("registry-witness")
        raw = signer.public().raw()
        for item in arbiter.policy.voters(arbiter.origin):
            if item.key.public_key == raw:
                return Cosigner(item.key, signer.sign)
        raise _not_here()

    def _by_hash(self, text: str) -> _Watched:
        members = self.node.members.current
        for entry in members.registries if members else ():
            if origin_hash(entry.origin) == text:
                return self.watched(entry.origin)
        raise _not_here()

    # -- cosigning -----------------------------------------------------------------------------

    async def _add_batch(self, request: web.Request) -> web.Response:
        asked = registry_wire.parse_add_batch(await request.read())
        answer = await self.add_batch(asked)
        if answer.cosignature is not None:
            return _text(answer.cosignature.to_text())
        if answer.old_size is not None:
            return json_response({"size": answer.old_size}, 409)
        assert answer.refusal is not None
        raise answer.refusal

    async def add_batch(self, asked: AddBatch) -> MirrorAnswer:
        """Re-execute and cosign, or tell why not; a fork that shows is kept and announced."""
        watched = self.watched(asked.checkpoint.split("\n", 1)[0])
        async with watched.lock:
            await self._confirm(watched)
            with ExitStack() as undo:
                undo.callback(watched.mirror.forget)
                answer = await self.node.store.write(self._add, watched, asked)
                undo.pop_all()
        if answer.forked_with is not None:
            await self._accuse(watched, (answer.forked_with, asked.checkpoint), answer.proof)
        return answer

    def _add(self, conn: Connection, watched: _Watched, asked: AddBatch) -> MirrorAnswer:
        if forks.is_marked(conn, watched.did):
            shown = RefusedError("registry_forked", "this registry has shown two histories")
            return MirrorAnswer(refusal=shown)
        frozen = self.node.registry.freezes.get(watched.arbiter.id)
        view = View(
            now_ms=self.node.clock.now_ms(),
            newest=partners.members_of(self.node),
            members_of=self._members_of,
            floor=watched.floor,
            binding=watched.binding,
            freeze=frozen.freeze if frozen else None,
        )
        return watched.mirror.add(conn, asked, view)

    async def _accuse(
        self, watched: _Watched, notes: tuple[str, str], proof: tuple[bytes, ...]
    ) -> None:
        """Keep the proof of two histories, cosign its registry no more, tell everybody."""
        members = partners.members_of(self.node)
        evidence = ForkEvidence(members.network, watched.arbiter.origin, notes, proof)
        try:
            evidence.prove(watched.arbiter.key)
        except RefusedError:
            return
        await disputing.keep_file(self.node, disputing.file_name(evidence), evidence.to_bytes())
        found = disputing.Fork(evidence, watched.arbiter.id, watched.did)
        await self.node.store.write(disputing.record_fork, self.node, found, tell=True)

    # -- R15 -----------------------------------------------------------------------------------

    async def _confirm(self, watched: _Watched) -> None:
        """Before the first cosignature after a start, ask the registry's other witnesses."""
        if watched.confirmed:
            return
        others = watched.others()
        needed = min(watched.arbiter.policy.confirmations(watched.arbiter.origin), len(others))
        answers = await asyncio.gather(*(self._learn(watched, item) for item in others))
        known = [size for size in answers if size is not None]
        if len(known) < needed:
            raise UnavailableError("registry_unconfirmed", "other witnesses have not answered")
        # A quorum is ourselves, who may have forgotten, those that did not answer, and others.
        silent = 1 + len(others) - len(known)
        missing = watched.arbiter.policy.smallest_quorum() - silent
        sizes = sorted(known, reverse=True)
        watched.binding = sizes[missing - 1] if 0 < missing <= len(sizes) else 0
        watched.confirmed = True

    async def _learn(self, watched: _Watched, other: Witness) -> int | None:
        """The size that the other witness holds; None when it gave no answer."""
        try:
            head, text = await partners.ask_state(self.node, other, watched.arbiter)
        except TradeError:
            return None
        if head is None:
            return 0
        mine = await self.node.store.read(registry_witness.held, watched.arbiter.origin)
        if mine is not None and mine.size == head.size and mine.root != head.root:
            await self._accuse(watched, (mine.note, text), ())
        if watched.floor is None or head.size > watched.floor.size:
            watched.floor = head
        return head.size

    async def _state(self, request: web.Request) -> web.Response:
        """Needs no checkpoint and no confirmation of our own (R15)."""
        watched = self._by_hash(request.match_info["origin_hash"])
        nonce = witness_protocol.parse_nonce(query_text(request, "nonce") or "")
        origin = watched.arbiter.origin
        held = await self.node.store.read(registry_witness.held, origin)
        network = partners.members_of(self.node).network
        state = WitnessState(network, nonce, origin, held.note if held else "")
        cosigner = watched.cosigner
        body = witness_protocol.sign_state(state, cosigner.key, cosigner.sign)
        return web.Response(body=body, content_type=JSON)

    async def _checkpoint(self, request: web.Request) -> web.Response:
        watched = self._by_hash(request.match_info["origin_hash"])
        held = await self.node.store.read(registry_witness.held, watched.arbiter.origin)
        if held is None:
            raise NotFoundError("registry_witness_not_here", "nothing cosigned for it yet")
        return _text(held.note)

    async def _entries(self, request: web.Request) -> web.Response:
        watched = self._by_hash(request.match_info["origin_hash"])
        start = query_int(request, "start", 0, low=0, high=2**53 - 1)
        end = query_int(request, "end", start + ENTRIES, low=start, high=start + ENTRIES)
        found = await self.node.store.read(log.read, start, end, log=watched.mirror.log)
        entries = registry_wire.encode_entries(tuple(leaf.entry for leaf in found))
        return json_response({"entries": entries})

    async def standing(self) -> list[dict[str, Any]]:
        """For people: the registries witnessed here and how far each is cosigned."""
        shown = []
        for watched in self._watched.values():
            held = await self.node.store.read(registry_witness.held, watched.arbiter.origin)
            size = held.size if held else 0
            shown.append({"origin": watched.arbiter.origin, "size": size})
        return shown


def _not_here() -> NotFoundError:
    return NotFoundError("registry_witness_not_here", "this node does not witness that registry")


def _text(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": _NOTE})
