"""Verifiable presentations by their data model: what a holder shows of several credentials.

W3C VC Data Model 2.0 §4.13 (and 1.1 §4.10). Contained credentials are objects: credentials with
proofs of their own, or in an envelope (§4.12.1); each is verified by itself and nothing here does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.credentials import envelope, foreign_credential
from protocols.fields import Fields
from schemas import strict_json

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

CODE = "presentation_malformed"
TYPE = "VerifiablePresentation"
#: What the proof of a presentation is for (Controlled Identifiers 1.0 §2.3.1).
AUTHENTICATION = "authentication"
MAX_CREDENTIALS = 50


@dataclass(frozen=True, slots=True)
class Presentation:
    """A presentation that obeys its data model. credentials: each contained one, as an object."""

    types: tuple[str, ...]
    holder: str | None
    credentials: tuple[Mapping[str, JsonValue], ...]

    def files(self) -> tuple[bytes, ...]:
        """The contained credentials as files to verify: RFC 8785 text of each."""
        return tuple(strict_json.canonical(dict(item)) for item in self.credentials)


def is_presentation(members: Mapping[str, JsonValue]) -> bool:
    """Whether a JSON object is one by its type."""
    value = members.get("type")
    return TYPE in (value if isinstance(value, list) else [value])


def read(members: Mapping[str, JsonValue]) -> Presentation:
    """The presentation in a document.

    Raises MalformedError `presentation_malformed`, or `credential_malformed` and
    `envelope_malformed` for a contained credential that is none.
    """
    fields = Fields(members, CODE)
    named = foreign_credential.contexts(fields)
    if fields.has("id"):
        foreign_credential.url(fields, "id")
    foreign_credential.require_typed(fields, "termsOfUse")
    return Presentation(
        types=foreign_credential.types(fields, named, TYPE),
        holder=_holder(fields),
        credentials=_credentials(fields),
    )


def _holder(fields: Fields) -> str | None:
    if not fields.has("holder"):
        return None
    if isinstance(fields.members["holder"], Mapping):
        return foreign_credential.url(fields.child("holder"), "id")
    return foreign_credential.url(fields, "holder")


def _credentials(fields: Fields) -> tuple[Mapping[str, JsonValue], ...]:
    """The values are objects, never texts or URLs (§4.13)."""
    if not fields.has("verifiableCredential"):
        return ()
    value = fields.members["verifiableCredential"]
    items = value if isinstance(value, list) else [value]
    found = tuple(item for item in items if isinstance(item, dict))
    if len(found) != len(items) or len(found) > MAX_CREDENTIALS:
        raise fields.fault("verifiableCredential", f"at most {MAX_CREDENTIALS} objects")
    for item in found:
        if envelope.is_wrapper(item):
            envelope.unwrap(item)
        else:
            foreign_credential.read(item)
    return found
