"""Moments in text and numbers: RFC 3339 in UTC with `Z` and milliseconds, and milliseconds UTC.

Times travel as text in signed JSON and are stored as integers; in Python they are aware
datetimes in UTC. A time without a zone is refused, never guessed (W3C VC Data Model 2.0 §4.9).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.errors import MalformedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(
    r"(?a:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d))",
)
_LONGEST = len("2026-11-18T06:00:00.123456789+00:00")
_MILLISECOND = timedelta(milliseconds=1)


def to_text(moment: datetime) -> str:
    """`2026-11-18T06:00:00.000Z`; `moment` must be aware, fractions below 1 ms are cut."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def from_text(text: object, *, pointer: str = "") -> datetime:
    """The aware UTC moment of an RFC 3339 text with a zone; raises `time_malformed`."""
    moment = _moment(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if moment is None:
        raise _malformed(pointer)
    return moment


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    day_and_time, fraction, zone = match.groups()
    micros = int((fraction or "").ljust(6, "0")[:6])
    try:
        moment = datetime.fromisoformat(day_and_time + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=micros)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC moment of milliseconds since 1970-01-01T00:00:00Z; raises `time_malformed`."""
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        raise _malformed("") from None


def _malformed(pointer: str) -> MalformedError:
    return MalformedError(
        "time_malformed",
        "a time is RFC 3339 with a zone, such as 2026-11-18T06:00:00Z",
        pointer=pointer,
    )
