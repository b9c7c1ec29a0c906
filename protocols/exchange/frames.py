"""A request's body, `application/px-seq`: length-prefixed frames (PX/1).

Per message ``[u32 length][manifest JWS, ASCII][u32 length][body]``, lengths big-endian. At most 100
messages and 8 MiB of bodies. Reading takes no length on trust: each is checked against the cap and
against what is left before anything is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.exchange.manifest import MAX_BODY_BYTES, MAX_MANIFEST_BYTES
from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEDIA_TYPE = "application/px-seq"
MAX_ITEMS = 100
MAX_BODIES_BYTES = MAX_BODY_BYTES
MAX_BATCH_BYTES = MAX_BODIES_BYTES + MAX_ITEMS * (MAX_MANIFEST_BYTES + 8)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it travels: the manifest's JWS text and the body's bytes."""

    manifest: str
    body: bytes


def encode(frames: Iterable[Frame]) -> bytes:
    """The request body. Raises TooLargeError `batch_too_large` beyond a cap."""
    parts: list[bytes] = []
    bodies = 0
    for count, frame in enumerate(frames, 1):
        manifest = frame.manifest.encode("ascii")
        bodies += len(frame.body)
        if count > MAX_ITEMS or bodies > MAX_BODIES_BYTES or len(manifest) > MAX_MANIFEST_BYTES:
            raise _too_large()
        parts += len(manifest).to_bytes(4, "big"), manifest
        parts += len(frame.body).to_bytes(4, "big"), frame.body
    return b"".join(parts)


def decode(data: bytes) -> tuple[Frame, ...]:
    """The 1 to 100 frames of a request body.

    Raises MalformedError `batch_malformed` when the lengths do not add up, a manifest is not ASCII
    or nothing is there; TooLargeError `batch_too_large` beyond a cap.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise _too_large()
    frames: list[Frame] = []
    bodies = 0
    pieces = _pieces(data)
    for manifest in pieces:
        body = next(pieces, None)
        if body is None:
            raise _malformed("a manifest without a body")
        bodies += len(body)
        if len(frames) == MAX_ITEMS or bodies > MAX_BODIES_BYTES:
            raise _too_large()
        frames.append(Frame(_ascii(manifest), body))
    if not frames:
        raise _malformed("no message at all")
    return tuple(frames)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Manifest, body, manifest, body, …, each within its own cap and within `data`."""
    offset, is_manifest = 0, True
    while offset < len(data):
        start = offset + 4
        length = int.from_bytes(data[offset:start], "big")
        if length > (MAX_MANIFEST_BYTES if is_manifest else MAX_BODY_BYTES):
            raise _too_large()
        if start + length > len(data):
            raise _malformed("a frame is cut off")
        yield data[start : start + length]
        offset, is_manifest = start + length, not is_manifest


def _ascii(manifest: bytes) -> str:
    try:
        return manifest.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("a manifest is ASCII") from None


def _malformed(detail: str) -> MalformedError:
    return MalformedError("batch_malformed", detail)


def _too_large() -> TooLargeError:
    return TooLargeError(
        "batch_too_large", f"a batch has at most {MAX_ITEMS} messages and {MAX_BODIES_BYTES} bytes"
    )
