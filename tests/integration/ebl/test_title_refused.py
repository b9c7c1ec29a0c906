"""A bill that its platform issued and whose title the arbiter refuses later: it is not in force."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node import fsck
from node.ebl import issuance_carrier
from node.ebl import rows as ebl_rows
from node.store import events
from node.title import making, rows
from node.title.arbiter import LogArbiter
from protocols.pint.notification import NOTIFICATIONS
from schemas import strict_json
from schemas.errors import UnavailableError
from schemas.findings import Outcome
from tests.integration.ebl.ebl_network import (
    CARRIER,
    PLATFORM,
    REFERENCE,
    bill,
    eventually,
    issuance,
    made,
    operator,
    put_up,
    reaches,
    running,
    title_is,
)
from tests.support.network import did_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Connection

    from node.runtime import Node
    from node.title.arbiter import Handed


class CutOff:
    """The registry does not answer until `healed`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.healed = False
        self._whole = LogArbiter.hand_in
        whole = self

        async def hand_in(arbiter: LogArbiter, text: str, *, wait: int) -> Handed:
            return await whole.hand_in(arbiter, text, wait)

        patch.setattr(LogArbiter, "hand_in", hand_in)

    async def hand_in(self, arbiter: LogArbiter, text: str, wait: int) -> Handed:
        if not self.healed:
            raise UnavailableError("registry_unreachable", "it is cut off")
        return await self._whole(arbiter, text, wait=wait)


async def test_r19_a_title_refused_after_the_answer_is_said_on_both_sides_and_put_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = CutOff(monkeypatch)
    monkeypatch.setattr(making, "DEADLINE", timedelta(milliseconds=50))
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill())
        lost = (await reaches(carrier, "issued"))["title"]
        await reaches(platform, "issued")
        await eventually(lambda: _handed_in(carrier, lost))
        line.healed = True
        for node in (carrier, platform):
            told = await reaches(node, "title-refused")
            assert (told["titleRefused"], told["title"]) == ("title_operation_expired", lost)
            assert told["answer"]["issuanceResponseCode"] == "ISSU"
            await _alarmed(node)
            await _whole(node)
        held = (await operator(platform).aget("/v1/ebl/received", reference=REFERENCE))["bills"]
        assert [one["status"] for one in held] == ["ended"]
        monkeypatch.undo()
        await put_up(carrier, bill())
        title = (await reaches(carrier, "issued"))["title"]
        assert title != lost
        await title_is(platform, title, "LIVE")
        assert (await reaches(platform, "issued"))["title"] == title
        chains = await operator(platform).aget(f"/v1/ebl/chains/{REFERENCE}")
        assert [[link["actionCode"] for link in one["endorsementChain"]] for one in chains] == [
            ["ISSUE"]
        ]
        await _a_final_title_falls_by_no_word(carrier, platform)


async def _handed_in(carrier: Node, title: str) -> bool:
    """Whether the ISSUE was tried and is not decided."""
    tried = await carrier.store.read(rows.submissions_of, bytes.fromhex(title))
    return any(one.status == "pending" and one.tries > 0 for one in tried)


async def _alarmed(node: Node) -> None:
    def alarms(conn: Connection) -> list[Any]:
        told = events.after(conn, 0, 1000)
        return [one.detail for one in told if one.kind == "alarm"]

    (alarm,) = await node.store.read(alarms)
    assert (alarm["area"], alarm["code"]) == ("ebl", "ebl_title_refused")
    assert (alarm["reference"], alarm["why"]) == (REFERENCE, "title_operation_expired")


async def _whole(node: Node) -> None:
    report = await fsck.run(node.store, node.home, node.keys, node.clock)
    assert report.verdict is Outcome.PASSED, report.to_json()


async def _a_final_title_falls_by_no_word(carrier: Node, platform: Node) -> None:
    """A carrier cannot take back by a notification what its arbiter made final."""
    sent = (await operator(carrier).aget("/v1/ebl/notifications"))["notifications"]
    event = next(one["event"] for one in sent if one["transportDocumentStatus"] == "VOIDED")
    body = strict_json.canonical(event | {"id": "again"})
    headers = {"API-Version": "3", "Content-Type": "application/json"}
    answer = await carrier.client.call(
        did_of(PLATFORM), "POST", NOTIFICATIONS, body, headers=headers
    )
    assert answer.status == 204
    assert (await reaches(platform, "issued"))["state"] == "issued"


async def test_a_title_that_is_refused_at_once_is_said_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "DEADLINE", timedelta(seconds=-1))
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("blank"))
        for node in (carrier, platform):
            told = await reaches(node, "title-refused")
            assert told["titleRefused"] == "title_operation_expired"
            await _alarmed(node)


async def test_r21_a_bill_whose_title_is_final_after_all_is_in_force_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = CutOff(monkeypatch)
    monkeypatch.setattr("node.title.service.FINAL_WAIT", 0)
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill())
        title = (await reaches(carrier, "issued"))["title"]
        await reaches(platform, "issued")
        await eventually(lambda: _handed_in(carrier, title))
        # The carrier says too early that its title was refused; the registry has not spoken.
        held = await carrier.store.read(ebl_rows.issuance_of_title, bytes.fromhex(title), "carrier")
        assert held is not None
        await carrier.store.write(issuance_carrier.let_fall, carrier, held, "title_refused")
        for node in (carrier, platform):
            await reaches(node, "title-refused")
        line.healed = True
        for node in (carrier, platform):
            await reaches(node, "issued")
            told = await issuance(node) or {}
            assert (told["title"], "titleRefused" in told) == (title, False)
            await title_is(node, title, "LIVE")
            (stands,) = await node.store.read(_stands)
            assert (stands["title"], stands["again"]) == (title, False)
            await _whole(node)
        bills = (await operator(platform).aget("/v1/ebl/received", reference=REFERENCE))["bills"]
        assert [one["status"] for one in bills] == ["here"]
        sent = (await operator(carrier).aget("/v1/ebl/notifications"))["notifications"]
        assert sent[0]["transportDocumentStatus"] == "ISSUED"


def _stands(conn: Connection) -> list[Any]:
    told = events.after(conn, 0, 1000)
    return [one.detail for one in told if one.detail.get("code") == "ebl_title_stands"]
