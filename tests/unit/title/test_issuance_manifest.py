"""The carrier's manifest with the picture of the bill, which is part of the title's id (R19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols import jws
from protocols.pint.chain import open_manifest
from protocols.title.operation import ISSUANCE_TYP, read_manifest, sign_manifest
from schemas import strict_json
from schemas.errors import MalformedError
from tests.support.title_world import ecdsa, manifest

PICTURE = bytes(range(32))


def test_r19_another_picture_makes_another_title() -> None:
    plain, pictured = manifest(), replace(manifest(), visualisation=PICTURE)
    assert plain.title() != pictured.title()
    assert pictured.title() != replace(pictured, visualisation=bytes(32)).title()


def test_a_manifest_with_a_picture_reads_the_same_for_title_and_platform() -> None:
    pictured = replace(manifest(), visualisation=PICTURE)
    text = sign_manifest(pictured, ecdsa("nhl", "title"))
    assert read_manifest(text)[1] == pictured
    assert open_manifest(text)[1].visualisation == PICTURE


def test_a_manifest_with_a_member_nobody_knows_is_refused() -> None:
    value = strict_json.loads_object(manifest().to_bytes()) | {"colour": "blue"}
    signer = ecdsa("nhl", "title")
    text = jws.sign(strict_json.canonical(value), typ=ISSUANCE_TYP, signer=signer)
    with pytest.raises(MalformedError, match="issuance_manifest_malformed"):
        read_manifest(text)
