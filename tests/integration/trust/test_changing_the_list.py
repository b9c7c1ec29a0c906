"""Changing a list between real nodes: files, rotation, import, forks; and asking about before."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.documents import documents
from node.store import events
from node.trust import founding
from protocols import member_list, times
from schemas import registry
from schemas.errors import ConflictError, TradeError
from tests.support import founded_homes
from tests.support.clocks import Leaping
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.home import Home
    from node.operator import OperatorClient
    from node.runtime import Node

COO = "certificate-of-origin"
EXAMPLE = registry.example(COO)
EXPORT = registry.examine(COO, EXAMPLE).view.export_country or "CN"
AGREEMENT = {"id": "nl-cn", "verifier": "NL", "issuer": EXPORT, "documentTypes": [COO]}


@pytest.fixture
def clock() -> Leaping:
    return Leaping()


async def eventually(check: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if check():
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def nodes(tmp_path: Path, clock: Leaping) -> AsyncIterator[tuple[Node, Node]]:
    """An issuer that founded a network, and customs in the Netherlands."""
    first = founded_homes.make(tmp_path, "alpha", EXPORT, "issuer", status={"ttl": 60.0})
    founded_homes.found(first, (COO, EXPORT))
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    async with (
        running_node(first, clock=clock) as alpha,
        running_node(second, clock=clock) as beta,
    ):
        assert alpha.members.current is not None
        await beta.trust.join(alpha.endpoint, alpha.members.current.network)
        body = {"all": True, "agreements": [AGREEMENT]}
        await founded_homes.client(alpha).apost("/v1/trust/sign", body)
        await eventually(lambda: beta.members.current)
        yield alpha, beta


async def sign(client: OperatorClient, proposal: Any, **more: Any) -> Any:
    body = {"proposal": proposal, **more}
    return (await client.apost("/v1/trust/sign", body))["signed"][0]


async def code_of(awaited: Any) -> str:
    with pytest.raises(TradeError) as caught:
        await awaited
    return caught.value.code


async def test_r4_roots_rotate_over_two_nodes_by_a_file(nodes: tuple[Node, Node]) -> None:
    alpha, beta = nodes
    here, there = founded_homes.client(alpha), founded_homes.client(beta)
    new = await there.apost("/v1/trust/roots")
    assert new["kid"] == f"{beta.did}#root-1"
    old = f"{alpha.did}#root-1"
    drafted = await here.apost(
        "/v1/trust/propose", {"roots": {"add": [new], "remove": [old], "threshold": 1}}
    )
    assert drafted["changes"][0] == f"changes the roots to 1 of {new['kid']}"
    assert drafted["signatures"] == 0
    # The new root alone is not enough, the old one alone neither.
    one = await sign(there, drafted["proposal"])
    assert (one["published"], one["signatures"], one["newSignatures"]) == (False, 0, 1)
    done = await sign(here, one["proposal"], root=old)
    assert done["published"]
    await eventually(lambda: beta.members.current.version == 3)
    later = await there.apost("/v1/trust/propose", {"days": 30})
    assert await code_of(sign(here, later["proposal"])) == "not_a_root"
    assert (await sign(there, later["proposal"]))["published"]
    await eventually(lambda: alpha.members.current.version == 4)
    # What followed an older list is told so, by whoever signs.
    assert await code_of(sign(there, drafted["proposal"])) == "proposal_outdated"


async def test_r5_lists_are_carried_by_file_and_linked_to_the_one_held(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    alpha, _ = nodes
    here = founded_homes.client(alpha)
    old = (await here.arequest("GET", "/v1/trust/export")).body
    await here.apost("/v1/trust/sign", {"days": 40, "algorithms": [
        {"id": "ES384", "until": "2035-01-01T00:00:00Z"}]})  # fmt: skip
    whole = (await here.arequest("GET", "/v1/trust/export")).body
    # It asks nobody for a newer list while this lasts: each comes by file.
    alone = {"check_interval": 3600.0}
    apart = founded_homes.make(tmp_path, "gamma", "SG", "port", members=alone)
    async with running_node(apart) as gamma:
        client = founded_homes.client(gamma)

        async def take(data: bytes, query: str = "") -> Any:
            answer = await client.arequest(
                "POST", "/v1/trust/import" + query, data,
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            return json.loads(answer.body)

        assert await code_of(take(old)) == "network_id_needed"
        assert await code_of(take(old, "?network=" + "0" * 64)) == "member_list_other_network"
        pinned = "?network=" + alpha.members.current.network.hex()
        assert (await take(old, pinned))["added"] == [1, 2]
        lists = member_list.read_export(whole)
        assert (await take(member_list.write_export(lists[2:])))["added"] == [3]
        assert (await take(whole))["added"] == []
        assert await code_of(take(old)) == "member_list_rollback"
        await here.apost("/v1/trust/sign", {"agreements": [{**AGREEMENT, "id": "more"}]})
        await here.apost("/v1/trust/sign", {"ends": [{"agreement": "more"}]})
        whole = (await here.arequest("GET", "/v1/trust/export")).body
        gap = member_list.write_export(member_list.read_export(whole)[4:])
        assert await code_of(take(gap)) == "member_list_not_next"
        assert gamma.members.current.version == 3


async def test_r4_a_fork_is_an_alarm_with_an_evidence_file(nodes: tuple[Node, Node]) -> None:
    alpha, beta = nodes
    lists = member_list.read_export((alpha.home.path / founding.FOUNDING_FILE).read_bytes())
    first = member_list.open_founding(lists[0])
    now = beta.clock.now()
    draft = member_list.MemberListDraft.after(first, issued_at=now, expires=first.expires)
    forked = member_list.sign_list(draft.payload(), [alpha.keys.signer("root")])
    held = beta.members.current
    with pytest.raises(ConflictError):
        await beta.trust.follower.accept([forked], source=alpha.did)
    assert beta.members.current is held
    told = await alarms_of(beta)
    assert told[0].detail["proven"] is True
    file = beta.home.evidence / told[0].detail["evidence"]
    both = member_list.read_export(file.read_bytes())
    assert [member_list.peek_version(one) for one in both] == [2, 2]
    assert both == [held.signed, forked]
    # Also when the version is no longer the newest, and comes in a file.
    other = member_list.sign_list(
        replace(draft, name="Another name").payload(), [alpha.keys.signer("root")]
    )
    here = founded_homes.client(alpha)
    await sign(here, (await here.apost("/v1/trust/propose", {"days": 90}))["proposal"])
    await eventually(lambda: beta.members.current.version == 3)
    client = founded_homes.client(beta)
    file_ = member_list.write_export([first.signed, other])
    taken = client.arequest("POST", "/v1/trust/import", file_, headers=JSON)
    assert await code_of(taken) == "member_list_fork"
    assert len(await alarms_of(beta)) == 2


async def test_r4_another_networks_list_is_refused_and_is_no_fork(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    """Whoever takes the wrong file has found no fraud by the roots."""
    foreign = founded_homes.make(tmp_path, "gamma", "SG", "customs")
    founded_homes.found(foreign)
    lists = (foreign.path / founding.FOUNDING_FILE).read_bytes()
    client = founded_homes.client(nodes[1])
    taken = client.arequest("POST", "/v1/trust/import", lists, headers=JSON)
    assert await code_of(taken) == "member_list_other_network"
    assert await alarms_of(nodes[1]) == []


JSON = {"Content-Type": "application/json"}


async def alarms_of(node: Node) -> list[Any]:
    return [one for one in await node.store.read(events.after, 0, 100) if one.kind == "alarm"]


async def issued(alpha: Node) -> tuple[str, bytes]:
    body = {"payload": base64.b64encode(EXAMPLE).decode()}
    made = await founded_homes.client(alpha).apost("/v1/documents", body)
    stored = await alpha.store.read(documents.require, bytes.fromhex(made["digest"]))
    return made["digest"], stored.file


async def ask(node: Node, file: bytes, at: str | None = None) -> Any:
    body = {"file": base64.b64encode(file).decode(), **({"at": at} if at else {})}
    return await founded_homes.client(node).apost("/v1/verify", body)


def check(report: Any, check_id: str) -> Any:
    return next(one for one in report["checks"] if one["id"] == check_id)


async def test_r25_yesterday_is_judged_by_the_list_and_the_status_of_yesterday(
    nodes: tuple[Node, Node], clock: Leaping
) -> None:
    alpha, beta = nodes
    digest, file = await issued(alpha)
    assert (await ask(beta, file))["verdict"] == "PASSED"
    before = times.to_text(beta.clock.now())
    clock.leap(days=1)
    await founded_homes.client(alpha).apost(f"/v1/documents/{digest}/revoke", {"reason": "error"})
    ends = [
        {"agreement": "nl-cn"},
        {"did": alpha.did, "right": {"documentType": COO, "country": EXPORT}},
    ]
    await founded_homes.client(alpha).apost("/v1/trust/sign", {"ends": ends})
    await eventually(lambda: beta.members.current.version == 3)
    now = await ask(beta, file)
    assert now["verdict"] == "FAILED"
    codes = {one["id"]: one.get("code") for one in now["checks"] if one["outcome"] == "FAILED"}
    assert codes == {"CRED-06": "issuer_without_right", "CRED-10": "revoked"}
    then = await ask(beta, file, before)
    assert then["verdict"] == "PASSED", then
    assert then["historical"]
    assert check(then, "CRED-12")["evidence"]["version"] == 2
    assert check(then, "CRED-10")["evidence"]["signedAt"] <= before
    again = await ask(beta, file, before)
    assert again == then
    # Before the network admitted the Netherlands there was no agreement.
    founding_time = member_list.open_founding(
        member_list.read_export((alpha.home.path / founding.FOUNDING_FILE).read_bytes())[0]
    ).issued_at
    early = await ask(beta, file, times.to_text(founding_time))
    assert check(early, "CRED-12")["evidence"]["version"] == 1
    assert early["verdict"] == "FAILED"
    shown = await founded_homes.client(beta).aget("/v1/trust", at=before)
    assert shown["version"] == 2
    # Before the founding there was none, and none is shown.
    before_all = times.to_text(founding_time - timedelta(seconds=1))
    asked = founded_homes.client(beta).aget("/v1/trust", at=before_all)
    assert await code_of(asked) == "member_list_not_yet"


async def test_a_change_that_would_change_nothing_for_a_typing_error_is_refused(
    nodes: tuple[Node, Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = founded_homes.client(nodes[0])
    ends = [{"id": "ES265", "until": "2035-01-01T00:00:00Z"}]
    asked = here.apost("/v1/trust/propose", {"algorithms": ends})
    assert await code_of(asked) == "algorithm_unknown"
    call = commands(nodes[0].home, capsys)
    mistyped = call("trust", "sign", str(tmp_path / "mistyped.json"))
    assert await code_of(mistyped) == "file_unreadable"


async def test_r21_a_member_makes_itself_able_to_take_a_registry_over_once(
    nodes: tuple[Node, Node],
) -> None:
    """An arbiter is its key (R19): a member may get one later, and no second one."""
    alpha, beta = nodes
    here, there = founded_homes.client(alpha), founded_homes.client(beta)
    made = await there.apost("/v1/keys", {"purpose": "registry"})
    asked = await there.apost("/v1/trust/ask", {"wants": []})
    await here.apost("/v1/trust/sign", {"requests": [asked["id"]]})
    assert alpha.members.current is not None
    assert alpha.members.current.key(made["kid"]) is not None
    again = there.apost("/v1/keys", {"purpose": "registry"})
    assert await code_of(again) == "key_is_the_only_one"


async def test_what_asks_for_nothing_new_makes_no_version(nodes: tuple[Node, Node]) -> None:
    alpha, beta = nodes
    here, there = founded_homes.client(alpha), founded_homes.client(beta)
    held = alpha.members.current
    assert held is not None
    assert await code_of(there.apost("/v1/trust/ask")) == "nothing_to_ask_for"
    # Also one that comes from elsewhere is not signed, and waits no longer.
    request = beta.trust.joining.request_for(held)
    await alpha.trust.joining.receive(request.signed)
    for wish in (
        {"requests": [request.digest.hex()]},
        {"all": True},
        {"agreements": [{**AGREEMENT, "validFrom": times.to_text(held.agreements[0].valid_from)}]},
    ):
        assert await code_of(here.apost("/v1/trust/propose", wish)) == "nothing_would_change"
    signed = here.apost("/v1/trust/sign", {"requests": [request.digest.hex()]})
    assert await code_of(signed) == "nothing_would_change"
    assert (await here.aget("/v1/trust/requests"))["requests"] == []
    assert alpha.members.current is held
    # A right that the node has is nothing new, and no second grant moves its beginning.
    (right,) = held.rights_of(alpha.did, alpha.clock.now())
    wants = [{"documentType": right.document_type, "country": right.country}]
    assert await code_of(here.apost("/v1/trust/ask", {"wants": wants})) == "nothing_to_ask_for"
    more = {"documentType": "quality-certificate", "country": EXPORT}
    asked = await here.apost("/v1/trust/ask", {"wants": [*wants, more]})
    body = {"requests": [asked["id"]]}
    assert await code_of(here.apost("/v1/trust/sign", body)) == "nothing_would_change"
    await here.apost("/v1/trust/sign", {**body, "grantWanted": True})
    assert right in alpha.members.current.issuers
    assert len(alpha.members.current.rights_of(alpha.did, alpha.clock.now())) == 2
    # To renew the list is no empty change.
    assert (await here.apost("/v1/trust/sign", {"expires": "2040-01-01T00:00:00Z"}))["signed"]


async def test_what_the_roots_state_of_a_member_survives_its_next_request(
    nodes: tuple[Node, Node],
) -> None:
    alpha, beta = nodes
    here, there = founded_homes.client(alpha), founded_homes.client(beta)
    edited = (await here.arequest("GET", "/v1/trust/list")).body
    listed = json.loads(edited)
    (entry,) = [one for one in listed["nodes"] if one["did"] == beta.did]
    entry |= {"countersignedFrom": "2035-01-01T00:00:00.000Z", "names": {"zh": "海关"}}
    await here.apost("/v1/trust/sign", {"list": listed})
    await eventually(lambda: beta.members.current.version == 3)
    assert await code_of(there.apost("/v1/trust/ask")) == "nothing_to_ask_for"
    made = await there.apost("/v1/keys", {"purpose": "title"})
    asked = await there.apost("/v1/trust/ask")
    await here.apost("/v1/trust/sign", {"requests": [asked["id"]]})
    kept = alpha.members.current.node(beta.did)
    assert made["kid"] in {key.kid for key in kept.keys}
    assert kept.names == {"zh": "海关"}
    assert times.to_text(kept.countersigned_from) == "2035-01-01T00:00:00.000Z"


def commands(home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    from node.cli.main import build

    def call(*arguments: str) -> str:
        whole = [*arguments, "--home", str(home.path)]
        build(whole)(whole, standalone_mode=False)
        return capsys.readouterr().out

    return lambda *arguments: asyncio.to_thread(call, *arguments)


async def test_the_commands_propose_compare_and_sign_a_file(
    nodes: tuple[Node, Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, beta = nodes
    here, there = commands(alpha.home, capsys), commands(beta.home, capsys)
    file, root = str(tmp_path / "next.json"), str(tmp_path / "root.json")
    await there("trust", "new-root", "-o", root)
    told = await here(
        "trust", "propose", "-o", file, "--add-root", root, "--threshold", "2",
        "--end-agreement", "nl-cn=2030-01-01", "--end-node", f"{beta.did}=2031-01-01",
        "--end-right", f"{alpha.did}={COO}:{EXPORT}=2032-01-01", "--expires", "2033-01-01",
        "--issuer", f"{beta.did}={COO}:{EXPORT}:office;until=2031-01-01;by={alpha.did}",
    )  # fmt: skip
    assert f"from 2030-01-01T00:00:00.000Z on NL no longer accept {COO} of {alpha.did}" in told
    assert "version 3" in await there("trust", "diff", file)
    assert "signatures: 1 of 1" in await here("trust", "sign", file)
    assert "nothing was signed" in await there("trust", "sign", file, "--dry-run")
    assert "in force" in await there("trust", "sign", file)
    await eventually(lambda: alpha.members.current.version == 3)
    entry = alpha.members.current.issuer_entry(beta.did, COO, EXPORT, beta.clock.now())
    assert entry is not None
    assert (entry.office, entry.delegated_by) == ("office", alpha.did)
    payload = tmp_path / "edited.json"
    payload.write_text((await here("trust", "show", "--list")).replace("Alpha", "Alpha Desk"))
    told = await here("trust", "propose", "-o", file, "--list", str(payload))
    assert "name: Alpha becomes Alpha Desk" in told
    out = str(tmp_path / "lists.json")
    await here("trust", "export", "-o", out)
    assert "new versions: none" in await there("trust", "import", out)
