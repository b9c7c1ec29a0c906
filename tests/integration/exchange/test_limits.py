"""Edges of sending and delivering: what is refused before it is promised, what survives a bug."""

from __future__ import annotations

import pytest

from node.exchange import delivery
from protocols.exchange import manifest
from schemas.errors import MalformedError, RefusedError, TooLargeError, UnavailableError
from tests.support.exchange_world import TYPE, applied, did, until, world


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"to": "did:web:stranger.example"}, RefusedError, "peer_unlisted"),
        ({"body": bytes(manifest.MAX_BODY_BYTES + 1)}, TooLargeError, "body_too_large"),
        ({"type": "urn:other"}, MalformedError, "manifest_malformed"),
        ({"stream": "a\nb"}, MalformedError, "manifest_malformed"),
        ({"content_type": "text"}, MalformedError, "manifest_malformed"),
    ],
)
async def test_what_no_peer_could_take_is_refused_before_it_takes_a_number(
    tmp_path, changes, error, code
):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        order = {
            "to": did("b"),
            "type": TYPE,
            "body": b"x",
            "content_type": "text/plain",
            "stream": "UCR-1",
        }
        with pytest.raises(error, match=code):
            await a.node.store.write(lambda conn: a.exchange.enqueue(conn, **(order | changes)))
        await a.send(b, "fine")

        async def delivered():
            return await b.texts() == ["fine"]

        await until(delivered)
        assert (await b.inbox())[0].seq == 1


async def test_outside_a_network_nothing_is_promised_or_taken(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        assert a.exchange.ready() is None
        a.node.members.current = None
        assert a.exchange.ready() is not None
        with pytest.raises(UnavailableError, match="member_list_missing"):
            await a.send(b, "x")
        with pytest.raises(UnavailableError, match="member_list_missing"):
            await a.exchange.receive(b.node.did, [])
        a.node.members.current = nodes.members


async def test_a_large_message_travels_alone(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        a.transport.plan = lambda _: "lost"
        await a.send(b, "s" * 9_000, "l" * 8_000, stream="UCR-1")

        def job(conn):
            for size in (5, 5):
                a.exchange.enqueue(
                    conn, did("b"), TYPE, bytes(size * 1024 * 1024), "text/plain", "UCR-2"
                )

        await a.node.store.write(job)
        a.transport.plan = lambda _: ""

        async def stored():
            return not await a.outbox(state="queued")

        await until(stored)
        assert max(len(body) for _, body in a.transport.calls) < 9 * 1024 * 1024
        assert [row.seq for row in await b.inbox(stream="UCR-2")] == [1, 2]


async def test_a_sender_that_fails_by_a_bug_is_replaced(tmp_path, monkeypatch):
    from node.exchange.sender import PeerSender

    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        original, failed = PeerSender._step, []

        async def once(self):
            if not failed:
                failed.append(True)
                raise KeyError("a bug")
            return await original(self)

        monkeypatch.setattr(PeerSender, "_step", once)
        await a.send(b, "one")

        async def delivered():
            return await b.texts() == ["one"]

        await until(delivered)
        assert failed


async def test_more_waiting_lanes_than_can_be_parked_do_not_spin(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "MAX_PARKED", 3)
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]

        def job(conn):
            for _ in range(12):
                a.exchange.enqueue(conn, did("b"), manifest.KEY_EVENT, b"{}", "text/plain", None)

        await a.node.store.write(job)

        async def parked():
            rows = await b.inbox(state="ready")
            return len(rows) == 12 and all(row.code == "no_handler" for row in rows)

        await until(parked)
        assert len(b.exchange.delivery._parked) == 3
        rows = await b.inbox()
        assert sum(row.next_at > 0 for row in rows) == 9
        await a.send(b, "still moving")

        async def delivered():
            return await b.count(applied) == 1

        await until(delivered)


async def test_nothing_is_given_to_a_paused_peer_that_pulls(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        await a.exchange.pause(b.node.did, paused=True)
        await a.send(b, "one")
        assert await b.exchange.pull(a.node.did) == 0
        await a.exchange.pause(b.node.did, paused=False)

        async def delivered():
            return await b.texts() == ["one"]

        await until(delivered)


async def test_a_peer_that_answers_a_pull_with_nonsense_changes_nothing(tmp_path):
    async with world(tmp_path, "a", "b") as nodes:
        a, b = nodes["a"], nodes["b"]
        with pytest.raises(RefusedError):
            await b.exchange.pull("did:web:stranger.example")
        from protocols.seams import Answer

        for reply in (Answer(500), Answer(200, b"x", {"px-cursor": "x"})):

            async def call(*_args, reply=reply, **_more):
                return reply

            b.node.client.call = call
            with pytest.raises(UnavailableError):
                await b.exchange.pull(a.node.did)
        answers = iter([Answer(200, b"x", {"px-cursor": "1"})])

        async def malformed(*_args, **_more):
            return next(answers)

        b.node.client.call = malformed
        with pytest.raises(MalformedError):
            await b.exchange.pull(a.node.did)
        del b.node.client.call
