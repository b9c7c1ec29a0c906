"""A signature that does not hold: one bit of it turned.

Letters written over its end may stand there already, and the last letter of a text in base64url
may hold bits that nobody reads.
"""

from __future__ import annotations

from protocols import base64url


def turned(text: str) -> str:
    """A text that ends in `.<signature in base64url>`, with the signature's last bit turned."""
    head, _, signature = text.rpartition(".")
    value = bytearray(base64url.decode(signature))
    value[-1] ^= 1
    return f"{head}.{base64url.encode(bytes(value))}"
