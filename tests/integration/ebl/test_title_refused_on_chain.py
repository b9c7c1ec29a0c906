"""A chain's refusal of an ISSUE is no last word before its deadline: it may be handed in again."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node import fsck
from node.daemon import factories
from node.store import events
from node.title import making, rows, submitting
from protocols.digest import sha256
from protocols.evm.calls import DELIST, LIST, Act, apply_batch
from protocols.evm.keys import SoftwareEvmSigner
from protocols.evm.title_text import read_text
from schemas.errors import ConflictError
from schemas.findings import Outcome
from testnet.devchain import DevChain
from tests.integration.ebl.ebl_network import (
    CARRIER,
    LEFT_OUT,
    PLATFORM,
    WITNESSES,
    bill,
    eventually,
    issuance,
    made,
    put_up,
    reaches,
    title_is,
)
from tests.support.evm_network import (
    Deployer,
    client_of,
    deploy,
    govern,
    issuing_key,
    with_arbiters,
)
from tests.support.network import running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.members.arbiters import ArbiterEntry

FINALITY = "finalized"


@dataclass
class World:
    """Running nodes, their arbiter on a chain, and a stranger who pays for transactions there."""

    nodes: dict[str, Node]
    entry: ArbiterEntry
    network: bytes
    stranger: Deployer
    key: bytes

    async def list_carrier(self, listed: bool, nonce: int) -> None:
        """The governors list the carrier, or do not any more."""
        kind = LIST if listed else DELIST
        act = Act(nonce, kind, 1, self.key if listed else bytes(20))
        await govern(self.stranger, self.entry, self.network, act)


@asynccontextmanager
async def on_chain(folder: Path) -> AsyncIterator[World]:
    """A carrier and platforms whose titles live on the embedded chain."""
    async with AsyncExitStack() as stack:
        chain = DevChain()
        await chain.start()
        stack.push_async_callback(chain.stop)
        settings: dict[str, Any] = {
            "chain": {
                "urls": [chain.url],
                "id": chain.settings.chain_id,
                "finality": FINALITY,
                "fee": "zero",
                "poll_interval": 0.1,
            }
        }
        network = made(folder, **dict.fromkeys((CARRIER, *WITNESSES), settings))
        client = client_of(chain.url, chain.settings.chain_id, FINALITY)
        stack.push_async_callback(client.close)
        key = issuing_key(network, CARRIER)
        entry = await deploy(client, network.members.network, [key], FINALITY)
        network = with_arbiters(network, [entry])
        services = [one for one in factories() if one[0] not in LEFT_OUT - {"chain", "anchor"}]
        nodes = await stack.enter_async_context(running_network(network, services=services))
        stranger = Deployer(client, SoftwareEvmSigner(sha256(b"a stranger")))
        yield World(nodes, entry, network.members.network, stranger, key)


async def _the_issue(node: Node, title: str) -> rows.Submission:
    (issue,) = await node.store.read(rows.submissions_of, bytes.fromhex(title))
    return issue


async def _refused_for_now(carrier: Node, title: str) -> rows.Submission:
    async def look() -> bool:
        tried = await carrier.store.read(rows.submissions_of, bytes.fromhex(title))
        return any(one.refusal is not None for one in tried)

    await eventually(look)
    return await _the_issue(carrier, title)


async def _alarms(node: Node) -> list[str]:
    def read(conn: Connection) -> list[str]:
        told = events.after(conn, 0, 1000)
        return [one.detail["code"] for one in told if one.kind == "alarm"]

    found: list[str] = await node.store.read(read)
    return found


async def _whole(node: Node) -> None:
    report = await fsck.run(node.store, node.home, node.keys, node.clock)
    assert report.verdict is Outcome.PASSED, report.to_json()


async def test_r13_an_issue_that_a_stranger_hands_in_again_before_its_deadline_is_in_force(
    tmp_path: Path,
) -> None:
    async with on_chain(tmp_path) as world:
        carrier, platform = world.nodes[CARRIER], world.nodes[PLATFORM]
        await world.list_carrier(False, 1)
        await put_up(carrier, bill(), arbiter="evm")
        title = (await reaches(carrier, "issued"))["title"]
        issue = await _refused_for_now(carrier, title)
        # Nothing is decided: the bill is no refused one, and no other title is issued for it.
        assert (issue.status, issue.code) == ("pending", "title_issuer_not_listed")
        shown = await issuance(carrier)
        assert shown is not None
        assert (shown["state"], shown["titlePending"]) == ("issued", "title_issuer_not_listed")
        assert (await _alarms(carrier)).count("title_refused_for_now") == 1
        document = await carrier.store.read(_document_of, title)
        with pytest.raises(ConflictError, match="title_document_taken"):
            await carrier.store.read(making.require_untitled, document)
        await _whole(carrier)
        await world.list_carrier(True, 2)
        # The operation is public since it was refused; whoever pays hands it in.
        data = apply_batch([read_text(issue.text)])
        await world.stranger.send(world.entry.contract, data)
        for node in (carrier, platform):
            await title_is(node, title, "LIVE")
            assert "titlePending" not in await reaches(node, "issued")
        assert (await _the_issue(carrier, title)).status == "final"
        await _whole(carrier)
        await _whole(platform)


def _document_of(conn: Connection, title: str) -> bytes:
    held = rows.bill(conn, bytes.fromhex(title))
    assert held is not None
    assert held.document is not None
    return held.document


async def test_r13_the_node_hands_it_in_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_chain(tmp_path) as world:
        carrier, platform = world.nodes[CARRIER], world.nodes[PLATFORM]
        await world.list_carrier(False, 1)
        await put_up(carrier, bill(), arbiter="evm")
        title = (await reaches(carrier, "issued"))["title"]
        issue = await _refused_for_now(carrier, title)
        assert issue.code is not None
        assert issue.refusal is not None
        await world.list_carrier(True, 2)
        monkeypatch.setattr(submitting, "REFUSED_PAUSE_MS", 100)
        await carrier.store.write(
            rows.refused_for_now, issue, issue.code, issue.refusal, carrier.clock.now_ms()
        )
        for node in (carrier, platform):
            await title_is(node, title, "LIVE")


async def test_r13_beyond_its_deadline_the_refusal_is_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "DEADLINE", timedelta(seconds=3))
    async with on_chain(tmp_path) as world:
        carrier, platform = world.nodes[CARRIER], world.nodes[PLATFORM]
        await world.list_carrier(False, 1)
        await put_up(carrier, bill(), arbiter="evm")
        for node in (carrier, platform):
            told = await reaches(node, "title-refused")
            assert told["titleRefused"] == "title_issuer_not_listed"
            assert "ebl_title_refused" in await _alarms(node)
            await _whole(node)
        issue = await _the_issue(carrier, told["title"])
        assert (issue.status, issue.code) == ("refused", "title_issuer_not_listed")
