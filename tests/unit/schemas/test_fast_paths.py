"""Every fast path gives what the slow one gives, or leaves it to the slow one."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols import base64url
from schemas import strict_json
from schemas.errors import MalformedError, TradeError

SPACES = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
NAMES = st.sampled_from(['"a"', '"b"', '"a:b"', '"\\u0061"', '"a\\u003ab"', '"\\\\"', '":"', '""'])
SCALARS = st.one_of(
    st.sampled_from(
        ["0", "-0", "1.0", "1e5", "1E400", "1e-400", "9007199254740993", "18446744073709551616"]
    ),
    st.sampled_from(["true", "null", '"x:1.5"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\/"', "NaN"]),
    st.integers(-(2**53), 2**53).map(str),
    st.text(st.characters(codec="utf-8"), max_size=6).map(json.dumps),
    st.text(st.characters(codec="utf-8"), max_size=6).map(lambda text: orjson.dumps(text).decode()),
)


def _array(items: list[str], space: str) -> str:
    return "[" + f"{space},{space}".join(items) + space + "]"


def _object(members: list[tuple[str, str]], space: str) -> str:
    return "{" + f",{space}".join(f"{name}{space}:{item}" for name, item in members) + "}"


#: Texts in which names repeat, spaces stand anywhere and numbers have every spelling.
TEXTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(_array, st.lists(inner, max_size=3), SPACES),
        st.builds(_object, st.lists(st.tuples(NAMES, inner), max_size=3), SPACES),
    ),
    max_leaves=8,
)


@given(TEXTS)
@example('{"a":1,"a":2}')
@example('{ "a":1, "a":":" }')
@example('{"a\\u003ab":1, "x":1, "x":2}')
@example("[1.0, 2]")
@example("[ 123456789012345678901 ]")
@example('{"a": "\\ud800"}')
def test_what_is_read_fast_is_what_the_strict_reader_reads(text: str) -> None:
    data = text.encode()
    fast = strict_json._loads_fast(data)
    if fast is not strict_json._NOT_PROVEN:
        assert json.dumps(fast) == json.dumps(strict_json._loads_strict(data))


@pytest.mark.parametrize("text", ['{"a": 1, "b": [":", {"c": "x\\n"}]}', "[\n -0 ]", '{"a":1.5}'])
def test_the_fast_path_takes_what_people_write(text: str) -> None:
    assert strict_json._loads_fast(text.encode()) is not strict_json._NOT_PROVEN


@given(
    TEXTS, st.integers(0, 3), st.integers(0, 100), st.integers(0, 4).map(lambda depth: "[" * depth)
)
def test_what_is_small_at_a_glance_keeps_the_caps(
    text: str, depth: int, members: int, around: str
) -> None:
    data = (around + text + "]" * len(around)).encode()
    try:
        value: Any = strict_json.loads(data)
    except TradeError:
        return
    if strict_json._is_small(value, data, depth, members):
        strict_json._check_size(value, depth, members)


@given(TEXTS)
@example('{"\U0001f600":1,"\ue000":2}')
@example("[1.0,1e21]")
@example('["a:1.5"]')
def test_writing_what_was_read_gives_the_canonical_bytes(text: str) -> None:
    try:
        value = strict_json.loads(text.encode())
    except TradeError:
        return
    assert strict_json.canonical_read(value) == strict_json.canonical(value)


def _decoded_slowly(text: str) -> bytes | None:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if base64url.encode(data) == text else None


@given(
    st.one_of(
        st.text("AQgwZz09-_+/= \né", max_size=9),
        st.binary(max_size=40).map(base64url.encode),
        st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
    )
)
@example("A")
@example("AAAAA")
@example("AB")
@example("AAB")
@example("AA==")
@example("+A")
def test_base64url_is_decoded_as_by_encoding_it_again(text: str) -> None:
    expected = _decoded_slowly(text)
    if expected is None:
        with pytest.raises(MalformedError):
            base64url.decode(text)
    else:
        assert base64url.decode(text) == expected
