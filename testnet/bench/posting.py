"""A process that posts bodies to a node and does nothing else, so that it costs the node nothing.

`python -m testnet.bench.posting <port> <path> <connections> <file>`; the file holds the bodies,
each behind its length in eight hex digits. Exit code 1 when any answer was another than 200.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LENGTH = 8
_OK = b"HTTP/1.1 200 "
_SIZE = b"content-length: "


def packed(bodies: Iterable[bytes]) -> bytes:
    """The bodies as the file holds them."""
    return b"".join(b"%08x%b" % (len(body), body) for body in bodies)


def unpacked(data: bytes) -> Iterator[bytes]:
    """The bodies of a file."""
    at = 0
    while at < len(data):
        size = int(data[at : at + LENGTH], 16)
        at += LENGTH + size
        yield data[at - size : at]


async def post(port: int, path: str, connections: int, bodies: Iterator[bytes]) -> int:
    """Posts all bodies over so many connections, each waiting for its answer; how many were 200."""
    return sum(await asyncio.gather(*(_post(port, path, bodies) for _ in range(connections))))


async def _post(port: int, path: str, bodies: Iterator[bytes]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    for body in bodies:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        size = answer.lower().partition(_SIZE)[2].partition(b"\r\n")[0]
        await reader.readexactly(int(size))
        done += answer.startswith(_OK)
    writer.close()
    return done


def main(arguments: list[str]) -> int:
    """See the module."""
    port, path, connections, file = arguments
    bodies = list(unpacked(Path(file).read_bytes()))
    done = asyncio.run(post(int(port), path, int(connections), iter(bodies)))
    return 0 if done == len(bodies) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
