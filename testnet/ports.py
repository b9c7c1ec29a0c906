"""Loopback ports for the test network."""

from __future__ import annotations

import socket
from contextlib import ExitStack

PREFERRED = 8471


def free_ports(count: int) -> list[int]:
    """`count` free loopback ports: those from 8471 on when they are free, else any.

    They are held together while they are looked for, so that no two are the same.
    """
    with ExitStack() as held:
        try:
            return [_bound(held, PREFERRED + offset) for offset in range(count)]
        except OSError:
            held.close()
        return [_bound(held, 0) for _ in range(count)]


def _bound(held: ExitStack, port: int) -> int:
    probe = held.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", port))
    return int(probe.getsockname()[1])
