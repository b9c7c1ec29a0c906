"""A log that shows two histories, for the test network and the tests; never part of a node.

It holds a listed log key, makes two conflicting signed checkpoints of one size, and hands them to
the log's witnesses with properly signed calls, as an operator who means harm would.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.log import partners
from protocols.log import checkpoint, note
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.witness_protocol import AddCheckpoint, parse_size_answer
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.runtime import Node
    from protocols.log.policy import Witness
    from protocols.seams import Answer

DEADLINE = 30.0
ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class TwoHeads:
    """Two signed checkpoints of one log and one size, and the trees behind them."""

    honest: str
    forged: str
    size: int
    trees: tuple[Tree, Tree]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one witness answered to one head: HTTP status, and the cosignature lines or problem."""

    witness: str
    head: str
    status: int
    body: bytes


def two_heads(
    log_key: note.VerifierKey, sign: Callable[[bytes], bytes], trees: tuple[Tree, Tree]
) -> TwoHeads:
    """Sign two trees of one size as if each were the log."""
    notes = [
        checkpoint.sign(Checkpoint(log_key.name, tree.size, tree.root()), log_key, sign).to_text()
        for tree in trees
    ]
    return TwoHeads(notes[0], notes[1], trees[0].size, trees)


def rewritten(leaf_hashes: Sequence[bytes]) -> tuple[Tree, Tree]:
    """The log as it is, and the log with another last leaf."""
    return Tree(leaf_hashes), Tree([*leaf_hashes[:-1], leaf_hash(b"another history")])


def continued(leaf_hashes: Sequence[bytes]) -> tuple[Tree, Tree]:
    """The log with one more leaf, in two ways."""
    first, second = (leaf_hash(f"history {number}".encode()) for number in (1, 2))
    return Tree([*leaf_hashes, first]), Tree([*leaf_hashes, second])


async def show_both(node: Node, *, split: bool = False) -> list[Reply]:
    """Make the node's own log equivocate before the witnesses of its policy.

    By default every witness is shown the true head and then a rewritten one of the same size.
    split: half of the witnesses are shown one continuation and half another, so that none of them
           sees both. The node's own publishing is stopped for it.
    """
    await node.log.stop()
    entry, publisher = node.log.entry(), node.log.publisher
    assert entry is not None
    assert publisher is not None
    hashes = [publisher.tree.hash_at(0, index) for index in range(publisher.tree.size)]
    trees = rewritten(hashes) if hashes and not split else continued(hashes)
    heads = two_heads(partners.log_key_of(entry), publisher.identity.sign, trees)
    witnesses = partners.policy_of(entry).voters(entry.origin)
    if split:
        shown = ((item, number % 2) for number, item in enumerate(witnesses))
        return list(await asyncio.gather(*(_submit(node, item, heads, n) for item, n in shown)))
    pairs = await asyncio.gather(*(_submit_both(node, item, heads) for item in witnesses))
    return [reply for pair in pairs for reply in pair]


async def _submit_both(node: Node, witness: Witness, heads: TwoHeads) -> tuple[Reply, Reply]:
    return await _submit(node, witness, heads, 0), await _submit(node, witness, heads, 1)


async def _submit(node: Node, witness: Witness, heads: TwoHeads, which: int) -> Reply:
    """Hand in one head, with the proof from where the witness says it stands."""
    text, tree = (heads.honest, heads.forged)[which], heads.trees[which]
    name, old = ("honest", "forged")[which], 0
    answer: Answer | None = None
    for _ in range(ATTEMPTS):
        request = AddCheckpoint(old, tree.consistency_proof(old, heads.size), text)
        answer = await _post(node, witness, request)
        if answer.status != 409:
            break
        told = parse_size_answer(answer.body)
        if told > heads.size or told == old:
            break
        old = told
    assert answer is not None
    return Reply(witness.key.name, name, answer.status, answer.body)


async def _post(node: Node, witness: Witness, request: AddCheckpoint) -> Answer:
    members = node.members.current
    did = partners.did_of(members, witness.key) if members else None
    if did is None:
        raise UnavailableError("peer_unreachable", f"nobody listed holds {witness.key.name}")
    return await node.client.call(
        did, "POST", "/witness/1/add-checkpoint", request.to_bytes(), deadline=DEADLINE
    )
