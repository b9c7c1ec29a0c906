"""FSCK-17 over what a platform received: whole as it is, and every damage told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, update

from node import fsck
from node.pint.beginning import Supporting
from node.pint.tables import bills, documents, entries, outgoing, transfers
from protocols.digest import sha256
from protocols.pint.words import Action
from tests.integration.pint.receiving_world import bill, moved, platform
from tests.integration.pint.sending_network import CARRIER, move, running, titled
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from node.runtime import Node

LIST = b"%PDF-1.7 packing list"


def _changes(other: str) -> list[tuple[Any, str]]:
    return [
        (update(bills).values(body="{}"), "was altered"),
        (update(entries).values(text=other), "does not belong"),
        (delete(entries).where(entries.c.place == 0), "does not belong"),
        (update(entries).values(text="no.jws."), "cannot be read"),
        (update(transfers).values(answer="no jws"), "cannot be read"),
        (update(transfers).values(last=bytes(32)), "about something else"),
        (update(documents).values(content=b"x"), "was altered"),
        (update(transfers).values(envelope=b"{}"), "cannot be read"),
        (delete(bills), "is gone, pint_entries tells of it"),
        (delete(bills), "is not in pint_bills"),
        (delete(transfers), "the transfer is gone that brought entry"),
        (delete(transfers), "is not in pint_transfers"),
        (delete(entries).where(entries.c.place == 1), "the last entry of transfer"),
        (delete(documents), "of transfer"),
    ]


def _examined(conn: Connection, node: Node, change: Any) -> fsck.AreaResult:
    """What fsck says after a change, which is taken back."""
    context = fsck.Context(node.home, node.keys, node.members.current)
    with conn.begin_nested() as savepoint:
        if change is not None:
            conn.execute(change)
        found = fsck.examine(conn, context, "FSCK-17")
        savepoint.rollback()
    return found


async def test_what_was_received_is_whole_and_every_damage_is_told(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document, agent = bill(), w.party("agent", "FARR")
        out = w.act(Action.TRANSFER, w.SHIPPER, agent, minute=1)
        back = w.act(Action.TRANSFER, agent, w.BUYER, minute=2)
        texts = w.chain_of(w.first(document, w.ISSUE, out, registry=None), [back])
        envelope = w.pack(document, texts, by="FARR", supporting=[w.document_of(LIST)])
        reference = (await sender.post(envelope)).json["envelopeReference"]
        await sender.put(reference, sha256(LIST), LIST)
        assert (await sender.finish(reference)).word == "RECE"
        node = sender.node
        whole = await node.store.write(_examined, node, None)
        assert (whole.count, whole.examined) == (0, 3)
        for change, words in _changes(moved(bill("TDR-2"))[0]):
            found = await node.store.write(_examined, node, change)
            assert any(words in one for one in found.damages), (str(change), found.damages)


async def test_what_left_is_whole_and_what_is_gone_of_it_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as nodes:
        carrier = nodes[CARRIER]
        title = await titled(carrier)
        note = Supporting("list.txt", "text/plain", LIST)
        assert (await move(carrier, title, Action.TRANSFER, "bank", supporting=(note,)))[
            "outcome"
        ] == "final"
        for node in (carrier, nodes["nl-port"]):
            whole = await node.store.write(_examined, node, None)
            assert (whole.count, whole.damages) == (0, [])
        for change, words in (
            (delete(outgoing), "is not in pint_outgoing"),
            (delete(bills), "is gone, pint_outgoing tells of it"),
            (delete(documents), "is gone"),
            (delete(entries).where(entries.c.place == 1), "the entry of transfer"),
            (update(outgoing).values(envelope=b"{}"), "cannot be read"),
        ):
            found = await carrier.store.write(_examined, carrier, change)
            assert any(words in one for one in found.damages), (str(change), found.damages)
