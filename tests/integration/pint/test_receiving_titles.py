"""R20 at the receiving platform: nothing is received that is not the recipient's at the arbiter."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from node.documents import documents
from node.pint import rows
from node.pint.building import Parties
from node.title import rows as title_rows
from node.title.arbiter import LogArbiter
from node.title.making import Order
from protocols.pint import signed
from protocols.pint.answers import open_finished
from protocols.pint.chain import ChainEntry, following
from protocols.pint.envelope import envelope
from protocols.pint.reading import checksum_of
from protocols.pint.registries import offered_entry, uri_of
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from protocols.title.machine import Kind, State
from protocols.title.registry import arbiter_of
from schemas import strict_json
from schemas.errors import UnavailableError
from tests.integration.pint.sending_network import (
    CARRIER,
    SERVICES,
    did_of,
    eventually,
    made,
    possessor,
    titled,
)
from tests.support.network import running_network
from tests.support.running import caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

#: Nobody tells by itself what was done at the arbiter: everything is sent by hand.
RECEIVING = tuple(pair for pair in SERVICES if pair[0] != "sending")


@dataclass
class Hand:
    """Chain entries and envelopes as the sending platform would make them, sent by hand."""

    nodes: dict[str, Node]
    title: bytes
    document: dict[str, Any]
    issuance: str
    session: aiohttp.ClientSession

    @property
    def members(self) -> Any:
        return self.nodes[CARRIER].members.current

    def deed(self, action: Action, actor: str, to: str | None) -> Transaction:
        parties = Parties(self.members, self.document)
        now = self.nodes[CARRIER].clock.now()
        recipient = None if to is None else parties.of(did_of(to))
        return Transaction(action, parties.of(did_of(actor)), now, recipient)

    def first(self, *deeds: Transaction) -> list[str]:
        registry = uri_of(self.members, arbiter_of(self.members.registries[0]).id)
        code = self.members.node(did_of(CARRIER)).platform
        entry = ChainEntry(
            code, checksum_of(self.document), deeds, issuance=self.issuance, registry=registry
        )
        return [entry.sign(self.nodes[CARRIER].keys.signer("platform"))]

    def then(self, texts: list[str], by: str, *deeds: Transaction) -> list[str]:
        code = self.members.node(did_of(by)).platform
        signer = self.nodes[by].keys.signer("platform")
        return [*texts, following(texts, code, deeds).sign(signer)]

    async def send(self, texts: list[str], by: str, to: str) -> tuple[int, str]:
        """To a node of this process; see `post`."""
        return await self.post(texts, by, self.nodes[to].local_url)

    async def post(self, texts: list[str], by: str, url: str) -> tuple[int, str]:
        """The HTTP status and the signed word, or the code of an unsigned error."""
        body = envelope(self.document, texts, self.nodes[by].keys.signer("platform")).to_bytes()
        headers = {"Content-Type": "application/json"}
        async with self.session.post(url + "/v3/envelopes", data=body, headers=headers) as answer:
            found = strict_json.loads(await answer.read())
            if isinstance(found, str):
                return answer.status, open_finished(found)[1].response.value
            assert isinstance(found, dict)
            errors: Any = found["errors"]
            return answer.status, errors[0]["errorCodeText"]

    async def offer(self, texts: list[str], to: str) -> None:
        """The possessor's offer at the arbiter, final."""
        entry = offered_entry(signed.parse(texts[-1]))
        order = Order(Kind.OFFER, did_of(to), entry=entry)
        await self.nodes[CARRIER].title.operate(self.title, order)

        async def offered() -> bool:
            held = await self.nodes[CARRIER].title.find(self.title)
            return held is not None and held.state.state is State.OFFERED

        await eventually(offered)

    async def transferred(self) -> list[str]:
        """The chain of a transfer between the two traders, offered at the arbiter and not sent."""
        issue = self.deed(Action.ISSUE, CARRIER, "exp-a")
        texts = self.first(issue, self.deed(Action.TRANSFER, "exp-a", "imp-a"))
        await self.offer(texts, "imp-a")
        return texts

    async def kept(self, at: str) -> rows.StoredBill | None:
        return await self.nodes[at].store.read(rows.bill, checksum_of(self.document))


@asynccontextmanager
async def hand(folder: Path, holder: str = "exp-a") -> AsyncIterator[Hand]:
    """The network with one title, and a hand that sends for it."""
    network = running_network(made(folder), services=RECEIVING)
    async with network as nodes, caller() as session:
        yield await hand_of(nodes, await titled(nodes[CARRIER], holder=holder), session)


async def hand_of(nodes: dict[str, Node], title: bytes, session: aiohttp.ClientSession) -> Hand:
    """A hand for a title that the carrier issued."""
    held = await nodes[CARRIER].store.read(title_rows.bill, title)
    assert held is not None
    assert held.document is not None
    stored = await nodes[CARRIER].store.read(documents.require, held.document)
    document: Any = strict_json.loads(stored.payload)
    return Hand(nodes, title, document, held.issuance, session)


HOST = "nl-port"


async def test_r20_a_bill_is_received_only_once_it_was_offered_and_is_then_the_recipients(
    tmp_path: Path,
) -> None:
    async with hand(tmp_path) as it:
        issue = it.deed(Action.ISSUE, CARRIER, "exp-a")
        texts = it.first(issue, it.deed(Action.TRANSFER, "exp-a", "imp-a"))
        assert await it.send(texts, CARRIER, HOST) == (422, "BENV")
        assert await it.kept(HOST) is None
        other = it.first(issue, it.deed(Action.TRANSFER, "exp-a", "bank"))
        await it.offer(texts, "imp-a")
        # What was offered is this entry and no other.
        assert await it.send(other, CARRIER, HOST) == (422, "BENV")
        assert await possessor(it.nodes[CARRIER], it.title) == did_of("exp-a")
        assert await it.send(texts, CARRIER, HOST) == (200, "RECE")
        held = await it.nodes[HOST].title.find(it.title)
        assert held is not None
        assert held.state.state is State.LIVE
        assert held.state.possessor is not None
        assert held.state.possessor.did == did_of("imp-a")
        stored = await it.kept(HOST)
        assert stored is not None
        assert (stored.title, stored.status) == (it.title, rows.HERE)
        assert await it.send(texts, CARRIER, HOST) == (200, "DUPE")


async def test_r20_without_the_arbiters_word_there_is_no_word_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand(tmp_path) as it:
        texts = await it.transferred()

        async def cut_off(*_: Any, **__: Any) -> None:
            raise UnavailableError("registry_unreachable", "cut off")

        with monkeypatch.context() as patched:
            patched.setattr(LogArbiter, "fetch", cut_off)
            assert await it.send(texts, CARRIER, HOST) == (503, "registry_unreachable")
            assert await it.kept(HOST) is None
        assert await it.send(texts, CARRIER, HOST) == (200, "RECE")


def _crash(*_: Any) -> None:
    raise UnavailableError("store_unavailable", "the process died here")


async def test_r20_what_was_accepted_before_a_crash_is_received_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand(tmp_path) as it:
        texts = await it.transferred()
        receiving = it.nodes[HOST].pint.receiving
        with monkeypatch.context() as patched:
            patched.setattr(receiving, "_keep", _crash)
            assert await it.send(texts, CARRIER, HOST) == (503, "store_unavailable")
        held = await it.nodes[HOST].title.find(it.title, refresh=True)
        assert held is not None
        assert held.state.possessor is not None
        assert held.state.possessor.did == did_of("imp-a")
        assert await it.kept(HOST) is None
        operations = held.state.seq
        assert await it.send(texts, CARRIER, HOST) == (200, "RECE")
        again = await it.nodes[HOST].title.find(it.title, refresh=True)
        assert again is not None
        assert again.state.seq == operations


async def test_r20_the_node_itself_comes_to_an_end_with_what_it_had_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand(tmp_path) as it:
        texts = await it.transferred()
        receiving = it.nodes[HOST].pint.receiving
        with monkeypatch.context() as patched:
            patched.setattr(receiving, "_keep", _crash)
            assert (await it.send(texts, CARRIER, HOST))[0] == 503
        assert await receiving.resume(it.nodes[HOST].clock.now_ms() + 1) == 1
        assert await it.kept(HOST) is not None
        # Whoever asks now learns that the transfer stands.
        assert await it.send(texts, CARRIER, HOST) == (200, "DUPE")


async def test_a_bill_issued_to_a_party_here_is_received_and_a_false_end_is_not_believed(
    tmp_path: Path,
) -> None:
    async with hand(tmp_path, holder="imp-a") as it:
        texts = it.first(it.deed(Action.ISSUE, CARRIER, "imp-a"))
        assert await it.send(texts, CARRIER, HOST) == (200, "RECE")
        surrender = it.deed(Action.SURRENDER_FOR_AMENDMENT, "imp-a", CARRIER)
        surrendered = it.then(texts, HOST, surrender)
        ended = it.then(surrendered, CARRIER, it.deed(Action.SACC, CARRIER, "imp-a"))
        assert await it.send(ended, CARRIER, HOST) == (422, "BENV")
        assert await it.send(surrendered, HOST, CARRIER) == (422, "BENV")
        # Once the deeds are final at the arbiter, both are what they say.
        order = Order(Kind.SURRENDER_FOR_AMENDMENT, did_of(CARRIER), did_of("imp-a"))
        await it.nodes[HOST].title.operate(it.title, order)
        assert await it.send(surrendered, HOST, CARRIER) == (200, "RECE")
        taken = await it.kept(CARRIER)
        assert taken is not None
        assert taken.status == rows.SURRENDERED
        await it.nodes[CARRIER].title.operate(it.title, Order(Kind.ACCEPT_SURRENDER))
        assert await it.send(ended, CARRIER, HOST) == (200, "RECE")
        over = await it.kept(HOST)
        assert over is not None
        assert over.status == rows.ENDED
        # After SACC nothing follows.
        more = it.then(ended, CARRIER, it.deed(Action.TRANSFER, CARRIER, "imp-a"))
        assert (await it.send(more, CARRIER, HOST))[0] == 422
