"""DID documents (W3C DID Core §5): writing ours from the member list, judging what others publish.

A document says which keys a DID has; the member list says which of them count. So a document is
read strictly (did:web: `id` is the DID that was asked for, every key is its own) and then compared
with the list's pins: the RFC 7638 thumbprints, purposes and times. A key the list does not have, or
has as another one, means that somebody else wrote the document: `disagrees`. A key that is missing,
or stands there out of its time, is told and harms nobody, because the list's times are what counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import keys
from protocols.credentials import did, multikey
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from protocols.keys import PublicKey
    from protocols.members.entries import Json, ListedKey
    from schemas.strict_json import JsonValue

CODE = "did_document_malformed"
MEDIA_TYPE = "application/did+json"
#: What published documents are served as: DID Core §6, and plain JSON by did:web.
ACCEPTED = (MEDIA_TYPE, "application/did+ld+json", "application/did", "application/json")
MAX_BYTES = 64 * 1024
MAX_KEYS = 100
_CONTEXT = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1")
_RELATIONSHIPS = (
    "assertionMethod",
    "authentication",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
)
#: What a key of the list is for, in DID Core's words (§5.3); other purposes have no word there.
_FOR = {"credential": "assertionMethod", "exchange": "authentication"}
_HOST = re.compile(r"(?a:[A-Za-z0-9.-]{1,253}(?:%3A[0-9]{1,5})?)")
_SEGMENT = re.compile(r"(?a:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99})")


@dataclass(frozen=True, slots=True)
class Method:
    """One verification method. key: None for kinds of keys that sign nothing here."""

    kid: str
    key: PublicKey | None
    relationships: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DidDocument:
    """A document that is what it claims to be, as far as it says itself."""

    did: str
    methods: tuple[Method, ...]
    members: Mapping[str, JsonValue] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A document against the pins, by key id.

    agreeing: the list has this very key; missing: the list has it valid now, the document not;
    untimely: the document still, or already, has what the list has ended or not begun;
    foreign:  keys that are not the list's
    """

    agreeing: tuple[str, ...]
    missing: tuple[str, ...]
    untimely: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every key in the document is the list's."""
        return not self.foreign

    def to_json(self) -> dict[str, object]:
        """For people and programs that ask."""
        lists = {
            "agreeing": self.agreeing,
            "missing": self.missing,
            "untimely": self.untimely,
            "foreign": self.foreign,
        }
        return {"agrees": self.agrees, **{name: list(kids) for name, kids in lists.items()}}


def web_url(subject: str) -> str:
    """Where a did:web has its document (did:web §3.2); raises MalformedError `did_malformed`."""
    url = did.parse(subject)
    host, *segments = url.identifier.split(":")
    named = _HOST.fullmatch(host) is not None and all(map(_SEGMENT.fullmatch, segments))
    if url.method != "web" or url.fragment is not None or not named:
        raise MalformedError(did.CODE, "not a did:web with a host and plain path segments")
    path = "/".join(segments) or ".well-known"
    return f"https://{host.replace('%3A', ':')}/{path}/did.json"


def write(subject: str, listed: Iterable[ListedKey], at: datetime) -> Json:
    """The document of a listed DID: its keys that are valid at `at`, by purpose (DID Core §5)."""
    current = [key for key in listed if key.valid_at(at)]
    methods: list[JsonValue] = [
        {
            "id": key.kid,
            "type": "JsonWebKey",
            "controller": subject,
            "publicKeyJwk": dict(key.public.jwk),
        }
        for key in current
    ]
    document: Json = {"@context": list(_CONTEXT), "id": subject, "verificationMethod": methods}
    for purpose, relationship in _FOR.items():
        kids: list[JsonValue] = [key.kid for key in current if key.purpose == purpose]
        if kids:
            document[relationship] = kids
    return document


def read(data: bytes, subject: str) -> DidDocument:
    """The document of `subject` from what was published.

    Raises MalformedError json_*, `did_document_malformed`, `key_malformed`, `multikey_malformed`;
    RefusedError `did_document_other_subject`, `did_document_foreign_controller`,
    `did_document_key_twice`, `did_document_too_many_keys`.
    """
    members = strict_json.loads_object(data, max_bytes=MAX_BYTES)
    fields = Fields(members, CODE)
    if fields.text("id", max_length=did.MAX_LENGTH) != subject:
        raise RefusedError("did_document_other_subject", "it is the document of another DID")
    found: dict[str, Method] = {}
    named: dict[str, set[str]] = {}
    for item in _items(fields, "verificationMethod"):
        _add(found, _method(_object(item, fields, "verificationMethod"), subject))
    for relationship in _RELATIONSHIPS:
        for item in _items(fields, relationship):
            if isinstance(item, str):
                kid = _kid(item, subject, fields.place(relationship))
                if kid not in found:
                    raise fields.fault(relationship, "it names a key that is not there")
            else:
                embedded = _method(_object(item, fields, relationship), subject)
                _add(found, embedded)
                kid = embedded.kid
            named.setdefault(kid, set()).add(relationship)
    methods = (
        Method(kid, method.key, frozenset(named.get(kid, ()))) for kid, method in found.items()
    )
    return DidDocument(subject, tuple(methods), members)


def compare(document: DidDocument, pins: Mapping[str, ListedKey], at: datetime) -> Comparison:
    """The document's keys against the list's keys of that DID, given by key id."""
    agreeing, untimely, foreign = [], [], []
    for method in document.methods:
        pin = pins.get(method.kid)
        if pin is None or not _is(method, pin):
            foreign.append(method.kid)
        elif not pin.valid_at(at):
            untimely.append(method.kid)
        else:
            agreeing.append(method.kid)
    there = {method.kid for method in document.methods}
    missing = [kid for kid, pin in pins.items() if pin.valid_at(at) and kid not in there]
    return Comparison(tuple(agreeing), tuple(missing), tuple(untimely), tuple(foreign))


def require_agreement(compared: Comparison, pins: Mapping[str, ListedKey]) -> None:
    """Raises RefusedError `did_document_disagrees`, naming the pinned key that was replaced."""
    if compared.agrees:
        return
    replaced = [kid for kid in compared.foreign if kid in pins]
    named = f": {replaced[0]} is another key there" if replaced else ": it has a key of its own"
    raise RefusedError("did_document_disagrees", f"not the keys of the member list{named}")


def _is(method: Method, pin: ListedKey) -> bool:
    """The very key, with no right to speak that its purpose has not (R1)."""
    same = method.key is not None and method.key.thumbprint() == pin.public.thumbprint()
    spoken = method.relationships & set(_FOR.values())
    return same and spoken <= {_FOR.get(pin.purpose, "")}


def _object(item: object, fields: Fields, name: str) -> Fields:
    if not isinstance(item, dict):
        raise fields.fault(name, "it holds objects")
    return Fields(item, CODE, fields.place(name))


def _items(fields: Fields, name: str) -> list[JsonValue]:
    value = fields.members.get(name, [])
    if not isinstance(value, list):
        raise fields.fault(name, "it is a list")
    if len(value) > MAX_KEYS:
        raise RefusedError("did_document_too_many_keys", f"more than {MAX_KEYS} in {name}")
    return value


def _add(found: dict[str, Method], method: Method) -> None:
    if method.kid in found:
        raise RefusedError("did_document_key_twice", "two keys have one id")
    if len(found) >= MAX_KEYS:
        raise RefusedError("did_document_too_many_keys", f"more than {MAX_KEYS} keys")
    found[method.kid] = method


def _kid(text: str, subject: str, pointer: str) -> str:
    """The absolute id of a key; `text` may be relative to the DID (DID Core §3.2.2)."""
    url = did.parse(subject + text if text.startswith("#") else text)
    if url.did != subject:
        raise RefusedError("did_document_foreign_controller", "it names another DID's key")
    if url.fragment is None:
        raise MalformedError(CODE, "a key's id has a fragment", pointer=pointer)
    return url.text


def _method(fields: Fields, subject: str) -> Method:
    kid = _kid(fields.text("id", max_length=did.MAX_LENGTH), subject, fields.place("id"))
    if fields.text("controller", max_length=did.MAX_LENGTH) != subject:
        raise RefusedError("did_document_foreign_controller", "somebody else controls a key")
    fields.text("type", max_length=100)
    if fields.has("publicKeyJwk") == fields.has("publicKeyMultibase"):
        raise fields.fault("publicKeyJwk", "a key stands in publicKeyJwk or publicKeyMultibase")
    return Method(kid, _key(kid, fields))


def _key(kid: str, fields: Fields) -> PublicKey | None:
    """The public key; None for a kind that signs nothing here. A private one is an error."""
    if fields.has("publicKeyMultibase"):
        try:
            return multikey.decode(kid, fields.text("publicKeyMultibase", max_length=400))
        except TradeError:
            return None
    jwk = fields.child("publicKeyJwk").members
    if "d" in jwk or "priv" in jwk:
        raise fields.fault("publicKeyJwk", "it holds a private key")
    try:
        return keys.from_stranger(kid, jwk)
    except TradeError:
        return None
