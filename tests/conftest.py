"""Puts the repository root on the import path and fixes hypothesis profiles."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# What guards a landing draws the same examples every time: it fails for the change or not at all.
# New examples are drawn by the long profile (`make test-all`).
settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
if settings.default.derandomize:
    # hypothesis also draws what stands in the sources of the modules that happen to be imported,
    # which depends on the tests that this process has run before.
    providers._get_local_constants = lambda: providers._local_constants
