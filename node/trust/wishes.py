"""What a root wishes the next member list to say, and the draft that says it.

Every change of a list goes this way, whether it was given as options, as JSON or as an edited
list. Nothing here signs; `node.trust.signing` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from protocols import times
from protocols.joining import Right
from protocols.keys import ALGORITHMS
from protocols.member_list import (
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    ListedKey,
    MemberList,
    MemberListDraft,
    NodeEntry,
    PartyEntry,
    Roots,
)
from protocols.members import policies, trust
from protocols.members.anchor_contracts import AnchorContractEntry
from protocols.members.anchors import AnchorEntry
from protocols.members.arbiters import ArbiterEntry
from protocols.members.changes import Change, changes, says_the_same
from protocols.members.drafting import ended
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocols.joining import JoinRequest
    from protocols.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to give to `did`; "" stands for the nodes that are admitted with it.

    since None: from the new list on; delegated_by: the member whose own right it hangs on
    """

    did: str
    right: Right
    since: datetime | None = None
    until: datetime | None = None
    delegated_by: str | None = None
    certificate_types: tuple[str, ...] = ()

    def entry(self, did: str, at: datetime) -> IssuerEntry:
        """The right as the list states it."""
        entry = self.right.entry(did, self.since or at)
        return replace(
            entry,
            valid_until=self.until,
            delegated_by=self.delegated_by,
            certificate_types=self.certificate_types,
        )


@dataclass(frozen=True, slots=True)
class End:
    """What is to end, and when (None: with the new list): a key, node, agreement or right."""

    what: str
    name: str
    until: datetime | None = None
    right: Right | None = None


@dataclass(frozen=True, slots=True)
class RootChange:
    """Root keys to add and to take away (key ids), and how many must sign from then on."""

    added: tuple[PublicKey, ...] = ()
    removed: tuple[str, ...] = ()
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the next version should say.

    requests: ids of join requests to admit; everything: all that wait
    grant_wanted: give the rights that admitted nodes asked for
    ends: what ends; compromised: ids of keys, and since when they are said to be in foreign hands
    (R17)
    algorithms: refused from their dates on, whoever's key it is; anchors: certificates to add
    arbiters, anchor_contracts: contracts on chains to list, each in place of the one with its name
    witnesses, quorum, known: the policy of every log, with keys that have no vote
    registry: who sequences titles
    edited: a whole list, edited as JSON, that the other wishes change further
    expires: when the list expires, else `days` after it is drafted
    anyway: even if a log or registry could not reach its quorum any more
    """

    requests: tuple[bytes, ...] = ()
    everything: bool = False
    grants: tuple[Grant, ...] = ()
    grant_wanted: bool = False
    agreements: tuple[Agreement, ...] = ()
    ends: tuple[End, ...] = ()
    compromised: tuple[tuple[str, datetime], ...] = ()
    algorithms: tuple[AlgorithmEntry, ...] = ()
    anchors: tuple[AnchorEntry, ...] = ()
    arbiters: tuple[ArbiterEntry, ...] = ()
    anchor_contracts: tuple[AnchorContractEntry, ...] = ()
    witnesses: tuple[str, ...] = ()
    quorum: int | None = None
    known: tuple[str, ...] = ()
    registry: str | None = None
    roots: RootChange = field(default_factory=RootChange)
    edited: Mapping[str, strict_json.JsonValue] | None = None
    days: int = 365
    expires: datetime | None = None
    dry_run: bool = False
    anyway: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether it only signs what others proposed."""
        plain = Wish(days=self.days, dry_run=self.dry_run, anyway=self.anyway, quorum=self.quorum)
        return self == plain

    def renews(self, current: MemberList) -> bool:
        """Whether a version that says nothing new is wanted: no change, or another expiry."""
        if self.edited is not None:
            return self.edited.get("expires") != times.to_text(current.expires)
        return self.expires is not None or self.changes_nothing


#: A date that means "from the new list on".
FROM_THE_LIST = times.from_ms(0)


def draft(
    current: MemberList, wish: Wish, requests: Sequence[JoinRequest], own: str, now: datetime
) -> MemberListDraft:
    """The next version as wished, unsigned; `own` is the DID that rights are for by default.

    Raises NotFoundError for what is not on the list, RefusedError for what no list may say.
    """
    drafted = _base(current, wish, now)
    at = drafted.issued_at
    for request in requests:
        drafted = admit(drafted, request, current)
        for right in _lacking(request, current, now) if wish.grant_wanted else ():
            drafted = drafted.with_issuer(right.entry(request.node.did, at))
    admitted = [request.node.did for request in requests] or [own]
    for grant in wish.grants:
        for did in [grant.did] if grant.did else admitted:
            drafted = drafted.with_issuer(grant.entry(did, at))
    for agreement in wish.agreements:
        drafted = drafted.with_agreement(_from_the_list(agreement, at))
    for anchor in wish.anchors:
        drafted = drafted.with_anchor(_from_the_list(anchor, at))
    for end in wish.ends:
        drafted = _ended(drafted, end, at)
    for key in _compromised(wish, current, at):
        drafted = drafted.with_key(key)
    drafted = _refusing(drafted, wish.algorithms)
    drafted = replace(drafted, roots=_roots(drafted.roots, wish.roots))
    return _with_policies(_with_contracts(drafted, wish), wish)


def _refusing(drafted: MemberListDraft, algorithms: Sequence[AlgorithmEntry]) -> MemberListDraft:
    """A mistyped name would refuse nothing, and whoever signs would believe that it does."""
    for algorithm in algorithms:
        if algorithm.id not in ALGORITHMS:
            known = ", ".join(sorted(ALGORITHMS))
            raise NotFoundError("algorithm_unknown", f"{algorithm.id} is none of {known}")
        drafted = drafted.with_algorithm(algorithm)
    return drafted


Dated = TypeVar("Dated", Agreement, AnchorEntry)


def _from_the_list(entry: Dated, at: datetime) -> Dated:
    since = at if entry.valid_from == FROM_THE_LIST else entry.valid_from
    return replace(entry, valid_from=since)


def _with_contracts(drafted: MemberListDraft, wish: Wish) -> MemberListDraft:
    for arbiter in wish.arbiters:
        drafted = drafted.with_arbiter(arbiter)
    for contract in wish.anchor_contracts:
        drafted = drafted.with_anchor_contract(_with_senders(drafted, contract))
    return drafted


def _with_senders(drafted: MemberListDraft, entry: AnchorContractEntry) -> AnchorContractEntry:
    """The contract with whose calls already count there: each member brings its own sender."""
    for held in drafted.anchor_contracts:
        if held.name == entry.name and held.place.id == entry.place.id:
            senders = tuple(dict.fromkeys((*held.senders, *entry.senders)))
            return replace(entry, senders=senders)
    return entry


def _base(current: MemberList, wish: Wish, now: datetime) -> MemberListDraft:
    expires = wish.expires or now + timedelta(days=wish.days)
    drafted = MemberListDraft.after(current, issued_at=now, expires=expires)
    if wish.edited is None:
        return drafted
    opened = _opened(current, wish.edited, drafted)
    own = {"previous", "issued_at", "expires"}
    names = [one.name for one in fields(MemberListDraft) if one.name not in own]
    drafted = replace(drafted, **{name: getattr(opened, name) for name in names})
    changed = wish.expires is None and opened.expires != current.expires
    return replace(drafted, expires=opened.expires) if changed else drafted


def _opened(
    current: MemberList, edited: Mapping[str, strict_json.JsonValue], drafted: MemberListDraft
) -> MemberList:
    """The edited list, read strictly; what places it in the chain is not for editing."""
    placed: dict[str, strict_json.JsonValue] = {
        **edited,
        "version": current.version + 1,
        "network": current.network.hex(),
        "previous": current.digest.hex(),
        "test": current.test,
        "issued": times.to_text(drafted.issued_at),
    }
    return trust.read_payload(strict_json.canonical(placed), b"")


def _ended(drafted: MemberListDraft, end: End, now: datetime) -> MemberListDraft:
    at = end.until or now
    if end.what == "key":
        return drafted.with_key(ended(_key(drafted, end.name), at))
    if end.what == "node":
        if end.name not in {node.did for node in drafted.nodes}:
            raise NotFoundError("member_not_on_list", f"{end.name} is not a member")
        return drafted.without_node(end.name, at)
    if end.what == "agreement":
        found = [one for one in drafted.agreements if one.id == end.name]
        if not found:
            raise NotFoundError("agreement_not_on_list", f"there is no agreement {end.name}")
        return drafted.with_agreement(ended(found[0], at))
    rights = [one for one in drafted.issuers if _is_named(one, end)]
    if not rights:
        raise NotFoundError("right_not_on_list", f"{end.name} has no such right")
    for entry in rights:
        drafted = drafted.with_issuer(ended(entry, at))
    return drafted


def _is_named(entry: IssuerEntry, end: End) -> bool:
    right = end.right
    if right is None or entry.did != end.name:
        return False
    named = (entry.document_type, entry.country) == (right.document_type, right.country)
    return named and right.office in (None, entry.office)


def _key(drafted: MemberListDraft, kid: str) -> ListedKey:
    owners: tuple[NodeEntry | PartyEntry, ...] = (*drafted.nodes, *drafted.parties)
    found = next((key for owner in owners for key in owner.keys if key.kid == kid), None)
    if found is None:
        raise NotFoundError("key_not_on_list", f"{kid} is not on the member list")
    return found


def _compromised(wish: Wish, current: MemberList, at: datetime) -> list[ListedKey]:
    """Keys in foreign hands end at once, and the new list announces it (R17)."""
    changed = []
    for kid, since in wish.compromised:
        key = current.key_as_listed(kid)
        if key is None:
            raise NotFoundError("key_not_on_list", f"{kid} is not on the member list")
        announced = key.compromise_announced or at
        told = replace(ended(key, at), compromised_from=since, compromise_announced=announced)
        changed.append(told)
    return changed


def _roots(roots: Roots, change: RootChange) -> Roots:
    """The roots with keys taken away and added; raises when the threshold cannot be reached."""
    named = {key.kid for key in roots.keys}
    for kid in change.removed:
        if kid not in named:
            raise NotFoundError("key_not_on_list", f"{kid} is not a root")
    new = {key.kid for key in change.added}
    kept = (key for key in roots.keys if key.kid not in {*change.removed, *new})
    keys = (*kept, *change.added)
    threshold = change.threshold or roots.threshold
    if threshold > len(keys):
        raise RefusedError(
            "threshold_unreachable", f"signatures: {threshold}, root keys: {len(keys)}"
        )
    return Roots(threshold, keys)


def _with_policies(drafted: MemberListDraft, wish: Wish) -> MemberListDraft:
    """Witnesses for every log, and for the registry, which is nothing without one (R22)."""
    if wish.witnesses:
        drafted = policies.with_witnesses(drafted, wish.witnesses, wish.quorum, known=wish.known)
    elif wish.compromised or wish.requests or wish.everything:
        drafted = policies.with_stolen_replaced(drafted)
    if wish.registry is None:
        return drafted
    if not set(wish.witnesses) - {wish.registry}:
        raise RefusedError("registry_without_witness", "no title would become final")
    return drafted.with_registry(
        policies.registry_of(drafted, wish.registry, wish.witnesses, wish.quorum)
    )


def admit(drafted: MemberListDraft, request: JoinRequest, current: MemberList) -> MemberListDraft:
    """The draft with what the request offers; new keys count from the list's issue on."""
    node = request.node
    listed = current.key_as_listed
    drafted = drafted.with_node(_with_new_keys(node, current, drafted.issued_at))
    for party in request.parties:
        kept = tuple(
            listed(key.kid) or replace(key, valid_from=drafted.issued_at) for key in party.keys
        )
        drafted = drafted.with_party(replace(party, keys=kept))
    if request.log is not None and current.log(request.log.origin) is None:
        earlier = current.logs_of(node.did)
        drafted = drafted.with_log(policies.next_log(request.log, earlier))
    return drafted


def _with_new_keys(node: NodeEntry, current: MemberList, at: datetime) -> NodeEntry:
    """New keys count from `at`. What only the roots state of a member stays as they stated it."""
    listed, known = current.key_as_listed, current.node(node.did)
    keys = tuple(listed(key.kid) or replace(key, valid_from=at) for key in node.keys)
    if known is None:
        return replace(node, keys=keys)
    names, since = node.names or known.names, known.countersigned_from
    return replace(node, keys=keys, names=names, countersigned_from=since)


def missing(request: JoinRequest, current: MemberList, now: datetime) -> list[Change]:
    """What a list would still have to change to grant all that the request asks for."""
    drafted = MemberListDraft.after(current, issued_at=now, expires=current.expires)
    drafted = admit(drafted, request, current)
    for right in _lacking(request, current, now):
        drafted = drafted.with_issuer(right.entry(request.node.did, now))
    granted = trust.read_payload(drafted.payload(), b"")
    return [] if says_the_same(current, granted) else changes(current, granted)


def _lacking(request: JoinRequest, current: MemberList, at: datetime) -> list[Right]:
    """The rights asked for that the node does not have; one that it has keeps its dates."""
    held = current.rights_of(request.node.did, at)
    return [
        right
        for right in request.wants
        if not any(
            (entry.document_type, entry.country) == (right.document_type, right.country)
            and entry.office in (None, right.office)
            and not entry.certificate_types
            for entry in held
        )
    ]
