"""Manifests: canonical bytes, strict reading, every check in its order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws
from protocols.digest import sha256
from protocols.exchange import manifest
from protocols.exchange.manifest import Desk, Manifest
from protocols.exchange.problems import Problem, problem_of
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TooLargeError
from tests.support.made_network import NOW, A, B, listed, signer

NETWORK = sha256(b"network")
BODY = b"the document"
SIGNER = signer(f"{A}#exchange-1")
KEY = listed(f"{A}#exchange-1", "exchange")


def made(**changes):
    values = {
        "network": NETWORK,
        "id": manifest.new_id(NOW, bytes(range(10))),
        "sender": A,
        "recipient": B,
        "type": manifest.DOCUMENT + "bill-of-lading",
        "stream": "6CN-UCR-1",
        "seq": 2,
        "prev": sha256(b"before"),
        "issued_at": NOW,
        "expires": NOW + timedelta(days=14),
        "body": manifest.body_of(BODY, "application/vc+jwt"),
    }
    return Manifest(**(values | changes))


def desk(**changes):
    values = {
        "network": NETWORK,
        "recipient": B,
        "caller": A,
        "key": {KEY.kid: KEY}.get,
        "may_send": lambda did, type_: None,
        "now": NOW + timedelta(minutes=1),
    }
    return Desk(**(values | changes))


def examine(one=None, body=BODY, by=SIGNER, **changes):
    signed = manifest.sign(one or made(), by)
    return manifest.examine(signed, body, desk(**changes))


def test_a_manifest_reads_back_as_it_was_signed():
    signed = manifest.sign(made(), SIGNER)
    again = manifest.read(signed.text)
    assert again == signed
    assert again.digest == sha256(made().payload())
    assert again.signature.header.typ == manifest.TYP


def test_r2_the_identity_is_the_payload_not_the_signature():
    signed = manifest.sign(made(), SIGNER)
    other = manifest.sign(made(), signer(f"{A}#exchange-2"))
    assert signed.text != other.text
    assert signed.digest == other.digest


def test_members_we_do_not_know_are_kept_and_ignored():
    members = strict_json.loads_object(made().payload()) | {"later": {"a": 1}}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=SIGNER)
    signed = manifest.read(text)
    assert signed.manifest == made()
    assert signed.digest != sha256(made().payload())
    assert manifest.examine(signed, BODY, desk()) is None


def test_the_control_stream_has_no_numbers():
    control = made(stream=None, seq=None, prev=None)
    assert manifest.read(manifest.sign(control, SIGNER).text).manifest == control


BAD = [
    ("/v", "v", 0),
    ("/v", "v", True),
    ("/v", "v", None),
    ("/id", "id", "01890000-0000-4000-8000-000000000000"),
    ("/id", "id", 1),
    ("/from", "from", "mailto:x"),
    ("/to", "to", ""),
    ("/type", "type", "urn:other:x"),
    ("/type", "type", None),
    ("/stream", "stream", "a\nb"),
    ("/stream", "stream", "x" * 101),
    ("/stream", "stream", 7),
    ("/seq", "seq", 0),
    ("/seq", "seq", None),
    ("/seq", "seq", True),
    ("/seq", "seq", 1.5),
    ("/prev", "prev", None),
    ("/body", "body", None),
    ("/body/len", "body", {"sha256": "00" * 32, "len": -1, "type": "a/b"}),
    ("/body/type", "body", {"sha256": "00" * 32, "len": 1, "type": "ab"}),
]


@pytest.mark.parametrize(("pointer", "name", "value"), BAD)
def test_a_wrong_member_is_named_by_its_pointer(pointer, name, value):
    members = strict_json.loads_object(made().payload()) | {name: value}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=SIGNER)
    with pytest.raises(MalformedError) as error:
        manifest.read(text)
    assert error.value.code == "manifest_malformed"
    assert error.value.pointer == pointer


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("network", "00", "digest_malformed"),
        ("iat", "yesterday", "time_malformed"),
        ("exp", "2026-01-01T00:00:00", "time_malformed"),
        ("prev", "zz", "digest_malformed"),
    ],
)
def test_digests_and_times_have_their_own_codes(name, value, code):
    members = strict_json.loads_object(made().payload()) | {name: value}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=SIGNER)
    with pytest.raises(MalformedError) as error:
        manifest.read(text)
    assert error.value.code == code


def test_numbers_without_a_stream_and_a_first_message_with_prev_are_malformed():
    base = strict_json.loads_object(made().payload())
    for changes in ({"stream": None}, {"stream": None, "prev": None}, {"seq": 1}):
        text = jws.sign(strict_json.canonical(base | changes), typ=manifest.TYP, signer=SIGNER)
        with pytest.raises(MalformedError):
            manifest.read(text)


def test_a_later_version_is_named_with_what_is_supported():
    members = strict_json.loads_object(made().payload()) | {"v": 2}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=SIGNER)
    with pytest.raises(RefusedError) as error:
        manifest.read(text)
    assert error.value.code == "version_unsupported"
    assert error.value.context == {"supported": [1]}


def test_a_manifest_has_a_cap():
    with pytest.raises(TooLargeError):
        manifest.read("a" * (manifest.MAX_MANIFEST_BYTES + 1))


def test_r1_another_typ_is_refused():
    text = jws.sign(made().payload(), typ="px-receipt+jws", signer=SIGNER)
    with pytest.raises(RefusedError):
        manifest.read(text)


def test_what_is_right_has_no_problem():
    assert examine() is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"caller": B}, Problem.WRONG_SENDER),
        ({"network": bytes(32)}, Problem.WRONG_NETWORK),
        ({"recipient": A}, Problem.WRONG_RECIPIENT),
        ({"max_body": 3}, Problem.TOO_LARGE),
        ({"key": lambda kid: None}, Problem.UNKNOWN_KEY),
        ({"key": lambda kid: listed(f"{B}#exchange-1", "exchange")}, Problem.NOT_AUTHORISED),
        ({"key": lambda kid: listed(f"{A}#title-1", "title")}, Problem.NOT_AUTHORISED),
        (
            {"key": lambda kid: listed(kid, "exchange", valid_until=NOW)},
            Problem.NOT_AUTHORISED,
        ),
        (
            {
                "key": lambda kid: listed(
                    kid,
                    "exchange",
                    compromised_from=NOW + timedelta(days=1),
                    compromise_announced=NOW + timedelta(days=2),
                )
            },
            Problem.KEY_COMPROMISED,
        ),
        (
            {"key": lambda kid: replace(listed(f"{A}#exchange-2", "exchange"))},
            Problem.BAD_SIGNATURE,
        ),
        ({"now": NOW - timedelta(minutes=6)}, Problem.CLOCK_SKEW),
        ({"now": NOW + timedelta(days=14, minutes=5)}, Problem.EXPIRED),
        ({"may_send": lambda did, type_: Problem.UNKNOWN_TYPE}, Problem.UNKNOWN_TYPE),
        (
            {"may_send": lambda did, type_: Problem.NOT_AUTHORISED, "behind": True},
            Problem.MEMBERS_BEHIND,
        ),
    ],
)
def test_each_check_has_its_problem(changes, problem):
    assert examine(**changes) is problem


def test_a_clock_that_is_a_little_off_changes_nothing():
    assert examine(now=NOW - timedelta(minutes=4)) is None
    assert examine(now=NOW + timedelta(days=14, minutes=4)) is None


def test_a_lifetime_beyond_the_cap_or_below_nothing_is_expired():
    assert examine(made(expires=NOW + timedelta(days=16))) is Problem.EXPIRED
    assert examine(made(expires=NOW)) is Problem.EXPIRED


def test_another_body_is_a_digest_mismatch():
    assert examine(body=BODY + b"!") is Problem.DIGEST_MISMATCH
    assert examine(body=b"!" + BODY[1:]) is Problem.DIGEST_MISMATCH


def test_r8_problems_that_may_pass_are_never_signed():
    for problem in Problem:
        assert not (problem.retryable and problem.signable)
        assert explain(problem.value) is not None, problem
        assert problem.urn.endswith(problem.value)
        assert problem_of(problem.value) is problem
    assert problem_of("of_a_later_version") is None


def test_ids_are_uuid_version_7_in_order_of_time():
    early = manifest.new_id(NOW, bytes([255]) * 10)
    late = manifest.new_id(NOW + timedelta(milliseconds=1), bytes(10))
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    with pytest.raises(ValueError, match="random"):
        manifest.new_id(NOW, b"short")


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_read_or_refused_never_a_traceback(text):
    with pytest.raises((MalformedError, RefusedError, TooLargeError)):
        manifest.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(strict_json.loads_object(made().payload()))), JSON)
def test_any_member_replaced_is_read_or_malformed(name, value):
    members = strict_json.loads_object(made().payload()) | {name: value}
    text = jws.sign(strict_json.canonical(members), typ=manifest.TYP, signer=SIGNER)
    code = None
    try:
        manifest.read(text)
    except (MalformedError, RefusedError) as error:
        code = error.code
    assert code is None or explain(code) is not None
