"""Our platform and a carrier outside the network, who signs with its own certified key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas.errors import ConflictError
from tests.integration.ebl.ebl_network import (
    PLATFORM,
    REFERENCE,
    bill,
    did_of,
    eventually,
    issue_to,
    made,
    operator,
    reaches,
    running,
    surrender_reaches,
)
from tests.integration.ebl.foreign import Foreign, call, serving, write_down
from tests.support.dcsa import body_faults, faults

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

REQUESTS, RESPONSES = "/v3/ebl-issuance-requests", "/v3/ebl-issuance-responses"
SURRENDERS, ANSWERS = "/v3/ebl-surrender-requests", "/v3/ebl-surrender-responses"


def asked(carrier: Foreign, document: dict[str, Any], to: dict[str, Any]) -> dict[str, Any]:
    body = {
        "document": document,
        "issueTo": to,
        "issuanceManifestSignedContent": carrier.manifest(document, to),
    }
    assert body_faults("ISS", "PUT", REQUESTS, body) == []
    return body


async def heard(carrier: Foreign, path: str, count: int) -> dict[str, Any]:
    async def told() -> bool:
        return len(carrier.of(path)) == count

    await eventually(told, told=carrier.heard)
    return carrier.of(path)[-1]


def settings(**more: Any) -> dict[str, Any]:
    return {PLATFORM: {"ebl": {"counterparts": "counterparts.toml", **more}}}


async def test_a_bill_of_an_outside_carrier_is_issued_once_and_surrendered(tmp_path: Path) -> None:
    network, carrier = made(tmp_path, **settings()), Foreign()
    write_down(network.homes[PLATFORM], "OUTC", "carrier", carrier)
    async with serving(carrier), running(network) as nodes:
        platform = nodes[PLATFORM]
        await _refusals(platform, carrier)
        body = asked(carrier, bill(), issue_to())
        status, found, headers = await call(platform, "PUT", REQUESTS, body)
        assert (status, found, headers["API-Version"]) == (204, None, "3.0.4")
        status, error, _ = await call(platform, "PUT", REQUESTS, body)
        assert (status, error["errors"][0]["errorCodeText"]) == (409, "ebl_reference_taken")
        assert faults("ISS", "ErrorResponse", error) == []
        said = await heard(carrier, RESPONSES, 3)
        assert said == {
            "transportDocumentReference": REFERENCE,
            "issuanceResponseCode": "ISSU",
        }
        assert (await call(platform, "PUT", REQUESTS, body))[0] == 409
        await _surrendered(platform, carrier)


async def _refusals(platform: Node, carrier: Foreign) -> None:
    """What cannot be read or attributed is an error at once; content and party come as answers."""
    incomplete = bill()
    del incomplete["documentParties"]["issuingParty"]
    to = issue_to()
    body = {
        "document": incomplete,
        "issueTo": to,
        "issuanceManifestSignedContent": carrier.manifest(incomplete, to),
    }
    status, error, _ = await call(platform, "PUT", REQUESTS, body)
    assert status == 400
    assert error["errors"][0]["jsonPath"].startswith("$.documentParties")
    forged = asked(carrier, bill(), to) | {
        "issuanceManifestSignedContent": Foreign(name="somebody").manifest(bill(), to)
    }
    status, error, _ = await call(platform, "PUT", REQUESTS, forged)
    assert (status, error["errors"][0]["errorCodeText"]) == (422, "bad_signature")
    other = asked(carrier, bill(), to) | {"issueTo": to | {"partyName": "another"}}
    status, error, _ = await call(platform, "PUT", REQUESTS, other)
    assert (status, error["errors"][0]["errorCodeText"]) == (422, "pint_not_as_issued")
    stranger = issue_to("nobody")
    assert (await call(platform, "PUT", REQUESTS, asked(carrier, bill(), stranger)))[0] == 204
    assert (await heard(carrier, RESPONSES, 1))["issuanceResponseCode"] == "REFU"
    # The reference is free again: the next word is about what is in the bill.
    unfit = bill(shippedOnBoardDate="2026-11-01", receivedForShipmentDate="2026-11-01")
    assert (await call(platform, "PUT", REQUESTS, asked(carrier, unfit, to)))[0] == 204
    said = await heard(carrier, RESPONSES, 2)
    assert said["issuanceResponseCode"] == "BREQ"
    assert said["errors"][0]["errorCode"].startswith("BOL-")


async def _surrendered(platform: Node, carrier: Foreign) -> None:
    async def hurry(path: str, body: dict[str, Any]) -> None:
        """Answer before the 204 of the request is sent."""
        if path == SURRENDERS:
            said = {
                "surrenderRequestReference": body["surrenderRequestReference"],
                "action": "SURR",
            }
            assert (await call(platform, "POST", ANSWERS, said))[0] == 204

    carrier.before = hurry
    wish = {"reference": REFERENCE, "code": "AREQ", "reason": "COD", "comments": "To Antwerp."}
    await operator(platform).apost("/v1/ebl/surrenders", wish)
    await surrender_reaches(platform, "accepted")
    (request,) = carrier.of(SURRENDERS)
    assert (request["reasonCode"], request["comments"]) == ("COD", "To Antwerp.")
    actions = [link["actionCode"] for link in request["endorsementChain"]]
    assert actions == ["ISSUE", "SURRENDER_FOR_AMENDMENT"]
    reference = request["surrenderRequestReference"]
    again = {"surrenderRequestReference": reference, "action": "SREJ", "comments": "no"}
    status, error, headers = await call(platform, "POST", ANSWERS, again)
    assert (status, error["errors"][0]["errorCodeText"]) == (409, "ebl_answered")
    assert headers["API-Version"] == "3.0.4"
    unknown = again | {"surrenderRequestReference": "S-none"}
    assert (await call(platform, "POST", ANSWERS, unknown))[0] == 404
    await reaches(platform, "void")
    # The amended bill comes under the same reference, as an issuance of its own.
    amended = bill(termsAndConditions="Amended.")
    assert (await call(platform, "PUT", REQUESTS, asked(carrier, amended, issue_to())))[0] == 204
    assert (await heard(carrier, RESPONSES, 4))["issuanceResponseCode"] == "ISSU"
    status, chains, _ = await call(platform, "GET", f"/endorsement-chains/{REFERENCE}")
    assert status == 200
    assert [len(one["endorsementChain"]) for one in chains] == [3, 1]
    assert all(faults("END", "EndorsementChain", one) == [] for one in chains)


async def test_the_operator_decides_where_it_is_set_so(tmp_path: Path) -> None:
    network, carrier = made(tmp_path, **settings(issuance="operator")), Foreign()
    write_down(network.homes[PLATFORM], "OUTC", "carrier", carrier)
    async with serving(carrier), running(network) as nodes:
        platform = nodes[PLATFORM]
        body = asked(carrier, bill(), issue_to())
        assert (await call(platform, "PUT", REQUESTS, body))[0] == 204
        await reaches(platform, "pending")
        wish = {"reference": REFERENCE, "code": "SREQ", "by": did_of("exp-a")}
        with pytest.raises(ConflictError, match="ebl_bill_not_issued"):
            await operator(platform).apost("/v1/ebl/surrenders", wish)
        path = f"/v1/ebl/issuances/{REFERENCE}/decision"
        decision = {"code": "REFU", "reason": "The account is closed."}
        await operator(platform).apost(path, decision)
        said = await heard(carrier, RESPONSES, 1)
        assert (said["issuanceResponseCode"], said["reason"]) == ("REFU", "The account is closed.")
