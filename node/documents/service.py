"""The document service: issue, list, hand out, revoke, suspend; status lists ours and of others.

Routes: /v1/documents (operator), /status/{list} (open). Messages: urn:pratique:revocation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from node.documents import issuing, revoking, signing, status
from node.documents.fetching import StatusAnswer, StatusFetcher
from node.documents.handlers import DocumentHandlers
from node.documents.issuing import Issued
from node.documents.keys import KeyHandlers
from node.documents.proving import ProvingHandlers
from node.documents.revoking import Change, RevocationHandler
from node.documents.status import Publisher
from protocols import times
from protocols.exchange.manifest import REVOCATION

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.documents.orders import IssueOrder
    from node.documents.tokens import TokenAnswer
    from node.http.routes import Route
    from node.runtime import Node
    from protocols.credentials.status_list import StatusList


class DocumentService:
    """What the node does with documents, apart from sending and judging them."""

    name = "documents"

    def __init__(self, node: Node) -> None:
        """Signs with the node's newest credential key."""
        self._node = node
        self._fetcher = StatusFetcher(node, self.publisher)
        self._handlers = DocumentHandlers(node, self)

    def routes(self) -> Sequence[Route]:
        """See the module."""
        others = (ProvingHandlers(self._node), KeyHandlers(self._node))
        return (*self._handlers.routes(), *(route for each in others for route in each.routes()))

    async def start(self) -> None:
        """Takes part in the exchange, where there is one."""
        exchange = getattr(self._node, "exchange", None)
        if exchange is not None:
            exchange.on(REVOCATION, RevocationHandler(self._node, self._fetcher.alarms))

    async def stop(self) -> None:
        """Nothing runs in the background."""

    def ready(self) -> str | None:
        """Without a credential key nothing can be issued."""
        return None if self._node.keys.has("credential") else "there is no credential key"

    def publisher(self) -> Publisher:
        """Who signs our status lists; raises RefusedError as `issuing.require_fresh`."""
        members = issuing.require_fresh(self._node)
        ttl = timedelta(seconds=self._node.settings.status.ttl)
        signer = signing.credential_signer(self._node, members)
        return Publisher(self._node.did, members.network, signer, ttl)

    async def issue(self, order: IssueOrder) -> Issued:
        """Examine, sign and keep one document; see `node.documents.issuing`."""
        examined = issuing.examine(order, self._node)
        members = issuing.require_fresh(self._node)
        # What stands on an original draws from it: reserved before, written off after (R23).
        balance = getattr(self._node, "balance", None)
        async with nullcontext() if balance is None else balance.drawing(examined):
            return await self._node.store.write(issuing.issue, examined, self._node, members)

    async def revoke(
        self, digest: bytes, reason: str, approvals: Sequence[str] = ()
    ) -> StoredDocument:
        """Revoke a document of ours and tell everybody it went to; see `revoking.revoke`."""
        return await self._change(revoking.revoke, Change(digest, reason, approvals))

    async def suspend(
        self, digest: bytes, reason: str, approvals: Sequence[str] = ()
    ) -> StoredDocument:
        """Suspend a document of ours and tell everybody it went to; see `revoking.suspend`."""
        return await self._change(revoking.suspend, Change(digest, reason, approvals))

    async def reinstate(
        self, digest: bytes, reason: str, approvals: Sequence[str] = ()
    ) -> StoredDocument:
        """End a suspension and tell everybody it went to; see `revoking.reinstate`."""
        return await self._change(revoking.reinstate, Change(digest, reason, approvals))

    async def _change(
        self,
        act: Callable[[Connection, Node, Publisher, Change], StoredDocument],
        change: Change,
    ) -> StoredDocument:
        return await self._node.store.write(act, self._node, self.publisher(), change)

    async def signed_list(self, list_id: str, at: datetime | None = None) -> str:
        """Our list, signed anew when half its time has gone; NotFoundError if there is none.

        at: as it was in force then; NotFoundError `status_not_then`
        """
        if at is not None:
            ms = times.to_ms(at)
            return await self._node.store.read(status.in_force, self._node.did, list_id, ms)
        now_ms = self._node.clock.now_ms()
        signed, signed_at = await self._node.store.read(status.held, list_id)
        half_ms = int(self._node.settings.status.ttl * 500)
        if signed is not None and signed_at <= now_ms < signed_at + half_ms:
            return signed
        return await self._node.store.write(status.current, self.publisher(), list_id, now_ms)

    async def status_for(self, issuer: str, url: str, *, refresh: bool = False) -> StatusAnswer:
        """The status list a document depends on; see `StatusFetcher.status_for`."""
        return await self._fetcher.status_for(issuer, url, refresh=refresh)

    async def statuses_for(
        self, issuer: str, urls: Sequence[str], *, refresh: bool = False, at: datetime | None = None
    ) -> tuple[StatusList, ...]:
        """The lists of those names that could be had: of now, or those in force at `at`."""
        calls = [
            self.status_for(issuer, url, refresh=refresh)
            if at is None
            else self._fetcher.status_at(issuer, url, at)
            for url in urls
        ]
        answers = await asyncio.gather(*calls)
        return tuple(answer.held for answer in answers if answer.held is not None)

    async def token_list(
        self, issuer: str, uri: str, *, refresh: bool = False, at: datetime | None = None
    ) -> TokenAnswer:
        """A foreign credential's Token Status List; see `TokenLists.list_for`."""
        return await self._fetcher.tokens.list_for(
            issuer, uri, max_age=self._fetcher.max_age, refresh=refresh, at=at
        )

    @property
    def max_status_age(self) -> timedelta:
        """For how long a status list is relied on at most, whatever its issuer states."""
        return self._fetcher.max_age
