"""The command line: exit codes, next steps, JSON, and the doctor's eyes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.diagnosis import examine
from node.home import Home
from node.keystore import KeyStore
from node.operator import OperatorClient, operator
from schemas.errors import MalformedError, SettingsError, UnauthenticatedError, UnavailableError
from tests.support.network import Member, make_network, running_network
from tests.support.process import node_process, pratique
from tests.support.running import make_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["explain", "nonce_replayed"], 0),
        (["explain"], 0),
        (["explain", "nonce_replaied"], 2),
        (["nosuch"], 2),
        (["explain", "--nosuch"], 2),
        (["status", "--home", "/nonexistent"], 2),
    ],
)
def test_exit_codes_are_fixed(words: list[str], code: int) -> None:
    done = pratique(*words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_every_group_of_the_node_is_in_the_help() -> None:
    shown = pratique("--help").stdout
    assert all(name in shown for name in ("node", "db", "config", "status", "doctor", "explain"))


def test_an_unknown_code_is_answered_with_the_nearest() -> None:
    done = pratique("explain", "nonce_replaied")
    assert "nonce_replayed" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("next: ")


def test_errors_speak_chinese_in_a_chinese_locale() -> None:
    done = pratique("explain", "zzz", LANG="zh_CN.UTF-8")
    assert "没有该名称的代码" in done.stderr


def test_a_code_is_explained_in_both_languages_in_any_case() -> None:
    done = pratique("explain", "doc-sqlite", "--json")
    entry = json.loads(done.stdout)
    assert (entry["code"], entry["kind"]) == ("DOC-SQLITE", "check")
    assert entry["zh"]


def test_settings_in_force_are_shown(home: Home) -> None:
    done = pratique("config", "show", "--home", home.path, "--json", "--changed")
    assert json.loads(done.stdout)["node.did"] == "did:web:node.example"
    assert "exchange.retry_base" in pratique("config", "show", "--home", home.path).stdout


def test_status_of_a_stopped_node_is_unreachable(home: Home) -> None:
    done = pratique("status", "--home", home.path, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (3, "node_stopped")


def test_a_command_goes_through_the_running_node(home: Home) -> None:
    with node_process(home) as process:
        with operator(home.path) as client:
            assert client.get("/v1/status")["did"] == "did:web:node.example"
            assert client.url == home.endpoint_file.read_text()
            with pytest.raises(MalformedError, match="query_bad"):
                client.get("/v1/events", limit="x", after=None)
            with pytest.raises(UnauthenticatedError, match="operator_token_wrong"):
                OperatorClient(client.url, "wrong").get("/v1/status")
        shown = pratique("status", "--home", home.path)
        assert "did:web:node.example" in shown.stdout
        assert process.poll() is None


def test_without_a_running_node_a_command_opens_it_alone(home: Home) -> None:
    with operator(home.path) as client:
        assert home.is_locked()
        assert not home.endpoint_file.exists()
        assert client.get("/v1/events") == {"events": [], "next": 0}
    assert not home.is_locked()
    with operator(home.path) as client:
        assert client.get("/healthz") == {"alive": True}


def test_a_home_held_by_another_command_is_waited_for_not_written_beside(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.operator._START_SECONDS", 0.3)
    waiting = pytest.raises(UnavailableError, match="node_not_running")
    with home.lock(), waiting, operator(home.path):
        raise AssertionError
    with pytest.raises(SettingsError, match="home_missing"), operator(home.path / "no"):
        raise AssertionError


async def test_the_operator_can_be_called_from_a_loop(home: Home) -> None:
    from tests.support.running import running_node

    async with running_node(home, services=[]) as node:
        client = OperatorClient(node.local_url, node.token)
        assert (await client.aget("/v1/status"))["ready"]
        assert (await client.arequest("GET", "/healthz")).status == 200
        with pytest.raises(MalformedError, match="method_not_allowed"):
            await client.apost("/v1/status", {}, idempotency_key="x")


def test_the_doctor_finds_open_keys_and_missing_ones(home: Home) -> None:
    keys = KeyStore(home.keys, "did:web:node.example")
    keys.create("exchange")
    (home.keys / "exchange-1.pem").chmod(0o644)
    found = {item.code: item for item in examine(home)}
    assert found["DOC-PERMISSIONS"].state == "bad"
    assert "exchange-1.pem" in found["DOC-PERMISSIONS"].found
    assert found["DOC-KEYS"].state == "warning"
    assert found["DOC-SCHEMA"].state == "ok"
    assert found["DOC-RUNNING"].state == "unknown"
    done = pratique("doctor", "--home", home.path)
    assert done.returncode == 1
    assert "DOC-PERMISSIONS: next:" in done.stdout


def test_the_doctor_names_a_wrong_setting(home: Home) -> None:
    home.settings_file.write_text("[http]\nprot=1")
    (only,) = examine(home)
    assert (only.code, only.state) == ("DOC-SETTINGS", "bad")


@pytest.mark.parametrize(
    ("version", "state"), [((3, 40, 1), "warning"), ((3, 51, 2), "warning"), ((3, 51, 3), "ok")]
)
def test_the_doctor_warns_of_sqlite_with_the_wal_reset_fault(
    home: Home, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: str
) -> None:
    monkeypatch.setattr("node.diagnosis.sqlite3.sqlite_version_info", version)
    found = {item.code: item for item in examine(home)}
    assert found["DOC-SQLITE"].state == state
    assert "3.51.3" in found["DOC-SQLITE"].next_step("en")


async def test_the_doctor_compares_clocks_and_sees_the_list_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    from datetime import timedelta

    monkeypatch.setattr("node.diagnosis._PEER_SECONDS", 60.0)
    members = {name: Member() for name in ("alpha", "beta", "gamma")}
    made = make_network(tmp_path, members, lifetime=timedelta(days=3))
    async with running_network(made, services=[]):
        items = await asyncio.to_thread(lambda: list(examine(made.homes["alpha"])))
    found = {item.code: item for item in items}
    assert found["DOC-MEMBERS"].state == "warning"
    assert "expires in 2 days" in found["DOC-MEMBERS"].found
    assert (found["DOC-PEERS"].state, found["DOC-CLOCK"].state) == ("ok", "ok")
    assert found["DOC-KEYS"].state == "ok"
