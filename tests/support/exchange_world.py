"""Real nodes with the exchange alone, in one process, and the means to misbehave between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
)

from node.exchange.message import Handler, InboundMessage
from node.exchange.service import ExchangeService
from node.exchange.tables import inbox, outbox
from node.keystore import KeyStore
from node.runtime import Node
from node.store.metadata import AutoInteger
from protocols import member_list
from protocols.keys import SoftwareSigner
from protocols.member_list import ListedKey, MemberList, MemberListDraft, NodeEntry, Roots
from protocols.seams import Answer, Transport
from schemas.errors import UnavailableError
from tests.support.made_network import founded
from tests.support.running import make_home, running_node

TYPE = "urn:pratique:test:note"

# What a test handler has applied: written in the transaction that marks the message delivered.
applied = Table(
    "test_applied",
    MetaData(),
    Column("n", AutoInteger, primary_key=True, autoincrement=True),
    Column("sender", String(300)),
    Column("id", String(36)),
    Column("stream", String(100)),
    Column("seq", Integer),
    Column("text", String(10_000)),
)


class Recorder(Handler):
    """A handler that writes down what it applies; `prepare` can be made to fail."""

    def __init__(self) -> None:
        self.fail: Callable[[InboundMessage], Exception | None] = lambda _: None
        self.fail_apply: Callable[[InboundMessage], Exception | None] = lambda _: None
        self.prepared = 0

    async def prepare(self, message: InboundMessage) -> str:
        self.prepared += 1
        if (error := self.fail(message)) is not None:
            raise error
        return message.body.decode()

    def apply(self, conn: Connection, message: InboundMessage, prepared: Any) -> None:
        values = {
            "sender": message.sender,
            "id": message.id,
            "stream": message.stream,
            "seq": message.seq,
            "text": prepared,
        }
        conn.execute(insert(applied).values(**values))
        if (error := self.fail_apply(message)) is not None:
            raise error


@dataclass
class Faulty(Transport):
    """A transport that loses calls: before they arrive, or after they were answered.

    plan: asked at every call; "lost" (never arrives), "applied" (arrives, the answer is lost), or
    "" (passes)
    """

    inner: Transport
    plan: Callable[[str], str] = lambda _: ""
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    change: Callable[[bytes], bytes] = lambda body: body
    change_answer: Callable[[Answer], Answer] = lambda answer: answer

    async def call(
        self, did: str, method: str, path: str, body: bytes = b"", **more: Any
    ) -> Answer:
        self.calls.append((path, body))
        fault = self.plan(path)
        if fault == "lost":
            raise UnavailableError("peer_unreachable", "lost on the way")
        answer = await self.inner.call(did, method, path, self.change(body), **more)
        self.answers.append(answer)
        if fault == "applied":
            raise UnavailableError("peer_unreachable", "the answer was lost")
        return self.change_answer(answer)


@dataclass
class Party:
    """One running node with its recorder and its faulty transport."""

    node: Node
    recorder: Recorder
    transport: Faulty

    @property
    def exchange(self) -> ExchangeService:
        return self.node.exchange

    async def send(self, to: Party, *texts: str, stream: str | None = "UCR-1") -> list[str]:
        def job(conn: Connection) -> list[str]:
            return [
                self.exchange.enqueue(conn, to.node.did, TYPE, text.encode(), "text/plain", stream)
                for text in texts
            ]

        return await self.node.store.write(job)

    async def texts(self, stream: str | None = "UCR-1") -> list[str]:
        def job(conn: Connection) -> list[str]:
            query = select(applied.c.text).where(applied.c.stream.is_not_distinct_from(stream))
            return list(conn.execute(query.order_by(applied.c.n)).scalars())

        return await self.node.store.read(job)

    async def outbox(self, **where: Any) -> list[Any]:
        return await self._rows(outbox, where)

    async def inbox(self, **where: Any) -> list[Any]:
        return await self._rows(inbox, where)

    async def count(self, table: Table) -> int:
        def job(conn: Connection) -> int:
            return conn.execute(select(func.count()).select_from(table)).scalar_one()

        return await self.node.store.read(job)

    async def _rows(self, table: Table, where: dict[str, Any]) -> list[Any]:
        def job(conn: Connection) -> list[Any]:
            query = select(table).order_by(table.c.n)
            for name, value in where.items():
                query = query.where(table.c[name] == value)
            return list(conn.execute(query))

        return await self.node.store.read(job)


async def until(condition: Callable[[], Any], *, seconds: float = 60.0) -> None:
    """Waits until the (perhaps asynchronous) condition holds; fails after the deadline."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


def did(name: str) -> str:
    return f"did:web:{name}.example"


def members_of(
    entries: dict[str, tuple[str, SoftwareSigner]], now: datetime, **roles: tuple[str, ...]
) -> MemberList:
    """A founding list with these nodes: name → (endpoint, exchange key)."""
    made = founded()
    nodes = tuple(
        NodeEntry(
            did(name),
            name,
            roles=roles.get(name, ("port",)),
            country="CN",
            endpoint=endpoint,
            keys=(
                ListedKey(
                    signer.public(), "exchange", did(name), valid_from=now - timedelta(days=1)
                ),
            ),
        )
        for name, (endpoint, signer) in entries.items()
    )
    draft = MemberListDraft(
        name="exchange",
        test=True,
        issued_at=now - timedelta(days=1),
        expires=now + timedelta(days=30),
        roots=Roots(1, (made.roots[0].public(),)),
        nodes=nodes,
    )
    signed = member_list.sign_list(draft.payload(), made.roots[:1])
    return member_list.open_founding(signed, now=now)


SETTINGS: dict[str, Any] = {
    "exchange": {"retry_base": 0.02, "retry_cap": 0.2, "poll_interval": 0.2},
    "telemetry": {"log_level": "error"},
}


@dataclass
class World:
    """Running nodes by name, and the list they share."""

    parties: dict[str, Party]
    members: MemberList
    homes: dict[str, Any]

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]


@asynccontextmanager
async def world(
    path: Path,
    *names: str,
    settings: dict[str, Any] | None = None,
    listed_only: tuple[str, ...] = (),
    clock: Any = None,
    now: datetime | None = None,
    **roles: tuple[str, ...],
) -> AsyncIterator[World]:
    """Nodes of these names that exchange with each other.

    listed_only: members without a running node; their keys are in `homes`
    """
    from node.clock import SystemClock

    moment = now or SystemClock().now()
    homes, entries = {}, {}
    for name in (*names, *listed_only):
        chosen = SETTINGS | (settings or {})
        home = make_home(path / name, did(name), chosen)
        from node.settings import load

        port = load(home.settings_file).http.port
        signer = KeyStore(home.keys, did(name)).create("exchange")
        homes[name] = home
        entries[name] = (f"http://127.0.0.1:{port}", signer)
    members = members_of(entries, moment, **roles)
    async with AsyncExitStack() as stack:
        parties = {}
        for name in names:
            parties[name] = await stack.enter_async_context(
                party(homes[name], members, clock=clock)
            )
        yield World(parties, members, homes)


@asynccontextmanager
async def party(home: Any, members: MemberList, *, clock: Any = None) -> AsyncIterator[Party]:
    """One node with the exchange alone."""
    recorder = Recorder()

    def prepare(node: Node) -> None:
        node.members.replace(members)
        node.exchange.on(TYPE, recorder)
        node.exchange.transport = Faulty(node.client)

    async with running_node(
        home, clock=clock, services=[("exchange", ExchangeService)], prepare=prepare
    ) as node:
        await node.store.write(applied.create, checkfirst=True)
        # Catching up after the start would otherwise race with what a test does first.
        await asyncio.wait_for(asyncio.shield(node.exchange._tasks[-1]), 60)
        yield Party(node, recorder, node.exchange.transport)


def with_key(members: MemberList, name: str, **times: datetime) -> MemberList:
    """The same list with other times for a node's keys (as a value, for checks only)."""
    nodes = tuple(
        replace(node, keys=tuple(replace(key, **times) for key in node.keys))
        if node.did == did(name)
        else node
        for node in members.nodes
    )
    return replace(members, nodes=nodes)
