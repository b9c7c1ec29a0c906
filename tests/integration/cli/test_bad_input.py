"""Whatever is wrong on the command line: a fixed exit code, one next step, never a traceback."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from node.cli.main import main
from node.home import Home
from schemas.catalogue import explain
from tests.support.process import node_process, pratique
from tests.support.running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAILED, USAGE, UNREACHABLE, REFUSED = 1, 2, 3, 4
NOBODY = "did:web:nobody.example"
ZEROS = "0" * 64


def typed(*words: object, **environment: str) -> CompletedProcess[str]:
    """The command in this process, as typed: the same entry point without the time of a start."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["pratique", *map(str, words)])
        for name, value in ({"LANG": "C.UTF-8", "NO_COLOR": "1"} | environment).items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert isinstance(code, int)
    return CompletedProcess(list(map(str, words)), code, out.getvalue(), err.getvalue())


def told(done: CompletedProcess[str]) -> str:
    """The next step of a refusal, which is its last line and stands there once."""
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines, done
    assert lines[-1].startswith("next: "), done.stderr
    assert sum(line.startswith("next: ") for line in lines) == 1
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert "\x1b" not in done.stderr
    return lines[-1]


def made(path: Path, *more: object) -> Home:
    done = typed("init", path, "--did", "did:web:node.example", "--name", "Node", "--role",
                    "carrier", "--country", "CN", "--port", free_port(), *more)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Home(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running node, alone in its network."""
    place = made(tmp_path_factory.mktemp("node") / "home", "--found", "Alone", "--test")
    with node_process(place):
        yield place


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in no network, whose node does not run."""
    return made(tmp_path_factory.mktemp("stopped") / "home")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no documents."""
    folder = tmp_path_factory.mktemp("files")
    contents = {
        "empty": b"",
        "binary": bytes(range(256)) * 8,
        "text": b"a bill, honestly",
        "array.json": b"[]",
        "cut.json": b'{"documentType": "packing-list", ',
        "twice.json": b'{"documentType":"packing-list","number":"1","number":"2"}',
        "deep.json": b"[" * 9_000 + b"]" * 9_000,
        "type.json": b'{"documentType": "paking-list", "number": "1"}',
        "bare.json": b'{"documentType": "packing-list"}',
        "entity.xml": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        "other.xml": b"<order><id>1</id></order>",
        "zip": b"PK\x03\x04" + bytes(100),
        "large.json": b'{"a":"' + b"x" * (5 * 1024 * 1024) + b'"}',
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("nosuch", "pratique --help"),
        ("issue", "pratique issue --help"),
        ("issue --nosuch x", "pratique issue --help"),
        ("trust sgn", "pratique trust --help"),
        ("documents --limit 0", "pratique documents --help"),
        ("documents --limit many", "pratique documents --help"),
        ("send x", "pratique send --help"),
        ("log audit nosuch", "pratique log audit --help"),
        ("title issue", "pratique title issue --help"),
        ("init", "pratique init --help"),
        ("demo --lang fr", "pratique demo --help"),
    ],
)
def test_wrong_use_names_the_command_whose_help_to_read(words: str, step: str) -> None:
    done = typed(*words.split())
    assert (done.returncode, told(done)) == (USAGE, f"next: {step}")
    shown = typed(*words.split(), "--json")
    body = json.loads(shown.stdout)
    assert (shown.returncode, body["code"], body["next"]) == (USAGE, "wrong_use", step)


def test_a_misspelt_command_is_named_with_the_nearest() -> None:
    assert "Did you mean 'sign'?" in typed("trust", "sgn").stderr


def test_a_group_by_itself_shows_what_it_holds() -> None:
    done = typed("trust")
    assert done.returncode == USAGE
    assert "sign" in done.stdout
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("missing", {"file_unreadable"}),
        ("folder", {"file_unreadable"}),
        ("empty", {"file_empty"}),
        ("binary", {"document_type_unclear"}),
        ("text", {"document_type_unclear"}),
        ("array.json", {"document_type_unclear"}),
        ("cut.json", {"document_type_unclear", "json_syntax"}),
        ("twice.json", {"document_type_unclear", "json_duplicate_name"}),
        ("deep.json", {"document_type_unclear", "json_too_deep"}),
        ("type.json", {"document_type_unclear", "unknown_document_type"}),
        ("bare.json", {"document_has_errors"}),
        ("entity.xml", {"document_type_unclear", "xml_doctype"}),
        ("other.xml", {"document_type_unclear"}),
        ("zip", {"document_type_unclear"}),
        ("large.json", {"document_too_large"}),
    ],
)
def test_what_is_no_document_is_not_issued(
    home: Home, files: Path, name: str, codes: set[str]
) -> None:
    done = typed("issue", files / name, "--home", home.path)
    assert done.returncode in (USAGE, REFUSED)
    told(done)
    code = done.stderr.partition("[")[2].partition("]")[0]
    assert code in codes
    assert typed("documents", "--home", home.path).stdout == "Documents: none\n"


def test_a_named_type_that_does_not_exist_is_answered_with_the_nearest(
    home: Home, files: Path
) -> None:
    done = typed("issue", files / "bare.json", "--type", "paking-list", "--home", home.path)
    assert (done.returncode, "packing-list" in done.stderr) == (REFUSED, True)
    told(done)


@pytest.mark.parametrize("name", ["binary", "text", "array.json", "deep.json", "zip", "other.xml"])
def test_what_is_no_credential_fails_verification(home: Home, files: Path, name: str) -> None:
    done = typed("verify", files / name, "--home", home.path)
    assert done.returncode in (FAILED, USAGE)
    assert "Traceback" not in done.stderr
    assert "FAILED" in done.stdout or told(done)
    done = typed("verify", files / name, "--trust", files / name)
    assert done.returncode == USAGE
    told(done)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("trace", ZEROS), USAGE),
        (("trace", "nothing of that"), USAGE),
        (("trace", "\x1b[31m\n中文/../?x#y"), USAGE),
        (("revoke", "abc", "--reason", "x"), USAGE),
        (("revoke", ZEROS, "--reason", "x"), USAGE),
        (("revoke", ZEROS, "--reason", ""), USAGE),
        (("send", ZEROS, "--to", NOBODY), USAGE),
        (("send", "ABC", "--to", "nobody"), USAGE),
        (("title", "show", "中文"), USAGE),
        (("title", "show", ZEROS), USAGE),
        (("title", "transfer", ZEROS, "--to", NOBODY), USAGE),
        (("title", "issue", ZEROS, "--holder", NOBODY), REFUSED),
        (("release", "show", "ABC"), USAGE),
        (("release", "show", "NHLU2631075"), USAGE),
        (("release", "sign", "x y"), USAGE),
        (("evidence", "export", "nothing"), USAGE),
        (("inbox", "--save", "zz", "file"), USAGE),
        (("inbox", "--save", ZEROS, "file"), USAGE),
        (("inbox", "--state", "gone"), USAGE),
        (("outbox", "--state", "gone"), USAGE),
        (("documents", "--number", "x" * 3_000), USAGE),
        (("verify", ZEROS), USAGE),
        (("trust", "sign"), USAGE),
        (("trust", "sign", "abc"), USAGE),
        (("trust", "sign", ZEROS), USAGE),
        (("trust", "sign", "--issuer", "x"), USAGE),
        (("trust", "sign", "--agreement", "NL:CN"), USAGE),
        (("trust", "sign", "--compromised", "kid"), USAGE),
        (("trust", "sign", "--end", "did:web:x.example#credential-1"), USAGE),
        (("trust", "sign", "--registry", "did:web:node.example"), REFUSED),
        (("trust", "sign", "--witness", NOBODY), REFUSED),
        (("trust", "export", "-o", "/nonexistent/folder/file"), USAGE),
        (("log", "audit", "--origin", "nobody.example/log/1"), USAGE),
        (
            ("join", "--network-url", "http://127.0.0.1:1", "--network-id", ZEROS, "--wait", "0"),
            REFUSED,
        ),
    ],
)
def test_what_does_not_exist_or_is_not_allowed_is_said(
    home: Home, words: tuple[str, ...], code: int
) -> None:
    done = typed(*words, "--home", home.path)
    assert done.returncode == code, done.stderr
    if code:
        told(done)
        body = json.loads(typed(*words, "--home", home.path, "--json").stdout)
        entry = explain(body["code"])
        assert entry is not None
        assert body["next"]


@pytest.mark.parametrize(
    "words", [("status",), ("documents",), ("trust", "show"), ("node", "run"), ("db", "upgrade")]
)
def test_a_folder_without_a_node_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = typed(*words, "--home", tmp_path / "no")
    assert (done.returncode, "home_missing" in done.stderr) == (USAGE, True)
    told(done)
    assert not (tmp_path / "no").exists()


def test_outside_a_network_each_act_says_what_to_do_first(stopped: Home, files: Path) -> None:
    for words in (("trust", "show"), ("issue", files / "bare.json"), ("trust", "export")):
        done = typed(*words, "--home", stopped.path)
        assert done.returncode in (USAGE, REFUSED), words
        told(done)


@pytest.mark.parametrize(
    ("settings", "near"),
    [
        ("[http]\nprot = 1\n", "http.port"),
        ("[htpp]\nport = 1\n", "http"),
        ("[log]\ncheckpoint_intervall = 1\n", "log.checkpoint_interval"),
        ("[store]\nurl = 5\n", "store.url"),
        ("[http]\nport = 99999999\n", "http.port"),
        ("[http]\nport = -1\n", "http.port"),
        ("[exchange]\nretry_base = 'soon'\n", "exchange.retry_base"),
        ("not toml", ""),
        ("\x00\xff", ""),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_right_one_before_anything_starts(
    tmp_path: Path, settings: str, near: str
) -> None:
    place = Home(tmp_path / "home")
    place.create()
    place.settings_file.write_text(settings, encoding="utf-8")
    for words in (("node", "run"), ("documents",), ("config", "show")):
        done = typed(*words, "--home", place.path)
        assert (done.returncode, near in done.stderr) == (USAGE, True), done.stderr
        told(done)
    assert not (place.path / "store.sqlite3").exists()


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--did", "node.example", "did"),
        ("--did", "did:web:", "did"),
        ("--role", "prot", "port"),
        ("--country", "China", "country"),
        ("--port", "0x50", "port"),
        ("--port", "99999999", "port"),
        ("--locode", "Shanghai", "locode"),
        ("--name", "", "name"),
        ("--issuer", "bill-of-lading", "certificate-of-origin:CN"),
    ],
)
def test_a_node_is_not_set_up_with_a_wrong_entry(
    tmp_path: Path, option: str, value: str, word: str
) -> None:
    given = {"--did": "did:web:x.example", "--name": "X", "--role": "port", "--country": "CN"}
    words = [each for pair in (given | {option: value}).items() for each in pair]
    done = typed("init", tmp_path / "home", *words)
    assert (done.returncode, word in done.stderr) == (USAGE, True), done.stderr
    told(done)
    assert not (tmp_path / "home" / "pratique.toml").exists()


def test_a_second_node_is_not_made_over_the_first(stopped: Home) -> None:
    before = stopped.settings_file.read_bytes()
    done = typed("init", stopped.path, "--did", "did:web:x.example", "--name", "X", "--role",
                    "port", "--country", "CN")  # fmt: skip
    assert (done.returncode, "home_exists" in done.stderr) == (REFUSED, True)
    told(done)
    assert stopped.settings_file.read_bytes() == before


def test_joining_a_network_that_does_not_answer_is_unreachable(stopped: Home) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    words = ("join", "--network-url", address, "--network-id", ZEROS, "--home", stopped.path)
    done = typed(*words)
    assert done.returncode == UNREACHABLE, done.stderr
    told(done)
    for url in ("ftp://x", "nonsense", "http://[", "http://"):
        done = typed("join", "--network-url", url, "--network-id", ZEROS, "--home", stopped.path)
        assert done.returncode == USAGE, (url, done.stderr)
        told(done)


def test_another_network_than_the_one_that_was_told_is_refused(stopped: Home, home: Home) -> None:
    url = home.endpoint_file.read_text()
    done = typed("join", "--network-url", url, "--network-id", ZEROS, "--home", stopped.path)
    assert done.returncode == REFUSED, done.stderr
    told(done)


def test_a_killed_node_leaves_a_home_that_commands_and_a_new_start_can_use(tmp_path: Path) -> None:
    place = made(tmp_path / "home", "--found", "Alone", "--test")
    with node_process(place) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        done = typed("status", "--home", place.path)
        assert (done.returncode, "node_stopped" in done.stderr) == (UNREACHABLE, True)
        told(done)
        assert typed("documents", "--home", place.path).stdout == "Documents: none\n"
    with node_process(place):
        assert typed("status", "--home", place.path).returncode == 0


def test_two_nodes_do_not_share_a_home_or_a_port(home: Home, tmp_path: Path) -> None:
    done = pratique("node", "run", "--home", home.path)
    assert done.returncode in (UNREACHABLE, REFUSED), done.stderr
    told(done)
    port = home.endpoint_file.read_text().rpartition(":")[2]
    other = made(tmp_path / "home")
    text = other.settings_file.read_text()
    lines = [f"port = {port}" if line.startswith("port = ") else line for line in text.split("\n")]
    other.settings_file.write_text("\n".join(lines))
    done = pratique("node", "run", "--home", other.path)
    assert done.returncode == USAGE, done.stderr
    told(done)


def test_a_damaged_store_or_key_is_named(tmp_path: Path) -> None:
    place = made(tmp_path / "home", "--found", "Alone", "--test")
    key = place.keys / "credential-1.pem"
    kept = key.read_bytes()
    key.write_bytes(b"not a key")
    done = pratique("node", "run", "--home", place.path)
    assert (done.returncode, "credential-1.pem" in done.stderr) == (USAGE, True), done.stderr
    told(done)
    key.write_bytes(kept)
    (place.path / "store.sqlite3").write_bytes(b"not a database" * 1000)
    for words in (("node", "run"), ("documents",), ("db", "upgrade"), ("fsck",)):
        done = pratique(*words, "--home", place.path)
        assert done.returncode in (USAGE, UNREACHABLE), (words, done.stderr)
        told(done)


def test_errors_are_told_in_chinese_in_a_chinese_locale(home: Home) -> None:
    done = typed("trace", ZEROS, "--home", home.path, LANG="zh_CN.UTF-8")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in told(done))
