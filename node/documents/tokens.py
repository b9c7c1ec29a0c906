"""Token Status Lists (IETF) of foreign credentials, fetched through the guarded client (R7).

Unlike our own lists they are fetched where their name says, if that host is in the member list;
else nothing is called and the status stays unknown. A list is held under its name *and* its signer,
relied on for as long as it says and the operator allows, and every version is kept; one that is
older than what was held when it was asked for is refused and told as an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.documents.tables import token_versions
from node.guarded.client import MAX_STATUS_BYTES
from node.store import dialect
from protocols import times
from protocols.credentials import token_status_list as tokens
from schemas.errors import ConflictError, RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from node.documents.alarms import ListAlarms
    from node.runtime import Node
    from protocols.credentials.token_status_list import ListToken, TokenStatusList

#: Both forms, the one that more issuers have first.
ACCEPT = (tokens.JWT, tokens.CWT)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The signed list that is held now, in its form, and why it could not be had fresh."""

    held: ListToken | None
    fault: TradeError | None = None


def held_at(conn: Connection, uri: str, issuer: str, at_ms: int | None = None) -> ListToken | None:
    """The signed list that was in force at `at_ms`, or the newest, as far as it is held here."""
    held = token_versions.c
    query = select(held.media_type, held.signed).where(held.uri == uri, held.issuer == issuer)
    if at_ms is not None:
        query = query.where(held.issued_at <= at_ms)
    row = conn.execute(query.order_by(held.issued_at.desc()).limit(1)).one_or_none()
    return None if row is None else tokens.received(row.media_type, bytes(row.signed))


def take(
    conn: Connection, opened: TokenStatusList, token: ListToken, floor: int, now_ms: int
) -> None:
    """Keep a verified list; RefusedError `status_rollback`, ConflictError `status_fork`.

    floor: `iat` (ms) of what was held when it was asked for
    """
    issued_at, digest = times.to_ms(opened.issued_at), opened.digest
    if issued_at < floor:
        raise RefusedError("status_rollback", "the list is older than the one already held")
    known = conn.execute(
        select(token_versions.c.digest).where(
            token_versions.c.uri == opened.uri,
            token_versions.c.issuer == opened.issuer,
            token_versions.c.issued_at == issued_at,
        )
    ).scalar()
    if known is not None and bytes(known) != digest:
        raise ConflictError("status_fork", "two lists were issued for the same moment")
    values = {
        "uri": opened.uri,
        "issuer": opened.issuer,
        "issued_at": issued_at,
        "digest": digest,
        "media_type": tokens.JWT if isinstance(token, str) else tokens.CWT,
        "signed": token.encode("ascii") if isinstance(token, str) else token,
        "fetched_at": now_ms,
    }
    dialect.upsert(conn, token_versions, values, key=["uri", "issuer", "issued_at"])


class TokenLists:
    """Gives the token status lists that foreign credentials name."""

    def __init__(self, node: Node, alarms: ListAlarms) -> None:
        """Calls by the node's guarded client."""
        self._node = node
        self._alarms = alarms

    async def list_for(
        self,
        issuer: str,
        uri: str,
        *,
        max_age: timedelta,
        refresh: bool = False,
        at: datetime | None = None,
    ) -> TokenAnswer:
        """The list named `uri` of a listed `issuer`: held and fresh, or fetched.

        at: another moment; the version of that time is asked for by `?time=` (§8.4). Never raises
        for what the other side does: the fault is in the answer.
        """
        ms = None if at is None else times.to_ms(at)
        held = await self._node.store.read(held_at, uri, issuer, ms)
        moment = at or self._node.clock.now()
        known = None if held is None or refresh else tokens.parse_list(held)[1]
        if known is not None and known.fresh_at(moment, max_age):
            return TokenAnswer(held)
        try:
            await self._fetch(issuer, uri, at, held)
        except TradeError as error:
            await self._alarms.tell(issuer, uri, error)
            return TokenAnswer(held, error)
        self._alarms.in_order(issuer, uri)
        return TokenAnswer(await self._node.store.read(held_at, uri, issuer, ms))

    async def _fetch(
        self, issuer: str, uri: str, at: datetime | None, held: ListToken | None
    ) -> None:
        members = self._node.members.current
        if members is None:
            raise UnavailableError("no_member_list", "this node holds no member list yet")
        asked = uri if at is None else tokens.at_time(uri, at)
        answer = await self._node.guarded.fetch(asked, cap=MAX_STATUS_BYTES, accept=ACCEPT)
        token = tokens.received(answer.media_type, answer.body)
        # A version of another time was in order then, and need not be any more.
        now = at or self._node.clock.now()
        opened = tokens.open_list(token, members=members, now=now, issuer=issuer)
        if opened.uri != uri:
            raise RefusedError("token_status_other_list", "another list was answered")
        floor = 0
        if held is not None and at is None:
            floor = times.to_ms(tokens.parse_list(held)[1].issued_at)
        now_ms = self._node.clock.now_ms()
        await self._node.store.write(take, opened, token, floor, now_ms)
