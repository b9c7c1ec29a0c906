"""Base64url without padding (RFC 4648 §5, RFC 7515 §2), in exactly one spelling per byte string.

The standard library's decoder drops foreign characters and ignores left-over bits; two texts would
then carry the same bytes. Here a text is accepted only if encoding its bytes gives the text again:
the strict decoder refuses every foreign character, so the left-over bits of the last group, and
the absence of padding, are all that remains to be looked at.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: To the standard alphabet, whose own characters, and padding, become foreign ones.
_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_URL = bytes.maketrans(b"+/", b"-_")
#: Characters over the last whole group → its last ones that leave the left-over bits zero.
_LAST = ("", "", "AQgw", "AEIMQUYcgkosw048")
#: Characters over the last whole group → what fills it up, and the bytes that they stand for.
_FILL, _BYTES = ("", "AAA", "AA", "A"), (0, 0, 1, 2)


def encode(data: bytes) -> str:
    """`data` as base64url text without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL).decode("ascii")


def encode_each(items: Sequence[bytes]) -> list[str]:
    """As `encode` for each of many short byte strings of one size."""
    if not items:
        return []
    size = len(items[0])
    fill = bytes(-size % 3)
    # Filled up to whole groups by zeros: the bits left over are zero in `encode`, too.
    whole = binascii.b2a_base64(b"".join([item + fill for item in items]), newline=False)
    text = whole.translate(_URL).decode("ascii")
    step, shown = len(text) // len(items), (8 * size + 5) // 6
    return [text[start : start + shown] for start in range(0, len(text), step)]


def decode(text: str, *, pointer: str = "") -> bytes:
    """The bytes of canonical base64url `text`; raises MalformedError `base64url_malformed`."""
    try:
        standard = text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(standard, strict_mode=True)
    except (ValueError, binascii.Error):
        data = None
    over = len(text) % 4
    if data is None or (over and text[-1] not in _LAST[over]):
        raise MalformedError(
            "base64url_malformed", "not canonical base64url without padding", pointer=pointer
        )
    return data


def decode_each(texts: Sequence[str], *, pointer: str = "") -> list[bytes]:
    """As `decode` for each of many short texts, which cost more in calls than in characters."""
    try:
        # Filled up to whole groups by zeros: the texts then follow each other in one.
        whole = "".join([text + _FILL[len(text) % 4] for text in texts])
        data = binascii.a2b_base64(whole.encode("ascii").translate(_STANDARD), strict_mode=True)
    except (ValueError, binascii.Error):
        return [decode(text, pointer=pointer) for text in texts]
    parts, start = [], 0
    for text in texts:
        groups, over = divmod(len(text), 4)
        if over and text[-1] not in _LAST[over]:
            decode(text, pointer=pointer)  # raises
        end = start + 3 * groups
        parts.append(data[start : end + _BYTES[over]])
        start = end + 3 if over else end
    return parts
