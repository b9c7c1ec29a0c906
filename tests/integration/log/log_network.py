"""Networks of real nodes that run only log and witness services."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ledger import checkpoints
from node.log.service import LogReceipt, LogService
from node.log.witness_service import WitnessService
from node.runtime import Node
from protocols.log import proof as log_proof
from protocols.log.proof import ProofResult
from protocols.member_list import MemberListDraft
from protocols.members import policies
from tests.support.network import Made, Member, did_of, make_network
from tests.support.running import running_node

SERVICES = (("log", LogService), ("witness", WitnessService))
WITNESSES = ("w1", "w2", "w3", "w4")
UNTIL = 60.0
#: Mirrors and partners' logs are looked at when a test says so: what these loops find, and when,
#: would depend on how long the test has been running.
FAST = {"log": {"checkpoint_interval": 0.05, "mirror_interval": 3600, "follow_interval": 3600}}
PURPOSES = ("credential", "exchange", "log", "witness")


def made(
    folder: Path,
    *,
    witnesses: tuple[str, ...] = WITNESSES,
    quorum: int | None = None,
    others: tuple[str, ...] = (),
) -> Made:
    """A railway with a log, its witnesses, which have logs too, and others that witness nothing."""

    def change(draft: MemberListDraft, _keys: Any) -> MemberListDraft:
        logs = tuple(log for node in draft.nodes if (log := policies.log_of(node)))
        draft = replace(draft, logs=logs)
        if not witnesses:
            return draft
        return policies.with_witnesses(draft, [did_of(name) for name in witnesses], quorum)

    member = Member(purposes=PURPOSES, settings=FAST)
    return make_network(folder, dict.fromkeys(("rail", *witnesses, *others), member), change=change)


async def start(stack: AsyncExitStack, network: Made, *names: str) -> dict[str, Node]:
    """Start some nodes of the network, to be stopped with the stack."""
    nodes = {}
    for name in names:
        nodes[name] = await stack.enter_async_context(
            running_node(
                network.homes[name],
                services=SERVICES,
                prepare=lambda node: node.members.replace(network.members),
            )
        )
    return nodes


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """The first true value that `look` gives; fails after `UNTIL`."""
    end = time.monotonic() + UNTIL
    while not (found := await look()):
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)
    return found


async def append(node: Node, *entries: bytes) -> bytes:
    """Append entries in one transaction; the leaf hash of the last."""
    from ledger import log

    added = await node.store.write(log.append_all, entries, node.clock.now_ms())
    return added[-1].hash


async def cosigned_by_all(node: Node, size: int) -> None:
    """Wait until every witness has cosigned so much of the log; a quorum is there earlier."""
    keys = [item.key.key_id for item in node.log.policy.voters(node.log.origin)]

    async def all_of_them() -> bool:
        sizes = await node.store.read(checkpoints.cosigned_sizes)
        return all(sizes.get(key, 0) >= size for key in keys)

    await eventually(all_of_them)


def verified(node: Node, receipt: LogReceipt | None) -> ProofResult:
    """The receipt under the member list's key and policy, strictly."""
    assert receipt is not None
    entry = node.members.current.log(receipt.origin)
    return log_proof.verify(
        receipt.text, receipt.entry, entry.vkey, entry.policy or "quorum none\n"
    )
