"""The member list as a verified value: opening, advancing, looking things up (R3–R7).

Version 1 is the founding list; the SHA-256 of its payload is the network id. Version n names the
digest of version n−1 and is signed by the threshold of version n−1's roots; when it brings other
roots, it is also signed by their threshold, so that nobody hands over to keys nobody holds. A
list is only ever made here, from signed bytes: a `MemberList` in hand is a checked one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from protocols import jws
from protocols.digest import sha256
from protocols.fields import Fields
from protocols.keys import ALGORITHMS
from protocols.log import epochs as log_epochs
from protocols.members import reading
from protocols.members.anchor_contracts import AnchorContractEntry, read_anchor_contract
from protocols.members.anchors import AnchorEntry, read_anchor
from protocols.members.arbiters import ArbiterEntry, read_arbiter
from protocols.members.consistency import require_consistent
from protocols.members.entries import (
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    ListedKey,
    LogEntry,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
    within,
)
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError

TYP = "px-members+jws"
MEDIA_TYPE = "application/px-members+json"
MAX_BYTES = 4 * 1024 * 1024
MAX_VERSIONS = 100_000
CLOCK_SKEW = timedelta(seconds=60)
READING_GRACE = timedelta(days=7)
MAX_DELEGATION = 3
Owner = TypeVar("Owner", NodeEntry, PartyEntry)


class Freshness(Enum):
    """What an aging list may still be used for (R6)."""

    FRESH = "fresh"
    READING_ONLY = "reading-only"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class MemberList:
    """One verified version. digest is SHA-256 of payload; signed are the bytes as published."""

    version: int
    network: bytes
    digest: bytes
    previous: bytes | None
    payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    name: str
    test: bool
    issued_at: datetime
    expires: datetime
    roots: Roots = field(repr=False)
    nodes: tuple[NodeEntry, ...] = field(repr=False)
    parties: tuple[PartyEntry, ...] = field(repr=False)
    issuers: tuple[IssuerEntry, ...] = field(repr=False)
    agreements: tuple[Agreement, ...] = field(repr=False)
    logs: tuple[LogEntry, ...] = field(repr=False)
    registries: tuple[RegistryEntry, ...] = field(repr=False)
    algorithms: tuple[AlgorithmEntry, ...] = field(default=(), repr=False)
    anchors: tuple[AnchorEntry, ...] = field(default=(), repr=False)
    arbiters: tuple[ArbiterEntry, ...] = field(default=(), repr=False)
    anchor_contracts: tuple[AnchorContractEntry, ...] = field(default=(), repr=False)
    _keys: Mapping[str, ListedKey] = field(init=False, repr=False, compare=False)
    _nodes: Mapping[str, NodeEntry] = field(init=False, repr=False, compare=False)
    _parties: Mapping[str, PartyEntry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the indexes that the look-ups use."""
        nodes = {node.did: self._in_time(node) for node in self.nodes}
        object.__setattr__(self, "_nodes", MappingProxyType(nodes))
        parties = {party.did: self._in_time(party) for party in self.parties}
        object.__setattr__(self, "_parties", MappingProxyType(parties))
        owners: Iterable[NodeEntry | PartyEntry] = (*nodes.values(), *parties.values())
        keys = {key.kid: key for key in chain.from_iterable(owner.keys for owner in owners)}
        object.__setattr__(self, "_keys", MappingProxyType(keys))

    def _in_time(self, owner: Owner) -> Owner:
        """The entry as the look-ups give it: its keys end with their algorithms."""
        keys = tuple(map(self.within_algorithm, owner.keys))
        return owner if keys == owner.keys else replace(owner, keys=keys)

    def within_algorithm(self, key: ListedKey) -> ListedKey:
        """The key with its time cut to that of its algorithm, so that every reader obeys it."""
        row = ALGORITHMS[key.public.algorithm]
        start = max(key.valid_from, row.since) if row.since else key.valid_from
        ends = (key.valid_until, self.algorithm_until(row.name))
        end = min((moment for moment in ends if moment is not None), default=None)
        if (start, end) == (key.valid_from, key.valid_until):
            return key
        return replace(key, valid_from=start, valid_until=end)

    def algorithm_until(self, name: str) -> datetime | None:
        """From when on signatures by that algorithm are refused: by this list, or by the table."""
        ends = [entry.until for entry in self.algorithms if entry.id == name]
        row = ALGORITHMS.get(name)
        if row is not None and row.until is not None:
            ends.append(row.until)
        return min(ends, default=None)

    @property
    def keys(self) -> Mapping[str, ListedKey]:
        """All keys of nodes and parties, past ones too, by key id."""
        return self._keys

    def key(self, kid: str) -> ListedKey | None:
        """The key of that id, whatever its standing: ask `ListedKey.standing`."""
        return self._keys.get(kid)

    def key_as_listed(self, kid: str) -> ListedKey | None:
        """The key with the times its entry states: for the next draft, not for judging."""
        owners: Iterable[NodeEntry | PartyEntry] = (*self.nodes, *self.parties)
        keys = chain.from_iterable(owner.keys for owner in owners)
        return next((key for key in keys if key.kid == kid), None)

    def node(self, did: str) -> NodeEntry | None:
        """The member with that DID."""
        return self._nodes.get(did)

    def party(self, did: str) -> PartyEntry | None:
        """The hosted party with that DID."""
        return self._parties.get(did)

    def platform(self, code: str) -> NodeEntry | None:
        """The node with that four-character platform code."""
        return next((node for node in self.nodes if node.platform == code), None)

    def issuer_entry(
        self, did: str, document_type: str, country: str, at: datetime
    ) -> IssuerEntry | None:
        """The right by which `did` may issue that type for that country at `at`, or None.

        A delegated right counts only while the delegating member's own right holds, and only
        within it: a right for one office gives none for another, nor for the whole country.
        """
        entries = (entry for entry in self.issuers if entry.did == did)
        wanted = (document_type, country)
        named = (entry for entry in entries if (entry.document_type, entry.country) == wanted)
        return next((entry for entry in named if self._holds(entry, at, MAX_DELEGATION)), None)

    def _holds(self, entry: IssuerEntry, at: datetime, depth: int) -> bool:
        if not within(at, entry.valid_from, entry.valid_until):
            return False
        if entry.delegated_by is None:
            return True
        givers = (one for one in self.issuers if one.covers(entry))
        return depth > 0 and any(self._holds(giver, at, depth - 1) for giver in givers)

    def widened(self, entry: IssuerEntry) -> bool:
        """Whether a delegated right reaches, in office or dates, beyond every right it hangs on."""
        if entry.delegated_by is None:
            return False
        givers = (one for one in self.issuers if one.covers(entry))
        return not any(one.spans(entry) for one in givers)

    def rights_of(self, did: str, at: datetime) -> tuple[IssuerEntry, ...]:
        """All rights to issue that `did` holds at `at`."""
        return tuple(
            entry
            for entry in self.issuers
            if entry.did == did
            and self.issuer_entry(did, entry.document_type, entry.country, at) is not None
        )

    def agreement(
        self, verifier_country: str, issuer_country: str, document_type: str, at: datetime
    ) -> Agreement | None:
        """The agreement by which the verifier's country accepts that type from the issuer's.

        A country accepts its own issuers: then an agreement named `domestic` comes back.
        """
        if verifier_country == issuer_country:
            types = (document_type,)
            return Agreement("domestic", verifier_country, issuer_country, types, self.issued_at)
        for agreement in self.agreements:
            if (
                (agreement.verifier, agreement.issuer) == (verifier_country, issuer_country)
                and document_type in agreement.document_types
                and within(at, agreement.valid_from, agreement.valid_until)
            ):
                return agreement
        return None

    def log(self, origin: str) -> LogEntry | None:
        """The log with that origin, in the youngest epoch that it has handed over to (R16)."""
        return log_epochs.in_force(self.log_epochs(origin))

    def log_epochs(self, origin: str) -> tuple[LogEntry, ...]:
        """The listed epochs of one log, also those that it has not handed over to yet."""
        return tuple(entry for entry in self.logs if entry.origin == origin)

    def logs_of(self, did: str) -> tuple[LogEntry, ...]:
        """The logs of that member."""
        return tuple(entry for entry in self.logs if entry.did == did)

    def registry(self, origin: str) -> RegistryEntry | None:
        """The title registry with that origin."""
        return next((entry for entry in self.registries if entry.origin == origin), None)

    def arbiter(self, arbiter: bytes) -> ArbiterEntry | None:
        """The title arbiter on a chain that has this id (R19)."""
        return next((entry for entry in self.arbiters if entry.id == arbiter), None)

    def anchor_contract(
        self, chain_id: int, contract: bytes, code_hash: bytes
    ) -> AnchorContractEntry | None:
        """The listed contract for anchors of logs at that place with that code."""
        wanted = (chain_id, contract, code_hash)
        return next(
            (
                entry
                for entry in self.anchor_contracts
                if (entry.place.chain_id, entry.place.contract, entry.place.code_hash) == wanted
            ),
            None,
        )

    def anchors_for(
        self, purpose: str, subject: str | None, at: datetime
    ) -> tuple[AnchorEntry, ...]:
        """The anchors for that issuer, platform or server (None: for any) at `at` (R7)."""
        return tuple(
            entry
            for entry in self.anchors
            if entry.purpose == purpose and subject in (None, entry.subject) and entry.valid_at(at)
        )

    def freshness(self, now: datetime) -> Freshness:
        """R6: fresh until it expires, good for reading for seven days more, then stale."""
        if now < self.expires:
            return Freshness.FRESH
        reading = now - self.expires < READING_GRACE
        return Freshness.READING_ONLY if reading else Freshness.STALE


def open_founding(
    signed: bytes, *, now: datetime | None = None, network: bytes | None = None
) -> MemberList:
    """Version 1, signed by its own roots; `network` is the id the reader pins, when known.

    Raises MalformedError `member_list_malformed`, RefusedError `member_list_threshold`,
    `member_list_other_network`, `member_list_from_future`.
    """
    envelope = jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES)
    opened = _read(envelope, signed)
    if opened.version != 1 or opened.previous is not None:
        raise MalformedError(reading.CODE, "a founding list is version 1", pointer="/version")
    if network is not None and opened.network != network:
        raise RefusedError("member_list_other_network", "the network id is another one")
    _require_past(opened, now)
    _require_threshold(envelope, opened.roots, "its own roots")
    return opened


def advance(current: MemberList, signed: bytes, *, now: datetime | None) -> MemberList:
    """The version after `current` (R4), or an error that says which link is missing.

    Raises as `open_founding`, and RefusedError `member_list_not_next`, `member_list_key_dropped`;
    ConflictError `member_list_fork` when the bytes are another version of the same number.
    """
    envelope = jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES)
    following = _read(envelope, signed)
    require_next(current, following)
    _require_past(following, now)
    _require_threshold(envelope, current.roots, "the previous version's roots")
    if following.roots != current.roots:
        _require_threshold(envelope, following.roots, "the new roots")
    return following


def require_next(current: MemberList, following: MemberList) -> None:
    """Whether `following` may stand after `current`, its signatures apart; raises as `advance`."""
    _require_network(current, following)
    require_same(current, following)
    if following.version != current.version + 1 or following.previous != current.digest:
        raise RefusedError(
            "member_list_not_next", f"version {following.version} does not follow what is held"
        )
    if following.issued_at < current.issued_at:
        raise RefusedError("member_list_not_next", "it was issued before the version it follows")
    require_consistent(following)
    _require_history(current, following)


def _require_network(current: MemberList, other: MemberList) -> None:
    """A list of another network is a mistake of whoever brings it, and contradicts nothing."""
    if other.network != current.network or other.test != current.test:
        raise RefusedError("member_list_other_network", "the list belongs to another network")


def reopen(signed: bytes, digest: bytes) -> MemberList:
    """A version that was verified before and is known by its digest; no signature is checked.

    Raises RefusedError `member_list_altered` when the bytes are not those.
    """
    envelope = jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES)
    if envelope.payload_digest != digest:
        raise RefusedError("member_list_altered", "a stored version is not the one verified")
    return _read(envelope, signed)


def require_same(held: MemberList, other: MemberList) -> None:
    """R4: one version number, one digest. Raises ConflictError `member_list_fork`."""
    if other.version == held.version and other.digest != held.digest:
        raise ConflictError(
            "member_list_fork",
            f"version {held.version} exists with two digests",
            version=held.version,
            held=held.digest.hex(),
            other=other.digest.hex(),
        )


def open_chain(
    lists: Sequence[bytes],
    held: MemberList | None = None,
    now: datetime | None = None,
    *,
    network: bytes | None = None,
) -> MemberList:
    """Walk `lists`, in order of version, from `held` (or from a founding list) to the last one.

    Versions up to the one held are no more than read: they must be of this network, and the one
    held is the same. Raises as `advance`, and `member_list_empty` when there is nothing to walk.
    """
    current = held
    for signed in lists[:MAX_VERSIONS]:
        if current is None:
            current = open_founding(signed, now=now, network=network)
            continue
        version = peek_version(signed)
        if version > current.version:
            current = advance(current, signed, now=now)
        elif signed != current.signed:
            other = _read(jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES), signed)
            _require_network(current, other)
            require_same(current, other)
    if current is None:
        raise MalformedError("member_list_empty", "there is no member list in it")
    return current


def peek_version(signed: bytes) -> int:
    """The version number a signed list claims; nothing is verified."""
    payload = jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES).payload
    return _fields(payload).integer("version", 1, MAX_VERSIONS)


def peek_digest(signed: bytes) -> bytes:
    """SHA-256 of the payload of a signed list (R2); nothing is verified."""
    return jws.parse_multi(signed, typ=TYP, max_bytes=MAX_BYTES).payload_digest


def signatures_counted(envelope: jws.MultiJws, roots: Roots) -> int:
    """How many different keys of `roots` signed the payload; two by one key count once (R3)."""
    keys = roots.by_kid()
    signers: set[str] = set()
    for signature in envelope.signatures:
        key = keys.get(signature.kid)
        if key is None or key.thumbprint() in signers:
            continue
        try:
            jws.verify(signature, key)
        except RefusedError:
            continue
        signers.add(key.thumbprint())
    return len(signers)


def _require_threshold(envelope: jws.MultiJws, roots: Roots, whose: str) -> None:
    counted = signatures_counted(envelope, roots)
    if counted < roots.threshold:
        raise RefusedError(
            "member_list_threshold",
            f"signatures that {whose} must give: {counted} of {roots.threshold}",
        )


def _require_past(opened: MemberList, now: datetime | None) -> None:
    if now is not None and opened.issued_at > now + CLOCK_SKEW:
        raise RefusedError("member_list_from_future", "it was issued later than now")


def _require_history(current: MemberList, following: MemberList) -> None:
    """Keys stay listed, unchanged and with their compromise told, so that the past verifies."""
    for kid, key in current.keys.items():
        kept = following.key(kid)
        if kept is None or kept.public != key.public or kept.purpose != key.purpose:
            raise RefusedError("member_list_key_dropped", f"{kid} is missing or became another key")
        if key.compromised_from is not None and (
            kept.compromised_from is None or kept.compromised_from > key.compromised_from
        ):
            raise RefusedError("member_list_key_dropped", f"the compromise of {kid} is played down")


def _fields(payload: bytes) -> Fields:
    members = strict_json.loads_object(payload, max_bytes=MAX_BYTES)
    if strict_json.canonical(members) != payload:
        raise MalformedError(reading.CODE, "the payload is not RFC 8785 JSON")
    return Fields(members, reading.CODE)


def _read(envelope: jws.MultiJws, signed: bytes) -> MemberList:
    opened = read_payload(envelope.payload, signed)
    require_consistent(opened)
    return opened


def read_payload(payload: bytes, signed: bytes) -> MemberList:
    """The payload's content, without any signature check: for drafts that await signatures."""
    fields = _fields(payload)
    version, digest = fields.integer("version", 1, MAX_VERSIONS), sha256(payload)
    test = fields.boolean("test")
    issued, expires = fields.time("issued"), fields.time("expires")
    if expires <= issued:
        raise fields.fault("expires", "it expires before it is issued")
    return MemberList(
        version=version,
        network=digest if version == 1 else fields.digest("network"),
        digest=digest,
        previous=fields.optional_digest("previous"),
        payload=payload,
        signed=signed,
        name=fields.text("name"),
        test=test,
        issued_at=issued,
        expires=expires,
        roots=reading.read_roots(fields.child("roots")),
        nodes=tuple(reading.read_node(item, test=test) for item in fields.children("nodes")),
        parties=tuple(map(reading.read_party, fields.children("parties"))),
        issuers=tuple(map(reading.read_issuer, fields.children("issuers"))),
        agreements=tuple(map(reading.read_agreement, fields.children("agreements"))),
        logs=tuple(map(reading.read_log, fields.children("logs"))),
        registries=tuple(map(reading.read_registry, fields.children("registries"))),
        algorithms=tuple(map(reading.read_algorithm, fields.children("algorithms", 100))),
        anchors=tuple(map(read_anchor, fields.children("anchors", 1_000))),
        arbiters=tuple(map(read_arbiter, fields.children("arbiters", 100))),
        anchor_contracts=tuple(map(read_anchor_contract, fields.children("anchorContracts", 100))),
    )
