#!/usr/bin/env python3
"""Takes out each numbered verification step in turn, and shows which test notices.

usage: scripts/mutate.py [--only CRED-03 …] [--sample N --seed S] [--json]

Exit code 0 when every step has a test that fails without it, 1 when one survives. New steps are
found by themselves (tests/support/mutation.py says how).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.mutation import Step

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Runs the tests against every chosen step."""
    from tests.support.mutation import Mutator, find_steps, test_files

    asked = _arguments()
    steps = _chosen(find_steps(), asked)

    def told(step: Step, killer: str) -> None:
        if not asked.json:
            sys.stdout.write(f"{step!s:<72} {killer.rpartition('/')[2] or 'SURVIVES'}\n")
            sys.stdout.flush()

    mutator = Mutator(steps, workers=os.cpu_count() or 1, told=told)
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--capture=fd"]
    collected = io.StringIO()
    with contextlib.redirect_stderr(collected):
        code = pytest.main([*quiet, "--rootdir", str(ROOT), *test_files(steps)], plugins=[mutator])
    survivors = [step for step in steps if not mutator.killers.get(step)]
    if asked.json:
        killers = {str(step): mutator.killers.get(step) or None for step in steps}
        sys.stdout.write(json.dumps(killers, indent=2) + "\n")
    else:
        sys.stdout.write(f"{len(steps)} steps, {len(survivors)} survive\n")
    return 1 if survivors or code is not pytest.ExitCode.OK else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", help="numbers of steps")
    parser.add_argument("--sample", type=int, help="so many steps, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _chosen(steps: list[Step], asked: argparse.Namespace) -> list[Step]:
    """The steps with the numbers asked for, or a sample of all."""
    if asked.only:
        return [step for step in steps if step.number in asked.only]
    if asked.sample is None or asked.sample >= len(steps):
        return steps
    return sorted(random.Random(asked.seed).sample(steps, asked.sample))  # noqa: S311 a sample


if __name__ == "__main__":
    sys.exit(main())
