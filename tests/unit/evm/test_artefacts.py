"""What is committed is what the pinned compiler makes of the sources, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "compile_contracts.py"


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The first run installs the compiler; every later one takes two seconds."""
    return subprocess.run(
        [sys.executable, SCRIPT, "--check", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_the_committed_artefacts_are_what_the_sources_compile_to() -> None:
    done = check()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_source_is_told(tmp_path: Path) -> None:
    folder = ROOT / "ledger" / "contracts"
    for item in folder.iterdir():
        if item.is_file():
            (tmp_path / item.name).write_bytes(item.read_bytes())
    source = tmp_path / "AnchorRegistry.vy"
    source.write_text(source.read_text().replace('"opened"', '"open"'))
    done = check("--folder", str(tmp_path))
    assert done.returncode == 1
    assert "AnchorRegistry.json" in done.stderr
    assert "TitleRegistry" not in done.stderr
