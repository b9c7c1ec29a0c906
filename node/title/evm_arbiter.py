"""A title registry on a chain as a node speaks to it: the second arbiter behind the one seam."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from ledger import evm_title
from node.title.arbiter import Handed, NodeArbiter, unreachable
from protocols.evm.title_text import read_text
from schemas.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.evm_title import Move, StoredRefusal
    from node.runtime import Node
    from node.title.evm_service import EvmTitles
    from node.title.news import TitleNews
    from protocols.members.arbiters import ArbiterEntry

LOOK_SECONDS = 0.1


class EvmArbiter(NodeArbiter):
    """One listed contract, reached through this node's chain."""

    def __init__(self, node: Node, entry: ArbiterEntry, titles: EvmTitles) -> None:
        """`entry` comes from the member list."""
        self._node, self._titles = node, titles
        self.entry = entry

    @property
    @override
    def id(self) -> bytes:
        """See `TitleArbiter.id`."""
        return self.entry.id

    @override
    async def hand_in(self, text: str, *, wait: int) -> Handed:
        """Relay an operation and wait up to that many seconds for it to be final.

        Where this node cannot reach the chain a peer relays it; when none does, it waits in the
        journal of a node whose chain is cut off. Raises
        UnavailableError `registry_unreachable` when nothing is known (R13), RefusedError
        `bad_signature`, ConflictError `title_registry_frozen`.
        """
        signed = read_text(text)
        network = self._titles.members().network
        digest = signed.verify(self.entry.registry(network).domain)
        fault = self._titles.cut_off(self.entry)
        if fault is not None:
            handed = await self._titles.peers.hand_in(self.entry, digest, text)
            if handed is not None:
                return handed
        self._titles.require_chain(self.entry)
        self._titles.require_open(self.entry)
        self._titles.relay.put(self.entry, digest, text)
        end = time.monotonic() + wait
        while True:
            move, refusal = await self._node.store.read(_decided, digest)
            if move is not None:
                return Handed("final", news=await self._news(move.title))
            if refusal is not None:
                return Handed("refused", refusal=refusal.text)
            self._titles.require_reachable()
            if time.monotonic() >= end:
                return Handed("accepted")
            await asyncio.sleep(LOOK_SECONDS)

    async def _news(self, title: bytes) -> TitleNews:
        return await self._titles.following.learn(self.entry, self._titles.client(), title)

    @override
    async def fetch(self, title: bytes, *, after: int = 0, wait: int = 0) -> TitleNews | None:
        """The title's final state with its proof, or None when none is final yet.

        From a peer where this node cannot reach the chain. Raises UnavailableError
        `registry_unreachable`.
        """
        fault = self._titles.cut_off(self.entry)
        if fault is not None:
            news = await self._titles.peers.fetch(self.entry, title)
            if news is not None:
                return news
            raise fault
        end = time.monotonic() + wait
        try:
            await self._titles.look(self.entry)
            while wait and time.monotonic() < end:
                last = await self._node.store.read(evm_title.last_move, self.id, title)
                if last is not None and last.seq > after:
                    break
                await asyncio.sleep(LOOK_SECONDS)
            return await self._news(title)
        except NotFoundError:
            return None
        except UnavailableError as error:
            raise unreachable(f"{error.code}: {error.detail}") from error


def _decided(conn: Connection, digest: bytes) -> tuple[Move | None, StoredRefusal | None]:
    return evm_title.move_of(conn, digest), evm_title.refusal(conn, digest)
