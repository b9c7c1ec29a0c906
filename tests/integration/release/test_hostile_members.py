"""Listed members that lie to a port: what they send must neither release nor keep a truth out."""

from __future__ import annotations

import importlib
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from node.documents import documents
from node.documents.fetching import StatusAnswer
from node.documents.orders import IssueOrder
from node.release import deciding, rows
from node.verification.rows import Undecided
from protocols import base64url
from protocols.credentials import credential
from protocols.exchange.manifest import DOCUMENT
from protocols.times import to_ms, to_text
from schemas.errors import ConflictError, UnavailableError
from testnet.story.documents import build, load_story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

road = importlib.import_module("tests.integration.release.road")


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[dict[str, Node]]:
    async with road.running(road.made(tmp_path, witnesses=())) as running:
        yield running


async def stored(node: Node, digest: str) -> Any:
    return await node.store.read(documents.get, bytes.fromhex(digest))


def forged(file: bytes) -> bytes:
    """The same payload under a key id of the issuer that no list names, signed by nobody."""
    head, _, rest = file.partition(b".")
    header = json.loads(base64url.decode(head.decode()))
    header["kid"] = header["kid"].partition("#")[0] + "#credential-99"
    body = rest.rpartition(b".")[0].decode()
    signature = base64url.encode(secrets.token_bytes(64))
    return f"{base64url.encode(json.dumps(header).encode())}.{body}.{signature}".encode()


async def test_a_forged_copy_sent_first_does_not_keep_the_genuine_document_out(
    nodes: dict[str, Node],
) -> None:
    digest = await road.issue(nodes, "packing-list", ())
    issuer, port, liar = nodes["cn-cert"], nodes["nl-port"], nodes["cn-port"]
    if await stored(issuer, digest) is None:
        issuer = nodes["nhl"]
    genuine = (await stored(issuer, digest)).file
    copy = forged(genuine)

    def send(conn: Any) -> None:
        kind = f"{DOCUMENT}packing-list"
        liar.exchange.enqueue(conn, port.did, kind, copy, credential.MEDIA_TYPE, road.UCR)

    await liar.store.write(send)
    await road.eventually(lambda: road.verdict(port, digest))
    assert await road.verdict(port, digest) == "INDETERMINATE"
    assert (await stored(port, digest)).file == copy

    await road.send(issuer, digest, "nl-port")

    async def passed() -> bool:
        return bool(await road.verdict(port, digest) == "PASSED")

    await road.eventually(passed)
    assert (await stored(port, digest)).file == genuine
    assert (await stored(port, digest)).sender == issuer.did

    # The forged copy was being looked at again just then: what comes of it is about that file.
    late = await port.verification.judge(copy)
    waiting = Undecided(bytes.fromhex(digest), liar.did, "m", bytes(32), 0)
    await port.store.write(port.verification._decide, waiting, late)
    assert await road.verdict(port, digest) == "PASSED"


async def test_a_forged_copy_that_failed_in_the_end_gives_way_to_the_genuine_document(
    nodes: dict[str, Node],
) -> None:
    digest = await road.issue(nodes, "packing-list", ("nl-port",))
    port = nodes["nl-port"]
    held = await stored(port, digest)
    judged = await port.verification.judge(held.file)
    failed = documents.documents.update().values(verdict="FAILED", file=b"forged")

    def again(conn: Any) -> bool:
        conn.execute(failed)
        return documents.put_received(conn, judged.verified, sender=held.sender, now_ms=1)

    assert await port.store.write(again)
    assert (await stored(port, digest)).file == held.file
    assert await road.verdict(port, digest) == "PASSED"


async def test_a_flood_of_documents_hides_no_later_one_from_the_decision(
    nodes: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_PAGE", 1)
    port = nodes["nl-port"]
    for key in ("packing-list", "commercial-invoice", "bill-of-lading"):
        await road.issue(nodes, key, ("nl-port",))
    made = await road.decision(port)
    states = {item["id"]: item["state"] for item in made["conditions"]}
    assert states["REL-010"] == "met"
    assert await port.store.read(deciding.consignment_of, road.BOX) == road.UCR


async def customs_says(nodes: dict[str, Node], verdict: str, number: str) -> str:
    """Issue a customs decision at nl-customs and send it to the port; its digest."""
    story = build(load_story(), "A", "customs-decision", datetime.now(UTC))
    action = {"RELEASED": "1", "HOLD": "4"}[verdict]
    body = json.loads(story.payload) | {
        "number": number,
        "verdict": verdict,
        "action": action,
        "decidedAt": to_text(datetime.now(UTC)),
        "reasons": [{"text": "as decided at the desk"}],
    }
    customs = nodes["nl-customs"]
    order = IssueOrder(json.dumps(body).encode(), story.document_type, story.consignment_ucr)
    digest: str = (await customs.documents.issue(order)).document.digest.hex()
    await road.send(customs, digest, "nl-port")
    await road.eventually(lambda: road.verdict(nodes["nl-port"], digest))
    return digest


async def test_a_hold_counts_though_its_status_cannot_be_had(
    nodes: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, customs = nodes["nl-port"], nodes["nl-customs"]
    await road.issue(nodes, "bill-of-lading", ("nl-port",))
    await customs_says(nodes, "RELEASED", "CD-1")
    made = await road.decision(port)
    told = next(each for each in made["conditions"] if each["id"] == "REL-050")
    assert told["code"] == "customs_before_plant_health"

    ask = port.documents.status_for

    async def unreachable(issuer: str, url: str, *, refresh: bool = False) -> StatusAnswer:
        if issuer == customs.did:
            fault = UnavailableError("status_unreachable", "cut off")
            return StatusAnswer(None, None, fault)
        return await ask(issuer, url, refresh=refresh)

    monkeypatch.setattr(port.documents, "status_for", unreachable)
    hold = await customs_says(nodes, "HOLD", "CD-2")
    assert await road.verdict(port, hold) == "INDETERMINATE"
    monkeypatch.setattr(deciding, "known_statuses", lambda *_: ())
    made = await road.decision(port)
    told = next(each for each in made["conditions"] if each["id"] == "REL-050")
    assert (told["state"], told["code"]) == ("unmet", "customs_hold")


async def test_r24_an_order_lets_out_the_container_it_names_and_no_other(
    nodes: dict[str, Node],
) -> None:
    port, now = nodes["nl-port"], to_ms(datetime.now(UTC))
    order = {
        "digest": b"\x07" * 32,
        "container": road.BOX,
        "consignment": road.UCR,
        "number": "RO-1",
        "gate_group": "NLRTM-1",
        "collector": "Polder Roots B.V.",
        "decision": "{}",
        "not_before": now - 1000,
        "not_after": now + 3_600_000,
        "signed_at": now - 1000,
    }
    await port.store.write(rows.put, order)
    client, body = road.operator(port), {"order": order["digest"].hex()}
    with pytest.raises(ConflictError) as caught:
        await client.apost("/v1/releases/NHLU2631080/gate-out", body)
    assert caught.value.code == "release_order_other_container"
    used = await client.apost(f"/v1/releases/{road.BOX}/gate-out", body)
    assert used["container"] == road.BOX
