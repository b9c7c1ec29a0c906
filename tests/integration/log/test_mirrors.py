"""Partners store each other's logs (C2SP tlog-mirror), between running nodes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import update

from ledger import checkpoints, log, tables
from node import fsck
from node.keystore import KeyStore
from node.log import partners
from node.log.cosigner_keys import cosigner_keys
from node.runtime import Node
from protocols.log import cose_receipt, merkle_subtree, mirror_protocol, note
from protocols.log import policy as log_policy
from protocols.log import proof as log_proof
from protocols.log.entry_bundle import unbundle
from protocols.log.merkle import leaf_hash
from protocols.log.mirror_protocol import MirrorInfo, Upload
from protocols.seams import Answer
from tests.integration.log.log_network import UNTIL, WITNESSES, append, made, start
from tests.support.network import Made, did_of

NAMES = ("rail", *WITNESSES)


def with_known_keys(network: Made) -> Made:
    """The railway's policy names the ML-DSA-44 and mirror keys of its witnesses as well."""
    known = []
    for name in WITNESSES:
        keys = cosigner_keys(KeyStore(network.homes[name].keys, did_of(name)))
        known += [keys.second.key, keys.mirror.key]
    logs = []
    for entry in network.members.logs:
        if entry.did == did_of("rail"):
            policy = log_policy.parse(entry.policy)
            voters = [(item.key, "") for item in policy.witnesses.values()]
            text = log_policy.threshold_policy(
                note.parse_vkey(entry.vkey), voters, policy.smallest_quorum(), known=known
            )
            entry = replace(entry, policy=text)
        logs.append(entry)
    return replace(network, members=replace(network.members, logs=tuple(logs)))


async def mirrored(node: Node, size: int) -> None:
    """Wait until the log is witnessed at `size`, then until all mirrors have it."""
    async with asyncio.timeout(UNTIL):
        while True:
            newest = await node.store.read(checkpoints.newest, witnessed=True)
            if newest is not None and newest.size >= size:
                await node.log.mirrors.turn()
                links = node.log.mirrors.links.values()
                if len(links) == 4 and all(link.size >= size for link in links):
                    return
            await asyncio.sleep(0.05)


async def ask(node: Node, name: str, path: str, body: bytes = b"", method: str = "GET"):
    return await node.client.call(did_of(name), method, path, body)


def prefix(node: Node) -> str:
    return f"/mirror/1/{partners.origin_hash(node.log.origin)}"


async def test_partners_store_the_log_and_serve_it(tmp_path: Path):
    network = with_known_keys(made(tmp_path))
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, *NAMES)
        rail = nodes["rail"]
        for batch in range(3):
            await append(rail, *(f"{batch}-{number}".encode() for number in range(300)))
            await mirrored(rail, 300 * (batch + 1))
        answer = await ask(rail, "w2", prefix(rail) + "/checkpoint")
        text = answer.body.decode()
        policy = network.members.log(rail.log.origin).policy
        checked = log_proof.check_checkpoint(text, rail.log.publisher.identity.key, policy)
        assert checked.checkpoint.root == rail.log.publisher.tree.root(checked.checkpoint.size)
        names = [line.name for line in note.parse(text).signatures]
        assert "w2.example/mirror/1" in names
        await check_tiles(rail, "w2", checked.checkpoint.size)
        await check_access(nodes["w2"], f"{prefix(rail)}/tile", checked.checkpoint.size)
        await check_access(rail, "/log/tile", 900)
        # Both lines of every witness stand under our own checkpoint, and every mirror's.
        stored = await rail.store.read(checkpoints.newest, witnessed=True)
        lines = await rail.store.read(checkpoints.cosignatures_of, stored.size)
        assert {len(line.value) for line in lines} == {72, 2428}
        assert sum(line.name.endswith("/mirror/1") for line in lines) == 4
        await fsck_reads_the_mirror(nodes["w2"], rail.log.origin)


async def fsck_reads_the_mirror(node: Node, origin: str) -> None:
    """A damaged mirror is found while its partner can still hand the entries over again."""
    folder = node.witness.mirror.folder(origin) / "tile"

    async def damages() -> list[str]:
        members = node.members.current
        context = fsck.Context(node.home, node.keys, members, {members.digest: members})
        return (await node.store.read(fsck.examine, context, "FSCK-08")).damages

    assert await damages() == []
    for name in ("entries/001", "0/001"):
        whole = (folder / name).read_bytes()
        for damaged in (whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
            (folder / name).write_bytes(damaged)
            (told,) = await damages()
            assert told.startswith(f"the mirror of {origin}: ")
        (folder / name).write_bytes(whole)
    assert await damages() == []
    change = update(tables.mirrors).values(size=tables.mirrors.c.size - 1)
    await node.store.write(lambda conn: conn.execute(change))
    assert len(await damages()) == 1


async def check_tiles(rail: Node, name: str, size: int) -> None:
    """Every tile of the mirror is the log's own, and its entries give it."""
    for path in ("tile/0/000", "tile/0/001", f"tile/0/{size // 256:03d}.p/{size % 256}"):
        theirs = await ask(rail, name, f"{prefix(rail)}/{path}")
        assert theirs.status == 200, path
        bundle = await ask(rail, name, f"{prefix(rail)}/{path.replace('tile/0', 'tile/entries')}")
        hashes = b"".join(leaf_hash(entry) for entry in unbundle(bundle.body))
        assert hashes == theirs.body
    assert "private" in bundle.headers["cache-control"]


async def check_access(node: Node, tiles: str, size: int) -> None:
    """Hashes are for anybody and for caches, entries are not."""
    assert size >= 900
    async with aiohttp.ClientSession(node.endpoint) as stranger:
        async with stranger.get(f"{tiles}/0/002") as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.content_type == "application/octet-stream"
        async with stranger.get(f"{tiles}/entries/002") as answer:
            assert answer.status == 401
        async with stranger.get(f"{tiles}/0/999") as answer:
            assert answer.status == 404
        async with stranger.get(tiles.replace("tile", "checkpoint")) as answer:
            assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache")


async def test_a_leaf_is_also_told_as_a_cose_receipt(rail_at: tuple[Node, int, Node]):
    rail, _, auditor = rail_at
    leaf = (await rail.store.read(log.read, 5, 6))[0]
    path = f"/log/proof?leaf={leaf.hash.hex()}&format=cose"
    call = await auditor.client.call(did_of("rail"), "GET", path)
    assert call.headers["content-type"] == cose_receipt.MEDIA_TYPE
    parsed = cose_receipt.parse(call.body)
    publisher = rail.log.publisher
    root = cose_receipt.verify(parsed, leaf.entry, publisher.identity.key.public_key)
    assert (parsed.issuer, root) == (rail.log.origin, publisher.tree.root(parsed.size))


@pytest.fixture
async def rail_at(tmp_path: Path):
    network = made(tmp_path)
    async with AsyncExitStack() as stack:
        nodes = await start(stack, network, *NAMES)
        rail = nodes["rail"]
        await append(rail, *(f"{number}".encode() for number in range(600)))
        yield rail, await cosigned_beyond(rail, 599), nodes["w1"]


async def upload(rail: Node, one: Upload, *, packages: int = 99, spoil: bool = False):
    """Send an upload, or its first packages, perhaps with a changed entry."""
    parts = [one.to_bytes()]
    for package in list(one.packages())[:packages]:
        stored = await rail.store.read(log.read, package.start, package.end)
        entries = [leaf.entry for leaf in stored]
        if spoil:
            entries[-1] = b"something else"
        tree = rail.log.publisher.tree
        proof = merkle_subtree.consistency_proof(package.low, package.end, one.end, tree.hash_at)
        parts.append(package.to_bytes(entries, proof))
    path = "/witness/1/add-entries"
    return await ask(rail, "w1", path, b"".join(parts), "POST")


async def test_an_upload_may_break_off_and_go_on_anywhere(rail_at: tuple[Node, int, Node]):
    rail, size, _ = rail_at
    origin = rail.log.origin
    assert (await upload(rail, Upload("stranger.example/log/1", 0, size))).status == 404
    ahead = await upload(rail, Upload(origin, 300, size))
    assert ahead.status == 409
    assert ahead.headers["content-type"] == mirror_protocol.INFO_MEDIA_TYPE
    assert mirror_protocol.parse_info(ahead.body).next_entry == 0
    assert (await upload(rail, Upload(origin, 0, size - 1))).status == 409
    assert (await upload(rail, Upload(origin, 0, size), packages=0)).status == 400
    assert (await upload(rail, Upload(origin, 0, size), spoil=True)).status == 422
    part = await upload(rail, Upload(origin, 0, size), packages=1)
    assert part.status == 202
    told = mirror_protocol.parse_info(part.body)
    assert (told.size, told.next_entry) == (size, 256)
    # A checkpoint that is no longer the newest is known by the ticket, which only it can make.
    await append(rail, b"more")
    await cosigned_beyond(rail, size)
    assert (await upload(rail, Upload(origin, 256, size))).status == 409
    forged = told.ticket.replace(b"w1.example", b"w9.example")
    assert (await upload(rail, Upload(origin, 256, size, forged))).status == 409
    done = await upload(rail, Upload(origin, 200, size, told.ticket))
    assert done.status == 200
    line = note.parse_signature_lines(done.body.decode())[0]
    assert line.name == "w1.example/mirror/1"
    assert (await ask(rail, "w1", prefix(rail) + "/tile/1/000.p/2")).status == 200


async def cosigned_beyond(rail: Node, size: int) -> int:
    """Wait until the first witness has cosigned a larger tree; its size."""
    key = next(iter(rail.log.policy.witnesses.values())).key
    async with asyncio.timeout(UNTIL):
        while True:
            found = (await rail.store.read(checkpoints.cosigned_sizes)).get(key.key_id, 0)
            if found > size:
                return found
            await asyncio.sleep(0.05)


async def test_a_mirror_that_claims_more_than_there_is_is_told(
    rail_at: tuple[Node, int, Node], monkeypatch: pytest.MonkeyPatch
):
    rail, size, _ = rail_at
    await rail.log.mirrors.turn()
    link = rail.log.mirrors.links["w1.example/witness/1"]
    assert (link.size >= size, link.error) == (True, "")
    told = MirrorInfo(10**6, 10**6).to_text().encode()

    async def boast(*_args: object, **_more: object) -> Answer:
        return Answer(409, told)

    monkeypatch.setattr(partners, "ask_mirror", boast)
    rail.log.mirrors.links.clear()
    await rail.log.mirrors.turn()
    shown = {item["name"]: item for item in (await rail.log.show())["mirrors"]}
    assert shown["w1.example/witness/1"]["error"] == "mirror_ahead"
