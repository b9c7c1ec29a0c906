"""Ending background tasks for certain.

Until Python 3.12, `asyncio.wait_for` can swallow a cancellation that arrives in the moment in
which what it waits for is done; a task that loops around it then lives on. So a task is cancelled
until it is done, and deadlines here are `asyncio.timeout`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_AGAIN_SECONDS = 0.25
_TRIES = 40


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks until each is done."""
    left = {task for task in tasks if not task.done()}
    for _ in range(_TRIES):
        if not left:
            break
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
