"""ISS, SUR, END and EBL 3.0.4 under contract: answers we give, requests we send, on both sides."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import orjson

from tests.integration.pint import contract_world as c
from tests.support import contract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.pint.contract_world import Contract

ISSUE, ISSUED = "/v3/ebl-issuance-requests", "/v3/ebl-issuance-responses"
GIVE_BACK, ANSWER = "/v3/ebl-surrender-requests", "/v3/ebl-surrender-responses"
NOTICES = "/v3/transport-document-notifications"
CHAINS, DOCUMENTS = "/endorsement-chains/", "/v3/transport-documents/"
#: Every status that these operations have here, beside 503 and 500.
ANSWERED = {
    *((f"PUT {ISSUE}", status) for status in (204, 400, 401, 403, 409, 413, 415, 422)),
    *((f"POST {ISSUED}", status) for status in (204, 400, 401, 404, 409, 415)),
    *((f"POST {GIVE_BACK}", status) for status in (204, 400, 401, 403, 404, 409, 415)),
    *((f"POST {ANSWER}", status) for status in (204, 400, 401, 404, 409, 415)),
    *((f"POST {NOTICES}", status) for status in (204, 400, 401, 415)),
    *((f"GET {CHAINS}{{transportDocumentReference}}", status) for status in (200, 401, 404)),
    *((f"GET {DOCUMENTS}{{transportDocumentReference}}", status) for status in (200, 401, 404)),
}


async def test_every_call_of_both_sides_is_as_published(tmp_path: Path) -> None:
    async with c.contract(tmp_path) as held:
        await _as_platform(held)
        await _as_carrier(held)
        await _wrongly(held)
        assert held.ledger.seen == ANSWERED
        sent = {str(contract.operation(*_split(path))) for path in held.outside.heard}
        assert sent == {f"PUT {ISSUE}", *(f"POST {one}" for one in (ISSUED, GIVE_BACK, ANSWER))} | {
            f"POST {NOTICES}"
        }


def _split(path: str) -> tuple[str, str]:
    return ("PUT" if path == ISSUE else "POST"), path


async def _as_platform(held: Contract) -> None:
    """A carrier issues on our platform; the bill is given back twice, rejected and accepted."""
    body = await c.issuance_request(held, "TDR-1")
    assert contract.request_faults("PUT", ISSUE, orjson.dumps(body)) == []
    assert (await held.call("PUT", ISSUE, body, by="OUTC"))[0] == 204
    assert (await held.heard(ISSUED))["issuanceResponseCode"] == "ISSU"
    assert (await held.call("PUT", ISSUE, body, by="OUTC"))[0] == 409
    other = await c.issuance_request(held, "TDR-2") | {"document": c.bill("TDR-3")}
    assert (await held.call("PUT", ISSUE, other, by="OUTC"))[0] == 422
    for count, action in enumerate(("SREJ", "SURR"), 1):
        wish = {"reference": "TDR-1", "code": "AREQ", "reason": "SWTP"}
        await held.operator.apost("/v1/ebl/surrenders", wish)
        asked = await held.heard(GIVE_BACK, count)
        answer = {
            "surrenderRequestReference": asked["surrenderRequestReference"],
            "action": action,
            **({"comments": "not yet"} if action == "SREJ" else {}),
        }
        assert (await held.call("POST", ANSWER, answer, by="OUTC"))[0] == 204
    contradiction = answer | {"action": "SREJ", "comments": "no"}
    assert (await held.call("POST", ANSWER, contradiction, by="OUTC"))[0] == 409
    unknown = answer | {"surrenderRequestReference": "S-none"}
    assert (await held.call("POST", ANSWER, unknown, by="OUTC"))[0] == 404
    status, chains = await held.call("GET", f"{CHAINS}TDR-1", by="OUTC")
    actions = [link["actionCode"] for link in chains[0]["endorsementChain"]]
    assert (status, actions[0], actions[-1]) == (200, "ISSUE", "SURRENDERED")
    assert (await held.call("GET", f"{CHAINS}TDR-NONE", by="OUTC"))[0] == 404


async def _as_carrier(held: Contract) -> None:
    """We issue on a platform outside, which asks for delivery; it is told what becomes of it."""
    issue_to = {
        "partyName": "Shipper",
        "sendToPlatform": "OUTP",
        "identifyingCodes": [c.account("shipper")],
    }
    payload = base64.b64encode(orjson.dumps(c.bill("TDR-9"))).decode()
    document = await held.operator.apost(
        "/v1/documents", {"type": "bill-of-lading", "payload": payload}
    )
    order = {
        "document": document["digest"],
        "issueTo": issue_to,
        "visualisation": {"name": "bill.pdf", "content": "JVBERi0xLjc="},
    }
    await held.operator.apost("/v1/ebl/issuances", order)
    assert (await held.heard(ISSUE))["issueTo"] == issue_to
    answer = {"transportDocumentReference": "TDR-9", "issuanceResponseCode": "ISSU"}
    assert (await held.call("POST", ISSUED, answer, by="OUTP"))[0] == 204
    refused = answer | {"issuanceResponseCode": "REFU", "reason": "no"}
    assert (await held.call("POST", ISSUED, refused, by="OUTP"))[0] == 409
    unknown = answer | {"transportDocumentReference": "TDR-NONE"}
    assert (await held.call("POST", ISSUED, unknown, by="OUTP"))[0] == 404
    status, found = await held.call("GET", f"{DOCUMENTS}TDR-9", by="OUTP")
    assert (status, found["transportDocumentReference"]) == (200, "TDR-9")
    assert (await held.call("GET", f"{DOCUMENTS}TDR-NONE", by="OUTP"))[0] == 404
    await _given_back(held)


async def _given_back(held: Contract) -> None:
    request = {
        "surrenderRequestReference": "S-1",
        "transportDocumentReference": "TDR-9",
        "surrenderRequestCode": "SREQ",
    }
    assert contract.request_faults("POST", GIVE_BACK, orjson.dumps(request)) == []
    assert (await held.call("POST", GIVE_BACK, request, by="OUTP"))[0] == 204
    changed = request | {"comments": "once more"}
    assert (await held.call("POST", GIVE_BACK, changed, by="OUTP"))[0] == 409
    unknown = request | {
        "surrenderRequestReference": "S-2",
        "transportDocumentReference": "TDR-NONE",
    }
    assert (await held.call("POST", GIVE_BACK, unknown, by="OUTP"))[0] == 404
    await held.operator.apost("/v1/ebl/surrenders/S-1/answer", {"accept": True})
    assert (await held.heard(ANSWER))["action"] == "SURR"
    notice = await held.heard(NOTICES)
    assert (await held.call("POST", NOTICES, notice, by="OUTC"))[0] == 204


async def _wrongly(held: Contract) -> None:
    """What nobody may do, and what is no JSON of the standard, at every operation."""
    body = await c.issuance_request(held, "TDR-5")
    assert (await held.call("PUT", ISSUE, body, by="OUTP"))[0] == 403
    asked = {"surrenderRequestReference": "S-3", "transportDocumentReference": "TDR-1",
             "surrenderRequestCode": "SREQ"}  # fmt: skip
    assert (await held.call("POST", GIVE_BACK, asked, by="OUTC"))[0] == 403
    assert (await held.call("PUT", ISSUE, b" " * (17 * 1024 * 1024), by="OUTC"))[0] == 413
    for path in (ISSUE, ISSUED, GIVE_BACK, ANSWER, NOTICES):
        method, text = "PUT" if path == ISSUE else "POST", {"Content-Type": "text/plain"}
        by = "OUTP" if path in {ISSUED, GIVE_BACK} else "OUTC"
        assert (await held.call(method, path, b'{"a":1,"a":2}', by=by))[0] == 400
        assert (await held.call(method, path, {}, by="nobody"))[0] == 401
        assert (await held.call(method, path, b"{}", by=by, **text))[0] == 415
    for path in (CHAINS, DOCUMENTS):
        assert (await held.call("GET", f"{path}TDR-1", by="nobody"))[0] == 401
