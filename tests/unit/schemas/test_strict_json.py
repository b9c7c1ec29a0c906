"""The strict JSON reader and the RFC 8785 writer, on public corpora and against two oracles."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import strict_json
from schemas.errors import MalformedError, TooLargeError, TradeError
from tests import corpora
from tests.shared import shared_path

SUITE = "vectors/security/jsontestsuite/test_parsing"
REFUSED_ALTHOUGH_JSON = {"y_object_duplicated_key.json"}  # RFC 8259 allows, I-JSON does not


def code_of(data: bytes, **caps: int) -> str:
    with pytest.raises(TradeError) as caught:
        strict_json.loads(data, **caps)
    return caught.value.code


@pytest.mark.parametrize("path", corpora.files(SUITE, "y_*.json"), ids=corpora.name_of)
def test_reads_what_is_json_as_the_standard_library_does(path: Path) -> None:
    data = path.read_bytes()
    if path.name in REFUSED_ALTHOUGH_JSON:
        assert code_of(data) == "json_duplicate_name"
    else:
        assert strict_json.loads(data) == json.loads(data)


@pytest.mark.parametrize("path", corpora.files(SUITE, "[ni]_*.json"), ids=corpora.name_of)
def test_refuses_what_is_not_json_and_what_readers_differ_on(path: Path) -> None:
    assert code_of(path.read_bytes()).startswith("json_")


def test_transform_corpus_is_refused_or_read_exactly() -> None:
    refused = set()
    for path in shared_path("vectors/security/jsontestsuite/test_transform").glob("*.json"):
        try:
            assert strict_json.loads(path.read_bytes()) == json.loads(path.read_bytes())
        except MalformedError:
            refused.add(path.stem)
    assert refused == {
        "number_-9223372036854775808",
        "number_-9223372036854775809",
        "number_9223372036854775808",
        "object_same_key_different_values",
        "string_1_escaped_invalid_codepoint",
        "string_1_invalid_codepoint",
        "string_2_invalid_codepoints",
        "string_3_escaped_invalid_codepoints",
    }


@pytest.mark.parametrize("name", ["arrays", "weird"])
def test_canonical_bytes_of_the_rfc_8785_authors(name: str) -> None:
    base = shared_path("vectors/security/rfc8785")
    value = strict_json.loads((base / "input" / f"{name}.json").read_bytes())
    assert strict_json.canonical(value) == (base / "output" / f"{name}.json").read_bytes()
    assert strict_json.canonical(value) == bytes.fromhex(
        (base / "outhex" / f"{name}.txt").read_text()
    )


@pytest.mark.parametrize(
    "path",
    corpora.files("vectors/credentials/jcs", "*.json"),
    ids=corpora.name_of,
)
def test_canonical_bytes_of_the_credential_vectors(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    value = strict_json.loads(vector["input"].encode())
    assert strict_json.canonical(value) == vector["output"].encode()


@pytest.mark.parametrize("name", ["bom", "dup-key-escaped"])
def test_refuses_the_hostile_credential_texts(name: str) -> None:
    path = shared_path(f"vectors/credentials/jcs/reject-{name}.json.bin")
    assert code_of(path.read_bytes()) in {"json_encoding", "json_duplicate_name"}


def test_naughty_strings_survive_reading_and_writing() -> None:
    strings = json.loads(next(shared_path("vectors/security/blns").iterdir()).read_bytes())
    for text in strings:
        data = strict_json.canonical({text: text})
        assert data == rfc8785.dumps({text: text})
        assert strict_json.loads(data) == {text: text}


@pytest.mark.parametrize(
    ("text", "code", "pointer"),
    [
        ('{"a":1,"a":2}', "json_duplicate_name", "/a"),
        ('{"a":[{},{"b/~":1,"\\u0062/~":1}]}', "json_duplicate_name", "/a/1/b~1~0"),
        ('{"a":[1,9007199254740992]}', "json_number", "/a/1"),
        ('{"a":[1,-9007199254740992]}', "json_number", "/a/1"),
        ("[1e400]", "json_number", "/0"),
        ("[NaN]", "json_number", "/0"),
        ("[-Infinity]", "json_number", "/0"),
        ("1" + "0" * 5000, "json_number", ""),
        ('{"x":["\\ud83d"]}', "json_surrogate", "/x/0"),
        ('{"x":{"\\ude00":1}}', "json_surrogate", "/x"),
        ('{"x":1', "json_syntax", ""),
        ("[1] 2", "json_syntax", ""),
        ("", "json_syntax", ""),
    ],
)
def test_names_the_fault_and_its_place(text: str, code: str, pointer: str) -> None:
    with pytest.raises(MalformedError) as caught:
        strict_json.loads(text.encode())
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe[\x00]\x00", b'"\xff"', b"\xef\xbb\xbf{}", b'"\xc0\x80"']
)
def test_refuses_other_encodings(data: bytes) -> None:
    assert code_of(data) == "json_encoding"


def test_both_halves_of_a_pair_are_one_character() -> None:
    assert strict_json.loads(b'[ "\\ud83d\\ude00" ]') == ["\U0001f600"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9007199254740991", 2**53 - 1),
        (" -9007199254740991 ", -(2**53) + 1),
        (" -5", -5),
        ("[-5, 7]", [-5, 7]),
        ("-0", 0),
        ("1.0", 1.0),
        ("1e2", 100.0),
    ],
)
def test_numbers_keep_their_value(text: str, value: Any) -> None:
    read = strict_json.loads(text.encode())
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("separator", [b"", b" "])
def test_caps_bytes_depth_and_members(separator: bytes) -> None:
    deep = b"[" * 5 + separator + b"]" * 5
    assert code_of(deep, max_depth=4) == "json_too_deep"
    strict_json.loads(deep, max_depth=5)
    wide = b'{"a":[1,2,' + separator + b'3],"b":{}}'
    assert code_of(wide, max_members=4) == "json_too_many_members"
    strict_json.loads(wide, max_members=5)
    assert code_of(wide, max_bytes=len(wide) - 1) == "json_too_large"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[{},"])
def test_hostile_nesting_ends_in_a_refusal(opening: bytes) -> None:
    assert code_of(opening * 100_000) in {"json_too_deep", "json_syntax"}
    closing = {b"[": b"]", b'{"a":': b"}", b"[[{},": b"]]"}[opening]
    assert code_of(opening * 100_000 + b" 0 " + closing * 100_000) == "json_too_deep"


@pytest.mark.parametrize("rest", [b"", b"]" * 300_000, b', "[', b'"\\"' * 100_000])
def test_depth_is_bounded_whatever_the_interpreter_allows(rest: bytes) -> None:
    allowed = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        assert code_of(b"[" * 300_000 + rest) in {"json_too_deep", "json_syntax"}
    finally:
        sys.setrecursionlimit(allowed)


def test_brackets_in_texts_are_no_depth() -> None:
    text = b'["' + b"[{" * 1_000 + b'\\"[", 1.5]'
    assert strict_json.loads(text)


@pytest.mark.parametrize("text", ["[]", '""', "1", "null"])
def test_an_object_is_asked_for(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        strict_json.loads_object(text.encode())
    assert caught.value.code == "json_not_object"
    assert strict_json.loads_object(b"{}") == {}


# --- against the oracles --------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(values)
@example({"\ue000": 1, "\U0001f600": 2, "z": 3})
@example({"\ue000": 1, "z": 3.0})
def test_canonical_equals_the_reference_implementation(value: Any) -> None:
    assert strict_json.canonical(value) == rfc8785.dumps(value)


@given(st.binary(min_size=8, max_size=8))
def test_every_double_is_written_as_ecmascript_does(raw: bytes) -> None:
    (number,) = struct.unpack(">d", raw)
    if math.isfinite(number):
        assert strict_json.canonical([number]) == rfc8785.dumps([number])


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_reads_what_the_standard_library_wrote(
    value: Any, indent: int | None, ascii_: bool
) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode()
    assert strict_json.loads(data) == value


@given(values)
def test_fast_and_strict_reader_agree(value: Any) -> None:
    data = orjson.dumps(value)
    fast, strict = strict_json._loads_fast(data), strict_json._loads_strict(data)
    if fast is not strict_json._NOT_PROVEN:
        assert json.dumps(fast) == json.dumps(strict)


@given(st.text(alphabet='{}[]",:\\u01ad8e-.n \n', max_size=24))
def test_any_text_is_read_as_by_the_standard_library_or_refused(text: str) -> None:
    try:
        value = strict_json.loads(text.encode())
    except MalformedError:
        return
    assert value == json.loads(text)


@given(st.binary(max_size=64))
def test_any_bytes_end_in_a_value_or_a_named_refusal(data: bytes) -> None:
    code = ""
    try:
        strict_json.loads(data)
    except TradeError as error:
        code = error.code
    assert code == "" or code.startswith("json_")


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nan, "json_number"),
        ([math.inf], "json_number"),
        (2**53, "json_number"),
        ({"a": [2**60, 1.5]}, "json_number"),
        ("\ud800", "json_surrogate"),
        ({"\udfff": 1}, "json_surrogate"),
        ({1: 2}, "json_not_json"),
        ({"a": b"bytes"}, "json_not_json"),
        ({"a": {1, 2}}, "json_not_json"),
    ],
)
def test_writes_no_value_that_json_cannot_carry(value: Any, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        strict_json.canonical(value)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (-0.0, "0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (123.25, "123.25"),
        (0.000001, "0.000001"),
        (0.0000001, "1e-7"),
        (5e-324, "5e-324"),
    ],
)
def test_number_text_follows_the_four_layouts(number: float, text: str) -> None:
    assert strict_json.number_text(number) == text


def test_number_text_has_no_form_for_infinity() -> None:
    with pytest.raises(MalformedError):
        strict_json.number_text(math.inf)


def test_writes_tuples_as_arrays_and_members_in_utf16_order() -> None:
    value = {"\ue000": (1, 2.0, "x"), "\U00010000": (), "a": {}}
    expected = '{"a":{},"\U00010000":[],"\ue000":[1,2,"x"]}'
    assert strict_json.canonical(value) == expected.encode()


def test_writing_is_bounded_in_depth() -> None:
    value: list[Any] = []
    for _ in range(400):
        value = [value]
    with pytest.raises(TooLargeError):
        strict_json.canonical(value)
