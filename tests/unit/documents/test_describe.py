"""What is told of a type's members comes from its profile and is complete."""

from __future__ import annotations

import pytest

from schemas import describe, profiles
from tests.unit.documents.example_edits import JSON_TYPES


@pytest.mark.parametrize("key", JSON_TYPES)
def test_every_required_member_is_told_as_required(key: str) -> None:
    told = {one.place.removesuffix("[]"): one.required for one in describe.members(key)}
    assert all(told[name] for name in profiles.bundle(key)["required"])
    assert describe.title(key).endswith(".")


def test_members_of_members_and_of_elements_are_told_with_their_form() -> None:
    told = {one.place: one for one in describe.members("certificate-of-origin")}
    assert told["goods[].hs"].required
    assert told["goods[].hs"].form == "string, `^[0-9]{6}$`"
    assert told["goods[].packages.count"].form == "integer, from 1, to 99999999"
    assert not told["remarks"].required
    assert told["containers[].seals[]"].form.startswith("array, at most 20; each string")


def test_a_profile_that_narrows_another_tells_both() -> None:
    told = {one.place: one for one in describe.members("sea-waybill")}
    assert "always SWB" in told["transportDocumentTypeCode"].form
    assert told["consignmentItems[].cargoItems[].cargoGrossWeight.unit"].form == "one of KGM, LBR"
    # A definition that names itself is told once more, then no further.
    packed = [place for place in told if place.endswith("innerPackagings[]")]
    assert len(packed) == 2
