"""Getting onto the list: our own request, and the requests of others.

The joiner pins the network id it was told by other means; a list that does not grow from that
founding list is refused, whatever the address it came from says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from node.trust import rows, wishes
from node.trust.founding import node_entry, party_entries
from protocols import joining, jws, member_list
from protocols.joining import JoinRequest, Right
from protocols.members import policies
from schemas.errors import ConflictError, NotFoundError, TradeError, UnavailableError

if TYPE_CHECKING:
    from node.runtime import Node
    from node.trust.following import Follower
    from protocols.member_list import MemberList, PartyEntry
    from protocols.members.changes import Change

JOIN = "/px/1/join"
POLL_SECONDS = 1.0
RESEND_MS = 3600_000
#: Changes of what a node says of itself: name, address, roles, platform.
_ENTRY = frozenset({"changes", "member"})


class Joining:
    """Both sides of admission."""

    def __init__(self, node: Node, follower: Follower) -> None:
        """Uses the node's own keys for its request."""
        self._node = node
        self._follower = follower

    async def begin(self, url: str, network: bytes, wants: Sequence[Right]) -> JoinRequest:
        """Check the network at `url` against its id, and ask to be listed.

        Raises ConflictError `already_member`, UnavailableError, and whatever the lists or the
        other side refuse.
        """
        held = self._node.members.current
        if held is not None:
            raise ConflictError("already_member", f"this node is in the network {held.name}")
        newest = await self._look(url, network)
        request = self.request_for(newest, wants=wants)
        now_ms = self._node.clock.now_ms()
        await self._node.store.write(rows.put_joining, request, url.rstrip("/"), now_ms)
        await self._send(url, request.signed)
        return request

    async def _look(self, url: str, network: bytes) -> MemberList:
        lists = await self._follower.fetch(url, 1)
        return member_list.open_chain(lists, None, self._node.clock.now(), network=network)

    def request_for(
        self,
        members: MemberList,
        *,
        wants: Sequence[Right] = (),
        parties: Sequence[PartyEntry] = (),
    ) -> JoinRequest:
        """Our request, signed by every key it offers; keys count from now on."""
        now = self._node.clock.now()
        entry = node_entry(self._node.settings, self._node.keys, now)
        offered = [*entry.keys, *(key for party in parties for key in party.keys)]
        signed = joining.build(
            network=members.network,
            node=entry,
            issued_at=now,
            signers=[self._node.keys.signer_for(key.kid) for key in offered],
            parties=parties,
            log=policies.log_of(entry),
            wants=wants,
        )
        return joining.read(signed, test=members.test)

    async def _send(self, url: str, signed: bytes) -> None:
        answer = await self._node.client.open_call(
            "POST",
            url.rstrip("/") + JOIN,
            signed,
            headers={"Content-Type": joining.MEDIA_TYPE},
        )
        if answer.status >= 400:
            raise _refusal(answer.status, answer.body)

    async def poll(self) -> bool:
        """Look whether we are admitted yet; False while we still wait."""
        waiting = await self._node.store.read(rows.our_joining)
        if waiting is None:
            return True
        lists = await self._follower.fetch(waiting.url, 1)
        now = self._node.clock.now()
        newest = member_list.open_chain(lists, None, now, network=waiting.network)
        request = joining.read(waiting.signed, test=newest.test)
        if joining.is_admitted(request, newest):
            await self._follower.accept(lists, network=waiting.network)
            return True
        if self._node.clock.now_ms() - waiting.sent_at > RESEND_MS:
            again = self.request_for(newest, wants=request.wants)
            now_ms = self._node.clock.now_ms()
            await self._node.store.write(rows.put_joining, again, waiting.url, now_ms)
            await self._send(waiting.url, again.signed)
        return False

    def hosted(self, names: Mapping[str, str]) -> tuple[PartyEntry, ...]:
        """The entries of parties whose title keys are here; names: DID → name.

        Raises NotFoundError `key_missing` for a party without a key in this node.
        """
        keys = self._node.keys
        for did in names:
            keys.signer_for(f"{did}#title-1")
        entries = party_entries(keys, self._node.did, names, self._node.clock.now())
        return tuple(entry for entry in entries if entry.did in names)

    async def ask(
        self, *, wants: Sequence[Right] = (), parties: Sequence[PartyEntry] = ()
    ) -> bytes:
        """As a member, ask for new keys, parties or rights; the request's id.

        Goes to this node's own roots, or to the first node with a root that takes it. Raises
        ConflictError `nothing_to_ask_for` when the list says all of it.
        """
        current = self._node.members.current
        if current is None:
            raise NotFoundError("no_network", "this node is in no network yet")
        request = self.request_for(current, wants=wants, parties=parties)
        if not wishes.missing(request, current, self._node.clock.now()):
            told = f"version {current.version} of the list says it already"
            raise ConflictError("nothing_to_ask_for", told, version=current.version)
        await self.receive(request.signed)
        await self._pass_on(request.signed)
        return request.digest

    async def receive(self, signed: bytes) -> JoinRequest:
        """A request, checked and kept until the roots decide.

        Raises as `joining.read` and `joining.require_admissible`; UnavailableError
        `join_queue_full`.
        """
        current = self._node.members.current
        if current is None:
            raise UnavailableError("no_network_yet", "this node is in no network yet")
        request = joining.read(signed, test=current.test)
        joining.require_admissible(request, current, self._node.clock.now())
        kept = await self._node.store.write(rows.put_request, request, self._node.clock.now_ms())
        if not kept:
            raise UnavailableError("join_queue_full", "too many requests wait already")
        return request

    async def take(self, signed: bytes) -> JoinRequest:
        """A request of somebody: as `receive`, and passed to the nodes with roots."""
        request = await self.receive(signed)
        self._follower.in_background(self._pass_on(signed))
        return request

    async def _pass_on(self, signed: bytes) -> None:
        """To every node with a root, unless this is one of them."""
        current = self._node.members.current
        owners = {jws.did_of(key.kid) for key in current.roots.keys} if current else set()
        if current is None or self._node.did in owners:
            return
        for did in sorted(owners):
            entry = current.node(did)
            if entry is None:
                continue
            try:
                await self._send(entry.endpoint, signed)
            except TradeError as error:
                self._node.telemetry.log.info("trust.join_pass_on", peer=did, code=error.code)

    async def state(self, request_id: bytes) -> tuple[str, list[Change]]:
        """`pending`, `admitted` or `dropped`, and what the list still has to say for it.

        Raises NotFoundError `join_request_unknown`.
        """
        await self.settle()
        found = await self._node.store.read(rows.find_request, request_id)
        if found is None:
            raise NotFoundError("join_request_unknown", "no such request came here")
        current = self._node.members.current
        if current is None or found.state != "pending":
            return found.state, []
        request = joining.read(found.signed, test=current.test)
        return found.state, wishes.missing(request, current, self._node.clock.now())

    async def settle(self) -> None:
        """Requests that the list in force grants whole wait no longer.

        Nor do those that only say of a node what it said otherwise later.
        """
        current, now = self._node.members.current, self._node.clock.now()
        if current is None:
            return
        done, overtaken, told = list[bytes](), list[bytes](), set[str]()
        for waiting in reversed(await self._node.store.read(rows.pending_requests)):
            request = joining.read(waiting.signed, test=current.test)
            if not joining.is_admitted(request, current):
                continue
            left = wishes.missing(request, current, now)
            if not left:
                done.append(waiting.id)
                told.add(waiting.did)
            elif waiting.did in told and all(one.kind in _ENTRY for one in left):
                overtaken.append(waiting.id)
        if done:
            await self._node.store.write(rows.settle_requests, done, "admitted")
        if overtaken:
            await self._node.store.write(rows.settle_requests, overtaken, "dropped")

    async def refuse(self, ids: Sequence[bytes], why: str) -> None:
        """The operator's no: these wait no longer, and are told so when they ask.

        Raises NotFoundError `join_request_unknown`.
        """
        await self._node.store.write(
            rows.refuse_requests, ids, why, self._node.did, self._node.clock.now_ms()
        )


def _refusal(status: int, body: bytes) -> TradeError:
    from node.http.problems import from_problem

    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = {}
    return from_problem(status, problem if isinstance(problem, dict) else {})
