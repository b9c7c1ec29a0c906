"""Status between running nodes: negative group 18 of the credential layer (R7, R11)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.documents import documents, revoking, signing, status
from node.store import events
from protocols import times, verify
from protocols.credentials import status_list
from schemas.errors import TradeError
from tests.integration.documents.status_pair import TTL, Pair, cred_10, eventually
from tests.support import founded_homes

if TYPE_CHECKING:
    from datetime import datetime


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
    pair.clock.leap(seconds=TTL)
    assert await pair.judged(file) == ("FAILED", "revoked")
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


def between(pair: Pair) -> datetime:
    """A moment after all that was before, and before all that comes after."""
    pair.clock.leap(seconds=0.01)
    found = times.from_ms(pair.clock.now_ms())
    pair.clock.leap(seconds=0.01)
    return found


async def test_historic_versions_are_kept_and_answered(pair: Pair) -> None:
    digest = await pair.issue()
    file = await pair.file(digest)
    assert await pair.judged(file) == ("PASSED", "")
    before = between(pair)
    await pair.change(digest, "suspend")
    during = between(pair)
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
