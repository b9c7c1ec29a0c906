"""A log that showed two histories: the proof is kept, told as a leaf and an alarm, and announced.

What proves it convinces anybody who has the member list, so every member verifies the evidence
itself (R5): it is believed for the log's own signatures alone, never for who tells it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ledger import forks, log
from ledger.tiles import write_durably
from protocols.digest import sha256
from protocols.log import fork_evidence, note
from protocols.log.fork_evidence import ForkEvidence
from protocols.log.leaf import LeafKind
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.member_list import LogEntry, MemberList, RegistryEntry

_SUBJECT = b"pratique/equivocation/v1\x00"


def listed(members: MemberList | None, origin: str) -> LogEntry | RegistryEntry:
    """The log or registry that the evidence is about; raises `equivocation_not_proven`."""
    found = (members.log(origin) or members.registry(origin)) if members else None
    if found is None:
        raise RefusedError("equivocation_not_proven", "the log is not listed here")
    return found


def file_name(evidence: ForkEvidence) -> str:
    """The name of the evidence file in the home's ``evidence/``."""
    return f"fork-{evidence.digest.hex()[:16]}.json"


class Accuser:
    """Keeps and announces proven forks for one node."""

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self.node = node

    async def accuse(
        self,
        entry: LogEntry | RegistryEntry,
        one: str,
        other: str,
        proof: tuple[bytes, ...] = (),
    ) -> None:
        """Keep, tell and announce a fork; raises RefusedError when it is not proven."""
        members = self.node.members.current
        assert members is not None
        evidence = ForkEvidence(members.network, entry.origin, (one, other), proof)
        evidence.prove(note.parse_vkey(entry.vkey))
        if not await self.node.store.read(forks.is_marked, entry.did):
            await self.keep_file(evidence)
            await self.node.store.write(self.record, evidence, entry.did, announce=True)

    async def keep_file(self, evidence: ForkEvidence) -> None:
        """Write the evidence file into the node's home, for people and other machines."""
        file = self.node.home.evidence / file_name(evidence)
        await asyncio.to_thread(write_durably, [(file, evidence.to_bytes())])

    def record(self, conn: Connection, evidence: ForkEvidence, did: str, *, announce: bool) -> None:
        """In one transaction: evidence, mark, leaf, alarm, and messages to the other members."""
        from node.store import events

        now = self.node.clock.now_ms()
        if not forks.keep(conn, evidence, did, now):
            return
        subject = sha256(_SUBJECT + evidence.origin.encode())
        leaf = log.remember(conn, LeafKind.EVIDENCE, subject, evidence.digest, now)
        name = file_name(evidence)
        detail = {"code": forks.CODE, "origin": evidence.origin, "evidence": name}
        events.record(conn, kind="alarm", at=now, actor=did, leaf=leaf.hash, detail=detail)
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


class EquivocationHandler:
    """Takes evidence from other members."""

    def __init__(self, accuser: Accuser) -> None:
        """Belongs to the node's witness service."""
        self._accuser = accuser

    async def prepare(self, message: Any) -> tuple[ForkEvidence, str]:
        """Prove the fork under our own member list (R5)."""
        evidence = fork_evidence.parse(message.body)
        members = self._accuser.node.members.current
        entry = listed(members, evidence.origin)
        if members is None or evidence.network != members.network:
            raise RefusedError("equivocation_not_proven", "it is about another network")
        evidence.prove(note.parse_vkey(entry.vkey))
        await self._accuser.keep_file(evidence)
        return evidence, entry.did

    def apply(self, conn: Connection, _message: Any, proven: tuple[ForkEvidence, str]) -> None:
        """Keep it as if we had seen it ourselves."""
        self._accuser.record(conn, *proven, announce=False)
