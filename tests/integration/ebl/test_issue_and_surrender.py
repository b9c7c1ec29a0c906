"""Carrier node and platform node over HTTP: issuance, surrender, amendment, paper (ISS, SUR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_straight_bill_is_issued_and_surrendered_for_delivery(tmp_path: Path) -> None:
    async with running(made(tmp_path)) as nodes:
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
