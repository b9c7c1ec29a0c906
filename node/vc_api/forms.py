"""What can be issued over the VC-API: cryptosuites and envelopes, each with the keys it takes.

A family is one way to secure a document. Data Integrity families are named by their cryptosuite
(`protocols.credentials.data_integrity`), envelopes by what they are
(`protocols.credentials.envelope`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols import keys
from protocols.credentials import data_integrity
from schemas.errors import NotFoundError

#: Path name of a key kind → its algorithm in `protocols.keys.ALGORITHMS`.
KINDS: Mapping[str, str] = MappingProxyType(
    {"ed25519": keys.ED25519, "p-256": keys.ES256, "p-384": keys.ES384}
)
JOSE, SD_JWT, COSE = "jose", "sd-jwt", "cose"
_ENVELOPES: Mapping[str, str] = MappingProxyType({JOSE: "jwt", SD_JWT: "sd-jwt", COSE: "cose"})
_SUITES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        data_integrity.EDDSA_JCS: ("ed25519",),
        data_integrity.EDDSA_RDFC: ("ed25519",),
        data_integrity.ECDSA_JCS: ("p-256", "p-384"),
        data_integrity.ECDSA_RDFC: ("p-256", "p-384"),
    }
)


@dataclass(frozen=True, slots=True)
class Family:
    """One way to secure, by keys of one kind: its name, the kind's path name."""

    name: str
    kind: str

    @property
    def algorithm(self) -> str:
        """Of the key that signs."""
        return KINDS[self.kind]

    @property
    def over_rdf(self) -> bool:
        """Whether what is signed is the RDF of a document."""
        return self.name in data_integrity.RDF_SUITES

    @property
    def enveloping(self) -> bool:
        """Whether the document goes into an envelope."""
        return self.name in _ENVELOPES

    def typ(self, prefix: str) -> str:
        """The typ of an envelope; prefix is `vc` or `vp`."""
        return f"{prefix}+{_ENVELOPES[self.name]}"


def all_families() -> tuple[Family, ...]:
    """Every family with every kind of key that it takes."""
    suites = [Family(name, kind) for name, kinds in _SUITES.items() for kind in kinds]
    return (*suites, *(Family(name, kind) for name in _ENVELOPES for kind in KINDS))


def family(name: str, kind: str) -> Family:
    """The family of a path; raises NotFoundError `path_unknown`."""
    found = Family(name, kind)
    if found not in all_families():
        raise NotFoundError("path_unknown", "no such way to secure, or not with such keys")
    return found
