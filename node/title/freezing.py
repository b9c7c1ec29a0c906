"""Ending an arbiter by threshold, and handing its titles over: drafting, signing, taking in (R21).

The document travels as a file between those who hold roots, like a proposed member list; what has
the threshold is kept, told to every member and holds for good. Nobody else decides it, and nothing
happens by itself because a sequencer is lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger import evm_title, registry_freezes, registry_witness
from node.title import disputing, inheriting, partners, rows
from node.trust.founding import purpose_of
from protocols import times
from protocols.digest import from_hex
from protocols.evm.title import EvmArbiterId
from protocols.log.merkle import Tree
from protocols.title import registry_freeze
from protocols.title.registry_entries import RootEntry, decode
from protocols.title.registry_freeze import Arbiter, Freeze, SignedFreeze, arbiter_of
from protocols.title.sparse_map import EMPTY
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.policy import Witness
    from protocols.member_list import MemberList


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be ended. arbiter: None takes the only listed one that stands.

    successor: id of a listed arbiter, or the DID that sequences it
    block, block_hash: of a chain, the last block that counts, as its validators finalised it
    """

    arbiter: bytes | None = None
    successor: str | None = None
    block: int | None = None
    block_hash: bytes | None = None


class Freezing:
    """Belongs to the node's `RegistryService`."""

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self._node = node

    async def draft(self, wish: Wish) -> SignedFreeze:
        """The document, unsigned and kept nowhere.

        A held freeze without a successor is completed; a registry ends at the newest state that a
        quorum of its witnesses may have cosigned, so that nothing final is lost. Raises
        RefusedError `freeze_nothing_to_end`, `title_arbiter_unknown`, UnavailableError
        `freeze_unconfirmed` while too few witnesses answer, `registry_behind`.
        """
        members = partners.members_of(self._node)
        successor = self._successor(members, wish.successor)
        if wish.block is not None:
            return self._of_chain(members, wish, successor)
        arbiter = self._arbiter(members, wish.arbiter, successor)
        held = self._node.registry.freezes.get(arbiter.id)
        if held is not None:
            place = held.freeze
            at, root, state_root = place.at, place.root, place.state_root
        else:
            at, root, state_root = await self._end_of(arbiter)
        freeze = Freeze(
            network=members.network,
            arbiter=arbiter,
            at=at,
            root=root,
            members=members.digest,
            issued_at=self._node.clock.now(),
            state_root=state_root,
            successor=successor,
        )
        return registry_freeze.draft(freeze)

    def _successor(self, members: MemberList, wished: str | None) -> bytes | None:
        if wished is None:
            return None
        # A node may be listed with two: it goes on with the younger.
        for entry in reversed(members.registries):
            found = arbiter_of(entry).id
            standing = found not in self._node.registry.freezes
            if standing and wished in (entry.did, found.hex()):
                return found
        raise RefusedError("title_arbiter_unknown", "no listed registry in force is that one")

    def _arbiter(
        self, members: MemberList, wished: bytes | None, successor: bytes | None
    ) -> Arbiter:
        """The listed registry to end: the one named, or the only one that has no successor yet."""
        listed = [arbiter_of(entry) for entry in members.registries]
        if wished is not None:
            found = [one for one in listed if one.id == wished]
        else:
            found = [one for one in listed if one.id != successor and self._may_end(one)]
        if len(found) != 1:
            raise RefusedError("freeze_nothing_to_end", "name the arbiter that is to end")
        return found[0]

    def _may_end(self, arbiter: Arbiter) -> bool:
        held = self._node.registry.freezes.get(arbiter.id)
        return held is None or held.freeze.successor is None

    def _of_chain(self, members: MemberList, wish: Wish, successor: bytes | None) -> SignedFreeze:
        entry = members.arbiter(wish.arbiter) if wish.arbiter else None
        if entry is None or wish.block is None or wish.block_hash is None:
            raise RefusedError("title_arbiter_unknown", "name a listed chain arbiter and its block")
        freeze = Freeze(
            network=members.network,
            arbiter=EvmArbiterId(entry.chain_id, entry.contract, entry.code_hash),
            at=wish.block,
            root=wish.block_hash,
            members=members.digest,
            issued_at=self._node.clock.now(),
            successor=successor,
        )
        return registry_freeze.draft(freeze)

    async def _end_of(self, arbiter: Arbiter) -> tuple[int, bytes, bytes]:
        """Size, root and state root at which a lost registry is to end."""
        policy = arbiter.policy
        voters = policy.voters(arbiter.origin)
        answers = await asyncio.gather(*(self._head(one, arbiter) for one in voters))
        told = [head for answered, head in answers if answered]
        # Those that do not answer may have cosigned the newest: with how many others is a quorum?
        missing = policy.smallest_quorum() - (len(voters) - len(told))
        if missing < 1:
            raise UnavailableError(
                "freeze_unconfirmed", f"witnesses that answered: {len(told)} of {len(voters)}"
            )
        heads = sorted((head for head in told if head), key=lambda one: one.size, reverse=True)
        if len(heads) < missing:
            return 0, Tree().root(), EMPTY
        head = heads[missing - 1]
        end = Freeze(
            network=b"", arbiter=arbiter, at=head.size, root=head.root, members=b"",
            issued_at=self._node.clock.now(),
        )  # fmt: skip
        closing = decode((await inheriting.entries_of(self._node, arbiter, end))[-1])
        assert isinstance(closing, RootEntry)
        return head.size, head.root, closing.state_root

    async def _head(self, witness: Witness, arbiter: Arbiter) -> tuple[bool, Checkpoint | None]:
        """Whether the witness answered, and what it has cosigned last."""
        node = self._node
        if partners.did_of(partners.members_of(node), witness.key) == node.did:
            held = await node.store.read(registry_witness.held, arbiter.origin)
            return True, partners.head_of(held.note) if held else None
        try:
            return True, (await partners.ask_state(node, witness, arbiter))[0]
        except TradeError as error:
            node.telemetry.log.info("freeze.unanswered", by=witness.name, code=error.code)
            return False, None

    # -- signing and taking in -----------------------------------------------------------------

    async def sign(self, document: SignedFreeze) -> SignedFreeze:
        """Add the signatures of the roots in this home; what has the threshold is taken in.

        Raises RefusedError `not_a_root`, and as `take`.
        """
        named = partners.members_of(self._node).roots.by_kid()
        held = [one for one in self._node.keys.own() if purpose_of(one.kid) == "root"]
        signers = [one for one in held if named.get(one.kid) == one.public()]
        if not signers:
            raise RefusedError("not_a_root", "no root key of this network is in this home")
        signed = document.signed_by(signers)
        if self.is_complete(signed):
            await self.take(signed, announce=True)
        return signed

    def is_complete(self, document: SignedFreeze) -> bool:
        """Whether the threshold of the roots in force has signed."""
        members = partners.members_of(self._node)
        return document.counted(members) >= members.roots.threshold

    def check(self, document: SignedFreeze) -> Freeze:
        """The freeze, signed by the threshold of the list it names, whose roots are in force.

        Raises RefusedError `freeze_other_list` and as `SignedFreeze.verify`.
        """
        current = partners.members_of(self._node)
        named = self._node.registry.members_with(document.freeze.members)
        if named is None or named.roots != current.roots:
            raise RefusedError("freeze_other_list", "it names a list whose roots are not in force")
        return document.verify(named)

    async def take(self, document: SignedFreeze, *, announce: bool = False) -> bool:
        """Keep a complete document; False when it was known. Raises as `check` and
        `registry_freezes.put`."""
        self.check(document)
        new = await self._node.store.write(self.put, document, announce)
        await self._node.registry.freezes_changed()
        return bool(new)

    def put(self, conn: Connection, document: SignedFreeze, announce: bool) -> bool:
        """In one transaction: the document, what it voids, an event, messages to all members."""
        from node.store import events

        node, now = self._node, self._node.clock.now_ms()
        if not registry_freezes.put(conn, document, now):
            return False
        freeze = document.freeze
        voided = rows.void_after(conn, freeze.arbiter.id, freeze.at)
        if isinstance(freeze.arbiter, EvmArbiterId):
            evm_title.forget_after(conn, freeze.arbiter.id, freeze.at)
        detail = {**freeze_json(document), "voided": [title.hex() for title in voided]}
        events.record(conn, kind="arbiter-frozen", at=now, actor=node.did, detail=detail)
        for title in voided:
            about = {"code": "arbiter_frozen", "title": title.hex()}
            events.record(conn, kind="alarm", at=now, actor=node.did, detail=about)
            disputing.reconsider(conn, node, title)
        if announce:
            disputing.announce(conn, node, registry_freeze.TYPE, document.to_bytes())
        return True


class FreezeHandler:
    """Takes freezes from other members; they are believed for the roots' signatures only."""

    def __init__(self, node: Node) -> None:
        """For one node."""
        self._node = node

    async def prepare(self, message: Any) -> SignedFreeze:
        """Check it under our own member list (R5)."""
        document = registry_freeze.read(message.body)
        self._node.registry.freezing.check(document)
        return document

    def apply(self, conn: Connection, _message: Any, document: SignedFreeze) -> None:
        """Keep it; it is in force as soon as the transaction is."""
        registry = self._node.registry
        registry.freezing.put(conn, document, announce=False)
        registry.freezes_change_soon()


def freeze_json(document: SignedFreeze) -> dict[str, Any]:
    """A freeze for people and programs."""
    freeze = document.freeze
    place = "block" if freeze.state_root is None else "size"
    return {
        "arbiter": freeze.arbiter.id.hex(),
        "origin": freeze.arbiter.origin if isinstance(freeze.arbiter, Arbiter) else None,
        place: freeze.at,
        "root": freeze.root.hex(),
        "stateRoot": freeze.state_root.hex() if freeze.state_root else None,
        "successor": freeze.successor.hex() if freeze.successor else None,
        "issuedAt": times.to_text(freeze.issued_at),
        "digest": document.digest.hex(),
        "signatures": len(document.envelope.signatures),
    }


def read_wish(body: dict[str, Any]) -> Wish:
    """A wish from JSON; raises MalformedError `digest_malformed`."""
    arbiter, block_hash = body.get("arbiter"), body.get("blockHash")
    successor, block = body.get("successor"), body.get("block")
    return Wish(
        from_hex(arbiter, pointer="/arbiter") if arbiter else None,
        successor if isinstance(successor, str) and successor else None,
        block if isinstance(block, int) else None,
        from_hex(block_hash, pointer="/blockHash") if block_hash else None,
    )
