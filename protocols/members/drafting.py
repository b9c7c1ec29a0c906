"""Preparing the next member list, signing it by and by, and telling what it would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from protocols import jws, times
from protocols.digest import sha256
from protocols.keys import Signer
from protocols.members import trust
from protocols.members.anchors import AnchorEntry
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
from protocols.members.trust import TYP, MemberList
from schemas import strict_json
from schemas.errors import RefusedError

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


def keep_past_keys(old: Sequence[ListedKey], new: Sequence[ListedKey]) -> tuple[ListedKey, ...]:
    """`new`, and the keys of `old` that it does not name: keys are never taken off the list."""
    named = {key.kid for key in new}
    return (*new, *(key for key in old if key.kid not in named))


def sign_list(payload: bytes, signers: Sequence[Signer]) -> bytes:
    """The signed list (general JSON serialisation) with one signature per signer."""
    return jws.sign_multi(payload, typ=TYP, signers=signers).to_bytes()


def combine(signed: bytes, other: bytes) -> bytes:
    """One signed list with the signatures of both; raises `jws_other_payload` when they differ."""
    first = jws.parse_multi(signed, typ=TYP, max_bytes=trust.MAX_BYTES)
    second = jws.parse_multi(other, typ=TYP, max_bytes=trust.MAX_BYTES)
    return first.with_signatures(second.signatures).to_bytes()


def require_root(signer: Signer, roots: Roots) -> None:
    """Raise RefusedError `not_a_root` when the signer's key is not one of `roots`."""
    key = roots.by_kid().get(signer.kid)
    if key is None or dict(key.jwk) != dict(signer.public_jwk):
        raise RefusedError("not_a_root", f"{signer.kid} is not a root of this network")


def diff(old: MemberList | None, new: MemberList) -> list[str]:
    """Plain sentences telling what `new` changes, for those who are about to sign it."""
    if old is None:
        return [f"founds the network {new.name} with {len(new.nodes)} nodes"]
    sentences = _root_changes(old, new)
    sentences += _owner_changes("node", old.nodes, new.nodes)
    sentences += _owner_changes("party", old.parties, new.parties)
    sentences += _changes("right", old.issuers, new.issuers, _tell_right)
    sentences += _changes("agreement", old.agreements, new.agreements, _tell_agreement)
    sentences += _changes("log", old.logs, new.logs, lambda item: f"{item.origin} #{item.epoch}")
    sentences += _changes("registry", old.registries, new.registries, lambda item: item.origin)
    sentences += _changes("end of algorithm", old.algorithms, new.algorithms, _tell_algorithm)
    sentences += _changes("anchor", old.anchors, new.anchors, _tell_anchor)
    if new.expires != old.expires:
        sentences.append(f"expires {times.to_text(new.expires)}")
    return sentences


def _root_changes(old: MemberList, new: MemberList) -> list[str]:
    if old.roots == new.roots:
        return []
    kids = ", ".join(key.kid for key in new.roots.keys)
    return [f"changes the roots to {new.roots.threshold} of {kids}"]


def _owner_changes(
    what: str, old: Sequence[NodeEntry | PartyEntry], new: Sequence[NodeEntry | PartyEntry]
) -> list[str]:
    before = {entry.did: entry for entry in old}
    sentences = [
        f"removes {what} {did}" for did in before if did not in {entry.did for entry in new}
    ]
    for entry in new:
        known = before.get(entry.did)
        if known is None:
            sentences.append(f"admits {what} {entry.did} ({entry.name})")
        elif known != entry or known.to_json() != entry.to_json():
            sentences.append(f"changes {what} {entry.did}: {_members_changed(known, entry)}")
    return sentences


def _members_changed(old: NodeEntry | PartyEntry, new: NodeEntry | PartyEntry) -> str:
    before, after = old.to_json(), new.to_json()
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ", ".join(names)


def _changes(what: str, old: Sequence[T], new: Sequence[T], tell: Callable[[T], str]) -> list[str]:
    removed = [f"removes or replaces {what} {tell(entry)}" for entry in old if entry not in new]
    return removed + [f"adds {what} {tell(entry)}" for entry in new if entry not in old]


def _tell_algorithm(entry: AlgorithmEntry) -> str:
    return f"{entry.id}: refused from {times.to_text(entry.until)} on"


def _tell_anchor(entry: AnchorEntry) -> str:
    told = f"{entry.purpose} of {entry.subject}: certificate {sha256(entry.certificate).hex()}"
    return told + (f", {len(entry.revoked)} revoked under it" if entry.revoked else "")


def _tell_right(entry: IssuerEntry) -> str:
    return f"{entry.did}: {entry.document_type} for {entry.country}"


def _tell_agreement(agreement: Agreement) -> str:
    types = ", ".join(agreement.document_types)
    return f"{agreement.id}: {agreement.verifier} accepts {types} from {agreement.issuer}"
