"""News of a title from a member that lies: nothing in it is believed for itself (R5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.title.news import CODE, TitleNews, check_news
from protocols import base64url, jws
from protocols.fields import Fields
from protocols.title.machine import Kind
from protocols.title.operation import read_operation, sign_manifest
from schemas import strict_json
from schemas.errors import RefusedError, UnavailableError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    WITNESSES,
    World,
    ecdsa,
    issue,
    manifest,
    signed,
)

TITLE = manifest().title()


def news(**changes: object) -> bytes:
    """What an honest node tells of a bill that was issued and passed on once."""
    world = World()
    world.run(signed(issue()))
    world.go(Kind.TRANSFER, TITLE, "exp-a", "bank")
    body = {
        "arbiter": ARBITER.id.hex(),
        "proof": world.proof(TITLE).to_json(),
        "history": list(world.operations[TITLE]),
        "issuance": sign_manifest(manifest(), ecdsa("nhl", "title")),
    }
    return strict_json.canonical({**body, **changes})


def read_news(body: bytes) -> TitleNews:
    fields = Fields(strict_json.loads_object(body), CODE)
    return check_news(fields, fields.digest("arbiter"), MEMBERS)


def told() -> dict:
    return strict_json.loads_object(news())


def with_signature(text: str, signature: bytes) -> str:
    head, body, _ = text.split(".")
    return f"{head}.{body}.{base64url.encode(signature)}"


def with_kid(text: str, kid: str) -> str:
    parsed = jws.parse(text, typ=frozenset({"px-title+jws", "px-issuance+jws"}))
    head = {"alg": parsed.header.alg, "kid": kid, "typ": parsed.header.typ}
    _, body, signature = text.split(".")
    return f"{base64url.encode(strict_json.canonical(head))}.{body}.{signature}"


def code_of(body: bytes) -> str:
    with pytest.raises((RefusedError, UnavailableError)) as caught:
        read_news(body)
    return caught.value.code


def test_honest_news_is_read() -> None:
    found = read_news(news())
    assert found.state.possessor == read_operation(told()["history"][1]).operation.recipient
    assert found.manifest == manifest()


def test_r2_the_same_payloads_under_other_signatures_are_no_history() -> None:
    """The proof commits to payloads; what is kept and shown has to carry its signer's word."""
    history = told()["history"]
    for at in range(len(history)):
        forged = [*history]
        forged[at] = with_signature(forged[at], bytes(64))
        assert code_of(news(history=forged)) == "bad_signature"
        forged[at] = with_kid(history[at], ecdsa("imp-a", "title").kid)
        assert code_of(news(history=forged)) == "title_key_mismatch"
        forged[at] = with_kid(history[at], "did:web:exp-a.example#title-99")
        assert code_of(news(history=forged)) == "registry_members_unknown"


def test_r19_a_manifest_that_the_carrier_did_not_sign_is_not_its_word() -> None:
    text = told()["issuance"]
    assert code_of(news(issuance=with_signature(text, bytes(64)))) == "bad_signature"
    other = sign_manifest(manifest("NHLX0002"), ecdsa("nhl", "title"))
    assert code_of(news(issuance=other)) == "title_manifest_foreign"


def test_r21_news_that_no_quorum_has_seen_changes_nothing() -> None:
    world = World()
    world.run(signed(issue()))
    for few in ((), WITNESSES[:2]):
        proof = world.proof(TITLE, few).to_json()
        body = news(proof=proof, history=list(world.operations[TITLE]))
        assert code_of(body) == "title_proof_unwitnessed"


def test_r5_an_arbiter_that_the_list_does_not_name_proves_nothing() -> None:
    other = replace(ARBITER, policy_text=ARBITER.policy_text + "# mine\n")
    assert code_of(news(arbiter=other.id.hex())) == "title_arbiter_unknown"


def test_a_history_with_a_gap_or_of_another_title_is_refused() -> None:
    history = told()["history"]
    for wrong in (history[1:], history[:1], [history[0], history[0]]):
        assert code_of(news(history=wrong)) == "title_history_mismatch"
