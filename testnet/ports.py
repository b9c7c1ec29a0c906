"""Loopback ports for nodes on one machine.

Never from the range the system hands to outgoing connections (Linux: 32768 to 60999): a port found
free there may be somebody's own end of a connection by the time a node wants it.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from typing import Final

PREFERRED: Final = 8471
OTHERS = range(20_000, 32_000)
ATTEMPTS: Final = 500


def free_ports(count: int) -> list[int]:
    """`count` different free loopback ports: from 8471 on when those are free, else others.

    They are held together while they are looked for, so that no two are the same. Raises OSError
    when there are not that many.
    """
    with ExitStack() as held:
        try:
            return [_bound(held, PREFERRED + offset) for offset in range(count)]
        except OSError:
            held.close()
        return [_other(held) for _ in range(count)]


def free_port() -> int:
    """One free loopback port, never one of the preferred ones."""
    with ExitStack() as held:
        return _other(held)


def _other(held: ExitStack) -> int:
    for port in random.sample(OTHERS, ATTEMPTS):
        try:
            return _bound(held, port)
        except OSError:
            continue
    raise OSError(f"no free loopback port among {ATTEMPTS} that were tried")


def _bound(held: ExitStack, port: int) -> int:
    probe = held.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", port))
    return port
