"""Whether two checkpoints of a log belong to one history, by whoever can show it.

The log itself is asked first. A log that shows two histories gives no proof that fits both; then
what this node mirrors of it tells, and is the proof of the fork.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import mirror
from ledger.mirror import MirrorFolder
from ledger.tiles import WIDTH, Tile
from protocols.log import merkle, note
from protocols.log.merkle import HASH_SIZE, Tree
from schemas import strict_json
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from node.log.witness_service import WitnessService
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.merkle import Proof
    from protocols.member_list import LogEntry

DEADLINE = 3.0
MAX_MIRRORED = 2_000_000
"""Leaves of a mirror that are read to make a proof."""


async def is_shown(
    service: WitnessService, entry: LogEntry, one: Checkpoint, other: Checkpoint
) -> bool:
    """Whether the smaller tree was shown to be part of the larger one."""
    first, second = _ordered(one, other)
    if first.size == second.size or first.size == 0:
        return first.root == second.root or first.size == 0 < second.size
    for proof in [
        await _from_log(service, entry, first.size, second.size),
        await _from_mirror(service, entry, first.size, second.size),
    ]:
        try:
            merkle.verify_consistency(first.size, second.size, first.root, second.root, proof)
        except RefusedError:
            continue
        return True
    return False


async def proof(
    service: WitnessService, entry: LogEntry, one: Checkpoint, other: Checkpoint
) -> Proof:
    """The path to the larger root, which shows another history below it than the smaller one's.

    () when nobody gives it, or when both have one size and no path is needed.
    """
    first, second = _ordered(one, other)
    if first.size == second.size or not first.size:
        return ()
    for found in [
        await _from_log(service, entry, first.size, second.size),
        await _from_mirror(service, entry, first.size, second.size),
    ]:
        try:
            _, new = merkle.roots_from_consistency(first.size, second.size, first.root, found)
        except RefusedError:
            continue
        if new == second.root:
            return found
    return ()


def _ordered(one: Checkpoint, other: Checkpoint) -> tuple[Checkpoint, Checkpoint]:
    return (one, other) if one.size <= other.size else (other, one)


async def _from_log(service: WitnessService, entry: LogEntry, old: int, new: int) -> Proof:
    node = service.node
    own = node.log.publisher
    if own is not None and entry.origin == node.log.origin:
        return own.tree.consistency_proof(old, new) if new <= own.tree.size else ()
    path = f"/log/consistency?old={old}&new={new}"
    try:
        answer = await node.client.call(entry.did, "GET", path, deadline=DEADLINE)
        value = strict_json.loads(answer.body, max_bytes=65_536) if answer.status == 200 else None
        hashes = value if isinstance(value, list) else []
        return tuple(note.decode64(item) for item in hashes[:64] if isinstance(item, str))
    except TradeError:
        return ()


async def _from_mirror(service: WitnessService, entry: LogEntry, old: int, new: int) -> Proof:
    import asyncio

    state = await service.node.store.read(mirror.state, entry.origin)
    if not old <= new <= min(state.next_entry, MAX_MIRRORED):
        return ()
    folder = MirrorFolder(service.mirror.folder(entry.origin), state.next_entry)
    return await asyncio.to_thread(_mirrored_proof, folder, old, new)


def _mirrored_proof(folder: MirrorFolder, old: int, new: int) -> Proof:
    tree = Tree()
    try:
        for index in range(-(-new // WIDTH)):
            data = folder.read(Tile(0, index, min(WIDTH, folder.stored - index * WIDTH)))
            tree.extend([data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)])
    except TradeError:
        return ()
    return tree.consistency_proof(old, new)
