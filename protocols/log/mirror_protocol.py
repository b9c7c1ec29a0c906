"""What a log and its mirrors say to each other: C2SP tlog-mirror, ``add-entries``.

A mirror first gets the checkpoint (tlog-witness, *add-checkpoint*), then the entries below it in
packages of at most 256, each with the proof that it is a subtree of that checkpoint. Whatever was
proven may be kept, so an upload can break off and go on anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocols.log import checkpoint, entry_bundle, note
from protocols.log.merkle import HASH_SIZE, Proof
from schemas.errors import MalformedError

MEDIA_TYPE = "application/octet-stream"
INFO_MEDIA_TYPE = "text/x.tlog.mirror-info"
PACKAGE = 256
MAX_PACKAGES = 32
"""Packages that a client sends in one request (*Implementation Considerations*)."""
MAX_HASHES = 63
MAX_TICKET = 65_535


@dataclass(frozen=True, slots=True)
class Upload:
    """The head of an ``add-entries`` request: which entries of which log, and the mirror's ticket.

    start, end: the interval of indexes; `end` is the size of a checkpoint that the mirror has
    """

    origin: str
    start: int
    end: int
    ticket: bytes = b""

    def to_bytes(self) -> bytes:
        """The bytes before the first package."""
        origin = self.origin.encode()
        return b"".join(
            (
                len(origin).to_bytes(2, "big"),
                origin,
                self.start.to_bytes(8, "big"),
                self.end.to_bytes(8, "big"),
                len(self.ticket).to_bytes(2, "big"),
                self.ticket,
            )
        )

    def packages(self) -> Iterator[Package]:
        """The canonical sequence, aligned at multiples of 256."""
        if self.start == self.end:
            return
        for low in range(self.start - self.start % PACKAGE, self.end, PACKAGE):
            yield Package(low, max(self.start, low), min(self.end, low + PACKAGE))


@dataclass(frozen=True, slots=True)
class Package:
    """The entries start…end−1, which belong to the bundle that begins at `low`."""

    low: int
    start: int
    end: int

    def to_bytes(self, entries: Sequence[bytes], proof: Proof) -> bytes:
        """The package; `proof` shows [low, end) in the tree of the upload's end."""
        return entry_bundle.bundle(entries) + bytes((len(proof),)) + b"".join(proof)

    def read(self, data: bytes, at: int) -> tuple[list[bytes], Proof, int]:
        """Entries, proof and where the next package begins.

        Raises MalformedError `mirror_request_malformed` when the data is cut off before that.
        """
        entries = []
        try:
            for _ in range(self.start, self.end):
                entry, at = entry_bundle.take(data, at)
                entries.append(entry)
        except MalformedError:
            raise _malformed("a package is cut off") from None
        if at >= len(data) or data[at] > MAX_HASHES:
            raise _malformed(f"a package ends in at most {MAX_HASHES} hashes")
        first, end = at + 1, at + 1 + HASH_SIZE * data[at]
        if end > len(data):
            raise _malformed("a package is cut off")
        proof = tuple(data[here : here + HASH_SIZE] for here in range(first, end, HASH_SIZE))
        return entries, proof, end


def parse_upload(data: bytes) -> tuple[Upload, int]:
    """The head of a request and where its packages begin.

    Raises MalformedError `mirror_request_malformed`.
    """
    reader = _Reader(data)
    try:
        origin = reader.take(reader.number(2)).decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("an origin is UTF-8") from None
    start, end = reader.number(8), reader.number(8)
    ticket = reader.take(reader.number(2))
    if start > end or end > checkpoint.MAX_SIZE:
        raise _malformed("an upload begins before its end")
    return Upload(origin, start, end, ticket), reader.at


class _Reader:
    """Takes fields from the front of a request."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise _malformed("a request is cut off")
        taken, self.at = self._data[self.at : end], end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")


@dataclass(frozen=True, slots=True)
class MirrorInfo:
    """Where a mirror stands (202 and 409): a checkpoint's size, the next entry, its ticket."""

    size: int
    next_entry: int
    ticket: bytes = b""

    def to_text(self) -> str:
        """The three lines."""
        return f"{self.size}\n{self.next_entry}\n{note.encode64(self.ticket)}\n"


def parse_info(data: bytes) -> MirrorInfo:
    """Raises MalformedError `mirror_request_malformed`, `checkpoint_malformed`."""
    lines = data[: 2 * MAX_TICKET].decode("utf-8", "replace").split("\n")
    if len(lines) != 4 or lines[3]:
        raise _malformed("a mirror tells three lines")
    ticket = note.decode64(lines[2], code="mirror_request_malformed")
    return MirrorInfo(checkpoint.parse_size(lines[0]), checkpoint.parse_size(lines[1]), ticket)


def _malformed(detail: str) -> MalformedError:
    return MalformedError("mirror_request_malformed", detail)
