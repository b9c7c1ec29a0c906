"""A bill issued here moves to another platform by PINT, and comes back to be surrendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.pint.preparing import Move
from protocols.pint.words import Action, Reason
from tests.integration.ebl.ebl_network import (
    CARRIER,
    ELSEWHERE,
    PLATFORM,
    REFERENCE,
    bill,
    did_of,
    issue_to,
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


async def test_a_carrier_that_is_a_platform_issues_there_and_the_bill_comes_back_to_it(
    tmp_path: Path,
) -> None:
    network = made(tmp_path, codes={CARRIER: "NHLX", PLATFORM: "NLPE"})
    async with running(network) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("order", to="imp-a"), issueTo=issue_to("shipper", "NHLX"))
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(carrier, title, "LIVE")
        given = Move(bytes.fromhex(title), Action.TRANSFER, did_of("imp-a"))
        assert (await carrier.sending.move(given, wait=90.0))["outcome"] == "final"
        await title_is(platform, title, "LIVE")
        back = Move(bytes.fromhex(title), Action.SURRENDER_FOR_DELIVERY)
        assert (await platform.sending.move(back, wait=90.0))["outcome"] == "final"
        request = await surrender_reaches(carrier, "asked", side="carrier")
        path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
        await operator(carrier).apost(path, {"accept": True})
        await surrender_reaches(carrier, "accepted", side="platform")
        await title_is(platform, title, "ACCEPTED")


async def test_a_surrender_from_another_platform_reaches_the_carrier_with_its_reason(
    tmp_path: Path,
) -> None:
    async with running(made(tmp_path)) as nodes:
        carrier, platform, elsewhere = nodes[CARRIER], nodes[PLATFORM], nodes[ELSEWHERE]
        await put_up(carrier, bill("order", to="buyer"))
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, title, "LIVE")
        given = Move(bytes.fromhex(title), Action.TRANSFER, did_of("buyer"))
        assert (await platform.sending.move(given, wait=90.0))["outcome"] == "final"
        back = Move(
            bytes.fromhex(title),
            Action.SURRENDER_FOR_AMENDMENT,
            reason=Reason.COD,
            comments="To Antwerp.",
        )
        told = await elsewhere.sending.move(back, wait=90.0)
        assert told["outcome"] == "final", str(told)[300:]
        request = await surrender_reaches(carrier, "asked")
        assert (request["reasonCode"], request["comments"]) == ("COD", "To Antwerp.")
        # SUR lists no transfers of possession; the auditor sees them.
        actions = [link["actionCode"] for link in request["endorsementChain"]]
        assert actions == ["ISSUE", "SURRENDER_FOR_AMENDMENT"]
        path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
        await operator(carrier).apost(path, {"accept": False, "comment": "The ship has sailed."})
        await surrender_reaches(platform, "rejected")
        held = await title_is(elsewhere, title, "LIVE")
        assert held["possessor"] == did_of("buyer")
        # The platform hears from the arbiter what was done elsewhere.
        await title_is(platform, title, "LIVE")
        chains = await operator(platform).aget(f"/v1/ebl/chains/{REFERENCE}")
        links = chains[0]["endorsementChain"]
        assert [(link["actionCode"], link["actor"]["eblPlatform"]) for link in links] == [
            ("ISSUE", "NLPE"),
            ("TRANSFER", "NLPE"),
            ("SURRENDER_FOR_AMENDMENT", "SGPE"),
        ]


async def test_a_bill_that_moved_is_not_issued_again_word_for_word(tmp_path: Path) -> None:
    """Its chain ended; another ISSUE of the very document is what others call DISE (PINT 3.0.0)."""
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("order", to="imp-a"))
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, title, "LIVE")
        for action, to, reason in (
            (Action.TRANSFER, "imp-a", None),
            (Action.SURRENDER_FOR_AMENDMENT, None, Reason.SWTP),
        ):
            move = Move(bytes.fromhex(title), action, to and did_of(to), reason=reason)
            told = await platform.sending.move(move, wait=90.0)
            assert told["outcome"] == "final", str(told)[300:]
        request = await surrender_reaches(carrier, "asked")
        path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
        await operator(carrier).apost(path, {"accept": True})
        await title_is(platform, title, "ENDED")
        await reaches(carrier, "void")
        await put_up(carrier, bill("order", to="imp-a"))
        answer = (await reaches(carrier, "content-error"))["answer"]
        assert answer["issuanceResponseCode"] == "BREQ"
        found = (await operator(carrier).aget("/v1/documents", number=REFERENCE))["documents"]
        (wrong,) = (one["digest"] for one in found if not one["status"]["revoked"])
        await operator(carrier).apost(f"/v1/documents/{wrong}/revoke", {"reason": "unamended"})
        await put_up(carrier, bill("order", to="imp-a", termsAndConditions="Anew."))
        new = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, new, "LIVE")
        held = await platform.title.find(bytes.fromhex(new))
        assert held.state.replaces == bytes.fromhex(title)
        given = Move(bytes.fromhex(new), Action.TRANSFER, did_of("imp-a"))
        assert (await platform.sending.move(given, wait=90.0))["outcome"] == "final"
