"""A node anchors its log on the development chain, through crashes, outages and contradictions."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import chain_journal as journal
from ledger import contracts, log
from ledger.chain_journal import Job
from ledger.contracts import ANCHORS
from node.anchor.service import AnchorService
from node.chain.examining import examine_chain
from node.chain.keys import relayer_signer
from node.daemon import factories
from node.home import Home
from node.keystore import KeyStore
from node.operator import OperatorClient
from node.runtime import Node
from node.settings import load
from node.store import events
from protocols.evm.anchor_proof import PinnedChain, origin_hash, read_anchor_proof, verify_anchor
from protocols.evm.calls import ANCHOR, call
from protocols.evm.keys import checksum_text, read_address
from protocols.evm.proof import read_header
from protocols.evm.title import word
from schemas.errors import ConflictError, SettingsError
from testnet.devchain import DevChain, DevChainSettings
from testnet.ports import free_port
from tests.support.process import command, pratique
from tests.support.running import make_home, running_node

NEEDED = {"trust", "identity", "documents", "log", "chain", "anchor"}


@asynccontextmanager
async def devchain(block_time: float = 0.0) -> AsyncIterator[DevChain]:
    chain = DevChain(DevChainSettings(block_time=block_time))
    await chain.start()
    try:
        yield chain
    finally:
        await chain.stop()


def home_of(path: Path, chain: DevChain, **changes: Any) -> Home:
    settings = {
        "urls": [chain.url],
        "id": chain.settings.chain_id,
        "anchors": checksum_text(chain.anchors),
        "fee": "zero",
        "poll_interval": 0.05,
        "anchor_interval": 1.0,
        "anchor_leaves": 1,
    }
    made = make_home(
        path, settings={"chain": settings | changes, "log": {"checkpoint_interval": 0.02}}
    )
    KeyStore(made.keys, "did:web:node.example").create("log")
    return made


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[Node]:
    chosen = [(name, make) for name, make in factories() if name in NEEDED]
    async with running_node(home, services=chosen) as node:
        yield node


async def grow(node: Node, count: int = 3) -> None:
    now = node.clock.now_ms()
    size = await node.store.read(log.size)
    entries = [b"entry %d" % number for number in range(size, size + count)]
    await node.store.write(log.append_all, entries, now)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 90.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await condition()):  # noqa: ASYNC110 - what changes is a store
            await asyncio.sleep(0.03)
    return found


async def anchored(node: Node, size: int) -> Any:
    async def final() -> Any:
        return await node.anchor.proof(size)

    return await until(final)


async def alarms(node: Node) -> list[str]:
    found = await node.store.read(events.after, 0, 1000)
    return [each.detail["code"] for each in found if each.kind == "alarm"]


async def test_the_log_is_anchored_and_its_proof_convinces_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No alarm for three seconds on a busy machine.
    monkeypatch.setattr("node.anchor.service.OVERDUE", 600)
    begun = datetime.now(UTC) - timedelta(seconds=1)
    async with devchain() as chain, running(home_of(tmp_path / "home", chain)) as node:
        await grow(node)
        early = await anchored(node, 3)
        await grow(node, 4)
        await anchored(node, 7)
        proof = read_anchor_proof(json.loads(json.dumps((await node.anchor.proof(2)).to_json())))
        tree = node.log.publisher.tree
        assert proof.size == early.size
        _, relayer = node.chain.require()
        pinned = PinnedChain(
            chain.settings.chain_id,
            chain.anchors,
            contracts.load(ANCHORS).runtime_hash,
            relayer.account.sender,
            blocks={read_header(proof.event.header).hash},
        )
        origin = node.log.origin
        at = verify_anchor(proof, pinned, origin=origin, size=2, root=tree.root(2))
        # A block is at least a second later than its parent, and there are few of them.
        assert begun <= at <= node.clock.now() + timedelta(seconds=60)
        told = await node.store.read(events.after, 0, 1000)
        assert [each.detail["size"] for each in told if each.kind == "anchored"] == [3, 7]
        assert await alarms(node) == []
        exposed = node.telemetry.exposition().decode()
        assert "pratique_anchor_size" in exposed
        assert "pratique_chain_transactions_open" in exposed


async def test_who_looks_in_the_same_moment_anchors_once(tmp_path: Path) -> None:
    async with devchain() as chain:
        home = home_of(tmp_path / "home", chain, anchor_interval=3600, anchor_leaves=100)
        async with running(home) as node:
            await grow(node)
            await anchored(node, 3)
            await grow(node)

            async def signed() -> bool:
                head = await node.anchor._head()
                return head is not None and head.size == 6

            await until(signed)
            made = await asyncio.gather(*(node.anchor.look(now=True) for _ in range(4)))
            assert [one.size for one in made if one is not None] == [6]


async def test_the_operator_sees_asks_for_and_exports_anchors(tmp_path: Path) -> None:
    async with devchain() as chain:
        home = home_of(tmp_path / "home", chain, anchor_interval=3600, anchor_leaves=100)
        async with running(home) as node:
            await grow(node)
            client = OperatorClient(node.local_url, node.token)

            async def asked() -> Any:
                return await asyncio.to_thread(client.post, "/v1/anchors", {})

            async def new() -> Any:
                return (await asked())["anchor"]

            assert (await until(new))["size"] == 3
            await anchored(node, 3)
            await grow(node)
            assert (await until(new))["size"] == 6
            await anchored(node, 6)
            assert (await asked())["anchor"] is None
            shown = await asyncio.to_thread(pratique, "anchor", "status", "--home", home.path)
            assert shown.returncode == 0, shown.stderr
            assert checksum_text(chain.anchors) in shown.stdout
            out = tmp_path / "anchor.json"
            wrote = await asyncio.to_thread(
                pratique, "anchor", "show", 2, "-o", out, "--home", home.path
            )
            assert wrote.returncode == 0, wrote.stderr
            assert read_anchor_proof(json.loads(out.read_text())).size == 3
            none = await asyncio.to_thread(pratique, "anchor", "show", 99, "--home", home.path)
            assert "anchor_not_found" in none.stderr
            now = await asyncio.to_thread(pratique, "anchor", "now", "--home", home.path)
            assert "nothing is new" in now.stdout


async def test_a_node_that_dies_between_sending_and_finality_finishes_the_anchor(
    tmp_path: Path,
) -> None:
    async with devchain(block_time=3600) as chain:
        home = home_of(tmp_path / "home", chain)
        async with running(home) as node:
            await grow(node)
            _, relayer = node.chain.require()

            async def sent() -> bool:
                counts = await node.store.read(journal.counts, relayer.account)
                return bool(counts == {"submitted": 2})

            await until(sent)
            assert await node.anchor.proof(3) is None
        async with running(home) as node:
            await chain.mine()
            await anchored(node, 3)

            async def both() -> bool:
                counts = await node.store.read(journal.counts, relayer.account)
                return bool(counts == {"final": 2})

            await until(both)


async def test_r15_a_chain_that_knows_more_than_the_log_stops_anchoring_and_is_alarmed(
    tmp_path: Path,
) -> None:
    async with devchain() as chain, running(home_of(tmp_path / "home", chain)) as node:
        await grow(node)
        await anchored(node, 3)
        _, relayer = node.chain.require()
        data = call(ANCHOR, origin_hash(node.log.origin), word(50), b"x" * 32)
        await relayer.submit(Job("other", word(50), chain.anchors, data, 80_000))
        await relayer.turn()

        async def stopped() -> bool:
            await grow(node, 1)
            return isinstance(node.anchor.fault, ConflictError)

        await until(stopped)

        async def alarmed() -> bool:
            return "anchor_contradicts_log" in await alarms(node)

        await until(alarmed)
        assert node.anchor.ready() is not None


async def test_a_chain_that_is_away_delays_anchors_stops_nothing_and_is_alarmed(
    tmp_path: Path,
) -> None:
    async with devchain() as chain:
        home = home_of(
            tmp_path / "home", chain, urls=[f"http://127.0.0.1:{free_port()}"], anchor_interval=0.2
        )
        async with running(home) as node:
            await grow(node)

            async def overdue() -> bool:
                return "anchor_overdue" in await alarms(node)

            await until(overdue)
            assert node.chain.ready() is None
            assert node.anchor.ready() is None

            async def told() -> Any:
                body = await node.anchor.show()
                return body["overdue"] and body["chain"]["addresses"][0]["fault"]

            await until(told)


async def test_a_wrong_chain_or_contract_makes_the_node_unready(tmp_path: Path) -> None:
    async with devchain() as chain:
        for number, changes in enumerate(({"id": 5}, {"anchors": checksum_text(b"\x17" * 20)})):
            async with running(home_of(tmp_path / str(number), chain, **changes)) as node:

                async def unready(node: Node = node) -> bool:
                    return node.chain.ready() is not None

                await until(unready)
                await grow(node)
                assert await node.anchor.proof(1) is None
                assert set(await alarms(node)) <= {
                    "chain_id_mismatch",
                    "chain_code_mismatch",
                    "anchor_overdue",
                }


async def test_an_operator_puts_the_contract_on_a_chain_that_has_none(tmp_path: Path) -> None:
    async with devchain() as chain:
        async with running(home_of(tmp_path / "home", chain, anchors="")) as node:
            client = OperatorClient(node.local_url, node.token)
            put = await asyncio.to_thread(pratique, "anchor", "deploy", "--home", node.home.path)
            assert put.returncode == 0, put.stderr

            async def final() -> Any:
                [found] = (await asyncio.to_thread(client.get, "/v1/anchors"))["deployed"]
                return found["state"] == "final" and found["contract"]

            contract = await until(final)
            assert contract in put.stdout
        async with running(home_of(tmp_path / "next", chain, anchors=contract)) as node:
            await grow(node)
            await anchored(node, 3)


async def test_an_address_that_is_a_secret_lies_in_a_file_and_is_never_shown(
    tmp_path: Path,
) -> None:
    async with devchain() as chain:
        home = home_of(tmp_path / "home", chain, urls=["file:rpc"])
        (home.path / "rpc").write_text(f"{chain.url}/?key=a-secret\n")
        async with running(home) as node:
            await grow(node)
            await until(lambda: _has(node, "size"))
            shown = json.dumps(await node.anchor.show())
            assert chain.url in shown
            assert "a-secret" not in shown


async def _has(node: Node, name: str) -> Any:
    return (await node.anchor.show())[name]


@pytest.mark.parametrize(
    "changes",
    [
        {"urls": ["file:missing"]},
        {"anchors": "0x00"},
        {"fee": "free"},
        {"urls": ["ftp://chain.example"]},
        {"finality": "soon"},
        {"id": 0},
    ],
)
async def test_settings_that_cannot_be_meant_stop_the_start(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    home = home_of(tmp_path / "home", DevChain(), **({"urls": ["http://127.0.0.1:1"]} | changes))
    with pytest.raises(SettingsError):
        async with running(home):
            pass


async def test_a_node_without_a_chain_says_so_and_does_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    async with running_node(home) as node:
        assert isinstance(node.anchor, AnchorService)
        body = await node.anchor.show()
        assert body["chain"] is None
        assert not (home.keys / "relayer").exists()
        client = OperatorClient(node.local_url, node.token)
        shown = await asyncio.to_thread(client.get, "/v1/anchors")
        assert shown["anchors"] == []
        refused = await asyncio.to_thread(pratique, "anchor", "now", "--home", home.path)
        assert "chain_not_configured" in refused.stderr
        # A node that needs no chain never loads web3 (this process may have, for other tests).
        code = "import sys, node.daemon as d; d.warm(); sys.exit('web3' in sys.modules)"
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False)
        assert done.returncode == 0


def test_the_command_runs_a_chain_and_ends_when_told() -> None:
    process = subprocess.Popen(
        command("devchain", "--port", "0", "--chain-id", "77", "--json"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        body = json.loads(process.stdout.readline())
        assert body["id"] == 77
        read_address(body["anchors"])
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_doctor_says_what_is_wrong_with_the_chain_settings(tmp_path: Path) -> None:
    async with devchain() as chain:
        home = home_of(tmp_path / "home", chain)
        settings = load(home.settings_file)

        async def told(**changes: Any) -> dict[str, tuple[str, str]]:
            changed = replace(settings, chain=replace(settings.chain, **changes))
            found = await asyncio.to_thread(examine_chain, home, changed)
            return {code: (state, text) for code, state, text in found}

        assert await told(urls=()) == {}
        well = await told()
        assert well["DOC-CHAIN"][0] == "ok"
        assert "DOC-CHAIN-BALANCE" not in well
        for changes, wanted in (
            ({"id": 5}, "chain_id_mismatch"),
            ({"anchors": checksum_text(bytes([5]) * 20)}, "chain_code_mismatch"),
            ({"anchors": "0x00"}, "evm_address"),
            ({"urls": (f"http://127.0.0.1:{free_port()}",)}, "fewer addresses answer"),
        ):
            state, text = (await told(**changes))["DOC-CHAIN"]
            assert (state, wanted in text) == ("bad", True), text
        assert (await told(fee="eip1559"))["DOC-CHAIN-BALANCE"][0] == "unknown"
        relayer_signer(home, settings.node.did)
        state, text = (await told(fee="eip1559"))["DOC-CHAIN-BALANCE"]
        assert (state, "holds 0.000000" in text) == ("bad", True)
