"""JSON Web Signatures (RFC 7515): a strict compact reader, signing, and the many-signature form.

What is accepted is narrow on purpose. The header holds alg, typ, cty, kid, x5c and nothing else,
so nothing in a message can point to a key, switch encodings or demand an extension. `typ` is
always present and always asked for by the caller (R1): a receipt is never taken for a
credential. The algorithm comes from the key (R3). An object's identity is the SHA-256 of its
payload (R2), because a signature can be re-spelled and a payload cannot.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols import base64url
from protocols.digest import sha256
from protocols.keys import ALGORITHMS, PublicKey, Signer, is_known
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 24 * 1024
MAX_SIGNATURES = 32
MAX_CHAIN = 6

#: typ → the only cty it goes with; a typ that is not here has no cty.
CONTENT_TYPES: Mapping[str, str] = MappingProxyType({"vc+jwt": "vc", "vc+sd-jwt": "vc"})
_HEADER_NAMES = frozenset({"alg", "typ", "cty", "kid", "x5c"})
_MEDIA_TYPE = re.compile(r"(?a:[a-z0-9][a-z0-9.+-]{0,99})")
#: typ of what a person signs with a key of their own (R26): its key id is that key's did:key.
PERSONAL = frozenset({"px-approval+jws"})
_PERSONAL_KEY_ID = re.compile(r"(?a:did:key:(z[1-9A-HJ-NP-Za-km-z]{1,100})#\1)")
#: An absolute DID URL naming one key: did:web with an ASCII host, and a fragment.
_KEY_ID = re.compile(r"(?a:did:web:[A-Za-z0-9.%_:-]{1,255}#[A-Za-z0-9._-]{1,100})")


@dataclass(frozen=True, slots=True)
class Header:
    """The checked header: algorithm and type as written, key id, certificate chain (DER)."""

    alg: str
    typ: str
    kid: str
    cty: str | None = None
    x5c: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Jws:
    """One parsed, not yet verified signature over a payload.

    text is the compact form; signing_input the exact bytes the signature covers.
    """

    text: str
    header: Header
    payload: bytes
    signature: bytes
    signing_input: bytes
    #: SHA-256 of the payload: the identity of the signed object (R2).
    payload_digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute the identity, once: every step asks for it."""
        object.__setattr__(self, "payload_digest", sha256(self.payload))

    @property
    def kid(self) -> str:
        """The DID URL of the key that claims to have signed."""
        return self.header.kid


def did_of(kid: str) -> str:
    """The DID before the fragment of a key id."""
    return kid.partition("#")[0]


def is_key_id(text: object) -> bool:
    """Whether `text` is an absolute did:web URL with a fragment, in ASCII."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None


def parse(text: str, *, typ: str | AbstractSet[str], max_bytes: int = MAX_BYTES) -> Jws:
    """A compact JWS whose typ is (one of) `typ`.

    Raises MalformedError (`jws_malformed`, `jws_header_malformed`, `base64url_malformed`,
    json_*), RefusedError (`jws_typ_unexpected`, `jws_algorithm_unknown`) or TooLargeError
    (`jws_too_large`). Says nothing about the signature: see `verify`.
    """
    if len(text) > max_bytes:
        raise TooLargeError("jws_too_large", f"more than {max_bytes} characters")
    parts = text.split(".", 3)
    if len(parts) != 3:
        raise MalformedError("jws_malformed", "a compact JWS has three parts")
    protected, payload, signature = parts
    return _assemble(protected, payload, signature, typ)


def _assemble(
    protected: str, payload: str, signature: str, expected: str | AbstractSet[str]
) -> Jws:
    header = _header(protected)
    _require_typ(header.typ, expected)
    return Jws(
        text=f"{protected}.{payload}.{signature}",
        header=header,
        payload=base64url.decode(payload, pointer="payload"),
        signature=base64url.decode(signature, pointer="signature"),
        signing_input=f"{protected}.{payload}".encode("ascii"),
    )


def _require_typ(typ: str, expected: str | AbstractSet[str]) -> None:
    if typ != expected and (isinstance(expected, str) or typ not in expected):
        wanted = expected if isinstance(expected, str) else ", ".join(sorted(expected))
        raise RefusedError("jws_typ_unexpected", f"this place takes {wanted}", pointer="/typ")


@lru_cache(maxsize=256)
def _header(protected: str) -> Header:
    """Checked once per spelling: a key signs all its objects under the same few headers."""
    if len(protected) > MAX_HEADER_BYTES:
        raise TooLargeError("jws_too_large", f"a header over {MAX_HEADER_BYTES} characters")
    members = strict_json.loads_object(base64url.decode(protected, pointer="protected"))
    for name in members:
        if name not in _HEADER_NAMES:
            raise _bad_header("only alg, typ, cty, kid and x5c are read; nothing else may stand")
    typ = _media_type(members.get("typ"), "/typ")
    return Header(
        alg=_algorithm_name(members.get("alg")),
        typ=typ,
        kid=_key_id(members.get("kid"), typ),
        cty=_content_type(members["cty"], typ) if "cty" in members else None,
        x5c=_chain(members["x5c"]) if "x5c" in members else (),
    )


def _algorithm_name(value: object) -> str:
    if not isinstance(value, str):
        raise _bad_header("alg is missing or not a text", "/alg")
    if not is_known(value):
        raise RefusedError(
            "jws_algorithm_unknown", "alg names no algorithm in use here", pointer="/alg"
        )
    return value


def _media_type(value: object, pointer: str) -> str:
    if isinstance(value, str):
        # RFC 7515 §4.1.9: the prefix may be written or left out.
        short = value.removeprefix("application/")
        if _MEDIA_TYPE.fullmatch(short):
            return short
    raise _bad_header("typ is missing or not a media type", pointer)


def _content_type(value: object, typ: str) -> str:
    cty = _media_type(value, "/cty")
    if CONTENT_TYPES.get(typ) != cty:
        raise _bad_header("cty contradicts typ", "/cty")
    return cty


def _key_id(value: object, typ: str) -> str:
    if typ in PERSONAL:
        if isinstance(value, str) and _PERSONAL_KEY_ID.fullmatch(value):
            return value
        raise _bad_header("kid is the did:key URL of a person's key", "/kid")
    if isinstance(value, str) and is_key_id(value):
        return value
    raise _bad_header("kid is an absolute did:web URL with a fragment", "/kid")


def _chain(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHAIN:
        raise _bad_header(f"x5c is a list of 1 to {MAX_CHAIN} certificates", "/x5c")
    return tuple(_certificate(item) for item in value)


def _certificate(value: object) -> bytes:
    # RFC 7515 §4.1.6: certificates are standard base64 with padding, not base64url.
    try:
        der = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (ValueError, binascii.Error):
        der = b""
    if not der or base64.b64encode(der).decode("ascii") != value:
        raise _bad_header("an x5c certificate is standard base64", "/x5c")
    return der


def _bad_header(detail: str, pointer: str = "") -> MalformedError:
    return MalformedError("jws_header_malformed", detail, pointer=pointer)


def verify(jws: Jws, key: PublicKey) -> None:
    """Check the signature with `key`, whose algorithm the header must name (R3).

    Raises RefusedError `jws_algorithm_mismatch` or `bad_signature`.
    """
    check(key, jws.header.alg, jws.signature, jws.signing_input)


def check(key: PublicKey, alg: str, signature: bytes, signing_input: bytes) -> None:
    """As `verify`, for a signature in another envelope, such as COSE."""
    if alg not in ALGORITHMS[key.algorithm].header_names:
        raise RefusedError("jws_algorithm_mismatch", "alg does not fit the key", pointer="/alg")
    if not key.verify(signature, signing_input):
        raise RefusedError("bad_signature", "the signature does not fit the key and the bytes")


def sign(
    payload: bytes,
    *,
    typ: str,
    signer: Signer,
    cty: str | None = None,
    x5c: Sequence[bytes] = (),
) -> str:
    """The compact JWS of `payload` by `signer`; its header is RFC 8785 JSON.

    x5c: certificates of the signer's key in DER, the leaf first (RFC 7515 §4.1.6)
    """
    protected = base64url.encode(header_bytes(typ=typ, signer=signer, cty=cty, x5c=x5c))
    body = base64url.encode(payload)
    signature = signer.sign(f"{protected}.{body}".encode("ascii"))
    return f"{protected}.{body}.{base64url.encode(signature)}"


def header_bytes(
    *, typ: str, signer: Signer, cty: str | None = None, x5c: Sequence[bytes] = ()
) -> bytes:
    """The protected header that `sign` writes."""
    members: dict[str, strict_json.JsonValue] = {
        "alg": signer.algorithm,
        "kid": signer.kid,
        "typ": typ,
    }
    if cty is not None:
        members["cty"] = cty
    if x5c:
        members["x5c"] = [base64.b64encode(each).decode("ascii") for each in x5c]
    return strict_json.canonical(members)


@dataclass(frozen=True, slots=True)
class MultiJws:
    """A payload with several signatures: the general JSON serialisation (RFC 7515 §7.2.1)."""

    payload: bytes
    signatures: tuple[Jws, ...]

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the payload: the identity of the signed object (R2)."""
        return sha256(self.payload)

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes, signatures in their order."""
        return strict_json.canonical(
            {
                "payload": base64url.encode(self.payload),
                "signatures": [_signature_members(jws) for jws in self.signatures],
            }
        )

    def with_signatures(self, more: Iterable[Jws]) -> MultiJws:
        """These signatures and `more` over the same payload; a key that signed is kept once."""
        kept = {jws.kid: jws for jws in self.signatures}
        for jws in more:
            if jws.payload != self.payload:
                raise RefusedError("jws_other_payload", "the signature covers another payload")
            kept.setdefault(jws.kid, jws)
        return MultiJws(self.payload, tuple(kept.values()))


def _signature_members(jws: Jws) -> dict[str, strict_json.JsonValue]:
    protected, _, signature = jws.text.split(".")
    return {"protected": protected, "signature": signature}


def parse_multi(
    data: bytes, *, typ: str | AbstractSet[str], max_bytes: int = MAX_BYTES
) -> MultiJws:
    """The general JSON form, with one or more signatures of the given typ; raises as `parse`."""
    members = strict_json.loads_object(data, max_bytes=max_bytes)
    payload, signatures = members.get("payload"), members.get("signatures")
    if set(members) != {"payload", "signatures"} or not isinstance(payload, str):
        raise MalformedError("jws_malformed", "the object has payload and signatures only")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise MalformedError("jws_malformed", f"1 to {MAX_SIGNATURES} signatures")
    parsed = tuple(_one_of_many(item, payload, typ) for item in signatures)
    return MultiJws(parsed[0].payload, parsed)


def _one_of_many(item: object, payload: str, typ: str | AbstractSet[str]) -> Jws:
    if not isinstance(item, dict) or set(item) != {"protected", "signature"}:
        raise MalformedError("jws_malformed", "a signature has protected and signature only")
    protected, signature = item["protected"], item["signature"]
    if not isinstance(protected, str) or not isinstance(signature, str):
        raise MalformedError("jws_malformed", "protected and signature are texts")
    return _assemble(protected, payload, signature, typ)


def sign_multi(payload: bytes, *, typ: str, signers: Sequence[Signer]) -> MultiJws:
    """`payload` signed by each of `signers`, in their order."""
    texts = (sign(payload, typ=typ, signer=signer) for signer in signers)
    return MultiJws(payload, tuple(parse(text, typ=typ) for text in texts))
