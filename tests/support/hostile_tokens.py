"""Credentials made to deceive, by group of the negative tests, from any good one and its key.

Every entry is a function of a `Forge`, so the same attacks are tried on the verifier alone and on
a running node. What is signed here is signed by the issuer's own key wherever that makes the attack
stronger: only the reader's strictness is left to refuse it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from protocols import base64url

if TYPE_CHECKING:
    from protocols.keys import SoftwareSigner

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forge:
    """A good compact credential and the key that signed it; `place`: where an attacker listens."""

    good: str
    signer: SoftwareSigner
    place: str = "https://127.0.0.1:9/"

    @property
    def header(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(base64url.decode(self.good.split(".")[0]))
        return made

    @property
    def payload(self) -> bytes:
        return base64url.decode(self.good.split(".")[1])

    @property
    def signature(self) -> bytes:
        return base64url.decode(self.good.split(".")[2])

    def token(
        self,
        header: Mapping[str, Any] | bytes | None = None,
        payload: bytes | None = None,
        signature: bytes | None = None,
    ) -> str:
        """Signed by the issuer's key, unless a signature is given."""
        head = header if isinstance(header, bytes) else json.dumps(header or self.header).encode()
        text = f"{encode(head)}.{encode(self.payload if payload is None else payload)}"
        if signature is None:
            signature = self.signer.sign(text.encode())
        return f"{text}.{encode(signature)}"

    def headed(self, **changes: Any) -> str:
        """With other header members; None takes one away."""
        members = {**self.header, **changes}
        return self.token({name: value for name, value in members.items() if value is not None})

    def put(self, find: bytes, replacement: bytes) -> str:
        """With other bytes in the payload, signed anew."""
        assert find in self.payload
        return self.token(payload=self.payload.replace(find, replacement, 1))

    def first(self, member: bytes) -> str:
        """With one more member before all others of the payload, signed anew."""
        return self.token(payload=b"{" + member + b"," + self.payload[1:])

    def keyed_hash(self, secret: bytes) -> str:
        """HS256 over the good payload, by a public key as if it were a secret."""
        text = f"{encode(json.dumps({**self.header, 'alg': 'HS256'}).encode())}."
        text += encode(self.payload)
        return f"{text}.{encode(hmac.digest(secret, text.encode(), hashlib.sha256))}"

    def part(self, at: int, change: Callable[[str], str]) -> str:
        """With one of the three parts spelled otherwise."""
        parts = self.good.split(".")
        parts[at] = change(parts[at])
        return ".".join(parts)


def _other_tail(text: str) -> str:
    """The same bytes with other unused bits in the last character."""
    assert len(text) % 4
    at = _BASE64URL.index(text[-1])
    return text[:-1] + _BASE64URL[at + 1]


def _pem(forge: Forge) -> bytes:
    jwk = forge.signer.public_jwk
    point = base64url.decode(jwk["x"]) + base64url.decode(jwk["y"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _jwk(forge: Forge) -> bytes:
    return json.dumps(dict(forge.signer.public_jwk)).encode()


def _high_s(forge: Forge) -> bytes:
    r, s = forge.signature[:32], int.from_bytes(forge.signature[32:], "big")
    return r + (ORDER - s).to_bytes(32, "big")


def high_s(forge: Forge) -> str:
    """The same credential under the other of its two valid signatures (JOSE allows it)."""
    return forge.good.rpartition(".")[0] + "." + encode(_high_s(forge))


def _resigned(forge: Forge, signature: bytes) -> str:
    return forge.good.rpartition(".")[0] + "." + encode(signature)


def _der(forge: Forge) -> bytes:
    r, s = (int.from_bytes(part, "big") for part in (forge.signature[:32], forge.signature[32:]))
    return encode_dss_signature(r, s)


def _did(forge: Forge) -> str:
    return str(forge.header["kid"]).partition("#")[0]


Attack = Callable[[Forge], str]
ATTACKS: dict[int, dict[str, tuple[Attack, str]]] = {
    1: {
        "alg none": (lambda f: f.headed(alg="none"), "jws_algorithm_unknown"),
        "alg NoNe": (lambda f: f.headed(alg="NoNe"), "jws_algorithm_unknown"),
        "alg none, unsigned": (
            lambda f: f.token({**f.header, "alg": "none"}, signature=b""),
            "jws_algorithm_unknown",
        ),
        "alg missing": (lambda f: f.headed(alg=None), "jws_header_malformed"),
        "alg array": (lambda f: f.headed(alg=["ES256"]), "jws_header_malformed"),
        "alg number": (lambda f: f.headed(alg=256), "jws_header_malformed"),
        "HS256 by the PEM": (lambda f: f.keyed_hash(_pem(f)), "jws_algorithm_unknown"),
        "HS256 by the JWK": (lambda f: f.keyed_hash(_jwk(f)), "jws_algorithm_unknown"),
        "ES384 by a P-256 key": (lambda f: f.headed(alg="ES384"), "jws_algorithm_mismatch"),
        "EdDSA by a P-256 key": (lambda f: f.headed(alg="EdDSA"), "jws_algorithm_mismatch"),
        "RS256": (lambda f: f.headed(alg="RS256"), "jws_algorithm_unknown"),
    },
    2: {
        "jwk": (lambda f: f.headed(jwk=dict(f.signer.public_jwk)), "jws_header_malformed"),
        "jku": (lambda f: f.headed(jku=f.place), "jws_header_malformed"),
        "x5u": (lambda f: f.headed(x5u=f.place), "jws_header_malformed"),
        "kid and jku": (
            lambda f: f.headed(kid=f"did:web:nobody.example#{'k' * 8}", jku=f.place),
            "jws_header_malformed",
        ),
    },
    3: {
        "another DID": (
            lambda f: f.headed(kid="did:web:nobody.example#credential-1"),
            "credential_kid_not_issuer",
        ),
        "relative": (lambda f: f.headed(kid="#credential-1"), "jws_header_malformed"),
        "a bare DID": (lambda f: f.headed(kid=_did(f)), "jws_header_malformed"),
        "traversal": (
            lambda f: f.headed(kid=_did(f) + "#../../etc/passwd"),
            "jws_header_malformed",
        ),
        "SQL": (lambda f: f.headed(kid=_did(f) + "#' OR 1=1 --"), "jws_header_malformed"),
        "over 2 kB": (lambda f: f.headed(kid=_did(f) + "#" + "k" * 2100), "jws_header_malformed"),
        "a null byte": (
            lambda f: f.headed(kid=_did(f) + "#credential-1\0"),
            "jws_header_malformed",
        ),
        "an unlisted key": (lambda f: f.headed(kid=_did(f) + "#credential-99"), "key_not_listed"),
        "the machine itself": (
            lambda f: f.headed(kid="did:web:127.0.0.1%3A9#credential-1"),
            "credential_kid_not_issuer",
        ),
    },
    5: {
        "r = s = 0": (lambda f: _resigned(f, bytes(64)), "bad_signature"),
        "r = s = n": (lambda f: _resigned(f, ORDER.to_bytes(32, "big") * 2), "bad_signature"),
        "DER": (lambda f: _resigned(f, _der(f)), "bad_signature"),
        "65 bytes": (lambda f: _resigned(f, f.signature + b"\0"), "bad_signature"),
        "63 bytes": (lambda f: _resigned(f, f.signature[:-1]), "bad_signature"),
        "none": (lambda f: _resigned(f, b""), "bad_signature"),
        "s and r": (
            lambda f: _resigned(f, f.signature[32:] + f.signature[:32]),
            "bad_signature",
        ),
    },
    7: {
        "in the header": (
            lambda f: f.token(b'{"alg":"ES256",' + json.dumps(f.header).encode()[1:]),
            "json_duplicate_name",
        ),
        "in the header, escaped": (
            lambda f: f.token(b'{"\\u0061lg":"ES256",' + json.dumps(f.header).encode()[1:]),
            "json_duplicate_name",
        ),
        "in the payload": (
            lambda f: f.first(b'"issuer":"did:web:nobody.example"'),
            "json_duplicate_name",
        ),
        "in the payload, escaped": (
            lambda f: f.first(b'"\\u0069ssuer":"did:web:nobody.example"'),
            "json_duplicate_name",
        ),
        "deep in the document": (
            lambda f: f.put(b'"26460"', b'"26460","unit":"KGM"'),
            "json_duplicate_name",
        ),
    },
    8: {
        "NaN": (lambda f: f.first(b'"a":NaN'), "json_number"),
        "Infinity": (lambda f: f.first(b'"a":-Infinity'), "json_number"),
        "1e400": (lambda f: f.first(b'"a":1e400'), "json_number"),
        "2^53": (lambda f: f.first(b'"a":9007199254740992'), "json_number"),
        "5000 digits": (lambda f: f.first(b'"a":' + b"9" * 5000), "json_number"),
        "a lone surrogate": (lambda f: f.first(b'"a":"\\ud83d"'), "json_surrogate"),
        "a lone surrogate as name": (lambda f: f.first(b'"\\ude00":1'), "json_surrogate"),
        "BOM": (lambda f: f.token(payload=b"\xef\xbb\xbf" + f.payload), "json_encoding"),
        "trailing bytes": (lambda f: f.token(payload=f.payload + b"{}"), "json_syntax"),
        "a null byte at the end": (lambda f: f.token(payload=f.payload + b"\0"), "json_syntax"),
        "no UTF-8": (lambda f: f.first(b'"a":"\xff"'), "json_encoding"),
        "an overlong form": (lambda f: f.first(b'"a":"\xc0\x80"'), "json_encoding"),
        "20 000 deep": (
            lambda f: f.first(b'"a":' + b"[" * 20_000 + b"]" * 20_000),
            "json_too_deep",
        ),
        "100 000 names": (
            lambda f: f.first(b'"a":{' + b",".join(b'"%d":0' % n for n in range(100_001)) + b"}"),
            "json_too_many_members",
        ),
        "a comment": (lambda f: f.token(payload=f.payload[:-1] + b"/**/}"), "json_syntax"),
    },
    9: {
        f"{name} of part {at}": (
            lambda f, at=at, change=change: f.part(at, change),
            {
                # Spaces are no part of a file's first line, and a line feed ends it.
                ("white space", 0): "jws_malformed",
                ("white space", 1): "jws_malformed",
                ("white space", 2): "jws_malformed",
                ("line feed", 0): "jws_malformed",
                ("line feed", 1): "jws_malformed",
                ("line feed", 2): "credential_not_verbatim",
            }.get((name, at), "base64url_malformed"),
        )
        for at in range(3)
        for name, change in {
            "padding": lambda text: text + "=" * (-len(text) % 4 or 4),
            "alphabet": lambda text: text[:8] + "+/" + text[10:],
            "white space": lambda text: text[:8] + " " + text[8:],
            "line feed": lambda text: text + "\n",
            "one character more": lambda text: text + "A" * (1 + (-len(text)) % 4),
        }.items()
    }
    | {
        "other tail of the signature": (lambda f: f.part(2, _other_tail), "base64url_malformed"),
    },
    11: {
        "a Cyrillic letter": (
            lambda f: f.put(b'"issuer":"did:web:c', '"issuer":"did:web:с'.encode()),
            "credential_malformed",
        ),
        "zero width": (
            lambda f: f.put(b'"issuer":"did:web:', '"issuer":"did:web:\u200b'.encode()),
            "credential_malformed",
        ),
        "right to left": (
            lambda f: f.put(b'"issuer":"did:web:', '"issuer":"did:web:\u202e'.encode()),
            "credential_malformed",
        ),
        "a full-width colon": (
            lambda f: f.put(b'"issuer":"did:web:', '"issuer":"did:web：'.encode()),
            "credential_malformed",
        ),
    },
    20: {
        f"{name} of {member.decode()}": (
            lambda f, member=member, value=value: _timed(f, member, value),
            "credential_malformed",
        )
        for member in (b"validFrom", b"validUntil")
        for name, value in {
            "no time zone": b"2026-11-19T10:00:00",
            "a sixtieth second": b"2026-11-19T10:00:60Z",
            "a date": b"2026-11-19",
            "hour 24": b"2026-11-19T24:00:00Z",
            "30 February": b"2026-02-30T10:00:00Z",
            "a space": b"2026-11-19 10:00:00Z",
            "other digits": "２０２６-11-19T10:00:00Z".encode(),
        }.items()
    }
    | {
        "it ends before it begins": (
            lambda f: _timed(f, b"validUntil", b"2001-01-01T00:00:00Z"),
            "credential_malformed",
        ),
        "exp says otherwise": (lambda f: f.first(b'"exp":1000000000'), "credential_not_verbatim"),
        "exp is a truth": (lambda f: f.first(b'"exp":true'), "credential_malformed"),
        "nbf says otherwise": (lambda f: f.first(b'"nbf":4000000000'), "credential_not_verbatim"),
    },
    24: {
        f"typ {typ}": (
            lambda f, typ=typ: f.headed(typ=typ, cty=None),
            "jws_typ_unexpected",
        )
        for typ in (
            "statuslist+jwt",
            "kb+jwt",
            "at+jwt",
            "vp+ld",
            "px-receipt+jws",
            "px-manifest+jws",
            "px-status+jws",
            "jwt",
            "jose",
        )
    },
}


def _timed(forge: Forge, member: bytes, value: bytes) -> str:
    """With another moment in `member`."""
    at = forge.payload.index(b'"' + member + b'":"') + len(member) + 4
    end = forge.payload.index(b'"', at)
    return forge.token(payload=forge.payload[:at] + value + forge.payload[end:])
