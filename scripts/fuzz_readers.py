#!/usr/bin/env python3
"""Gives mutated XML and JSON to every reader and rule, in a child process with limits.

usage: scripts/fuzz_readers.py [--seconds 600] [--seed N]

A finding is an exception outside the TradeError family, an input that takes longer than its
deadline, a process that dies, and memory past the cap. Prints the counts; exit code 1 when there is
a finding, whose input is written to out/fuzz/.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "fuzz"
SPARE = 120  # seconds for starting, and for an input that its alarm cannot interrupt


def main() -> int:
    """Runs the child, prints its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    report = fuzz(asked.seconds, asked.seed)
    for number, finding in enumerate(report["findings"]):
        OUT.mkdir(parents=True, exist_ok=True)
        file = OUT / f"{asked.seed}-{number}"
        file.write_bytes(base64.b64decode(finding.pop("input")))
        finding["file"] = str(file.relative_to(ROOT))
    sys.stdout.write(json.dumps({"seed": asked.seed, **report}, indent=2) + "\n")
    return 1 if report["findings"] else 0


def fuzz(seconds: float, seed: int, most: int | None = None) -> dict[str, Any]:
    """The report of one child; one that died or hangs beyond help is a finding of its own."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case"
        command = [sys.executable, "-m", "tests.support.reader_fuzz", str(seconds), str(seed)]
        command += [str(case), *([] if most is None else [str(most)])]
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter
                command, capture_output=True, cwd=ROOT, timeout=seconds + SPARE, check=False
            )
            how = f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"
            if done.returncode == 0:
                report: dict[str, Any] = json.loads(done.stdout)
                return report
        except subprocess.TimeoutExpired:
            how = "hangs beyond its alarm"
        left = case.read_bytes() if case.exists() else b"\n"
    reader, _, data = left.partition(b"\n")
    finding = {"reader": reader.decode(), "error": how, "place": ""}
    return {"findings": [finding | {"input": base64.b64encode(data).decode()}]}


if __name__ == "__main__":
    sys.exit(main())
