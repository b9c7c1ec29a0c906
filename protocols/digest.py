"""The one hash of the project: SHA-256 (FIPS 180-4), raw bytes inside, lowercase hex outside."""

from __future__ import annotations

import hashlib
import re

from schemas.errors import MalformedError

SIZE = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def sha256(data: bytes) -> bytes:
    """The 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def from_hex(text: object, *, pointer: str = "") -> bytes:
    """The 32 bytes written as 64 lowercase hexadecimal digits; raises `digest_malformed`."""
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise MalformedError(
            "digest_malformed", "a digest is 64 lowercase hexadecimal digits", pointer=pointer
        )
    return bytes.fromhex(text)
