"""Two nodes that know each other."""

from __future__ import annotations

import pytest

from tests.support.exchange_world import world


@pytest.fixture
async def pair(tmp_path):
    async with world(tmp_path, "a", "b") as made:
        yield made["a"], made["b"]
