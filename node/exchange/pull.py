"""Pulling: a peer behind a firewall, or one that was away, asks for what waits for it (DESIGN §4).

``GET /px/1/messages?after=`` gives the same frames that would be pushed; intake treats them alike;
the answer goes back by ``POST /px/1/receipts``. Fetching the same message both ways does no harm:
a duplicate gets its original receipt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.exchange.tables import peers
from protocols.exchange import answer, frames
from schemas.errors import TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.exchange.intake import Intake
    from node.runtime import Node

MAX_ROUNDS = 1000
MAX_AT_ONCE = 4
START_POLL = 0.05
CURSOR_HEADER = "Px-Cursor"


class Puller:
    """Asks peers for what they hold for us."""

    def __init__(self, node: Node, intake: Intake) -> None:
        """What is pulled goes through `intake`."""
        self._node = node
        self._intake = intake
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def catch_up(self) -> None:
        """After a start: asks every peer that ever sent us something, once.

        It waits until the node listens: then every service has registered what it takes, and the
        peers, which notice our call, reach us.
        """
        while not self._listening():  # noqa: ASYNC110 the file is all that tells
            await asyncio.sleep(START_POLL)
        known = await self._node.store.read(_senders)
        await asyncio.gather(*(self._quietly(peer) for peer in known))

    def _listening(self) -> bool:
        return self._node.home.endpoint_file.exists()

    async def _quietly(self, peer: str) -> None:
        async with self._slots:
            try:
                await self.pull(peer)
            except TradeError as error:
                # It will push by itself; this was only to be quicker.
                self._node.telemetry.log.info("exchange.pull_failed", peer=peer, code=error.code)

    async def pull(self, peer: str) -> int:
        """Takes in everything that waits at `peer`; how many messages came.

        Raises UnavailableError when the peer does not answer, MalformedError for a wrong answer.
        """
        # From the beginning each time: what is receipted no longer waits there. The cursor only
        # leads past messages that cannot be settled now.
        cursor, count = 0, 0
        for _ in range(MAX_ROUNDS):
            batch, following = await self._fetch(peer, cursor)
            if not batch or following <= cursor:
                break
            cursor, count = following, count + len(batch)
            answers = await self._intake.receive(peer, batch)
            await self._acknowledge(peer, answer.write(answers))
        return count

    async def _fetch(self, peer: str, cursor: int) -> tuple[tuple[frames.Frame, ...], int]:
        got = await self._node.client.call(peer, "GET", f"/px/1/messages?after={cursor}")
        if got.status == 204:
            return (), cursor
        following = got.headers.get(CURSOR_HEADER.lower(), "")
        if got.status != 200 or not following.isdigit() or len(following) > 18:
            raise UnavailableError("peer_answered", f"status {got.status}")
        return frames.decode(got.body), int(following)

    async def _acknowledge(self, peer: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        got = await self._node.client.call(peer, "POST", "/px/1/receipts", body, headers=headers)
        if got.status not in (200, 204):
            raise UnavailableError("peer_answered", f"status {got.status}")


def _senders(conn: Connection) -> list[str]:
    query = select(peers.c.did).where(peers.c.receipt_seq > 0).limit(1000)
    return list(conn.execute(query).scalars())
