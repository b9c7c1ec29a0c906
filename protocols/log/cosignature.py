"""Witness cosignatures, C2SP tlog-cosignature: timestamped, by Ed25519 (0x04) or ML-DSA-44 (0x06).

A cosignature says: at this time, the largest consistent tree that I saw of this log is this one.
The ML-DSA-44 line signs size and root of the checkpoint, or of a subtree, and the witness's name.
"""

from __future__ import annotations

from protocols.log import checkpoint
from protocols.log.note import COSIGNATURE, ML_DSA_44, Sign, Signature, VerifierKey
from schemas.errors import MalformedError, RefusedError

#: The end of the year 9999. The format allows more; no clock that tells more is to be believed.
MAX_TIME = 253_402_300_799
_SIZES = {COSIGNATURE: 64, ML_DSA_44: 2420}
_LABEL = b"subtree/v1\n\x00"


def message(body: str, time: int) -> bytes:
    """What Ed25519 signs: two header lines and the whole checkpoint text."""
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def subtree_message(
    name: str, time: int, origin: str, start: int, end: int, subtree_hash: bytes
) -> bytes:
    """What ML-DSA-44 signs, a ``cosigned_message``: cosigner, time, and [start, end) of a log.

    Raises MalformedError `checkpoint_malformed` for names that the structure cannot hold.
    """
    return b"".join(
        (
            _LABEL,
            _opaque(name),
            time.to_bytes(8, "big"),
            _opaque(origin),
            start.to_bytes(8, "big"),
            end.to_bytes(8, "big"),
            subtree_hash,
        )
    )


def _opaque(name: str) -> bytes:
    data = name.encode()
    if not 0 < len(data) < 256:
        raise MalformedError("checkpoint_malformed", "a cosigned name has 1 to 255 bytes")
    return bytes((len(data),)) + data


def _message(body: str, time: int, key: VerifierKey) -> bytes:
    if key.algorithm == COSIGNATURE:
        return message(body, time)
    head = checkpoint.parse_body(body)
    return subtree_message(key.name, time, head.origin, 0, head.size, head.root)


def sign(body: str, time: int, key: VerifierKey, sign_with: Sign) -> Signature:
    """The signature line over checkpoint text `body` at `time` (POSIX seconds)."""
    if key.algorithm not in _SIZES or not 0 < time <= MAX_TIME:
        raise ValueError("a type 0x04 or 0x06 key signs at a positive POSIX time")
    signature = sign_with(_message(body, time, key))
    return Signature(key.name, key.key_id, time.to_bytes(8, "big") + signature)


def verify(body: str, line: Signature, key: VerifierKey) -> int:
    """The POSIX time at which `key` cosigned `body`.

    Raises RefusedError `cosignature_invalid` when the line is by another key or does not verify.
    """
    size = _SIZES.get(key.algorithm, 0)
    if not size or not line.names(key) or len(line.value) != 8 + size:
        raise RefusedError("cosignature_invalid", "not a cosignature by the expected key")
    time = int.from_bytes(line.value[:8], "big")
    if not 0 < time <= MAX_TIME or not key.verifies(_message(body, time, key), line.value[8:]):
        raise RefusedError("cosignature_invalid", "the cosignature does not verify")
    return time
