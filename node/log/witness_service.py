"""Witnessing partners' logs: C2SP tlog-witness, R15's confirmations, and proofs of equivocation.

The log must be listed and its policy must name this node's witness key. What proves that a log
showed two histories is kept as a file and as a row, its node is marked, an alarm is told, and
every member gets the evidence, which convinces anybody who has the member list.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ledger import followed, forks, mirror, witness
from ledger.witness import Cosigner, HeldState, WitnessAnswer
from node.http.helpers import json_response, query_text, read_json
from node.http.routes import ANY, JSON, Auth, Parameter, Route
from node.log import partners
from node.log.comparing import Comparer, held_notes
from node.log.cosigner_keys import CosignerKeys, cosigner_keys, key_texts
from node.log.equivocation import Accuser, EquivocationHandler
from node.log.following import Follower
from node.log.handing_over import HandOverHandler
from node.log.mirror_service import MirrorService
from node.log.monitor import Monitor
from node.log.service import CALL_DEADLINE
from protocols.log import checkpoint, fork_evidence, witness_protocol
from protocols.log import epochs as log_epochs
from protocols.log.witness_protocol import SIZE_MEDIA_TYPE, AddCheckpoint, WitnessState
from schemas.errors import MalformedError, NotFoundError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.followed import Followed
    from node.runtime import Node
    from protocols.log.note import VerifierKey
    from protocols.log.policy import Policy, Witness
    from protocols.member_list import LogEntry

COMPARE_DEADLINE = 120.0
_NOTE = "text/plain; charset=utf-8"
_HASH = "{origin_hash:[0-9a-f]{64}}"


@dataclass(frozen=True, slots=True)
class Watched:
    """A log that we witness: its entry, key and policy, and our key as the policy names it."""

    entry: LogEntry
    key: VerifierKey
    policy: Policy
    cosigner: Cosigner

    def others(self) -> tuple[Witness, ...]:
        """The other witnesses that count for this log."""
        voters = self.policy.voters(self.entry.origin)
        return tuple(item for item in voters if item.key != self.cosigner.key)


class WitnessService:
    """`node.witness`."""

    name = "witness"

    def __init__(self, node: Node) -> None:
        """Reads nothing yet; takes evidence that other members announce."""
        self.node = node
        self._confirmed: set[str] = set()
        self._confirming: dict[str, asyncio.Lock] = {}
        self._keys: CosignerKeys | None = None
        self.accuser = Accuser(node)
        self.monitor = Monitor(self)
        self.follower = Follower(self)
        self.mirror = MirrorService(self)
        exchange = getattr(node, "exchange", None)
        if exchange is not None:
            exchange.on(fork_evidence.TYPE, EquivocationHandler(self.accuser))
            exchange.on(log_epochs.TYPE, HandOverHandler(node))

    def routes(self) -> Sequence[Route]:
        """add-checkpoint, the held checkpoints, the answer to R15's question, and a summary."""
        return [
            Route(
                "POST",
                "/witness/1/add-checkpoint",
                self._add_checkpoint,
                Auth.OPEN,  # the log's own signature is what counts (tlog-witness)
                "Ask for a cosignature (C2SP tlog-witness)",
                "witness",
                request={ANY: {}},
                responses={
                    200: "Cosignature lines",
                    409: "The size of the last cosigned checkpoint",
                    422: "The checkpoint does not extend the last one",
                },
                max_body=witness_protocol.MAX_REQUEST,
                deadline=2 * CALL_DEADLINE,
            ),
            Route(
                "GET",
                f"/witness/1/{_HASH}/checkpoint",
                self._checkpoint,
                Auth.OPEN,
                "The last checkpoint cosigned for a log",
                "witness",
            ),
            Route(
                "GET",
                f"/witness/1/{_HASH}/state",
                self._state,
                Auth.PEER,
                "A signed statement of what is held of a log, after a partner's restart",
                "witness",
                parameters=(Parameter("nonce", "32 hexadecimal digits", required=True),),
            ),
            Route(
                "GET",
                "/witness/1/views",
                self._views,
                Auth.PEER,
                "The newest checkpoints held here of any log, to find split views",
                "witness",
            ),
            Route(
                "POST",
                "/v1/log/compare",
                self._compare,
                Auth.OPERATOR,
                "Ask partners what they hold of each log, and compare",
                "log",
                request={
                    JSON: {
                        "type": "object",
                        "properties": {"partners": {"type": "array", "items": {"type": "string"}}},
                    }
                },
                deadline=COMPARE_DEADLINE,
            ),
            Route(
                "GET",
                "/v1/witness",
                self._show,
                Auth.OPERATOR,
                "The logs this node witnesses, and the nodes that were caught",
                "witness",
            ),
            *self.mirror.routes(),
        ]

    async def start(self) -> None:
        """Watch for split views."""
        self.monitor.start()
        self.follower.start()

    async def stop(self) -> None:
        """End the watching."""
        await self.follower.stop()
        await self.monitor.stop()

    def ready(self) -> str | None:
        """Always ready: answering needs nothing."""
        return None

    # -- which logs ----------------------------------------------------------------------------

    def watched(self, origin: str) -> Watched:
        """The listed log of that origin; raises NotFoundError `witness_unknown_log`."""
        members = self.node.members.current
        entry = members.log(origin) if members else None
        if entry is None or not self.node.keys.has("witness"):
            raise NotFoundError("witness_unknown_log", "unknown log")
        signer = self.node.keys.signer("witness")
        raw, policy = signer.public().raw(), partners.policy_of(entry)
        for named in (policy, *self._waiting(entry)):
            for item in named.witnesses.values():
                if item.key.public_key == raw:
                    cosigner = Cosigner(item.key, signer.sign, self._second(named))
                    return Watched(entry, partners.log_key_of(entry), policy, cosigner)
        raise NotFoundError("witness_unknown_log", "this node is not a witness of the log")

    def _waiting(self, entry: LogEntry) -> list[Policy]:
        """The policies that the log has yet to hand over to: that needs their quorum (R16)."""
        members = self.node.members.current
        epochs = members.log_epochs(entry.origin) if members else ()
        return [log_epochs.policy_of(one) for one in epochs if one.epoch > entry.epoch]

    def _second(self, policy: Policy) -> Cosigner | None:
        """Our ML-DSA-44 key, where the policy knows it."""
        keys = self.keys()
        known = {item.key for item in policy.witnesses.values()}
        return keys.second if keys.second.key in known else None

    def keys(self) -> CosignerKeys:
        """The keys beside the listed witness key; made at the first need."""
        if self._keys is None:
            self._keys = cosigner_keys(self.node.keys)
        return self._keys

    def _origin_of(self, origin_hash: str) -> str:
        members = self.node.members.current
        for entry in members.logs if members else ():
            if partners.origin_hash(entry.origin) == origin_hash:
                return entry.origin
        raise NotFoundError("witness_unknown_log", "unknown log")

    # -- cosigning -----------------------------------------------------------------------------

    async def _add_checkpoint(self, request: web.Request) -> web.Response:
        asked = witness_protocol.parse_add_checkpoint(await request.read())
        answer = await self.add_checkpoint(asked)
        if answer.cosignature is not None:
            lines = (answer.cosignature, *answer.second)
            return _text("".join(line.to_text() for line in lines), _NOTE)
        if answer.old_size is not None:
            return _text(f"{answer.old_size}\n", SIZE_MEDIA_TYPE, status=409)
        assert answer.refusal is not None
        raise answer.refusal

    async def add_checkpoint(self, asked: AddCheckpoint) -> WitnessAnswer:
        """Cosign, or tell why not; a fork that shows is kept and announced."""
        watched = self.watched(asked.checkpoint.split("\n", 1)[0])
        origin = watched.entry.origin
        await self._confirm(watched)
        answer = await self.node.store.write(self._add, asked, watched, self.node.clock.now_ms())
        if answer.forked_with is not None:
            await self._examine(watched, answer.forked_with, asked)
        if answer.cosignature is not None:
            self.monitor.cosigned(origin)
        return answer

    def _add(
        self, conn: Connection, asked: AddCheckpoint, watched: Watched, now_ms: int
    ) -> WitnessAnswer:
        if forks.is_marked(conn, watched.entry.did):
            return WitnessAnswer(
                refusal=RefusedError("log_equivocation", "this node has shown two histories")
            )
        return witness.add_checkpoint(
            conn, asked, watched.key, watched.cosigner, now_ms, origin=watched.entry.origin
        )

    # -- R15 -----------------------------------------------------------------------------------

    async def _confirm(self, watched: Watched) -> None:
        """Before the first cosignature after a start, ask the log's other witnesses.

        Raises UnavailableError `log_not_confirmed` until enough of them have answered.
        """
        origin = watched.entry.origin
        async with self._confirming.setdefault(origin, asyncio.Lock()):
            if origin in self._confirmed:
                return
            others = watched.others()
            needed = min(watched.policy.confirmations(origin), len(others))
            answers = await asyncio.gather(*(self._learn(watched, item) for item in others))
            await self._learn_from_log(watched)
            if sum(answers) < needed:
                raise UnavailableError("log_not_confirmed", "other witnesses have not answered")
            self._confirmed.add(origin)

    async def _learn_from_log(self, watched: Watched) -> None:
        """Take over what the log shows, when it is more; it is no vote for its own state."""
        try:
            answer = await self.node.client.call(
                watched.entry.did, "GET", "/log/checkpoint", deadline=CALL_DEADLINE / 2
            )
            opened = checkpoint.open_checkpoint(
                answer.body, watched.key, origin=watched.entry.origin
            )
        except TradeError:
            return
        text = opened.note.to_text()
        await self.node.store.write(
            witness.adopt, opened.checkpoint, text, self.node.clock.now_ms()
        )

    async def _learn(self, watched: Watched, other: Witness) -> bool:
        """Take over what another witness holds, when it is more; whether it answered."""
        try:
            head, text = await partners.ask_state(
                self.node,
                other,
                watched.key,
                origin=watched.entry.origin,
                deadline=CALL_DEADLINE / 2,
            )
        except TradeError:
            return False
        if head is not None:
            held = await self.node.store.read(witness.state, head.origin)
            if held is not None and held.size == head.size and held.root != head.root:
                await self.accuser.accuse(watched.entry, held.note, text)
            await self.node.store.write(witness.adopt, head, text, self.node.clock.now_ms())
        return True

    async def _state(self, request: web.Request) -> web.Response:
        """Needs no checkpoint and no confirmation of our own (R15)."""
        origin = self._origin_of(request.match_info["origin_hash"])
        nonce = witness_protocol.parse_nonce(query_text(request, "nonce") or "")
        cosigner = self.watched(origin).cosigner
        held = await self.node.store.read(witness.state, origin)
        members = self.node.members.current
        assert members is not None
        state = WitnessState(members.network, nonce, origin, held.note if held else "")
        body = witness_protocol.sign_state(state, cosigner.key, cosigner.sign)
        return web.Response(body=body, content_type="application/json")

    async def _checkpoint(self, request: web.Request) -> web.Response:
        held = await self.held(self._origin_of(request.match_info["origin_hash"]))
        if held is None:
            raise NotFoundError("log_checkpoint_not_found", "nothing cosigned for this log yet")
        return _text(held.note, _NOTE)

    async def held(self, origin: str) -> HeldState | None:
        """What this node has cosigned last of a log."""
        return await self.node.store.read(witness.state, origin)

    # -- equivocation --------------------------------------------------------------------------

    async def _examine(self, watched: Watched, held: str, asked: AddCheckpoint) -> None:
        """Accuse the log when the held and the submitted checkpoint prove a fork."""
        try:
            await self.accuser.accuse(watched.entry, held, asked.checkpoint, asked.proof)
        except RefusedError:
            self.node.telemetry.log.warning("witness.unproven", origin=watched.entry.origin)

    # -- for people ----------------------------------------------------------------------------

    async def _views(self, _request: web.Request) -> web.Response:
        held = await self.node.store.read(held_notes)
        return json_response({"views": [{"origin": one, "note": text} for one, text in held]})

    async def _compare(self, request: web.Request) -> web.Response:
        asked = (await read_json(request)).get("partners", [])
        dids = [one for one in asked if isinstance(one, str)] if isinstance(asked, list) else None
        if not isinstance(asked, list) or dids is None or len(dids) != len(asked):
            raise MalformedError("log_request_malformed", "partners is a list of DIDs")
        return json_response(await Comparer(self).compare(dids))

    async def _show(self, _request: web.Request) -> web.Response:
        held = await self.node.store.read(witness.states)
        mirrored = await self.node.store.read(mirror.states)
        marked = await self.node.store.read(forks.marks)
        followed_ = await self.node.store.read(followed.states)
        return json_response(
            {
                "logs": [_held_json(item) for item in held],
                "mirrored": [
                    {"origin": origin, "size": state.size, "entries": state.next_entry}
                    for origin, state in mirrored
                ],
                "keys": key_texts(self.node.keys),
                "followed": [_followed_json(item) for item in followed_],
                "marked": [{"did": mark.did, "code": mark.code, "at": mark.at} for mark in marked],
            }
        )


def _held_json(held: HeldState) -> dict[str, Any]:
    return {"origin": held.origin, "size": held.size, "root": held.root.hex(), "at": held.at}


def _followed_json(one: Followed) -> dict[str, Any]:
    return {
        "origin": one.origin,
        "size": one.size,
        "root": one.root.hex(),
        "witnessed": one.witnessed,
        "at": one.at,
        "recordedAt": one.recorded_at or None,
        "fault": one.fault,
    }


def _text(text: str, content_type: str, *, status: int = 200) -> web.Response:
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": content_type})
