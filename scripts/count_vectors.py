#!/usr/bin/env python3
"""Runs the tests that hold the credential layer to the shared vectors, and counts their cases.

usage: scripts/count_vectors.py [--table]

Prints one line for each row of `tests/support/vectors.py`: cases run, cases that do not apply and
why. Exit code 0 when the tests passed and opened every file that they are said to run. --table
prints without running.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Prints the table, having run its tests unless asked not to."""
    from tests.shared import shared_path
    from tests.support import vectors

    base = shared_path("vectors/credentials").parent
    opened = _opened(base) if "--table" not in sys.argv[1:] else None
    totals = [0, 0, 0]
    missed = []
    for row in vectors.TABLE:
        files = [
            (name, path) for name, path in vectors.all_files(base) if row in vectors.rows_of(name)
        ]
        counts = [row.count(path) for _, path in files]
        run, apart = (sum(count[at] for count in counts) for at in (0, 1))
        totals = [a + b for a, b in zip(totals, (len(files), run, apart), strict=True)]
        if opened is not None and row.tests and row.count is not vectors.helps:
            missed += [name for name, path in files if path not in opened]
        sys.stdout.write(f"{row.pattern:<58}{len(files):>5}{run:>6}{apart:>6}  {row.reason}\n")
    sys.stdout.write("{:<58}{:>5}{:>6}{:>6}\n".format("files, run, not applicable", *totals))
    for name in missed:
        sys.stdout.write(f"not opened by its test: {name}\n")
    return 1 if missed else 0


def _opened(base: Path) -> set[Path]:
    """The vectors that the tests of the table open, all of which pass; ends the program else."""
    from tests.support import vectors

    found: set[Path] = set()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and "vectors" in arguments[0]:
            found.add(Path(arguments[0]))

    sys.addaudithook(watch)
    tests = sorted({test.removesuffix("::*") for row in vectors.TABLE for test in row.tests})
    code = pytest.main(
        ["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
        + [str(ROOT / "tests" / test) for test in tests]
    )
    if code is not pytest.ExitCode.OK:
        sys.exit(int(code))
    return {path for path in found if path.is_relative_to(base)}


if __name__ == "__main__":
    sys.exit(main())
