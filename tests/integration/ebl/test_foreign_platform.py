"""Our carrier and a platform outside the network: the race, retries, both answers, notifications.

Every request of ours is checked against DCSA's OpenAPI files where it arrives (`foreign.handle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocols.pint import issuance, signed
from protocols.pint.reading import checksum_of
from schemas import strict_json
from tests.integration.ebl.ebl_network import (
    CARRIER,
    REFERENCE,
    bill,
    did_code,
    eventually,
    made,
    operator,
    put_up,
    reaches,
    running,
    surrender_reaches,
)
from tests.integration.ebl.foreign import Foreign, call, serving, write_down
from tests.support.dcsa import faults

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

WAVE: dict[str, Any] = {
    "partyName": "A shipper there",
    "sendToPlatform": "WAVE",
    "identifyingCodes": [{"codeListProvider": "GLEIF", "partyCode": "LEI-1"}],
}
SETTINGS = {CARRIER: {"ebl": {"counterparts": "counterparts.toml"}}}


def request(reference: str, code: str, **more: Any) -> dict[str, Any]:
    party = {"partyName": "A", "eblPlatform": "WAVE", "identifyingCodes": [did_code("exp-a")]}
    link = {
        "actionDateTime": "2026-11-18T06:00:00.000Z",
        "actionCode": "SURRENDER_FOR_DELIVERY" if code == "SREQ" else "SURRENDER_FOR_AMENDMENT",
        "actor": party,
        "recipient": party,
    }
    body = {
        "surrenderRequestReference": reference,
        "transportDocumentReference": REFERENCE,
        "surrenderRequestCode": code,
        "endorsementChain": [link],
    }
    return body | more


async def answer(carrier: Node, reference: str, **body: Any) -> None:
    await operator(carrier).apost(f"/v1/ebl/surrenders/{reference}/answer", body)


async def test_an_answer_that_overtakes_the_204_counts_and_surrenders_go_both_ways(
    tmp_path: Path,
) -> None:
    network = made(tmp_path, **SETTINGS)
    platform = Foreign()
    write_down(network.homes[CARRIER], "WAVE", "platform", platform)
    async with serving(platform), running(network) as nodes:
        carrier = nodes[CARRIER]

        async def hurry(path: str, body: dict[str, Any]) -> None:
            """Answer before the 204 of the request is sent."""
            if path == issuance.REQUESTS:
                said = {
                    "transportDocumentReference": body["document"]["transportDocumentReference"],
                    "issuanceResponseCode": "ISSU",
                }
                status, _, headers = await call(carrier, "POST", issuance.RESPONSES, said)
                assert (status, headers["API-Version"]) == (204, "3.0.4")

        platform.before, platform.answers = hurry, {issuance.REQUESTS: [503]}
        document = bill()
        await put_up(carrier, document, issueTo=WAVE)
        issued = await reaches(carrier, "issued")
        assert "title" not in issued
        await _manifest_is_the_carriers(carrier, platform, document)
        await _wrong_requests(carrier)
        await _rejected_then_accepted(carrier, platform)
        await _ended(carrier, platform)


async def _manifest_is_the_carriers(
    carrier: Node, platform: Foreign, document: dict[str, Any]
) -> None:
    # The first try was answered 503; the second one is the same request.
    first, second = platform.of(issuance.REQUESTS)
    assert first == second
    read = issuance.read_request(strict_json.canonical(second))
    parsed, manifest = issuance.require_manifest(read)
    assert manifest.document == checksum_of(document)
    public = carrier.keys.signer("credential").public()
    assert public.verify(parsed.signature, parsed.signing_input)
    assert signed.parse(read.manifest).typ is None
    status, shown, _ = await call(carrier, "GET", f"/v3/transport-documents/{REFERENCE}")
    assert status == 200
    assert faults("EBL", "TransportDocument", shown) == []
    assert shown == document
    again = {"transportDocumentReference": REFERENCE, "issuanceResponseCode": "REFU"}
    status, error, _ = await call(carrier, "POST", issuance.RESPONSES, again)
    assert (status, error["errors"][0]["errorCodeText"]) == (409, "ebl_answered")


async def _wrong_requests(carrier: Node) -> None:
    path = "/v3/ebl-surrender-requests"
    unknown = request("S-0", "SREQ") | {"transportDocumentReference": "NONE-1"}
    for body, headers, expected in (
        (b"{", {}, (400, "json_syntax")),
        (request("S-0", "XREQ"), {}, (400, "pint_message_malformed")),
        (unknown, {}, (404, "ebl_bill_unknown")),
        (request("S-0", "SREQ"), {"X_Api_Key": "wrong"}, (401, "ebl_caller_unknown")),
        (request("S-0", "SREQ"), {"API_Version": "2"}, (400, "ebl_version_unknown")),
    ):
        status, error, answered = await call(carrier, "POST", path, body, **headers)
        assert (status, error["errors"][0]["errorCodeText"]) == expected
        assert faults("SUR", "ErrorResponse", error) == []
        assert answered["API-Version"] == "3.0.4"


async def _rejected_then_accepted(carrier: Node, platform: Foreign) -> None:
    path, answers = "/v3/ebl-surrender-requests", "/v3/ebl-surrender-responses"
    first = request("S-1", "SREQ")
    for _ in range(2):  # the same request again is the same request
        assert (await call(carrier, "POST", path, first))[0] == 204
    reused = request("S-1", "SREQ", comments="another")
    assert (await call(carrier, "POST", path, reused))[0] == 409
    assert (await call(carrier, "POST", path, request("S-2", "SREQ")))[0] == 409
    shown = (await call(carrier, "GET", f"/v3/transport-documents/{REFERENCE}"))[1]
    assert shown["transportDocumentStatus"] == "PENDING_SURRENDER_FOR_DELIVERY"
    await answer(carrier, "S-1", accept=False, comment="The freight is not paid.")
    await surrender_reaches(carrier, "rejected")

    async def told_once() -> bool:
        return len(platform.of(answers)) == 1

    await eventually(told_once, told=platform.heard)
    platform.answers = {answers: [500]}
    await call(carrier, "POST", path, request("S-3", "AREQ", reasonCode="SWTP"))
    await answer(carrier, "S-3", accept=True)

    async def told() -> bool:
        return len(platform.of(answers)) == 3  # once more after the 500

    await eventually(told, told=platform.heard)
    assert [one["action"] for one in platform.of(answers)] == ["SREJ", "SURR", "SURR"]


async def _ended(carrier: Node, platform: Foreign) -> None:
    await reaches(carrier, "void")
    shown = (await call(carrier, "GET", f"/v3/transport-documents/{REFERENCE}"))[1]
    assert shown["transportDocumentStatus"] == "VOIDED"
    status, chain, _ = await call(carrier, "GET", f"/endorsement-chains/{REFERENCE}")
    assert status == 200
    assert [faults("END", "EndorsementChain", one) for one in chain] == [[]]
    actions = [link["actionCode"] for link in chain[0]["endorsementChain"]]
    assert actions == [
        "ISSUE", "SURRENDER_FOR_DELIVERY", "SURRENDER_FOR_AMENDMENT", "SURRENDERED"
    ]  # fmt: skip
    path = f"/endorsement-chains/{REFERENCE}?carrierSCACCode=XXXX"
    assert (await call(carrier, "GET", path))[0] == 404
    found = (await operator(carrier).aget("/v1/documents", number=REFERENCE))["documents"]
    assert found[0]["status"]["revoked"]
    notices = "/v3/transport-document-notifications"

    async def told() -> bool:
        return len(platform.of(notices)) == 5

    await eventually(told, told=platform.heard)
    assert [one["data"]["transportDocumentStatus"] for one in platform.of(notices)] == [
        "ISSUED",
        "PENDING_SURRENDER_FOR_DELIVERY",
        "ISSUED",
        "PENDING_SURRENDER_FOR_AMENDMENT",
        "VOIDED",
    ]
    assert {one["subscriptionReference"] for one in platform.of(notices)} == {"SUB-1"}


async def test_a_call_that_is_refused_for_good_says_why_and_frees_the_reference(
    tmp_path: Path,
) -> None:
    network = made(tmp_path, **SETTINGS)
    platform = Foreign(answers={issuance.REQUESTS: [422]})
    write_down(network.homes[CARRIER], "WAVE", "platform", platform)
    async with running(network) as nodes:
        carrier = nodes[CARRIER]
        await put_up(carrier, bill(), issueTo=WAVE)

        async def waits() -> bool:  # nobody listens: the call is tried again
            waiting = await reaches(carrier, "pending")
            told = waiting["call"]
            return (told["state"], told["why"]) == ("waiting", "peer_unreachable")

        await eventually(waits)
        async with serving(platform):
            refused = await reaches(carrier, "rejected")
            assert refused["call"]["why"] == "HTTP 422"
            await put_up(carrier, bill(), issueTo=WAVE)
            await reaches(carrier, "pending")
