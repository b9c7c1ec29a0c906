"""Status between running nodes: negative groups 18 and 19 of the credential layer (R7, R11)."""

from __future__ import annotations

import asyncio
import base64
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from node.documents import documents, revoking, signing, status
from node.documents.service import DocumentService
from node.documents.tokens import held_at
from node.exchange.service import ExchangeService
from node.http.routes import Auth, Route
from node.store import events
from node.trust.service import TrustService
from node.verification.offline import verify_file
from node.verification.service import VerificationService
from protocols import base64url, jws, times, verify
from protocols.credentials import data_integrity, status_list
from protocols.credentials import token_status_list as tokens
from schemas import registry, strict_json
from schemas.errors import TradeError
from tests.support import founded_homes
from tests.support.running import running_node
from tests.support.token_lists import EXP, IAT, STATUS_LIST, SUB, cwt
from tests.support.token_lists import TTL as TTL_CLAIM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from node.runtime import Node

KEY = "certificate-of-origin"
EXAMPLE = registry.example(KEY)
EXPORT = registry.examine(KEY, EXAMPLE).view.export_country or "CN"
TOKENS = "https://alpha.example/tokens/1"
TTL = 2.0


@dataclass
class Shelf:
    """A service that hands out whatever lies on it at /tokens/1, and remembers who asked what."""

    name: str = "shelf"
    body: str | bytes = ""
    #: None for the one that fits: a text is the JWT form, bytes are the CWT form.
    media_type: str | None = None
    asked: list[str] = field(default_factory=list)
    accepts: list[str] = field(default_factory=list)

    def routes(self) -> Sequence[Route]:
        return (Route("GET", "/tokens/1", self._get, Auth.OPEN, "A list", "test"),)

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.accepts.append(request.headers["Accept"])
        binary = isinstance(self.body, bytes)
        return web.Response(
            body=self.body if isinstance(self.body, bytes) else self.body.encode(),
            content_type=self.media_type or (tokens.CWT if binary else tokens.JWT),
        )

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def ready(self) -> str | None:
        return None


@dataclass
class Pair:
    """An issuer, a verifier, what lies on the issuer's shelf, and what the verifier asked."""

    alpha: Node
    beta: Node
    shelf: Shelf
    asked: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def issue(self) -> bytes:
        body = {"payload": base64.b64encode(EXAMPLE).decode()}
        made = await founded_homes.client(self.alpha).apost("/v1/documents", body)
        return bytes.fromhex(made["digest"])

    async def file(self, digest: bytes) -> bytes:
        return (await self.alpha.store.read(documents.require, digest)).file

    async def change(self, digest: bytes, act: str, reason: str = "a reason") -> Any:
        path = f"/v1/documents/{digest.hex()}/{act}"
        return await founded_homes.client(self.alpha).apost(path, {"reason": reason})

    async def judged(self, file: bytes) -> tuple[str, str]:
        """What beta's own judgement, which uses what it holds, says of the status."""
        check = (await self.beta.verification.judge(file)).report.check("CRED-10")
        assert check is not None
        return check.outcome.value, check.code

    async def asks(self, file: bytes, **more: str) -> Any:
        """The report on the question an operator of beta asks."""
        body = {"file": base64.b64encode(file).decode(), **more}
        return await founded_homes.client(self.beta).apost("/v1/verify", body)

    async def alarms(self) -> list[Any]:
        found = await self.beta.store.read(events.after)
        return [one.detail for one in found if one.kind == "alarm"]


def cred_10(report: Any) -> tuple[str, str]:
    check = next(each for each in report["checks"] if each["id"] == "CRED-10")
    return check["outcome"], check.get("code", "")


async def eventually(check: Callable[[], Any], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await check():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def two_nodes(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    first = founded_homes.make(path, "alpha", EXPORT, "issuer", "customs", status={"ttl": TTL})
    founded_homes.found(first, (KEY, EXPORT))
    second = founded_homes.make(path, "beta", "NL", "customs")
    shelf, services = Shelf(), (
        ("trust", TrustService),
        ("documents", DocumentService),
        ("exchange", ExchangeService),
        ("verification", VerificationService),
    )  # fmt: skip
    shelved = (*services, ("shelf", lambda _: shelf))
    async with (
        running_node(first, services=shelved) as alpha,
        running_node(second, services=services) as beta,
    ):
        await beta.trust.join(alpha.endpoint, alpha.members.current.network)
        await founded_homes.client(alpha).apost("/v1/trust/sign", {"all": True})

        async def listed() -> bool:
            members = beta.members.current
            return members is not None and members.node(beta.did) is not None

        await eventually(listed)
        pair = Pair(alpha, beta, shelf)
        real = beta.guarded.get

        async def recorded(url: str, **named: Any) -> bytes:
            pair.asked.append(url)
            given = pair.answers.get(url.rpartition("/")[2])
            return await real(url, **named) if given is None else given.encode()

        monkeypatch.setattr(beta.guarded, "get", recorded)
        yield pair


@pytest.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    async with two_nodes(tmp_path, monkeypatch) as made:
        yield made


async def handed_over(pair: Pair, digest: bytes) -> None:
    """As the exchange would: beta verifies and keeps the document, alpha remembers to whom."""
    stored = await pair.alpha.store.read(documents.require, digest)
    lists = await pair.beta.documents.statuses_for(stored.issuer, stored.status_lists)
    _, verified = verify.verify_document(
        stored.file,
        members=pair.beta.members.current,
        at=pair.beta.clock.now(),
        status=lists,
    )
    assert verified is not None
    now = pair.beta.clock.now_ms()
    await pair.beta.store.write(documents.put_received, verified, sender=pair.alpha.did, now_ms=now)
    await pair.alpha.store.write(documents.add_recipient, digest, pair.beta.did, now)


# --- group 18 -----------------------------------------------------------------------------------


async def test_r11_group_18_suspension_reinstatement_and_revocation_are_pushed(pair: Pair) -> None:
    digest = await pair.issue()
    await handed_over(pair, digest)
    file = await pair.file(digest)

    async def stands(name: str) -> bool:
        stored = await pair.beta.store.read(documents.require, digest)
        return {"suspended": stored.suspended_at, "revoked": stored.revoked_at}[name] is not None

    async def lifted() -> bool:
        return not await stands("suspended")

    for _ in range(2):
        assert (await pair.change(digest, "suspend"))["status"]["suspended"]
        await eventually(lambda: stands("suspended"))
        assert await pair.judged(file) == ("INDETERMINATE", "suspended")
        assert (await pair.change(digest, "reinstate"))["status"]["suspended"] is False
        await eventually(lifted)
        assert await pair.judged(file) == ("PASSED", "")
    await pair.change(digest, "suspend")
    await pair.change(digest, "revoke", "pest found")
    await eventually(lambda: stands("revoked"))
    assert await pair.judged(file) == ("FAILED", "revoked")
    told = await pair.beta.store.read(events.of, document=digest)
    said = [one.detail["status"] for one in told if one.kind == "status-changed"]
    assert said[:4] == ["suspended", "reinstated"] * 2
    assert "revoked" in said[4:]


async def test_group_18_a_revocation_is_never_taken_back(pair: Pair) -> None:
    digest = await pair.issue()

    async def refused(act: str) -> str:
        with pytest.raises(TradeError) as caught:
            await pair.change(digest, act)
        return caught.value.code

    assert await refused("reinstate") == "not_suspended"
    await pair.change(digest, "suspend", "under inquiry")
    assert await refused("suspend") == "already_suspended"
    body = await founded_homes.client(pair.alpha).aget(f"/v1/documents/{digest.hex()}")
    assert body["status"]["reason"] == "under inquiry"
    await pair.change(digest, "revoke")
    assert await refused("revoke") == "already_revoked"
    assert await refused("reinstate") == "revocation_is_final"
    assert await refused("suspend") == "revocation_is_final"


async def test_group_18_a_revocation_after_verification_is_seen_within_the_ttl(pair: Pair) -> None:
    digest = await pair.issue()
    file = await pair.file(digest)
    assert await pair.judged(file) == ("PASSED", "")
    asked = len(pair.asked)
    assert await pair.judged(file) == ("PASSED", "")
    assert len(pair.asked) == asked  # both lists are held
    await pair.change(digest, "revoke")  # beta was never sent it: nothing is pushed

    async def seen() -> bool:
        return await pair.judged(file) == ("FAILED", "revoked")

    await eventually(seen, TTL + 2)
    # The whole list is asked for by its name, and nothing tells which entry it was about.
    assert {one.removeprefix(pair.alpha.endpoint) for one in pair.asked} == {
        "/status/1",
        "/status/s1",
    }


async def test_group_18_a_dead_status_host_is_unknown_and_costs_one_question(
    pair: Pair,
) -> None:
    file = await pair.file(await pair.issue())
    await pair.alpha.stop()
    found = await asyncio.gather(*(pair.judged(file) for _ in range(20)))
    assert set(found) == {("INDETERMINATE", "status_unknown")}
    assert len(pair.asked) == 2  # one for each list
    assert await pair.judged(file) == ("INDETERMINATE", "status_unknown")
    assert len(pair.asked) == 2  # left alone for a while


async def test_group_18_a_list_that_goes_back_is_refused_and_told(pair: Pair) -> None:
    digest = await pair.issue()
    early = await pair.alpha.documents.signed_list("1")
    file = await pair.file(digest)
    await pair.change(digest, "revoke")
    assert await pair.judged(file) == ("FAILED", "revoked")
    pair.answers["1"] = early
    for _ in range(2):
        assert cred_10(await pair.asks(file)) == ("FAILED", "revoked")
    (alarm,) = await pair.alarms()
    url = status_list.list_url(pair.alpha.did, "1")
    assert (alarm["code"], alarm["list"]) == ("status_rollback", url)


async def test_group_18_nobody_else_can_put_a_list_in_the_issuers_place(pair: Pair) -> None:
    file = await pair.file(await pair.issue())
    url = status_list.list_url(pair.alpha.did, "1")
    now = times.from_ms(pair.beta.clock.now_ms())
    poison = status_list.sign_list(
        url=url,
        issuer=pair.beta.did,
        network=pair.beta.members.current.network,
        bits=bytes([255]) * (status_list.MIN_ENTRIES // 8),
        ttl=timedelta(hours=1),
        valid_from=now,
        valid_until=now + timedelta(days=1),
        signer=signing.credential_signer(pair.beta, pair.beta.members.current),
    )
    pair.answers["1"] = poison
    assert cred_10(await pair.asks(file)) == ("INDETERMINATE", "status_unknown")
    with pytest.raises(TradeError) as caught:
        status_list.open_list(poison, members=pair.beta.members.current, now=now)
    assert caught.value.code == "status_foreign_list"
    assert await pair.beta.store.read(status.newest_named, url) is None


async def test_historic_versions_are_kept_and_answered(pair: Pair) -> None:
    digest = await pair.issue()
    file = await pair.file(digest)
    assert await pair.judged(file) == ("PASSED", "")
    await asyncio.sleep(0.01)
    before = times.from_ms(pair.beta.clock.now_ms())
    await asyncio.sleep(0.01)
    await pair.change(digest, "suspend")
    await asyncio.sleep(0.01)
    during = times.from_ms(pair.beta.clock.now_ms())
    await asyncio.sleep(0.01)
    await pair.change(digest, "reinstate")

    async def served(at: str, list_id: str = "s1") -> Any:
        url = f"{pair.alpha.endpoint}/status/{list_id}?timestamp={at.replace('+', '%2B')}"
        return await pair.beta.client.open_call("GET", url)

    entry = (await pair.alpha.store.read(documents.require, digest)).suspension
    assert entry is not None
    for moment, said in ((before, "valid"), (during, "suspended")):
        answer = await served(times.to_text(moment))
        held = status_list.parse_list(answer.body.decode())[1]
        assert status_list.check(entry, held, issuer=pair.alpha.did).value == said
        assert held.valid_from <= moment
    shifted = times.to_text(during + timedelta(hours=2)).replace("Z", "+02:00")
    assert (await served(shifted)).body == (await served(times.to_text(during))).body
    for at, code in (
        ("2001-01-01T00:00:00Z", 404),
        ("2999-01-01T00:00:00Z", 404),
        ("2026-11-18T06:00:00", 400),
        ("1763445600000", 400),
        ("yesterday", 400),
    ):
        assert (await served(at)).status == code, at
    assert (await served(times.to_text(before), "s99")).status == 404
    # Beta held nothing of that moment: it asks the issuer, and keeps what it got.
    report = await pair.asks(file, at=times.to_text(during))
    assert cred_10(report) == ("INDETERMINATE", "suspended")
    assert cred_10(await pair.asks(file, at=times.to_text(before))) == ("PASSED", "")
    assert cred_10(await pair.asks(file)) == ("PASSED", "")
    ms = times.to_ms(during)
    held = await pair.beta.store.read(status.held_at, entry.list_url, pair.alpha.did, ms)
    assert held is not None
    assert status_list.bit(held.bits, entry.index)
    assert await pair.beta.store.read(status.held_at, entry.list_url, pair.alpha.did, 1) is None


async def test_a_late_push_is_history_and_a_fork_is_told(pair: Pair) -> None:
    digest = await pair.issue()
    early = status_list.parse_list(await pair.alpha.documents.signed_list("s1"))[1]
    await pair.change(digest, "suspend")
    late = status_list.parse_list(await pair.alpha.documents.signed_list("s1"))[1]
    beta = pair.beta
    assert await beta.store.write(revoking.take, beta, late)
    assert not await beta.store.write(revoking.take, beta, early)
    at = times.to_ms(early.valid_from)
    assert await beta.store.read(status.held_at, early.url, early.issuer, at) == early
    forked = status_list.sign_list(
        url=early.url,
        issuer=early.issuer,
        network=early.network,
        bits=late.bits,
        ttl=early.ttl,
        valid_from=early.valid_from,
        valid_until=early.valid_until,
        signer=signing.credential_signer(pair.alpha, pair.alpha.members.current),
        purpose=status_list.SUSPENSION,
    )

    class Message:
        sender = pair.alpha.did
        body = revoking.message_body(forked, [digest])

    handler = revoking.RevocationHandler(beta, beta.documents._fetcher.alarms)
    with pytest.raises(TradeError) as caught:
        await handler.prepare(Message())
    assert caught.value.code == "status_fork"
    assert [one["code"] for one in await pair.alarms()] == ["status_fork"]


# --- group 19 -----------------------------------------------------------------------------------


async def foreign(pair: Pair, index: int, uri: str = TOKENS) -> bytes:
    """A credential of alpha's in JSON form whose status stands in a Token Status List."""
    stored = await pair.file(await pair.issue())
    parsed = jws.parse(stored.decode(), typ="vc+jwt", max_bytes=len(stored))
    members = strict_json.loads_object(parsed.payload)
    members.pop("credentialStatus")
    members["status"] = {"status_list": {"idx": index, "uri": uri}}
    now = times.from_ms(pair.alpha.clock.now_ms())
    signer = signing.credential_signer(pair.alpha, pair.alpha.members.current)
    return strict_json.canonical(data_integrity.issue(members, signer, created=now))


def token(pair: Pair, data: bytes, *, age: int = 0, **changes: object) -> str:
    at = pair.alpha.clock.now_ms() // 1000 - age
    listed = {"bits": 2, "lst": base64url.encode(zlib.compress(data))}
    body = {"sub": TOKENS, "iat": at, "exp": at + 600, "ttl": 300, "status_list": listed}
    signer = signing.credential_signer(pair.alpha, pair.alpha.members.current)
    return jws.sign(strict_json.canonical(body | changes), typ=tokens.TYP, signer=signer)


def binary_token(pair: Pair, data: bytes, at: int | None = None) -> bytes:
    """The list that `token` makes, in CWT form."""
    at = pair.alpha.clock.now_ms() // 1000 if at is None else at
    listed = {"bits": 2, "lst": zlib.compress(data)}
    signer = signing.credential_signer(pair.alpha, pair.alpha.members.current)
    return cwt(signer, {SUB: TOKENS, IAT: at, EXP: at + 600, TTL_CLAIM: 300, STATUS_LIST: listed})


ASYMMETRIC = bytes([0b11_10_01_00])  # from the least significant: valid, invalid, suspended, other


async def test_group_19_a_token_list_is_fetched_where_it_is_named_least_significant_first(
    pair: Pair,
) -> None:
    pair.shelf.body = token(pair, ASYMMETRIC)
    for index, expected in (
        (0, ("PASSED", "")),
        (1, ("FAILED", "revoked")),
        (2, ("INDETERMINATE", "suspended")),
        (3, ("INDETERMINATE", "status_unknown")),
        (4, ("INDETERMINATE", "token_status_out_of_range")),
    ):
        assert cred_10(await pair.asks(await foreign(pair, index))) == expected
    assert set(pair.shelf.asked) == {"/tokens/1"}  # never the index
    report = await pair.asks(await foreign(pair, 0))
    check = next(each for each in report["checks"] if each["id"] == "CRED-10")
    assert check["evidence"]["ageSeconds"] >= 0


async def test_group_19_a_token_list_in_cwt_form_is_fetched_kept_and_read(pair: Pair) -> None:
    pair.shelf.body = binary_token(pair, ASYMMETRIC)
    for index, expected in (
        (0, ("PASSED", "")),
        (1, ("FAILED", "revoked")),
        (2, ("INDETERMINATE", "suspended")),
        (4, ("INDETERMINATE", "token_status_out_of_range")),
    ):
        assert cred_10(await pair.asks(await foreign(pair, index))) == expected
    assert set(pair.shelf.accepts) == {f"{tokens.JWT}, {tokens.CWT}"}
    held = await pair.beta.store.read(held_at, TOKENS, pair.alpha.did)
    assert held == pair.shelf.body
    # The same list in the other form is no fork; other statuses of the same moment are.
    at = int(tokens.parse_list(held)[1].issued_at.timestamp())
    file = await foreign(pair, 0)
    pair.shelf.body = token(pair, ASYMMETRIC, iat=at, exp=at + 600)
    assert cred_10(await pair.asks(file)) == ("PASSED", "")
    assert await pair.beta.store.read(held_at, TOKENS, pair.alpha.did) == pair.shelf.body
    assert await pair.alarms() == []
    pair.shelf.body = binary_token(pair, bytes([0b01]), at)
    assert cred_10(await pair.asks(file)) == ("PASSED", "")
    assert [one["code"] for one in await pair.alarms()] == ["status_fork"]


async def test_group_19_offline_token_lists_in_either_form_lie_beside_the_file(
    pair: Pair, tmp_path: Path
) -> None:
    paper, trust = tmp_path / "paper.json", tmp_path / "network.trust"
    trust.write_bytes(await pair.beta.trust.export())
    paper.write_bytes(await foreign(pair, 1))
    beside, again = tmp_path / "paper.status.cwt", tmp_path / "paper.status.later.jwt"

    def judged() -> tuple[str, str]:
        report = verify_file(paper, trust=trust, now=times.from_ms(pair.beta.clock.now_ms()))
        check = report.check("CRED-10")
        assert check is not None
        return check.outcome.value, check.code

    assert judged() == ("INDETERMINATE", "status_unknown")
    beside.write_bytes(binary_token(pair, ASYMMETRIC))
    assert judged() == ("FAILED", "revoked")
    again.write_text(token(pair, ASYMMETRIC, sub=TOKENS + "2"))
    assert judged() == ("FAILED", "revoked")
    at = pair.alpha.clock.now_ms() // 1000
    beside.write_bytes(binary_token(pair, bytes([0b00]), at - 60))
    again.write_text(token(pair, ASYMMETRIC))
    assert judged() == ("FAILED", "revoked")
    again.unlink()
    assert judged() == ("PASSED", "")
    paper.write_bytes(await pair.file(await pair.issue()))
    assert judged() == ("INDETERMINATE", "jws_typ_unexpected")


@pytest.mark.parametrize("form", [tokens.JWT, tokens.CWT])
async def test_group_19_r1_a_token_list_under_the_other_forms_media_type_is_refused(
    pair: Pair, form: str
) -> None:
    pair.shelf.media_type = form
    as_text, as_bytes = token(pair, ASYMMETRIC), binary_token(pair, ASYMMETRIC)
    pair.shelf.body = as_text if form == tokens.CWT else as_bytes
    file = await foreign(pair, 0)
    assert cred_10(await pair.asks(file)) == ("INDETERMINATE", "status_unknown")
    pair.shelf.media_type = "application/cwt"
    assert cred_10(await pair.asks(file)) == ("INDETERMINATE", "status_unknown")
    pair.shelf.media_type, pair.shelf.body = None, as_bytes
    pair.beta.guarded.forgive()
    assert cred_10(await pair.asks(file)) == ("PASSED", "")


async def test_group_19_r7_an_unlisted_host_is_not_called(pair: Pair) -> None:
    file = await foreign(pair, 0, "https://elsewhere.example/tokens/1")
    assert cred_10(await pair.asks(file)) == ("INDETERMINATE", "status_unknown")
    assert pair.shelf.asked == []


@pytest.mark.parametrize(
    "make",
    [
        lambda pair: token(pair, ASYMMETRIC, sub=TOKENS + "2"),
        lambda pair: token(pair, ASYMMETRIC, status_list={"bits": 3, "lst": ""}),
        lambda pair: token(pair, ASYMMETRIC, age=700),
        lambda pair: token(pair, ASYMMETRIC, age=-3600),
        lambda pair: token(pair, ASYMMETRIC)[:-4] + "AAAA",
        lambda _: "no list",
    ],
    ids=["other-name", "three-bits", "expired", "future", "bad-signature", "no-list"],
)
async def test_group_19_a_bad_token_list_leaves_the_status_unknown(
    pair: Pair, make: Callable[[Pair], str]
) -> None:
    pair.shelf.body = make(pair)
    assert cred_10(await pair.asks(await foreign(pair, 0))) == ("INDETERMINATE", "status_unknown")


async def test_group_19_neither_list_is_taken_for_the_other(pair: Pair) -> None:
    pair.shelf.body = await _bitstring(pair)
    assert cred_10(await pair.asks(await foreign(pair, 0))) == ("INDETERMINATE", "status_unknown")
    pair.answers["1"] = pair.answers["s1"] = token(pair, ASYMMETRIC)
    file = await pair.file(await pair.issue())
    assert cred_10(await pair.asks(file)) == ("INDETERMINATE", "status_unknown")


async def _bitstring(pair: Pair) -> str:
    await pair.issue()
    return await pair.alpha.documents.signed_list("1")


async def test_group_19_an_older_token_list_is_refused_and_told(pair: Pair) -> None:
    pair.shelf.body = token(pair, bytes([0b01]))
    file = await foreign(pair, 0)
    assert cred_10(await pair.asks(file)) == ("FAILED", "revoked")
    pair.shelf.body = token(pair, bytes([0b00]), age=60)
    assert cred_10(await pair.asks(file)) == ("FAILED", "revoked")
    assert [one["code"] for one in await pair.alarms()] == ["status_rollback"]


async def test_group_19_a_past_moment_is_asked_by_time_and_a_list_of_now_is_no_answer(
    pair: Pair,
) -> None:
    file = await foreign(pair, 0)
    await asyncio.sleep(1.1)
    at = times.from_ms(pair.beta.clock.now_ms())
    pair.shelf.body = token(pair, bytes([0b00]), age=1)
    assert cred_10(await pair.asks(file, at=times.to_text(at))) == ("PASSED", "")
    assert pair.shelf.asked == [f"/tokens/1?time={int(at.timestamp())}"]
