"""Public keys as Multikey text (W3C Controlled Identifiers 1.0 §2.2.2): `z`, base58btc, a prefix.

The prefix is the multicodec number of the key's kind as an unsigned varint. EC keys are compressed
points (SEC 1 §2.3.3). One key has one text: anything that would not be written again as it was
read is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec

from protocols import base64url, keys
from protocols.keys import PublicKey
from schemas.errors import MalformedError

CODE = "multikey_malformed"
#: Longer texts than any key, signature or digest here; decoding is quadratic in the length.
MAX_CHARACTERS = 200
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = MappingProxyType({letter: at for at, letter in enumerate(_ALPHABET)})
_PREFIXES: Mapping[str, bytes] = MappingProxyType(
    {keys.ED25519: b"\xed\x01", keys.ES256: b"\x80\x24", keys.ES384: b"\x81\x24"}
)
_CURVES: Mapping[str, tuple[ec.EllipticCurve, str, int]] = MappingProxyType(
    {keys.ES256: (ec.SECP256R1(), "P-256", 32), keys.ES384: (ec.SECP384R1(), "P-384", 48)}
)


def encode_base58(data: bytes) -> str:
    """`z` and the base58btc digits of `data`."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        digits = _ALPHABET[rest] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + "1" * zeros + digits


def decode_base58(text: object) -> bytes:
    """The bytes of a multibase base58btc text; raises MalformedError `multikey_malformed`."""
    if not isinstance(text, str) or not 1 < len(text) <= MAX_CHARACTERS or text[0] != "z":
        raise MalformedError(CODE, f"z and at most {MAX_CHARACTERS} base58btc digits")
    number = 0
    for letter in text[1:]:
        value = _VALUES.get(letter)
        if value is None:
            raise MalformedError(CODE, "a character that base58btc does not have")
        number = number * 58 + value
    zeros = len(text) - 1 - len(text[1:].lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode(key: PublicKey) -> str:
    """The key as a Multikey; raises MalformedError for a kind that has no such text here."""
    prefix = _PREFIXES.get(key.algorithm)
    if prefix is None:
        raise MalformedError(CODE, f"{key.algorithm} keys are not written as a Multikey here")
    raw = key.raw()
    if key.algorithm in _CURVES:
        size = _CURVES[key.algorithm][2]
        raw = bytes((2 + (raw[-1] & 1),)) + raw[1 : 1 + size]
    return encode_base58(prefix + raw)


def decode(kid: str, text: object) -> PublicKey:
    """The key that a Multikey text is, under the id `kid`; raises MalformedError."""
    data = decode_base58(text)
    for name, prefix in _PREFIXES.items():
        if data.startswith(prefix):
            return _key(kid, name, data[len(prefix) :])
    raise MalformedError(CODE, "the key is of a kind that is not read here")


def _key(kid: str, name: str, raw: bytes) -> PublicKey:
    if name == keys.ED25519:
        return keys.from_ed25519_bytes(kid, raw)
    curve, crv, size = _CURVES[name]
    if len(raw) != size + 1 or raw[0] not in (2, 3):
        raise MalformedError(CODE, f"a {crv} key is a compressed point of {size + 1} bytes")
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(curve, raw).public_numbers()
    except ValueError:
        raise MalformedError(CODE, f"not a point of {crv}") from None
    x, y = (base64url.encode(number.to_bytes(size, "big")) for number in (point.x, point.y))
    return keys.from_jwk(kid, {"kty": "EC", "crv": crv, "x": x, "y": y})
