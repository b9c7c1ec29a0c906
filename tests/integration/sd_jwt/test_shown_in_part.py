"""Documents shown in part between real nodes and by command, and canaries for what is withheld."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import select

from node.documents import documents
from node.store.metadata import metadata
from protocols import member_list
from protocols.credentials import forms, sd_credential
from protocols.keys import SoftwareSigner
from schemas import registry
from schemas.errors import ConflictError, MalformedError, RefusedError
from testnet.story.documents import build, load_story
from tests.support.network import did_of
from tests.support.written import written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from node.runtime import Node
    from tests.support.network import Made

road = importlib.import_module("tests.integration.release.road")

#: Of one moment: the same order twice is the same, also when the day ends in between.
NOW = datetime.now(UTC)
CANARY = "Canarybird Withheld Trading Ltd"
PLACE = "/parties/consignee"


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[tuple[Made, dict[str, Node]]]:
    """The road's nodes without witnesses."""
    made = road.made(tmp_path, witnesses=())
    async with road.running(made) as nodes:
        yield made, nodes


def certificate() -> bytes:
    story = build(load_story(), "A", "certificate-of-origin", NOW)
    document = json.loads(story.payload)
    document["parties"]["consignee"]["name"] = CANARY
    return json.dumps(document).encode()


def order(**more: Any) -> dict[str, Any]:
    body = {"payload": base64.b64encode(certificate()).decode(), "consignment": road.UCR}
    return body | {"form": "vc+sd-jwt"} | more


async def stored(node: Node, digest: str) -> documents.StoredDocument:
    found = await node.store.read(documents.get, bytes.fromhex(digest))
    assert found is not None
    return found


async def arrived(node: Node, digest: str) -> documents.StoredDocument:
    await road.eventually(lambda: road.verdict(node, digest))
    return await stored(node, digest)


def secrets_of(file: bytes) -> list[bytes]:
    """What must not leave: the value, its disclosure, the salt in it."""
    (text,) = forms.open_file(file).presentation.given.disclosures
    salt = json.loads(base64.urlsafe_b64decode(text + "=="))[0]
    return [CANARY.encode(), CANARY.encode().hex().encode(), text.encode(), salt.encode()]


def places_with(conn: Connection, canaries: list[bytes]) -> set[str]:
    """Every column of the store in which one of `canaries` stands."""
    found = set()
    for table in metadata.sorted_tables:
        for row in conn.execute(select(table)):
            for name, value in row._mapping.items():
                data = value if isinstance(value, bytes) else str(value).encode()
                if any(canary in data for canary in canaries):
                    found.add(f"{table.name}.{name}")
    return found


async def test_a_document_travels_in_part_and_what_is_withheld_is_nowhere_else(
    network: tuple[Made, dict[str, Node]], capfd: pytest.CaptureFixture[str]
) -> None:
    _, nodes = network
    issuer, port = nodes["cn-cert"], nodes["nl-port"]
    client = road.operator(issuer)
    issued = await client.apost("/v1/documents", order())
    digest = issued["digest"]
    assert issued["mediaType"] == "application/vc+sd-jwt"
    again = await client.apost("/v1/documents", order())
    assert again["digest"] == digest
    with pytest.raises(ConflictError):
        await client.apost("/v1/documents", order(form="dc+sd-jwt"))
    file = (await stored(issuer, digest)).file
    canaries = secrets_of(file)
    to = {"to": [did_of("nl-port")]}
    with pytest.raises(RefusedError) as refused:
        await client.apost(f"/v1/documents/{digest}/send", to | {"disclose": ["/number"]})
    assert CANARY not in str(refused.value)
    await client.apost(f"/v1/documents/{digest}/send", to | {"disclose": []})

    held = await arrived(port, digest)
    assert held.verdict == "PASSED"
    assert json.loads(held.payload)["parties"].get("consignee") is None
    assert await port.store.read(places_with, canaries) == set()
    assert await issuer.store.read(places_with, canaries) == {"documents.file"}
    forged = held.file + canaries[2][:-4] + b"AAAA~"
    report = await road.operator(port).apost(
        "/v1/verify", {"file": base64.b64encode(forged).decode()}
    )
    assert report["verdict"] == "FAILED"
    altered = file.replace(b"~", b"~" + canaries[2] + b"~", 1)
    body = {"file": base64.b64encode(altered).decode()}
    told = json.dumps([report, await client.apost("/v1/verify", body)])
    for node in (issuer, port):
        told += (await road.operator(node).arequest("GET", "/metrics")).body.decode()
        told += json.dumps(await road.operator(node).aget(f"/v1/documents/{digest}"))
    streams = capfd.readouterr()
    told += streams.out + streams.err
    assert "cn-cert" in told
    for canary in canaries:
        assert canary.decode() not in told
    for path, data in written(port.home.path).items():
        assert not any(canary in data for canary in canaries), path

    await client.apost(f"/v1/documents/{digest}/send", to | {"again": True})

    async def wider() -> bool:
        return (await stored(port, digest)).payload == (await stored(issuer, digest)).payload

    await road.eventually(wider)
    held = await stored(port, digest)
    assert (held.file, held.digest.hex()) == (file, digest)
    answer = await road.operator(port).arequest(
        "GET", f"/v1/documents/{digest}", headers={"Accept": "application/vc+sd-jwt"}
    )
    assert answer.body == file
    await road.operator(issuer).apost(f"/v1/documents/{digest}/revoke", {"reason": "mistake"})

    async def revoked() -> bool:
        return (await stored(port, digest)).revoked_at is not None

    await road.eventually(revoked)


async def test_an_order_outside_the_profile_says_why(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    client = road.operator(nodes["cn-cert"])
    holder = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
    for more in ({"form": "mdoc"}, {"holder": holder}, {"form": None}):
        with pytest.raises(MalformedError):
            await client.apost("/v1/documents", order(**more))
    body = {name: value for name, value in order().items() if name != "form"}
    with pytest.raises(MalformedError):
        await client.apost("/v1/documents", body | {"holder": holder})
    digest = (await client.apost("/v1/documents", body))["digest"]
    path = f"/v1/documents/{digest}/send"
    for disclose in ([], "x", [1]):
        with pytest.raises(MalformedError):
            await client.apost(path, {"to": [did_of("nl-port")], "disclose": disclose})
    quality = registry.example("quality-certificate")
    with pytest.raises(RefusedError) as refused:
        await client.apost(
            "/v1/documents",
            {"payload": base64.b64encode(quality).decode(), "form": "vc+sd-jwt"},
        )
    assert refused.value.code == "nothing_disclosable"


def cli(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *arguments],
        capture_output=True,
        timeout=180,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def pem(path: Path, key: Any) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.mark.parametrize("form", sorted(sd_credential.FORMS))
async def test_issue_present_and_verify_by_command(
    network: tuple[Made, dict[str, Node]], tmp_path: Path, form: str
) -> None:
    _, nodes = network
    issuer = nodes["cn-cert"]
    home, now = str(issuer.home.path), tmp_path
    source, file, jwk = now / "coo.json", now / "coo.pratique", now / "holder.jwk"
    source.write_bytes(certificate())
    private = ec.generate_private_key(ec.SECP256R1())
    key = pem(now / "holder.pem", private)
    jwk.write_text(json.dumps(dict(SoftwareSigner("cnf", private).public_jwk)))
    (now / "list.json").write_bytes(member_list.write_export([issuer.members.current.signed]))

    async def run(code: int, *arguments: str) -> str:
        answer = await asyncio.to_thread(cli, *arguments)
        assert answer[0] == code, answer
        return answer[1] + answer[2]

    await run(
        0, "issue", str(source), "--home", home, "--disclosable", "--form", form,
        "--holder", str(jwk), "-o", str(file),
    )  # fmt: skip
    assert PLACE in await run(0, "present", str(file))
    assert PLACE in json.loads(await run(0, "present", str(file), "--json"))["disclosable"]
    shown, bare = now / "shown.pratique", now / "bare.pratique"
    await run(
        0, "present", str(file), "--disclose", PLACE, "-o", str(shown), "--key", str(key),
        "--audience", "did:web:nl-port.example", "--nonce", "n-1",
    )  # fmt: skip
    told = json.loads(await run(0, "present", str(file), "-o", str(bare), "--json"))
    assert (told["disclosed"], told["withheld"]) == ([], [PLACE])
    assert (await run(0, "present", str(file), "--disclose", PLACE)).count("~") == 2
    for part in (shown, bare):
        for ending in (".status.jwt", ".status.suspension.jwt"):
            part.with_suffix(ending).write_bytes(file.with_suffix(ending).read_bytes())
    trusting = ("--trust", str(now / "list.json"))
    report = await run(0, "verify", str(bare), *trusting)
    assert re.search(rf"{PLACE}\W+–", report)
    assert CANARY not in report
    asked = ("--audience", "did:web:nl-port.example", "--nonce", "n-1")
    assert "CRED-14" in await run(0, "verify", str(shown), *trusting, *asked)
    assert "key_binding_missing" in await run(1, "verify", str(bare), *trusting, *asked)
    report = await run(0, "verify", str(shown), "--home", home, *asked)
    assert re.search(rf"{PLACE}\W+✓", report)
    wrong = ("--audience", "did:web:nl-port.example", "--nonce", "n-2")
    told = await run(1, "verify", str(shown), "--home", home, *wrong)
    assert "key_binding_other_nonce" in told
    assert "verify_file_missing" in await run(2, "verify", str(shown), "--home", home, *wrong[:2])

    plain = now / "plain.pratique"
    plain.write_text("a.b.c")
    assert "not_disclosable_form" in await run(2, "present", str(plain))
    assert "sd_jwt_already_bound" in await run(4, "present", str(shown))
    bind = ("present", str(file), "-o", str(bare), "--key")
    await run(2, *bind, str(jwk), *asked)
    await run(2, *bind, str(pem(now / "rsa.pem", rsa.generate_private_key(65537, 2048))), *asked)
    assert "key_binding_incomplete" in await run(2, *bind, str(key))
    digest = sd_credential.open_file(file.read_bytes()).file.digest.hex()
    await run(0, "send", digest, "--to", did_of("nl-port"), "--disclose", "", "--home", home)
    held = await arrived(nodes["nl-port"], digest)
    assert held.verdict == "PASSED"
    assert CANARY.encode() not in held.payload
