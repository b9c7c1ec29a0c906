"""A port that was given out is its asker's: no other search finds it, its listener may take it."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from testnet import ports


def listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_no_port_is_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    start = ports.free_port()
    monkeypatch.setattr(ports, "OTHERS", range(start, start + ports.ATTEMPTS))
    found = [ports.free_port() for _ in range(100)]
    assert len({start, *found}) == 101


def test_another_process_does_not_find_it_before_its_node_listens() -> None:
    port = ports.free_port()
    search = (
        "from testnet import ports\n"
        f"ports.OTHERS = range({port}, {port} + 1); ports.ATTEMPTS = 1\n"
        "try: print(ports.free_port())\n"
        "except OSError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", search], capture_output=True, text=True, timeout=120, check=True
    )
    assert told.stdout == "no free loopback port among 1 that were tried\n", told.stderr


def test_its_node_may_listen_there_stop_and_listen_again() -> None:
    port = ports.free_port()
    for _ in range(2):
        with listening(port) as listener, socket.create_connection(("127.0.0.1", port), 5):
            listener.accept()[0].close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_preferred_ports_are_taken_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    block = ports.free_port()
    monkeypatch.setattr(ports, "PREFERRED", block - 1)  # its second is kept already
    low, high = range(20_000, block - 1), range(block + 2, 32_000)  # nor are they found by chance
    monkeypatch.setattr(ports, "OTHERS", max(low, high, key=len))
    others = ports.free_ports(3)
    assert len(set(others)) == 3
    assert not {block - 1, block, block + 1} & set(others)


def test_only_so_many_are_kept() -> None:
    for _ in range(ports.KEPT + 5):
        ports.free_port()
    assert len(ports._kept) == ports.KEPT
