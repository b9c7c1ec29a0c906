"""What reading a document and trying its rules costs, in the functions that a node calls.

Rates are per second of processor time in one process. A target that was stated for a machine is
lowered by as much as the raw limit here, measured in the same rounds, lies below that machine's;
it is never raised.
"""

from __future__ import annotations

import copy
import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from lxml import etree

from schemas import profiles, registry, sps, strict_json
from schemas.definitions import JsonDocument
from testnet.bench import origin
from testnet.bench.measuring import TURN_SECONDS, Line, Measure, at_least, rate_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CERTIFICATE_BYTES = 9_000
PROFILE_BYTES = 4_096
PROFILE = "preferential-certificate-of-origin"
#: Targets per second, the raw limit that scales each, and that limit where they were stated:
#: 15 276/s for parsing with schema validation at this size, of which parsing alone is 0.61.
TARGETS: Mapping[str, tuple[float, str]] = {
    "sps": (3_000.0, "libxml2"),
    "profile": (10_000.0, "orjson"),
    "origin.100": (origin.TARGET, "orjson"),
}
REFERENCE: Mapping[str, float] = {"libxml2": 25_000.0, "orjson": 105_000.0}


def measure(
    seconds: float, told: Callable[[float], None]
) -> tuple[Mapping[str, float], list[Line]]:
    """The raw limits per second, and every line of `pratique bench documents`."""
    measures = measures_of()
    for one in measures:
        one.run()
    best = side_by_side(measures, seconds, told, limits, clock=time.process_time)
    return {name: best[name] for name in REFERENCE}, [_line(one, best) for one in measures]


def _line(one: Measure, best: Mapping[str, float]) -> Line:
    if one.id not in TARGETS:
        return Line(one.id, one.what, best[one.id])
    stated, limit = TARGETS[one.id]
    scaled = stated * min(1.0, best[limit] / REFERENCE[limit])
    return at_least(one.id, one.what, best[one.id], round(scaled))


def limits(turn: float = TURN_SECONDS) -> dict[str, float]:
    """One turn of what the two parsers do in C with the same bytes."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, collect_ids=False)
    data, document = certificate(), profile()
    return {
        "libxml2": rate_of(lambda: etree.fromstring(data, parser), turn, time.process_time),
        "orjson": rate_of(lambda: orjson.loads(document), turn, time.process_time),
    }


def measures_of() -> tuple[Measure, ...]:
    """Every measure; those of `TARGETS` decide about the exit code."""
    data, spaced = certificate(), registry.example("phytosanitary-certificate")
    document = profile()
    own: Any = _definition()

    def viewed() -> None:
        parsed = strict_json.loads_object(document)
        _require(not profiles.faults(PROFILE, parsed))
        own.view(parsed)

    return (
        Measure("sps", "SPS certificate, 9 kB: parsed, form and all rules", lambda: _judged(data)),
        Measure("sps.view", "… and viewed", lambda: sps.examine(data)),
        Measure("sps.small", "SPS certificate, 4.5 kB: the same", lambda: sps.examine(spaced)),
        Measure("profile", "JSON profile, 4 kB: parsed, validated, viewed", viewed),
        Measure("profile.rules", "… and all rules", lambda: registry.examine(PROFILE, document)),
        *origin.measures(),
    )


def _judged(data: bytes) -> None:
    _require(not sps.judge(data))


def _require(held: bool) -> None:
    """A measure of what does not pass would measure nothing."""
    if not held:
        raise AssertionError("the measured document does not pass")


@cache
def certificate() -> bytes:
    """A certificate of some 9 kB without a finding: the packaged one with more lines."""
    facts = sps.examine(registry.example("phytosanitary-certificate"))[0]["facts"]
    treatment = {
        "typeCode": "ZZZ",
        "start": "2026-10-01T00:00:00.000Z",
        "end": "2026-10-12T00:00:00.000Z",
        "characteristics": [
            {"key": "TTL1", "texts": ["COLD"]},
            {"key": "TTTM", "value": {"value": "1", "unit": "CEL"}},
            {"key": "TTFT", "texts": ["Cold treatment at 1 degree for 11 days"]},
        ],
    }
    first = facts["lines"][0]
    while len(sps.write(facts)) < CERTIFICATE_BYTES:
        line = copy.deepcopy(first) | {"sequence": str(len(facts["lines"]) + 1)}
        facts["lines"].append(line | {"treatments": [treatment]})
    return sps.write(facts)


@cache
def profile() -> bytes:
    """A certificate of origin of 4 kB as it is signed: canonical JSON."""
    document: dict[str, Any] = json.loads(registry.example(PROFILE))
    while len(made := strict_json.canonical(document)) < PROFILE_BYTES:
        line = copy.deepcopy(document["goods"][0]) | {"sequence": len(document["goods"]) + 1}
        document["goods"].append(line)
    return made


def _definition() -> JsonDocument:
    from schemas.documents.preferential_certificate_of_origin import DOCUMENT

    return DOCUMENT
