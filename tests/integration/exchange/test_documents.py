"""A document from one operator to another: API and command line, bytes unaltered."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from node import fsck
from node.documents.tables import recipients
from node.operator import OperatorClient
from protocols.exchange import receipt
from schemas.errors import MalformedError, NotFoundError, RefusedError
from schemas.findings import Outcome
from schemas.registry import example
from tests.support.exchange_world import until
from tests.support.network import Member, did_of, make_network, running_network
from tests.support.process import pratique

UCR = "6CN91370784MA0DEMQ00FA261118"
QUIET = {
    "telemetry": {"log_level": "error"},
    "exchange": {"retry_base": 0.05, "poll_interval": 0.3},
}
ROLES = ("issuer", "carrier", "port")


@pytest.fixture
async def pair(tmp_path):
    made = make_network(
        tmp_path,
        {
            "a": Member(roles=ROLES, settings=QUIET),
            "b": Member(roles=("customs",), country="NL", settings=QUIET),
        },
    )
    async with running_network(made) as nodes:
        yield made, nodes["a"], nodes["b"]


def client(node):
    return OperatorClient(node.local_url, node.token)


async def issued(node, number="PL-1"):
    payload = json.dumps(json.loads(example("packing-list")) | {"number": number}).encode()
    order = {"type": "packing-list", "payload": base64.b64encode(payload).decode()}
    made = await client(node).apost("/v1/documents", order | {"consignment": UCR})
    return made["digest"], payload


async def run(*arguments):
    return await asyncio.to_thread(pratique, *arguments)


async def test_a_document_is_sent_received_and_saved_byte_for_byte_by_command(pair, tmp_path):
    made, a, b = pair
    digest, payload = await issued(a)
    sent = await run("send", digest, "--to", did_of("b"), "--home", made.homes["a"].path, "--json")
    assert sent.returncode == 0, sent.stderr
    (message,) = json.loads(sent.stdout)["messages"]
    assert message["to"] == did_of("b")

    async def there():
        rows = (await client(b).aget("/v1/inbox", document=digest))["items"]
        return rows and rows[0]["state"] == "delivered"

    await until(there)
    file = tmp_path / "saved"
    saved = await run("inbox", "--save", digest[:12], file, "--home", made.homes["b"].path)
    assert saved.returncode == 0, saved.stderr
    assert file.read_bytes() == payload

    async def answered():
        row = (await client(a).aget("/v1/outbox", document=digest))["items"][0]
        return row["state"] == "receipted" and row["validated"]

    await until(answered)
    shown = await run("inbox", "--consignment", UCR, "--home", made.homes["b"].path)
    assert "packing-list" in shown.stdout
    shown = await run("outbox", "--home", made.homes["a"].path)
    assert "receipted" in shown.stdout
    peers = await run("outbox", "--peers", "--home", made.homes["a"].path, "--json")
    assert [peer["queued"] for peer in json.loads(peers.stdout)["items"]] == [0]
    peers = await run("outbox", "--peers", "--home", made.homes["a"].path)
    assert did_of("b") in peers.stdout
    told = await run("send", digest, "--to", did_of("b"), "--home", made.homes["a"].path)
    assert message["id"] in told.stdout


async def test_sending_twice_promises_once_unless_asked_again(pair):
    _, a, _ = pair
    digest, _ = await issued(a)
    path, order = f"/v1/documents/{digest}/send", {"to": [did_of("b"), did_of("b")]}
    first = await client(a).apost(path, order)
    assert len(first["messages"]) == 1
    assert await client(a).apost(path, order) == first
    again = await client(a).apost(path, order | {"again": True})
    assert again != first
    told = await client(a).aget(f"/v1/documents/{digest}")
    assert told["recipients"] == [did_of("b")]


async def test_a_wrong_order_to_send_promises_nothing(pair):
    _, a, _ = pair
    digest, _ = await issued(a)
    path = f"/v1/documents/{digest}/send"
    for order in ({}, {"to": []}, {"to": "x"}, {"to": [1]}, {"to": ["x"], "again": 1}):
        with pytest.raises(MalformedError, match="send_malformed"):
            await client(a).apost(path, order)
    with pytest.raises(RefusedError, match="peer_unlisted"):
        await client(a).apost(path, {"to": [did_of("b"), did_of("stranger")]})
    with pytest.raises(NotFoundError):
        await client(a).apost(f"/v1/documents/{'0' * 64}/send", {"to": [did_of("b")]})
    with pytest.raises(MalformedError):
        await client(a).apost("/v1/documents/xyz/send", {"to": [did_of("b")]})
    assert (await client(a).aget("/v1/outbox"))["items"] == []


async def test_pages_filters_and_unknown_things(pair):
    made, a, b = pair
    for number in range(3):
        digest, _ = await issued(a, f"PL-{number}")
        await client(a).apost(f"/v1/documents/{digest}/send", {"to": [did_of("b")]})
    first = await client(a).aget("/v1/outbox", limit=2)
    rest = await client(a).aget("/v1/outbox", after=first["next"], limit=2)
    assert [row["seq"] for row in first["items"] + rest["items"]] == [1, 2, 3]
    assert (await client(a).aget("/v1/outbox", consignment="none"))["items"] == []
    with pytest.raises(NotFoundError, match="document_unreceived"):
        await client(b).aget(f"/v1/inbox/{'0' * 64}/payload")
    with pytest.raises(NotFoundError, match="peer_unknown"):
        await client(b).apost("/v1/peers/did:web:nobody.example/pause")
    paused = await client(b).apost(f"/v1/peers/{did_of('a')}/pause")
    assert paused == {"paused": True}
    await client(b).apost(f"/v1/peers/{did_of('a')}/resume")
    assert "messages" in await client(b).apost(f"/v1/peers/{did_of('a')}/pull")
    with pytest.raises(MalformedError, match="query_bad"):
        await client(a).aget("/v1/outbox", document="abc")
    gone = await run("inbox", "--save", "0" * 64, "x", "--home", made.homes["b"].path)
    assert gone.returncode == 2
    assert "document_unreceived" in gone.stderr


async def test_r11_fsck_misses_a_recipient_and_sending_again_mends_it(pair):
    _, a, _ = pair
    digest, _ = await issued(a)
    path, order = f"/v1/documents/{digest}/send", {"to": [did_of("b")]}
    await client(a).apost(path, order)

    async def examined():
        return await fsck.run_area(a.store, a.home, a.keys, "FSCK-04")

    assert (await examined()).outcome is Outcome.PASSED
    await a.store.write(lambda conn: conn.execute(recipients.delete()))
    found = await examined()
    assert found.outcome is Outcome.FAILED
    assert found.reason == (
        f"document {digest}: {did_of('b')} was sent it and is not among its recipients"
    )
    await client(a).apost(path, order | {"again": True})
    assert (await examined()).outcome is Outcome.PASSED


async def test_both_sides_can_archive_the_same_proof(pair):
    made, a, b = pair
    digest, _ = await issued(a)
    await client(a).apost(f"/v1/documents/{digest}/send", {"to": [did_of("b")]})

    async def receipted():
        return (await client(a).aget("/v1/outbox", state="receipted"))["items"]

    await until(receipted)
    from node.exchange import views

    sent = await a.store.read(views.proofs_sent, bytes.fromhex(digest))
    got = await b.store.read(views.proofs_received, bytes.fromhex(digest))
    assert sent == got
    ((_, proof),) = sent
    signed = receipt.read(proof.receipt)
    receipt.verify_item(signed, proof.item, proof.index, proof.path)
    receipt.verify(
        signed,
        network=made.members.network,
        receiver=b.did,
        sender=a.did,
        key=made.members.key,
    )
