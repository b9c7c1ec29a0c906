"""Base64url without padding (RFC 4648 §5, RFC 7515 §2), in exactly one spelling per byte string.

The standard library drops foreign characters and ignores left-over bits; two texts would then
carry the same bytes. Here a text is accepted only if encoding its bytes gives the text again.
"""

from __future__ import annotations

import base64
import binascii

from schemas.errors import MalformedError


def encode(data: bytes) -> str:
    """`data` as base64url text without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str, *, pointer: str = "") -> bytes:
    """The bytes of canonical base64url `text`; raises MalformedError `base64url_malformed`."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        data = None
    if data is None or encode(data) != text:
        raise MalformedError(
            "base64url_malformed", "not canonical base64url without padding", pointer=pointer
        )
    return data
