"""Three platforms behind hostile fronts, and all that can be asked of them after every step."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from aiohttp import web
from sqlalchemy import select
from typing_extensions import override

from ledger.registry_tables import operations
from node.pint import outgoing, rows, tables
from node.pint.preparing import Move
from node.title import exit_file
from node.title import rows as title_rows
from node.title import tables as title_tables
from node.title.exit_service import ExitService
from node.title.making import IssueOrder, Order
from protocols.pint.answers import open_finished
from protocols.pint.envelope import read_envelope
from protocols.pint.words import Reason
from protocols.title.machine import Bill, Ending, Kind, State, TitleState
from schemas import strict_json
from tests.integration.pint import front as fronts
from tests.integration.pint import sending_network as net
from tests.integration.pint.front import Front, front
from tests.integration.pint.history_model import (
    AMENDMENT,
    BANK,
    HOSTS,
    ITS_LAW,
    PARTICULAR,
    Deed,
    Paper,
)
from tests.integration.pint.test_sending_kinds import parties
from tests.support.network import running_network
from tests.support.running import caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.member_list import MemberList
    from tests.integration.pint.front import Fault

WAIT = 90.0
SERVICES = (*net.SERVICES, ("exits", ExitService))


class BillFront(Front):
    """A front whose faults meet the envelopes of one bill: several histories run side by side."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.plans: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.carried: defaultdict[str, list[bytes]] = defaultdict(list)

    @override
    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path != "/v3/envelopes":
            return await self.forward(request, body)
        document: Any = strict_json.loads_object(body)["transportDocument"]
        reference = document["transportDocumentReference"]
        self.carried[reference].append(body)
        plan = self.plans[reference]
        fault = plan.popleft() if plan else None
        return await (self.forward(request, body) if fault is None else fault(self, request, body))


async def twice(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """The network delivers it twice, and only the second answer comes."""
    await front.forward(request, body)
    return await front.forward(request, body)


async def garbled(front: Front, request: web.Request, body: bytes) -> web.StreamResponse:
    """It arrives with another signature under the last entry, and the answer is lost."""
    value: Any = strict_json.loads_object(body)
    *before, last = value["envelopeTransferChain"]
    head, payload, signature = last.split(".")
    value["envelopeTransferChain"] = [*before, f"{head}.{payload}.{signature[::-1]}"]
    answer = await front.forward(request, strict_json.canonical(value))
    assert answer.status == 422, answer.status
    return web.Response(status=502)


FAULTS: tuple[Fault, ...] = (fronts.lost, fronts.broken, fronts.unsigned, twice, garbled)


@dataclass
class Held:
    """A bill in the world. document: the checksum that platforms know it by."""

    reference: str
    title: bytes
    document: bytes
    stored: bytes
    paper: Paper


@dataclass
class World:
    nodes: dict[str, Node]
    members: MemberList
    before: dict[str, BillFront]
    session: aiohttp.ClientSession

    # -- deeds -----------------------------------------------------------------------------------

    async def issue(
        self, reference: str, kind: str, *, holder: str, law: str, replaces: Held | None = None
    ) -> Held:
        """A new bill, final at its arbiter and told to whoever possesses it."""
        named: dict[str, Any] = {"termsAndConditions": f"Issued as {reference}, {kind}."}
        titleholder = {"straight": "imp-a", "to-order": "bank", "blank": None}[kind]
        if kind == "straight":
            named |= {
                "isToOrder": False,
                "documentParties": parties(endorsee=None, consignee="imp-a"),
            }
        elif kind == "blank":
            named["documentParties"] = parties(endorsee=None)
        nhl = self.nodes["nhl"]
        if replaces is not None:
            named["termsAndConditions"] += f" It replaces {replaces.title.hex()}."
            await nhl.documents.revoke(replaces.stored, "amended")
        document = await net.bill(nhl, reference, **named)
        order = IssueOrder(
            document,
            net.did_of(holder),
            net.did_of(titleholder) if titleholder else None,
            replaces=replaces.title if replaces else None,
            law=law,
        )
        title = bytes.fromhex((await nhl.title.issue(order))["title"])
        paper = Paper(kind, holder, holder, titleholder, law)
        await net.eventually(lambda: nhl.title.find(title), WAIT)
        manifest = await nhl.store.read(title_rows.bill, title)
        held = Held(reference, title, manifest.checksum, document, paper)
        if HOSTS[holder] != "nhl":
            told = await nhl.sending.tell(title, wait=WAIT)
            assert told is None or told["outcome"] == "final", told
        await net.eventually(lambda: self._has(HOSTS[holder], held), WAIT)
        return held

    async def _has(self, name: str, held: Held) -> bool:
        bill = await self.nodes[name].store.read(rows.bill, held.document)
        return bill is not None and bill.title == held.title

    async def do(self, held: Held, deed: Deed) -> dict[str, Any]:
        """A deed by order of who acts, at the node that has their account."""
        node = self.nodes[HOSTS[deed.actor]]
        to = net.did_of(deed.to) if deed.to else None
        by = net.did_of(deed.actor)
        answer: dict[str, Any] = await node.sending.move(
            Move(held.title, deed.action, to, by, deed.reason), wait=WAIT
        )
        return answer

    async def end(self, held: Held) -> None:
        """What the carrier does after SACC: delivered, amended, or on paper from now on."""
        asked = held.paper.asked
        assert asked is not None
        ending = Ending.DELIVERED
        if asked.action is AMENDMENT:
            ending = Ending.PAPER if asked.reason is Reason.SWTP else Ending.AMENDED
        order = Order(Kind.END, ending=ending)
        answer = await self.nodes["nhl"].title.operate(held.title, order)
        assert answer["outcome"] == "final", answer

    # -- what is so ------------------------------------------------------------------------------

    async def still(self, held: Held) -> TitleState:
        """The title as all three nodes know it, once nothing is under way with it any more."""
        return await net.eventually(lambda: self._settled(held), WAIT)

    async def _settled(self, held: Held) -> TitleState | None:
        states = []
        for node in self.nodes.values():
            if held.title in node.sending._news or await node.store.read(_is_busy, held):
                return None
            found = await node.title.find(held.title, refresh=True)
            if found is None:
                return None
            states.append(found.state)
        return states[0] if all(one == states[0] for one in states) else None

    async def snapshot(self, held: Held) -> dict[str, Any]:
        """Everything durable that any of the three has of the bill."""
        return {name: await node.store.read(_rows, held) for name, node in self.nodes.items()}

    async def agrees(self, held: Held) -> None:
        """Every node, the registry and the carrier say what the model says (the bill is still)."""
        state, paper = await self.still(held), held.paper
        assert (state.bill, _name(state.holder)) == (Bill(paper.kind), paper.holder)
        arbiter = await self.nodes["nhl"].registry.require().title(held.title)
        assert arbiter is not None
        assert arbiter.proof.state == state
        where = await self._where(held)
        if paper.live:
            assert (state.state, _name(state.possessor)) == (State.LIVE, paper.possessor)
            assert where["here"] == [HOSTS[paper.possessor]], where
        elif paper.over:
            assert state.state in {State.ACCEPTED, State.ENDED}
            assert not where["here"], where
            assert "nhl" in where["ended"], where
        else:
            assert (state.state, _name(state.possessor)) == (State.SURRENDERED, "nhl")
            assert _name(state.surrendered_by) == paper.possessor
            assert not where["here"], where
            assert "nhl" in where["surrendered"], where

    async def _where(self, held: Held) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name, node in self.nodes.items():
            bill = await node.store.read(rows.bill, held.document)
            if bill is not None and bill.title == held.title:
                found[bill.status].append(name)
        return found

    async def exits(self, held: Held) -> None:
        """The history is proven by the file that its last platform exports, and by nothing else."""
        paper = held.paper
        node = self.nodes["nhl" if not paper.live else HOSTS[paper.possessor]]
        data, _ = await node.exits.export(held.title.hex())
        report = exit_file.verify(data, [self.members])
        wrong = [one for one in report.checks if one.outcome.value != "PASSED"]
        # The lists of this made network are in force without having been taken in.
        assert [one.id for one in wrong] in ([], ["EXIT-02"]), wrong
        by_id = {one.id: one for one in report.checks}
        assert by_id["EXIT-07"].evidence, "the file holds the platforms' chain"
        evidence = by_id["EXIT-08"].evidence
        if paper.live:
            assert evidence["possessor"] == net.did_of(paper.possessor)
            holder = net.did_of(paper.holder) if paper.holder else None
            assert (evidence["titleholder"], evidence["bill"]) == (holder, paper.kind)

    # -- hostile hands ---------------------------------------------------------------------------

    async def post(self, name: str, body: bytes) -> tuple[int, str]:
        """An envelope to a node itself, by whoever has it: status, and the signed word or ""."""
        url = self.nodes[name].local_url + "/v3/envelopes"
        headers = {"Content-Type": "application/json"}
        async with self.session.post(url, data=body, headers=headers) as answer:
            found = orjson.loads(await answer.read())
            word = open_finished(found)[1].response.value if isinstance(found, str) else ""
            return answer.status, word

    def carried(self, held: Held) -> list[bytes]:
        """Its envelopes that went over the wire; one issued anew may have the same reference."""
        bodies = [body for one in self.before.values() for body in one.carried[held.reference]]
        return [one for one in bodies if read_envelope(one).document_checksum == held.document]

    # -- all the time ----------------------------------------------------------------------------

    async def watch(self, found: list[str]) -> None:
        """Whenever it looks: no two platforms hold one title. Runs until it is cancelled."""
        while True:
            first = {name: await self._claims(name) for name in self.nodes}
            again = {name: await self._claims(name) for name in self.nodes}
            # Between two looks at the same seq a platform held it the whole time.
            sure = {name: first[name] & again[name] for name in self.nodes}
            names = sorted(self.nodes)
            for at, one in enumerate(names):
                for other in names[at + 1 :]:
                    both = {title for title, _ in sure[one]} & {title for title, _ in sure[other]}
                    found += [f"{one} and {other} hold {title.hex()}" for title in both]
            await asyncio.sleep(0.02)

    async def _claims(self, name: str) -> set[tuple[bytes, int]]:
        claims: set[tuple[bytes, int]] = await self.nodes[name].store.read(_claims, name)
        return claims


def _claims(conn: Connection, name: str) -> set[tuple[bytes, int]]:
    """Titles, with their seq, that this platform could move now by all that it knows itself."""
    bills, titles = tables.bills, title_tables.titles
    query = (
        select(titles.c.title, titles.c.seq, titles.c.state)
        .join(bills, bills.c.title == titles.c.title)
        .where(bills.c.status == rows.HERE, titles.c.status == State.LIVE.value)
    )
    own = {net.did_of(party) for party, host in HOSTS.items() if host == name}
    return {
        (bytes(title), seq)
        for title, seq, state in conn.execute(query)
        if orjson.loads(state)["possessor"]["did"] in own
    }


def _is_busy(conn: Connection, held: Held) -> bool:
    sends = any(one.active for one in outgoing.of_document(conn, held.document))
    transfers = tables.transfers
    query = select(transfers.c.reference).where(
        transfers.c.document == held.document, transfers.c.state != rows.RECEIVED
    )
    return sends or conn.execute(query).first() is not None


def _rows(conn: Connection, held: Held) -> dict[str, list[Any]]:
    """All rows about the bill; what was asked for in vain is remembered and is no part of it."""
    found: dict[str, list[Any]] = {}
    for table in (tables.bills, tables.entries, tables.transfers, tables.documents):
        found[table.name] = _all(conn, select(table).where(table.c.document == held.document))
    vain = (outgoing.REFUSED, outgoing.CANCELLED)
    sent = tables.outgoing
    query = select(sent).where(sent.c.document == held.document, sent.c.state.not_in(vain))
    found[sent.name] = _all(conn, query)
    titles, history = title_tables.titles, title_tables.history
    columns = (titles.c.title, titles.c.seq, titles.c.state, titles.c.status)
    found[titles.name] = _all(conn, select(*columns).where(titles.c.title == held.title))
    for table in (history, title_tables.bills, operations):
        found[table.name] = _all(conn, select(table).where(table.c.title == held.title))
    return found


def _all(conn: Connection, query: Any) -> list[Any]:
    return sorted((tuple(row) for row in conn.execute(query)), key=repr)


def _name(party: Any) -> str | None:
    return None if party is None else party.did.removeprefix("did:web:").removesuffix(".example")


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """The network, started; one node is a bank's, and takes titles under one law only."""
    async with AsyncExitStack() as stack:
        before = {name: await stack.enter_async_context(front(BillFront)) for name in net.PLATFORMS}
        urls = {name: one.url for name, one in before.items()}
        made = net.made(folder, fronts=urls, banks=(BANK,))
        file = made.homes[PARTICULAR].settings_file
        text = file.read_text()
        assert "[title]\n" in text
        file.write_text(text.replace("[title]\n", f'[title]\nlaws = ["{ITS_LAW}"]\n'))
        running = running_network(made, services=SERVICES)
        nodes = await stack.enter_async_context(running)
        for name, one in before.items():
            one.node = nodes[name]
        session = await stack.enter_async_context(caller())
        yield World(nodes, made.members, before, session)
