"""Status list tokens in CWT form (draft-ietf-oauth-status-list §5.2) as an issuer writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import cbor2

if TYPE_CHECKING:
    from protocols.keys import Signer

#: The numbers of algorithms in COSE (RFC 9053 §2, RFC 9864, RFC 9964).
NUMBERS = {"ES256": -7, "ES384": -35, "EdDSA": -8, "Ed25519": -19, "ML-DSA-65": -49}
SUB, EXP, IAT, STATUS_LIST, TTL = 2, 4, 6, 65533, 65534
TYP = "application/statuslist+cwt"


def cwt(
    signer: Signer,
    claims: Mapping[int, object] | bytes,
    *,
    header: Mapping[object, object] | bytes | None = None,
    unprotected: Mapping[object, object] | None = None,
    tag: int | None = 18,
) -> bytes:
    """A signed list token; `header` is what the protected header differs in (None takes out)."""
    named = {1: NUMBERS[signer.algorithm], 4: signer.kid.encode(), 16: TYP}
    if isinstance(header, bytes):
        protected = header
    else:
        changed = {**named, **(header or {})}
        protected = cbor2.dumps({at: value for at, value in changed.items() if value is not None})
    payload = claims if isinstance(claims, bytes) else cbor2.dumps(dict(claims))
    signature = signer.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    parts = [protected, dict(unprotected or {}), payload, signature]
    return cbor2.dumps(parts if tag is None else cbor2.CBORTag(tag, parts))
