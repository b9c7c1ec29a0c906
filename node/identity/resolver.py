"""One resolver for did:web, did:key and did:jwk, behind the guarded client (R7).

did:key and did:jwk carry their key and are read. A did:web is a look-up key into the member list:
an unlisted one is not called. The document of a listed one is fetched where the list says, read
strictly and compared with the list's pins; a document with other keys is refused and told as an
alarm, because somebody else answers for that name. Keys are taken from the list whatever it says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.guarded.client import MAX_DID_BYTES
from node.store import events
from protocols import times
from protocols.credentials import did, did_document
from protocols.digest import sha256
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.runtime import Node
    from protocols.credentials.did_document import Comparison, DidDocument
    from protocols.member_list import ListedKey
    from schemas.strict_json import JsonValue

KEEP_MS = 15 * 60 * 1000
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is known of a DID.

    document:   as it was published, or made from the DID itself
    compared:   with the member list's pins; None for DIDs that carry their key
    fetched_at: ms UTC; None where nothing had to be fetched
    """

    did: str
    method: str
    document: Mapping[str, JsonValue] = field(repr=False)
    compared: Comparison | None = None
    pins: tuple[ListedKey, ...] = ()
    fetched_at: int | None = None

    def to_json(self, now_ms: int) -> dict[str, object]:
        """For the operator: the document, the pins, whether they agree, how old it is."""
        pins = [
            {
                "kid": key.kid,
                "purpose": key.purpose,
                "thumbprint": key.public.thumbprint(),
                "validFrom": times.to_text(key.valid_from),
                "validUntil": times.to_text(key.valid_until) if key.valid_until else None,
            }
            for key in self.pins
        ]
        age = None if self.fetched_at is None else max(0, now_ms - self.fetched_at) // 1000
        return {
            "did": self.did,
            "method": self.method,
            "document": dict(self.document),
            "pins": pins,
            "agreement": self.compared.to_json() if self.compared else None,
            "ageSeconds": age,
        }


class Resolver:
    """Resolves DIDs for one node."""

    def __init__(self, node: Node) -> None:
        """Fetches through `node.guarded`; alarms go to the node's events."""
        self._node = node
        self._held: dict[str, tuple[int, DidDocument]] = {}
        self._alarmed: dict[str, bytes] = {}

    async def resolve(self, subject: str, *, refresh: bool = False) -> Resolution:
        """The document of a DID, at most 15 minutes old unless `refresh`.

        Raises MalformedError `did_malformed`, `key_malformed`; UnavailableError `did_unlisted`
        (nothing was called) and what `GuardedClient.get` raises; what `did_document.read` raises;
        RefusedError `did_document_disagrees`, `did_method_unknown`.
        """
        url = did.parse(subject)
        if url.fragment is not None:
            raise RefusedError("did_method_unknown", "a DID without a fragment is resolved")
        if url.carries_its_key:
            return _self_told(url)
        if url.method != "web":
            raise RefusedError("did_method_unknown", "did:web, did:key and did:jwk are resolved")
        pins = self.pins(subject)
        if not pins:
            raise UnavailableError("did_unlisted", "the DID is not in the member list")
        fetched_at, document = await self._document(subject, refresh=refresh)
        compared = did_document.compare(document, pins, self._node.clock.now())
        await self._require_agreement(document, compared, pins)
        listed = tuple(pins.values())
        return Resolution(subject, "web", document.members, compared, listed, fetched_at)

    def pins(self, subject: str) -> Mapping[str, ListedKey]:
        """The member list's keys of that DID, past ones too, by key id."""
        members = self._node.members.current
        entry = members and (members.node(subject) or members.party(subject))
        return {key.kid: key for key in entry.keys} if entry else {}

    def forget(self) -> None:
        """The member list changed: ask anew."""
        self._held.clear()

    async def _document(self, subject: str, *, refresh: bool) -> tuple[int, DidDocument]:
        now_ms = self._node.clock.now_ms()
        held = self._held.get(subject)
        if held is not None and not refresh and 0 <= now_ms - held[0] < KEEP_MS:
            return held
        data = await self._node.guarded.get(
            did_document.web_url(subject), cap=MAX_DID_BYTES, accept=did_document.ACCEPTED
        )
        document = await self._read(data, subject)
        if len(self._held) >= _REMEMBERED:
            self._held.clear()
        self._held[subject] = now_ms, document
        return self._held[subject]

    async def _read(self, data: bytes, subject: str) -> DidDocument:
        try:
            return did_document.read(data, subject)
        except TradeError as error:
            # A listed name that answers with no document of its own is in other hands, or broken.
            await self._alarm(subject, error.code, sha256(data))
            raise

    async def _require_agreement(
        self, document: DidDocument, compared: Comparison, pins: Mapping[str, ListedKey]
    ) -> None:
        try:
            did_document.require_agreement(compared, pins)
        except RefusedError as error:
            self._held.pop(document.did, None)
            told = "\n".join(sorted(compared.foreign)).encode()
            await self._alarm(document.did, error.code, sha256(told))
            raise

    async def _alarm(self, subject: str, code: str, about: bytes) -> None:
        """Tell it once for the same thing, however often it is met."""
        if self._alarmed.get(subject) == about:
            return
        self._alarmed[subject] = about
        await asyncio.shield(
            self._node.store.write(
                events.record,
                kind="alarm",
                at=self._node.clock.now_ms(),
                actor=subject,
                detail={"code": code},
            )
        )
        self._node.telemetry.log.warning("identity.alarm", did=subject, code=code)


def _self_told(url: did.DidUrl) -> Resolution:
    """The document that a did:key or did:jwk is (did:key §3.1.3, did:jwk)."""
    fragment = url.identifier if url.method == "key" else "0"
    kid = f"{url.did}#{fragment}"
    key = did.resolve(did.parse(kid))
    document: dict[str, JsonValue] = {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"],
        "id": url.did,
        "verificationMethod": [
            {
                "id": kid,
                "type": "JsonWebKey",
                "controller": url.did,
                "publicKeyJwk": dict(key.jwk),
            }
        ],
        "assertionMethod": [kid],
        "authentication": [kid],
    }
    return Resolution(url.did, url.method, document)
