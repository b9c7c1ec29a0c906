"""The roots' work: admitting, granting, agreeing; signing the next version until it counts (R4).

A proposal is a next version that still misses signatures. It travels between the nodes that hold
root keys; whoever adds the last signature publishes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from node.trust import rows
from node.trust.founding import purpose_of
from protocols import joining, jws, member_list
from protocols.joining import JoinRequest, Right
from protocols.member_list import (
    Agreement,
    AlgorithmEntry,
    IssuerEntry,
    ListedKey,
    MemberList,
    MemberListDraft,
)
from protocols.members import policies
from schemas.errors import ConflictError, NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from node.runtime import Node
    from node.trust.following import Follower
    from protocols.keys import SoftwareSigner

PROPOSALS = "/px/1/proposals"


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to give to `did`; "" stands for the nodes that are admitted with it."""

    did: str
    right: Right


@dataclass(frozen=True, slots=True)
class Wish:
    """What a root wants the next version to say.

    requests: ids of join requests to admit; everything: all that wait
    grant_wanted: give the rights that admitted nodes asked for
    ended: ids of keys that end with the new list; compromised: ids of keys, and since when they
    are said to be in foreign hands (R17)
    algorithms: refused from their dates on, whoever's key it is
    witnesses, quorum: the policy of every log; registry: who sequences titles
    """

    requests: tuple[bytes, ...] = ()
    everything: bool = False
    grants: tuple[Grant, ...] = ()
    grant_wanted: bool = False
    agreements: tuple[Agreement, ...] = ()
    ended: tuple[str, ...] = ()
    compromised: tuple[tuple[str, datetime], ...] = ()
    algorithms: tuple[AlgorithmEntry, ...] = ()
    witnesses: tuple[str, ...] = ()
    quorum: int | None = None
    registry: str | None = None
    days: int = 365
    dry_run: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether it only signs what others proposed."""
        return not (
            self.requests
            or self.everything
            or self.grants
            or self.agreements
            or self.ended
            or self.compromised
            or self.algorithms
            or self.witnesses
            or self.registry
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """Where a proposal stands after signing."""

    version: int
    digest: bytes
    signatures: int
    threshold: int
    published: bool
    changes: tuple[str, ...]


class Signing:
    """Drafts, signs, passes on and publishes next versions."""

    def __init__(self, node: Node, follower: Follower) -> None:
        """Uses the node's root keys, where it has any."""
        self._node = node
        self._follower = follower
        self._lock = asyncio.Lock()

    def roots(self) -> list[SoftwareSigner]:
        """The root keys in this home that the list in force names."""
        current = self._current()
        held = [one for one in self._node.keys.own() if purpose_of(one.kid) == "root"]
        named = current.roots.by_kid()
        return [one for one in held if one.kid in named and one.public() == named[one.kid]]

    def _current(self) -> MemberList:
        current = self._node.members.current
        if current is None:
            raise NotFoundError("no_network", "this node is in no network yet")
        return current

    async def sign(self, wish: Wish) -> list[Signed]:
        """Sign what is wished, or every open proposal; publish what reaches the threshold.

        Raises RefusedError `not_a_root`, NotFoundError `join_request_unknown`, `nothing_to_sign`,
        and whatever the list itself refuses.
        """
        async with self._lock:
            current, signers = self._current(), self.roots()
            if not signers:
                raise RefusedError("not_a_root", "no root key of this network is in this home")
            if wish.changes_nothing:
                payloads = await self._open_payloads(current)
            else:
                draft = await self.draft(current, wish)
                payloads = [draft.payload()]
            if not payloads:
                raise NotFoundError("nothing_to_sign", "no request and no proposal waits")
            return [await self._sign_one(current, payload, signers, wish) for payload in payloads]

    async def _open_payloads(self, current: MemberList) -> list[bytes]:
        waiting = await self._node.store.read(rows.open_proposals)
        opened = [jws.parse_multi(one, typ=member_list.TYP) for one in waiting]
        read = [member_list.read_payload(one.payload, b"") for one in opened]
        return [one.payload for one in read if one.previous == current.digest]

    async def _sign_one(
        self, current: MemberList, payload: bytes, signers: Sequence[SoftwareSigner], wish: Wish
    ) -> Signed:
        proposed = member_list.read_payload(payload, b"")
        changes = tuple(member_list.diff(current, proposed))
        if wish.dry_run:
            return Signed(
                proposed.version, proposed.digest, 0, current.roots.threshold, False, changes
            )
        signed = member_list.sign_list(payload, signers)
        count, published = await self.take(signed)
        if not published:
            self._follower.in_background(self._pass_on(proposed.digest))
        return Signed(
            proposed.version, proposed.digest, count, current.roots.threshold, published, changes
        )

    async def take(self, signed: bytes) -> tuple[int, bool]:
        """Add signatures to what is held of a proposal; (how many count now, whether it is out).

        Raises RefusedError `not_a_root` when no current root signed it, ConflictError
        `proposal_outdated` when it does not follow the list in force.
        """
        current = self._current()
        envelope = jws.parse_multi(signed, typ=member_list.TYP)
        proposed = member_list.read_payload(envelope.payload, signed)
        if proposed.previous != current.digest:
            raise ConflictError("proposal_outdated", "the list has moved on; propose it again")
        if member_list.signatures_counted(envelope, current.roots) == 0:
            raise RefusedError("not_a_root", "no root of this network signed the proposal")
        held = await self._node.store.read(rows.find_proposal, proposed.digest)
        combined = member_list.combine(held, signed) if held else signed
        count = member_list.signatures_counted(
            jws.parse_multi(combined, typ=member_list.TYP), current.roots
        )
        published = count >= current.roots.threshold
        if published:
            await self._publish(combined)
        now_ms = self._node.clock.now_ms()
        state = "published" if published else "open"
        await self._node.store.write(
            rows.put_proposal, proposed.digest, proposed.version, combined, state, now_ms
        )
        return count, published

    async def _publish(self, signed: bytes) -> None:
        await self._follower.accept([signed])
        await self._settle()
        self._follower.in_background(self._follower.tell_everybody())

    async def _settle(self) -> None:
        """Requests that the list now fulfils wait no longer."""
        current = self._current()
        done = []
        for waiting in await self._node.store.read(rows.pending_requests):
            request = joining.read(waiting.signed, test=current.test)
            if joining.is_fulfilled(request, current):
                done.append(waiting.id)
        await self._node.store.write(rows.settle_requests, done, "admitted")

    async def _pass_on(self, digest: bytes) -> None:
        """Give the proposal to the other nodes that hold roots."""
        signed = await self._node.store.read(rows.find_proposal, digest)
        owners = {jws.did_of(key.kid) for key in self._current().roots.keys}
        for did in sorted(owners - {self._node.did}):
            if signed is None:
                return
            try:
                await self._node.client.call(did, "POST", PROPOSALS, signed, deadline=5.0)
            except TradeError as error:
                self._node.telemetry.log.info("trust.pass_on", peer=did, code=error.code)

    async def draft(self, current: MemberList, wish: Wish) -> MemberListDraft:
        """The next version as wished, unsigned."""
        now = self._node.clock.now()
        draft = MemberListDraft.after(
            current, issued_at=now, expires=now + timedelta(days=wish.days)
        )
        requests = await self._chosen(current, wish)
        for request in requests:
            draft = admit(draft, request, current)
            if wish.grant_wanted:
                for right in request.wants:
                    draft = draft.with_issuer(right.entry(request.node.did, draft.issued_at))
        admitted = [request.node.did for request in requests] or [self._node.did]
        for entry in _granted(wish, admitted, draft.issued_at):
            draft = draft.with_issuer(entry)
        for agreement in wish.agreements:
            draft = draft.with_agreement(replace(agreement, valid_from=draft.issued_at))
        draft = _ended(draft, wish, current)
        return _with_policies(draft, wish)

    async def _chosen(self, current: MemberList, wish: Wish) -> list[JoinRequest]:
        waiting = {one.id: one for one in await self._node.store.read(rows.pending_requests)}
        ids = tuple(waiting) if wish.everything else wish.requests
        for one in ids:
            if one not in waiting:
                raise NotFoundError("join_request_unknown", "no such request waits")
        return [joining.read(waiting[one].signed, test=current.test) for one in ids]


def _with_policies(draft: MemberListDraft, wish: Wish) -> MemberListDraft:
    """Witnesses for every log, and for the registry, which is nothing without one (R22)."""
    if wish.witnesses:
        draft = policies.with_witnesses(draft, wish.witnesses, wish.quorum)
    if wish.registry is None:
        return draft
    if not set(wish.witnesses) - {wish.registry}:
        raise RefusedError("registry_without_witness", "no title would become final")
    return draft.with_registry(
        policies.registry_of(draft, wish.registry, wish.witnesses, wish.quorum)
    )


def _ended(draft: MemberListDraft, wish: Wish, current: MemberList) -> MemberListDraft:
    """The draft with the keys and algorithms ended that are to end."""
    for key in _key_changes(wish, current, draft.issued_at):
        draft = draft.with_key(key)
    for algorithm in wish.algorithms:
        draft = draft.with_algorithm(algorithm)
    return draft


def _key_changes(wish: Wish, current: MemberList, at: datetime) -> list[ListedKey]:
    """Keys that end at `at`; a compromised one ends as well, and its compromise is announced."""
    changed = [replace(_listed(current, kid), valid_until=at) for kid in wish.ended]
    for kid, since in wish.compromised:
        key = _listed(current, kid)
        announced = key.compromise_announced or at
        changed.append(
            replace(key, valid_until=at, compromised_from=since, compromise_announced=announced)
        )
    return changed


def _listed(current: MemberList, kid: str) -> ListedKey:
    key = current.key_as_listed(kid)
    if key is None:
        raise NotFoundError("key_not_on_list", f"{kid} is not on the member list")
    return key


def _granted(wish: Wish, admitted: Sequence[str], at: datetime) -> list[IssuerEntry]:
    return [
        grant.right.entry(did, at)
        for grant in wish.grants
        for did in ([grant.did] if grant.did else admitted)
    ]


def admit(draft: MemberListDraft, request: JoinRequest, current: MemberList) -> MemberListDraft:
    """The draft with what the request offers; new keys count from the list's issue on."""
    node = request.node
    since = draft.issued_at
    listed = current.key_as_listed
    keys = tuple(listed(key.kid) or replace(key, valid_from=since) for key in node.keys)
    draft = draft.with_node(replace(node, keys=keys))
    for party in request.parties:
        kept = tuple(listed(key.kid) or replace(key, valid_from=since) for key in party.keys)
        draft = draft.with_party(replace(party, keys=kept))
    if request.log is not None and not current.logs_of(node.did):
        # The policy is the roots' to give, not the joiner's to bring.
        draft = draft.with_log(replace(request.log, policy=""))
    return draft
