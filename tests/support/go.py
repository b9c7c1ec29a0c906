"""The independent verifier: a Go program in tests/go, built once for a test run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "go"


@dataclass(frozen=True)
class Verifier:
    """The built program."""

    program: Path

    def run(self, request: dict[str, Any]) -> tuple[list[str], str]:
        """The lines it told, and the reason for which it refused ("" when it did not)."""
        done = subprocess.run(
            [self.program], input=json.dumps(request), capture_output=True, text=True, timeout=180
        )
        return done.stdout.splitlines(), done.stderr.strip() if done.returncode else ""


def build(folder: Path) -> Verifier:
    """Build it; skips where Go is absent, fails when CI is set."""
    go = shutil.which("go")
    if go is None:
        if os.environ.get("CI"):
            pytest.fail("Go is missing; .ci/run installs it")
        pytest.skip("Go is not installed")
    program = folder / "verify"
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    done = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return Verifier(program)
