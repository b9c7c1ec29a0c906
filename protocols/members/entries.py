"""The entries of a member list: who is a member, with which keys, and who may do what.

Every entry is a value with its JSON form. Times are aware UTC datetimes; a missing end means
"until further notice". Keys have one purpose each (R1) and stay listed after they end, so that
what they signed in their time verifies for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from protocols import times
from protocols.keys import PublicKey
from schemas.strict_json import JsonValue

Json: TypeAlias = dict[str, JsonValue]

PURPOSES = frozenset(
    {
        "credential",
        "exchange",
        "log",
        "witness",
        "title",
        "release",
        "approval",
        "platform",
        "registry",
        "registry-witness",
    }
)
ROLES = frozenset(
    {
        "port",
        "customs",
        "plant-health",
        "issuer",
        "carrier",
        "pint-platform",
        "witness",
        "terminal",
        "dry-port",
        "bank",
        "auditor",
    }
)


class KeyStanding(StrEnum):
    """What a key's statement of some moment is worth (R17)."""

    VALID = "valid"
    NOT_YET = "not-yet"
    ENDED = "ended"
    DOUBTFUL = "doubtful"
    COMPROMISED = "compromised"


def within(at: datetime, start: datetime, end: datetime | None) -> bool:
    """Whether `at` lies in [start, end)."""
    return start <= at and (end is None or at < end)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key in the list: the key, its one purpose, its owner's DID and its times.

    compromised_from: since when it is said to be in foreign hands
    compromise_announced: when that was announced, that is, when the list saying so was issued
    """

    public: PublicKey
    purpose: str
    did: str
    valid_from: datetime
    valid_until: datetime | None = None
    compromised_from: datetime | None = None
    compromise_announced: datetime | None = None

    @property
    def kid(self) -> str:
        """The DID URL of the key."""
        return self.public.kid

    def valid_at(self, at: datetime) -> bool:
        """Whether the key stood in its time, and out of doubt, at `at`."""
        return self.standing(at, proven=True) is KeyStanding.VALID

    def standing(self, at: datetime, *, proven: bool) -> KeyStanding:
        """What a statement of `at` is worth; `proven` when a witnessed log vouches for `at`.

        R17: after the announcement a compromised key says nothing; between compromise and
        announcement, and earlier without a witness, what it says is doubtful.
        """
        if at < self.valid_from:
            return KeyStanding.NOT_YET
        if self.compromised_from is not None:
            if self.compromise_announced is not None and at >= self.compromise_announced:
                return KeyStanding.COMPROMISED
            if at >= self.compromised_from or not proven:
                return KeyStanding.DOUBTFUL
        if not within(at, self.valid_from, self.valid_until):
            return KeyStanding.ENDED
        return KeyStanding.VALID

    def to_json(self) -> Json:
        """The key's object in the list."""
        body: Json = {"kid": self.kid, "purpose": self.purpose, "jwk": dict(self.public.jwk)}
        body |= _span(self.valid_from, self.valid_until)
        if self.compromised_from is not None and self.compromise_announced is not None:
            body["compromised"] = {
                "from": times.to_text(self.compromised_from),
                "announced": times.to_text(self.compromise_announced),
            }
        return body


def _span(start: datetime, end: datetime | None) -> Json:
    body: Json = {"validFrom": times.to_text(start)}
    if end is not None:
        body["validUntil"] = times.to_text(end)
    return body


def _since(name: str, moment: datetime | None) -> Json:
    return {} if moment is None else {name: times.to_text(moment)}


def _optional(**members: JsonValue) -> Json:
    return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A member organisation's node. names: language tag → name; endpoint: scheme and authority.

    countersigned_from: since when its documents count only with a second, ML-DSA signature
    """

    did: str
    name: str
    roles: tuple[str, ...]
    country: str
    endpoint: str
    keys: tuple[ListedKey, ...]
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    locode: str | None = None
    platform: str | None = None
    countersigned_from: datetime | None = None

    def key_for(
        self, purpose: str, at: datetime, algorithms: Collection[str] = ()
    ) -> ListedKey | None:
        """The youngest key of that purpose that is valid at `at`; of those algorithms, if named."""
        fitting = [
            key
            for key in self.keys
            if key.purpose == purpose
            and key.valid_at(at)
            and (not algorithms or key.public.algorithm in algorithms)
        ]
        return max(fitting, key=lambda key: key.valid_from, default=None)

    def display_name(self, lang: str) -> str:
        """The name in that language, else the main name."""
        return self.names.get(lang, self.name)

    def to_json(self) -> Json:
        """The node's object in the list."""
        return {
            "did": self.did,
            "name": self.name,
            "roles": list(self.roles),
            "country": self.country,
            "endpoint": self.endpoint,
            "keys": [key.to_json() for key in self.keys],
            **({"names": dict(self.names)} if self.names else {}),
            **_optional(locode=self.locode, platform=self.platform),
            **_since("countersignedFrom", self.countersigned_from),
        }


@dataclass(frozen=True, slots=True)
class PartyEntry:
    """A trader, bank or forwarder hosted at a member's node, with title keys of its own."""

    did: str
    name: str
    host: str
    keys: tuple[ListedKey, ...]
    names: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> Json:
        """The party's object in the list."""
        return {
            "did": self.did,
            "name": self.name,
            "host": self.host,
            "keys": [key.to_json() for key in self.keys],
            **({"names": dict(self.names)} if self.names else {}),
        }


@dataclass(frozen=True, slots=True)
class IssuerEntry:
    """The right of a member to issue one document type for one country.

    delegated_by: the member whose own right this one hangs on; the right holds only while both do
    certificate_types: of ship certificates, those that it is for (IOPP, ILL, …); none named, all
    """

    did: str
    document_type: str
    country: str
    valid_from: datetime
    valid_until: datetime | None = None
    office: str | None = None
    delegated_by: str | None = None
    certificate_types: tuple[str, ...] = ()

    def covers(self, delegated: IssuerEntry) -> bool:
        """Whether `delegated` hangs on this right and asks for no other type, country or office."""
        return (
            self.did == delegated.delegated_by
            and (self.document_type, self.country) == (delegated.document_type, delegated.country)
            and self.office in (None, delegated.office)
            and self._names(delegated.certificate_types)
        )

    def _names(self, certificate_types: tuple[str, ...]) -> bool:
        own = set(self.certificate_types)
        return not own or (bool(certificate_types) and own.issuperset(certificate_types))

    def spans(self, delegated: IssuerEntry) -> bool:
        """Whether `delegated` lies within the dates of this right."""
        if self.valid_until is None:
            return self.valid_from <= delegated.valid_from
        ends = delegated.valid_until
        in_time = ends is not None and ends <= self.valid_until
        return in_time and self.valid_from <= delegated.valid_from

    def to_json(self) -> Json:
        """The right's object in the list."""
        return {
            "did": self.did,
            "documentType": self.document_type,
            "country": self.country,
            **_span(self.valid_from, self.valid_until),
            **_optional(office=self.office, delegatedBy=self.delegated_by),
            **_optional(certificateTypes=[*self.certificate_types] or None),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """A recognition agreement: `verifier` accepts these document types from `issuer` (countries).

    rules: the name and version of the rule data under which it accepts, when the agreement says so
    aeo_classes, aeo_roles: of authorised operators, the classes (AEOC, AEOS, AEOF, NATIONAL) and
        roles whose benefits are recognised; no class named, none recognised; no role named, all
    """

    id: str
    verifier: str
    issuer: str
    document_types: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime | None = None
    rules: str | None = None
    aeo_classes: tuple[str, ...] = ()
    aeo_roles: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The agreement's object in the list."""
        return {
            "id": self.id,
            "verifier": self.verifier,
            "issuer": self.issuer,
            "documentTypes": list(self.document_types),
            **_span(self.valid_from, self.valid_until),
            **_optional(rules=self.rules),
            **({"aeoClasses": list(self.aeo_classes)} if self.aeo_classes else {}),
            **({"aeoRoles": list(self.aeo_roles)} if self.aeo_roles else {}),
        }


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A member's log: C2SP origin and verifier key, epoch, and its witness policy (tlog-policy).

    since: the size from which a later epoch counts, once it was handed over to (R16)
    """

    origin: str
    did: str
    vkey: str
    epoch: int = 1
    policy: str = ""
    since: int | None = None

    def to_json(self) -> Json:
        """The log's object in the list."""
        return {
            "origin": self.origin,
            "did": self.did,
            "vkey": self.vkey,
            "epoch": self.epoch,
            "policy": self.policy,
            **_optional(since=self.since),
        }


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A title arbiter that is a log: the registry's origin, key, sequencer and witness policy."""

    origin: str
    did: str
    vkey: str
    policy: str = ""

    def to_json(self) -> Json:
        """The registry's object in the list."""
        return {
            "origin": self.origin,
            "did": self.did,
            "vkey": self.vkey,
            "policy": self.policy,
        }


@dataclass(frozen=True, slots=True)
class AlgorithmEntry:
    """An algorithm (a name of `protocols.keys.ALGORITHMS`) whose signatures count until a date."""

    id: str
    until: datetime

    def to_json(self) -> Json:
        """The entry's object in the list."""
        return {"id": self.id, "until": times.to_text(self.until)}


@dataclass(frozen=True, slots=True)
class Roots:
    """The keys that sign the next version, and how many different ones must (R3, R4)."""

    threshold: int
    keys: tuple[PublicKey, ...]

    def to_json(self) -> Json:
        """The roots' object in the list."""
        return {
            "threshold": self.threshold,
            "keys": [{"kid": key.kid, "jwk": dict(key.jwk)} for key in self.keys],
        }

    def by_kid(self) -> Mapping[str, PublicKey]:
        """The keys by key id."""
        return MappingProxyType({key.kid: key for key in self.keys})
