"""Carrier node and platform node over HTTP: issuance, surrender, amendment, paper (ISS, SUR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from node.ebl import surrender_platform
from node.store import events
from node.title.making import IssueOrder, Order
from protocols.title.machine import Ending, Kind
from schemas.errors import ConflictError
from tests.integration.ebl.ebl_network import (
    CARRIER,
    PLATFORM,
    REFERENCE,
    bill,
    did_of,
    made,
    operator,
    put_up,
    reaches,
    running,
    surrender_reaches,
    title_is,
)
from tests.support.postgres import create_database

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made


async def test_a_straight_bill_is_issued_and_surrendered_for_delivery(tmp_path: Path) -> None:
    await _issued_and_surrendered(made(tmp_path))


@pytest.fixture
def stores(postgres_server: str) -> dict[str, dict[str, dict[str, str]]]:
    """Settings of a PostgreSQL store for carrier and platform."""
    return {
        name: {"store": {"url": create_database(postgres_server, f"ebl_{place}")}}
        for place, name in enumerate((CARRIER, PLATFORM))
    }


@pytest.mark.slow
async def test_the_same_goes_on_postgresql(
    tmp_path: Path, stores: dict[str, dict[str, dict[str, str]]]
) -> None:
    await _issued_and_surrendered(made(tmp_path, **stores))


async def _issued_and_surrendered(network: Made) -> None:
    async with running(network) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        asked = await put_up(carrier, bill())
        assert asked["state"] == "pending"
        issued = await reaches(carrier, "issued")
        assert issued["answer"]["issuanceResponseCode"] == "ISSU"
        await reaches(platform, "issued")
        title = issued["title"]
        held = await title_is(platform, title, "LIVE")
        assert held["possessor"] == did_of("exp-a")
        body = {"reference": REFERENCE, "code": "SREQ", "by": did_of("exp-a")}
        await operator(platform).apost("/v1/ebl/surrenders", body)
        request = await surrender_reaches(carrier, "asked")
        actions = [link["actionCode"] for link in request["endorsementChain"]]
        assert actions == ["ISSUE", "SURRENDER_FOR_DELIVERY"]
        await title_is(carrier, title, "SURRENDERED")
        path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
        await operator(carrier).apost(path, {"accept": True})
        answered = await surrender_reaches(platform, "accepted")
        assert answered["answer"]["action"] == "SURR"
        await title_is(platform, title, "ACCEPTED")
        assert (await reaches(platform, "void"))["title"] == title
        chain = await operator(platform).aget(f"/v1/ebl/chains/{REFERENCE}")
        assert [link["actionCode"] for link in chain[0]["endorsementChain"]] == [
            "ISSUE",
            "SURRENDER_FOR_DELIVERY",
            "SURRENDERED",
        ]


async def test_a_rejected_amendment_gives_possession_back_and_an_accepted_one_is_issued_anew(
    tmp_path: Path,
) -> None:
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("blank"))
        old = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, old, "LIVE")
        with pytest.raises(ConflictError, match="title_document_taken"):
            await put_up(carrier, bill("blank"))
        request = await _amend(platform, carrier, "asked")
        await _answer(carrier, request, accept=False, comment="Not on this voyage.")
        await surrender_reaches(platform, "rejected")
        back = await title_is(platform, old, "LIVE")
        assert back["possessor"] == did_of("exp-a")
        request = await _amend(platform, carrier, "asked")
        await _answer(carrier, request, accept=True)
        await surrender_reaches(platform, "accepted")
        await title_is(platform, old, "ENDED")
        await reaches(platform, "void")
        await _issued_anew(carrier, platform, old)


async def _amend(platform: Node, carrier: Node, state: str) -> dict[str, Any]:
    body = {"reference": REFERENCE, "code": "AREQ", "reason": "COD", "by": did_of("exp-a")}
    await operator(platform).apost("/v1/ebl/surrenders", body)
    return await surrender_reaches(carrier, state)


async def _answer(carrier: Node, request: dict[str, Any], **body: Any) -> None:
    path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
    await operator(carrier).apost(path, body)


async def _issued_anew(carrier: Node, platform: Node, old: str) -> None:
    """The amended bill under the same reference: both titles and both documents are linked."""
    found = (await operator(carrier).aget("/v1/documents", number=REFERENCE))["documents"]
    assert [one["status"]["revoked"] for one in found] == [True]
    await put_up(carrier, bill("blank", termsAndConditions="Amended."), replaces=REFERENCE)
    new = (await reaches(carrier, "issued"))["title"]
    assert new != old
    await title_is(platform, new, "LIVE")
    held = await platform.title.find(bytes.fromhex(new))
    assert held.state.replaces == bytes.fromhex(old)
    chains = await operator(platform).aget(f"/v1/ebl/chains/{REFERENCE}")
    assert [[link["actionCode"] for link in one["endorsementChain"]] for one in chains] == [
        ["ISSUE", "SURRENDER_FOR_AMENDMENT", "SURRENDER_FOR_AMENDMENT", "SURRENDERED"],
        ["ISSUE"],
    ]
    heard = (await operator(platform).aget("/v1/ebl/notifications"))["notifications"]
    statuses = [one["transportDocumentStatus"] for one in reversed(heard)]
    assert statuses[:2] == ["ISSUED", "PENDING_SURRENDER_FOR_AMENDMENT"]


async def test_paper_ends_the_title_and_a_bill_given_back_by_title_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surrender_platform, "ENTRY_MS", 0)
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("order"))
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, title, "LIVE")
        # By the commands for titles, nothing said to the platform's part.
        order = Order(Kind.SURRENDER_FOR_AMENDMENT, by=did_of("exp-a"))
        await platform.title.operate(bytes.fromhex(title), order)
        request = await surrender_reaches(carrier, "asked")
        assert request["surrenderRequestCode"] == "AREQ"
        await _answer(carrier, request, accept=False, comment="Say whether you want paper.")
        await surrender_reaches(platform, "rejected")
        await title_is(platform, title, "LIVE")
        body = {"reference": REFERENCE, "code": "AREQ", "reason": "SWTP", "by": did_of("exp-a")}
        await operator(platform).apost("/v1/ebl/surrenders", body)
        request = await surrender_reaches(carrier, "asked")
        await _answer(carrier, request, accept=True)
        await surrender_reaches(platform, "accepted")
        await title_is(platform, title, "ENDED")
        held = await platform.title.find(bytes.fromhex(title))
        assert held.state.ending is Ending.PAPER
        shown = await platform.client.call(
            did_of(CARRIER), "GET", f"/v3/transport-documents/{REFERENCE}"
        )
        assert b'"transportDocumentStatus":"VOIDED"' in shown.body
        await _back_from_paper(carrier, platform, title)
        for path in (f"/v3/transport-documents/{REFERENCE}", f"/endorsement-chains/{REFERENCE}"):
            hidden = await nodes["sg-port"].client.call(did_of(CARRIER), "GET", path)
            assert hidden.status == 404
            told = await nodes[PLATFORM].client.call(did_of(CARRIER), "GET", path)
            assert told.status == 200


async def _back_from_paper(carrier: Node, platform: Node, old: str) -> None:
    """Nobody says what the new bill replaces; it names the ended title all the same, and alone."""
    await reaches(carrier, "void")
    again = bill("order", termsAndConditions="Back from paper.")
    await put_up(carrier, again)
    second = again | {"transportDocumentReference": "NHLU20260002"}
    with pytest.raises(ConflictError, match="title_already_replaced"):
        await put_up(carrier, second, replaces=REFERENCE)
    new = (await reaches(carrier, "issued"))["title"]
    await title_is(platform, new, "LIVE")
    held = await platform.title.find(bytes.fromhex(new))
    assert held.state.replaces == bytes.fromhex(old)
    with pytest.raises(ConflictError, match="title_already_replaced"):
        await put_up(carrier, second, replaces=REFERENCE)
    digest = (await operator(carrier).aget("/v1/documents", number="NHLU20260002"))["documents"]
    wanted = IssueOrder(
        bytes.fromhex(digest[0]["digest"]), did_of("exp-a"), did_of("imp-a"), bytes.fromhex(old)
    )
    with pytest.raises(ConflictError, match="title_already_replaced"):
        await carrier.title.issue(wanted)


async def test_who_issued_a_house_bill_is_told_that_its_master_is_not_given_up(
    tmp_path: Path,
) -> None:
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        named = [{"type": "MB", "value": number} for number in ("NHLMASTER", "NHLELSE")]
        await put_up(carrier, bill(reference="NHLMASTER"))
        master = (await reaches(carrier, "issued", "NHLMASTER"))["title"]
        await put_up(carrier, bill(reference="NHLHOUSE", references=named))
        title = (await reaches(carrier, "issued", "NHLHOUSE"))["title"]
        for one in (master, title):
            await title_is(platform, one, "LIVE")
        wish = {"reference": "NHLHOUSE", "code": "SREQ", "by": did_of("exp-a")}
        await operator(platform).apost("/v1/ebl/surrenders", wish)
        request = await surrender_reaches(carrier, "asked")
        told = {one["transportDocumentReference"]: one for one in request["masterBills"]}
        assert (told["NHLMASTER"]["state"], told["NHLMASTER"]["code"]) == (
            "LIVE",
            "ebl_master_not_surrendered",
        )
        assert told["NHLMASTER"]["message"].startswith("The master bill of this house bill")
        assert (told["NHLELSE"]["state"], told["NHLELSE"]["code"]) == (
            "UNKNOWN",
            "ebl_master_unknown",
        )
        (event,) = await carrier.store.read(events.newest_of, "ebl-surrender-asked")
        assert event.detail["masters"] == {"NHLMASTER": "LIVE", "NHLELSE": "UNKNOWN"}
        await _master_goes_first(carrier, platform, master)
        # Told, not refused: its holder has the right to the goods, whatever becomes of the master.
        asked = request["surrenderRequestReference"]
        path = f"/v1/ebl/surrenders/{asked}/answer"
        done = await operator(carrier).apost(path, {"accept": True})
        assert done["state"] in {"accepting", "accepted"}
        await title_is(carrier, title, "ACCEPTED")
        states = {one["transportDocumentReference"]: one for one in done["masterBills"]}
        assert states["NHLMASTER"] == {
            "transportDocumentReference": "NHLMASTER",
            "state": "ACCEPTED",
        }
        assert states["NHLELSE"]["state"] == "UNKNOWN"


async def _master_goes_first(carrier: Node, platform: Node, master: str) -> None:
    order = {"kind": "SURRENDER_FOR_DELIVERY", "by": did_of("exp-a")}
    await operator(platform).apost(f"/v1/titles/{master}/operations", order)
    await title_is(carrier, master, "SURRENDERED")
    accept = {"kind": "ACCEPT_SURRENDER", "by": carrier.did}
    await operator(carrier).apost(f"/v1/titles/{master}/operations", accept)
    await title_is(carrier, master, "ACCEPTED")
