"""Rates measured side by side, so that a ratio of two means something on a busy machine.

All measures of a run take turns of at least a second, and a turn's result is its average. The best
whole turn of each counts, of the limits too, which are measured in the same rounds as what is
compared with them (DESIGN §9): what else the machine does only ever slows down.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

TURN_SECONDS = 1.0
MIN_ROUNDS = 3
_OPENSSL_SECONDS = 1
_OPENSSL_LINE = re.compile(rb"^\+F4:\d+:256:([0-9.]+):([0-9.]+)", re.MULTILINE)
_BLOCK = b"\0" * 4096
_NODE = b"\1" * 65


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to do again and again; the result is how often per second on one core.

    limit:  the id of the raw limit it is compared with, or ""
    target: the least ratio to the limit that is asked for, or None where none is
    """

    id: str
    what: str
    run: Callable[[], object]
    limit: str = ""
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the result. rate: per second, or in `unit`; met: None where nothing is asked.

    least: the target is a least value, not a greatest one; that of a ratio always is
    """

    id: str
    what: str
    rate: float
    unit: str = "/s"
    limit: str = ""
    ratio: float | None = None
    target: float | None = None
    met: bool | None = None
    least: bool = False

    def to_json(self) -> dict[str, Any]:
        """The line for `--json`; numbers are rounded to what they are good for."""
        return {
            "id": self.id,
            "what": self.what,
            "value": float(f"{self.rate:.4g}"),
            "unit": self.unit,
            "limit": self.limit or None,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target,
            "met": self.met,
        }


def at_least(measure_id: str, what: str, value: float, target: float, *, unit: str = "/s") -> Line:
    """A line about something that must be `target` or more."""
    return Line(measure_id, what, value, unit, target=target, met=value >= target, least=True)


def at_most(measure_id: str, what: str, value: float, unit: str, target: float) -> Line:
    """A line about something that must not be more than `target`."""
    return Line(measure_id, what, value, unit, target=target, met=value <= target)


def side_by_side(
    measures: Sequence[Measure],
    seconds: float,
    told: Callable[[float], None],
    limits: Callable[[], Mapping[str, float]],
    turn: float = TURN_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The best rate of each measure, and of each limit, over rounds of turns.

    seconds: when to begin no further round; told: gets the part that is done, 0 to 1;
    limits: one turn of measuring the raw limits, by id; turn: seconds of one turn;
    clock: `time.process_time` where a rate is per second of this process's processor time
    """
    best: dict[str, float] = {}
    begin = time.monotonic()
    rounds = 0
    while rounds < MIN_ROUNDS or time.monotonic() - begin < seconds:
        for name, rate in limits().items():
            best[name] = max(best.get(name, 0.0), rate)
        for measure in measures:
            best[measure.id] = max(best.get(measure.id, 0.0), rate_of(measure.run, turn, clock))
        rounds += 1
        told(min(rounds / MIN_ROUNDS, (time.monotonic() - begin) / max(seconds, 1e-3), 1.0))
    return best


def rate_of(
    run: Callable[[], object],
    seconds: float = TURN_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """How often per second of `clock` `run` is done, on average over one turn."""
    done, step, begin = 0, 1, clock()
    while True:
        for _ in range(step):
            run()
        done += step
        spent = clock() - begin
        if spent >= seconds:
            return done / spent
        # Looking at the clock must not be what is measured, nor may a turn grow long.
        step = min(max(1, int(done / spent / 200)), 10_000)


def lines_of(measures: Iterable[Measure], best: Mapping[str, float]) -> list[Line]:
    """The measures with their ratios and whether their targets are met."""
    return [_line(measure, best) for measure in measures]


def _line(measure: Measure, best: Mapping[str, float]) -> Line:
    rate = best[measure.id]
    ratio = rate / best[measure.limit] if measure.limit else None
    met = None if ratio is None or measure.target is None else ratio >= measure.target
    return Line(
        measure.id,
        measure.what,
        rate,
        limit=measure.limit,
        ratio=ratio,
        target=measure.target,
        met=met,
    )


# -- raw limits ------------------------------------------------------------------------------------

LIMITS: Mapping[str, str] = {
    "openssl.verify": "openssl speed: P-256 verify, one core",
    "openssl.sign": "openssl speed: P-256 sign, one core",
    "fdatasync": "4 kB written and fdatasync",
    "loop": "an empty function called in a loop",
    "sha256": "SHA-256 of 65 bytes, one core",
    "libxml2": "lxml: the same certificate parsed, one core",
    "orjson": "orjson: the same document parsed, one core",
}


def raw_limits(turn: float = TURN_SECONDS) -> dict[str, float]:
    """One turn of every limit that credentials are compared with, per second."""
    sign, verify = openssl_p256()
    return {
        "openssl.verify": verify,
        "openssl.sign": sign,
        "fdatasync": fdatasync(turn),
        "loop": rate_of(_nothing, turn),
    }


def log_limits(turn: float = TURN_SECONDS) -> dict[str, float]:
    """One turn of what a log is compared with: durable writes and hashes."""
    return {"fdatasync": fdatasync(turn), "sha256": rate_of(_hashed, turn)}


def openssl_p256() -> tuple[float, float]:
    """P-256 signatures and verifications per second and core, as `openssl speed` measures them.

    Raises UnavailableError `bench_openssl_missing`.
    """
    program = shutil.which("openssl")
    if program is None:
        raise UnavailableError("bench_openssl_missing", "the raw limit comes from openssl speed")
    command = [program, "speed", "-mr", "-seconds", str(_OPENSSL_SECONDS), "ecdsap256"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603 our own words
    found = _OPENSSL_LINE.search(done.stdout)
    if found is None:
        raise UnavailableError("bench_openssl_missing", "openssl speed told nothing about P-256")
    return float(found[1]), float(found[2])


def fdatasync(seconds: float = TURN_SECONDS) -> float:
    """Durable writes of 4 kB per second, in the folder for temporary files."""
    with tempfile.TemporaryFile() as file:
        number = file.fileno()

        def write() -> None:
            os.pwrite(number, _BLOCK, 0)
            os.fdatasync(number)

        return rate_of(write, seconds)


def _hashed() -> None:
    hashlib.sha256(_NODE).digest()


def _nothing() -> None:
    """What a loop costs when there is nothing in it."""
