"""A member that was admitted without the role `witness` becomes one while it runs (R16, R22)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ledger import log
from node.log import partners as log_partners
from node.title import partners as title_partners
from protocols import times
from protocols.title.registry_freeze import arbiter_of
from protocols.verify.receipt_steps import verify_in_listed_log
from schemas.errors import TradeError
from tests.support import founded_homes
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node

pytestmark = pytest.mark.timeout(240)

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
    return await node.log.wait_for(added[-1].hash, 60.0)


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


def commands(home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    from node.cli.main import build

    def call(*arguments: str) -> str:
        whole = [*arguments, "--home", str(home.path)]
        build(whole)(whole, standalone_mode=False)
        return capsys.readouterr().out

    return lambda *arguments: asyncio.to_thread(call, *arguments)


async def test_r16_the_last_witness_of_a_log_ends_only_with_another_named_or_in_an_emergency(
    nodes: tuple[Node, Node, Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, beta, gamma = nodes
    here = founded_homes.client(alpha)
    ends = [{"node": beta.did}]
    for path in ("/v1/trust/propose", "/v1/trust/sign"):
        assert await code_of(here.apost(path, {"ends": ends})) == "witness_quorum_lost"

    # With others named in the same change, and time, it is proposed, and nothing is told to stop.
    await founded_homes.client(gamma).apost("/v1/keys", {"purpose": "witness"})
    asked = await founded_homes.client(gamma).apost("/v1/trust/ask")
    await sign(alpha, requests=[asked["id"]])
    # At once the old one could hand no log over any more: its cosignatures end with its key.
    other = {"ends": ends, "witnesses": [gamma.did]}
    assert await code_of(here.apost("/v1/trust/propose", other)) == "witness_quorum_lost"
    until = times.to_text(alpha.clock.now() + timedelta(days=2))
    other = {"ends": [{"node": beta.did, "until": until}], "witnesses": [gamma.did]}
    moved = await here.apost("/v1/trust/propose", other)
    assert "log-stops" not in {one["kind"] for one in moved["consequences"]}

    # Who signs a file of somebody else decides it as knowingly as who drafted it.
    call, file = commands(alpha.home, capsys), str(tmp_path / "next.json")
    told = await call("trust", "propose", "-o", file, "--end-node", beta.did, "--anyway")
    assert f"the log {ORIGIN} has no quorum" in told
    assert await code_of(call("trust", "sign", file)) == "witness_quorum_lost"
    assert f"the log {ORIGIN} has no quorum" in await call("trust", "diff", file)
    assert "in force" in await call("trust", "sign", file, "--anyway")
    assert alpha.members.current.node(beta.did).key_for("witness", alpha.clock.now()) is None
    # The decision was taken: the next change is not asked for it again.
    assert (await sign(alpha, expires="2040-01-01T00:00:00Z"))["published"]


async def test_r16_a_stolen_witness_key_is_replaced_at_its_member(tmp_path: Path) -> None:
    first = founded_homes.make(tmp_path, "alpha", "CN", "port", **SOON)
    founded_homes.found(first)
    homes = [
        founded_homes.make(tmp_path, name, "NL", "port", "witness", **SOON)
        for name in ("beta", "gamma", "delta", "kappa")
    ]
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running_node(one)) for one in (first, *homes)]
        alpha, beta, delta = nodes[0], nodes[1], nodes[3]
        for node in nodes[1:]:
            await node.trust.join(alpha.endpoint, alpha.members.current.network)
        await sign(alpha, all=True)
        await sign(alpha, witnesses=[one.did for one in nodes[1:]])
        await eventually(lambda: all(one.members.current for one in nodes))
        assert (await receipt(alpha, b"before")).witnessed

        since = times.to_text(alpha.clock.now())
        told = [{"kid": f"{delta.did}#witness-1", "since": since}]
        both = [*told, {"kid": f"{beta.did}#witness-1", "since": since}]
        # Three of four must cosign: without two of them nothing would be witnessed again.
        assert await code_of(sign(alpha, compromised=both)) == "witness_quorum_lost"
        there = founded_homes.client(delta)
        early = there.apost("/v1/keys", {"purpose": "witness"})
        assert await code_of(early) == "key_is_the_only_one"
        await sign(alpha, compromised=told)
        version = alpha.members.current.version
        await eventually(lambda: delta.members.current.version == version)

        made = await there.apost("/v1/keys", {"purpose": "witness"})
        assert made["kid"] == f"{delta.did}#witness-2"
        asked = await there.apost("/v1/trust/ask")
        await arrived(alpha, asked["id"])
        await sign(alpha, requests=[asked["id"]])
        await eventually(lambda: alpha.members.current.log(ORIGIN).epoch == 2, 60.0)
        voters = log_partners.policy_of(alpha.members.current.log(ORIGIN)).voters(ORIGIN)
        names = sorted(one.key.name for one in voters)
        assert names == [
            "beta.example/witness/1",
            "delta.example/witness/2",
            "gamma.example/witness/1",
            "kappa.example/witness/1",
        ]
        # It goes on where the stolen key stood, and its vote counts.
        epoch = alpha.members.current.version
        await eventually(lambda: delta.members.current.version == epoch)
        assert delta.witness.watched(ORIGIN).cosigner.key.name == "delta.example/witness/2"
        after = await receipt(alpha, b"after")
        assert verify_in_listed_log(alpha.members.current, after.entry, after.text).witnessed


async def arrived(root: Node, asked: str) -> None:
    """The request has come to the root."""
    client = founded_homes.client(root)

    async def look() -> bool:
        waiting = (await client.aget("/v1/trust/requests"))["requests"]
        return asked in {one["id"] for one in waiting}

    async with asyncio.timeout(30.0):
        while True:
            if await look():
                return
            await asyncio.sleep(0.02)
