from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rlp
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from ledger import log, tables
from ledger.chain_tables import anchors as anchor_table
from ledger.receipt_trie import ReceiptTrie
from node import fsck
from node.documents import documents, status
from node.documents.tables import documents as document_table
from node.documents.tables import status_entries, status_lists, status_versions
from node.evidence.stamping import stamped_of
from node.exchange import tables as exchange_tables
from node.exchange.service import ExchangeService
from node.fsck import repairs
from node.log.comparing import Comparer
from node.runtime import Node
from node.store import events
from node.trust import rows
from node.trust.tables import lists
from protocols import times
from protocols.credentials import credential, status_list
from protocols.credentials.credential import CredentialClaims, DocumentFile, PayloadInfo
from protocols.credentials.status_list import StatusEntry
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.anchor_proof import origin_hash
from protocols.evm.title import word
from protocols.log import fork_evidence
from protocols.log.leaf import LeafKind
from protocols.log.merkle import Tree
from schemas.errors import ConflictError
from schemas.findings import Outcome
from tests.integration.log.entries import some_entries
from tests.integration.log.log_network import SERVICES, UNTIL, append, made
from tests.integration.log.test_equivocation import operator_post
from tests.support import certified
from tests.support.evm_chain import CHAIN_ID
from tests.support.evm_world import EvmWorld
from tests.support.network import running_network
from tests.support.process import pratique

WITH_EXCHANGE = (("exchange", ExchangeService), *SERVICES)
CHAINED = sha256(b"a subject with three leaves")
STREAM = "UCR-1"
LATER = datetime.now(UTC) + timedelta(days=30)


def a_document(node: Node) -> tuple[CredentialClaims, credential.DocumentFile]:
    payload = b'{"documentType":"quality-certificate","number":"Q-1"}'
    now = datetime.now(UTC).replace(microsecond=0)
    claims = CredentialClaims(
        id="urn:uuid:0190a1b2-0000-7000-8000-000000000001",
        credential_type="QualityCertificate",
        issuer=node.did,
        network=node.members.current.network,
        valid_from=now,
        valid_until=LATER.replace(microsecond=0),
        status=StatusEntry("https://rail.example/status/1", 7),
        document_type="quality-certificate",
        number="Q-1",
        salt=sha256(b"salt"),
        payload=PayloadInfo.of(payload, "application/json"),
    )
    return claims, credential.issue(claims, payload, node.keys.signer("credential"))


async def fill(nodes: dict[str, Node]) -> None:
    """A leaf under a witnessed checkpoint, a list, a document, messages with receipts."""
    rail, w1 = nodes["rail"], nodes["w1"]
    await rail.store.write(rows.put_list, rail.members.current, 1)
    claims, file = a_document(rail)
    subject = claims.subject_digest()
    issued = await rail.store.write(log.remember, LeafKind.ISSUE, subject, sha256(b"file"), 1)
    await rail.store.write(documents.put_issued, claims, file, leaf=issued.hash, now_ms=1)
    await rail.store.write(tell_issued, rail, file.digest, issued.hash)
    for kind in (LeafKind.ACCESS, LeafKind.EXPORT, LeafKind.TOMBSTONE):
        await rail.store.write(log.remember, kind, CHAINED, sha256(b"commit"), 1)
    for count in (1, 2):  # one after the other, so that there is a chain of two receipts
        await rail.store.write(
            rail.exchange.enqueue, w1.did, fork_evidence.TYPE, b"{}", "application/json", STREAM
        )
        end = time.monotonic() + UNTIL
        while (await rail.store.read(_receipts), await w1.store.read(_issued)) != (count, count):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
    await rail.log.wait_for(await append(rail, *some_entries(300)), UNTIL)
    await rail.store.write(keep_a_list, rail, file.digest)
    await rail.store.write(keep_an_anchor, rail.log.publisher.tree)


def tell_issued(conn: Connection, node: Node, digest: bytes, leaf: bytes) -> None:
    """The event of the document's issue."""
    events.record(conn, kind="issued", at=1, document=digest, actor=node.did, leaf=leaf)


def keep_a_list(conn: Connection, node: Node, document: bytes) -> None:
    """An own status list with two entries, one bit set, and its signed version."""
    bits = status_list.set_bit(bytes(status_list.MIN_ENTRIES // 8), 4711)
    url = status_list.list_url(node.did, "1")
    now = datetime.now(UTC).replace(microsecond=0)
    text = status_list.sign_list(
        url=url,
        issuer=node.did,
        network=node.members.current.network,
        bits=bits,
        ttl=timedelta(minutes=15),
        valid_from=now,
        valid_until=LATER.replace(microsecond=0),
        signer=node.keys.signer("credential"),
    )
    status.keep(conn, status_list.parse_list(text)[1], 1)
    row = {"list": "1", "purpose": "revocation", "bits": bits, "used": 2}
    conn.execute(insert(status_lists).values(**row, signed=text, signed_at=times.to_ms(now)))
    conn.execute(insert(status_entries).values(list="1", entry=4711, set_at=1))
    conn.execute(insert(status_entries).values(list="1", entry=7, digest=document))


def keep_an_anchor(conn: Connection, tree: Tree) -> None:
    """A final anchor of the newest leaves, as a chain proves it."""
    world, origin = EvmWorld(), "rail.example/log/1"
    size, hashed = tree.size, origin_hash(origin)
    world.chain.transact(world.anchors, evm_calls.call(evm_calls.OPEN, hashed))
    call = evm_calls.call(evm_calls.ANCHOR, hashed, word(size), tree.root(size))
    block, done, _ = world.chain.mine(world.anchors, call)
    path = ReceiptTrie([done.encode()]).path(0)
    conn.execute(
        insert(anchor_table).values(
            log=tables.NODE_LOG, chain_id=CHAIN_ID, contract=world.anchors, size=size,
            root=tree.root(size), origin=origin, sender=world.chain.address,
            code_hash=bytes(32), state="final", at=1, hash=bytes(32), block=1, block_time=1,
            header=rlp.encode(block.header), position=0, log_index=0,
            path="\n".join(base64.b64encode(node).decode() for node in path),
        )
    )  # fmt: skip


def _receipts(conn: Connection) -> int:
    return len(conn.execute(exchange_tables.receipts_received.select()).all())


def _issued(conn: Connection) -> int:
    return len(conn.execute(exchange_tables.receipts_issued.select()).all())


def every(table: Table, **values: object) -> Callable[[Connection], None]:
    def change(conn: Connection) -> None:
        conn.execute(update(table).values(**values))

    return change


def remove(table: Table, column: str, value: object) -> Callable[[Connection], None]:
    def change(conn: Connection) -> None:
        conn.execute(delete(table).where(table.c[column] == value))

    return change


def lost(table: Table, number: str) -> Callable[[Connection], None]:
    """The last row is gone."""

    def change(conn: Connection) -> None:
        last = conn.execute(select(func.max(table.c[number]))).scalar()
        conn.execute(delete(table).where(table.c[number] == last))

    return change


def moved_entry(conn: Connection) -> None:
    conn.execute(update(status_entries).where(status_entries.c.entry == 7).values(entry=8))


def left_out(conn: Connection) -> None:
    """The second of three leaves of one subject."""
    second = log.of_subject(conn, CHAINED)[1]
    conn.execute(delete(tables.leaves).where(tables.leaves.c.leaf_index == second.index))


def forged(conn: Connection) -> None:
    """The same credential with a signature by nobody."""
    file = bytes(conn.execute(select(document_table.c.file)).scalar_one())
    opened = credential.open_file(file)
    head, body, _ = opened.jws.text.split(".")
    other = DocumentFile(f"{head}.{body}.{'A' * 86}", opened.file.payload)
    conn.execute(update(document_table).values(file=other.to_bytes()))


DAMAGES = [
    ("FSCK-01", "rail", every(tables.leaves, entry=b"x")),
    ("FSCK-01", "rail", remove(tables.leaves, "leaf_index", 3)),
    ("FSCK-01", "rail", every(tables.heads, size=9999)),
    ("FSCK-01", "rail", remove(tables.heads, "log", tables.NODE_LOG)),
    ("FSCK-02", "rail", every(tables.leaves, leaf_hash=bytes(32))),
    ("FSCK-02", "rail", every(tables.checkpoints, root=bytes(32))),
    ("FSCK-02", "rail", every(tables.checkpoints, note="x")),
    ("FSCK-02", "rail", remove(tables.leaves, "leaf_index", 0)),
    ("FSCK-04", "rail", every(document_table, file=b"x")),
    ("FSCK-04", "rail", every(document_table, number="Q-2")),
    ("FSCK-04", "rail", every(document_table, issuer="did:web:other.example")),
    ("FSCK-04", "rail", every(document_table, valid_until=1)),
    ("FSCK-04", "rail", every(document_table, status_index=8)),
    ("FSCK-04", "rail", every(document_table, report='{"verdict":"FAILED"}', verdict="PASSED")),
    ("FSCK-04", "rail", every(document_table, leaf=bytes(32))),
    ("FSCK-04", "rail", forged),
    ("FSCK-13", "rail", every(status_versions, signed="x")),
    ("FSCK-13", "rail", every(status_versions, valid_from=1)),
    ("FSCK-13", "rail", every(status_lists, bits=bytes(16))),
    ("FSCK-13", "rail", remove(status_entries, "entry", 4711)),
    ("FSCK-14", "rail", every(anchor_table, root=bytes(32))),
    ("FSCK-14", "rail", every(anchor_table, size=9999)),
    ("FSCK-14", "rail", every(anchor_table, header=b"x")),
    ("FSCK-14", "rail", every(anchor_table, header=None)),
    ("FSCK-14", "rail", every(anchor_table, sender=bytes(20))),
    ("FSCK-05", "rail", every(exchange_tables.outbox, body=b"x")),
    ("FSCK-05", "rail", every(exchange_tables.outbox, digest=bytes(32))),
    ("FSCK-05", "rail", every(exchange_tables.outbox, manifest="x")),
    ("FSCK-05", "rail", every(exchange_tables.outbox, peer="did:web:other.example")),
    ("FSCK-05", "rail", every(exchange_tables.outbox, item="{}")),
    ("FSCK-05", "w1", every(exchange_tables.inbox, type="urn:other")),
    ("FSCK-05", "w1", every(exchange_tables.inbox, leaf=bytes(32))),
    ("FSCK-05", "w1", every(exchange_tables.inbox, item_index=1)),
    ("FSCK-05", "w1", every(exchange_tables.inbox, receipt_seq=7)),
    ("FSCK-05", "w1", every(exchange_tables.receipts_issued, leaves=bytes(32))),
    ("FSCK-05", "rail", every(exchange_tables.receipts_received, digest=bytes(32))),
    ("FSCK-05", "w1", every(exchange_tables.receipts_issued, receipt="x")),
    ("FSCK-05", "w1", remove(exchange_tables.receipts_issued, "seq", 1)),
    ("FSCK-06", "rail", every(lists, signed=b"{}")),
    ("FSCK-06", "rail", every(lists, digest=bytes(32))),
    ("FSCK-08", "w1", every(tables.witness_states, size=1)),
    ("FSCK-10", "rail", left_out),
    ("FSCK-10", "rail", every(tables.leaves, subject=bytes(32))),
    ("FSCK-08", "w1", every(tables.witness_states, note="x")),
    # What is gone as a whole.
    ("FSCK-24", "rail", every(document_table, leaf=None)),
    ("FSCK-24", "rail", lost(document_table, "n")),
    ("FSCK-24", "rail", lost(lists, "version")),
    ("FSCK-24", "w1", lost(exchange_tables.inbox, "n")),
    ("FSCK-24", "rail", remove(events.events, "kind", "issued")),
    ("FSCK-25", "rail", lost(events.events, "number")),
    ("FSCK-25", "rail", lost(document_table, "n")),
    ("FSCK-25", "rail", every(document_table, consignment="UCR-2")),
    ("FSCK-25", "rail", every(events.events, leaf=bytes(32))),
    ("FSCK-25", "rail", every(events.events, detail="x")),
    ("FSCK-25", "rail", every(events.events, document=bytes(32))),
    ("FSCK-05", "w1", lost(exchange_tables.inbox, "n")),
    ("FSCK-05", "w1", every(exchange_tables.inbox, link=bytes(32))),
    ("FSCK-05", "w1", every(exchange_tables.inbox, document=bytes(32))),
    ("FSCK-05", "rail", lost(exchange_tables.outbox, "n")),
    ("FSCK-05", "w1", every(exchange_tables.inbox, state="done")),
    ("FSCK-05", "rail", every(exchange_tables.outbox, state="rejected")),
    ("FSCK-05", "rail", every(exchange_tables.outbox, item=None)),
    ("FSCK-05", "rail", every(exchange_tables.outbox, path=bytes(32))),
    ("FSCK-05", "rail", every(exchange_tables.outbox, document=bytes(32))),
    ("FSCK-05", "rail", remove(exchange_tables.receipts_received, "seq", 2)),
    ("FSCK-05", "w1", remove(exchange_tables.receipts_issued, "seq", 2)),
    ("FSCK-05", "w1", every(exchange_tables.peers, receipt_seq=1)),
    ("FSCK-05", "w1", every(exchange_tables.peers, receipt_head=bytes(32))),
    ("FSCK-05", "w1", every(exchange_tables.streams_in, last=1)),
    ("FSCK-05", "w1", every(exchange_tables.streams_in, last=3)),
    ("FSCK-05", "w1", every(exchange_tables.streams_in, head=bytes(32))),
    ("FSCK-05", "w1", every(exchange_tables.streams_in, since=1)),
    ("FSCK-05", "w1", every(exchange_tables.streams_in, stream="UCR-2")),
    ("FSCK-05", "rail", every(exchange_tables.streams_out, seq=1)),
    ("FSCK-05", "rail", every(exchange_tables.streams_out, head=bytes(32))),
    ("FSCK-05", "rail", remove(exchange_tables.streams_out, "stream", STREAM)),
    ("FSCK-13", "rail", every(status_lists, signed="x")),
    ("FSCK-13", "rail", every(status_lists, signed_at=1)),
    ("FSCK-13", "rail", every(status_lists, used=3)),
    ("FSCK-13", "rail", remove(status_entries, "entry", 7)),
    ("FSCK-13", "rail", moved_entry),
    ("FSCK-02", "rail", every(tables.cosignatures, name="other.example/witness")),
    ("FSCK-02", "rail", every(tables.cosignatures, key_id=bytes(4))),
    ("FSCK-02", "rail", every(tables.cosignatures, time=1)),
]


async def outcome(node: Node, check: str) -> tuple[Outcome, str]:
    found = await fsck.run_area(node.store, node.home, node.keys, check)
    return found.outcome, found.reason


async def test_fsck_passes_what_is_whole_and_finds_each_damage(tmp_path: Path):
    network = made(tmp_path, witnesses=("w1",))
    async with running_network(network, services=WITH_EXCHANGE) as nodes:
        await fill(nodes)
        for node in nodes.values():
            report = await fsck.run(node.store, node.home, node.keys, node.clock)
            assert report.verdict is Outcome.PASSED, report.to_json()
        rail = await fsck.run(nodes["rail"].store, nodes["rail"].home, nodes["rail"].keys,
                              nodes["rail"].clock)  # fmt: skip
        examined = {check.id: int(check.reason.split()[0]) for check in rail.checks}
        used = ("FSCK-01", "FSCK-02", "FSCK-03", "FSCK-04", "FSCK-05", "FSCK-06", "FSCK-09",
                "FSCK-10", "FSCK-13", "FSCK-14", "FSCK-24", "FSCK-25")  # fmt: skip
        assert all(examined[check] for check in used)
        for check, name, damage in DAMAGES:
            await try_damage(nodes[name], check, damage)
        await damage_tiles(nodes["rail"])
        await damage_stamps(nodes["rail"])
        # An anchor that contradicts the log fails the comparison as well.
        comparer = Comparer(nodes["rail"].witness)
        assert (await comparer.compare())["ok"]
        await nodes["rail"].store.write(every(anchor_table, root=bytes(32)))
        assert not (await comparer.compare())["ok"]


async def try_damage(node: Node, check: str, damage: Callable[[Connection], None]) -> None:
    """Damage the store inside a transaction that is undone after the area ran on it."""

    class UndoneError(Exception):
        pass

    found: list[fsck.AreaResult] = []

    def attempt(conn: Connection) -> None:
        damage(conn)
        found.append(fsck.examine(conn, fsck.Context(node.home, node.keys), check))
        raise UndoneError

    with pytest.raises(UndoneError):
        await node.store.write(attempt)
    result = found[0].to_check()
    assert result.outcome is Outcome.FAILED, (check, damage)
    assert result.reason
    assert result.evidence["damaged"] >= 1
    assert (await outcome(node, check))[0] is Outcome.PASSED


async def damage_tiles(node: Node) -> None:
    folder = node.home.log / "tile" / "0"
    whole = (folder / "000").read_bytes()
    (folder / "000").write_bytes(bytes(32) + whole[32:])
    assert await outcome(node, "FSCK-03") == (Outcome.FAILED, "tile 0/000 differs from the tree")
    (folder / "000").write_bytes(whole[:100])
    assert await outcome(node, "FSCK-03") == (Outcome.FAILED, "tile 0/000 is missing or cut")
    mended = await fsck.run_area(node.store, node.home, node.keys, "FSCK-03", repair=True)
    assert mended.outcome is Outcome.PASSED
    assert (folder / "000").read_bytes() == whole
    # From damaged leaves no tile is made.
    (folder / "000").write_bytes(whole[:100])

    def from_damaged(conn: Connection) -> None:
        every(tables.leaves, leaf_hash=bytes(32))(conn)
        repairs.tiles(conn, fsck.Context(node.home, node.keys))

    with pytest.raises(ConflictError, match="fsck_not_repairable"):
        await node.store.write(from_damaged)
    await fsck.run_area(node.store, node.home, node.keys, "FSCK-03", repair=True)


async def damage_stamps(node: Node) -> None:
    (digest,) = await node.store.read(_digests)
    file = node.home.timestamps / f"{digest.hex()}.tsr"
    file.parent.mkdir(exist_ok=True)
    stamped = stamped_of((await node.store.read(documents.get, digest)).file)
    file.write_bytes(certified.STAMPER.stamp(stamped, datetime.now(UTC)))
    assert await outcome(node, "FSCK-15") == (Outcome.PASSED, "1 examined")
    strange = file.with_name("strange.tsr")
    for wrong, where in ((b"x", file), (b"x", strange), (b"x", file.with_stem("0" * 64))):
        before = file.read_bytes()
        where.write_bytes(wrong)
        assert (await outcome(node, "FSCK-15"))[0] is Outcome.FAILED
        where.unlink()
        file.write_bytes(before)
    file.write_bytes(certified.STAMPER.stamp(b"something else", datetime.now(UTC)))
    mended = await fsck.run_area(node.store, node.home, node.keys, "FSCK-15", repair=True)
    assert mended.outcome is Outcome.PASSED
    assert file.with_name(file.name + ".damaged").is_file()


def _digests(conn: Connection) -> list[bytes]:
    return [bytes(each) for each in conn.execute(select(document_table.c.digest)).scalars()]


async def test_the_operator_asks_for_one_area_or_all(tmp_path: Path):
    network = made(tmp_path, witnesses=())
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        status, body = await operator_post(rail, "/v1/fsck", {"area": "FSCK-01"})
        assert (status, [item["id"] for item in body["checks"]]) == (200, ["FSCK-01"])
        status, body = await operator_post(rail, "/v1/fsck", {})
        assert (status, body["verdict"], len(body["checks"])) == (200, "PASSED", len(fsck.areas()))
        assert (await operator_post(rail, "/v1/fsck", {"area": "FSCK-99"}))[0] == 404
        assert (await operator_post(rail, "/v1/fsck", {"area": 1}))[0] == 400


async def test_the_commands_work_on_a_closed_store(tmp_path: Path):
    network = made(tmp_path, witnesses=())
    home = network.homes["rail"]
    async with running_network(network, services=SERVICES) as nodes:
        rail = nodes["rail"]
        await rail.store.write(rows.put_list, rail.members.current, 1)
        await rail.log.wait_for(await append(rail, *some_entries(5)), UNTIL)
    done = await asyncio.to_thread(pratique, "fsck", "--home", home.path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]
    audited = await asyncio.to_thread(pratique, "log", "audit", "--home", home.path, "--json")
    assert audited.returncode == 0, audited.stderr
    assert json.loads(audited.stdout)["verified"] == 6
    shown = await asyncio.to_thread(pratique, "log", "show", "--home", home.path)
    assert shown.returncode == 0, shown.stderr
    assert "rail.example/log/1" in shown.stdout
    wrong = await asyncio.to_thread(pratique, "log", "audit", "--home", home.path, "--from", "5")
    assert wrong.returncode == 2
    damage(home.database)
    broken = await asyncio.to_thread(pratique, "fsck", "--home", home.path)
    assert broken.returncode == 1
    assert "entry 2 does not give its leaf hash" in broken.stdout
    assert "next: " in broken.stdout
    failed = await asyncio.to_thread(
        pratique, "log", "audit", "--home", home.path, "--from", "genesis"
    )
    assert failed.returncode == 1
    assert "log_audit_failed" in failed.stderr


def damage(database: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(database)
    with connection:
        connection.execute("update log_leaves set entry = x'00' where leaf_index = 2")
    connection.close()
