"""Loopback ports for nodes on one machine: free when chosen, and kept for whoever asked.

Never from the range the system hands to outgoing connections (Linux: 32768 to 60999): a port found
free there may be somebody's own end of a connection by the time a node wants it.

A port that is merely *found* free may be found once more before its node listens. So it is kept by
a socket that is bound, does not listen, and allows reuse: a listener that sets SO_REUSEADDR, as
asyncio and every server here do, may take the port; the next search, which does not, may not.
"""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from contextlib import ExitStack
from typing import Final

PREFERRED: Final = 8471
OTHERS = range(20_000, 32_000)
ATTEMPTS: Final = 500
#: Ports kept at a time; each costs a file descriptor, and a node listens long before so many more.
KEPT: Final = 256

_kept: deque[int] = deque()


def free_ports(count: int) -> list[int]:
    """`count` different free loopback ports: from 8471 on when those are free, else others.

    Raises OSError when there are not that many.
    """
    with ExitStack() as held:
        try:
            return _keep([_bound(held, PREFERRED + offset) for offset in range(count)])
        except OSError:
            held.close()
        return _keep([_other(held) for _ in range(count)])


def free_port() -> int:
    """One free loopback port, never one of the preferred ones."""
    with ExitStack() as held:
        return _keep([_other(held)])[0]


def _other(held: ExitStack) -> socket.socket:
    for port in random.sample(OTHERS, ATTEMPTS):
        try:
            return _bound(held, port)
        except OSError:
            continue
    raise OSError(f"no free loopback port among {ATTEMPTS} that were tried")


def _bound(held: ExitStack, port: int) -> socket.socket:
    probe = held.enter_context(socket.socket())
    probe.bind(("127.0.0.1", port))
    return probe


def _keep(found: list[socket.socket]) -> list[int]:
    """Their ports; what keeps them is detached, so that it outlives these sockets."""
    numbers = [one.getsockname()[1] for one in found]
    for one in found:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept.append(one.detach())
    while len(_kept) > KEPT:
        os.close(_kept.popleft())
    return numbers
