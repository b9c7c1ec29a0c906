"""Two holders of one key race, witnesses are cut off, a registry lies or forgets: nobody forks."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ledger import checkpoints, log, registry_store
from node.title import news as messages
from node.title import partners, rows, sequencing
from node.title.making import Order
from protocols import checkpoint, cosignature, merkle, note, title_fork
from protocols.fields import Fields
from protocols.log_proof import LogProof
from protocols.registry import Execution, Registry, arbiter_of, execute, open_batch
from protocols.registry_entries import BatchEntry, OperationEntry, RootEntry, decode
from protocols.registry_wire import AddBatch
from protocols.times import from_ms
from protocols.title import Kind
from protocols.title_json import map_key
from protocols.title_operation import read_operation, read_refusal
from protocols.title_proof import TitleProof
from schemas.errors import TradeError, UnavailableError
from tests.integration.title.title_network import (
    CARRIER,
    SERVICES,
    WITNESSES,
    TitleOrder,
    bill,
    did_of,
    eventually,
    made,
    operation,
    operator,
    running,
    titled,
)
from tests.support.network import running_network
from tests.support.running import running_node

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from node.title.rows import Submission

BILLS = 200


async def relay(node: Node, title: bytes, text: str) -> dict[str, Any]:
    """What the node answers to a signed operation: the outcome, or the signed refusal."""
    try:
        return await node.title.relay(title, text)
    except TradeError as error:
        return {"outcome": "refused", "code": error.code, **error.context}


async def possessor_at(node: Node, title: bytes) -> str | None:
    held = await node.store.read(rows.find, title)
    if held is None or held.state.seq < 2 or held.state.possessor is None:
        return None
    return str(held.state.possessor.did)


async def test_t1_two_conflicting_transfers_of_each_of_200_bills_have_one_winner_everywhere(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as nodes:
        nhl, rotterdam, singapore = nodes[CARRIER], nodes["nl-port"], nodes["sg-port"]
        documents = [await bill(nhl, f"NHLX{number:05d}") for number in range(BILLS)]
        orders = [TitleOrder(item, did_of("exp-a"), did_of("bank")) for item in documents]
        issued = await asyncio.gather(*(nhl.title.issue(order) for order in orders))
        titles = [bytes.fromhex(item["title"]) for item in issued]

        async def all_issued() -> bool:
            held = [await nhl.store.read(rows.find, title) for title in titles]
            return all(held)

        await eventually(all_issued, 60)
        races = []
        for title in titles:
            held = await nhl.store.read(rows.find, title)
            one = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "bank")
            two = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2")
            races += [relay(rotterdam, title, one), relay(singapore, title, two)]
        await asyncio.gather(*races)
        for title in titles:
            await _one_winner(nodes, title)
        await _same_everywhere(nodes, titles)


async def _one_winner(nodes: dict[str, Node], title: bytes) -> None:
    """One of the two is final at the node it came through; the other was refused with evidence."""
    through = [nodes["nl-port"], nodes["sg-port"]]

    async def decided() -> list[Submission] | None:
        tried = [(await node.store.read(rows.submissions_of, title))[0] for node in through]
        return tried if {item.status for item in tried} == {"final", "refused"} else None

    tried = await eventually(decided, 60)
    won, lost = sorted(tried, key=lambda item: item.status)
    winner = await nodes[CARRIER].store.read(registry_store.winner, "registry", title, 1)
    said = read_refusal(lost.refusal)[1]
    assert (said.code, said.winner, said.title) == ("title_seq_conflict", winner, title)
    assert winner == won.digest


async def _same_everywhere(nodes: dict[str, Node], titles: list[bytes]) -> None:
    for title in titles:

        async def agreed(title: bytes = title) -> bool:
            seen = {
                await possessor_at(nodes[name], title) for name in (CARRIER, "nl-port", "sg-port")
            }
            return len(seen) == 1 and None not in seen

        await eventually(agreed, 60)
    # Every witness's own re-execution says the same as the registry.
    tops = {
        await node.store.read(registry_store.state_of, _log(node), title) and title
        for node in nodes.values()
        for title in titles[:5]
    }
    assert tops == set(titles[:5])


def _log(node: Node) -> str:
    from ledger.registry_witness import mirror_log

    if node.did == did_of(CARRIER):
        return "registry"
    return mirror_log(node.members.current.registries[0].origin)


async def test_r21_without_a_quorum_of_witnesses_nothing_becomes_final_until_it_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        title = await titled(nhl)
        reached = partners.ask_cosignature
        cut = {"w3", "w4"}

        async def ask(node: Node, witness: Any, request: AddBatch) -> Any:
            if witness.name in cut:
                raise UnavailableError("peer_unreachable", "cut off")
            return await reached(node, witness, request)

        monkeypatch.setattr(partners, "ask_cosignature", ask)
        client = operator(nhl)
        path = f"/v1/titles/{title.hex()}/operations"
        answer = await client.apost(path, {"kind": "TRANSFER", "to": did_of("bank")})
        assert answer["outcome"] == "pending"
        assert "message" in answer
        shown = await client.aget(f"/v1/titles/{title.hex()}")
        assert shown["final"] is False
        assert shown["state"]["possessor"]["did"] == did_of("exp-a")
        assert await possessor_at(nodes["nl-port"], title) is None
        cut.clear()

        async def healed() -> bool:
            seen = {await possessor_at(nodes[name], title) for name in (CARRIER, "nl-port")}
            return seen == {did_of("bank")}

        await eventually(healed)


async def test_r13_an_unreachable_registry_is_no_refusal(tmp_path: Path) -> None:
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
        await nodes[CARRIER].title.operate(
            title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        )

        async def known() -> bool:
            return await possessor_at(nodes["nl-port"], title) == did_of("bank")

        await eventually(known)

    def put(node: Node) -> None:
        node.members.replace(network.members)

    home = network.homes["nl-port"]
    async with running_node(home, services=SERVICES, prepare=put) as rotterdam:
        order = Order(Kind.TRANSFER, did_of("imp-a"), did_of("bank"))
        answer = await rotterdam.title.operate(title, order)
        assert answer["outcome"] == "pending"
        assert answer["code"] == "registry_unreachable"
        assert "pending" in answer["message"]["en"]
        async with running_network(_without(network, "nl-port"), services=SERVICES):

            async def moved() -> bool:
                return await possessor_at(rotterdam, title) == did_of("imp-a")

            await eventually(moved)


def _without(network: Any, name: str) -> Any:
    from tests.support.network import Made

    homes = {key: home for key, home in network.homes.items() if key != name}
    return Made(homes, network.members)


# -- a registry that lies ----------------------------------------------------------------------


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
            return await witness.store.read(log.size, log=_log(witness)) == at

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
            return await witness.store.read(log.size, log=_log(witness)) == len(entries)

        await eventually(mirrored)
        other = [*entries[:-1], b"another end"]
        answer = await _ask(nhl, witness, other, len(entries))
        assert answer.refusal.code == "registry_forked"
        answer = await _ask(nhl, witness, entries, len(entries))
        assert answer.refusal.code == "registry_forked"
        assert list(witness.home.evidence.glob("fork-*.json"))


# -- restarts ----------------------------------------------------------------------------------


async def test_r15_a_restarted_network_goes_on_where_it_was(tmp_path: Path) -> None:
    network = made(tmp_path)
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        await nhl.title.operate(title, Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a")))

        async def moved() -> bool:
            return await possessor_at(nodes["nl-port"], title) == did_of("bank")

        await eventually(moved)
        sizes = [item.size for item in await nhl.store.read(_checkpoints)]
        assert sizes == sorted(set(sizes))


def _checkpoints(conn: Any) -> list[Any]:
    return list(checkpoints.all_of(conn, log="registry"))


async def test_r15_a_sequencer_restored_from_an_old_copy_recovers_from_its_witnesses(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)
    home = network.homes[CARRIER]
    copy = tmp_path / "copy"
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    shutil.copytree(home.path, copy)
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        await nhl.title.operate(title, order)

        async def moved() -> bool:
            return await possessor_at(nodes["nl-port"], title) == did_of("bank")

        await eventually(moved)
    # The machine is lost; yesterday's copy takes its place, without the published tiles.
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)
    async with running_network(network, services=SERVICES) as nodes:
        nhl = nodes[CARRIER]

        async def recovered() -> bool:
            shown = await nhl.title.show(title, refresh=True)
            return bool(shown["state"]["seq"] == 2)

        await eventually(recovered)
        # exp-a signs again what it had signed away: it has lost, and the winner is named.
        held = await nodes["sg-port"].title.require(title)
        late = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2", seq=1)
        answer = await relay(nodes["sg-port"], title, late)
        assert answer["code"] == "title_seq_conflict"
        first = read_operation((await nhl.store.read(rows.texts, title))[1]).operation
        assert answer["winner"] == first.digest.hex()


async def test_r15_nothing_is_sequenced_until_enough_witnesses_have_confirmed(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)

    def put(node: Node) -> None:
        node.members.replace(network.members)

    async with running_node(network.homes[CARRIER], services=SERVICES, prepare=put) as nhl:
        document = await bill(nhl)
        order = TitleOrder(document, did_of("exp-a"), did_of("bank"))
        answer = await nhl.title.issue(order)
        assert answer["outcome"] == "pending"
        assert answer["code"] == "registry_unconfirmed"
        assert await nhl.store.read(log.size, log="registry") == 0
        # Two of four intersect every quorum of three; but a quorum is needed to be final.
        others = _without(network, CARRIER)
        async with running_network(others, services=SERVICES):

            async def final() -> bool:
                shown = await nhl.title.show(bytes.fromhex(answer["title"]))
                return bool(shown["final"])

            await eventually(final)
    assert len(WITNESSES) == 4


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
            return await witness.store.read(log.size, log=_log(witness)) == len(entries)

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


# -- the rest of R15 and R21 -------------------------------------------------------------------


async def test_r21_a_halted_registry_says_so_and_after_healing_all_show_the_same_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencing, "AWAIT_SECONDS", 0.5)
    async with running(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        one, two = await titled(nhl), await titled(nhl, "NHLX00002")
        reached, cut = partners.ask_cosignature, {"w2", "w3"}

        async def ask(node: Node, witness: Any, request: AddBatch) -> Any:
            if witness.name in cut:
                raise UnavailableError("peer_unreachable", "cut off")
            return await reached(node, witness, request)

        monkeypatch.setattr(partners, "ask_cosignature", ask)
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        assert (await nhl.title.operate(one, order))["outcome"] == "pending"
        answer = await nhl.title.operate(two, order)
        assert (answer["outcome"], answer["code"]) == ("pending", "registry_awaiting_witnesses")
        held = await nhl.store.read(rows.find, two)
        text = operation(nhl, held.state, Kind.TRANSFER, "exp-a", "financier-2")
        handed = await nhl.registry.hand_in(text, 0)
        assert handed["problem"]["code"] == "registry_awaiting_witnesses"
        assert "refusal" not in handed
        assert "registry_awaiting_witnesses" in str(nhl.registry.ready())
        assert (await operator(nhl).aget("/v1/registry"))["sequenced"]["awaitingWitnesses"]
        cut.clear()

        async def healed() -> bool:
            places = [(node, title) for node in (nhl, nodes["nl-port"]) for title in (one, two)]
            return {await possessor_at(*place) for place in places} == {did_of("bank")}

        await eventually(healed)
        assert nhl.registry.ready() is None


async def test_r15_a_witness_restored_from_an_old_copy_catches_up_before_it_cosigns(
    tmp_path: Path,
) -> None:
    network = made(tmp_path)
    home, copy = network.homes["cn-port"], tmp_path / "copy"
    async with running_network(network, services=SERVICES) as nodes:
        title = await titled(nodes[CARRIER])
    shutil.copytree(home.path, copy)
    async with running_network(network, services=SERVICES) as nodes:
        order = Order(Kind.TRANSFER, did_of("bank"), did_of("exp-a"))
        await nodes[CARRIER].title.operate(title, order)
        await eventually(lambda: possessor_at(nodes[CARRIER], title))
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)

    def put(node: Node) -> None:
        node.members.replace(network.members)

    # Alone it knows nothing of what it has cosigned: it signs nothing.
    async with running_node(home, services=SERVICES, prepare=put) as witness:
        arbiter = arbiter_of(network.members.registries[0])
        request = AddBatch(0, f"{arbiter.origin}\n", ())
        with pytest.raises(UnavailableError, match="registry_unconfirmed"):
            await witness.registry.witnessing.add_batch(request)
    async with running_network(network, services=SERVICES) as nodes:
        witness = nodes["cn-port"]
        second = await titled(nodes[CARRIER], "NHLX00002")

        async def caught_up() -> bool:
            whole = await nodes[CARRIER].store.read(log.size, log="registry")
            return bool(await witness.store.read(log.size, log=_log(witness)) == whole)

        await eventually(caught_up)
        found = await witness.store.read(registry_store.state_of, _log(witness), second)
        assert found is not None
