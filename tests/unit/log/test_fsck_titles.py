"""fsck re-executes a registry's log and compares every stored state."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, update

from ledger import registry_tables, tables
from ledger.registry import Sequencer
from node.fsck import Context, titles
from node.home import Home
from node.keystore import KeyStore
from protocols import times
from protocols.title.machine import Kind
from protocols.title.registry import Registry
from tests.support import title_world as world


@pytest.fixture
def conn():
    engine = create_engine("sqlite://")
    registry_tables.metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    keys = KeyStore(tmp_path, "did:web:nhl.example")
    return Context(Home(tmp_path), keys, world.MEMBERS, {world.MEMBERS.digest: world.MEMBERS})


def fill(conn: Connection) -> None:
    sequencer = Sequencer("registry", world.ecdsa("nhl", "exchange"))
    base = Registry(network=world.MEMBERS.network, arbiter=world.ARBITER)
    issued = world.issue()
    moved = world.operation(Kind.TRANSFER, issued.title, 1, "exp-a", "bank")
    for made in (issued, moved):
        now = times.to_ms(world.NOW)
        done = sequencer.sequence(conn, base, [world.signed(made)], world.MEMBERS, now)
        assert done.registry is not None, done.outcomes
        base = done.registry


def test_whole_titles_pass(conn: Connection, context: Context):
    assert list(titles.titles(conn, context)) == []
    fill(conn)
    assert list(titles.titles(conn, context)) == []
    assert context.examined == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (update(registry_tables.operations).values(seq=registry_tables.operations.c.seq + 5),
         "is not what the log gives"),
        (registry_tables.operations.delete().where(registry_tables.operations.c.seq == 1),
         "is not stored"),
        (update(registry_tables.batches).values(state_root=bytes(32)), "another state root"),
        (update(tables.leaves).values(entry=b"x"), "cannot be re-executed"),
    ],
)  # fmt: skip
def test_damaged_titles_are_found(conn: Connection, context: Context, change, told: str):
    fill(conn)
    conn.execute(change)
    assert any(told in damage for damage in titles.titles(conn, context))


def test_a_store_without_registry_or_list_has_nothing_to_examine(tmp_path: Path, context: Context):
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        assert list(titles.titles(connection, context)) == []
    engine.dispose()
