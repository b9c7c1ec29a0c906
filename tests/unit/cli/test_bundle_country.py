"""`pratique verify` and `evidence verify` of a bundle for a country."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from node.cli import output
from node.cli.main import build
from protocols import times
from protocols.member_list import write_export
from tests.support import evidence_world as world
from tests.support.title_world import NOW

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = world.export().build()
COMMANDS = (("verify",), ("evidence", "verify"))


def run(folder: Path, command: tuple[str, ...], *more: str, data: bytes = BUNDLE) -> Result:
    trust, file = folder / "members.json", folder / "evidence.zip"
    trust.write_bytes(write_export([world.MEMBERS.signed]))
    file.write_bytes(data)
    asked = [*command, str(file), "--trust", str(trust), *more]
    return CliRunner(env={"COLUMNS": "200"}).invoke(build([command[0]]), asked)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bundle_is_judged_for_the_country_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(tmp_path, command, "--country", "NL")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("CRED-11") == 3
    assert "agreements of member list version 1" in done.stdout
    assert "not asked" not in done.stdout
    done = run(tmp_path, command, "--country", "SG")
    assert done.exit_code == 1
    assert "documents/001-quality-certificate.vc" in done.stdout
    assert "not_recognised" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_country_a_bundle_says_what_was_not_asked(
    tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(tmp_path, command)
    assert done.exit_code == 0
    assert "not asked: recognition" in done.stdout
    assert "CRED-11" not in done.stdout
    monkeypatch.setattr(output, "lang", lambda: "zh")
    assert "未检查" in run(tmp_path, command).stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("country", ["nl", "NLD", ""])
def test_what_is_no_country_is_refused(
    tmp_path: Path, command: tuple[str, ...], country: str
) -> None:
    assert run(tmp_path, command, "--country", country).exit_code == 2


def test_no_country_is_asked_about_the_proof_of_a_fork(tmp_path: Path) -> None:
    done = run(tmp_path, ("evidence", "verify"), "--country", "NL", data=b"{}")
    assert done.exit_code == 2
    assert "fork" in done.output


def test_r25_another_moment_is_asked_about_recognition_too(tmp_path: Path) -> None:
    early = times.to_text(world.MEMBERS.issued_at - timedelta(hours=1))
    done = run(tmp_path, ("verify",), "--country", "NL", "--at", early)
    assert done.exit_code == 1
    assert "list_not_yet" in done.stdout
    one = world.export(documents=(world.issued(),), statuses=(world.status(),), titles=()).build()
    then = ("--country", "NL", "--at", times.to_text(NOW))
    done = run(tmp_path, ("verify",), *then, data=one)
    assert done.exit_code == 0, done.output


def test_what_was_not_reached_names_each_document_and_why(tmp_path: Path) -> None:
    unseen = world.export(witnesses=("cn-port",)).build()
    done = run(tmp_path, ("verify",), "--country", "NL", data=unseen)
    assert done.exit_code == 1
    assert "CRED-11 documents/003-bill-of-lading.vc" in done.stdout
