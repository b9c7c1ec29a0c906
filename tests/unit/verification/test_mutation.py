"""No verification step is there in vain: without any one of them a test fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from protocols.verify import STEPS, Case, foreign_steps
from protocols.verify.credential_steps import cred_07_time
from schemas.catalogue import catalogue
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.mutation import ROOT, Step, find_steps, take_out

SCRIPT = ROOT / "scripts" / "mutate.py"


def mutated(*arguments: str) -> tuple[int, dict[str, str | None]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout, done.stderr
    told = done.stdout
    return done.returncode, json.loads(told[told.index("{") : told.rindex("}") + 1])


def test_every_check_of_the_catalogue_is_a_step_that_can_be_taken_out() -> None:
    steps = find_steps()
    numbered = re.compile(r"(?!FSCK|PRE)[A-Z]+-\d\d")  # those look after stores, and foretell
    checks = {code for code, entry in catalogue().items() if entry.kind == "check"}
    assert {step.number for step in steps} == set(filter(numbered.fullmatch, checks))
    found = {step.resolve() for step in steps}
    assert {*STEPS, *foreign_steps.STEPS} <= found


def test_a_step_that_is_taken_out_passes_everything_and_comes_back() -> None:
    step = Step("CRED-07", "protocols.verify.credential_steps", "cred_07_time")
    case = world_case(datetime(2050, 1, 1, tzinfo=UTC))
    put_back = take_out(step)
    try:
        assert cred_07_time(case).outcome is Outcome.PASSED
        assert STEPS[6](case).outcome is Outcome.PASSED
    finally:
        put_back()
    assert cred_07_time(case).outcome is Outcome.FAILED


def world_case(at: datetime) -> Case:
    case = Case(world.issued().to_bytes(), world.MEMBERS, at)
    case.open()
    return case


@pytest.mark.timeout(900)
def test_without_some_step_a_test_fails() -> None:
    """The same steps in every run that guards a landing; the long form takes all."""
    code, killers = mutated("--sample", "6", "--seed", "0")
    assert code == 0, killers
    assert len(killers) == 6
    assert all(killers.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_any_step_a_test_fails() -> None:
    code, killers = mutated()
    assert code == 0, {step for step, killer in killers.items() if not killer}
