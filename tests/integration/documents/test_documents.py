"""Issuing, handing out and revoking at running nodes (R2, R7, R8, R11, R18, R25)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ledger import log
from node.documents import documents, revoking, status
from node.documents.alarms import ListAlarms
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.store import events
from node.trust.service import TrustService
from protocols import verify
from protocols.credentials import credential, status_list
from protocols.log import leaf
from protocols.log.leaf import LeafKind
from schemas import registry, strict_json
from schemas.errors import RefusedError, TradeError
from tests.support import founded_homes
from tests.support.clocks import Leaping
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node

SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("exchange", ExchangeService),
)
KEY = "certificate-of-origin"
TTL = 60.0
EXAMPLE = registry.example(KEY)
NUMBER = registry.examine(KEY, EXAMPLE).view.number
SPS = registry.example("phytosanitary-certificate")
EXPORT = registry.examine(KEY, EXAMPLE).view.export_country or "CN"


def run(home: Home, **more: Any) -> Any:
    return running_node(home, services=SERVICES, **more)


async def eventually(check: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.02)


def order(payload: bytes = EXAMPLE, **more: Any) -> dict[str, Any]:
    return {"payload": base64.b64encode(payload).decode(), **more}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = founded_homes.make(tmp_path, "alpha", EXPORT, "issuer", "customs", status={"ttl": TTL})
    founded_homes.found(made, (KEY, EXPORT))
    return made


async def refused(node: Node, path: str, body: Any) -> TradeError:
    with pytest.raises(TradeError) as caught:
        await founded_homes.client(node).apost(path, body)
    return caught.value


async def test_a_document_is_examined_signed_logged_and_told_in_one_step(home: Home) -> None:
    async with run(home) as node:
        client = founded_homes.client(node)
        made = await client.apost("/v1/documents", order())
        assert (made["type"], made["number"], made["origin"]) == (KEY, NUMBER, "issued")
        stored = await node.store.read(documents.require, bytes.fromhex(made["digest"]))
        opened = credential.open_file(stored.file)
        assert (opened.file.digest, opened.file.payload) == (stored.digest, EXAMPLE)
        found = await node.store.read(log.find, stored.leaf)
        entry = leaf.decode(found.entry)
        assert (entry.kind, entry.subject) == (LeafKind.ISSUE, stored.subject)
        assert entry.commit == leaf.commit(stored.salt, stored.digest)
        told = [one for one in await node.store.read(events.after) if one.kind == "issued"]
        assert [(one.document, one.leaf) for one in told] == [(stored.digest, stored.leaf)]
        path = f"/v1/documents/{made['digest']}"
        whole = await client.arequest("GET", path, headers={"Accept": "application/vc+jwt"})
        assert whole.body == stored.file
        assert (await client.arequest("GET", path + "/payload")).body == EXAMPLE
        assert (await client.aget(path))["recipients"] == []
        with pytest.raises(TradeError) as caught:
            await client.aget(path + "/report")
        assert caught.value.code == "report_unknown"


async def test_what_is_issued_verifies(home: Home) -> None:
    async with run(home) as node:
        made = await founded_homes.client(node).apost("/v1/documents", order())
        stored = await node.store.read(documents.require, bytes.fromhex(made["digest"]))
        lists = await node.documents.statuses_for(node.did, stored.status_lists)
        report, verified = verify.verify_document(
            stored.file, members=node.members.current, at=node.clock.now(), status=lists
        )
        assert verified is not None, report.to_json()


async def test_the_same_bytes_give_the_same_document_and_others_a_conflict(home: Home) -> None:
    async with run(home) as node:
        client = founded_homes.client(node)
        first = await client.apost("/v1/documents", order())
        assert (await client.apost("/v1/documents", order()))["digest"] == first["digest"]
        other = EXAMPLE.replace(b"{", b"{ ", 1)
        assert (await refused(node, "/v1/documents", order(other))).code == "document_number_used"
        await client.apost(f"/v1/documents/{first['digest']}/revoke", {"reason": "wrong weight"})
        second = await client.apost("/v1/documents", order(other))
        stored = await node.store.read(documents.require, bytes.fromhex(second["digest"]))
        assert credential.open_file(stored.file).claims.replaces == bytes.fromhex(first["digest"])


async def test_what_is_wrong_is_named_and_nothing_is_stored(home: Home) -> None:
    async with run(home) as node:
        bad = EXAMPLE.replace(NUMBER.encode(), b"")
        error = await refused(node, "/v1/documents", order(bad))
        assert error.code == "document_has_errors"
        assert error.context["errors"]
        for body, code in (
            (order(b"hello"), "document_type_unclear"),
            (order(b"hello", type=KEY), "json_syntax"),
            (order(type="certificate-of-orign"), "unknown_document_type"),
            (order(SPS), "right_to_issue_missing"),
            (order(exportCountry="ZZ"), "order_contradicts_document"),
            (order(validUntil="2001-01-01T00:00:00Z"), "document_expired"),
            ({"payload": "%%%"}, "issue_malformed"),
            ({}, "issue_malformed"),
        ):
            assert (await refused(node, "/v1/documents", body)).code == code
        assert (await founded_homes.client(node).aget("/v1/documents"))["documents"] == []
        assert (await founded_homes.client(node).aget("/v1/trust"))["version"] == 1


async def test_r8_document_entry_leaf_and_event_commit_together(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(home) as node:
        before = await node.store.read(log.size)

        def fail(*_: object, **__: object) -> None:
            raise RefusedError("status_malformed", "made to fail")

        monkeypatch.setattr(events, "record", fail)
        assert (await refused(node, "/v1/documents", order())).code == "status_malformed"
        monkeypatch.undo()
        assert await node.store.read(documents.find) == []
        assert await node.store.read(log.size) == before
        await founded_homes.client(node).apost("/v1/documents", order())


async def test_pages_follow_each_other(home: Home) -> None:
    async with run(home) as node:
        client = founded_homes.client(node)
        for number in range(3):
            changed = EXAMPLE.replace(NUMBER.encode(), f"{NUMBER}-{number}".encode())
            await client.apost("/v1/documents", order(changed))
        page = await client.aget("/v1/documents", limit=2)
        rest = await client.aget("/v1/documents", limit=2, after=page["next"])
        assert (len(page["documents"]), len(rest["documents"]), rest["next"]) == (2, 1, None)
        one = await client.aget("/v1/documents", number=f"{NUMBER}-1", type=KEY)
        assert len(one["documents"]) == 1


async def test_a_revocation_is_in_the_signed_list_and_final(home: Home) -> None:
    async with run(home) as node:
        client = founded_homes.client(node)
        made = await client.apost("/v1/documents", order())
        path = f"/v1/documents/{made['digest']}"
        entry = status_list.StatusEntry(made["status"]["list"], made["status"]["index"])
        members, url = node.members.current, f"{node.endpoint}/status/1"

        async def served() -> status_list.StatusList:
            text = (await node.client.open_call("GET", url)).body.decode()
            return status_list.open_list(text, members=members, now=node.clock.now())

        before = await served()
        assert status_list.check(entry, before, issuer=node.did) is status_list.Status.VALID
        assert (await refused(node, path + "/revoke", {})).code == "revoke_malformed"
        done = await client.apost(path + "/revoke", {"reason": "pest found"})
        assert done["status"]["revoked"] is True
        after = await served()
        assert status_list.check(entry, after, issuer=node.did) is status_list.Status.REVOKED
        assert status_list.supersedes(after, before)
        assert (await refused(node, path + "/revoke", {"reason": "x"})).code == "already_revoked"
        assert (await client.aget(path))["status"]["reason"] == "pest found"
        unknown = await node.client.open_call("GET", f"{node.endpoint}/status/9")
        assert unknown.status == 404
        kinds = [leaf.decode(one.entry).kind for one in await node.store.read(log.read, 0, 99)]
        assert kinds == [LeafKind.MEMBER_LIST, LeafKind.ISSUE, LeafKind.STATUS]


async def test_r1_an_ended_key_issues_nothing(home: Home) -> None:
    async with run(home) as node:
        ends = [{"key": f"{node.did}#credential-1"}]
        await founded_homes.client(node).apost("/v1/trust/sign", {"ends": ends})
        assert (await refused(node, "/v1/documents", order())).code == "own_key_not_listed"


async def test_a_list_is_signed_anew_after_half_its_time(home: Home) -> None:
    clock = Leaping()
    async with run(home, clock=clock) as node:
        await founded_homes.client(node).apost("/v1/documents", order())
        first = await node.documents.signed_list("1")
        assert await node.documents.signed_list("1") == first
        clock.leap(seconds=TTL / 2)
        second = await node.documents.signed_list("1")
        older, newer = (status_list.parse_list(text)[1] for text in (first, second))
        assert newer.valid_from > older.valid_from
        assert newer.bits == older.bits


async def test_entries_are_random_and_a_half_full_list_is_followed_by_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(home) as node:
        monkeypatch.setattr(status, "CAPACITY", 2)
        entries = [
            await node.store.write(status.allocate, node.did, lambda _, at=index: at)
            for index in (7, 9, 7)
        ]
        assert [(one.list_url[-1], one.index) for one in entries] == [("1", 7), ("1", 9), ("2", 7)]
        with pytest.raises(TradeError) as caught:
            await node.store.write(status.allocate, node.did, lambda _: 7)
        assert caught.value.code == "status_list_full"


async def joined(alpha: Node, beta: Node) -> None:
    members = alpha.members.current
    assert members is not None
    await beta.trust.join(alpha.endpoint, members.network)
    await founded_homes.client(alpha).apost("/v1/trust/sign", {"all": True})
    await eventually(lambda: beta.members.current)
    await eventually(lambda: alpha.members.current.digest == beta.members.current.digest)


async def hand_over(alpha: Node, beta: Node, digest: bytes) -> None:
    """What the verification service does with a document that arrives: verify and keep."""
    stored = await alpha.store.read(documents.require, digest)
    lists = await beta.documents.statuses_for(stored.issuer, stored.status_lists)
    report, verified = verify.verify_document(
        stored.file, members=beta.members.current, at=beta.clock.now(), status=lists
    )
    assert verified is not None, report.to_json()
    now = beta.clock.now_ms()
    kept = await beta.store.write(documents.put_received, verified, sender=alpha.did, now_ms=now)
    assert kept
    await alpha.store.write(documents.add_recipient, digest, beta.did, now)


async def test_r11_a_revocation_is_pushed_to_recipients_and_relayed_by_forwarders(
    home: Home, tmp_path: Path
) -> None:
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    third = founded_homes.make(tmp_path, "gamma", "NL", "port")
    async with run(home) as alpha, run(second) as beta, run(third) as gamma:
        await joined(alpha, beta)
        await joined(alpha, gamma)
        await eventually(lambda: beta.members.current.version == 3)
        client = founded_homes.client(alpha)
        digest = bytes.fromhex((await client.apost("/v1/documents", order()))["digest"])
        await hand_over(alpha, beta, digest)
        await hand_over(beta, gamma, digest)
        await client.apost(f"/v1/documents/{digest.hex()}/revoke", {"reason": "pest found"})

        async def known(node: Node) -> bool:
            return (await node.store.read(documents.require, digest)).revoked_at is not None

        await eventually(lambda: known(beta))
        await eventually(lambda: known(gamma))
        told = await gamma.store.read(events.of, document=digest)
        assert [one.kind for one in told if one.kind == "status-changed"] == ["status-changed"]
        assert told[-1].actor == alpha.did
        error = await refused(gamma, f"/v1/documents/{digest.hex()}/revoke", {"reason": "x"})
        assert error.code == "not_the_issuer"


async def test_r7_status_comes_from_the_listed_address_once_and_is_cached(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    async with run(home) as alpha, run(second) as beta:
        await joined(alpha, beta)
        made = await founded_homes.client(alpha).apost("/v1/documents", order())
        url = made["status"]["list"]
        called: list[str] = []
        real = beta.guarded.get

        async def counted(address: str, **named: Any) -> Any:
            called.append(address)
            return await real(address, **named)

        monkeypatch.setattr(beta.guarded, "get", counted)
        answers = await asyncio.gather(
            *(beta.documents.status_for(alpha.did, url) for _ in range(20))
        )
        assert {answer.held.digest for answer in answers} == {answers[0].held.digest}
        assert called == [f"{alpha.endpoint}/status/1"]
        for issuer, name, code in (
            (
                "did:web:stranger.example",
                "https://stranger.example/status/1",
                "status_foreign_list",
            ),
            (alpha.did, "https://169.254.169.254/status/1", "status_foreign_list"),
            (alpha.did, "https://alpha.example/status/77", "status_unreachable"),
        ):
            answer = await beta.documents.status_for(issuer, name)
            assert (answer.held, answer.fault.code) == (None, code)
        assert called[1:] == [f"{alpha.endpoint}/status/77"]
        again = await beta.documents.status_for(alpha.did, "https://alpha.example/status/77")
        assert (again.fault.code, len(called)) == ("status_unreachable", 2)
        own = await alpha.documents.status_for(alpha.did, "https://alpha.example/status/9")
        assert own.fault.code == "status_list_unknown"


async def test_r7_a_list_that_came_while_it_was_looked_up_is_not_fetched_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    async with run(home) as alpha, run(second) as beta:
        await joined(alpha, beta)
        made = await founded_homes.client(alpha).apost("/v1/documents", order())
        url, looked, fetched = made["status"]["list"], asyncio.Event(), asyncio.Event()
        called: list[str] = []
        real, read = beta.guarded.get, beta.store.read

        async def counted(address: str, **named: Any) -> Any:
            called.append(address)
            return await real(address, **named)

        async def slowly(job: Any, *arguments: Any, **named: Any) -> Any:
            found = await read(job, *arguments, **named)
            if job is status.newest and not looked.is_set():
                looked.set()
                await fetched.wait()
            return found

        monkeypatch.setattr(beta.guarded, "get", counted)
        monkeypatch.setattr(beta.store, "read", slowly)
        late = asyncio.create_task(beta.documents.status_for(alpha.did, url))
        await looked.wait()
        answer = await beta.documents.status_for(alpha.did, url)
        fetched.set()
        assert (await late).held == answer.held is not None
        assert called == [f"{alpha.endpoint}/status/1"]


async def test_an_older_or_clearing_list_changes_nothing(home: Home, tmp_path: Path) -> None:
    second = founded_homes.make(tmp_path, "beta", "NL", "customs")
    async with run(home) as alpha, run(second) as beta:
        await joined(alpha, beta)
        client = founded_homes.client(alpha)
        made = await client.apost("/v1/documents", order())
        await hand_over(alpha, beta, bytes.fromhex(made["digest"]))
        early = status_list.parse_list(await alpha.documents.signed_list("1"))[1]
        await client.apost(f"/v1/documents/{made['digest']}/revoke", {"reason": "x"})
        late = status_list.parse_list(await alpha.documents.signed_list("1"))[1]
        assert await beta.store.write(revoking.take, beta, late)
        assert not await beta.store.write(revoking.take, beta, early)
        cleared = replace(late, bits=early.bits, digest=bytes(32), valid_from=beta.clock.now())
        with pytest.raises(RefusedError) as caught:
            await beta.store.write(revoking.take, beta, cleared)
        assert caught.value.code == "status_rollback"
        held, _ = await beta.store.read(status.newest, late.url, late.issuer)
        assert held == late


async def test_a_push_without_a_signed_list_is_refused(home: Home) -> None:
    async with run(home) as node:
        handler = revoking.RevocationHandler(node, ListAlarms(node))

        class Message:
            sender = "did:web:beta.example"

            def __init__(self, body: bytes) -> None:
                self.body = body

        for body in (b"{}", b"[", strict_json.canonical({"statusList": "a.b.c"})):
            with pytest.raises(TradeError):
                await handler.prepare(Message(body))


async def test_the_command_line_issues_lists_and_revokes(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from node.cli.main import build

    def call(*arguments: str) -> str:
        build(arguments)([*arguments, "--home", str(home.path)], standalone_mode=False)
        return capsys.readouterr().out

    file = tmp_path / "origin.json"
    file.write_bytes(EXAMPLE)
    async with run(home):
        out = tmp_path / "origin.jwt"
        said = await asyncio.to_thread(call, "issue", str(file), "-o", str(out))
        digest = said.split()[2]
        assert credential.DocumentFile.from_bytes(out.read_bytes()).digest.hex() == digest
        assert KEY in await asyncio.to_thread(call, "documents", "--json")
        for act, done in (("suspend", "suspended"), ("reinstate", "reinstated")):
            said = await asyncio.to_thread(call, act, digest, "--reason", "test")
            assert said.startswith(done)
            standing = await asyncio.to_thread(call, "documents")
            assert ("suspended" in standing) is (act == "suspend")
        assert out.with_suffix(".status.jwt").is_file()
        assert out.with_suffix(".status.suspension.jwt").is_file()
        said = await asyncio.to_thread(call, "revoke", digest, "--reason", "test")
        assert said.startswith("revoked")
        assert "revoked" in await asyncio.to_thread(call, "documents")
        with pytest.raises(TradeError):
            await asyncio.to_thread(call, "issue", str(tmp_path / "nothing.json"))
