"""A credential or presentation of others in whatever secures it, opened by one function.

A JSON document with Data Integrity proofs, an object that carries an envelope, or the bare
envelope (`protocols.credentials.envelope`): all come out as the document and the verification of
what secures it, so nobody after this asks which it was. Whose key it has to be is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import base64url, jws, times
from protocols.credentials import data_integrity, envelope, presentation
from protocols.credentials.data_integrity import Expected, ProofResult, Resolver, Verification
from protocols.credentials.vcdm import SKEW
from protocols.keys import PublicKey
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from protocols.credentials.canonical_forms import CanonicalForms, CanonicalInput
    from protocols.credentials.envelope import Envelope
    from schemas.strict_json import JsonValue

MAX_BYTES = envelope.MAX_BYTES
MAX_DEPTH = 64
_MAX_HEADER = 2000
_LATEST = 253402300799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Secured:
    """What was opened. members: the document as it came; proofs: what secures it, verified.

    form: `DataIntegrityProof`, or the envelope's typ
    """

    form: str
    members: Mapping[str, JsonValue]
    proofs: Verification

    @property
    def document(self) -> Mapping[str, JsonValue]:
        """What the proofs cover; as it came where they do not hold."""
        return self.proofs.document or self.members


def load(data: bytes) -> dict[str, JsonValue]:
    """A JSON object, strictly; raises MalformedError json_*, TooLargeError."""
    return strict_json.loads_object(data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)


def is_json(data: bytes) -> bool:
    """Whether the file begins like a JSON object."""
    return data[:100].lstrip()[:1] == b"{"


def has_envelope(data: bytes) -> bool:
    """Whether a JSON file speaks of an envelope: cheap, before it is parsed."""
    return is_json(data) and b'"Enveloped' in data


def is_compact_presentation(data: bytes) -> bool:
    """Whether a compact JWS or COSE_Sign1 says by its type that it is one: cheap."""
    if is_json(data):
        return False
    if data[:1] == b"\xd2":
        return b"application/vp+cose" in data[:_MAX_HEADER]
    try:
        text = data[:_MAX_HEADER].partition(b".")[0].decode("ascii")
        header = base64url.decode(text)
    except (UnicodeDecodeError, TradeError):
        return False
    # With the quote: base64 of a certificate in x5c may hold the same letters by chance.
    return any(start in header for start in (b'"vp+', b'"application/vp+'))


def open_envelope(data: bytes, *, legacy: bool = False) -> Envelope:
    """The envelope in an Enveloped… object, or the bare envelope; raises as `envelope.parse`."""
    if not is_json(data):
        return envelope.parse(data, legacy=legacy)
    kind, media_type, body = envelope.unwrap(load(data))
    found = envelope.parse(body, media_type=media_type, legacy=legacy)
    if found.kind != kind:
        raise MalformedError(envelope.CODE, "the envelope holds another kind of object")
    return found


def open_secured(
    data: bytes,
    resolve: Resolver,
    asked: Expected,
    canonical: CanonicalForms | None = None,
    *,
    legacy: bool = False,
) -> Secured:
    """Read a file and check what secures it; a presentation has to be for authentication.

    canonical: what came of `canonical_inputs`, for proofs over RDF
    legacy:    also read the JWT encoding of VC Data Model 1.1

    Raises MalformedError, RefusedError or TooLargeError when it cannot be read; that a signature
    does not hold is no error but a result.
    """
    if is_json(data):
        members = load(data)
        if not envelope.is_wrapper(members):
            wanted = _expected(asked, members)
            proofs = data_integrity.verify(members, resolve, wanted, canonical)
            return Secured(data_integrity.TYPE, members, proofs)
    found = open_envelope(data, legacy=legacy)
    result = _checked(found, resolve, asked)
    document = found.document
    covered = document if result.outcome is Outcome.PASSED else None
    return Secured(found.form, document, Verification((result,), covered))


def canonical_inputs(
    data: bytes, resolve: Resolver, *, legacy: bool = False
) -> tuple[CanonicalInput, ...]:
    """What has to be brought in canonical form to verify a file, contained credentials included.

    Never raises: what cannot be read needs nothing.
    """
    try:
        if is_json(data) and not envelope.is_wrapper(members := load(data)):
            document: Mapping[str, JsonValue] = members
            own = data_integrity.canonical_inputs(members, resolve)
        else:
            document, own = open_envelope(data, legacy=legacy).document, ()
        contained: tuple[bytes, ...] = ()
        if presentation.is_presentation(document):
            contained = presentation.read(document).files()
    except TradeError:
        return ()
    inputs = [*own]
    for file in contained:
        inputs += canonical_inputs(file, resolve, legacy=legacy)
    return tuple(inputs)


def _expected(asked: Expected, members: Mapping[str, JsonValue]) -> Expected:
    """A presentation is for authentication; domain and challenge are never asked of credentials."""
    if presentation.is_presentation(members):
        return Expected(asked.at, presentation.AUTHENTICATION, asked.domain, asked.challenge)
    return Expected(asked.at, asked.purpose)


def party_of(document: Mapping[str, JsonValue]) -> str:
    """Who speaks: the issuer of a credential, the holder of a presentation; empty for nobody."""
    name = "holder" if presentation.is_presentation(document) else "issuer"
    value = document.get(name)
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else ""


def _checked(found: Envelope, resolve: Resolver, asked: Expected) -> ProofResult:
    """VC-JOSE-COSE §3: the key, the signature, then the claims that are understood."""
    key: PublicKey | None = None
    method = _method(found)
    try:
        key = resolve(method)
        if key is not None:
            jws.check(key, found.alg, found.signature, found.signing_input)
        _require_claims(found, asked)
    except TradeError as error:
        return ProofResult(Outcome.FAILED, error.code, error.detail, found.form, method, key)
    if key is None:
        detail = "the verification method cannot be looked up here"
        return ProofResult(
            Outcome.INDETERMINATE, "key_not_listed", detail, found.form, method, None
        )
    return ProofResult(Outcome.PASSED, "", "", found.form, method, key)


def _method(found: Envelope) -> str:
    """A key id that is no URL is one of the party's own keys (VC-JOSE-COSE §4.1)."""
    if ":" in found.kid:
        return found.kid
    issuer = found.claims.get("iss")
    party = issuer if isinstance(issuer, str) else party_of(found.document)
    return f"{party}#{found.kid}"


def _require_claims(found: Envelope, asked: Expected) -> None:
    """Registered claims repeat the members; exp and nbf are the signature's, iat proves nothing."""
    claims, document = found.claims, found.document
    pairs = {"iss": party_of(document), "jti": document.get("id")}
    for name, value in pairs.items():
        if claims.get(name) not in (None, value) and value not in (None, ""):
            raise MalformedError("envelope_malformed", f"{name} contradicts what is enveloped")
    start, end = (_seconds(claims, name) for name in ("nbf", "exp"))
    now, skew = times.to_ms(asked.at) // 1000, int(SKEW.total_seconds())
    if start is not None and start > now + skew:
        raise RefusedError("credential_not_yet_valid", "the signature is for a later time")
    if end is not None and end <= now - skew:
        raise RefusedError("credential_expired", "the signature has expired")
    if found.kind == envelope.PRESENTATION:
        _require_challenge(claims, asked)


def _seconds(claims: Mapping[str, JsonValue], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST:
        raise MalformedError("envelope_malformed", f"{name} is a number of seconds")
    return value


def _require_challenge(claims: Mapping[str, JsonValue], asked: Expected) -> None:
    audience = claims.get("aud")
    heard = audience if isinstance(audience, list) else [audience]
    if asked.domain is not None and asked.domain not in heard:
        raise RefusedError("invalid_domain_error", "the presentation is for another audience")
    if asked.challenge is not None and claims.get("nonce") != asked.challenge:
        raise RefusedError("invalid_challenge_error", "the presentation answers another challenge")
