"""Key binding (RFC 9901 §4.3): the holder signs what is presented, for one verifier, once.

Whether it is asked for is the verifier's policy (`Challenge`), never "if present" (§7.3): a
presentation without it must not pass where it is wanted. The holder's key is the one the issuer
signed into `cnf` (RFC 7800), in its `jwk` form only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from protocols import base64url, keys, times
from protocols.credentials import sd_jwt
from protocols.keys import ALGORITHMS, PublicKey
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from protocols.credentials.sd_jwt import SdJwt
    from protocols.keys import Jwk, Signer
    from schemas.strict_json import JsonValue

TYP = "kb+jwt"
MAX_BYTES = 8 * 1024
WINDOW = timedelta(minutes=5)
SKEW = timedelta(seconds=60)
_CODE = "key_binding_malformed"
_HEADER = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a verifier asks the holder to sign: who it is, its nonce, how fresh."""

    audience: str
    nonce: str
    window: timedelta = WINDOW


def holder_of(claims: Mapping[str, JsonValue]) -> PublicKey | None:
    """The holder's key in `cnf`, or None; raises MalformedError `key_malformed` or `_CODE`."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict) or set(confirmation) != {"jwk"}:
        raise MalformedError(_CODE, "cnf holds a jwk and nothing else", pointer="/cnf")
    return keys.from_jwk("cnf", confirmation["jwk"], pointer="/cnf/jwk")


def confirmation(jwk: Jwk) -> dict[str, JsonValue]:
    """The member `cnf` that names a holder's public key."""
    return {"jwk": dict(jwk)}


def bind(given: SdJwt, challenge: Challenge, *, at: datetime, signer: Signer) -> SdJwt:
    """The same presentation, signed by the holder at `at`; raises as `sd_jwt.reveal`."""
    header = strict_json.canonical({"alg": signer.algorithm, "typ": TYP})
    payload = strict_json.canonical(
        {
            "aud": challenge.audience,
            "iat": times.to_ms(at) // 1000,
            "nonce": challenge.nonce,
            "sd_hash": sd_jwt.digest_of(given.presented, sd_jwt.reveal(given).hash),
        }
    )
    signed = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    signature = base64url.encode(signer.sign(signed.encode("ascii")))
    return sd_jwt.SdJwt(given.jws, given.disclosures, f"{signed}.{signature}")


def require(
    given: SdJwt, holder: PublicKey | None, challenge: Challenge, at: datetime, algorithm: str
) -> None:
    """The holder signed exactly this presentation for this challenge about now (§7.3).

    algorithm: the hash of the SD-JWT. Raises RefusedError `key_binding_missing`,
    `key_binding_no_holder`, `bad_signature`, `jws_algorithm_mismatch`, `jws_typ_unexpected`,
    `key_binding_other_audience`, `key_binding_other_nonce`, `key_binding_out_of_time`,
    `key_binding_other_document`; MalformedError `key_binding_malformed`.
    """
    if not given.key_binding:
        raise RefusedError("key_binding_missing", "the presentation is not signed by a holder")
    if holder is None:
        raise RefusedError("key_binding_no_holder", "the issuer named no holder's key")
    said = _signed_members(given.key_binding, holder)
    if said.get("aud") != challenge.audience:
        raise RefusedError("key_binding_other_audience", "it was signed for another verifier")
    if said.get("nonce") != challenge.nonce:
        raise RefusedError("key_binding_other_nonce", "it answers another challenge")
    seconds = said.get("iat")
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise MalformedError(_CODE, "iat is a number of seconds", pointer="/iat")
    age_ms = times.to_ms(at) - seconds * 1000
    if not -SKEW <= timedelta(milliseconds=age_ms) <= challenge.window + SKEW:
        raise RefusedError("key_binding_out_of_time", "it was not signed about now")
    if said.get("sd_hash") != sd_jwt.digest_of(given.presented, algorithm):
        raise RefusedError("key_binding_other_document", "it covers another presentation")


def _signed_members(text: str, holder: PublicKey) -> dict[str, JsonValue]:
    parts = text.split(".", 3)
    if len(parts) != 3 or len(text) > MAX_BYTES:
        raise MalformedError(_CODE, "a key binding is a compact JWS of at most 8 KiB")
    header = strict_json.loads_object(base64url.decode(parts[0], pointer="protected"))
    if not {"alg", "typ"} <= set(header) <= _HEADER:
        raise MalformedError(_CODE, "its header holds alg and typ, and perhaps kid")
    if header["typ"] not in (TYP, f"application/{TYP}"):
        raise RefusedError("jws_typ_unexpected", f"this place takes {TYP}", pointer="/typ")
    if header["alg"] not in ALGORITHMS[holder.algorithm].header_names:
        raise RefusedError("jws_algorithm_mismatch", "alg does not fit the key", pointer="/alg")
    signature = base64url.decode(parts[2], pointer="signature")
    if not holder.verify(signature, f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise RefusedError("bad_signature", "the signature does not fit the holder's key")
    return strict_json.loads_object(base64url.decode(parts[1], pointer="payload"))
