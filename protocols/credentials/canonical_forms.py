"""What a proof over RDF needs canonicalised, and what came of it, as values.

Canonicalisation runs outside the pure core, in a process that can be killed. So verifying has two
steps: say which documents are needed, then verify with the answers (vc-di-eddsa §3.2.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from protocols.credentials.jsonld import Contexts
from protocols.digest import sha256
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

DigestName: TypeAlias = Literal["sha256", "sha384"]


@dataclass(frozen=True, slots=True)
class CanonicalInput:
    """A document to canonicalise with RDFC-1.0 parameterised by that digest."""

    document: Mapping[str, JsonValue]
    digest: DigestName

    @property
    def key(self) -> bytes:
        """What names it among others: SHA-256 over the digest's name and the RFC 8785 text."""
        text = strict_json.canonical(dict(self.document))
        return sha256(self.digest.encode() + b"\0" + text)


#: Key of an input → canonical N-Quads (UTF-8), or the error that stood in the way.
CanonicalForms: TypeAlias = Mapping[bytes, "bytes | TradeError"]


@dataclass(frozen=True, slots=True)
class Rdf:
    """What a verifier brings for proofs over RDF: its contexts, and the canonical forms made.

    resources: the same contexts as the bytes that were imported, by URL
    """

    contexts: Contexts
    forms: CanonicalForms
    resources: Mapping[str, bytes] = field(default_factory=dict)
