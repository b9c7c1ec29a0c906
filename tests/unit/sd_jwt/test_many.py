"""Many short texts read at once are read exactly as one by one, faults included."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url
from protocols.credentials import sd_jwt
from schemas import strict_json
from schemas.errors import MalformedError, TradeError
from schemas.fields import pointer, pointer_of
from tests.unit.sd_jwt.test_sd_jwt import disclosure, refused, signed

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#: With what is foreign, and what other spellings have.
TEXTS = st.lists(st.text(ALPHABET + "+/=~ é\n", max_size=9), max_size=6)
GOOD = st.lists(st.binary(max_size=9).map(base64url.encode), max_size=6)


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except TradeError as error:
        return error.code


@given(TEXTS | GOOD)
def test_base64url_of_many_is_that_of_each(texts: list[str]) -> None:
    each = outcome(lambda: [base64url.decode(text) for text in texts])
    assert outcome(lambda: base64url.decode_each(texts)) == each


@pytest.mark.parametrize("length", range(1, 9))
def test_every_last_character_with_bits_left_over_is_refused(length: int) -> None:
    """Against the standard library: a text counts when encoding its bytes gives the text again."""
    for last in ALPHABET:
        text = "A" * (length - 1) + last
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-length % 4))
            good = base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text
        except ValueError:
            good = False
        for many in ([text], ["AAAA", text, "BBBB"], [text, "AAAA"]):
            assert (_refusal(many) != "base64url_malformed") == good, text


def _refusal(texts: list[str]) -> Any:
    each = outcome(lambda: [base64url.decode(text) for text in texts])
    assert outcome(lambda: base64url.decode_each(texts)) == each
    return each


@given(st.integers(0, 70).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n))))
def test_many_of_one_size_are_encoded_as_each(items: list[bytes]) -> None:
    assert base64url.encode_each(items) == [base64url.encode(item) for item in items]


JSON = st.sampled_from(
    [
        b"[1]",
        b'["s","n",{"a":[1,2]}]',
        b'[ "s", "n", 1 ]',
        b'{"a":1,"a":2}',
        b'["s","n",{"a":1,"a":2}]',
        b"1.50",
        b"9007199254740993",
        b"[",
        b"",
        b'"\\ud800"',
        b'"\xc3\xa9"',
        b"\xff",
        b"[" * 70 + b"]" * 70,
        # Alone no JSON, and two elements when a reader puts a comma between them.
        b'["s","n",1],["s2"',
        b'"n2",2]',
    ]
)


@given(st.lists(JSON, max_size=5))
def test_strict_json_of_many_is_that_of_each(texts: list[bytes]) -> None:
    each = outcome(lambda: [strict_json.loads(text) for text in texts])
    assert outcome(lambda: strict_json.loads_each(texts)) == each


def test_more_members_than_are_read_are_refused_among_many() -> None:
    long = b"[" + b"1," * strict_json.MAX_MEMBERS + b"1]"
    assert outcome(lambda: strict_json.loads_each([b"[1]", long])) == "json_too_many_members"


@given(st.lists(st.one_of(st.text("a/~é", max_size=4), st.integers(0, 20)), max_size=5))
def test_a_pointer_of_a_path_is_that_of_its_steps(parts: list[str | int]) -> None:
    path: Any = ()
    for part in parts:
        path = (path, part)
    assert pointer_of(path) == pointer(*parts)


def _all_shown(texts: list[str]) -> sd_jwt.SdJwt:
    return signed({"_sd": [sd_jwt.digest_of(text) for text in texts]}, *texts)


@pytest.mark.parametrize("number", [0, 17, 49])
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (base64url.encode(b'["s","x",{"a":1,"a":2}]'), "json_duplicate_name"),
        (base64url.encode(b'["s","x",1'), "json_syntax"),
        (base64url.encode(b'["s","_sd",1]'), "disclosure_malformed"),
        (base64url.encode(b'["s","x",{"...":1}]'), "sd_jwt_malformed"),
        (base64url.encode(b'["s","x",{"\\u005fsd":1}]'), "sd_jwt_malformed"),
        (base64url.encode(b'["s","x",{"\\u002e..":1}]'), "sd_jwt_malformed"),
        (base64url.encode(b'["s","x",[1]]')[:-1] + "x", "base64url_malformed"),
        ("WyJzIl0=", "base64url_malformed"),
    ],
)
def test_one_bad_disclosure_among_fifty_refuses_them_all(number: int, bad: str, code: str) -> None:
    texts = [disclosure(f"s{at}", f"n{at}", {"amount": at}) for at in range(50)]
    assert len(sd_jwt.reveal(_all_shown(texts)).claims) == 50
    texts[number] = bad
    assert refused(_all_shown(texts)) == code


def test_a_value_that_nests_too_deep_at_its_place_is_refused_plain_or_not() -> None:
    deep: Any = 1
    for _ in range(sd_jwt.MAX_DEPTH - 2):
        deep = {"a": deep}
    fits = disclosure("s", "n", deep)
    assert sd_jwt.reveal(_all_shown([fits])).claims == {"n": deep}
    digests = {"_sd": [sd_jwt.digest_of(fits)]}
    assert refused(signed({"o": {"o": {"o": digests}}}, fits)) == "json_too_deep"


def test_a_text_that_is_not_ascii_is_no_sd_jwt() -> None:
    text = signed({"a": 1}).text
    with pytest.raises(MalformedError, match="sd_jwt_malformed"):
        sd_jwt.parse(f"{text}é~", typ=sd_jwt_typ(text))


def sd_jwt_typ(text: str) -> str:
    header = strict_json.loads_object(base64url.decode(text.partition(".")[0]))
    return str(header["typ"])
