"""Preparing the next member list: what it should say, as a value to be changed step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from protocols import times
from protocols.members.anchor_contracts import AnchorContractEntry
from protocols.members.anchors import AnchorEntry
from protocols.members.arbiters import ArbiterEntry
from protocols.members.entries import (
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    Json,
    ListedKey,
    LogEntry,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
)
from protocols.members.trust import MemberList
from schemas import strict_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MemberListDraft:
    """What a next version should say. `previous` None founds a network.

    Entries are replaced by value: use `dataclasses.replace`, or `with_node`, `with_issuer`.
    """

    name: str
    test: bool
    issued_at: datetime
    expires: datetime
    roots: Roots
    nodes: tuple[NodeEntry, ...] = ()
    parties: tuple[PartyEntry, ...] = ()
    issuers: tuple[IssuerEntry, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    registries: tuple[RegistryEntry, ...] = ()
    algorithms: tuple[AlgorithmEntry, ...] = ()
    anchors: tuple[AnchorEntry, ...] = ()
    arbiters: tuple[ArbiterEntry, ...] = ()
    anchor_contracts: tuple[AnchorContractEntry, ...] = ()
    previous: MemberList | None = None

    @classmethod
    def after(cls, held: MemberList, *, issued_at: datetime, expires: datetime) -> MemberListDraft:
        """A draft of the next version that changes nothing yet but its dates."""
        return cls(
            name=held.name,
            test=held.test,
            issued_at=max(issued_at, held.issued_at),
            expires=expires,
            roots=held.roots,
            nodes=held.nodes,
            parties=held.parties,
            issuers=held.issuers,
            agreements=held.agreements,
            logs=held.logs,
            registries=held.registries,
            algorithms=held.algorithms,
            anchors=held.anchors,
            arbiters=held.arbiters,
            anchor_contracts=held.anchor_contracts,
            previous=held,
        )

    def with_node(self, node: NodeEntry) -> MemberListDraft:
        """The draft with that node added, or put in place of the one with its DID.

        Keys that the old entry listed stay (R17: what they signed must verify for ever).
        """
        old = next((entry for entry in self.nodes if entry.did == node.did), None)
        kept = keep_past_keys(old.keys if old else (), node.keys)
        return replace(self, nodes=_put(self.nodes, replace(node, keys=kept), _did))

    def with_party(self, party: PartyEntry) -> MemberListDraft:
        """The draft with that party added, or put in place of the one with its DID."""
        old = next((entry for entry in self.parties if entry.did == party.did), None)
        kept = keep_past_keys(old.keys if old else (), party.keys)
        return replace(self, parties=_put(self.parties, replace(party, keys=kept), _did))

    def without_node(self, did: str, at: datetime) -> MemberListDraft:
        """The draft with all that the member and its hosted parties may do ended at `at`.

        The entry stays, and its keys with it: what they signed in their time must verify (R17).
        """
        dids = {did, *(party.did for party in self.parties if party.host == did)}
        draft = self
        owners: tuple[NodeEntry | PartyEntry, ...] = (*self.nodes, *self.parties)
        for owner in owners:
            for key in owner.keys if owner.did in dids else ():
                draft = draft.with_key(ended(key, at))
        rights = tuple(ended(one, at) if one.did == did else one for one in draft.issuers)
        return replace(draft, issuers=rights)

    def with_key(self, key: ListedKey) -> MemberListDraft:
        """The draft with that key in place of the one with its id, at its owner.

        For ending a key, or telling of a compromise (R17).
        """
        nodes = tuple(
            replace(entry, keys=_put(entry.keys, key, _kid)) if entry.did == key.did else entry
            for entry in self.nodes
        )
        parties = tuple(
            replace(entry, keys=_put(entry.keys, key, _kid)) if entry.did == key.did else entry
            for entry in self.parties
        )
        return replace(self, nodes=nodes, parties=parties)

    def with_issuer(self, entry: IssuerEntry) -> MemberListDraft:
        """The draft with that right added, or put in place of the same right."""
        return replace(self, issuers=_put(self.issuers, entry, _right))

    def with_agreement(self, agreement: Agreement) -> MemberListDraft:
        """The draft with that agreement added, or put in place of the one with its id."""
        return replace(self, agreements=_put(self.agreements, agreement, lambda item: item.id))

    def with_log(self, log: LogEntry) -> MemberListDraft:
        """The draft with that log added, or put in place of the same origin and epoch."""
        return replace(self, logs=_put(self.logs, log, lambda item: (item.origin, item.epoch)))

    def with_registry(self, entry: RegistryEntry) -> MemberListDraft:
        """The draft with that registry added, or put in place of the one with its origin."""
        return replace(self, registries=_put(self.registries, entry, lambda item: item.origin))

    def with_algorithm(self, entry: AlgorithmEntry) -> MemberListDraft:
        """The draft with that algorithm refused from its date on, in place of what it said."""
        return replace(self, algorithms=_put(self.algorithms, entry, lambda item: item.id))

    def with_anchor(self, entry: AnchorEntry) -> MemberListDraft:
        """The draft with that anchor added, or put in place of what it said of the certificate."""
        return replace(self, anchors=_put(self.anchors, entry, _anchored))

    def with_arbiter(self, entry: ArbiterEntry) -> MemberListDraft:
        """The draft with that chain's arbiter added, or put in place of the one with its name."""
        return replace(self, arbiters=_put(self.arbiters, entry, lambda item: item.name))

    def with_anchor_contract(self, entry: AnchorContractEntry) -> MemberListDraft:
        """The draft with that contract added, or put in place of the one with its name."""
        placed = _put(self.anchor_contracts, entry, lambda item: item.name)
        return replace(self, anchor_contracts=placed)

    def payload(self) -> bytes:
        """The list's payload: RFC 8785 JSON. It is what roots sign and what has the digest."""
        body: Json = {
            "version": 1 if self.previous is None else self.previous.version + 1,
            "name": self.name,
            "test": self.test,
            "issued": times.to_text(self.issued_at),
            "expires": times.to_text(self.expires),
            "roots": self.roots.to_json(),
            "nodes": [entry.to_json() for entry in self.nodes],
            "parties": [entry.to_json() for entry in self.parties],
            "issuers": [entry.to_json() for entry in self.issuers],
            "agreements": [entry.to_json() for entry in self.agreements],
            "logs": [entry.to_json() for entry in self.logs],
            "registries": [entry.to_json() for entry in self.registries],
        }
        if self.algorithms:
            body["algorithms"] = [entry.to_json() for entry in self.algorithms]
        if self.anchors:
            body["anchors"] = [entry.to_json() for entry in self.anchors]
        if self.arbiters:
            body["arbiters"] = [entry.to_json() for entry in self.arbiters]
        if self.anchor_contracts:
            body["anchorContracts"] = [entry.to_json() for entry in self.anchor_contracts]
        if self.previous is not None:
            body["network"] = self.previous.network.hex()
            body["previous"] = self.previous.digest.hex()
        return strict_json.canonical(body)


def _did(entry: NodeEntry | PartyEntry) -> str:
    return entry.did


def _kid(key: ListedKey) -> str:
    return key.kid


def _right(entry: IssuerEntry) -> object:
    return (entry.did, entry.document_type, entry.country, entry.office)


def _anchored(entry: AnchorEntry) -> object:
    return (entry.purpose, entry.subject, entry.certificate)


def _put(entries: tuple[T, ...], entry: T, name: Callable[[T], object]) -> tuple[T, ...]:
    if any(name(item) == name(entry) for item in entries):
        return tuple(entry if name(item) == name(entry) else item for item in entries)
    return (*entries, entry)


Ending = TypeVar("Ending", ListedKey, IssuerEntry, Agreement)


def ended(entry: Ending, at: datetime) -> Ending:
    """The entry with its end at `at`, unless it ends earlier; never before it began.

    What was witnessed before that end stands.
    """
    until = max(at, entry.valid_from)
    if entry.valid_until is not None:
        until = min(until, entry.valid_until)
    return replace(entry, valid_until=until)


def keep_past_keys(old: Sequence[ListedKey], new: Sequence[ListedKey]) -> tuple[ListedKey, ...]:
    """`new`, and the keys of `old` that it does not name: keys are never taken off the list."""
    named = {key.kid for key in new}
    return (*new, *(key for key in old if key.kid not in named))
