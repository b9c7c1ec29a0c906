"""Witness cosignatures, C2SP tlog-cosignature v1: timestamped Ed25519, type 0x04.

A cosignature says: at this time, the largest consistent tree that I saw of this log is this one.
"""

from __future__ import annotations

from protocols.note import COSIGNATURE, Sign, Signature, VerifierKey
from schemas.errors import RefusedError

#: The end of the year 9999. The format allows more; no clock that tells more is to be believed.
MAX_TIME = 253_402_300_799


def message(body: str, time: int) -> bytes:
    """What is signed: two header lines and the whole checkpoint text."""
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def sign(body: str, time: int, key: VerifierKey, sign_with: Sign) -> Signature:
    """The signature line over checkpoint text `body` at `time` (POSIX seconds)."""
    if key.algorithm != COSIGNATURE or not 0 < time <= MAX_TIME:
        raise ValueError("a type 0x04 key signs at a positive POSIX time")
    return Signature(key.name, key.key_id, time.to_bytes(8, "big") + sign_with(message(body, time)))


def verify(body: str, line: Signature, key: VerifierKey) -> int:
    """The POSIX time at which `key` cosigned `body`.

    Raises RefusedError `cosignature_invalid` when the line is by another key or does not verify.
    """
    time = int.from_bytes(line.value[:8], "big")
    if key.algorithm != COSIGNATURE or not line.names(key) or len(line.value) != 72:
        raise RefusedError("cosignature_invalid", "not a cosignature by the expected key")
    if not 0 < time <= MAX_TIME or not key.verifies(message(body, time), line.value[8:]):
        raise RefusedError("cosignature_invalid", "the cosignature does not verify")
    return time
