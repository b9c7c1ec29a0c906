"""The node as a process: lean, alone in its home, stopped by a signal, up again after a kill."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from node import migrations
from node.home import Home
from node.settings import StoreSettings, load, parse, render
from node.store.registered import all_metadata
from node.store.store import open_store
from tests.support.process import ROOT, node_process, pratique, stop
from tests.support.running import make_home

HEAVY = ("web3", "alembic", "xmlschema", "pyhanko", "typst", "rich")

LOOK = """
import os, signal, sys, threading, time
from pathlib import Path

def look():
    endpoint = Path(sys.argv[4]) / "run" / "endpoint"
    until = time.monotonic() + 90
    while not endpoint.exists() and time.monotonic() < until:
        time.sleep(0.02)
    # A copy: the node may be importing something just now.
    print(" ".join(sorted({name.partition(".")[0] for name in list(sys.modules)})), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look, daemon=True).start()
from node.cli.main import main
main()
"""

FORK = """
import os, signal, sys
from pathlib import Path
import node.daemon
node.daemon.warm()

child = os.fork()
if child == 0:
    os._exit(node.daemon.serve(Path(sys.argv[1])))
endpoint = Path(sys.argv[1]) / "run" / "endpoint"
import time, urllib.request
until = time.monotonic() + 90
while not endpoint.exists() and time.monotonic() < until:
    time.sleep(0.02)
try:
    print(urllib.request.urlopen(endpoint.read_text() + "/healthz", timeout=60).status)
finally:
    os.kill(child, signal.SIGTERM)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def test_a_starting_node_leaves_heavy_packages_alone(home: Home) -> None:
    done = python(LOOK, "node", "run", "--home", home.path)
    loaded = set(done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert "aiohttp" in loaded
    assert not loaded & set(HEAVY)


def test_a_node_can_be_forked_from_a_warm_parent(home: Home) -> None:
    done = python(FORK, home.path)
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr


def test_a_signal_stops_it_cleanly_and_its_lines_are_json(home: Home) -> None:
    with node_process(home) as process:
        assert home.is_locked()
        assert stop(process) == 0
    lines = (home.path / "stderr.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "node.stopped"
    assert not home.endpoint_file.exists()


def test_a_second_node_in_the_same_home_is_refused(home: Home) -> None:
    with node_process(home):
        second = pratique("node", "run", "--home", home.path)
    assert second.returncode == 4
    assert "[home_locked]" in second.stderr
    assert "next: " in second.stderr


def test_a_killed_node_starts_again(home: Home) -> None:
    for _ in range(3):
        with node_process(home) as process:
            process.kill()
            process.wait()
            assert home.endpoint_file.exists()
    with node_process(home):
        token, url = home.token_file.read_text(), home.endpoint_file.read_text()
        request = urllib.request.Request(
            f"{url}/v1/status", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.load(response)["did"] == "did:web:node.example"


def test_a_taken_port_is_told_before_anything_runs(home: Home, tmp_path: Path) -> None:
    other = make_home(
        tmp_path / "other", settings={"http": {"port": load(home.settings_file).http.port}}
    )
    with node_process(home):
        done = pratique("node", "run", "--home", other.path)
    assert (done.returncode, "[listen_failed]" in done.stderr) == (2, True)


def test_a_store_of_another_version_is_told_not_changed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.settings_file.write_text(render(parse({"node": {"did": "did:web:x.example"}})))
    done = pratique("node", "run", "--home", tmp_path)
    assert (done.returncode, "[store_version]" in done.stderr) == (2, True)
    assert "pratique db upgrade" in done.stderr
    upgraded = pratique("db", "upgrade", "--home", tmp_path, "--json")
    assert json.loads(upgraded.stdout) == {"before": None, "after": migrations.HEAD}
    again = pratique("db", "upgrade", "--home", tmp_path)
    assert again.stdout == f"store: {migrations.HEAD} → {migrations.HEAD}\n"


async def test_both_engines_reach_the_newest_schema(store_url: str) -> None:
    assert migrations.current(store_url) is None
    assert migrations.upgrade(store_url) == migrations.HEAD
    assert migrations.upgrade(store_url) == migrations.HEAD
    assert migrations.current(store_url) == migrations.HEAD
    store = open_store(store_url, StoreSettings())
    await store.start()
    try:
        differences = await store.write(_differences)
    finally:
        await store.close()
    assert differences == []


def _differences(connection: object) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import MetaData

    whole = MetaData()
    for metadata in all_metadata():
        for table in metadata.sorted_tables:
            table.to_metadata(whole)
    context = MigrationContext.configure(connection)
    return list(compare_metadata(context, whole))


def test_the_migrated_schema_is_the_declared_one_to_the_letter(tmp_path: Path) -> None:
    migrations.upgrade(f"sqlite:///{tmp_path}/migrated")
    declared = create_engine(f"sqlite:///{tmp_path}/declared")
    for metadata in all_metadata():
        metadata.create_all(declared)
    declared.dispose()
    assert _definitions(tmp_path / "migrated") == _definitions(tmp_path / "declared")


def _definitions(file: Path) -> dict[str, list[str]]:
    """Name of a table or index → the parts of its definition."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("select name, sql from sqlite_master").fetchall()
    told = {name: re.sub(r"\s+", " ", sql or "") for name, sql in rows if "alembic" not in name}
    return {name: sorted(re.split(r", (?=[A-Za-z])", sql)) for name, sql in told.items()}


def test_the_head_the_node_compares_with_is_the_newest_migration() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [migrations.HEAD]


def test_settings_without_a_name_are_refused(home: Home) -> None:
    home.settings_file.write_text("[http]\nprot = 1\n")
    done = pratique("node", "run", "--home", home.path)
    assert done.returncode == 2
    assert "did you mean http.port?" in done.stderr
    home.settings_file.write_text("")
    assert "[setting_missing]" in pratique("node", "run", "--home", home.path).stderr


def test_postgresql_carries_a_whole_node(postgres_server: str, tmp_path: Path) -> None:
    from tests.support.postgres import create_database

    url = create_database(postgres_server, f"node{os.getpid()}")
    home = make_home(tmp_path / "home", settings={"store": {"url": url}})
    with node_process(home):
        status = pratique("status", "--home", home.path, "--json")
        doctor = pratique("doctor", "--home", home.path, "--json")
    assert json.loads(status.stdout)["store"] == "postgresql"
    states = {item["code"]: item["state"] for item in json.loads(doctor.stdout)}
    assert (states["DOC-POSTGRESQL"], states["DOC-SCHEMA"]) == ("ok", "ok")
