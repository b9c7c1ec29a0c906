"""Group 22 between running nodes: one number, two documents; and what is no conflict at all."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from node.documents import documents
from node.exchange.tables import inbox
from protocols import base64url
from protocols.credentials import credential, forms
from protocols.exchange.control import MEDIA_TYPE, Conflict
from protocols.exchange.manifest import CONFLICT, DOCUMENT
from tests.support.network import did_of, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

pair = importlib.import_module("tests.integration.identity.pair")
road = importlib.import_module("tests.integration.release.road")
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Issuer and verifier."""
    async with running_network(pair.made(tmp_path)) as running:
        yield running[pair.ISSUER], running[pair.VERIFIER]


async def issued(issuer: Node, payload: bytes) -> documents.StoredDocument:
    answer = await road.operator(issuer).apost("/v1/documents", pair.order(payload))
    found = await issuer.store.read(documents.get, bytes.fromhex(answer["digest"]))
    assert found is not None
    return found


async def send(issuer: Node, verifier: Node, file: bytes, media_type: str) -> None:
    """The file as a message, whatever the issuer's own store thinks of it."""
    to, kind = verifier.did, DOCUMENT + pair.COO
    await issuer.store.write(issuer.exchange.enqueue, to, kind, file, media_type, road.UCR)


async def alarms(node: Node) -> list[dict[str, Any]]:
    found = (await road.operator(node).aget("/v1/events", limit=1000))["events"]
    return [event for event in found if event["kind"] == "alarm"]


async def delivered(node: Node, messages: int) -> None:
    """Wait until the node has dealt with that many messages."""

    async def settled() -> bool:
        rows = await node.store.read(lambda conn: conn.execute(select(inbox.c.settled_at)).all())
        return len([row for row in rows if row.settled_at]) >= messages

    await road.eventually(settled)


def second(issuer: Node, first: documents.StoredDocument) -> credential.DocumentFile:
    """Another document under the same number, signed with the issuer's own key."""
    claims = forms.open_file(first.file).claims
    payload = pair.certificate(remarks="another content")
    info = credential.PayloadInfo.of(payload, first.payload_type)
    changed = replace(claims, payload=info, id="urn:uuid:00000000-0000-4000-8000-000000000001")
    return credential.issue(changed, payload, issuer.keys.signer("credential"))


def with_high_s(file: bytes) -> bytes:
    """The other of ECDSA's two valid signatures over the same bytes."""
    head, body, signature = file.decode().split(".")
    raw = base64url.decode(signature)
    s = ORDER_OF_P256 - int.from_bytes(raw[32:], "big")
    return f"{head}.{body}.{base64url.encode(raw[:32] + s.to_bytes(32, 'big'))}".encode()


async def test_group_22_two_documents_of_one_number_raise_an_alarm_at_both_parties(
    nodes: tuple[Node, Node],
) -> None:
    issuer, verifier = nodes
    first = await issued(issuer, pair.certificate())
    await road.send(issuer, first.digest.hex(), pair.VERIFIER)
    await road.eventually(lambda: road.verdict(verifier, first.digest.hex()))
    assert await alarms(verifier) == []
    twin = second(issuer, first)
    await send(issuer, verifier, twin.to_bytes(), first.media_type)
    await road.eventually(lambda: road.verdict(verifier, twin.digest.hex()))
    (alarm,) = await alarms(verifier)
    assert alarm["document"] == twin.digest.hex()
    assert alarm["detail"] == {"code": "conflicting_issuance", "other": first.digest.hex()}

    async def told() -> bool:
        return bool(await alarms(issuer))

    await road.eventually(told)
    (alarm,) = await alarms(issuer)
    assert alarm["document"] == first.digest.hex()
    assert alarm["actor"] == verifier.did
    told_by_status = (await road.operator(issuer).aget("/v1/status"))["alarms"]
    assert told_by_status == [alarm]
    home = str(issuer.home.path)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "node.cli.main", "status", "--home", home],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    assert "conflicting_issuance" in done.stdout
    # The issuer learns that its key signed what it did not issue.
    assert alarm["detail"]["notIssuedHere"] == [twin.digest.hex()]


async def test_group_22_the_same_statement_twice_is_one_document_and_no_conflict(
    nodes: tuple[Node, Node],
) -> None:
    issuer, verifier = nodes
    first = await issued(issuer, pair.certificate())
    again = await issued(issuer, pair.certificate())
    assert again.digest == first.digest
    high = with_high_s(first.file)
    assert high != first.file
    for file in (first.file, first.file, high):
        await send(issuer, verifier, file, first.media_type)
    await delivered(verifier, 3)
    held = (await road.operator(verifier).aget("/v1/documents"))["documents"]
    assert [one["digest"] for one in held] == [first.digest.hex()]
    assert await alarms(verifier) == []
    found = (await road.operator(verifier).aget("/v1/events", limit=1000))["events"]
    assert [one["kind"] for one in found].count("validated") == 1


async def test_group_22_a_replacement_is_no_conflict(nodes: tuple[Node, Node]) -> None:
    issuer, verifier = nodes
    first = await issued(issuer, pair.certificate())
    await road.send(issuer, first.digest.hex(), pair.VERIFIER)
    await road.eventually(lambda: road.verdict(verifier, first.digest.hex()))
    path = f"/v1/documents/{first.digest.hex()}/revoke"
    await road.operator(issuer).apost(path, {"reason": "a mistake"})
    next_one = await issued(issuer, pair.certificate(remarks="corrected"))
    await road.send(issuer, next_one.digest.hex(), pair.VERIFIER)
    await road.eventually(lambda: road.verdict(verifier, next_one.digest.hex()))
    assert await alarms(verifier) == []


async def test_group_22_a_conflict_about_documents_of_others_alarms_nobody(
    nodes: tuple[Node, Node],
) -> None:
    issuer, verifier = nodes
    notice = Conflict(pair.COO, "N-1", (b"1" * 32, b"2" * 32))
    body = notice.to_bytes()
    await verifier.store.write(
        verifier.exchange.enqueue, issuer.did, CONFLICT, body, MEDIA_TYPE, None
    )

    async def refused() -> bool:
        found = (await road.operator(issuer).aget("/v1/events", limit=1000))["events"]
        return any(one["detail"].get("code") == "conflict_not_ours" for one in found)

    await road.eventually(refused)
    assert await alarms(issuer) == []
    assert issuer.did == did_of(pair.ISSUER)
