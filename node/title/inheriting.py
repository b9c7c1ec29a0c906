"""Taking over a frozen registry (R21): its entries from whoever mirrors them, then the document.

Everything is re-executed under the arbiters whose turn it was, and the log must have the very root
that the roots of the network have signed. Nothing is believed for where it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger import log, registry_store, registry_witness
from node.title import partners
from node.title.gathering import STEP_ENTRIES
from protocols.log.merkle import Tree, leaf_hash
from protocols.title.registry import Registry, Step, execute, hand_over, open_batch
from protocols.title.registry_entries import HandOverEntry, RootEntry, decode
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.sequencing import Sequencing
    from protocols.title.registry_freeze import Arbiter, Freeze


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The registry after the hand-over, and the leaf hashes that were appended."""

    registry: Registry
    hashes: tuple[bytes, ...]


async def entries_for(sequencing: Sequencing) -> list[bytes]:
    """What the last frozen arbiter had; raises UnavailableError `registry_behind`."""
    line = sequencing.lineage
    return await entries_of(sequencing.node, line.arbiters[-2], line.documents[-1].freeze)


async def entries_of(node: Node, arbiter: Arbiter, frozen: Freeze) -> list[bytes]:
    """All entries of a frozen log, from this node's own mirror or another witness's."""
    own = registry_witness.mirror_log(arbiter.origin)
    stored = await node.store.read(log.read, 0, frozen.at, log=own)
    found = [leaf.entry for leaf in stored]
    if _is_whole(found, frozen):
        return found
    for witness in arbiter.policy.voters(arbiter.origin):
        try:
            found = await partners.fetch_all(node, witness, arbiter, 0, frozen.at)
        except TradeError as error:
            node.telemetry.log.info("registry.not_given", by=witness.name, code=error.code)
            continue
        if _is_whole(found, frozen):
            return found
    raise UnavailableError("registry_behind", "no witness gives the frozen registry's entries")


def _is_whole(entries: Sequence[bytes], frozen: Freeze) -> bool:
    return len(entries) == frozen.at and Tree(map(leaf_hash, entries)).root() == frozen.root


def take_over(conn: Connection, sequencing: Sequencing, entries: Sequence[bytes]) -> TakenOver:
    """Append the next whole batches of those that are left, or the hand-over when none is.

    In pieces, because each is signed and led to the witnesses by itself, and each in one
    transaction, so that a crash leaves whole batches. Raises RefusedError
    `freeze_lineage_invalid`.
    """
    piece = list(entries[: _piece(entries)])
    steps = _step(conn, sequencing, piece) if piece else [_hand_over(sequencing, piece)]
    node, name = sequencing.node, sequencing.log
    added = log.append_all(conn, piece, node.clock.now_ms(), log=name)
    registry_store.put_steps(conn, name, sequencing.registry, steps)
    return TakenOver(steps[-1].registry, tuple(leaf.hash for leaf in added))


def _piece(entries: Sequence[bytes]) -> int:
    """Where the last batch that fits ends, else the first one."""
    ends = [at for at, entry in enumerate(entries, 1) if isinstance(decode(entry), RootEntry)]
    return max((end for end in ends if end <= STEP_ENTRIES), default=ends[0] if ends else 0)


def _step(conn: Connection, sequencing: Sequencing, piece: Sequence[bytes]) -> Sequence[Step]:
    name = sequencing.log
    return execute(
        sequencing.registry,
        piece,
        sequencing.members_of,
        lambda title: registry_store.state_of(conn, name, title),
    ).steps


def _hand_over(sequencing: Sequencing, piece: list[bytes]) -> Step:
    """The batch of the hand-over; its entries are added to `piece`."""
    ended, document = sequencing.registry, sequencing.lineage.documents[-1]
    named = sequencing.members_of(document.freeze.members)
    if named is None:
        raise UnavailableError("registry_members_unknown", "the list it names is not held here")
    if ended.size != document.freeze.at:
        raise RefusedError("freeze_lineage_invalid", "the frozen log has another length")
    node = sequencing.node
    moment = open_batch(ended, partners.members_of(node), node.clock.now_ms())
    policy = sequencing.arbiter.policy_digest
    entry = HandOverEntry(replace(moment, policy_digest=policy), document.to_bytes())
    after = hand_over(ended, entry, named)
    closing = RootEntry(after.network, after.number, after.at_ms, after.titles.root)
    piece += [entry.encode(), closing.encode()]
    return Step(after, (), 2, entry.batch)
