"""The entry point itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from node.cli.main import main


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["pratique", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_it_says_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"pratique {version('pratique')}\n"


def test_what_is_no_command_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "no-such-thing") == 2
    assert "wrong_use" in capsys.readouterr().err


def test_no_command_waits_for_what_another_one_needs() -> None:
    """Every command's words are gathered at each start; what a command works with is not."""
    look = (
        "import sys; from node.cli.main import build; build(['status']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=180, check=True
    ).stdout.split()
    heavy = {"aiohttp", "alembic", "coincurve", "cryptography", "jsonschema_rs", "lxml", "pydantic"}
    assert "typer" in told
    assert not (heavy | {"rich", "rlp", "sqlalchemy", "web3"}) & set(told)
