"""What is kept of the shapes that were met is bounded, and words are seen wherever they stand."""

from __future__ import annotations

import pytest

from schemas import sps
from schemas.sps import shapes
from tests.support.ginger import ginger

PACKAGE = "<ram:PhysicalSPSPackage>"


def rules_with(old: str, new: str) -> set[str]:
    payload = sps.write(ginger()).decode().replace(old, new)
    return {finding.rule for finding in sps.judge(payload.encode())}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PACKAGE, f"words{PACKAGE}"),
        (PACKAGE, f"{PACKAGE}words"),
        ("</ram:PhysicalSPSPackage>", "words</ram:PhysicalSPSPackage>"),
        ("</rsm:SPSCertificate>", "words</rsm:SPSCertificate>"),
    ],
)
def test_words_beside_elements_are_seen_wherever_they_stand(old: str, new: str) -> None:
    assert rules_with(old, new) == {"PHY-004"}


def test_space_beside_elements_says_nothing() -> None:
    assert not rules_with(PACKAGE, f"\n  {PACKAGE}\t\r\n")


def test_a_shape_that_was_met_is_kept() -> None:
    key = ("17", "a", "b", "c", "b")
    assert shapes.SHAPES[key] is shapes.SHAPES[key]
    assert shapes.SHAPES[key].at == {"b": [0, 2], "c": [1]}


def test_long_shapes_are_not_kept_and_many_are_forgotten() -> None:
    long = ("17", "a", *["b" * 100] * 100)
    assert shapes.SHAPES[long].at == {"b" * 100: list(range(100))}
    assert long not in shapes.SHAPES
    for number in range(2000):
        assert not shapes.SHAPES["17", f"a{number}", "b"].plain
    assert len(shapes.SHAPES) <= 1024
