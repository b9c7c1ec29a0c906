"""COSE_Sign1 (RFC 9052 §4.2): what is common to all that is read and written in it.

Always tagged, payload inside. Which parameters of the headers may stand is the caller's to say;
the algorithm is one of the table (R3), and a label nobody knows is never passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cbor2

from protocols import strict_cbor
from protocols.keys import is_known
from protocols.strict_cbor import CborValue, Label
from schemas.errors import MalformedError, RefusedError

#: RFC 9052 §3.1, RFC 9596: labels of header parameters.
ALG, CONTENT, KID, TYP = 1, 3, 4, 16
#: RFC 9053 §2, RFC 9864, RFC 9964: COSE algorithm number → its name in the table of algorithms.
ALGORITHMS: Mapping[int, str] = MappingProxyType(
    {
        -7: "ES256",
        -35: "ES384",
        -36: "ES512",
        -8: "EdDSA",
        -19: "Ed25519",
        -48: "ML-DSA-44",
        -49: "ML-DSA-65",
    }
)
_SIGN1 = 18
_TAGGED = b"\xd2"


@dataclass(frozen=True, slots=True)
class Sign1:
    """One parsed, not yet verified signature; signing_input: the Sig_structure (§4.4)."""

    protected: Mapping[Label, CborValue]
    unprotected: Mapping[Label, CborValue]
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)


def is_tagged(data: bytes) -> bool:
    """Whether the bytes begin as a COSE_Sign1 does."""
    return data.startswith(_TAGGED)


def parse(data: bytes, code: str) -> Sign1:
    """The tagged COSE_Sign1 in `data`, of a size its caller has capped.

    Raises MalformedError `code`.
    """
    parts = strict_cbor.loads(data[1:], code) if is_tagged(data) else None
    if not isinstance(parts, list) or len(parts) != 4:
        raise MalformedError(code, "COSE_Sign1 is tagged and has four parts")
    protected, unprotected, payload, signature = parts
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        raise MalformedError(code, "the headers are a byte string and a map")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise MalformedError(code, "payload and signature are byte strings")
    return Sign1(
        protected=strict_cbor.loads_map(protected, code),
        unprotected=unprotected,
        payload=payload,
        signature=signature,
        signing_input=_signing_input(protected, payload),
    )


def algorithm(header: Mapping[Label, CborValue], *, foreign: bool = False) -> str:
    """The name of alg in the table of algorithms; RefusedError `jws_algorithm_unknown`.

    foreign: also what only strangers sign with
    """
    number = header.get(ALG)
    name = ALGORITHMS.get(number) if type(number) is int else None
    if name is None or not is_known(name, foreign=foreign):
        raise RefusedError("jws_algorithm_unknown", "alg names no algorithm in use here")
    return name


def sign(
    payload: bytes,
    header: Mapping[int, object],
    *,
    algorithm_name: str,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """COSE_Sign1 over `payload`, with alg and `header` in the protected header."""
    numbers = {name: number for number, name in ALGORITHMS.items()}
    protected = cbor2.dumps({ALG: numbers[algorithm_name], **header})
    signature = sign(_signing_input(protected, payload))
    return cbor2.dumps(cbor2.CBORTag(_SIGN1, [protected, {}, payload, signature]))


def _signing_input(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload])
