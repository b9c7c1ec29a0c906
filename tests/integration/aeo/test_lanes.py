"""Suspending an operator moves the next decision abroad to the normal lane, and holds nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.operator import OperatorClient
from protocols.member_list import Agreement, IssuerEntry
from schemas.errors import ConflictError, ForbiddenError, MalformedError, NotFoundError
from testnet.story.documents import build, load_story
from tests.support.clocks import stopwatch
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft

CODE, UCR = "AEOCN3101DEMR01", "6CN91310115MA0DEMR00FB261119"
FAST = {"exchange": {"retry_base": 0.05, "poll_interval": 0.2}}


def operator(node: Node) -> OperatorClient:
    return OperatorClient(node.local_url, node.token)


def change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
    start = datetime.now(UTC) - timedelta(days=500)
    types = ("aeo-status",)
    return replace(
        draft,
        issuers=(IssuerEntry(did_of("cn-cert"), "aeo-status", "CN", start),),
        agreements=(
            Agreement("sg-cn", "SG", "CN", types, start, aeo_classes=("AEOF",)),
            Agreement("nl-cn", "NL", "CN", types, start, aeo_classes=("AEOS",)),
        ),
    )


async def issue(node: Node, to: tuple[str, ...], body: bytes) -> str:
    order = {"payload": base64.b64encode(body).decode(), "type": "aeo-status", "consignment": UCR}
    digest: str = (await operator(node).apost("/v1/documents", order))["digest"]
    if to:
        dids = [did_of(name) for name in to]
        await operator(node).apost(f"/v1/documents/{digest}/send", {"to": dids})
    return digest


async def lane(node: Node, **query: Any) -> dict[str, Any]:
    body: dict[str, Any] = await operator(node).aget(f"/v1/aeo-lanes/{UCR}", **query)
    return body


async def lane_is(node: Node, wanted: str, reason: str = "", seconds: float = 60.0) -> float:
    """Seconds until the next decision there uses that lane, for that reason."""
    end = time.monotonic() + seconds
    body: dict[str, Any] = {}
    async with stopwatch() as passed:
        while time.monotonic() < end:
            body = await lane(node)
            reasons = [each["code"] for one in body["operators"] for each in one.get("reasons", [])]
            if body["lane"] == wanted and (not reason or reason in reasons):
                assert body["holds"] is False
                return passed()
            await asyncio.sleep(0.05)
    raise AssertionError(body)


async def status(node: Node, **order: Any) -> dict[str, Any]:
    body: dict[str, Any] = await operator(node).apost(f"/v1/aeo/{CODE}/status", order)
    return body


async def test_suspension_consent_and_gap_take_the_benefit_and_at_repeats_yesterday(
    tmp_path: Path,
) -> None:
    member = Member(settings=FAST)
    network = make_network(
        tmp_path,
        {
            "cn-cert": replace(member, roles=("issuer",)),
            "sg-customs": replace(member, roles=("customs",), country="SG"),
            "nl-customs": replace(member, roles=("customs",), country="NL"),
        },
        change=change,
    )
    async with running_network(network) as nodes:
        cert, customs = nodes["cn-cert"], nodes["sg-customs"]
        first = build(load_story(), "B", "aeo-status", datetime.now(UTC)).payload
        await issue(cert, ("sg-customs", "nl-customs"), first)
        await lane_is(customs, "AEO")
        # A class outside the agreement gives no benefit, though the chain is the same.
        await lane_is(nodes["nl-customs"], "NORMAL", "AEO_CLASS_NOT_COVERED")
        active = datetime.now(UTC)
        decided = build(load_story(), "B", "customs-decision", active)
        order = {"payload": base64.b64encode(decided.payload).decode(), "type": "customs-decision"}
        await operator(customs).apost("/v1/documents", order)

        yesterday = f"{active - timedelta(days=1):%Y-%m-%d}"
        await status(cert, status="SUSPENDED", reason="seals broken", effective=yesterday)
        assert await lane_is(customs, "NORMAL", "AEO_SUSPENDED") < 2.0
        trace = await operator(customs).aget(f"/v1/trace/consignments/{UCR}")
        assert [one["kind"] for one in trace["events"]].count("post-clearance") == 1
        await _yesterday(customs, active)
        await status(cert, status="ACTIVE")
        await lane_is(customs, "AEO")
        await status(cert, consent=False)
        await lane_is(customs, "NORMAL", "AEO_CONSENT_WITHDRAWN")
        await status(cert, consent=True)
        await lane_is(customs, "AEO")
        await _gap(nodes)
        await _yesterday(customs, active)
        await _refusals(nodes)


async def _yesterday(node: Node, active: datetime) -> None:
    """The answer of then comes out again, marked as of the past and as overtaken."""
    then = await lane(node, at=active.isoformat())
    assert (then["lane"], then["historical"]) == ("AEO", True)
    assert "flagged" in then["operators"][0]
    shown = await operator(node).aget(f"/v1/aeo/{CODE}", at=active.isoformat(), role="exporter")
    assert (shown["benefit"], len(shown["events"])) == (True, 1)


async def _gap(nodes: dict[str, Node]) -> None:
    """An event that never came: no benefit until it does, and then the benefit is back."""
    cert, customs = nodes["cn-cert"], nodes["sg-customs"]
    held = (await operator(cert).aget(f"/v1/aeo/{CODE}", by="CN"))["events"]
    newest = await operator(cert).arequest("GET", f"/v1/documents/{held[-1]['document']}")
    assert newest.status == 200
    missing = await _unsent(cert, 6)
    await issue(cert, ("sg-customs",), await _payload(cert, 7, missing))
    await lane_is(customs, "NORMAL", "GAP_SEQ_6")
    dids = [did_of("sg-customs")]
    await operator(cert).apost(f"/v1/documents/{missing}/send", {"to": dids})
    await lane_is(customs, "AEO")


async def _unsent(cert: Node, seq: int) -> str:
    held = (await operator(cert).aget(f"/v1/aeo/{CODE}", by="CN"))["events"]
    return await issue(cert, (), await _payload(cert, seq, held[-1]["document"]))


async def _payload(cert: Node, seq: int, previous: str) -> bytes:
    from node.documents import documents

    stored = await cert.store.read(documents.require, bytes.fromhex(previous))
    body = json.loads(stored.payload)
    body |= {
        "number": f"{CODE}-{seq:04}",
        "seq": seq,
        "prevHash": stored.payload_digest.hex(),
        "issueDate": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    return json.dumps(body).encode()


async def _refusals(nodes: dict[str, Node]) -> None:
    cert, customs = nodes["cn-cert"], nodes["sg-customs"]
    with pytest.raises(NotFoundError) as unknown:
        await operator(customs).aget("/v1/aeo/AEOCN0000000000")
    assert unknown.value.code == "aeo_code_unknown"
    with pytest.raises(ForbiddenError) as foreign:
        await status(customs, status="ACTIVE")
    assert foreign.value.code == "aeo_not_ours"
    with pytest.raises(MalformedError):
        await status(cert, status="BETTER")
    with pytest.raises(MalformedError):
        await operator(customs).aget(f"/v1/aeo/{CODE}", at="2999-01-01T00:00:00Z")
    await status(cert, status="REVOKED", reason="ended")
    await lane_is(customs, "NORMAL", "AEO_REVOKED")
    with pytest.raises(ConflictError) as ended:
        await status(cert, status="ACTIVE")
    assert ended.value.code == "aeo_transition_illegal"
    listed = await operator(customs).aget("/v1/aeo")
    assert [one["code"] for one in listed["items"]] == [CODE]
    assert (await operator(customs).aget("/v1/aeo-programmes"))["programmes"]
