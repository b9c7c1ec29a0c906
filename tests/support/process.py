"""Nodes as operating-system processes, started by exec, and the command line as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.home import Home

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 90.0


def command(*arguments: object) -> list[str]:
    """The words that run `pratique` with this interpreter."""
    return [sys.executable, "-m", "node.cli.main", *map(str, arguments)]


def pratique(
    *arguments: object, deadline: float = 180, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end; never raises for its exit code."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )


@contextmanager
def node_process(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """`pratique node run` until the end of the block; it answers /readyz or at least /healthz."""
    with (home.path / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            command("node", "run", "--home", home.path),
            cwd=ROOT,
            env=_environment({}),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_up(home, process)
        yield process
    finally:
        stop(process)


def wait_until_up(home: Home, process: subprocess.Popen[bytes]) -> None:
    """Returns when the node answers; raises AssertionError with its log when it does not."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if _answers(home, process):
            return
        time.sleep(0.02)
    raise AssertionError((home.path / "stderr.log").read_text(errors="replace"))


def stop(process: subprocess.Popen[bytes]) -> int:
    """Asks the process to end and waits; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(60)


def _answers(home: Home, process: subprocess.Popen[bytes]) -> bool:
    # The lock file tells whose endpoint this is; a killed process may have left one behind.
    owner = home.lock_file.read_text().strip() if home.lock_file.exists() else ""
    if owner != str(process.pid) or not home.endpoint_file.exists():
        return False
    try:
        with urllib.request.urlopen(home.endpoint_file.read_text() + "/healthz", timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def _environment(extra: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "NO_COLOR": "1"} | extra
