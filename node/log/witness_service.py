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

from ledger import forks, mirror, witness
from ledger.tiles import write_durably
from ledger.witness import Cosigner, HeldState, WitnessAnswer
from node.http.helpers import json_response, query_text
from node.http.routes import Auth, Parameter, Route
from node.log import partners
from node.log.cosigner_keys import CosignerKeys, cosigner_keys
from node.log.handing_over import HandOverHandler
from node.log.mirror_service import MirrorService
from node.log.monitor import Monitor
from node.log.service import CALL_DEADLINE
from protocols import fork_evidence, log_epochs, witness_protocol
from protocols.fork_evidence import ForkEvidence
from protocols.witness_protocol import SIZE_MEDIA_TYPE, AddCheckpoint, WitnessState
from schemas.errors import NotFoundError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.log_policy import Policy, Witness
    from protocols.member_list import LogEntry
    from protocols.note import VerifierKey

_OCTETS = "application/octet-stream"
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
        self.monitor = Monitor(self)
        self.mirror = MirrorService(self)
        exchange = getattr(node, "exchange", None)
        if exchange is not None:
            exchange.on(fork_evidence.TYPE, EquivocationHandler(self))
            exchange.on(log_epochs.TYPE, HandOverHandler(node))

    def routes(self) -> Sequence[Route]:
        """add-checkpoint, the held checkpoints, the answer to R15's question, and a summary."""
        return [
            Route(
                "POST",
                "/witness/1/add-checkpoint",
                self._add_checkpoint,
                Auth.PEER,
                "Ask for a cosignature (C2SP tlog-witness)",
                "witness",
                request={_OCTETS: {}},
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
                Auth.PEER,
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

    async def stop(self) -> None:
        """End the watching."""
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
            if sum(answers) < needed:
                raise UnavailableError("log_not_confirmed", "other witnesses have not answered")
            self._confirmed.add(origin)

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
                await self.accuse(watched, held.note, text)
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
            await self.accuse(watched, held, asked.checkpoint, asked.proof)
        except RefusedError:
            self.node.telemetry.log.warning("witness.unproven", origin=watched.entry.origin)

    async def accuse(
        self, watched: Watched, one: str, other: str, proof: tuple[bytes, ...] = ()
    ) -> None:
        """Keep, tell and announce a fork; raises RefusedError when it is not proven."""
        members = self.node.members.current
        assert members is not None
        evidence = ForkEvidence(members.network, watched.entry.origin, (one, other), proof)
        evidence.prove(watched.key)
        if not await self.node.store.read(forks.is_marked, watched.entry.did):
            await self.keep_file(evidence)
            await self.node.store.write(self.record, evidence, watched.entry.did, announce=True)

    async def keep_file(self, evidence: ForkEvidence) -> None:
        """Write the evidence file into the node's home, for people and other machines."""
        file = self.node.home.evidence / _file_name(evidence)
        await asyncio.to_thread(write_durably, [(file, evidence.to_bytes())])

    def record(self, conn: Connection, evidence: ForkEvidence, did: str, *, announce: bool) -> None:
        """In one transaction: evidence, mark, alarm, and messages to the other members."""
        from node.store import events

        now = self.node.clock.now_ms()
        if not forks.keep(conn, evidence, did, now):
            return
        name = _file_name(evidence)
        detail = {"code": forks.CODE, "origin": evidence.origin, "evidence": name}
        events.record(conn, kind="alarm", at=now, actor=did, detail=detail)
        self.node.telemetry.log.error("log.equivocation", origin=evidence.origin, marked=did)
        if announce:
            self._announce(conn, evidence, did)

    def _announce(self, conn: Connection, evidence: ForkEvidence, did: str) -> None:
        exchange, members = getattr(self.node, "exchange", None), self.node.members.current
        if exchange is None or members is None:
            return
        for entry in members.nodes:
            if entry.did not in (self.node.did, did):
                exchange.enqueue(
                    conn,
                    entry.did,
                    fork_evidence.TYPE,
                    evidence.to_bytes(),
                    fork_evidence.MEDIA_TYPE,
                    None,
                )

    # -- for people ----------------------------------------------------------------------------

    async def _show(self, _request: web.Request) -> web.Response:
        held = await self.node.store.read(witness.states)
        mirrored = await self.node.store.read(mirror.states)
        marked = await self.node.store.read(forks.marks)
        return json_response(
            {
                "logs": [_held_json(item) for item in held],
                "mirrored": [
                    {"origin": origin, "size": state.size, "entries": state.next_entry}
                    for origin, state in mirrored
                ],
                "keys": self._key_texts(),
                "marked": [{"did": mark.did, "code": mark.code, "at": mark.at} for mark in marked],
            }
        )

    def _key_texts(self) -> list[str]:
        """The vkeys that a policy may name beside the listed one."""
        if not self.node.keys.has("witness"):
            return []
        return [self.keys().second.key.to_text(), self.keys().mirror.key.to_text()]


def _file_name(evidence: ForkEvidence) -> str:
    return f"fork-{evidence.digest.hex()[:16]}.json"


def _held_json(held: HeldState) -> dict[str, Any]:
    return {"origin": held.origin, "size": held.size, "root": held.root.hex(), "at": held.at}


def _text(text: str, content_type: str, *, status: int = 200) -> web.Response:
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": content_type})


class EquivocationHandler:
    """Takes evidence from other members; it is believed only for the log's own signatures."""

    def __init__(self, service: WitnessService) -> None:
        """Belongs to the node's `WitnessService`."""
        self._service = service

    async def prepare(self, message: Any) -> tuple[ForkEvidence, str]:
        """Prove the fork under our own member list (R5)."""
        evidence = fork_evidence.parse(message.body)
        members = self._service.node.members.current
        entry = members.log(evidence.origin) if members else None
        if entry is None or members is None or evidence.network != members.network:
            raise RefusedError("equivocation_not_proven", "the log is not listed here")
        evidence.prove(partners.log_key_of(entry))
        await self._service.keep_file(evidence)
        return evidence, entry.did

    def apply(self, conn: Connection, _message: Any, proven: tuple[ForkEvidence, str]) -> None:
        """Keep it as if we had seen it ourselves."""
        self._service.record(conn, *proven, announce=False)
