"""Where the shared vectors, standards and story are found by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_path(relative: str) -> Path:
    """The path of shared test data. Skips with a reason where absent; with CI set, fails."""
    base = Path(os.environ.get("PRATIQUE_SHARED", ROOT.parent / "shared"))
    path = base / relative
    if not path.exists():
        reason = f"shared test data {relative} is not here (PRATIQUE_SHARED names its folder)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
