"""Contexts at a running verifier: imported once, never fetched, no graph keeps anybody waiting."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from node.operator import OperatorClient
from node.verification import canonicaliser
from node.verification.canonicaliser import Canonicaliser, Limits
from node.verification.contexts import ContextStore
from protocols import keys
from protocols.credentials import data_integrity, multikey
from schemas.errors import NotFoundError, RefusedError, SettingsError, UnavailableError
from tests.shared import shared_path
from tests.support.network import Member, did_of, make_network, running_network
from tests.support.process import pratique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node
    from tests.support.network import Made

V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
NAME = "nl-customs"
DOCUMENT = {
    "@context": [V2, EXAMPLES],
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential"],
    "issuer": did_of(NAME),
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "urn:s", "seen": "everything"},
}
#: What another request may wait longer, at most, while a poison graph is looked at.
DELAY_SECONDS = 0.1
#: One document's time for graphs that end, however busy the machine is; and for one that does not.
AMPLE, SHORT = Limits(seconds=60.0, workers=1), Limits(seconds=0.3, workers=1)


def body(name: str) -> bytes:
    return shared_path(f"vectors/credentials/contexts/{name}.json").read_bytes()


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make_network(tmp_path, {NAME: Member(roles=("customs",), country="NL")})


@pytest.fixture
async def node(made: Made) -> AsyncIterator[Node]:
    async with running_network(made) as nodes:
        yield nodes[NAME]


def operator(node: Node) -> OperatorClient:
    return OperatorClient(node.local_url, node.token)


async def bring_in(node: Node, *names: str) -> None:
    for name in names:
        question = {"body": base64.b64encode(body(name)).decode()}
        await operator(node).apost("/v1/contexts", question)


def proof(node: Node) -> dict[str, Any]:
    """The options of a proof by the node's own key, with a signature that fits nothing."""
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": "ecdsa-rdfc-2019",
        "created": "2026-01-01T00:00:00Z",
        "verificationMethod": node.keys.signer("credential").kid,
        "proofPurpose": "assertionMethod",
        "proofValue": multikey.encode_base58(b"\x01" * 64),
    }


async def signature(node: Node, document: dict[str, Any]) -> dict[str, Any]:
    """CRED-03 of the node's report on a JSON credential."""
    file = base64.b64encode(json.dumps(document).encode()).decode()
    report = await operator(node).apost("/v1/verify", {"file": file})
    found: dict[str, Any] = next(one for one in report["checks"] if one["id"] == "CRED-03")
    return found


async def test_group_12_contexts_are_imported_once_and_never_fetched(node: Node) -> None:
    own = node.keys.signer("credential")
    made = data_integrity.draft(DOCUMENT, own, created=node.clock.now(), rdf=True)
    store = ContextStore.of_files(shared_path("vectors/credentials/contexts"))
    forms = await node.verification.rdf.canonicaliser.forms(made.inputs, store)
    signed = data_integrity.complete(made, own, forms)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        remote = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        found = await signature(node, signed | {"@context": [V2, EXAMPLES, remote]})
        assert (found["outcome"], found["code"]) == ("INDETERMINATE", "proof_contexts_missing")
        assert found["evidence"]["missing"] == [V2, EXAMPLES, remote]
        await bring_in(node, "cred-v2", "examples-v2")
        assert (await signature(node, signed))["outcome"] == "PASSED"
        found = await signature(node, signed | {"@context": [V2, EXAMPLES, remote]})
        assert found["evidence"]["missing"] == [remote]
        with pytest.raises(BlockingIOError):
            listener.accept()
    client = operator(node)
    listed = (await client.aget("/v1/contexts"))["contexts"]
    assert [one["url"] for one in listed] == [EXAMPLES, V2]
    await asyncio.to_thread(client.request, "DELETE", f"/v1/contexts?url={V2}")
    assert (await signature(node, signed))["evidence"]["missing"] == [V2]
    with pytest.raises(NotFoundError):
        await asyncio.to_thread(client.request, "DELETE", f"/v1/contexts?url={V2}")
    question = {"body": base64.b64encode(body("di-v2")).decode(), "url": V2}
    with pytest.raises(RefusedError, match="context_differs"):
        await client.apost("/v1/contexts", question)


async def test_group_12_a_changed_context_keeps_the_node_from_starting(made: Made) -> None:
    home = made.homes[NAME]
    place = ("--home", home.path)
    folder = shared_path("vectors/credentials/contexts")
    done = await asyncio.to_thread(pratique, "contexts", "import", folder, *place, "--json")
    assert len(json.loads(done.stdout)["contexts"]) == 9, done.stderr
    assert "index.json: no well-known context" in done.stderr
    (file,) = home.contexts.glob("59955ced*")
    file.write_bytes(file.read_bytes().replace(b"schema.org", b"schema.evil"))
    with pytest.raises(SettingsError, match=V2) as caught:
        async with running_network(made):
            pass
    assert caught.value.code == "context_damaged"
    for command in ("doctor", "fsck"):
        done = await asyncio.to_thread(pratique, command, *place, "--json")
        assert V2 in done.stdout, command
        assert done.returncode == 1


def clique(size: int) -> dict[str, Any]:
    """A small credential whose graph has no cheap order: blank nodes that all know each other."""
    names = [f"_:n{at}" for at in range(size)]
    knows = {"knows": {"@id": "https://a.example/knows", "@type": "@id"}}
    people = [{"id": one, "knows": [other for other in names if other != one]} for one in names]
    return DOCUMENT | {"@context": [V2, knows], "credentialSubject": people}


async def _share_waited(node: Node, until: asyncio.Task[Any]) -> float:
    """The share of the time in which `until` was under way that others waited for too long."""
    waited, all_begun = 0.0, time.perf_counter()
    async with aiohttp.ClientSession() as session:
        while not until.done():
            begun = time.perf_counter()
            async with session.get(f"{node.local_url}/healthz") as answer:
                await answer.read()
            took = time.perf_counter() - begun
            waited += took if took > DELAY_SECONDS else 0.0
            await asyncio.sleep(0.005)
    return waited / (time.perf_counter() - all_begun)


async def test_group_13_a_poison_graph_keeps_nobody_waiting(node: Node) -> None:
    await bring_in(node, "cred-v2", "examples-v2")
    await signature(node, DOCUMENT | {"proof": proof(node)})
    shares = []
    for size in (12, 10, 9):
        document = clique(size) | {"proof": proof(node)}
        asked = asyncio.create_task(signature(node, document))
        async with asyncio.timeout(60):  # unlimited, it would take for ever
            shares.append(await _share_waited(node, asked))
            found = await asked
        assert (found["outcome"], found["code"]) == ("INDETERMINATE", "rdf_limit_exceeded")
    # A machine that is busy with something else delays some; a blocked loop delays all, each time.
    assert min(shares) < 0.5, shares
    # The next proof is served by a new process.
    node.verification.rdf.canonicaliser.limits = AMPLE
    assert (await signature(node, DOCUMENT | {"proof": proof(node)}))["outcome"] == "FAILED"


async def test_group_13_proofs_of_others_do_not_queue_behind_poison(node: Node) -> None:
    await bring_in(node, "cred-v2", "examples-v2")
    pool = node.verification.rdf.canonicaliser
    pool.limits = AMPLE
    poison = [
        asyncio.create_task(signature(node, clique(10) | {"proof": proof(node)})) for _ in range(2)
    ]
    async with asyncio.timeout(60):
        while True:
            if len(pool._all) == len(poison):
                break
            await asyncio.sleep(0.005)
    good = await signature(node, DOCUMENT | {"proof": proof(node)})
    assert good["code"] == "proof_verification_error"
    assert not any(one.done() for one in poison)
    for worker in pool._all - set(pool._idle):
        os.kill(worker.pid, 9)
    assert {(await one)["code"] for one in poison} == {"rdf_limit_exceeded"}


# --- the pool of processes ----------------------------------------------------------------------


def contexts() -> ContextStore:
    return ContextStore.of_files(shared_path("vectors/credentials/contexts"))


async def test_workers_are_kept_replaced_and_ended() -> None:
    pool = Canonicaliser(AMPLE)
    first = await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())
    (kept,) = pool._all
    assert await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts()) == first
    assert pool._all == {kept}
    pool.limits = SHORT
    with pytest.raises(UnavailableError, match="rdf_limit_exceeded"):
        await pool.canonicalise(clique(10), digest="sha256", contexts=contexts())
    assert pool._all == set()
    with pytest.raises(ProcessLookupError):
        os.kill(kept.pid, 0)
    pool.limits = AMPLE
    assert await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts()) == first
    await pool.close()
    assert pool._all == set()


async def test_one_document_does_not_cost_its_limit_twice() -> None:
    pool = Canonicaliser(SHORT)
    own = keys.SoftwareSigner("did:example:x#key", ec.derive_private_key(7, ec.SECP256R1()))
    made = data_integrity.draft(clique(10), own, created=datetime(2026, 1, 1, tzinfo=UTC), rdf=True)
    inputs = (made.inputs[1], made.inputs[0])
    forms = await pool.forms(inputs, contexts())
    assert list(forms) == [inputs[0].key]
    await pool.close()


async def test_a_worker_that_was_ended_from_outside_is_replaced() -> None:
    pool = Canonicaliser(AMPLE)
    await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())
    (worker,) = pool._all
    os.kill(worker.pid, 9)
    await worker.wait()
    assert await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())
    await pool.close()


async def test_an_answer_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonicaliser, "MAX_ANSWER", 10)
    pool = Canonicaliser(AMPLE)
    with pytest.raises(UnavailableError, match="larger graph"):
        await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())
    assert pool._all == set()


async def test_workers_that_do_not_start_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(canonicaliser, "WORKER", tmp_path / "nothing.py")
    pool = Canonicaliser()
    with pytest.raises(UnavailableError, match="rdf_unavailable"):
        await pool.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())
    assert pool._all == set()
