"""Proven forks and the nodes behind them, in the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from ledger.tables import forks, marked_nodes
from protocols.log import fork_evidence
from protocols.log.fork_evidence import ForkEvidence

CODE = "log_equivocation"


@dataclass(frozen=True, slots=True)
class Mark:
    """A node that was caught: its DID, the code of what it did, the evidence's digest, when."""

    did: str
    code: str
    evidence: bytes | None
    at: int


def keep(conn: Connection, evidence: ForkEvidence, did: str, now_ms: int) -> bool:
    """Keep a proven fork and mark the node `did` behind it; False when the node was marked.

    One evidence file per log is enough; a log that lies is not given room to fill a disk.
    """
    known = conn.execute(select(forks.c.digest).where(forks.c.origin == evidence.origin)).first()
    if known is None:
        conn.execute(
            insert(forks).values(
                digest=evidence.digest,
                origin=evidence.origin,
                evidence=evidence.to_bytes().decode(),
                at=now_ms,
            )
        )
    if is_marked(conn, did):
        return False
    conn.execute(
        insert(marked_nodes).values(did=did, code=CODE, evidence=evidence.digest, at=now_ms)
    )
    return True


def is_marked(conn: Connection, did: str) -> bool:
    """Whether that node was caught."""
    return (
        conn.execute(select(marked_nodes.c.did).where(marked_nodes.c.did == did)).first()
        is not None
    )


def marks(conn: Connection) -> list[Mark]:
    """Every node that was caught, first to last."""
    rows = conn.execute(
        select(
            marked_nodes.c.did, marked_nodes.c.code, marked_nodes.c.evidence, marked_nodes.c.at
        ).order_by(marked_nodes.c.at)
    )
    return [
        Mark(did, code, None if proof is None else bytes(proof), at)
        for did, code, proof, at in rows
    ]


def evidence(conn: Connection) -> list[ForkEvidence]:
    """Every kept fork."""
    rows = conn.execute(select(forks.c.evidence).order_by(forks.c.at))
    return [fork_evidence.parse(text.encode()) for text in rows.scalars()]
