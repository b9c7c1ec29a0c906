"""The measured envelopes are real ones: another platform's, received whole, answered with RECE."""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from testnet.bench import bills, ebl, posting

if TYPE_CHECKING:
    from pathlib import Path


def test_each_way_of_receiving_is_measured_in_one_run(tmp_path: Path) -> None:
    parts: list[float] = []
    found = asyncio.run(ebl.received(tmp_path, 0, parts.append, turn=0.01, batch=4))
    assert all(rate > 0 for rate in found.values())
    lines = ebl.lines_of(found)
    assert {line.id for line in lines} < {*found}
    assert parts[-1] == 1.0


def test_an_envelope_that_is_not_received_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bills.Senders.envelope
    once: list[bytes] = []

    def again(self: bills.Senders) -> bytes:
        once[:] = once or [made(self)]
        return once[0]

    monkeypatch.setattr(bills.Senders, "envelope", again)
    with pytest.raises(AssertionError, match="not received"):
        asyncio.run(ebl.received(tmp_path, 0, lambda _: None, turn=0.01, batch=4))


@pytest.mark.parametrize(("rate", "met"), [(249.0, False), (250.0, True)])
def test_the_target_is_what_the_signatures_of_an_envelope_allow(rate: float, met: bool) -> None:
    best = dict.fromkeys(("http", "path", "wall", "build", "chain"), rate)
    lines = ebl.lines_of(best | {"openssl.verify": 4000.0})
    assert [line.met for line in lines] == [met, None, None, None, None]
    assert lines[0].ratio == rate / 1000


def test_bodies_are_read_as_they_were_written() -> None:
    bodies = [b"", b"{}", b"x" * 70_000]
    assert list(posting.unpacked(posting.packed(bodies))) == bodies


def test_another_answer_than_ok_is_told() -> None:
    async def refused() -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 2\r\n\r\n{}")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await posting.post(port, "/", 1, repeat(b"{}", 1))

    assert asyncio.run(refused()) == 0
