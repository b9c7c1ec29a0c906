"""Founding, joining, signing and following between running nodes (R1, R4, R5)."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from node import fsck
from node.documents.service import DocumentService
from node.store import events
from node.trust import founding, rows, tables
from node.trust.service import TrustService
from protocols import joining, member_list, times
from protocols.digest import sha256
from protocols.joining import Right
from protocols.member_list import KeyStanding
from schemas import strict_json
from schemas.errors import ConflictError, TradeError
from schemas.findings import Outcome
from tests.integration.log.test_fsck import every, remove, try_damage
from tests.support import founded_homes
from tests.support.postgres import create_database
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection, Table

    from node.home import Home
    from node.runtime import Node

_numbers = itertools.count(1)
SERVICES = (("trust", TrustService), ("documents", DocumentService))
RIGHT = Right("certificate-of-origin", "NL")


def run(home: Home) -> Any:
    return running_node(home, services=SERVICES)


async def eventually(
    check: Callable[[], Awaitable[object] | object], seconds: float = 30.0
) -> None:
    async with asyncio.timeout(seconds):
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.02)


def network_of(node: Node) -> bytes:
    assert node.members.current is not None
    return node.members.current.network


async def admit(founder: Node, joiner: Node, **wish: Any) -> None:
    wants = [RIGHT] if wish else []
    await joiner.trust.join(founder.endpoint, network_of(founder), wants)
    client = founded_homes.client(founder)
    answer = await client.apost("/v1/trust/sign", {"all": True, **wish})
    assert answer["signed"][0]["published"] is True
    await eventually(lambda: joiner.members.current)


@pytest.fixture
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Home, Home]:
    sections: dict[str, dict[str, Any]] = {"alpha": {}, "beta": {}}
    if getattr(request, "param", "sqlite") == "postgresql":
        server: str = request.getfixturevalue("postgres_server")
        for name in sections:
            sections[name] = {"store": {"url": create_database(server, f"joining{next(_numbers)}")}}
    first = founded_homes.make(
        tmp_path, "alpha", "CN", "port", "carrier", "witness", **sections["alpha"]
    )
    founded_homes.found(first)
    second = founded_homes.make(tmp_path, "beta", "NL", "customs", "issuer", **sections["beta"])
    return first, second


on_both_stores = pytest.mark.parametrize("homes", ["sqlite", "postgresql"], indirect=True)


@on_both_stores
async def test_a_joiner_is_admitted_by_the_threshold_and_follows_the_list(
    homes: tuple[Home, Home],
) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        assert alpha.trust.ready() is None
        assert "no network" in beta.trust.ready()
        await admit(alpha, beta, grantWanted=True)
        members = beta.members.current
        assert (members.version, members.digest) == (2, alpha.members.current.digest)
        now = beta.clock.now()
        assert members.issuer_entry(beta.did, RIGHT.document_type, "NL", now) is not None
        assert beta.trust.ready() is None
        client = founded_homes.client(alpha)
        await client.apost("/v1/trust/sign", {"witnesses": [alpha.did], "quorum": 1})
        await eventually(lambda: beta.members.current.version == 3)
        assert "witness" in beta.members.current.logs_of(beta.did)[0].policy
        assert alpha.members.current.logs_of(alpha.did)[0].policy.endswith("quorum none\n")
        told = await beta.store.read(events.after, 0, 100)
        assert [one.kind for one in told] == ["join-asked", *["member-list"] * 3]
        assert all(one.leaf for one in told[1:])


async def test_fsck_misses_our_request_while_we_wait_and_not_once_we_are_admitted(
    homes: tuple[Home, Home],
) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await beta.trust.join(alpha.endpoint, network_of(alpha), [RIGHT])
        (asked,) = await beta.store.read(_every, tables.joining)
        await try_damage(beta, "FSCK-06", emptied(tables.joining))
        await founded_homes.client(alpha).apost("/v1/trust/sign", {"all": True})
        await eventually(lambda: beta.members.current)
        assert await beta.store.read(_every, tables.joining) == []
        found = await fsck.run_area(beta.store, beta.home, beta.keys, "FSCK-06")
        assert found.outcome is Outcome.PASSED
        (told,) = await beta.store.read(events.newest_of, "join-asked")
        assert told.detail["request"] == bytes(asked.id).hex()


@on_both_stores
async def test_fsck_finds_requests_proposals_and_forks_that_are_not_what_was_signed(
    homes: tuple[Home, Home],
) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        await alpha.store.write(_another_list_is_seen, beta.did)
        (proposed,) = await alpha.store.read(_every, tables.proposals)
        (asked,) = await alpha.store.read(_every, tables.requests)
        for node in (alpha, beta):
            report = await fsck.run(node.store, node.home, node.keys, node.clock)
            assert report.verdict is Outcome.PASSED, report.to_json()
        for table, values in (
            (tables.proposals, {"version": 7}),
            (tables.proposals, {"digest": bytes(32)}),
            (tables.proposals, {"state": "done"}),
            (tables.proposals, {"signed": b"{}"}),
            (tables.proposals, {"signed": _signed_by_nobody(proposed.signed)}),
            (tables.requests, {"did": "did:web:other.example"}),
            (tables.requests, {"id": bytes(32)}),
            (tables.requests, {"state": "done"}),
            (tables.requests, {"signed": _signed_by_nobody(asked.signed)}),
            (tables.forks, {"digest": bytes(32)}),
            (tables.forks, {"signed": b"{}"}),
        ):
            await try_damage(alpha, "FSCK-06", every(table, **values))
        for table in (tables.proposals, tables.requests, tables.forks):
            await try_damage(alpha, "FSCK-06", emptied(table))
        await try_damage(alpha, "FSCK-24", remove(events.events, "kind", "member-list"))
        await try_damage(alpha, "FSCK-24", remove(tables.lists, "version", 2))


def emptied(table: Table) -> Callable[[Connection], None]:
    """Every row of it is gone."""

    def damage(conn: Connection) -> None:
        conn.execute(table.delete())

    return damage


def _every(conn: Connection, table: Table) -> list[Any]:
    return list(conn.execute(table.select()).all())


def _another_list_is_seen(conn: Connection, did: str) -> None:
    """The second version again, as evidence."""
    second = rows.signed_lists(conn, 2)[0]
    digest = rows.digests(conn)[2]
    named = {"version": 2, "digest": digest, "did": did, "signed": second}
    rows.put_fork(conn, **named, detail={}, now_ms=1)


def _signed_by_nobody(signed: bytes) -> bytes:
    body = json.loads(bytes(signed))
    for one in body["signatures"]:
        one["signature"] = "A" * 86
    return strict_json.canonical(body)


async def test_a_stored_list_is_there_after_a_restart(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        digest = beta.members.current.digest
    async with run(homes[1]) as beta:
        assert beta.members.current.digest == digest


async def test_r5_a_joiner_refuses_a_list_of_another_network(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        with pytest.raises(TradeError) as caught:
            await beta.trust.join(alpha.endpoint, bytes(32))
        assert caught.value.code == "member_list_other_network"
        assert beta.members.current is None


async def test_r4_two_roots_sign_one_after_the_other(tmp_path: Path) -> None:
    first = founded_homes.make(tmp_path, "alpha", "CN", "port")
    founded_homes.found(first, threshold=2)
    moved = first.keys / "root-2.pem"
    away = tmp_path / "root-2.pem"
    moved.rename(away)
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    async with run(first) as alpha, run(second) as beta:
        await beta.trust.join(alpha.endpoint, network_of(alpha))
        client = founded_homes.client(alpha)
        looked = await client.apost("/v1/trust/sign", {"all": True, "dryRun": True})
        assert looked["signed"][0]["signatures"] == 0
        assert looked["signed"][0]["changes"][0].startswith("admits node did:web:beta.example")
        one = (await client.apost("/v1/trust/sign", {"all": True}))["signed"][0]
        assert (one["signatures"], one["published"]) == (1, False)
        waiting = await client.aget("/v1/trust/requests")
        assert (waiting["proposals"][0]["signatures"], len(waiting["requests"])) == (1, 1)
        assert beta.members.current is None
        away.rename(moved)
        two = (await client.apost("/v1/trust/sign"))["signed"][0]
        assert two["published"] is True
        await eventually(lambda: beta.members.current)
        assert (await client.aget("/v1/trust/requests"))["requests"] == []


async def test_a_node_without_a_root_signs_nothing(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        with pytest.raises(TradeError) as caught:
            await founded_homes.client(beta).apost("/v1/trust/sign", {"all": True})
        assert caught.value.code == "not_a_root"
        with pytest.raises(TradeError) as caught:
            await founded_homes.client(alpha).apost("/v1/trust/sign")
        assert caught.value.code == "nothing_to_sign"


async def test_a_member_asks_a_root_at_another_node_for_a_right(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        wants = [{"documentType": "quality-certificate", "country": "NL"}]
        await founded_homes.client(beta).apost("/v1/trust/ask", {"wants": wants})
        client = founded_homes.client(alpha)

        async def arrived() -> bool:
            return bool((await client.aget("/v1/trust/requests"))["requests"])

        await eventually(arrived)
        await client.apost("/v1/trust/sign", {"all": True, "grantWanted": True})
        await eventually(lambda: beta.members.current.version == 3)
        rights = beta.members.current.rights_of(beta.did, beta.clock.now())
        assert [right.document_type for right in rights] == ["quality-certificate"]


async def test_a_request_waits_until_the_list_grants_all_that_it_wants_or_it_is_refused(
    homes: tuple[Home, Home], capsys: pytest.CaptureFixture[str]
) -> None:
    from node.cli.main import build

    def call(*arguments: str) -> str:
        whole = [*arguments, "--home", str(homes[0].path)]
        build(whole)(whole, standalone_mode=False)
        return capsys.readouterr().out

    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        asked = await beta.trust.join(alpha.endpoint, network_of(alpha), [RIGHT])
        client, url = founded_homes.client(alpha), f"{alpha.endpoint}/px/1/join"
        # Admitted, and without the right: it is a member, and its request is not settled.
        await client.apost("/v1/trust/sign", {"all": True})
        await eventually(lambda: beta.members.current)
        (waits,) = (await client.aget("/v1/trust/requests"))["requests"]
        lacks = [f"adds right {beta.did}: {RIGHT.document_type} for {RIGHT.country}"]
        assert (waits["id"], waits["missing"]) == (asked.digest.hex(), lacks)
        answer = await beta.client.open_call("GET", f"{url}/{asked.digest.hex()}")
        state = strict_json.loads_object(answer.body)
        assert (state["state"], state["missing"]) == ("pending", lacks)
        # No newer list settles it that does not grant it; the one that does, settles it.
        await client.apost("/v1/trust/sign", {"expires": "2040-01-01T00:00:00Z"})
        assert len((await client.aget("/v1/trust/requests"))["requests"]) == 1
        await client.apost("/v1/trust/sign", {"all": True, "grantWanted": True})
        assert (await client.aget("/v1/trust"))["pending"] == 0
        assert await alpha.trust.joining.state(asked.digest) == ("admitted", [])

        # What is not to be granted is refused by the operator, once, and the asker is told.
        await eventually(lambda: beta.members.current.version == alpha.members.current.version)
        more = (Right("quality-certificate", "NL"),)
        other = beta.trust.joining.request_for(beta.members.current, wants=more)
        await alpha.trust.joining.receive(other.signed)
        refusal = ("trust", "refuse", other.digest.hex(), "--why", "no such office")
        assert await asyncio.to_thread(call, *refusal) == "1 refused\n"
        assert await alpha.trust.joining.state(other.digest) == ("dropped", [])
        told = await alpha.store.read(events.newest_of, "join-refused")
        assert told[0].detail["why"] == "no such office"
        with pytest.raises(TradeError, match="join_request_unknown"):
            await asyncio.to_thread(call, *refusal)
        assert (await client.aget("/v1/trust"))["pending"] == 0


async def test_what_a_node_said_of_itself_later_settles_what_it_said_before(
    homes: tuple[Home, Home],
) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        joining_, members = alpha.trust.joining, alpha.members.current
        asked = []
        for name in ("Second name", "Third name"):
            entry = replace(members.node(beta.did), name=name)
            signed = joining.build(
                network=members.network,
                node=entry,
                issued_at=beta.clock.now(),
                signers=[beta.keys.signer_for(key.kid) for key in entry.keys],
            )
            asked.append(await joining_.receive(signed))
        # Of the same millisecond, ids would decide which was the later one.
        await alpha.store.write(_received_before, asked[0].digest)
        await founded_homes.client(alpha).apost(
            "/v1/trust/sign", {"requests": [asked[1].digest.hex()]}
        )
        assert alpha.members.current.node(beta.did).name == "Third name"
        states = [(await joining_.state(one.digest))[0] for one in asked]
        assert states == ["dropped", "admitted"]


def _received_before(conn: Connection, asked: bytes) -> None:
    row = tables.requests.c
    conn.execute(tables.requests.update().where(row.id == asked).values(received_at=1))


async def test_a_member_has_a_hosted_party_listed(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        here, did = founded_homes.client(beta), "did:web:exporter.example"
        asked = {"parties": [{"did": did, "name": "Exporter"}]}
        with pytest.raises(TradeError) as caught:
            await here.apost("/v1/trust/ask", asked)
        assert caught.value.code == "key_missing"
        made = beta.keys.create_party("exporter", did)
        await here.apost("/v1/trust/ask", asked)
        client = founded_homes.client(alpha)

        async def arrived() -> bool:
            return bool((await client.aget("/v1/trust/requests"))["requests"])

        await eventually(arrived)
        await client.apost("/v1/trust/sign", {"all": True})
        await eventually(lambda: beta.members.current.version == 3)
        party = beta.members.current.party(did)
        assert (party.name, party.host) == ("Exporter", beta.did)
        assert [key.public for key in party.keys] == [made.public()]


@on_both_stores
async def test_r4_another_digest_for_a_version_is_an_alarm_and_a_refusal(
    homes: tuple[Home, Home],
) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        held = alpha.members.current
        with pytest.raises(ConflictError) as caught:
            alpha.trust.seen_members(beta.did, held.version, bytes(32))
        assert caught.value.code == "member_list_fork"

        async def alarmed() -> bool:
            told = await alpha.store.read(events.after, 0, 100)
            return any(one.kind == "alarm" and one.actor == beta.did for one in told)

        await eventually(alarmed)
        assert alpha.members.current is held
        forked = sign_fork(alpha, homes[0])
        with pytest.raises(ConflictError):
            await alpha.trust.follower.accept([forked], source=beta.did)
        assert alpha.members.current is held


def sign_fork(alpha: Node, home: Home) -> bytes:
    """Another version 2, signed by the true root."""
    lists = member_list.read_export((home.path / founding.FOUNDING_FILE).read_bytes())
    first = member_list.open_founding(lists[0])
    now = alpha.clock.now()
    draft = member_list.MemberListDraft.after(first, issued_at=now, expires=first.expires)
    return member_list.sign_list(draft.payload(), [alpha.keys.signer("root")])


async def test_r12_a_call_that_shows_a_forked_list_is_refused(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        true = beta.members.current
        beta.members.current = replace(true, digest=bytes(32))
        answer = await beta.client.call(alpha.did, "POST", "/px/1/members/notice")
        assert (answer.status, b"member_list_fork" in answer.body) == (409, True)
        beta.members.current = true
        answer = await beta.client.call(alpha.did, "POST", "/px/1/members/notice")
        assert answer.status == 204


async def test_r17_a_compromise_is_announced_by_the_next_list(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        client, kid = founded_homes.client(alpha), f"{beta.did}#credential-1"
        since = times.to_text(alpha.members.current.issued_at)
        body = {
            "compromised": [{"kid": kid, "since": since}],
            "ends": [{"key": f"{beta.did}#release-1"}],
        }
        await client.apost("/v1/trust/sign", body)
        members = alpha.members.current
        key = members.key(kid)
        assert key.standing(members.issued_at, proven=True) is KeyStanding.COMPROMISED
        assert key.standing(key.compromised_from, proven=True) is KeyStanding.DOUBTFUL
        assert not members.key(f"{beta.did}#release-1").valid_at(members.issued_at)
        await eventually(lambda: beta.members.current.version == 3)
        with pytest.raises(TradeError) as caught:
            await client.apost("/v1/trust/sign", {"ends": [{"key": "did:web:x.example#title-1"}]})
        assert caught.value.code == "key_not_on_list"


async def test_every_version_is_served_and_exported(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        client = founded_homes.client(beta)
        exported = (await client.arequest("GET", "/v1/trust/export")).body
        opened = member_list.open_export(exported, network=network_of(alpha))
        assert opened == alpha.members.current
        answer = await alpha.client.open_call("GET", f"{beta.endpoint}/px/1/members?from=2")
        assert member_list.read_export(answer.body) == [opened.signed]
        shown = await client.aget("/v1/trust")
        assert (shown["version"], shown["freshness"]) == (2, "fresh")
        assert shown["rootKeys"] == []


async def test_requests_that_do_not_prove_themselves_are_refused(homes: tuple[Home, Home]) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        asked = beta.trust.joining.request_for(alpha.members.current)
        envelope = strict_json.loads_object(asked.signed)
        envelope["signatures"] = envelope["signatures"][1:]
        url = f"{alpha.endpoint}/px/1/join"
        answer = await beta.client.open_call("POST", url, strict_json.canonical(envelope))
        assert (answer.status, b"join_unproven" in answer.body) == (422, True)
        answer = await beta.client.open_call("POST", url, b"{}")
        assert answer.status == 400
        answer = await beta.client.open_call("GET", f"{url}/{sha256(b'x').hex()}")
        assert answer.status == 404
        answer = await beta.client.open_call("POST", url, asked.signed)
        assert answer.status == 202
        state = await beta.client.open_call("GET", f"{url}/{asked.digest.hex()}")
        assert b'"pending"' in state.body


async def test_a_listed_did_is_not_taken_over(homes: tuple[Home, Home], tmp_path: Path) -> None:
    async with run(homes[0]) as alpha, run(homes[1]) as beta:
        await admit(alpha, beta)
        thief = founded_homes.make(tmp_path / "other", "beta", "NL", "customs")
        async with run(thief) as other:
            with pytest.raises(ConflictError) as caught:
                await other.trust.join(alpha.endpoint, network_of(alpha))
            assert caught.value.code == "join_did_taken"
        own = await alpha.store.read(rows.pending_requests)
        assert own == []
        again = beta.trust.joining.request_for(beta.members.current)
        assert joining.is_admitted(again, alpha.members.current)


async def test_the_command_line_reads_the_same(
    homes: tuple[Home, Home], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from node.cli.main import build

    def call(*arguments: str) -> str:
        build(arguments)(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    async with run(homes[0]) as alpha:
        home = str(homes[0].path)
        shown = await asyncio.to_thread(call, "trust", "show", "--home", home)
        assert alpha.members.current.name in shown
        shown = await asyncio.to_thread(call, "trust", "show", "--pending", "--home", home)
        assert "Requests to join" in shown
        signed = await asyncio.to_thread(
            call, "trust", "sign", "--issuer", "aeo-status:CN", "--home", home
        )
        assert "version 2: in force" in signed
        file = homes[0].path / "list.json"
        await asyncio.to_thread(call, "trust", "export", "-o", str(file), "--home", home)
        assert member_list.open_export(file.read_bytes()).version == 2
