"""The rules every credential obeys: W3C VC Data Model 2.0 inside a JWT (VC-JOSE-COSE).

Stricter than the standards where leniency would let two readers see two things: contexts are
named, never inlined; the issuer is an ASCII did:web; registered JWT claims that repeat a member
must agree with it. Members nobody knows are ignored (VC-JOSE-COSE §3.1.3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from protocols import base64url
from protocols.credentials import jsonld, multikey
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from protocols.credentials.jsonld import Contexts
    from schemas.strict_json import JsonValue

CODE = "credential_malformed"
CONTEXT = "https://www.w3.org/ns/credentials/v2"
TYPE = "VerifiableCredential"
MAX_BYTES = 12 * 1024 * 1024
MAX_DEPTH = 64
SKEW = timedelta(seconds=60)
_URL = re.compile(r"(?a:[A-Za-z][A-Za-z0-9+.-]{0,30}:[!#-\[\]-~]{1,1000})")
#: Bidirectional controls (Unicode TR 9), and characters that take no room.
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_EMBEDDED = ("credentialStatus", "termsOfUse", "evidence", "refreshService", "credentialSchema")
_VALUE_NAMES = frozenset({"@value", "@language", "@direction"})
_LANGUAGE = re.compile(r"(?a:[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,8})")
#: SRI name of a digest → how it begins as a multihash (code and length), and hashlib's name.
_DIGESTS = {
    "sha256": (b"\x12\x20", "sha256"),
    "sha384": (b"\x20\x30", "sha384"),
    "sha512": (b"\x13\x40", "sha512"),
}


@dataclass(frozen=True, slots=True)
class VerifiableCredential:
    """A credential that obeys the data model; members is the whole parsed payload."""

    id: str | None
    types: tuple[str, ...]
    issuer: str
    valid_from: datetime | None
    valid_until: datetime | None
    subjects: tuple[Mapping[str, JsonValue], ...]
    members: Mapping[str, JsonValue]

    def require_in_time(self, at: datetime) -> None:
        """Raise RefusedError `credential_not_yet_valid` or `credential_expired` at `at`."""
        require_in_time(self.valid_from, self.valid_until, at)


def require_in_time(start: datetime | None, end: datetime | None, at: datetime) -> None:
    """Whether `at` lies between start and end, with 60 s for clocks that differ."""
    # Differences of moments, never sums: a validity may end with the last day there is.
    if start is not None and start - at > SKEW:
        raise RefusedError("credential_not_yet_valid", "its validity begins later")
    if end is not None and at - end >= SKEW:
        raise RefusedError("credential_expired", "its validity is over")


def read(payload: bytes) -> VerifiableCredential:
    """The credential in a JWS payload; raises MalformedError json_* or `credential_malformed`."""
    return read_members(parse(payload))


def parse(payload: bytes) -> dict[str, JsonValue]:
    """The members of a JWS payload, read strictly; raises MalformedError json_*, TooLargeError."""
    return strict_json.loads_object(payload, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)


def read_members(members: dict[str, JsonValue]) -> VerifiableCredential:
    """The credential in parsed members; raises MalformedError `credential_malformed`."""
    fields = Fields(members, CODE)
    _require_contexts(fields)
    credential = VerifiableCredential(
        id=fields.optional_text("id", pattern=_URL),
        types=_types(fields),
        issuer=_issuer(fields),
        valid_from=fields.optional_time("validFrom"),
        valid_until=_earlier(fields.optional_time("validUntil"), _numeric(fields, "exp")),
        subjects=_subjects(fields, members),
        members=members,
    )
    _require_order(fields)
    _require_agreement(fields, credential)
    for name in _EMBEDDED:
        _require_typed(fields, name)
    require_words(fields)
    require_resources(fields)
    return credential


def _require_contexts(fields: Fields) -> None:
    contexts = fields.texts("@context", pattern=_URL, max_items=20)
    if contexts[:1] != (CONTEXT,):
        raise fields.fault("@context", f"the first context is {CONTEXT}")


def _types(fields: Fields) -> tuple[str, ...]:
    value = fields.members.get("type")
    types = (value,) if isinstance(value, str) else fields.texts("type", max_items=20)
    if TYPE not in types:
        raise fields.fault("type", f"type includes {TYPE}")
    return types


def _issuer(fields: Fields) -> str:
    value = fields.members.get("issuer")
    if isinstance(value, (dict, Mapping)):
        return fields.child("issuer").text("id", pattern=DID, max_length=400)
    return fields.text("issuer", pattern=DID, max_length=400)


def _subjects(
    fields: Fields, members: Mapping[str, JsonValue]
) -> tuple[Mapping[str, JsonValue], ...]:
    value = members.get("credentialSubject")
    subjects = value if isinstance(value, list) else [value]
    found = tuple(item for item in subjects if isinstance(item, dict) and item)
    if not found or len(found) != len(subjects):
        raise fields.fault("credentialSubject", "every subject is an object with claims")
    return found


def _numeric(fields: Fields, name: str) -> datetime | None:
    """A NumericDate of RFC 7519 §2."""
    value = fields.members.get(name)
    if not fields.has(name):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 253402300800:
        raise fields.fault(name, f"{name} is a number of seconds")
    return datetime.fromtimestamp(value, UTC)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _require_order(fields: Fields) -> None:
    start, end = fields.optional_time("validFrom"), fields.optional_time("validUntil")
    if start is not None and end is not None and end < start:
        raise fields.fault("validUntil", "validUntil is before validFrom")


def _require_agreement(fields: Fields, credential: VerifiableCredential) -> None:
    """VC-JOSE-COSE §3.1.3: no vc or vp claim; registered claims repeat the members exactly."""
    for name in ("vc", "vp"):
        if fields.has(name):
            raise fields.fault(name, "the payload is the credential itself")
    for name in ("iat", "nbf"):
        _numeric(fields, name)
    expected = {
        "iss": credential.issuer,
        "jti": credential.id,
        "sub": credential.subjects[0].get("id"),
    }
    for name, value in expected.items():
        if fields.has(name) and fields.members[name] != value:
            raise fields.fault(name, f"{name} contradicts the credential")


def _require_typed(fields: Fields, name: str) -> None:
    if not fields.has(name):
        return
    value = fields.members[name]
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, (dict, Mapping)) or not isinstance(item.get("type"), (str, list)):
            raise fields.fault(name, f"{name} is an object with a type")


def display_hazards(members: Mapping[str, JsonValue]) -> Iterator[str]:
    """JSON pointers of texts that can be shown other than they read, names of members included."""
    yield from _hazards(dict(members), "")


def _hazards(value: JsonValue, pointer: str) -> Iterator[str]:
    if isinstance(value, str):
        if _UNSEEN.search(value):
            yield pointer
    elif isinstance(value, dict):
        for name, item in value.items():
            place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if _UNSEEN.search(name):
                yield place
            yield from _hazards(item, place)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _hazards(item, f"{pointer}/{at}")


def require_kid_of_issuer(kid: str, issuer: str) -> None:
    """Raise MalformedError `credential_kid_not_issuer` when another DID's key signed."""
    if kid.partition("#")[0] != issuer:
        raise MalformedError("credential_kid_not_issuer", "kid is not a key of the issuer")


# -- rules that hold for every credential, ours or another's ---------------------------------------


def require_words(fields: Fields) -> None:
    """name and description: a text, or values with language and direction (§4.6)."""
    for name in ("name", "description"):
        value = fields.members.get(name)
        if not fields.has(name) or isinstance(value, str):
            continue
        items = value if isinstance(value, list) else [value]
        if not items or not all(map(_is_words, items)):
            raise fields.fault(name, f"{name} is a text, or values with their languages")


def _is_words(item: object) -> bool:
    if not isinstance(item, Mapping) or not isinstance(item.get("@value"), str):
        return False
    language = item.get("@language", "en")
    return (
        set(item) <= _VALUE_NAMES
        and isinstance(language, str)
        and _LANGUAGE.fullmatch(language) is not None
        and item.get("@direction", "ltr") in ("ltr", "rtl")
    )


def require_resources(fields: Fields, held: Mapping[str, bytes] | None = None) -> None:
    """relatedResource (§5.3): an id that stands once, and digests.

    held: resources by their URL; one that does not have the digests stated for it is refused
    """
    value = fields.members.get("relatedResource", [])
    seen: set[object] = set()
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping):
            raise fields.fault("relatedResource", "a resource is an object")
        resource = Fields(item, CODE, fields.place("relatedResource"))
        name = resource.text("id", pattern=_URL)
        stated = _stated_digests(resource)
        if name in seen or not stated:
            raise fields.fault("relatedResource", "each resource once, and with its digest")
        seen.add(name)
        body = (held or {}).get(name)
        if body is not None and any(
            hashlib.new(algorithm, body).digest() != digest for algorithm, digest in stated
        ):
            raise fields.fault("relatedResource", "a resource has another digest")


def _stated_digests(resource: Fields) -> list[tuple[str, bytes]]:
    """Algorithm and digest of each that a resource states, in either notation."""
    found = []
    if resource.has("digestSRI"):
        found += [_sri(resource, one) for one in resource.text("digestSRI").split()]
    if resource.has("digestMultibase"):
        found.append(_multihash(resource, resource.text("digestMultibase")))
    return found


def _sri(resource: Fields, text: str) -> tuple[str, bytes]:
    name, _, rest = text.partition("?")[0].partition("-")
    try:
        digest = base64.b64decode(rest, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if name not in _DIGESTS or len(digest) != _DIGESTS[name][0][1]:
        raise resource.fault("digestSRI", "a digest as in Subresource Integrity")
    return _DIGESTS[name][1], digest


def _multihash(resource: Fields, text: str) -> tuple[str, bytes]:
    try:
        data = base64url.decode(text[1:]) if text[0] == "u" else multikey.decode_base58(text)
    except TradeError:
        data = b""
    for prefix, algorithm in _DIGESTS.values():
        if data.startswith(prefix) and len(data) == len(prefix) + prefix[1]:
            return algorithm, data[2:]
    if len(data) == hashlib.sha256().digest_size:
        return "sha256", data  # Bare SHA-256, as others write it.
    raise resource.fault("digestMultibase", "a SHA-2 multihash in base58btc or base64url")


def require_meanings(members: Mapping[str, JsonValue], contexts: Contexts) -> None:
    """Every type means an absolute IRI by the document's contexts (§4.5).

    Nothing is said when a context is not among `contexts`: then that cannot be known.
    """
    parts = [members]
    for name in _EMBEDDED:
        parts += [item for item in jsonld.as_list(members.get(name)) if isinstance(item, dict)]
    words = [word for part in parts for word in jsonld.as_list(part.get("type"))]
    named = [word for word in words if isinstance(word, str)]
    try:
        unknown = jsonld.meaningless(named, dict(members), contexts)
    except UnavailableError:
        return
    if unknown:
        raise MalformedError(CODE, "a type that no context turns into a URL", pointer="/type")
