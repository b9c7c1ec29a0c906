"""Token Status Lists between running nodes: negative group 19 of the credential layer (R1, R7)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from node.documents import signing
from node.documents.tokens import held_at
from node.verification.offline import verify_file
from protocols import base64url, jws, times
from protocols.credentials import data_integrity
from protocols.credentials import token_status_list as tokens
from schemas import strict_json
from tests.integration.documents.status_pair import TOKENS, Pair, cred_10
from tests.support.token_lists import EXP, IAT, STATUS_LIST, SUB, cwt
from tests.support.token_lists import TTL as TTL_CLAIM
from tests.support.turned import turned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        lambda pair: turned(token(pair, ASYMMETRIC)),
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
    pair.clock.leap(seconds=2)
    at = times.from_ms(pair.beta.clock.now_ms())
    iat = int(at.timestamp())
    pair.shelf.body = token(pair, bytes([0b00]), iat=iat, exp=iat + 600)
    assert cred_10(await pair.asks(file, at=times.to_text(at))) == ("PASSED", "")
    assert pair.shelf.asked == [f"/tokens/1?time={int(at.timestamp())}"]
