"""Two histories of one registry, or of one title: kept, told to everybody, and nothing goes on.

A fork is proven by the registry's own signatures (`protocols.log.fork_evidence`); two
quorum-cosigned histories of one title by two proofs that cannot both be true
(`protocols.title.fork`). The first one that was known stays what is shown, marked disputed: nobody
operates on it and nothing is released on it until the roots have ended the registry at one of the
two (R21).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger import forks, registry_freezes
from ledger.registry_freezes import EVERYTHING, Dispute
from ledger.tiles import write_durably
from node.title import partners
from protocols.evm.title_proof import is_chain_proof
from protocols.log import fork_evidence
from protocols.log.fork_evidence import ForkEvidence
from protocols.title import fork as title_fork
from protocols.title.fork import History, TitleFork
from protocols.title.operation import read_operation
from protocols.title.proof import TitleProof, read_proof_json
from protocols.title.registry_freeze import arbiter_of
from schemas import strict_json
from schemas.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.news import TitleNews
    from node.title.rows import StoredTitle

REGISTRY_FORK = "urn:pratique:registry-fork"
FORKED, CONTRADICTED = "registry_forked", "title_contradicted"


@dataclass(frozen=True, slots=True)
class Fork:
    """A proven fork of a registry: its arbiter, and the node behind it."""

    evidence: ForkEvidence
    arbiter: bytes
    did: str


def file_name(evidence: ForkEvidence | TitleFork) -> str:
    """The name of an evidence file in the node's evidence folder."""
    kind = "fork" if isinstance(evidence, ForkEvidence) else "title-fork"
    return f"{kind}-{evidence.digest.hex()[:16]}.json"


async def keep_file(node: Node, name: str, data: bytes) -> None:
    """Write an evidence file, for people and other machines."""
    await asyncio.to_thread(write_durably, [(node.home.evidence / name, data)])


def record_fork(conn: Connection, node: Node, found: Fork, *, tell: bool) -> None:
    """In one transaction: evidence, mark, dispute of all its titles, alarm, messages to all."""
    now, name = node.clock.now_ms(), file_name(found.evidence)
    forks.keep(conn, found.evidence, found.did, now)
    whole = Dispute(found.arbiter, EVERYTHING, FORKED, name, now)
    if not registry_freezes.dispute(conn, whole):
        return
    detail = {"code": forks.CODE, "origin": found.evidence.origin, "evidence": name}
    _alarm(conn, node, found.did, detail)
    if tell:
        announce(conn, node, REGISTRY_FORK, found.evidence.to_bytes(), found.did)


def record_contradiction(conn: Connection, node: Node, found: TitleFork, *, tell: bool) -> None:
    """The same for two proofs of one title."""
    now, name = node.clock.now_ms(), file_name(found)
    about = Dispute(found.arbiter, found.title, CONTRADICTED, name, now)
    if not registry_freezes.dispute(conn, about):
        return
    write_durably([(node.home.evidence / name, found.to_bytes())])
    _alarm(conn, node, node.did, {"code": CONTRADICTED, "title": found.title.hex(),
                                  "evidence": name})  # fmt: skip
    reconsider(conn, node, found.title)
    if tell:
        announce(conn, node, title_fork.TYPE, found.to_bytes())


def _alarm(conn: Connection, node: Node, did: str, detail: dict[str, Any]) -> None:
    from node.store import events

    events.record(conn, kind="alarm", at=node.clock.now_ms(), actor=did, detail=detail)
    node.telemetry.log.error("title.disputed", **detail)


def reconsider(conn: Connection, node: Node, title: bytes) -> None:
    """Look anew at the release of what a title stands for."""
    from node.documents import documents
    from node.title import rows

    bill, release = rows.bill(conn, title), getattr(node, "release", None)
    document = documents.get(conn, bill.document) if bill and bill.document else None
    if release is not None and document is not None and document.consignment is not None:
        release.reconsider(conn, document.consignment)


def announce(conn: Connection, node: Node, kind: str, body: bytes, but: str = "") -> None:
    """Queue a message for every other member, leaving out `but`."""
    exchange, members = getattr(node, "exchange", None), node.members.current
    if exchange is None or members is None:
        return
    for entry in members.nodes:
        if entry.did not in (node.did, but):
            exchange.enqueue(conn, entry.did, kind, body, fork_evidence.MEDIA_TYPE, None)


def require_undisputed(conn: Connection, held: StoredTitle) -> None:
    """Raises ConflictError `title_disputed`."""
    found = registry_freezes.disputed(conn, held.title, held.arbiter)
    if found is not None:
        raise ConflictError(
            "title_disputed", f"two histories were shown: see {found.evidence}", cause=found.code
        )


def dispute_json(found: Dispute) -> dict[str, Any]:
    """A dispute for people and programs."""
    whole = found.title == EVERYTHING
    return {
        "code": found.code,
        "arbiter": found.arbiter.hex(),
        "title": None if whole else found.title.hex(),
        "evidence": found.evidence,
        "at": found.at,
    }


def contradiction(held: StoredTitle, texts: Sequence[str], news: TitleNews) -> TitleFork | None:
    """The evidence, when the news contradicts the history that is held; of registries only."""
    told = strict_json.loads_object(held.proof.encode())
    if is_chain_proof(told) or not isinstance(news.proof, TitleProof):
        return None
    mine = tuple(read_operation(text).operation.digest for text in texts)
    if not title_fork.contradict(mine, tuple(one.digest for one, _ in news.operations)):
        return None
    return TitleFork(
        History(held.arbiter, read_proof_json(told), tuple(texts)),
        History(news.arbiter, news.proof, tuple(text for _, text in news.operations)),
    )


class RegistryForkHandler:
    """Takes evidence of a registry's fork; it is believed only for the registry's signatures."""

    def __init__(self, node: Node) -> None:
        """For one node."""
        self._node = node

    async def prepare(self, message: Any) -> Fork:
        """Prove the fork under our own member list (R5)."""
        evidence = fork_evidence.parse(message.body)
        members = partners.members_of(self._node)
        entry = members.registry(evidence.origin)
        if entry is None or evidence.network != members.network:
            raise RefusedError("equivocation_not_proven", "the registry is not listed here")
        arbiter = arbiter_of(entry)
        evidence.prove(arbiter.key)
        await keep_file(self._node, file_name(evidence), evidence.to_bytes())
        return Fork(evidence, arbiter.id, entry.did)

    def apply(self, conn: Connection, _message: Any, found: Fork) -> None:
        """Keep it as if we had seen it ourselves."""
        record_fork(conn, self._node, found, tell=False)


class TitleForkHandler:
    """Takes evidence that two histories of one title were cosigned by quorums."""

    def __init__(self, node: Node) -> None:
        """For one node."""
        self._node = node

    async def prepare(self, message: Any) -> TitleFork:
        """Check both proofs under our own member list (R5)."""
        found = title_fork.read(message.body)
        found.prove(partners.members_of(self._node))
        return found

    def apply(self, conn: Connection, _message: Any, found: TitleFork) -> None:
        """Keep it as if we had seen it ourselves."""
        record_contradiction(conn, self._node, found, tell=False)
