"""The measures of the log's engine measure what they say; how fast is no test's business."""

from __future__ import annotations

import pytest

from testnet.bench import log_engine


@pytest.mark.parametrize("one_commit", [True, False])
async def test_appending_is_counted(one_commit: bool):
    assert await log_engine.append_rate(5, 0.05, one_commit=one_commit) > 0


async def test_a_restart_is_timed():
    assert 0 < await log_engine.restart_seconds(600) < 60
