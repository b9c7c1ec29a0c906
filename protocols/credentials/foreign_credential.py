"""Credentials of others: JSON documents with Data Integrity proofs, VC Data Model 2.0 or 1.1.

Reads what the standards allow (`protocols.credentials.vcdm` is our own, narrower profile): any URL
for issuer and ids, contexts in line, several subjects. Contexts are not fetched and not processed;
a type is refused only when it is known to mean nothing (VC Data Model 2.0 §4.5). Nothing here is
verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from protocols.credentials import jsonld, vcdm
from protocols.fields import Fields
from schemas import strict_json

if TYPE_CHECKING:
    from protocols.credentials.jsonld import Contexts
    from schemas.strict_json import JsonValue

CODE = vcdm.CODE
CONTEXT_1 = "https://www.w3.org/2018/credentials/v1"
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
_MAX_URL = 4000
_URL = re.compile(r"(?a:[A-Za-z][A-Za-z0-9+.-]{0,30}:[!#-\[\]-~]{1,3900})")
_TYPED = ("credentialStatus", "termsOfUse", "evidence", "refreshService", "credentialSchema")
#: The credential types that the two base contexts define themselves.
_BASE_TYPES = frozenset(
    {vcdm.TYPE, "JsonSchemaCredential", "BitstringStatusListCredential", "VerifiablePresentation"}
)


@dataclass(frozen=True, slots=True)
class ForeignCredential:
    """A credential that obeys its data model. version: 2 or 1; members: the whole document."""

    version: int
    types: tuple[str, ...]
    issuer: str
    valid_from: datetime | None
    valid_until: datetime | None
    subjects: tuple[Mapping[str, JsonValue], ...]
    members: Mapping[str, JsonValue]

    @property
    def statuses(self) -> list[JsonValue]:
        """The entries of credentialStatus."""
        return as_list(self.members.get("credentialStatus", []))


def has_form(data: bytes) -> bool:
    """Whether the file looks like one: a JSON object that speaks of a proof."""
    return data[:100].lstrip()[:1] == b"{" and b'"proof"' in data


def load(data: bytes) -> dict[str, JsonValue]:
    """The document as strict JSON; raises MalformedError json_*, TooLargeError."""
    return strict_json.loads_object(data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)


def as_list(value: JsonValue) -> list[JsonValue]:
    """The items of a member that may be one value or a list."""
    return value if isinstance(value, list) else [value]


def read(members: Mapping[str, JsonValue], imported: Contexts | None = None) -> ForeignCredential:
    """The credential in a document; raises MalformedError `credential_malformed`.

    imported: JSON-LD contexts; where all that the document names are among them, every type must
    mean an absolute IRI, else only what is known to mean nothing is refused.
    """
    fields = Fields(members, CODE)
    named = contexts(fields)
    version = 1 if named[0] == CONTEXT_1 else 2
    start, end = ("issuanceDate", "expirationDate") if version == 1 else ("validFrom", "validUntil")
    credential = ForeignCredential(
        version=version,
        types=types(fields, named, vcdm.TYPE),
        issuer=_issuer(fields),
        valid_from=fields.time(start) if version == 1 else fields.optional_time(start),
        valid_until=fields.optional_time(end),
        subjects=_subjects(fields),
        members=members,
    )
    if fields.has("id"):
        url(fields, "id")
    moments = credential.valid_from, credential.valid_until
    if moments[0] is not None and moments[1] is not None and moments[1] < moments[0]:
        raise fields.fault(end, f"{end} is before {start}")
    for name in _TYPED:
        require_typed(fields, name)
    vcdm.require_words(fields)
    vcdm.require_resources(fields)
    if imported is not None:
        vcdm.require_meanings(members, imported)
    return credential


def url(fields: Fields, name: str) -> str:
    """A member that is one URL (§4.4)."""
    return fields.text(name, pattern=_URL, max_length=_MAX_URL)


def contexts(fields: Fields) -> list[JsonValue]:
    """The member @context: the base one first, then URLs and objects (§4.3)."""
    value = fields.members.get("@context")
    if not isinstance(value, list) or not 1 <= len(value) <= 20:
        raise fields.fault("@context", "1 to 20 contexts in order")
    if value[0] not in (vcdm.CONTEXT, CONTEXT_1):
        raise fields.fault("@context", "the first context is that of the data model")
    for item in value:
        if not isinstance(item, dict) and not (isinstance(item, str) and _URL.fullmatch(item)):
            raise fields.fault("@context", "a context is a URL or an object")
    return value


def types(fields: Fields, named: list[JsonValue], required: str) -> tuple[str, ...]:
    """The member type: `required` among them, and each known to mean something (§4.5)."""
    value = fields.members.get("type")
    found = (value,) if isinstance(value, str) else fields.texts("type", max_items=20)
    if required not in found:
        raise fields.fault("type", f"type includes {required}")
    own = [jsonld.unnested(item) for item in named]
    inline = [item for item in own if isinstance(item, dict)]
    # A context by URL that is not the base one may define any term: it is not looked into.
    elsewhere = len(inline) + 1 < len(named)
    for name in found:
        if not _means_something(name, inline, elsewhere=elsewhere):
            raise fields.fault("type", "a type that no context turns into a URL")
    return found


def _means_something(name: str, inline: list[dict[str, JsonValue]], *, elsewhere: bool) -> bool:
    if name in _BASE_TYPES or _URL.fullmatch(name):
        return True
    for context in inline:
        defined = context.get(name, context.get("@vocab"))
        if isinstance(defined, dict):
            defined = defined.get("@id")
        if isinstance(defined, str):
            return _URL.fullmatch(defined) is not None
    return elsewhere


def _issuer(fields: Fields) -> str:
    if isinstance(fields.members.get("issuer"), Mapping):
        issuer = fields.child("issuer")
        vcdm.require_words(issuer)
        return url(issuer, "id")
    return url(fields, "issuer")


def _subjects(fields: Fields) -> tuple[Mapping[str, JsonValue], ...]:
    value = fields.members.get("credentialSubject")
    items = value if isinstance(value, list) else [value]
    found = tuple(item for item in items if isinstance(item, dict) and item)
    if not found or len(found) != len(items):
        raise fields.fault("credentialSubject", "every subject is an object with claims")
    for item in found:
        if "id" in item:
            url(Fields(item, CODE, "/credentialSubject"), "id")
    return found


def require_typed(fields: Fields, name: str) -> None:
    """Objects with a type, and an id that is a URL where there is one."""
    if not fields.has(name):
        return
    value = fields.members[name]
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping) or not _is_type(item.get("type")):
            raise fields.fault(name, f"{name} is an object with a type")
        if "id" in item or name == "credentialSchema":
            url(Fields(item, CODE, fields.place(name)), "id")


def _is_type(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, str) and item for item in items)
