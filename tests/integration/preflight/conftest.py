"""What the tests of preflights share: patience with a busy machine."""

from __future__ import annotations

import pytest

from node.balance import asking


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register's answer may take longer than an operator would wait."""
    monkeypatch.setattr(asking, "WAIT_SECONDS", 20.0)
