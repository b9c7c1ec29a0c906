"""DIDs and DID URLs (W3C DID Core §3): the two methods that carry their key in themselves.

did:key (W3C CCG) is a Multikey, did:jwk a base64url JWK: both are resolved by reading, without any
network. did:web is a look-up key into the member list and never an address to fetch (R7): it is
not resolved here. What such a DID proves is possession of a key, never who holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols import base64url, keys
from protocols.credentials import multikey
from protocols.keys import PublicKey
from schemas import strict_json
from schemas.errors import MalformedError

CODE = "did_malformed"
MAX_LENGTH = 4000
_URL = re.compile(
    r"(?a:(did:([a-z0-9]{1,20}):[A-Za-z0-9._:%-]{1,3900})(?:#([A-Za-z0-9._~:!$&'()*+,;=@/?%-]{1,400}))?)"
)


@dataclass(frozen=True, slots=True)
class DidUrl:
    """A DID URL without path and query: `did` names the subject, `fragment` one of its keys."""

    text: str
    did: str
    method: str
    fragment: str | None

    @property
    def identifier(self) -> str:
        """What follows the method."""
        return self.did.split(":", 2)[2]

    @property
    def carries_its_key(self) -> bool:
        """Whether `resolve` finds a key in the DID itself."""
        return self.method in {"key", "jwk"}


def parse(text: object) -> DidUrl:
    """An ASCII DID, perhaps with a fragment; raises MalformedError `did_malformed`."""
    match = _URL.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_LENGTH else None
    if match is None:
        raise MalformedError(CODE, "not a DID or a DID URL that names a key")
    return DidUrl(match[0], match[1], match[2], match[3])


def resolve(url: DidUrl) -> PublicKey:
    """The key a did:key or did:jwk URL names.

    Raises MalformedError: `did_malformed` when the fragment names no key of it or the method
    carries none, `multikey_malformed`, `key_malformed`, json_*.
    """
    if url.method == "key":
        expected = url.identifier
        key = multikey.decode(f"{url.did}#{expected}", expected)
    elif url.method == "jwk":
        expected = "0"
        jwk = strict_json.loads_object(base64url.decode(url.identifier), max_bytes=MAX_LENGTH)
        key = keys.from_stranger(f"{url.did}#0", jwk)
    else:
        raise MalformedError(CODE, f"a did:{url.method} does not carry its key")
    if url.fragment != expected:
        raise MalformedError(CODE, "the fragment names no key of the DID")
    return key


def key_did(key: PublicKey) -> str:
    """The did:key of a key; raises MalformedError `multikey_malformed` for kinds without one."""
    return f"did:key:{multikey.encode(key)}"


def jwk_did(key: PublicKey) -> str:
    """The did:jwk of a key."""
    return f"did:jwk:{base64url.encode(strict_json.canonical(dict(key.jwk)))}"
