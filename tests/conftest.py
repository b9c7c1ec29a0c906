"""Puts the repository root on the import path and fixes hypothesis profiles."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testnet import ports

settings.register_profile(
    "ci", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def _ports_of_this_worker() -> range:
    """A part of the ports for each process that runs tests: a node that is started again wants the
    one it had, which another process may have found free meanwhile."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    part = len(ports.OTHERS) // 4
    start = ports.OTHERS.start + part * (int(worker) % 4)
    return range(start, start + part)


ports.OTHERS = _ports_of_this_worker()
