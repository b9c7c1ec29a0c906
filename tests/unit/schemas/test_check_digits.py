"""Check digits: shared vectors, and python-stdnum as the oracle."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import imo, iso6346, lei, luhn
from stdnum.cn import uscc

from schemas import check_digits
from tests.shared import shared_path

ORACLES = {
    "iso6346": iso6346.is_valid,
    "imo": imo.is_valid,
    "lei": lei.is_valid,
    "uscc": uscc.is_valid,
    "cim_consignment": luhn.is_valid,
    "uic_wagon": luhn.is_valid,
}
ALPHABETS = {
    "iso6346": r"[A-Z]{3}[UJZR][0-9]{7}",
    "imo": r"[0-9]{7}",
    "lei": r"[0-9A-Z]{18}[0-9]{2}",
    "uscc": r"[0-9]{8}[0-9A-HJ-NPQRTUWXY]{10}",
    "cim_consignment": r"[0-9]{6}",
    "uic_wagon": r"[0-9]{12}",
}


def test_shared_vectors() -> None:
    vectors = json.loads(shared_path("vectors/documents/check_digits.json").read_bytes())
    for vector in vectors["vectors"]:
        found = check_digits.is_valid(vector["kind"], vector["value"])
        assert found is vector["valid"], vector


@pytest.mark.parametrize("kind", sorted(ORACLES))
@given(data=st.data())
def test_agrees_with_the_oracle(kind: str, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(ALPHABETS[kind], fullmatch=True))
    for last in "0123456789ABCXY":  # so that a valid one is among them
        number = value[:-1] + last
        if not re.fullmatch(ALPHABETS[kind], number):
            continue  # the oracle leaves the form to others
        assert check_digits.is_valid(kind, number) == ORACLES[kind](number), number


@pytest.mark.parametrize(
    ("kind", "valid", "wrong"),
    [
        ("iso6346", "NHLU2631075", "NHLU2631076"),
        ("imo", "9999993", "9999994"),
        ("lei", "984500NHL0DEMO000004", "984500NHL0DEMO000005"),
        ("uscc", "91370784MA0DEMQ00F", "91370784MA0DEMQ00G"),
        ("cim_consignment", "702688", "702689"),
        ("uic_wagon", "218006627002", "218006627003"),
        ("gs1_mod10", "9501101020023", "9501101020024"),
        ("awb", "99900000011", "99900000012"),
        ("aeo_cn", "AEOCN0123456789", "AEOCN012345678"),
    ],
)
def test_one_wrong_digit_is_found(kind: str, valid: str, wrong: str) -> None:
    assert check_digits.is_valid(kind, valid)
    assert not check_digits.is_valid(kind, wrong)
    assert not check_digits.is_valid(kind, "")


def test_a_code_without_digit_start_is_still_a_credit_code() -> None:
    body = "Y2" + "110000" + "MJ0000000"
    assert check_digits.uscc(body + check_digits.uscc_check_character(body))


def test_an_unknown_kind_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no check digit for isbn"):
        check_digits.is_valid("isbn", "1")


@given(st.sampled_from(sorted(check_digits.KINDS)), st.text(max_size=24))
def test_any_text_has_an_answer(kind: str, value: str) -> None:
    assert check_digits.is_valid(kind, value) in {True, False}
