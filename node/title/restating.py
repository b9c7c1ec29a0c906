"""When a registry's sequencer restates its outstanding batch (`protocols.title.registry_dating`).

Only when it is sure to help: the batch is old, judged now it comes to another result, so that
witnesses will not follow, and a quorum of them says that it has not cosigned it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger import registry_store
from node.title import partners
from protocols.log import votes
from protocols.title.registry import open_batch, restate
from protocols.title.registry_dating import TOLERANCE_MS
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.title.sequencing import Sequencing
    from protocols.log.policy import Witness
    from protocols.member_list import MemberList
    from protocols.title.registry import Registry


async def is_needed(sequencing: Sequencing, outstanding: Registry) -> bool:
    """Whether the outstanding batch is to be restated now."""
    node = sequencing.node
    now_ms = node.clock.now_ms()
    if outstanding.last is None or now_ms - outstanding.at_ms <= TOLERANCE_MS:
        return False
    members = partners.members_of(node)
    if not await node.store.read(_comes_out_else, sequencing.log, outstanding, members, now_ms):
        return False
    policy, origin = sequencing.arbiter.policy, sequencing.arbiter.origin
    answers = await asyncio.gather(
        *(_is_free(sequencing, one, outstanding.size) for one in policy.voters(origin))
    )
    counts, now = votes.under(members), now_ms // 1000
    free = [one for one in answers if one is not None and counts(policy.witnesses[one], now)]
    return policy.satisfied(free, origin=origin)


def _comes_out_else(
    conn: Connection, log: str, outstanding: Registry, members: MemberList, now_ms: int
) -> bool:
    moment = open_batch(outstanding, members, now_ms, restates=True)
    try:
        run = restate(
            outstanding, moment, members, lambda title: registry_store.state_of(conn, log, title)
        )
    except RefusedError:
        return False  # titles may not move at all now: wait
    return run.close()[0].state_root != outstanding.titles.root


async def _is_free(sequencing: Sequencing, witness: Witness, size: int) -> str | None:
    """The witness's name, when it says that it has not cosigned that much."""
    try:
        head, _ = await partners.ask_state(sequencing.node, witness, sequencing.arbiter)
    except TradeError:
        return None
    return witness.name if head is None or head.size < size else None
