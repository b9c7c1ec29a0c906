"""The fuzzer of readers and rules: a short run without a finding, and that it would find."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schemas.errors import MalformedError
from tests.shared import ROOT
from tests.support import reader_fuzz
from tests.support.reader_fuzz import Reader

INPUTS = 1_000


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", ROOT / "scripts/fuzz_readers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_reader_and_no_rule_fails_on_mutated_documents() -> None:
    # So many inputs, not so many seconds: the same ones on every machine.
    report = _script().fuzz(170, seed=6, most=INPUTS)
    assert report["findings"] == []
    assert report["inputs"] >= INPUTS
    assert report["readers"] > 80
    assert report["read"] > 0
    assert report["refused"] > 0
    assert report["slowest"] < reader_fuzz.DEADLINE
    assert report["memory"] < reader_fuzz.MEMORY


def _told(read: Any) -> dict[str, Any]:
    report: dict[str, Any] = {"inputs": 0, "read": 0, "refused": 0, "slowest": 0.0, "findings": []}
    reader_fuzz._try(Reader("one", read, [b"{}"]), b"{}", report)
    return report


def test_a_refusal_is_none_a_crash_and_a_hang_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_: bytes) -> None:
        raise MalformedError("json_syntax", "no JSON")

    assert _told(refuses)["refused"] == 1
    assert _told(len)["read"] == 1
    assert "KeyError" in _told(lambda _: {}["x"])["findings"][0]["error"]
    monkeypatch.setattr(reader_fuzz, "DEADLINE", 0.2)
    before = signal.signal(signal.SIGPROF, reader_fuzz._alarm)
    try:
        assert "Hang" in _told(_hangs)["findings"][0]["error"]
    finally:
        signal.signal(signal.SIGPROF, before)


def _hangs(_: bytes) -> None:
    while True:
        pass


def test_a_process_that_dies_leaves_its_input_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = _script()
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nprintf 'sps\\n<a/>' > \"$5\"\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setattr(script.sys, "executable", str(broken))
    found = script.fuzz(1, seed=1)["findings"][0]
    assert (found["reader"], found["input"]) == ("sps", "PGEvPg==")
    assert "exit code 9" in found["error"]
