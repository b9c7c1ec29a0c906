"""The README's four sections are run as printed, in order, in an empty folder.

Only the two port numbers are replaced, so that the test can run beside anything else.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.shared import ROOT
from tests.support.running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = ("You run a node", "You issue bills", "You verify", "You trace")
PORTS = ("8470", "8471")
DEADLINE = 570
MARK = "== section"

pytestmark = pytest.mark.timeout(600)


def blocks() -> dict[str, str]:
    """The shell of each of the four sections, by the first words of its title."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for section in SECTIONS:
            if part.startswith(section):
                found[section] = "\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL))
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each section printed; the fixture fails when a command does."""
    folder = tmp_path_factory.mktemp("readme")
    script = "set -euo pipefail\n"
    for section, shell in blocks().items():
        script += f'echo "{MARK} {section}"\n{shell}\n'
    # In one go: the second number may stand in the port that takes the place of the first.
    ports = {port: str(free_port()) for port in PORTS}
    script = re.sub("|".join(PORTS), lambda found: ports[found[0]], script)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "200",
        "LC_ALL": "C.UTF-8",
    }
    environment.pop("PRATIQUE_HOME", None)
    with (folder / "told").open("w+b") as output:
        running = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = running.wait(DEADLINE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        output.seek(0)
        whole = output.read().decode()
    assert code == 0, whole[-6000:]
    parts = re.split(rf"^{MARK} (.+)$", whole, flags=re.MULTILINE)
    yield dict(zip(parts[1::2], parts[2::2], strict=True))
    assert (folder / "history.svg").read_bytes().startswith(b"<svg")
    for node in ("port", "agency"):
        assert "Traceback" not in (folder / f"{node}.log").read_text(encoding="utf-8")


def test_all_four_sections_are_there() -> None:
    assert tuple(blocks()) == SECTIONS


def test_a_node_is_founded_and_another_joins(told: dict[str, str]) -> None:
    shown = told["You run a node"]
    assert "admits node did:web:agency.example (East Coast Agency)" in shown
    assert "version 2: in force" in shown
    assert "admitted to Example network, member list version 2" in shown
    assert "DOC-PEERS" in shown
    assert "all 1 answer" in shown


def test_a_carrier_passes_a_bill_on_once(told: dict[str, str]) -> None:
    shown = told["You issue bills"]
    assert "admits party did:web:importer.example (Polder Imports)" in shown
    assert "[title_not_possessor]" in shown
    assert "refused, exit code 4" in shown
    assert "ACCEPTED" in shown
    assert shown.count("surrender for delivery") == 1


def test_an_officer_sees_what_has_passed_and_why_the_rest_has_not(told: dict[str, str]) -> None:
    shown = told["You verify"]
    assert re.findall(r"^[✓✗?] (\w+)  [0-9a-f]{64}$", shown, re.MULTILINE) == [
        "PASSED", "PASSED", "FAILED", "FAILED",
    ]  # fmt: skip
    assert "[credential_payload_mismatch]" in shown
    assert "[revoked]" in shown
    assert shown.count("not passed, exit code 1") == 2
    assert "HOLD  NHLU2631075  26CNDEMO0001" in shown
    assert "held, exit code 1" in shown


def test_an_auditor_takes_the_history_away_and_checks_it(told: dict[str, str]) -> None:
    shown = told["You trace"]
    assert "witnessed" in shown
    assert "revoked" in shown
    assert "✓ PASSED  26CNDEMO0001" in shown
    assert "agency.example/log/1" in shown
    assert "FAILED" not in shown
