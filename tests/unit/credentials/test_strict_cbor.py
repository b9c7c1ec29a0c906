"""The strict CBOR reader: what it takes comes back the same, everything else is one error."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import strict_cbor
from schemas.errors import MalformedError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64 - 1),
    st.binary(max_size=300),
    st.text(max_size=100),
)
LABELS = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=20))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=30), st.dictionaries(LABELS, inner, max_size=30)
    ),
    max_leaves=30,
).filter(lambda value: str(value).count("[") + str(value).count("{") < strict_cbor.MAX_DEPTH)


@given(VALUES)
def test_what_is_written_in_the_shortest_encoding_is_read(value: object) -> None:
    assert strict_cbor.loads(cbor2.dumps(value), "c") == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_in_one_spelling_or_refused(data: bytes) -> None:
    try:
        value = strict_cbor.loads(data, "c")
    except MalformedError:
        return
    assert cbor2.dumps(value) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1800",  # 0 in two bytes
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff",
        "5801",  # a byte string that ends early
        "5bffffffffffffffff61",
        "9bffffffffffffffff00",
        "bbffffffffffffffff0000",
        "5f4161ff",  # unstated lengths
        "9fff",
        "bfff",
        "1c",
        "61ff",  # no UTF-8
        "f90000",  # a float
        "f7",
        "f818",
        "ff",
        "c100",  # tags
        "d81c81d81d00",
        "c5821a7fffffff03",
        "a201010102",  # names
        "a1f500",
        "a1410000",
        "a18000",
        "0000",
        "81" * 9 + "00",
        "81" * 3000 + "00",
        "99ffff" + "00" * 65535,
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        strict_cbor.loads(bytes.fromhex(text), "c")
    assert caught.value.code == "c"


def test_a_map_is_asked_for() -> None:
    assert strict_cbor.loads_map(b"\xa1\x01\x02", "c") == {1: 2}
    with pytest.raises(MalformedError):
        strict_cbor.loads_map(b"\x80", "c")
