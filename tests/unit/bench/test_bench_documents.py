"""The measures of documents do their work; a raw limit lowers a target and never raises it."""

from __future__ import annotations

import pytest

from schemas import profiles, sps, strict_json
from testnet.bench import documents


def test_what_is_measured_is_of_its_size_and_passes() -> None:
    assert 8_500 < len(documents.certificate()) < 9_500
    assert sps.judge(documents.certificate()) == ()
    assert 3_800 < len(documents.profile()) < 5_000
    assert not profiles.faults(documents.PROFILE, strict_json.loads_object(documents.profile()))


def test_every_measure_runs_and_those_with_a_target_are_judged() -> None:
    measures = documents.measures_of()
    for one in measures:
        one.run()
    assert set(documents.TARGETS) <= {one.id for one in measures}
    assert set(documents.limits(0.01)) == set(documents.REFERENCE)


@pytest.mark.parametrize(
    ("raw", "rate", "target", "met"),
    [(25_000, 3_000, 3_000, True), (50_000, 2_999, 3_000, False), (12_500, 1_500, 1_500, True)],
)
def test_a_target_is_lowered_with_the_raw_limit(
    raw: float, rate: float, target: float, met: bool
) -> None:
    one = next(each for each in documents.measures_of() if each.id == "sps")
    line = documents._line(one, {"sps": rate, "libxml2": raw, "orjson": 1.0})
    assert (line.target, line.met) == (target, met)
