"""The forms a document file comes in, told apart by their first line, each read by its own module.

A tilde makes an SD-JWT (RFC 9901 §4), anything else is a compact JWS with or without bytes beside
it. The module then insists on the typ of its form (R1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import jws
from protocols.credentials import credential, sd_credential

if TYPE_CHECKING:
    from protocols.credentials.credential import CredentialClaims, OpenedFile
    from protocols.jws import Jws

TYPES = frozenset({credential.TYP, *sd_credential.FORMS})
MEDIA_TYPES = (
    *(f"application/{typ}" for typ in sorted(TYPES)),
    credential.MEDIA_TYPE_BESIDE,
)


def is_selective(data: bytes) -> bool:
    """Whether the file is an SD-JWT by its looks."""
    return b"~" in data.partition(b"\n")[0]


def open_file(data: bytes) -> OpenedFile:
    """The file opened and parsed once; raises as `open_file` of the form's module."""
    return sd_credential.open_file(data) if is_selective(data) else credential.open_file(data)


def parse_signature(data: bytes) -> Jws:
    """The issuer's JWS of a file that may not open as a whole; raises as `jws.parse`."""
    if is_selective(data):
        return sd_credential.parse(data).jws
    line = data[: credential.MAX_FILE_BYTES].partition(b"\n")[0]
    text = line.partition(b" ")[0].decode("ascii", "replace")
    return jws.parse(text, typ=credential.TYP, max_bytes=credential.MAX_FILE_BYTES)


def read(signed: Jws) -> CredentialClaims:
    """The claims in a parsed signature of any form, as they show with nothing disclosed."""
    if signed.header.typ in sd_credential.FORMS:
        return sd_credential.read(signed)
    return credential.read(signed)
