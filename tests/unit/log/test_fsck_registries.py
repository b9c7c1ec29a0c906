"""fsck of a registry's rows at its sequencer, and of its mirror at a witness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Table, create_engine, delete, select, update

from ledger import log, registry_tables, tables
from ledger.registry import Sequencer
from ledger.registry_witness import Mirror, View, mirror_log
from ledger.witness import Cosigner
from node.fsck import Context, examine, registries
from node.home import Home
from node.keystore import KeyStore
from protocols import times
from protocols.log import checkpoint, merkle
from protocols.title.machine import Kind
from protocols.title.registry import Registry
from protocols.title.registry_freeze import Lineage
from protocols.title.registry_wire import AddBatch
from schemas.findings import Outcome
from tests.support import title_world as world

NOW = times.to_ms(world.NOW)
CHECK = "FSCK-11"
OPERATIONS, BATCHES = registry_tables.operations, registry_tables.batches
MIRRORS, REFUSALS = registry_tables.mirrors, registry_tables.refusals


@pytest.fixture
def conn():
    engine = create_engine("sqlite://")
    registry_tables.metadata.create_all(engine)
    with engine.begin() as connection:
        fill(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    keys = KeyStore(tmp_path, "did:web:cn-port.example")
    return Context(Home(tmp_path), keys, world.MEMBERS, {world.MEMBERS.digest: world.MEMBERS})


def fill(conn: Connection) -> None:
    """An issue, a transfer and a refused rival at a sequencer; a witness that cosigned both."""
    sequencer = Sequencer("registry", world.ecdsa("nhl", "exchange"))
    base = Registry(network=world.MEMBERS.network, arbiter=world.ARBITER)
    issued = world.issue()
    moves = [
        world.operation(Kind.TRANSFER, issued.title, 1, "exp-a", to)
        for to in ("bank", "financier-2")
    ]
    for made in ([issued], moves):
        texts = [world.signed(one) for one in made]
        done = sequencer.sequence(conn, base, texts, world.MEMBERS, NOW)
        assert done.registry is not None, done.outcomes
        base = done.registry
    entries = tuple(leaf.entry for leaf in log.read(conn, 0, 99, log="registry"))
    tree = merkle.Tree(map(merkle.leaf_hash, entries))
    head = checkpoint.Checkpoint(world.ARBITER.origin, tree.size, tree.root())
    text = checkpoint.sign(head, world.log_key("nhl"), world.ed("nhl", "registry").sign).to_text()
    signer = world.ed("cn-port", "registry-witness")
    cosigner = Cosigner(world.witness_key("cn-port"), signer.sign)
    mirror = Mirror(world.MEMBERS.network, Lineage((world.ARBITER,)), cosigner)
    members = {world.MEMBERS.digest: world.MEMBERS}
    view = View(NOW, world.MEMBERS, members.get)
    answer = mirror.add(conn, AddBatch(0, text, entries), view)
    assert answer.cosignature is not None, answer


def test_a_whole_registry_and_its_mirror_pass(conn: Connection, context: Context):
    assert list(registries.registries(conn, context)) == []
    assert context.examined == 2 + 2 + 1 + 1


def test_a_store_without_registry_has_nothing_to_examine(context: Context):
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        assert list(registries.registries(connection, context)) == []
    engine.dispose()


COLUMNS = [
    (OPERATIONS.c.text, None),
    (OPERATIONS.c.digest, None),
    (BATCHES.c.state_root, None),
    (MIRRORS.c.root, None),
    (MIRRORS.c.note, None),
    (REFUSALS.c.text, None),
    (REFUSALS.c.digest, None),
    (tables.leaves.c.leaf_hash, mirror_log(world.ARBITER.origin)),
]


@pytest.mark.parametrize(("column", "log_name"), COLUMNS, ids=str)
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=("first", "middle", "last"))
def test_any_flipped_byte_is_found(
    conn: Connection, context: Context, column: Column, log_name: str | None, place: float
):
    assert examine(conn, context, CHECK).to_check().outcome is Outcome.PASSED
    flip(conn, column, log_name, place)
    result = examine(conn, context, CHECK).to_check()
    assert result.outcome is Outcome.FAILED
    assert result.reason


@pytest.mark.parametrize("log_name", ["registry", mirror_log(world.ARBITER.origin)])
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=("first", "middle", "last"))
def test_a_flipped_byte_of_a_registry_entry_is_found(
    conn: Connection, context: Context, log_name: str, place: float
):
    flip(conn, tables.leaves.c.entry, log_name, place)
    assert examine(conn, context, "FSCK-01").to_check().outcome is Outcome.FAILED


def flip(conn: Connection, column: Column, log_name: str | None, place: float) -> None:
    """One bit of one byte of the first row's value."""
    table = column.table
    query = select(*table.primary_key.columns, column.label("damaged"))
    if log_name is not None:
        query = query.where(table.c.log == log_name)
    row = conn.execute(query.limit(1)).one()
    value = row.damaged.encode() if isinstance(row.damaged, str) else bytes(row.damaged)
    at = int(len(value) * place) if place >= 0 else len(value) - 1
    changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
    damaged = changed.decode() if isinstance(row.damaged, str) else changed
    where = [key == row[at_] for at_, key in enumerate(table.primary_key.columns)]
    conn.execute(update(table).where(*where).values({column.name: damaged}))


def moved(table: Table, **values: object) -> Callable[[Connection], None]:
    return lambda conn: conn.execute(update(table).values(**values))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (moved(BATCHES, size=BATCHES.c.size + 1), "is not what the log says"),
        (moved(BATCHES, members_version=9), "is not what the log says"),
        (moved(BATCHES, number=BATCHES.c.number + 5), "is not stored"),
        (moved(BATCHES, number=BATCHES.c.number + 5), "is stored but not in the log"),
        (moved(MIRRORS, size=99), "99 were cosigned"),
        (moved(MIRRORS, note="x"), "note_malformed"),
        (lambda conn: conn.execute(delete(OPERATIONS)), "other operations"),
    ],
)
def test_what_the_damage_is_is_told(
    conn: Connection, context: Context, change: Callable[[Connection], None], told: str
):
    change(conn)
    assert any(told in damage for damage in registries.registries(conn, context))


def test_a_note_without_our_cosignature_is_found(conn: Connection, context: Context):
    text = conn.execute(select(MIRRORS.c.note)).scalar_one()
    lines = text.splitlines(keepends=True)
    conn.execute(update(MIRRORS).values(note="".join(lines[:-1])))
    told = list(registries.registries(conn, context))
    assert told == [f"the mirror of {world.ARBITER.origin}: our own cosignature is missing"]
