"""A member that was admitted without the role `witness` becomes one while it runs (R16, R22)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from ledger import log
from node.log import partners as log_partners
from node.title import partners as title_partners
from protocols.title.registry_freeze import arbiter_of
from protocols.verify.receipt_steps import verify_in_listed_log
from schemas.errors import TradeError
from tests.support import founded_homes
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

pytestmark = pytest.mark.timeout(90)

ORIGIN = "alpha.example/log/1"
SOON = {"log": {"checkpoint_interval": 0.05}}


async def eventually(check: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if check():
                return
            await asyncio.sleep(0.02)


async def sign(root: Node, **wish: Any) -> Any:
    answer = await founded_homes.client(root).apost("/v1/trust/sign", wish)
    return answer["signed"][0]


async def code_of(awaited: Any) -> str:
    with pytest.raises(TradeError) as caught:
        await awaited
    return caught.value.code


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node, Node]]:
    """A port that founded, a witness of its log, and a bank that witnesses nothing."""
    first = founded_homes.make(tmp_path, "alpha", "CN", "port", **SOON)
    founded_homes.found(first)
    second = founded_homes.make(tmp_path, "beta", "NL", "witness", **SOON)
    third = founded_homes.make(tmp_path, "gamma", "SG", "bank", **SOON)
    async with AsyncExitStack() as stack:
        alpha, beta, gamma = [
            await stack.enter_async_context(running_node(home)) for home in (first, second, third)
        ]
        for node in (beta, gamma):
            await node.trust.join(alpha.endpoint, alpha.members.current.network)
        await sign(alpha, all=True)
        await sign(alpha, witnesses=[beta.did])
        await eventually(lambda: all(one.members.current for one in (beta, gamma)))
        yield alpha, beta, gamma


async def receipt(node: Node, entry: bytes) -> Any:
    """The receipt of a leaf that is appended now, once a quorum has cosigned it."""
    added = await node.store.write(log.append_all, [entry], node.clock.now_ms())
    return await node.log.wait_for(added[-1].hash, 20.0)


async def test_r16_a_member_makes_itself_a_witness_and_cosigns_from_the_next_epoch_on(
    nodes: tuple[Node, Node, Node],
) -> None:
    alpha, beta, gamma = nodes
    both = [beta.did, gamma.did]
    assert (await receipt(alpha, b"before")).witnessed
    refused = sign(alpha, witnesses=both)
    assert await code_of(refused) == "witness_without_key"

    there = founded_homes.client(gamma)
    for purpose in ("witness", "registry-witness"):
        await there.apost("/v1/keys", {"purpose": purpose})
        again = there.apost("/v1/keys", {"purpose": purpose})
        assert await code_of(again) == "key_is_the_only_one"
    await founded_homes.client(alpha).apost("/v1/keys", {"purpose": "registry"})
    asked = [(await founded_homes.client(one).apost("/v1/trust/ask"))["id"]
             for one in (alpha, gamma)]  # fmt: skip
    await sign(alpha, requests=asked)
    await sign(alpha, witnesses=both, registry=alpha.did)
    await eventually(lambda: alpha.members.current.log(ORIGIN).epoch == 2)

    # The new policy asks for both, so the bank's line is on it: nobody restarted anything.
    policy = log_partners.policy_of(alpha.members.current.log(ORIGIN))
    assert policy.smallest_quorum() == 2
    after = await receipt(alpha, b"after")
    proven = verify_in_listed_log(alpha.members.current, after.entry, after.text)
    assert proven.witnessed
    assert len(proven.witness_times) == 2

    # And of the title registry it answers as the witness that the policy names (R15, R22).
    (entry,) = alpha.members.current.registries
    voters = arbiter_of(entry).policy.voters(entry.origin)
    (named,) = [one for one in voters if one.key.organisation == "gamma.example"]
    await eventually(lambda: gamma.members.current.registries)
    # Raises for an answer that another key signed, and when nobody answers.
    await title_partners.ask_state(alpha, named, arbiter_of(entry))
