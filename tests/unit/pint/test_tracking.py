"""The registry's address and its records, and chains held against what is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.fields import Fields
from protocols.pint import history, signed
from protocols.pint.chain import following, open_entry
from protocols.pint.history import KnownChain, Relation, Row
from protocols.pint.reading import CODE
from protocols.pint.tracking import (
    ANSWERING,
    PlatformRecord,
    RecordAction,
    RegistryRecord,
    append,
    open_platform_record,
    parse_registry_uri,
    read_registry_record,
)
from protocols.pint.words import Action
from schemas.errors import ConflictError, MalformedError
from tests.support import pint_world as w


@pytest.mark.parametrize(
    ("text", "port", "path", "major"),
    [
        ("https://ctr.example/v1", 443, "", 1),
        ("https://ctr.example:8443/a/b/v12", 8443, "/a/b", 12),
    ],
)
def test_a_registry_is_a_base_uri_with_its_major_version(
    text: str, port: int, path: str, major: int
) -> None:
    uri = parse_registry_uri(text)
    assert (uri.text, uri.host, uri.port) == (text, "ctr.example", port)
    assert (uri.path, uri.major) == (path, major)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://ctr.example",
        "https://ctr.example/v0",
        "https://ctr.example/v1/",
        "https://ctr.example/v1?x=1",
        "https://ctr.example/v1#x",
        "https://user@ctr.example/v1",
        "https://CTR.example/v1",
        "https://ctr.example:99999/v1",
        "https://ctr..example/v1",
        "https://ctr.example/../v1",
        "http://ctr.example/v1",
        "http://127.0.0.1:8080/v1",
        "ftp://ctr.example/v1",
        "https://ctr.example/" + "a" * 1100 + "/v1",
    ],
)
def test_any_other_registry_uri_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="pint_registry_uri"):
        parse_registry_uri(text)


def test_r7_plain_http_is_for_this_machine_on_test_networks_only() -> None:
    assert parse_registry_uri("http://127.0.0.1:8080/v1", test=True).port == 8080
    assert parse_registry_uri("http://localhost/v1", test=True).port == 80
    with pytest.raises(MalformedError, match="pint_registry_uri"):
        parse_registry_uri("http://ctr.example/v1", test=True)


DIGESTS = st.binary(min_size=32, max_size=32)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RecordAction), DIGESTS, st.none() | DIGESTS, st.none() | DIGESTS)
def test_a_record_is_read_as_it_was_signed(
    action: RecordAction, ebl: bytes, canonical: bytes | None, previous: bytes | None
) -> None:
    record = PlatformRecord(ebl, action, "HOME", w.NOW, "AWAY", ebl, canonical, ebl, previous)
    assert open_platform_record(record.sign(w.signer_of("HOME")))[1] == record


@pytest.mark.parametrize("action", [*sorted(ANSWERING), RecordAction.INTEND])
def test_a_record_without_what_its_action_needs_is_refused(action: RecordAction) -> None:
    bare = PlatformRecord(bytes(32), action, "HOME", w.NOW)
    with pytest.raises(MalformedError, match=CODE):
        open_platform_record(bare.sign(w.signer_of("HOME")))


def _record(action: RecordAction, previous: bytes | None, last: bytes | None = None) -> str:
    answers = previous if action in ANSWERING else None
    made = PlatformRecord(
        bytes(32), action, "HOME", w.NOW, "AWAY", last or bytes(32), None, answers, previous
    )
    return made.sign(w.signer_of("HOME"))


def test_a_record_is_taken_upon_the_head_only() -> None:
    first = append([], _record(RecordAction.INTEND, None), "HOME", w.NOW)
    assert (first.number, len(first.id)) == (0, 32)
    second = append([first], _record(RecordAction.ACCEPTED, first.id), "AWAY", w.NOW)
    assert second.number == 1
    for stale in (None, first.id, bytes(32)):
        with pytest.raises(ConflictError, match="pint_record_conflict") as raised:
            append([first, second], _record(RecordAction.SURRENDERED, stale), "HOME", w.NOW)
        assert raised.value.context["head"] == second.id.hex()


def test_a_kept_record_has_the_id_of_its_text() -> None:
    kept = append([], _record(RecordAction.INTEND, None), "HOME", w.NOW)
    assert read_registry_record(Fields(kept.to_json(), CODE)) == kept
    other = RegistryRecord(0, "HOME", w.NOW, _record(RecordAction.INTEND, None, b"\1" * 32))
    mixed = kept.to_json() | {"platformRecordSignedContent": other.text}
    with pytest.raises(MalformedError, match=CODE):
        read_registry_record(Fields(json.loads(json.dumps(mixed)), CODE))


# History.


def _chain() -> list[str]:
    document = w.bill()
    onward = w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)
    return w.chain_of(w.first(document), [onward])


def test_a_bill_that_is_not_known_is_new() -> None:
    texts = [signed.parse(text) for text in _chain()]
    assert history.compare(None, texts).relation is Relation.NEW
    assert history.compare(KnownChain((), frozenset()), texts).relation is Relation.NEW


def test_an_ended_bill_may_be_issued_again_with_a_chain_of_its_own() -> None:
    texts = _chain()
    again = w.chain_of(w.first(w.bill(), replace(w.ISSUE, comments="again")))
    parsed = [signed.parse(text) for text in again]
    open_, ended = (KnownChain(tuple(texts), frozenset({1}), flag) for flag in (False, True))
    assert history.compare(open_, parsed).relation is Relation.DISPUTED
    assert history.compare(ended, parsed).relation is Relation.NEW
    # But what goes on after the end of the known chain, or forks it later, is no new bill.
    fork = [
        texts[0],
        following(texts[:1], "AWAY", [w.act(Action.SIGN, w.BUYER)]).sign(w.signer_of("AWAY")),
    ]
    compared = history.compare(ended, [signed.parse(text) for text in fork])
    assert (compared.relation, compared.at) == (Relation.DISPUTED, 1)


def test_two_chains_are_laid_side_by_side() -> None:
    texts = _chain()
    again = w.resigned(texts[0], w.signer_of("OUTS"))
    other = w.chain_of(w.first(w.bill("order")))
    left = [open_entry(text) for text in texts]
    rows = history.side_by_side(left, [open_entry(again)])
    assert [place.row for place in rows] == [Row.SIGNED_AGAIN, Row.ONLY_LEFT]
    rows = history.side_by_side([open_entry(other[0])], left)
    assert [place.row for place in rows] == [Row.DIFFERENT, Row.ONLY_RIGHT]
    assert [place.row for place in history.side_by_side(left, left)] == [Row.SAME, Row.SAME]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_only_a_whole_known_chain_is_gone_on_from(data: st.DataObject) -> None:
    texts = _chain()
    held = data.draw(st.integers(1, 2))
    seen = data.draw(st.integers(1, 2))
    accepted = data.draw(st.sets(st.integers(0, held - 1)))
    known = KnownChain(tuple(texts[:held]), frozenset(accepted))
    compared = history.compare(known, [signed.parse(text) for text in texts[:seen]])
    if seen > held:
        assert compared.relation is Relation.FURTHER
    elif seen - 1 in accepted:
        assert (compared.relation, compared.accepted) == (Relation.DUPLICATE, texts[seen - 1])
    else:
        assert compared.relation is Relation.DISPUTED
