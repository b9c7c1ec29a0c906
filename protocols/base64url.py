"""Base64url without padding (RFC 4648 §5, RFC 7515 §2), in exactly one spelling per byte string.

The standard library's decoder drops foreign characters and ignores left-over bits; two texts would
then carry the same bytes. Here a text is accepted only if encoding its bytes gives the text again:
the strict decoder refuses every foreign character, so the left-over bits of the last group, and
the absence of padding, are all that remains to be compared.
"""

from __future__ import annotations

import base64
import binascii

from schemas.errors import MalformedError

#: To the standard alphabet, whose own characters, and padding, become foreign ones.
_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")


def encode(data: bytes) -> str:
    """`data` as base64url text without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str, *, pointer: str = "") -> bytes:
    """The bytes of canonical base64url `text`; raises MalformedError `base64url_malformed`."""
    try:
        standard = text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(standard, strict_mode=True)
    except (ValueError, binascii.Error):
        data = None
    over = len(text) % 4
    if data is None or (over and encode(data[-(over - 1) :]) != text[-over:]):
        raise MalformedError(
            "base64url_malformed", "not canonical base64url without padding", pointer=pointer
        )
    return data
