"""Groups 14 to 16 and 28 at a running verifier: whom it asks, what it believes, what it says."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocols import jws
from protocols.credentials import did, did_document
from protocols.keys import SoftwareSigner
from schemas.errors import TradeError
from tests.support.hostile_web import answer, hostile_web
from tests.support.made_network import signer
from tests.support.network import did_of
from tests.support.running import running_node
from tests.support.turned import turned

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

pair = importlib.import_module("tests.integration.identity.pair")
road = importlib.import_module("tests.integration.release.road")
ISSUER = did_of(pair.ISSUER)
DID_JSON = did_document.MEDIA_TYPE


async def resolve(node: Node, subject: str, **query: str) -> Any:
    return await road.operator(node).aget("/v1/resolve", did=subject, **query)


async def refused(node: Node, subject: str, **query: str) -> TradeError:
    with pytest.raises(TradeError) as caught:
        await resolve(node, subject, **query)
    return caught.value


async def alarms(node: Node) -> list[str]:
    found = (await road.operator(node).aget("/v1/events", limit=1000))["events"]
    return [event["detail"]["code"] for event in found if event["kind"] == "alarm"]


def genuine(made: Made) -> dict[str, Any]:
    """The document that the issuer would publish."""
    entry = made.members.node(ISSUER)
    assert entry is not None
    written: Any = did_document.write(ISSUER, entry.keys, datetime.now(UTC))
    return json.loads(json.dumps(written))


async def test_every_node_publishes_its_document_and_those_of_its_parties(tmp_path: Path) -> None:
    made = pair.made(tmp_path)
    async with (
        running_node(made.homes[pair.ISSUER]) as issuer,
        running_node(made.homes[pair.VERIFIER]) as node,
    ):
        found = await resolve(node, ISSUER)
        assert found["document"]["id"] == ISSUER
        assert found["agreement"]["agrees"]
        assert found["agreement"]["foreign"] == found["agreement"]["missing"] == []
        assert {pin["kid"] for pin in found["pins"]} == set(found["agreement"]["agreeing"])
        again = await resolve(node, ISSUER)
        assert again["ageSeconds"] >= found["ageSeconds"]
        party = await resolve(node, did_of(pair.PARTY))
        assert [each["id"] for each in party["document"]["verificationMethod"]] == [
            f"{did_of(pair.PARTY)}#title-1"
        ]
        own = await resolve(node, node.did)
        assert own["agreement"]["agrees"]
        async with aiohttp.ClientSession() as session:
            url = f"{issuer.local_url}/.well-known/did.json"
            async with session.get(url) as response:
                assert response.content_type == DID_JSON
                assert (await response.json(content_type=None))["id"] == ISSUER
            async with session.get(f"{issuer.local_url}/nobody/did.json") as response:
                assert response.status == 404
        assert await alarms(node) == []


async def test_did_key_and_did_jwk_are_read_and_need_nobody(tmp_path: Path) -> None:
    made = pair.made(tmp_path)
    key = pair.HOLDER.public()
    async with running_node(made.homes[pair.VERIFIER]) as node:
        for subject in (did.key_did(key), did.jwk_did(key)):
            found = await resolve(node, subject)
            assert found["agreement"] is None
            assert found["ageSeconds"] is None
            (method,) = found["document"]["verificationMethod"]
            assert method["publicKeyJwk"] == dict(key.jwk)
        for subject, code in (
            (f"{did.jwk_did(key)}#0", "did_method_unknown"),
            ("did:webvh:abc:a.example", "did_method_unknown"),
            ("did:key:zNothing", "multikey_malformed"),
            ("not a did", "did_malformed"),
        ):
            assert (await refused(node, subject)).code == code


async def test_group_14_did_webs_that_point_inside_cost_no_connection(tmp_path: Path) -> None:
    async with hostile_web(lambda _: answer(b"{}", DID_JSON)) as inside:
        made = pair.made(tmp_path)
        async with running_node(made.homes[pair.VERIFIER]) as node:
            for host in (
                f"127.0.0.1%3A{inside.port}",
                f"localhost%3A{inside.port}",
                f"2130706433%3A{inside.port}",
                f"0177.0.0.1%3A{inside.port}",
                f"0.0.0.0%3A{inside.port}",
                "10.0.0.1",
                "169.254.169.254",
                f"cn-cert.example%3A{inside.port}",
                "cn-cert.example%3A22",
                "stranger.example",
                "cn-cert.example:..:status",
                "user%40127.0.0.1",
                f"%5B%3A%3A1%5D%3A{inside.port}",
                "cn-cert.example%2fstatus",
                "cn-cert.example%00",
            ):
                found = await refused(node, f"did:web:{host}")
                assert found.code in {"did_unlisted", "did_malformed"}, host
            assert await alarms(node) == []
        assert inside.connections == 0


async def test_group_16_a_replaced_document_is_refused_and_raises_one_alarm(tmp_path: Path) -> None:
    served: dict[str, bytes] = {}
    async with hostile_web(lambda path: served.get(path)) as web:
        made = pair.made(tmp_path, issuer_url=f"http://127.0.0.1:{web.port}", fetching={"quiet": 0})
        path = "/.well-known/did.json"
        good = genuine(made)

        def serve(document: dict[str, Any]) -> None:
            served[path] = answer(json.dumps(document).encode(), DID_JSON)

        async with running_node(made.homes[pair.VERIFIER]) as node:
            serve(good)
            assert (await resolve(node, ISSUER))["agreement"]["agrees"]
            thief = dict(signer("did:web:thief.example#credential-1").public().jwk)
            bad = json.loads(json.dumps(good))
            bad["verificationMethod"][0]["publicKeyJwk"] = thief
            serve(bad)
            # What is held is still good; who asks anew is told.
            assert (await resolve(node, ISSUER))["agreement"]["agrees"]
            assert web.connections == 1
            for _ in range(2):
                found = await refused(node, ISSUER, refresh="1")
                assert found.code == "did_document_disagrees"
                assert f"{ISSUER}#credential-1" in found.detail
            assert await alarms(node) == ["did_document_disagrees"]
            # The list's keys count all the while.
            assert node.members.current is not None
            assert node.members.current.key(f"{ISSUER}#credential-1") is not None
            for change, code in (
                ({"id": "did:web:thief.example"}, "did_document_other_subject"),
                ({"verificationMethod": good["verificationMethod"] * 2}, "did_document_key_twice"),
            ):
                serve(good | change)
                assert (await refused(node, ISSUER)).code == code
            told = ["did_document_disagrees", "did_document_other_subject"]
            assert await alarms(node) == [*told, "did_document_key_twice"]
            serve(good)
            assert (await resolve(node, ISSUER))["agreement"]["agrees"]
            serve(bad)
            before = len(await alarms(node))
            await node.identity.look()
            assert len(await alarms(node)) == before + 1


async def test_group_15_a_thousand_questions_about_a_dead_host_cost_one_connection(
    tmp_path: Path,
) -> None:
    async with hostile_web(lambda _: None) as web:
        made = pair.made(tmp_path, issuer_url=f"http://127.0.0.1:{web.port}")
        async with running_node(made.homes[pair.VERIFIER]) as node:
            subjects = (ISSUER, did_of(pair.PARTY)) * 500
            calls = (node.identity.resolve(each) for each in subjects)
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert {getattr(each, "code", None) for each in told} == {"fetch_unreachable"}
            assert (await refused(node, ISSUER, refresh="1")).code == "fetch_unreachable"
        assert web.connections == 1


async def test_group_28_error_texts_never_echo_what_a_token_holds(tmp_path: Path) -> None:
    canary = "Canarybird"
    made = pair.made(tmp_path)
    kid = f"did:web:{canary.lower()}.example#credential-1"
    thief = SoftwareSigner(kid, ec.derive_private_key(11, ec.SECP256R1()))
    forged = jws.sign(json.dumps({"secret": canary}).encode(), typ="vc+jwt", signer=thief)
    async with running_node(made.homes[pair.VERIFIER]) as node:
        for file in (
            forged,
            turned(forged),
            f"{canary}.{canary}.{canary}",
            canary,
            forged * 2,
        ):
            client = road.operator(node)
            headers = {"Content-Type": "application/vc+jwt"}
            report = (
                await client.arequest("POST", "/v1/verify", file.encode(), headers=headers)
            ).body.decode()
            assert canary not in report
        for subject in (f"did:web:{canary}", f"did:{canary}", f"did:key:z{canary}", canary):
            assert canary not in str(await refused(node, subject))


async def test_trust_resolve_shows_document_pins_and_agreement(tmp_path: Path) -> None:
    made = pair.made(tmp_path)
    home = str(made.homes[pair.VERIFIER].path)

    def cli(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "node.cli.main", "trust", "resolve", *arguments]
        done = subprocess.run(
            [*command, "--home", home], capture_output=True, timeout=180, check=False, text=True
        )
        return done.returncode, done.stdout + done.stderr

    async with (
        running_node(made.homes[pair.ISSUER]),
        running_node(made.homes[pair.VERIFIER]),
    ):
        code, told = await asyncio.to_thread(cli, ISSUER)
        assert code == 0
        assert "agrees with the member list" in told
        assert f"{ISSUER}#credential-1" in told
        code, told = await asyncio.to_thread(cli, did.key_did(pair.HOLDER.public()))
        assert (code, "carries its key" in told) == (0, True)
        code, told = await asyncio.to_thread(cli, "did:web:stranger.example", "--json")
        assert code != 0
        assert "did_unlisted" in told


async def test_group_15_many_credentials_of_a_dead_host_cost_one_connection(tmp_path: Path) -> None:
    """Documents of an issuer that no longer answers stay unknown, and knock once."""
    made = pair.made(tmp_path)
    files = []
    async with running_node(made.homes[pair.ISSUER]) as issuer:
        port = issuer.settings.http.port
        for number in range(5):
            body = pair.order(pair.certificate(number=f"CN-2026-{number}"))
            digest = (await road.operator(issuer).apost("/v1/documents", body))["digest"]
            accept = {"Accept": "application/octet-stream"}
            path = f"/v1/documents/{digest}"
            files.append((await road.operator(issuer).arequest("GET", path, headers=accept)).body)
    async with (
        hostile_web(lambda _: None, port=port) as web,
        running_node(made.homes[pair.VERIFIER]) as node,
    ):
        headers = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/vc+jwt"}

        async def verdict(session: aiohttp.ClientSession, file: bytes) -> str:
            url = f"{node.local_url}/v1/verify"
            async with session.post(url, data=file, headers=headers) as response:
                return str(json.loads(await response.read())["verdict"])

        async with aiohttp.ClientSession() as session:
            told = await asyncio.gather(*(verdict(session, file) for file in files * 40))
        assert set(told) == {"INDETERMINATE"}
        # A whole list is asked for, never a place in it; the second list is not even tried.
        assert [path.rpartition("/")[0] for path in web.paths] == ["/status"]
        assert web.connections == 1
