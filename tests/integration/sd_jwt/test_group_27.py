"""Group 27: nothing withheld, no salt and no token stands in what a node writes, whatever it meets.

Nodes at debug level issue, send in part, verify good and broken files, and refuse strangers; then
all they wrote is searched: standard streams, metrics, answers, every column of the stores, every
file of the homes.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from node.settings import load, render
from protocols.credentials import key_binding, sd_credential
from protocols.credentials.key_binding import Challenge
from protocols.keys import SoftwareSigner
from schemas.errors import TradeError
from tests.support.network import did_of
from tests.support.written import written

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from node.operator import OperatorClient
    from node.runtime import Node
    from tests.support.network import Made

road = importlib.import_module("tests.integration.release.road")
shown = importlib.import_module("tests.integration.sd_jwt.test_shown_in_part")

STRANGERS_TOKEN = "canary-token-of-a-stranger-0123456789abcdef"
MIXED = "canary-value-in-a-request-that-is-refused"


def at_debug_level(made: Made) -> None:
    """Everything that can be logged is."""
    for home in made.homes.values():
        held = load(home.settings_file)
        settings = replace(held, telemetry=replace(held.telemetry, log_level="debug"))
        home.settings_file.write_text(render(settings))


def encoded(file: bytes) -> dict[str, Any]:
    return {"file": base64.b64encode(file).decode()}


async def answers(node: Node, *requests: tuple[str, str, Any]) -> str:
    """What a node answers to requests, as text, with its own token and with a stranger's."""
    told = ""
    stranger = type(road.operator(node))(node.local_url, STRANGERS_TOKEN)
    for client in (road.operator(node), stranger):
        for method, path, body in requests:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            answer = await asyncio.to_thread(client._call, method, path, data, headers)
            told += f"{answer.status} {answer.body.decode('utf-8', 'replace')}\n"
    return told


async def refused(client: OperatorClient, path: str, body: dict[str, Any]) -> str:
    """The report or the error that a request ends in."""
    try:
        return json.dumps(await client.apost(path, body))
    except TradeError as error:
        return f"{error.code} {error}"


def files_with(folder: Path, canaries: list[bytes]) -> set[str]:
    """The files below a folder in which one of the canaries stands."""
    return {
        path.name
        for path, data in written(folder).items()
        if any(canary in data for canary in canaries)
    }


async def test_group_27_nothing_withheld_no_salt_and_no_token_is_written_anywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = road.made(tmp_path, witnesses=())
    at_debug_level(made)
    holder = SoftwareSigner("cnf", ec.generate_private_key(ec.SECP256R1()))
    async with road.running(made) as nodes:
        issuer, port = nodes["cn-cert"], nodes["nl-port"]
        client, relying = road.operator(issuer), road.operator(port)
        jwk = dict(holder.public_jwk)
        digest = (await client.apost("/v1/documents", shown.order(holder=jwk)))["digest"]
        file = (await shown.stored(issuer, digest)).file
        canaries = shown.secrets_of(file)
        await client.apost(
            f"/v1/documents/{digest}/send", {"to": [did_of("nl-port")], "disclose": []}
        )
        held = await shown.arrived(port, digest)
        bare = sd_credential.present(held.file, [])
        challenge = Challenge(did_of("nl-port"), "another-verifiers-nonce")
        bound = key_binding.bind(bare, challenge, at=datetime.now(UTC), signer=holder)
        asked = {"audience": did_of("nl-port"), "nonce": "n-1"}
        told = await refused(relying, "/v1/verify", encoded(bound.text.encode()) | asked)
        told += await refused(relying, "/v1/verify", encoded(held.file) | asked)
        # Broken on purpose: a disclosure twice, one that nobody signed, one cut short.
        for broken in (
            file.replace(b"~", b"~" + canaries[2] + b"~", 1),
            held.file + canaries[2][:-4] + b"AAAA~",
            file[:-9],
        ):
            for one in (client, relying):
                told += await refused(one, "/v1/verify", encoded(broken))
        secret = canaries[2].decode()
        told += await answers(
            port,
            ("POST", "/v1/verify", f'{{"file": "{MIXED}", "file": "{secret}"}}'.encode()),
            ("POST", "/v1/verify", {"file": MIXED, "trust": secret}),
            ("POST", "/v1/documents", {"payload": MIXED, "form": secret}),
            ("POST", f"/v1/documents/{'0' * 64}/send", {"to": [MIXED], "disclose": [secret]}),
            ("GET", f"/v1/documents?cursor={secret}&token={MIXED}", b""),
            ("POST", "/px/1/messages", secret.encode() + MIXED.encode()),
            ("GET", "/metrics", b""),
            ("GET", "/v1/documents", b""),
        )
        told += await answers(issuer, ("GET", "/metrics", b""), ("GET", "/v1/documents", b""))
        assert told.count("401 ") > 5
        tokens = [node.token.encode() for node in (issuer, port)]
        tokens += [bound.key_binding.encode(), STRANGERS_TOKEN.encode(), MIXED.encode()]
        streams = capfd.readouterr()
        logs = streams.out + streams.err
        assert '"level": "debug"' in logs or '"level":"debug"' in logs
        for canary in (*canaries, *tokens):
            assert canary.decode() not in logs
            assert canary.decode() not in told
        everything = [*canaries, *tokens]
        assert await port.store.read(shown.places_with, everything) == set()
        assert await issuer.store.read(shown.places_with, everything) == {"documents.file"}
        assert files_with(port.home.path, canaries) == set()
        assert files_with(port.home.path, tokens) == {"token"}
        assert files_with(issuer.home.path, tokens) == {"token"}
