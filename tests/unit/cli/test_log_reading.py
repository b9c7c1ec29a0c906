"""`pratique log audit` and `log chain`: what was not read to its end never looks like a success."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from node import operator as operators
from node.cli.main import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STUCK: dict[str, Any] = {
    "origin": "rail.example/log/1", "subject": "1" * 64, "read": 3, "verified": 3, "size": 5,
    "done": False, "witnessed": True, "faults": [], "leaves": [],
}  # fmt: skip


class StuckClient:
    """A node that gets no further than entry 3."""

    def __init__(self, *, ok: bool) -> None:
        self.answer = {**STUCK, "ok": ok}

    def post(self, path: str, asked: Any) -> dict[str, Any]:
        del path, asked
        return self.answer


@pytest.mark.parametrize(
    ("words", "ok", "code", "exit_code"),
    [
        (("log", "audit"), True, "log_audit_unfinished", 3),
        (("log", "chain", "a-subject"), False, "log_chain_unfinished", 1),
    ],
)
def test_a_log_that_was_not_read_to_its_end_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    ok: bool,
    code: str,
    exit_code: int,
) -> None:
    @contextmanager
    def stuck(*_: object, **__: object) -> Iterator[StuckClient]:
        yield StuckClient(ok=ok)

    monkeypatch.setattr(operators, "operator", stuck)
    whole = [*words, "--home", str(tmp_path)]
    result = CliRunner().invoke(build(whole), whole)
    assert result.exit_code == exit_code, result.output
    assert code in result.stderr
    assert "complete" not in result.stdout
