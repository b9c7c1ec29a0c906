"""Shared files as parameters of a test, without failing the collection where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

from tests.shared import ROOT


def files(relative: str, pattern: str = "*") -> list[Path]:
    """The files of a shared folder, sorted; none when it is absent, unless CI is set."""
    folder = Path(os.environ.get("PRATIQUE_SHARED", ROOT.parent / "shared")) / relative
    if not folder.is_dir() and os.environ.get("CI"):
        raise FileNotFoundError(folder)
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def name_of(path: Path) -> str:
    """For the ids of parameters."""
    return path.name
