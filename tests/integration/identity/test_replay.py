"""Group 21 at a running verifier: a challenge is answered once, whoever asks how often."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from node.verification import challenges
from node.verification.tables import challenges as table
from schemas.errors import MalformedError, UnavailableError
from tests.support.network import did_of
from tests.support.running import running_node
from tests.support.turned import turned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

pair = importlib.import_module("tests.integration.identity.pair")
road = importlib.import_module("tests.integration.release.road")
AUDIENCE = did_of(pair.VERIFIER)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[tuple[Made, bytes]]:
    """The network's homes with the issuer running, and a document bound to a holder."""
    made = pair.made(tmp_path)
    async with running_node(made.homes[pair.ISSUER]) as issuer:
        holder = dict(pair.HOLDER.public_jwk)
        body = pair.order(pair.certificate(), form="vc+sd-jwt", holder=holder)
        digest = (await road.operator(issuer).apost("/v1/documents", body))["digest"]
        accept = {"Accept": "application/octet-stream"}
        got = await road.operator(issuer).arequest("GET", f"/v1/documents/{digest}", headers=accept)
        yield made, got.body


async def verify(node: Node, file: bytes, nonce: str, audience: str = AUDIENCE) -> str:
    """`accepted`, or the code of the step that says why not."""
    body = {"file": base64.b64encode(file).decode(), "audience": audience, "nonce": nonce}
    report = await road.operator(node).apost("/v1/verify", body)
    return _told(report)


def _told(report: dict[str, Any]) -> str:
    bound = next(check for check in report["checks"] if check["id"] == "CRED-14")
    if bound["outcome"] == "PASSED":
        assert report["verdict"] != "FAILED", report
        return "accepted"
    assert report["verdict"] == "FAILED"
    return str(bound["code"])


async def test_group_21_a_challenge_is_answered_once_also_over_a_restart(
    world: tuple[Made, bytes],
) -> None:
    made, file = world
    home = made.homes[pair.VERIFIER]
    async with running_node(home) as node:
        given = await road.operator(node).apost("/v1/challenges", {"seconds": 600})
        assert given["audience"] == AUDIENCE
        nonce = given["nonce"]
        shown = pair.presented(file, AUDIENCE, nonce)
        forged = turned(shown.decode()).encode()
        assert await verify(node, forged, nonce) == "bad_signature"
        assert await verify(node, shown, nonce) == "accepted"
        assert await verify(node, shown, nonce) == "nonce_used"
        # Another presentation of the same holder does not revive it.
        assert await verify(node, pair.presented(file, AUDIENCE, nonce), nonce) == "nonce_used"
        own = pair.presented(file, AUDIENCE, "of my own")
        assert await verify(node, own, "of my own") == "accepted"
        unused = (await road.operator(node).apost("/v1/challenges"))["nonce"]
    async with running_node(home) as node:
        assert await verify(node, shown, nonce) == "nonce_used"
        assert await verify(node, own, "of my own") == "nonce_used"
        late = pair.presented(file, AUDIENCE, unused)
        assert await verify(node, late, unused) == "accepted"


async def test_group_21_fifty_at_once_and_exactly_one_is_accepted(
    world: tuple[Made, bytes],
) -> None:
    made, file = world
    async with running_node(made.homes[pair.VERIFIER]) as node:
        nonce = (await road.operator(node).apost("/v1/challenges"))["nonce"]
        shown = pair.presented(file, AUDIENCE, nonce)
        body = {"file": base64.b64encode(shown).decode(), "audience": AUDIENCE, "nonce": nonce}
        headers = {"Authorization": f"Bearer {node.token}"}

        async def post(session: aiohttp.ClientSession) -> str:
            url = f"{node.local_url}/v1/verify"
            async with session.post(url, json=body, headers=headers) as response:
                return _told(json.loads(await response.read()))

        async with aiohttp.ClientSession() as session:
            told = await asyncio.gather(*(post(session) for _ in range(50)))
        assert sorted(told) == ["accepted"] + ["nonce_used"] * 49


async def test_group_21_challenges_expire_and_are_bound_to_their_audience(
    world: tuple[Made, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, file = world
    async with running_node(made.homes[pair.VERIFIER]) as node:
        other = "did:web:other.example"
        nonce = (await road.operator(node).apost("/v1/challenges", {"audience": other}))["nonce"]
        shown = pair.presented(file, AUDIENCE, nonce)
        assert await verify(node, shown, nonce) == "nonce_unknown"
        assert await verify(node, shown, nonce, other) == "key_binding_other_audience"

        made_up = f"{challenges.PREFIX}{'A' * 43}"
        assert await verify(node, pair.presented(file, AUDIENCE, made_up), made_up) == (
            "nonce_unknown"
        )
        now = node.clock.now_ms()
        old = challenges.new(AUDIENCE, now - 61_000, 60, b"r" * 32)
        await node.store.write(challenges.give, old, now - 61_000)
        late = pair.presented(file, AUDIENCE, old.nonce)
        assert await verify(node, late, old.nonce) == "nonce_expired"

        for wrong in ({"seconds": 5}, {"seconds": 4000}, {"audience": 5}, {"sekonds": 60}):
            with pytest.raises(MalformedError):
                await road.operator(node).apost("/v1/challenges", wrong)
        # Two are held: one is open, one has expired and makes room.
        monkeypatch.setattr(challenges, "MAX_HELD", 2)
        await road.operator(node).apost("/v1/challenges")
        with pytest.raises(UnavailableError) as full:
            await road.operator(node).apost("/v1/challenges")
        assert full.value.code == "challenges_full"
        held = await node.store.read(lambda conn: conn.execute(table.select()).all())
        assert old.expires_at not in {row.expires_at for row in held}


async def test_group_21_without_the_answer_that_is_asked_for_nothing_passes(
    world: tuple[Made, bytes],
) -> None:
    made, file = world
    async with running_node(made.homes[pair.VERIFIER]) as node:
        nonce = (await road.operator(node).apost("/v1/challenges"))["nonce"]
        assert await verify(node, file, nonce) == "key_binding_missing"
        another = pair.presented(file, AUDIENCE, "another")
        assert await verify(node, another, nonce) == "key_binding_other_nonce"
        # What did not answer it has not used it up.
        assert await verify(node, pair.presented(file, AUDIENCE, nonce), nonce) == "accepted"
