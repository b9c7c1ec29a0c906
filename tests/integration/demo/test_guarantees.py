"""The demo's assertions are real: break any one guarantee in the code and it exits non-zero."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.shared import ROOT
from tests.support.broken import BROKEN

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 560
pytestmark = pytest.mark.timeout(600)

# What the demo must say did not hold, for each guarantee that is broken.
NOTICED = {
    "receipt_check": "every receipt held is genuine",
    "second_transfer": "fault double-transfer is caught",
    "revocation": "container NHLU2631075 is HOLD",
    "witness_quorum": "witnessed checkpoints have their quorum",
    "order": "documents arrive in order",
    "receipt_order": "RECE was said after the acceptance (R20)",
}


def play(guarantee: str, out: Path, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the demo with that guarantee broken, on anvil where it is found."""
    command = [sys.executable, "-m", "tests.support.broken", guarantee, "--fast", "--json"]
    done = subprocess.run(
        [*command, "--out", str(out), "--seed", "7"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.stdout, done.stderr.decode()[-4000:]
    return done.returncode, json.loads(done.stdout)


def test_the_unbroken_demo_holds(tmp_path: Path) -> None:
    # The embedded chain, whatever else is installed.
    code, report = play("nothing", tmp_path, PRATIQUE_ANVIL=str(tmp_path / "none"))
    failed = [item for item in report["expectations"]["all"] if not item["held"]]
    assert code == 0, failed
    assert report["held"]
    assert report["accounts"]["lost"] == []
    assert report["chain"]["engine"] == "devchain"
    assert report["chain"]["title"]["moves"] == 4
    anchored = {anchor["log"] for anchor in report["accounts"]["anchors"]}
    assert anchored >= {"cn-port", "sg-port", "nl-port", "kz-rail"}
    assert [fault["caught"] for fault in report["faults"]] == [True] * 7
    links = report["bill"]["endorsementChain"]["json"][0]["endorsementChain"]
    assert [link["actionCode"] for link in links][-2:] == ["SURRENDER_FOR_DELIVERY", "SURRENDERED"]
    assert [case["rvc"] for case in report["origin"]] == ["22.5", "75", "30"]
    assert (tmp_path / "index.html").stat().st_size > 10_000
    assert (tmp_path / "evidence-A.zip").exists()


@pytest.mark.parametrize("guarantee", sorted(NOTICED))
def test_a_broken_guarantee_fails_the_demo(guarantee: str, tmp_path: Path) -> None:
    code, report = play(guarantee, tmp_path)
    failed = [item["name"] for item in report["expectations"]["all"] if not item["held"]]
    assert code == 1
    assert any(NOTICED[guarantee] in name for name in failed), failed


def test_every_break_is_tried() -> None:
    assert set(BROKEN) == {"nothing", *NOTICED}
