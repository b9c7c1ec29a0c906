"""When to try again: full jitter, then hourly, then never silently (DESIGN §4).

A delay is drawn from [0, base·2ⁿ] up to 15 minutes during the first day and lies around one hour
until the message's fourteenth day. The random number is passed in. A breaker opens after three
failures in a row: then only one message at a time probes the peer, and only an outbound success
closes it, because a peer that can call us need not be able to hear us.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

BREAKER_FAILURES = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waiting times. `factor` multiplies `base` per failure, up to `cap`."""

    base: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=15)
    eager: timedelta = timedelta(hours=24)
    steady: timedelta = timedelta(hours=1)
    give_up: timedelta = timedelta(days=14)

    def delay(self, failures: int, age: timedelta, random: float) -> timedelta | None:
        """How long to wait after `failures` (≥ 1) failures in a row of something `age` old.

        random: a number in [0, 1). None: it is time to give up, loudly.
        """
        if age >= self.give_up:
            return None
        if age >= self.eager:
            return self.steady * (0.75 + random / 2)
        # The exponent is bounded so that no number of failures overflows a float.
        ceiling = self.base * self.factor ** min(failures - 1, 40)
        return min(self.cap, ceiling) * random


def breaker_open(failures: int) -> bool:
    """Whether only a probe of one message may go out."""
    return failures >= BREAKER_FAILURES


ALARM_AGES = (timedelta(minutes=15), timedelta(hours=4), timedelta(hours=24))


def alarm_level(age: timedelta) -> int:
    """0 to 3: how many of the alarm ages an unreceipted message has passed."""
    return sum(age >= limit for limit in ALARM_AGES)
