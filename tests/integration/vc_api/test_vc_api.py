"""The VC-API mode of a running node over HTTPS: every form, refusals, and where it runs."""

from __future__ import annotations

import io
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from node.home import Home
from node.settings import load
from node.vc_api import forms
from node.vc_api.service import VcApiService
from node.verification.contexts import ContextStore
from protocols.member_list import MemberList
from schemas.errors import SettingsError
from tests.shared import shared_path
from tests.support import evidence_world
from tests.support.running import make_home, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node

SETTINGS = {"vc_api": {"enabled": True, "port": 0}}
CREDENTIAL = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiableCredential"],
    "credentialSubject": {"id": "did:example:subject", "name": "Example"},
}
PRESENTATION = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiablePresentation"],
}
ASKED = {"challenge": "n-1", "domain": "https://verifier.example"}


class Caller:
    """Calls the VC-API of a node as a stranger would."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base, self._session = base, session

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self._session.post(
            self.base + path, data=io.BytesIO(data), headers=headers
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str) -> tuple[int, Any]:
        async with self._session.get(self.base + path) as answer:
            return answer.status, await answer.json(content_type=None)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[tuple[Node, Caller]]:
    """A node in no network, in VC-API mode, with the standards' contexts imported."""
    home = make_home(tmp_path / "home", settings=SETTINGS)
    folder = shared_path("vectors/credentials/contexts")
    store = ContextStore(home.path / "contexts")
    for name in ("cred-v2.json", "di-v2.json", "cred-v1.json"):
        store.add((folder / name).read_bytes())
    async with running_node(home) as node:
        trusted = ssl.create_default_context(cafile=home.path / "vc-api" / "certificate.pem")
        connector = aiohttp.TCPConnector(ssl=trusted, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield node, Caller(node.vc_api.url, session)


async def test_every_family_issues_verifies_and_refuses_what_was_altered(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, caller):
        _, told = await caller.get("/issuers")
        assert len(told["issuers"]) == len(forms.all_families()) == 15
        for one in told["issuers"]:
            await _there_and_back(caller, one["path"], one["id"])


async def _there_and_back(caller: Caller, path: str, did: str) -> None:
    status, issued = await caller.post(f"{path}/credentials/issue", {"credential": CREDENTIAL})
    assert status == 201, (path, issued)
    status, answer = await caller.post(
        f"{path}/credentials/verify", {"verifiableCredential": issued}
    )
    assert (status, answer["verified"]) == (200, True), (path, answer)
    assert answer["document"]["issuer"] == did
    status, shown = await caller.post(
        f"{path}/presentations/issue",
        {"presentation": {**PRESENTATION, "verifiableCredential": [issued]}, "options": ASKED},
    )
    assert status == 201, (path, shown)
    body = {"verifiablePresentation": shown, "options": ASKED}
    status, answer = await caller.post(f"{path}/presentations/verify", body)
    assert (status, answer["verified"]) == (200, True), (path, answer)
    status, answer = await caller.post(
        f"{path}/presentations/verify", {**body, "options": {**ASKED, "challenge": "n-2"}}
    )
    assert status == 422
    assert answer["type"] == "https://w3id.org/security#INVALID_CHALLENGE_ERROR"
    text = json.dumps(issued)
    altered = json.loads(text.replace("Example", "Exampel"))
    if altered == issued:  # in an envelope: one character of the signature
        place = -9
        other = "A" if issued["id"][place] != "A" else "B"
        altered = {**issued, "id": issued["id"][:place] + other + issued["id"][place + 1 :]}
    status, answer = await caller.post(
        f"{path}/credentials/verify", {"verifiableCredential": altered}
    )
    assert status in (400, 422), path
    assert answer["verified"] is False


REFUSED: dict[str, tuple[str, Any, int, str]] = {
    "no json": ("credentials/issue", b"{", 400, "PARSING_ERROR"),
    "a name twice": (
        "credentials/issue",
        b'{"credential":{},"credential":{}}',
        400,
        "PARSING_ERROR",
    ),
    "no document": ("credentials/issue", {"options": {}}, 400, "vc_api_request_malformed"),
    "no type": (
        "credentials/issue",
        {"credential": {**CREDENTIAL, "type": []}},
        400,
        "MALFORMED_VALUE_ERROR",
    ),
    "a null issuer": (
        "credentials/issue",
        {"credential": {**CREDENTIAL, "issuer": None}},
        400,
        "MALFORMED_VALUE_ERROR",
    ),
    "a context nobody imported": (
        "credentials/issue",
        {"credential": {**CREDENTIAL, "@context": [*CREDENTIAL["@context"], "https://a.example/"]}},
        422,
        "proof_contexts_missing",
    ),
    "a word defined anew": (
        "credentials/issue",
        {"credential": {**CREDENTIAL, "@context": [*CREDENTIAL["@context"], {"name": "urn:x:y"}]}},
        422,
        "PROOF_TRANSFORMATION_ERROR",
    ),
    "a proof that is none": (
        "credentials/verify",
        {"verifiableCredential": {**CREDENTIAL, "issuer": "did:example:a", "proof": None}},
        400,
        "PARSING_ERROR",
    ),
    "a text of JSON": (
        "credentials/verify",
        {"verifiableCredential": json.dumps(CREDENTIAL)},
        400,
        "vc_api_request_malformed",
    ),
    "a presentation of texts": (
        "presentations/issue",
        {"presentation": {**PRESENTATION, "verifiableCredential": ["eyJ"]}},
        400,
        "MALFORMED_VALUE_ERROR",
    ),
}


async def test_rejections_are_problem_documents_and_never_a_fault(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, caller):
        for name, (path, body, expected, kind) in REFUSED.items():
            status, answer = await caller.post(f"/ecdsa-jcs-2019/p-256/{path}", body)
            assert status == expected, (name, answer)
            assert answer["type"].endswith(kind), (name, answer)
            assert answer["verified"] is False
            assert answer["problemDetails"][0]["type"] == answer["type"]
        status, _ = await caller.post("/ecdsa-sd-2023/p-256/credentials/issue", {})
        assert status == 404


async def test_group_24_a_presentation_is_not_verified_as_a_credential(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, caller):
        for path in ("/eddsa-jcs-2022/ed25519", "/jose/p-384", "/cose/ed25519"):
            body = {"presentation": PRESENTATION}
            _, shown = await caller.post(f"{path}/presentations/issue", body)
            body = {"verifiableCredential": shown}
            status, answer = await caller.post(f"{path}/credentials/verify", body)
            assert (status, answer["code"]) == (400, "jws_typ_unexpected")
            _, issued = await caller.post(f"{path}/credentials/issue", {"credential": CREDENTIAL})
            body = {"verifiablePresentation": issued}
            status, answer = await caller.post(f"{path}/presentations/verify", body)
            assert (status, answer["code"]) == (400, "jws_typ_unexpected")


async def test_a_status_that_is_set_refuses_and_survives_a_restart(tmp_path: Path) -> None:
    path = "/ecdsa-jcs-2019/p-384"
    options = {"credentialStatus": {"type": "x", "statusPurpose": "suspension"}}
    async with running(tmp_path) as (node, caller):
        body = {"credential": CREDENTIAL, "options": options}
        _, issued = await caller.post(f"{path}/credentials/issue", body)
        asked = {"verifiableCredential": issued}
        assert (await caller.post(f"{path}/credentials/verify", asked))[0] == 200
        change = {"credentialStatus": issued["credentialStatus"], "status": True}
        assert (await caller.post(f"{path}/credentials/status", change))[0] == 200
        status, answer = await caller.post(f"{path}/credentials/verify", asked)
        assert (status, answer["code"]) == (422, "suspended")
        asked["options"] = {"checks": ["proof"]}
        assert (await caller.post(f"{path}/credentials/verify", asked))[0] == 200
        status, listed = await caller.get("/status-lists/suspension")
        assert status == 200
        body = {"verifiableCredential": listed}
        assert (await caller.post(f"{path}/credentials/verify", body))[0] == 200
        change["status"] = False
        assert (await caller.post(f"{path}/credentials/status", change))[0] == 200
        asked.pop("options")
        assert (await caller.post(f"{path}/credentials/verify", asked))[0] == 200
        foreign = {**change["credentialStatus"], "statusListIndex": "7"}
        status, _ = await caller.post(
            f"{path}/credentials/status", {"credentialStatus": foreign, "status": True}
        )
        assert status == 422
        issuers = (await caller.get("/issuers"))[1]
        home = node.home
    async with running_node(home) as again:
        found = again.keys.issuer("ES384").kid.partition("#")[0]
        assert found in {one["id"] for one in issuers["issuers"]}


async def test_conceal_makes_members_disclosable(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, caller):
        body = {"credential": CREDENTIAL, "options": {"conceal": ["/credentialSubject/name"]}}
        status, issued = await caller.post("/sd-jwt/p-256/credentials/issue", body)
        assert status == 201
        assert issued["id"].startswith("data:application/vc+sd-jwt,")
        text = issued["id"].partition(",")[2]
        bare = text.split("~")[0] + "~"
        body = {"verifiableCredential": bare}
        status, answer = await caller.post("/sd-jwt/p-256/credentials/verify", body)
        assert status == 200
        assert "name" not in answer["document"]["credentialSubject"]


async def test_the_mode_is_off_by_default_and_listens_nowhere(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    assert load(home.settings_file).vc_api.enabled is False
    async with running_node(home) as node:
        assert node.vc_api.url == ""
        assert not (home.path / "vc-api").exists()
        assert all("vc-api" not in route.tag for one in node.services for route in one.routes())


class _InNetwork:
    """Puts a list in force before the VC-API starts."""

    name = "in_network"

    def __init__(self, node: Node, members: MemberList) -> None:
        self._node, self._members = node, members

    def routes(self) -> tuple[()]:
        return ()

    async def start(self) -> None:
        self._node.members.replace(self._members)

    async def stop(self) -> None:
        return

    def ready(self) -> None:
        return None


@pytest.mark.parametrize("test", [True, False])
async def test_it_starts_in_a_test_network_only_and_ends_where_one_is_joined(
    tmp_path: Path, test: bool
) -> None:
    members = _members(test=test)
    home: Home = make_home(tmp_path / "home", settings=SETTINGS)
    composed = [("in_network", lambda node: _InNetwork(node, members)), ("vc_api", VcApiService)]
    if test:
        async with running_node(home, services=composed) as node:
            assert node.vc_api.url.startswith("https://127.0.0.1:")
            node.members.replace(_members(test=False))
            assert node.vc_api._ending is not None
            await node.vc_api._ending
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.ClientConnectorError):
                    await session.get(f"{node.vc_api.url}/issuers")
        return
    with pytest.raises(SettingsError) as caught:
        async with running_node(home, services=composed):
            pass
    assert caught.value.code == "vc_api_not_here"


def _members(*, test: bool) -> MemberList:
    from dataclasses import replace

    return evidence_world.founded(replace(evidence_world.draft(), test=test))
