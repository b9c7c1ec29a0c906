"""The roots' work: proposing the next member list and signing it until it counts (R4).

A proposal is a next version that still misses signatures. It travels as a file, or between the
nodes that hold root keys; whoever adds the last signature publishes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.trust import rows, wishes
from node.trust.founding import purpose_of
from protocols import joining, jws
from protocols.members import proposal, quorums
from protocols.members.changes import says_the_same
from schemas.errors import ConflictError, NotFoundError, RefusedError, TradeError

if TYPE_CHECKING:
    from node.runtime import Node
    from node.trust.following import Follower
    from node.trust.joining import Joining
    from node.trust.wishes import Wish
    from protocols.joining import JoinRequest
    from protocols.keys import SoftwareSigner
    from protocols.member_list import MemberList
    from protocols.members.proposal import Proposal, Standing

PROPOSALS = "/px/1/proposals"
_NO_ROOT = "no root key of this network is in this home"


@dataclass(frozen=True, slots=True)
class Signed:
    """Where a proposal stands: which version it follows, its signatures, whether it is in force."""

    base: MemberList
    proposal: Proposal
    standing: Standing
    published: bool


class Signing:
    """Drafts, signs, passes on and publishes next versions."""

    def __init__(self, node: Node, follower: Follower, joining: Joining) -> None:
        """Uses the node's root keys, where it has any."""
        self._node = node
        self._follower = follower
        self._joining = joining
        self._lock = asyncio.Lock()

    def roots(self, proposed: MemberList | None = None) -> list[SoftwareSigner]:
        """The root keys in this home that the list in force, or the one proposed, names."""
        held = [one for one in self._node.keys.own() if purpose_of(one.kid) == "root"]
        lists = [self._current(), *([proposed] if proposed else [])]
        named = [one.roots.by_kid() for one in lists]
        return [one for one in held if any(keys.get(one.kid) == one.public() for keys in named)]

    def new_root(self) -> SoftwareSigner:
        """A new root key in this home; it counts when a list names it."""
        return self._node.keys.create("root")

    def _current(self) -> MemberList:
        current = self._node.members.current
        if current is None:
            raise NotFoundError("no_network", "this node is in no network yet")
        return current

    async def propose(self, wish: Wish) -> Proposal:
        """The next version as wished, unsigned and kept nowhere; no wish at all renews the list.

        Raises NotFoundError `join_request_unknown`, `key_not_on_list` …, ConflictError
        `nothing_would_change`, RefusedError `witness_quorum_lost` …, and whatever a list itself
        refuses.
        """
        current, now = self._current(), self._node.clock.now()
        requests = await self._chosen(current, wish)
        drafted = wishes.draft(current, wish, requests, self._node.did, now)
        opened = proposal.draft_of(drafted.payload())
        proposal.require_next(opened, current)
        if not wish.renews(current) and says_the_same(current, opened.members):
            told = f"version {current.version} says all of it"
            raise ConflictError("nothing_would_change", told, version=current.version)
        if not wish.anyway:
            quorums.require_kept(current, opened.members)
        return opened

    def examine(self, data: bytes) -> Signed:
        """What a proposal's file would change here; raises as `proposal.require_next`."""
        current, opened = self._current(), proposal.read(data)
        proposal.require_next(opened, current)
        return Signed(current, opened, proposal.standing(opened, current), published=False)

    async def sign(self, wish: Wish) -> list[Signed]:
        """Sign what is wished, or every open proposal; publish what reaches the threshold.

        Raises RefusedError `not_a_root`, NotFoundError `nothing_to_sign`, and as `propose`.
        """
        async with self._lock:
            current = self._current()
            if wish.changes_nothing:
                waiting = await self._open(current)
            else:
                waiting = [await self._wanted(wish)]
            if not any(self.roots(one.members) for one in waiting) and not self.roots():
                raise RefusedError("not_a_root", _NO_ROOT)
            if not waiting:
                raise NotFoundError("nothing_to_sign", "no request and no proposal waits")
            if wish.dry_run:
                return [self.examine(one.to_bytes()) for one in waiting]
            return [await self._sign(one, anyway=wish.anyway) for one in waiting]

    async def _wanted(self, wish: Wish) -> Proposal:
        """As `propose`; requests that ask for nothing new wait no longer."""
        try:
            return await self.propose(wish)
        except ConflictError:
            if not self.roots():
                raise RefusedError("not_a_root", _NO_ROOT) from None
            if not wish.dry_run:
                await self._settle_empty(wish)
            raise

    async def _settle_empty(self, wish: Wish) -> None:
        current, now = self._current(), self._node.clock.now()
        requests = await self._chosen(current, wish)
        done = [one.digest for one in requests if not wishes.missing(one, current, now)]
        await self._node.store.write(rows.settle_requests, done, "admitted")

    async def sign_file(
        self, data: bytes, kid: str | None = None, *, anyway: bool = False
    ) -> Signed:
        """Add the signatures of the root keys held here, or of the one named, to a proposal's file.

        Raises ConflictError `proposal_outdated` when it does not follow the list held, RefusedError
        `not_a_root`, and unless `anyway` `witness_quorum_lost`.
        """
        async with self._lock:
            opened = proposal.read(data)
            proposal.require_next(opened, self._current())
            return await self._sign(opened, kid, anyway=anyway)

    async def _open(self, current: MemberList) -> list[Proposal]:
        waiting = await self._node.store.read(rows.open_proposals)
        opened = [proposal.read(one) for one in waiting]
        return [one for one in opened if one.members.previous == current.digest]

    async def _sign(
        self, opened: Proposal, kid: str | None = None, *, anyway: bool = False
    ) -> Signed:
        signers: Sequence[SoftwareSigner] = self.roots(opened.members)
        if kid is not None:
            signers = [one for one in signers if one.kid == kid]
        if not signers:
            raise RefusedError("not_a_root", _NO_ROOT)
        if not anyway:
            quorums.require_kept(self._current(), opened.members)
        signed = await self._take(opened.signed_by(signers))
        if not signed.published:
            self._follower.in_background(self._pass_on(signed))
        return signed

    async def take(self, data: bytes) -> Signed:
        """Add signatures that another node brings to what is held of a proposal.

        Raises as `_take`, and RefusedError `not_a_root` when no root in force signed it: anybody
        could name himself a new one.
        """
        opened = proposal.read(data)
        proposal.require_next(opened, self._current())
        if proposal.standing(opened, self._current()).signatures == 0:
            raise RefusedError("not_a_root", "no root of this network signed the proposal")
        return await self._take(opened)

    async def _take(self, opened: Proposal) -> Signed:
        current = self._current()
        proposal.require_next(opened, current)
        held = await self._node.store.read(rows.find_proposal, opened.digest)
        if held is not None:
            opened = opened.joined(proposal.read(held))
        standing = proposal.standing(opened, current)
        if standing.complete:
            await self._publish(opened.to_bytes())
        now_ms, version = self._node.clock.now_ms(), opened.members.version
        state = "published" if standing.complete else "open"
        values = (opened.digest, version, opened.to_bytes(), state, now_ms)
        await self._node.store.write(rows.put_proposal, *values)
        return Signed(current, opened, standing, standing.complete)

    async def _publish(self, signed: bytes) -> None:
        await self._follower.accept([signed])
        await self._joining.settle()
        self._follower.in_background(self._follower.tell_everybody())

    async def _pass_on(self, signed: Signed) -> None:
        """Give the proposal to the other nodes that hold roots, old or new."""
        keys = (*signed.base.roots.keys, *signed.proposal.members.roots.keys)
        owners = {jws.did_of(key.kid) for key in keys} - {self._node.did}
        for did in sorted(owners):
            if signed.base.node(did) is None:
                continue
            body = signed.proposal.to_bytes()
            try:
                await self._node.client.call(did, "POST", PROPOSALS, body, deadline=5.0)
            except TradeError as error:
                self._node.telemetry.log.info("trust.pass_on", peer=did, code=error.code)

    async def _chosen(self, current: MemberList, wish: Wish) -> list[JoinRequest]:
        waiting = {one.id: one for one in await self._node.store.read(rows.pending_requests)}
        ids = tuple(waiting) if wish.everything else wish.requests
        for one in ids:
            if one not in waiting:
                raise NotFoundError("join_request_unknown", "no such request waits")
        return [joining.read(waiting[one].signed, test=current.test) for one in ids]
