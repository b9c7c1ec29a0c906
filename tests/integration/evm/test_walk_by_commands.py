"""From nothing to a bill's title and an anchored receipt on a chain, by commands alone."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from node.home import Home
from testnet.ports import free_port
from testnet.story.documents import build, load_story
from tests.support.process import ROOT, command, node_process, pratique, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DID = "did:web:nhl.example"


def run(*words: object, code: int = 0) -> Any:
    done = pratique(*words, "--json")
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def plain(*words: object, **environment: str) -> str:
    done = pratique(*words, **environment)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def devchain() -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        command("devchain", "--port", 0, "--json"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        stop(process)
        assert process.stdout is not None
        process.stdout.close()


def anchored(home: Home) -> str:
    """Wait for the newest contract or anchor to be final; the contract's address."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        told = run("anchor", "status", "--home", home.path)
        if told["final"] or (told["contract"] is None and told["deployed"][-1]["state"] == "final"):
            return str(told["contract"] or told["deployed"][-1]["contract"])
    raise AssertionError(told)


def test_two_contracts_are_deployed_and_listed_and_a_bill_lives_there(tmp_path: Path) -> None:
    with devchain() as chain:
        home = Home(tmp_path / "nhl")
        run("init", home.path, "--did", DID, "--name", "Line", "--country", "SG", "--role",
            "carrier", "--port", free_port(), "--found", "One", "--test")  # fmt: skip
        settings = home.settings_file.read_text()
        table = (
            f'\n[chain]\nurls = ["{chain["url"]}"]\nid = {chain["id"]}\nfee = "zero"\n'
            "poll_interval = 0.1\n"
        )
        home.settings_file.write_text(settings + table)
        place = ("--home", home.path)
        files = [tmp_path / name for name in ("anchors.json", "arbiter.json", "next.json")]
        with node_process(home):
            contract = _deploy_and_list(home, *files)
        home.settings_file.write_text(settings + table + f'anchors = "{contract}"\n')
        with node_process(home):
            doctor = {one["code"]: one for one in run("doctor", *place)}
            assert doctor["DOC-CHAIN"]["state"] == "ok"
            assert run("status", *place)["services"]["anchor"] == "ready"
            _issue_and_verify(home, tmp_path)


def _deploy_and_list(home: Home, anchors: Path, arbiter: Path, proposal: Path) -> str:
    place = ("--home", home.path)
    plain("anchor", "deploy", "-o", anchors, *place)
    keys = run("arbiter", "key", *place)
    plain("arbiter", "deploy", "one", "--governor", keys["governor"], "--threshold", 1,
          "--delay", 0, "-o", arbiter, *place)  # fmt: skip
    contract = anchored(home)
    run("trust", "propose", "--arbiter", arbiter, "--anchor-contract", anchors, "-o", proposal,
        *place)  # fmt: skip
    shown = plain("trust", "diff", proposal, *place, COLUMNS="400")
    assert "adds title arbiter one" in shown
    assert f"{contract} on chain" in shown
    assert "新增锚定合约" in plain("trust", "diff", proposal, *place, LANG="zh_CN.UTF-8")
    plain("trust", "sign", proposal, *place)
    act = anchors.with_name("act.json")
    plain("arbiter", "act", "one", "list", "--carrier", 1, "--key", keys["issuing"], "-o", act,
          *place)  # fmt: skip
    assert run("arbiter", "send", "one", act, *place)["final"]
    return contract


def _issue_and_verify(home: Home, folder: Path) -> None:
    place = ("--home", home.path)
    story = build(load_story(), "A", "bill-of-lading", datetime.now(UTC))
    (folder / "bill.json").write_bytes(story.payload)
    file, lists = folder / "bill.pratique", folder / "lists.json"
    digest = run("issue", folder / "bill.json", "-o", file, *place)["digest"]
    issued = run("title", "issue", digest, "--holder", DID, "--endorsee", DID, "--arbiter", "one",
                 *place)  # fmt: skip
    assert (issued["outcome"], issued["state"]["possessor"]["did"]) == ("final", DID)
    end = time.monotonic() + 120
    told: dict[str, Any] = {}
    while time.monotonic() < end and not told.get("anchored"):
        pratique("anchor", "now", *place)
        anchored(home)
        # No witnesses in a network of one, so exit code 1; the anchor is what counts here.
        told = run("log", "receipt", digest, "-o", folder / "receipt.json", *place, code=1)
    assert told["anchored"]
    plain("trust", "export", "-o", lists, *place)
    done = pratique(
        "verify", file, "--receipt", folder / "receipt.json", "--trust", lists, "--json"
    )
    assert "LOG-05" in done.stdout, done.stderr
