"""Calls that are no batches, too large, unsigned or replayed: refused before anything is read."""

from __future__ import annotations

import pytest

from node.exchange.tables import inbox
from protocols.exchange import frames
from schemas import strict_json
from tests.integration.exchange.hostile import has_applied
from tests.support.exchange_world import until


async def post(a, b, body, content_type=frames.MEDIA_TYPE):
    headers = {"Content-Type": content_type}
    return await a.node.client.call(b.node.did, "POST", "/px/1/messages", body, headers=headers)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "batch_malformed"),
        (b"\0\0\0\5abc", 400, "batch_malformed"),
        (b"\xff\xff\xff\xff", 413, "batch_too_large"),
        ((b"\0\0\0\1x" + b"\0\0\0\0") * 101, 413, "batch_too_large"),
        (
            b"\0\0\0\1x" + (9 * 1024 * 1024 - 1000).to_bytes(4, "big") + bytes(100),
            413,
            "batch_too_large",
        ),
        (b"\0\0\0\1\xff" + b"\0\0\0\0", 400, "batch_malformed"),
    ],
)
async def test_wrong_frames_are_a_problem_document(pair, body, status, code):
    got = await post(*pair, body)
    assert (got.status, strict_json.loads_object(got.body)["code"]) == (status, code)


async def test_a_body_beyond_every_cap_is_refused_before_it_is_read(pair):
    got = await post(*pair, bytes(10 * 1024 * 1024))
    assert got.status == 413


async def test_another_media_type_is_refused(pair):
    assert (await post(*pair, b"{}", "application/json")).status == 415


async def test_r12_an_unsigned_call_and_a_replayed_one_are_refused(pair):
    a, b = pair
    seen = []
    session = a.node.client._open()
    original = session._request

    async def spy(method, url, **more):
        seen.append((method, url, more))
        return await original(method, url, **more)

    session._request = spy
    await a.send(b, "one")
    await until(lambda: has_applied(b, 1))
    _, url, more = next(one for one in seen if one[0] == "POST")
    async with session.post(url, data=more["data"], headers=more["headers"]) as got:
        assert got.status == 401
        assert (await got.json(content_type=None))["code"] == "nonce_replayed"
    async with session.post(url, data=more["data"]) as got:
        assert got.status in {400, 401}
    assert await b.count(inbox) == 1
