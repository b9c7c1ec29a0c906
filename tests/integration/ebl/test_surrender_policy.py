"""R26 where a bill falls by itself: the answer stands, its credential waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents.orders import status_subject
from node.review import people
from node.store import events
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
from tests.support.approvers import approver
from tests.support.desk import put_policy

if TYPE_CHECKING:
    from pathlib import Path

BILL = "bill-of-lading"


async def test_r26_an_amended_bill_is_revoked_only_with_the_approval_that_the_policy_asks_for(
    tmp_path: Path,
) -> None:
    lin = approver("Lin Demo")
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill("blank"))
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, title, "LIVE")
        put_policy(carrier.home, {BILL: {"acts": {"revoke": 1}}})
        await carrier.store.write(people.add, carrier, lin.name, lin.key)
        body = {"reference": REFERENCE, "code": "AREQ", "reason": "COD", "by": did_of("exp-a")}
        await operator(platform).apost("/v1/ebl/surrenders", body)
        asked = (await surrender_reaches(carrier, "asked"))["surrenderRequestReference"]
        await operator(carrier).apost(f"/v1/ebl/surrenders/{asked}/answer", {"accept": True})
        await surrender_reaches(platform, "accepted")
        await title_is(platform, title, "ENDED")

        (alarm,) = await carrier.store.read(events.newest_of, "alarm")
        assert (alarm.detail["code"], alarm.detail["area"]) == ("approval_missing", "ebl")
        (held,) = (await operator(carrier).aget("/v1/documents", number=REFERENCE))["documents"]
        assert not held["status"]["revoked"]
        desk = await operator(carrier).aget("/v1/review/policy")
        reason = "replaced by an amended bill"
        subject = status_subject("revoke", bytes.fromhex(held["digest"]), BILL, REFERENCE, reason)
        network = bytes.fromhex(desk["network"])
        text = lin.sign(subject, network=network, policy=desk["policy"])
        change = {"reason": reason, "approvals": [text]}
        done = await operator(carrier).apost(f"/v1/documents/{held['digest']}/revoke", change)
        assert done["status"]["revoked"]
