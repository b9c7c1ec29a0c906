"""`pratique verify --receipt`: a receipt file with an anchor, with nothing but files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from protocols.evm.keys import keccak256
from protocols.log.receipt import ReceiptFile
from protocols.member_list import write_export
from tests.support import anchored
from tests.support import evidence_world as world

GENUINE = anchored.anchored()


def verified(folder: Path, finality: str, *more: str) -> dict[str, Any]:
    """Outcome and code of every check, by a command without a node."""
    receipt = GENUINE.receipt_with(headers=() if finality == "finalized" else None)
    listed = anchored.members(anchored.entry(finality))
    document, trust, file = folder / "q.vc", folder / "members.json", folder / "receipt.json"
    document.write_bytes(anchored.FILE.to_bytes())
    trust.write_bytes(write_export([world.MEMBERS.signed, listed.signed]))
    file.write_bytes(ReceiptFile(receipt.entry, receipt.proof, receipt.anchor).to_bytes())
    at = "2026-11-18T06:10:00Z"
    asked = ["verify", str(document), "--trust", str(trust), "--receipt", str(file), "--at", at]
    done = CliRunner().invoke(build(["verify"]), [*asked, "--json", *more])
    return {each["id"]: each for each in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("finality", ["depth:3", "finalized"])
def test_an_anchored_receipt_is_verified_from_files_alone(tmp_path: Path, finality: str) -> None:
    held = "0x" + keccak256(GENUINE.proof.event.header).hex()
    checks = verified(tmp_path, finality, "--block", held)
    steps = [f"LOG-0{number}" for number in range(1, 9)]
    assert [checks[step]["outcome"] for step in steps] == ["PASSED"] * 8
    assert checks["LOG-07"]["evidence"]["by"] == "held block"
    without = verified(tmp_path, finality)["LOG-07"]
    told = {"depth:3": ("PASSED", None), "finalized": ("INDETERMINATE", "anchor_block_unvouched")}
    assert (without["outcome"], without.get("code")) == told[finality]
