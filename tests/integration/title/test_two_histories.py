"""A registry lies or shows two histories: refused, kept as evidence, told to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ledger import log
from node.title import news as messages
from node.title import rows
from node.title.making import Order
from protocols.fields import Fields
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log.proof import LogProof
from protocols.times import from_ms
from protocols.title import fork as title_fork
from protocols.title.json_forms import map_key
from protocols.title.machine import Kind
from protocols.title.proof import TitleProof
from protocols.title.registry import Execution, Registry, arbiter_of, execute, open_batch
from protocols.title.registry_entries import BatchEntry, OperationEntry, RootEntry, decode
from protocols.title.registry_wire import AddBatch
from schemas.errors import TradeError
from tests.integration.title.conflicts import log_of, possessor_at
from tests.integration.title.title_network import (
    CARRIER,
    did_of,
    eventually,
    operation,
    operator,
    running,
    titled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node


async def _registry_entries(node: Node) -> list[bytes]:
    stored = await node.store.read(log.read, 0, 1000, log="registry")
    return [leaf.entry for leaf in stored]


def _signed(node: Node, entries: list[bytes]) -> str:
    """A checkpoint over any entries, by the registry's true key."""
    tree = merkle.Tree(map(merkle.leaf_hash, entries))
    arbiter = arbiter_of(node.members.current.registries[0])
    head = checkpoint.Checkpoint(arbiter.origin, tree.size, tree.root())
    return checkpoint.sign(head, arbiter.key, node.keys.signer("registry").sign).to_text()


async def _ask(liar: Node, witness: Node, entries: list[bytes], old: int) -> Any:
    """What a witness makes of a batch; goes straight to its service."""
    request = AddBatch(old, _signed(liar, entries), tuple(entries[old:]))
    return await witness.registry.witnessing.add_batch(request)


async def test_r22_a_witness_refuses_a_wrong_state_root_and_an_invalid_operation(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, witness = nodes[CARRIER], nodes["cn-port"]
        title = await titled(nhl)
        entries = await _registry_entries(nhl)
        at = len(entries)

        async def mirrored() -> bool:
            return await witness.store.read(log.size, log=log_of(witness)) == at

        await eventually(mirrored)
        held = await nhl.store.read(rows.find, title)
        members = nhl.members.current
        batch = BatchEntry(
            2, nhl.clock.now_ms(), members.digest, arbiter_of(members.registries[0]).policy_digest
        )
        # Valid form, but the bank signs away what exp-a possesses.
        stolen = operation(nhl, held.state, Kind.TRANSFER, "bank", "imp-a")
        good = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "bank")
        root = decode(entries[-1])
        assert isinstance(root, RootEntry)
        wrong = RootEntry(root.network, 2, batch.at_ms, root.state_root).encode()
        for text in (stolen, good):
            lie = [*entries, batch.encode(), OperationEntry(text).encode(), wrong]
            answer = await _ask(nhl, witness, lie, at)
            assert answer.cosignature is None
            assert answer.refusal.code == "registry_batch_invalid"
        # After the lies the true registry goes on as if nothing had been.
        done = await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank")))
        assert done["outcome"] == "final"


async def test_r21_a_registry_that_shows_two_histories_is_cosigned_no_more(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, witness = nodes[CARRIER], nodes["sg-port"]
        await titled(nhl)
        entries = await _registry_entries(nhl)

        async def mirrored() -> bool:
            return await witness.store.read(log.size, log=log_of(witness)) == len(entries)

        await eventually(mirrored)
        other = [*entries[:-1], b"another end"]
        answer = await _ask(nhl, witness, other, len(entries))
        assert answer.refusal.code == "registry_forked"
        answer = await _ask(nhl, witness, entries, len(entries))
        assert answer.refusal.code == "registry_forked"
        assert list(witness.home.evidence.glob("fork-*.json"))


# -- two histories, one network ----------------------------------------------------------------


async def test_r21_a_registry_s_fork_is_told_to_everybody_and_freezes_its_titles(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, witness, other = nodes[CARRIER], nodes["sg-port"], nodes["nl-port"]
        title = await titled(nhl)
        held = await nhl.store.read(rows.find, title)
        entries = await _registry_entries(nhl)

        async def mirrored() -> bool:
            return await witness.store.read(log.size, log=log_of(witness)) == len(entries)

        await eventually(mirrored)
        await other.title.find(title, refresh=True)
        await _ask(nhl, witness, [*entries[:-1], b"another end"], len(entries))

        async def told() -> bool:
            shown = await other.title.show(title)
            return "disputed" in shown and not shown["final"]

        await eventually(told)
        listed = await operator(other).aget("/v1/registry")
        assert [one["code"] for one in listed["disputes"]] == ["registry_forked"]
        assert list(other.home.evidence.glob("fork-*.json"))
        move = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "bank")
        with pytest.raises(TradeError, match="title_disputed"):
            await other.title.relay(title, move)


async def test_r21_two_cosigned_histories_of_a_title_are_kept_as_evidence_and_told(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam = nodes[CARRIER], nodes["nl-port"]
        title = await titled(nhl)
        held = await nhl.store.read(rows.find, title)
        entries = await _registry_entries(nhl)
        one = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "bank")
        await nhl.title.relay(title, one)
        assert await eventually(lambda: possessor_at(nhl, title)) == did_of("bank")
        # Every witness's key signs another history as well: the registry and a quorum lie.
        rival = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2")
        lie = _another_history(nodes, entries, held.state, rival)
        news = messages.check_news(Fields(lie, "x"), held.arbiter, nhl.members.current)
        assert news.state.possessor.did == did_of("financier-2")
        assert not await nhl.store.write(nhl.title.follower.learn, news)
        assert await possessor_at(nhl, title) == did_of("bank")  # the first holds

        async def told() -> bool:
            return bool((await operator(rotterdam).aget("/v1/registry"))["disputes"])

        await eventually(told)
        shown = await nhl.title.show(title)
        assert shown["disputed"]["code"] == "title_contradicted"
        file = next(nhl.home.evidence.glob("title-fork-*.json"))
        title_fork.read(file.read_bytes()).prove(nhl.members.current)


def _another_history(
    nodes: dict[str, Node], entries: list[bytes], state: Any, text: str
) -> dict[str, Any]:
    """News of a title under a checkpoint that the registry and all its witnesses cosigned."""
    nhl = nodes[CARRIER]
    members = nhl.members.current
    arbiter = arbiter_of(members.registries[0])
    empty = Registry(network=members.network, arbiter=arbiter)
    base = execute(empty, entries, lambda _: members, lambda _: None)
    batch = open_batch(base.registry, members, nhl.clock.now_ms())
    run = Execution(base.registry, batch, members, dict(base.changed).get)
    after = run.apply(text).state
    whole = [*entries, *run.entries()]
    tree = merkle.Tree(map(merkle.leaf_hash, whole))
    signed = note.parse(_signed(nhl, whole))
    lines = []
    for item in arbiter.policy.voters(arbiter.origin):
        signer = nodes[item.key.name.split(".")[0]].keys.signer("registry-witness").sign
        time = int(nhl.clock.now().timestamp())
        lines.append(cosignature.sign(signed.text, time, item.key, signer))
    _, registry = run.close()
    size = tree.size
    text_of_proof = LogProof(
        size - 1, tree.inclusion_proof(size - 1, size), signed.with_signatures(lines).to_text()
    ).to_text()
    path = registry.titles.path(map_key(state.title))
    proof = TitleProof(after, path, registry.number, from_ms(registry.at_ms), text_of_proof)
    issued = next(one for one in map(decode, entries) if isinstance(one, OperationEntry))
    return {"proof": proof.to_json(), "history": [issued.text, text]}
