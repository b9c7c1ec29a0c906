"""Entry bundles, C2SP tlog-tiles: log entries, each after its big-endian 16-bit length."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.errors import MalformedError

MAX_ENTRY = 65_535


def bundle(entries: Iterable[bytes]) -> bytes:
    """The bundle of entries of at most `MAX_ENTRY` bytes each."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; raises MalformedError `log_request_malformed`."""
    found, at = [], 0
    while at < len(data):
        entry, at = take(data, at)
        found.append(entry)
    return found


def take(data: bytes, at: int) -> tuple[bytes, int]:
    """The entry that begins at `at` and where the next one does; raises as `unbundle`."""
    start = at + 2
    end = start + int.from_bytes(data[at:start], "big")
    if start > len(data) or end > len(data):
        raise MalformedError("log_request_malformed", "an entry bundle is cut off")
    return data[start:end], end
