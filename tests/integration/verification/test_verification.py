"""Verification at real nodes: on arrival, on request, offline, and again when something changed."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.documents import documents
from node.store import events
from node.trust import rows as trust_rows
from node.verification import rows
from protocols import base64url, member_list
from protocols.exchange.manifest import DOCUMENT
from schemas.errors import ForbiddenError, MalformedError, NotFoundError
from tests.support.network import did_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

road = importlib.import_module("tests.integration.release.road")


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[tuple[Made, dict[str, Node]]]:
    """The road's nodes without witnesses: everything runs, receipts stay unwitnessed."""
    made = road.made(tmp_path, witnesses=())
    async with road.running(made) as nodes:
        yield made, nodes


async def stored(node: Node, digest: str) -> Any:
    found = await node.store.read(documents.get, bytes.fromhex(digest))
    assert found is not None
    return found


def altered(file: bytes) -> bytes:
    """The gross weight 26 460 becomes 29 460 kg; everything else stays."""
    head, body, signature = file.decode().split(".")
    payload = base64url.decode(body).replace(b"26460", b"29460")
    return f"{head}.{base64url.encode(payload)}.{signature}".encode()


async def verify(node: Node, data: bytes, kind: str = "application/vc+jwt", **query: str) -> Any:
    path = "/v1/verify" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    answer = await road.operator(node).arequest("POST", path, data, headers={"Content-Type": kind})
    return json.loads(answer.body)


async def test_an_altered_copy_fails_and_the_field_and_both_values_are_named(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    digest = await road.issue(nodes, "packing-list", ("nl-customs",))
    customs = nodes["nl-customs"]
    held = await stored(customs, digest)
    file = held.file
    # The log's own checks need a signed checkpoint over the document's leaf.
    assert await customs.log.wait_for(held.leaf, 60.0, witnessed=False) is not None
    good = await verify(customs, file)
    assert good["verdict"] == "PASSED"
    assert good["document"]["type"] == "packing-list"
    assert {check["id"] for check in good["checks"]} >= {"CRED-01", "CRED-12", "LOG-04"}
    report = await verify(customs, altered(file))
    assert report["verdict"] == "FAILED"
    failed = {check["id"] for check in report["checks"] if check["outcome"] == "FAILED"}
    assert {"CRED-03", "CRED-08"} <= failed
    named = [finding for finding in report["findings"] if finding["rule"] == "ALT-001"]
    assert {"held": "26460", "given": "29460"} in [finding["values"] for finding in named]


async def test_verify_takes_json_and_another_moment_gives_a_historical_report(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    digest = await road.issue(nodes, "packing-list", ("nl-customs",))
    customs = nodes["nl-customs"]
    file = base64.b64encode((await stored(customs, digest)).file).decode()
    now = datetime.now(UTC)
    moment = (now + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
    client = road.operator(customs)
    report = await client.apost("/v1/verify", {"file": file, "at": moment, "country": "NL"})
    assert report["historical"]
    late = (now + timedelta(days=1000)).isoformat().replace("+00:00", "Z")
    report = await client.apost("/v1/verify", {"file": file, "at": late})
    assert report["verdict"] == "FAILED"
    for body in ({}, {"file": "***"}, {"file": file, "country": "Nederland"}):
        with pytest.raises(MalformedError):
            await client.apost("/v1/verify", body)
    with pytest.raises(MalformedError):
        await verify(customs, b"")


async def test_a_document_that_fails_is_refused_with_the_check_and_nothing_is_kept(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    issuer, port = nodes["cn-cert"], nodes["nl-port"]
    digest = await road.issue(nodes, "certificate-of-origin", ())
    await road.operator(issuer).apost(f"/v1/documents/{digest}/revoke", {"reason": "mistake"})
    await road.send(issuer, digest, "nl-port")

    async def refused() -> Any:
        found = await port.store.read(events.of, document=bytes.fromhex(digest))
        return next((event for event in found if event.kind == "refused"), None)

    event = await road.eventually(refused)
    assert event.detail["code"] == "revoked"
    assert await road.verdict(port, digest) is None


async def test_what_is_not_known_waits_and_is_decided_when_the_list_changes(
    network: tuple[Made, dict[str, Node]],
) -> None:
    """A newcomer's certificate is kept apart until the list names its issuer (R7, R25)."""
    made, nodes = network
    port, issuer = nodes["nl-port"], nodes["cn-cert"]
    whole = port.members.current
    # This node has not heard of the issuer's credential key yet.
    young = [
        replace(node, keys=tuple(key for key in node.keys if key.purpose != "credential"))
        if node.did == did_of("cn-cert")
        else node
        for node in whole.nodes
    ]
    port.members.replace(replace(whole, nodes=tuple(young)))
    digest = await road.issue(nodes, "certificate-of-origin", ("nl-port",))
    assert await road.verdict(port, digest) == "INDETERMINATE"
    assert (await port.store.read(rows.due, port.clock.now_ms() + 10**7))[0].digest.hex() == digest
    port.members.replace(whole)

    async def passed() -> bool:
        return await road.verdict(port, digest) == "PASSED"

    await road.eventually(passed)
    assert await port.store.read(rows.due, port.clock.now_ms() + 10**7) == []
    kinds = [
        event.kind for event in await port.store.read(events.of, document=bytes.fromhex(digest))
    ]
    assert kinds.index("quarantined") < kinds.index("validated")

    async def told() -> bool:
        sent = await road.operator(issuer).aget("/v1/outbox")
        outcomes = json.dumps(sent)
        return "PASSED" in outcomes

    await road.eventually(told)
    assert made.members.version == 1


async def test_one_number_for_two_documents_raises_an_alarm(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    issuer, port = nodes["cn-cert"], nodes["nl-port"]
    first = await road.issue(nodes, "certificate-of-origin", ("nl-port",))
    # The issuer forgets the first and signs the number again: its mistake or its fraud.
    await issuer.store.write(_forget, bytes.fromhex(first))
    second = await road.issue(nodes, "certificate-of-origin", ("nl-port",))
    assert second != first
    found = await port.store.read(events.of, document=bytes.fromhex(second))
    alarms = [event for event in found if event.kind == "alarm"]
    assert [event.detail["other"] for event in alarms] == [first]


def _forget(conn: Any, digest: bytes) -> None:
    from sqlalchemy import delete

    from node.documents.tables import documents as table

    conn.execute(delete(table).where(table.c.digest == digest))


async def test_r1_a_document_announced_as_another_type_is_refused(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    issuer, port = nodes["cn-cert"], nodes["nl-port"]
    digest = await road.issue(nodes, "certificate-of-origin", ())
    file = (await stored(issuer, digest)).file
    await issuer.store.write(
        issuer.exchange.enqueue,
        did_of("nl-port"),
        DOCUMENT + "bill-of-lading",
        file,
        "application/vc+jwt",
        road.UCR,
    )

    async def refused() -> bool:
        found = await port.store.read(events.of, document=bytes.fromhex(digest))
        return any(event.kind == "refused" for event in found)

    await road.eventually(refused)
    assert await road.verdict(port, digest) is None


# --- without a node ---------------------------------------------------------------------------


def cli(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *arguments],
        capture_output=True,
        timeout=180,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


async def test_a_file_verifies_offline_with_nothing_but_the_list_and_its_neighbours(
    network: tuple[Made, dict[str, Node]], tmp_path: Path
) -> None:
    _, nodes = network
    digest = await road.issue(nodes, "certificate-of-origin", ("nl-port",))
    port = nodes["nl-port"]
    held = await stored(port, digest)
    file, trust = tmp_path / "coo.vc", tmp_path / "list.json"
    file.write_bytes(held.file)
    members = port.members.current
    trust.write_bytes(member_list.write_export([members.signed]))
    answer = await asyncio.to_thread(cli, "verify", str(file), "--trust", str(trust), "--json")
    told = json.loads(answer[1])
    assert (answer[0], told["verdict"]) == (1, "INDETERMINATE")  # no status, so not known
    lists = await port.documents.statuses_for(held.issuer, held.status_lists)
    for ending, one in zip((".status.jwt", ".status.suspension.jwt"), lists, strict=True):
        file.with_suffix(ending).write_text(one.signed)
    receipt = await port.log.wait_for(held.leaf, 60.0, witnessed=False)
    file.with_suffix(".leaf").write_bytes(receipt.entry)
    file.with_suffix(".tlog-proof").write_text(receipt.text)
    answer = await asyncio.to_thread(
        cli, "verify", str(file), "--offline", "--trust", str(trust), "--country", "NL"
    )
    assert answer[0] == 0, answer
    assert "PASSED" in answer[1]
    assert "CRED-11" in answer[1]
    assert "[unwitnessed]" in answer[1]
    # Without a country a pass says what it leaves open.
    answer = await asyncio.to_thread(cli, "verify", str(file), "--trust", str(trust))
    assert "CRED-11" not in answer[1]
    assert "--country" in answer[1]
    words = ("verify", str(file), "--home", str(port.home.path), "--contexts", str(tmp_path))
    answer = await asyncio.to_thread(cli, *words)
    assert answer[0] == 2
    assert "pratique contexts import" in answer[2]
    past = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    answer = await asyncio.to_thread(
        cli, "verify", str(file), "--trust", str(trust), "--at", past, "--json"
    )
    assert answer[0] == 1
    assert json.loads(answer[1])["historical"]


async def test_the_command_asks_a_running_node_and_says_what_is_missing(
    network: tuple[Made, dict[str, Node]], tmp_path: Path
) -> None:
    _, nodes = network
    port = nodes["nl-port"]
    digest = await road.issue(nodes, "certificate-of-origin", ("nl-port",))
    file = tmp_path / "coo.vc"
    file.write_bytes((await stored(port, digest)).file)
    home = str(port.home.path)
    answer = await asyncio.to_thread(cli, "verify", str(file), "--home", home)
    assert answer[0] == 0, answer
    answer = await asyncio.to_thread(cli, "trace", digest, "--home", home)
    assert answer[0] == 0, answer
    assert "verified" in answer[1]
    picture = tmp_path / "a.svg"
    answer = await asyncio.to_thread(
        cli, "trace", road.UCR, "--home", home, "--json", "--svg", str(picture)
    )
    assert json.loads(answer[1])["subject"] == road.UCR
    assert picture.read_text().startswith("<svg")
    answer = await asyncio.to_thread(cli, "trace", "nothing", "--home", home)
    assert answer[0] == 2
    assert "next:" in answer[2]
    answer = await asyncio.to_thread(cli, "release", "show", road.BOX, "--home", home)
    assert answer[0] == 2  # no transport document names it
    command = ("release", "show", road.BOX, "--consignment", road.UCR, "--home", home)
    answer = await asyncio.to_thread(cli, *command)
    assert answer[0] == 1
    assert "REL-010" in answer[1]
    sign = ("release", "sign", road.BOX, "--consignment", road.UCR, "--home", home)
    answer = await asyncio.to_thread(cli, *sign)
    assert answer[0] == 4
    assert "release_held" in answer[2]
    bundle = tmp_path / "A.zip"
    answer = await asyncio.to_thread(
        cli, "evidence", "export", road.UCR, "-o", str(bundle), "--home", home, "--json"
    )
    assert answer[0] == 1, answer
    assert json.loads(answer[1])["verdict"] == "INDETERMINATE"  # no witnesses in this network
    assert bundle.stat().st_size > 0
    trust = tmp_path / "list.json"
    trust.write_bytes(member_list.write_export([port.members.current.signed]))
    answer = await asyncio.to_thread(cli, "verify", str(bundle), "--trust", str(trust), "--json")
    report = json.loads(answer[1])
    unknown = [item for item in report["checks"] if item["outcome"] == "INDETERMINATE"]
    assert unknown[0]["id"] == "EVI-07"
    assert unknown[0]["code"] == "unwitnessed"
    assert "CRED-11" not in {item["id"] for item in report["checks"]}
    # The node says the same of it, under the lists that it holds, and asks for its own country.
    await port.store.write(trust_rows.put_list, port.members.current, 1)
    answer = await asyncio.to_thread(cli, "verify", str(bundle), "--home", home, "--json")
    by_node = json.loads(answer[1])["checks"]
    given = ("--trust", str(trust), "--country", "NL", "--json")
    for words in (("verify", str(bundle)), ("evidence", "verify", str(bundle))):
        answer = await asyncio.to_thread(cli, *words, *given)
        assert answer[0] == 1
        assert json.loads(answer[1])["checks"] == by_node, answer
    named = [item for item in by_node if item["id"] == "CRED-11"]
    assert by_node == report["checks"] + named
    # No witness, no moment: what was agreed at it is not known.
    assert {item["outcome"] for item in named} == {"INDETERMINATE"}
    assert named[0]["reason"].startswith("documents/001-")
    for place in (("--trust", str(trust)), ("--home", home)):
        words = ("verify", str(bundle), "--audience", "me", "--nonce", "n-1", *place)
        answer = await asyncio.to_thread(cli, *words)
        assert answer[0] == 2
        assert "bundle_question" in answer[2]


def test_offline_without_a_list_or_with_a_bad_one_says_what_to_do(tmp_path: Path) -> None:
    file, bad = tmp_path / "x.vc", tmp_path / "bad.json"
    file.write_bytes(b"nothing")
    bad.write_bytes(b"{}")
    code, _, told = cli("verify", str(file), "--offline")
    assert code == 2
    assert "trust_needed" in told
    code, _, told = cli("verify", str(file), "--trust", str(bad))
    assert code == 2
    assert "trust_list_unreadable" in told
    code, _, told = cli("verify", str(tmp_path / "none.vc"), "--trust", str(bad))
    assert code == 2
    code, _, told = cli("evidence", "verify", str(file), "--trust", str(tmp_path / "none.json"))
    assert code == 2
    assert "file_unreadable" in told


# --- release corners --------------------------------------------------------------------------


async def test_release_says_what_it_cannot_do(network: tuple[Made, dict[str, Node]]) -> None:
    _, nodes = network
    client = road.operator(nodes["nl-port"])
    with pytest.raises(NotFoundError):
        await client.aget(f"/v1/releases/{road.BOX}")
    with pytest.raises(MalformedError):
        await client.aget("/v1/releases/nobox")
    with pytest.raises(MalformedError):
        await client.apost(f"/v1/releases/{road.BOX}/sign", {"minutes": 999})
    with pytest.raises(NotFoundError):
        await client.apost(f"/v1/releases/{road.BOX}/gate-out", {"order": "00" * 32})
    customs = road.operator(nodes["nl-customs"])
    with pytest.raises(ForbiddenError) as caught:
        await customs.apost(f"/v1/releases/{road.BOX}/sign", {"consignment": road.UCR})
    assert caught.value.code == "release_not_ours"
    with pytest.raises(NotFoundError):
        await client.apost("/v1/evidence", {"consignment": "nothing"})


async def test_the_container_alone_finds_its_consignment(
    network: tuple[Made, dict[str, Node]],
) -> None:
    _, nodes = network
    await road.issue(nodes, "bill-of-lading", ("nl-port",))
    shown = await road.operator(nodes["nl-port"]).aget(f"/v1/releases/{road.BOX}")
    assert shown["consignment"] == road.UCR
    states = {item["id"]: item["state"] for item in shown["conditions"]}
    assert states["REL-010"] == "met"
    assert states["REL-020"] == "unknown"
