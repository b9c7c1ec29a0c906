"""Two nodes, one of which verifies what the other issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.documents.status_pair import Pair, two_nodes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    async with two_nodes(tmp_path, monkeypatch) as made:
        yield made
