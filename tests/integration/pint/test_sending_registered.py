"""Bills that a third platform's register of records guards: intended there before anything goes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.cli.output import ExitCode
from node.pint import outgoing, rows
from node.pint.preparing import Move
from node.tracking import client, policy
from node.tracking.client import Bill
from protocols.members.anchors import CREDENTIAL, AnchorEntry
from protocols.pint.words import Action
from schemas.errors import TradeError, UnavailableError
from tests.integration.pint.sending_network import CARRIER, did_of, eventually, running
from tests.integration.pint.test_sending_commands import ebl, ebl_json
from tests.integration.pint.test_sending_untitled import begun
from tests.support import pint_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from protocols.pint.tracking_state import Control

KEEPER = "sg-port"
TO_BANK = ("--at", "MDPX", "--name", "Harbourlight Bank", "--code", did_of("bank"))
TO_STRANGER = ("--at", "MDPX", "--name", "Nobody Known", "--code", did_of("nobody"))


@asynccontextmanager
async def platforms(folder: Path) -> AsyncIterator[dict[str, Node]]:
    """Three platforms with witnessed logs, and a carrier that signs by its certificate."""
    start = datetime.now(UTC) - timedelta(days=1)
    anchor = AnchorEntry(CREDENTIAL, did_of(CARRIER), pint_world.outside().der, start)
    async with running(folder, witnessed=True, anchors=[anchor]) as nodes:
        yield nodes


async def registered(node: Node) -> tuple[bytes, Bill]:
    """A bill whose chain names the keeper's register, at the carrier's platform."""
    uri = policy.record_uri(node.members.current, did_of(KEEPER))
    checksum = await begun(node, uri)
    known = await node.store.read(rows.known_chain, checksum)
    return checksum, Bill(uri, checksum, known.texts[0])


async def control(node: Node, bill: Bill) -> Control:
    found = await client.current(node, bill)
    assert found is not None
    assert found.final
    return found.state.control


async def status(node: Node, checksum: bytes) -> str:
    return str((await node.store.read(rows.bill, checksum)).status)


async def test_r20_a_bill_passes_on_over_three_platforms_and_its_register_knows_each_step_first(
    tmp_path: Path,
) -> None:
    async with platforms(tmp_path) as nodes:
        nhl, maas, strait = nodes[CARRIER], nodes["nl-port"], nodes[KEEPER]
        checksum, bill = await registered(nhl)
        sent = await ebl_json(nhl, "transfer", "NHLFREE", *TO_BANK)
        assert [(one["outcome"], one["responseCode"]) for one in sent["moves"]] == [
            ("final", "RECE")
        ]
        assert (await control(nhl, bill)).holder == "MDPX"
        assert (await ebl_json(maas, "show", "NHLFREE"))["guarantee"] == "registry"
        # Who gave it away gives it to nobody else, whatever its own rows say.
        with pytest.raises(TradeError, match="tracking_not_holder"):
            await client.intend(nhl, bill, "STPX", bytes(32))
        onward = ("--at", "STPX", "--name", "Second Lantern", "--code", did_of("financier-2"))
        await ebl_json(maas, "transfer", "NHLFREE", *onward)
        assert (await control(nhl, bill)).holder == "STPX"
        assert await status(strait, checksum) == rows.HERE
        await ebl_json(strait, "transfer", "NHLFREE", *TO_BANK)
        given = await ebl_json(maas, "surrender", "NHLFREE")
        assert given["moves"][0]["platform"] == "NHLX"
        assert (await control(strait, bill)).holder == "NHLX"
        back = await nhl.sending.move_untitled(checksum, Move(b"", Action.SREJ), wait=60)
        assert (back["outcome"], back["platform"]) == ("final", "MDPX")
        assert (await control(strait, bill)).holder == "MDPX"
        await ebl_json(maas, "surrender", "NHLFREE")
        answer = await nhl.sending.move_untitled(checksum, Move(b"", Action.SACC), wait=60)
        assert answer["outcome"] == "final"
        assert (await control(strait, bill)).ended
        assert await status(nhl, checksum) == rows.ENDED


async def test_a_refused_transfer_is_taken_off_the_record_and_the_right_one_goes(
    tmp_path: Path,
) -> None:
    async with platforms(tmp_path) as nodes:
        nhl = nodes[CARRIER]
        checksum, bill = await registered(nhl)
        wrong = await ebl(nhl, "transfer", "NHLFREE", *TO_STRANGER)
        assert wrong.exit_code == ExitCode.REFUSED

        async def free() -> Any:
            return (await nhl.store.read(outgoing.open_of, checksum)) is None

        await eventually(free)
        held = await control(nhl, bill)
        assert (held.holder, held.intent) == ("NHLX", None)
        assert await status(nhl, checksum) == rows.HERE
        await ebl_json(nhl, "transfer", "NHLFREE", *TO_BANK)
        assert (await control(nhl, bill)).holder == "MDPX"


@pytest.mark.undecided
async def test_r20_while_the_register_is_out_of_reach_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platforms(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        checksum, bill = await registered(nhl)
        honest = nhl.client.call

        async def cut(did: str, method: str, path: str, *more: Any, **named: Any) -> Any:
            if path.startswith(policy.RECORDS_PATH):
                raise UnavailableError("peer_unreachable", "cut off")
            return await honest(did, method, path, *more, **named)

        monkeypatch.setattr(nhl.client, "call", cut)
        order = Move(b"", Action.TRANSFER, did_of("bank"))
        waiting = await nhl.sending.move_untitled(checksum, order, wait=0.0)
        assert waiting["outcome"] == "pending"
        entry = bytes.fromhex(waiting["transfer"])

        async def tried() -> Any:
            row = await nhl.store.read(outgoing.require, entry)
            return (row.state, row.code) == (outgoing.BUILDING, "peer_unreachable")

        await eventually(tried)
        assert await maas.store.read(rows.bill, checksum) is None
        monkeypatch.undo()

        async def arrived() -> Any:
            row = await nhl.store.read(outgoing.require, entry)
            return row.state == outgoing.RECEIVED

        await eventually(arrived)
        assert (await control(nhl, bill)).holder == "MDPX"
