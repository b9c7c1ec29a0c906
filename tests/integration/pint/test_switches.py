"""The operator's test switches on a running node: told, used, forgotten, and refused elsewhere."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from node.pint import rows
from schemas.errors import ConflictError, ForbiddenError, MalformedError, NotFoundError
from tests.integration.pint import contract_world as c
from tests.integration.pint.receiving_world import bill, moved, platform
from tests.integration.pint.test_contract_pint import told
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

BASE = "/v1/test/ebl"
JSON = {"Content-Type": "application/json"}
RECIPIENT = w.party("receiver", c.OUTSIDE).to_json()


def order(**more: Any) -> dict[str, Any]:
    made = {"platform": c.OUTSIDE, "document": c.bill("TDR-OUT"), "recipient": RECIPIENT}
    return made | more


async def test_what_was_told_is_shown_and_a_reset_forgets_bills_and_no_accounts(
    tmp_path: Path,
) -> None:
    async with c.contract(tmp_path) as held:
        await told(held, held.outside)
        shown = await held.operator.aget(BASE)
        assert [peer["code"] for peer in shown["peers"]] == [c.OUTSIDE]
        assert c.OURS not in str(shown)
        request = await c.issuance_request(held, "TDR-1")
        path = "/v3/ebl-issuance-requests"
        assert (await held.call("PUT", path, request, by="OUTC"))[0] == 204
        assert (await held.call("PUT", path, request, by="OUTC"))[0] == 409
        await held.operator.apost(f"{BASE}/reset")
        assert (await held.operator.aget("/v1/ebl/issuances")) == {"issuances": []}
        assert len((await held.operator.aget("/v1/ebl/accounts"))["accounts"]) == 1
        assert (await held.call("PUT", path, request, by="OUTC"))[0] == 204


async def test_a_sender_errs_as_it_is_told_and_keeps_the_right_envelope(tmp_path: Path) -> None:
    async with c.contract(tmp_path) as held:
        await told(held, held.outside)
        for fault in ("signature", "platform"):
            await held.operator.apost(f"{BASE}/transfers", order(fault=fault))
        bad, elsewhere = held.outside.heard["/v3/envelopes"]
        assert elsewhere["envelopeTransferChain"] != bad["envelopeTransferChain"]
        begun = await held.operator.apost(f"{BASE}/transfers", order(documents=1))
        path = f"{BASE}/transfers/{begun['transfer']}"
        for step in ("corrupted", "unrelated"):
            # The receiver here takes whatever comes: the checksum in the path tells them apart.
            await held.operator.apost(f"{path}/{step}")
            with pytest.raises(ConflictError, match="test_transfer_complete"):
                await held.operator.apost(f"{path}/document")
            await held.operator.apost(f"{path}/again")
        with pytest.raises(MalformedError):
            await held.operator.apost(f"{path}/sideways")
        with pytest.raises(NotFoundError, match="test_transfer_unknown"):
            await held.operator.apost(f"{BASE}/transfers/none/again")


async def test_r7_a_rejection_without_a_reason_is_taken_from_a_peer_under_test_alone(
    tmp_path: Path,
) -> None:
    async with c.contract(tmp_path) as held:
        request = await c.issuance_request(held, "TDR-1")
        path = "/v3/ebl-issuance-requests"
        assert (await held.call("PUT", path, request, by="OUTC"))[0] == 204
        await held.operator.apost("/v1/ebl/surrenders", {"reference": "TDR-1", "code": "SREQ"})
        asked = await held.heard("/v3/ebl-surrender-requests")
        answer = {
            "surrenderRequestReference": asked["surrenderRequestReference"],
            "action": "SREJ",
        }
        where = "/v3/ebl-surrender-responses"
        assert (await held.call("POST", where, answer, by="OUTC"))[0] == 400
        body = orjson.dumps({"peers": [{"code": "OUTC", "beta": True}]})
        await held.operator.arequest("PUT", BASE, body, headers=JSON)
        assert (await held.call("POST", where, answer, by="OUTC"))[0] == 204
        (surrender,) = (await held.operator.aget("/v1/ebl/surrenders"))["surrenders"]
        assert surrender["state"] == "rejected"
        status, chains = await held.call("GET", "/endorsement-chains/TDR-1", by="OUTC")
        assert (status, len(chains)) == (200, 1)


async def test_r20_a_real_bill_never_goes_out_by_a_switch(tmp_path: Path) -> None:
    async with c.contract(tmp_path) as held:
        await told(held, held.outside)
        payload = base64.b64encode(orjson.dumps(c.bill("TDR-REAL"))).decode()
        await held.operator.apost("/v1/documents", {"type": "bill-of-lading", "payload": payload})
        real = c.bill("TDR-REAL")
        with pytest.raises(ConflictError, match="test_bill_real"):
            await held.operator.apost(f"{BASE}/transfers", order(document=real))
        issuance = {"counterpart": "OUTP", "document": real, "issueTo": {}}
        with pytest.raises(ConflictError, match="test_bill_real"):
            await held.operator.apost(f"{BASE}/issuances", issuance)
        assert held.outside.heard == {}


async def test_r7_every_switch_is_refused_on_a_network_that_is_no_test(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        node = sender.node
        document = bill()
        assert (await sender.post(w.pack(document, moved(document)))).word == "RECE"
        real = w.member_list(w.draft(test=False))
        node.members.replace(real)
        operator = c.OperatorClient(node.local_url, node.token)
        with pytest.raises(ForbiddenError, match="test_switch_refused"):
            await operator.aget(BASE)
        with pytest.raises(ForbiddenError, match="test_switch_refused"):
            await operator.arequest("PUT", BASE, orjson.dumps({"peers": []}), headers=JSON)
        issuance = {"counterpart": "x", "document": {}, "issueTo": {}}
        validation = {"platform": "OUTS", "code": c.account("x")}
        for path, body in (
            ("/reset", None),
            ("/transfers", order()),
            ("/transfers/x/again", None),
            ("/issuances", issuance),
            ("/receiver-validation", validation),
        ):
            with pytest.raises(ForbiddenError, match="test_switch_refused"):
                await operator.apost(BASE + path, body)
        assert await node.store.read(rows.bill, w.checksum_of(document)) is not None
