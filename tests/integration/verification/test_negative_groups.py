"""The attacks of every group against running verifiers, with every connection counted.

A node of a network meets them over `/v1/verify` (a report that says FAILED), one in VC-API mode as
a stranger's credentials (400 or 422). Neither ever answers 500, believes one, or calls anybody.
"""

from __future__ import annotations

import importlib
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec

from node.keystore import KeyStore
from protocols import jws, keys
from protocols.credentials import did, envelope
from schemas import strict_json
from schemas.catalogue import explain
from tests.corpora import files
from tests.support.hostile_tokens import ATTACKS, Forge, high_s
from tests.support.hostile_web import answer, hostile_web
from tests.support.network import did_of
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pair = importlib.import_module("tests.integration.identity.pair")
road = importlib.import_module("tests.integration.release.road")
vc_api = importlib.import_module("tests.integration.vc_api.test_vc_api")

_CALLED: list[str] = []
_WATCHING = [False]


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCHING[0] and event in ("socket.connect", "socket.getaddrinfo"):
        _CALLED.append(f"{event} {arguments[1 if event == 'socket.connect' else 0]}")


sys.addaudithook(_watch)  # cannot be taken off again, so it looks only when asked


@contextmanager
def connections() -> Iterator[list[str]]:
    """What this process connects to and which names it looks up meanwhile."""
    _CALLED.clear()
    _WATCHING[0] = True
    try:
        yield _CALLED
    finally:
        _WATCHING[0] = False


def all_attacks(forge: Forge) -> Iterator[tuple[str, bytes]]:
    for group, attacks in ATTACKS.items():
        for name, (make, _) in attacks.items():
            yield f"group {group:02d}, {name}", make(forge).encode()
    for path in files("vectors/credentials/jws-hostile", "*.txt"):
        yield path.name, path.read_bytes().strip()


async def test_group_02_no_attack_makes_a_verifier_call_answer_500_or_believe(
    tmp_path: Path,
) -> None:
    made = pair.made(tmp_path)
    signer = KeyStore(made.homes[pair.ISSUER].keys, did_of(pair.ISSUER)).signer("credential")
    async with (
        hostile_web(lambda _: answer(b"{}")) as web,
        running_node(made.homes[pair.ISSUER]) as issuer,
        running_node(made.homes[pair.VERIFIER]) as verifier,
        aiohttp.ClientSession() as session,
    ):
        body = pair.order(pair.certificate())
        digest = (await road.operator(issuer).apost("/v1/documents", body))["digest"]
        accept = {"Accept": "application/octet-stream"}
        found = await road.operator(issuer).arequest(
            "GET", f"/v1/documents/{digest}", headers=accept
        )
        forge = Forge(found.body.decode(), signer, f"http://127.0.0.1:{web.port}/keys")
        headers = {"Authorization": f"Bearer {verifier.token}"}

        async def verify(data: bytes, kind: str = "application/vc+jwt") -> tuple[int, Any]:
            async with session.post(
                f"{verifier.local_url}/v1/verify",
                data=io.BytesIO(data),
                headers=headers | {"Content-Type": kind},
            ) as response:
                return response.status, await response.json(content_type=None)

        status, good = await verify(forge.good.encode())
        assert (status, good["verdict"]) == (200, "PASSED")
        status, other = await verify(high_s(forge).encode())
        assert (other["verdict"], other["subject"]) == ("PASSED", good["subject"])
        tried = 0
        with connections() as called:
            for name, data in all_attacks(forge):
                status, told = await verify(data)
                tried += 1
                assert status in (200, 400, 413, 422), (name, status)
                if status == 200:
                    assert told["verdict"] != "PASSED", name
                    codes = [each["code"] for each in told["checks"] if each.get("code")]
                    assert codes, name
                    assert all(explain(code) for code in codes), name
                else:
                    assert explain(told["code"]), name
        # The two nodes of this network talk to each other all the while; nobody else is called.
        members = {str(node.settings.http.port) for node in (issuer, verifier)}
        assert [each for each in called if not any(port in each for port in members)] == []
        assert web.connections == 0
        assert tried > 120
        status, again = await verify(forge.good.encode())
        assert again["verdict"] == "PASSED"


async def test_group_02_no_strangers_attack_makes_the_vc_api_call_answer_500_or_believe(
    tmp_path: Path,
) -> None:
    private = ec.derive_private_key(21, ec.SECP256R1())
    name = did.key_did(keys.SoftwareSigner("", private).public())
    signer = keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", private)
    claims = {
        **vc_api.CREDENTIAL,
        "issuer": name,
        "validFrom": "2026-11-01T00:00:00Z",
        "validUntil": "2036-11-01T00:00:00Z",
    }
    text = jws.sign(strict_json.canonical(claims), typ="vc+jwt", signer=signer, cty="vc")
    not_of_strangers = {3, 11}  # key ids and issuers of a network, in did:web
    # A line feed after a URL is no part of it (URL Standard §4.4), so it hides nothing there.
    harmless = "line feed of part 2"
    async with (
        hostile_web(lambda _: answer(b"{}")) as web,
        vc_api.running(tmp_path) as (_, caller),
    ):
        _, listed = await caller.get("/issuers")
        path = f"{listed['issuers'][0]['path']}/credentials/verify"
        forge = Forge(text, signer, f"http://127.0.0.1:{web.port}/keys")

        async def verify(token: str) -> tuple[int, Any]:
            wrapped = envelope.wrap(envelope.CREDENTIAL, "vc+jwt", token)
            return await caller.post(path, {"verifiableCredential": wrapped})

        status, told = await verify(forge.good)
        assert (status, told["verified"]) == (200, True), told
        with connections() as called:
            for group, attacks in ATTACKS.items():
                if group in not_of_strangers:
                    continue
                for attack, (make, _code) in attacks.items():
                    if attack == harmless:
                        continue
                    if group == 7 and attack == "deep in the document":
                        token = forge.put(b'"name"', b'"id":"urn:x","name"')
                    else:
                        token = make(forge)
                    status, told = await verify(token)
                    assert status in (400, 422), (group, attack, status, told)
                    assert told["verified"] is False
        assert [each for each in called if caller.base.rpartition(":")[2] not in each] == []
        assert web.connections == 0
