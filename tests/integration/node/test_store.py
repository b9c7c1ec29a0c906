"""The store's promises, on both engines."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from node.settings import StoreSettings
from node.store import dialect
from node.store.store import MOST_TOGETHER, defer, open_store, schema_version
from schemas.errors import RefusedError, UnavailableError
from tests.support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from node.store.store import Store

WRITER = """
import asyncio, itertools, sys
from node.settings import StoreSettings
from node.store.store import open_store

def insert(connection, number):
    connection.exec_driver_sql(f"insert into jobs(id) values ({number})")

async def write(store, numbers):
    for number in numbers:
        await store.write(insert, number)
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()

async def main():
    store = open_store(f"sqlite:///{sys.argv[1]}", StoreSettings())
    await store.start()
    await store.write(lambda c: c.exec_driver_sql("create table jobs (id integer primary key)"))
    await asyncio.gather(*(write(store, itertools.count(first, 20)) for first in range(20)))

asyncio.run(main())
"""

metadata = MetaData()
jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, unique=True),
    Column("worker", Text),
)


def create(connection: Connection) -> None:
    metadata.create_all(connection)


def add(connection: Connection, number: int, name: str | None = None) -> int:
    connection.execute(insert(jobs).values(id=number, name=name or str(number)))
    return number


def names(connection: Connection) -> list[Any]:
    return list(connection.execute(select(jobs.c.name).order_by(jobs.c.id)).scalars())


async def test_a_written_value_is_read_by_the_next_reader(store: Store) -> None:
    await store.write(create)
    assert await store.write(add, 1, name="one") == 1
    assert await store.read(names) == ["one"]


async def test_many_writers_are_committed_in_few_groups(store: Store) -> None:
    await store.write(create)
    commits: list[None] = []
    store.after_commit(lambda: commits.append(None))
    await asyncio.gather(*(store.write(add, number) for number in range(200)))
    assert len(await store.read(names)) == 200
    assert len(commits) < 40


async def test_r8_items_of_a_group_fail_alone(store: Store) -> None:
    await store.write(create)

    def half(connection: Connection) -> None:
        add(connection, 1000)
        raise RefusedError("bad_signature")

    outcomes = await asyncio.gather(
        store.write(add, 1),
        store.write(half),
        store.write(add, 1),
        store.write(add, 2),
        return_exceptions=True,
    )
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], RefusedError)
    assert isinstance(outcomes[2], IntegrityError)
    assert outcomes[3] == 2
    assert await store.read(names) == ["1", "2"]


async def test_what_waits_for_one_job_is_done_by_one_call(store: Store) -> None:
    await store.write(create)
    calls: list[int] = []

    def add_all(connection: Connection, numbers: Sequence[int]) -> list[str]:
        calls.append(len(numbers))
        return [str(add(connection, number)) for number in numbers]

    found = await asyncio.gather(*(store.write_together(add_all, one) for one in range(200)))
    assert found == [str(number) for number in range(200)]
    assert len(await store.read(names)) == sum(calls) == 200
    assert len(calls) < 40
    assert max(calls) <= MOST_TOGETHER


async def test_r8_what_fails_together_is_done_alone(store: Store) -> None:
    await store.write(create)
    heard: list[int] = []

    def add_all(connection: Connection, numbers: Sequence[int]) -> list[int]:
        for number in numbers:
            add(connection, number)
            defer(connection, partial(heard.append, number))
            if number == 2:
                raise RefusedError("bad_signature")
        return list(numbers)

    first, *rest, other = await asyncio.gather(
        *(store.write_together(add_all, number) for number in (1, 2, 3, 3)),
        store.write(add, 4),
        return_exceptions=True,
    )
    assert (first, other) == (1, 4)
    assert [type(one) for one in rest] == [RefusedError, int, IntegrityError]
    assert await store.read(names) == ["1", "3", "4"]
    assert heard == [1, 3]


async def test_concurrent_increments_are_not_lost(store: Store) -> None:
    await store.write(create)
    await store.write(add, 1, name="0")

    def increment(connection: Connection) -> None:
        value = int(connection.execute(select(jobs.c.name)).scalar_one())
        connection.execute(update(jobs).values(name=str(value + 1)))

    await asyncio.gather(*(store.write(increment) for _ in range(100)))
    assert await store.read(names) == ["100"]


async def test_a_reader_cannot_write(store: Store) -> None:
    await store.write(create)
    with pytest.raises((DBAPIError, UnavailableError)):
        await store.read(add, 1)
    assert await store.read(names) == []


async def test_deferred_work_runs_only_when_its_job_is_committed(store: Store) -> None:
    await store.write(create)
    heard: list[str] = []

    def tell(connection: Connection, word: str, *, fails: bool) -> None:
        defer(connection, lambda: heard.append(word))
        if fails:
            raise RefusedError("bad_signature")

    await store.write(tell, "yes", fails=False)
    with pytest.raises(RefusedError):
        await store.write(tell, "no", fails=True)
    assert heard == ["yes"]


async def test_a_cancelled_caller_disturbs_nobody(store: Store) -> None:
    await store.write(create)
    task = asyncio.create_task(store.write(add, 1))
    await asyncio.sleep(0)
    task.cancel()
    assert await store.write(add, 2) == 2
    assert "2" in await store.read(names)


async def test_a_closed_store_is_unavailable_not_wrong(store: Store) -> None:
    await store.close()
    with pytest.raises(UnavailableError, match="store_unavailable"):
        await store.write(create)
    with pytest.raises(UnavailableError, match="store_unavailable"):
        await store.read(names)


async def test_what_was_handed_in_is_finished_before_closing(store: Store) -> None:
    await store.write(create)
    tasks = [asyncio.create_task(store.write(add, number)) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == list(range(50))


async def test_insert_or_ignore_says_whether_it_was_new(store: Store) -> None:
    await store.write(create)
    row = {"id": 1, "name": "one"}
    assert await store.write(dialect.insert_or_ignore, jobs, row)
    assert not await store.write(dialect.insert_or_ignore, jobs, row)
    assert not await store.write(dialect.insert_or_ignore, jobs, {"id": 2, "name": "one"})
    rows = [row, {"id": 3, "name": "three"}]
    assert await store.write(dialect.insert_many_or_ignore, jobs, rows) == 1
    assert await store.write(dialect.insert_many_or_ignore, jobs, []) == 0


async def test_upsert_replaces_the_other_columns(store: Store) -> None:
    await store.write(create)
    for name in ("one", "uno"):
        await store.write(dialect.upsert, jobs, {"id": 1, "name": name}, key=["id"])
    await store.write(dialect.upsert, jobs, {"id": 1}, key=["id"])
    assert await store.read(names) == ["uno"]


async def test_each_row_is_claimed_by_one_worker(store: Store) -> None:
    await store.write(create)
    for number in range(20):
        await store.write(add, number)

    def claim(connection: Connection, worker: str) -> list[int]:
        rows = dialect.claim(
            connection,
            jobs,
            jobs.c.worker.is_(None),
            {"worker": worker},
            order_by=[jobs.c.id],
            limit=7,
        )
        return [row.id for row in rows]

    taken = await asyncio.gather(*(store.write(claim, f"w{number}") for number in range(4)))
    assert sorted(number for part in taken for number in part) == list(range(20))
    assert sorted(len(part) for part in taken) == [0, 6, 7, 7]


async def test_locks_are_statements_both_engines_understand(store: Store) -> None:
    await store.write(create)

    def lock(connection: Connection) -> int:
        dialect.lock_name(connection, "chain")
        query = dialect.locked(connection, select(jobs.c.id))
        return len(connection.execute(query).all())

    assert await store.write(lock) == 0


async def test_an_empty_database_has_no_version(store: Store) -> None:
    assert await store.read(schema_version) is None


async def test_r13_a_full_disk_is_unavailable_and_passes(tmp_path: Path) -> None:
    """SQLite with a bounded file stands for the disk; half a job is never kept."""
    store = open_store(f"sqlite:///{tmp_path}/full.sqlite3", StoreSettings())
    await store.start()
    await store.write(create)

    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"pragma max_page_count={pages}").close()

    def large(connection: Connection) -> None:
        add(connection, 1)
        add(connection, 2, name="x" * 1_000_000)

    await store.write(limit, 20)
    outcomes = await asyncio.gather(
        store.write(add, 3), store.write(large), store.write(add, 4), return_exceptions=True
    )
    assert isinstance(outcomes[1], UnavailableError)
    kept = [number for number in (outcomes[0], outcomes[2]) if isinstance(number, int)]
    assert await store.read(names) == [str(number) for number in kept]
    await store.write(limit, 1_000_000)
    await store.write(large)
    assert len(await store.read(names)) == len(kept) + 2
    await store.close()


def test_r9_whatever_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """The process is killed in the middle of its writing; every acknowledged row is there."""
    file = tmp_path / "killed.sqlite3"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer.stdout as lines:
        seen = [int(lines.readline()) for _ in range(300)]
        writer.kill()
        seen += [int(line) for line in lines.read().split("\n")[:-1]]
    writer.wait()
    connection = sqlite3.connect(file)
    stored = {number for (number,) in connection.execute("select id from jobs")}
    connection.close()
    assert set(seen) <= stored
    assert len(seen) >= 300


async def test_a_failing_commit_fails_every_job_of_its_group_as_unavailable(
    store: Store,
) -> None:
    """A deferred constraint fails at COMMIT, after every job has succeeded."""
    await store.write(create)

    def deferred(connection: Connection) -> None:
        connection.exec_driver_sql(
            "create table child (id integer references jobs(id) deferrable initially deferred)"
        )

    await store.write(deferred)

    def orphan(connection: Connection) -> None:
        connection.exec_driver_sql("insert into child values (999)")

    outcomes = await asyncio.gather(
        store.write(add, 1), store.write(orphan), return_exceptions=True
    )
    assert any(isinstance(outcome, UnavailableError) for outcome in outcomes)
    count = select(func.count()).select_from(jobs)
    stored = await store.read(lambda connection: connection.execute(count).scalar_one())
    assert stored == sum(outcome == 1 for outcome in outcomes)
    assert await store.write(add, 7) == 7
