"""What the story must show. The demo ends with exit code 0 only if every expectation held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that had to be seen: a name, whether it was, and what was seen instead."""

    name: str
    held: bool
    seen: str = ""

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {"name": self.name, "held": self.held, "seen": self.seen}


class ExpectationError(Exception):
    """Without this the rest of the consignment cannot be played."""


@dataclass(slots=True)
class Expectations:
    """Collects them over the whole run."""

    all: list[Expectation] = field(default_factory=list)

    def expect(self, name: str, held: bool, seen: object = "") -> bool:
        """Notes that `name` held or not, with what was seen. Returns `held`."""
        self.all.append(Expectation(name, bool(held), str(seen)))
        return bool(held)

    def require(self, name: str, held: bool, seen: object = "") -> None:
        """As `expect`; raises ExpectationError when it did not hold."""
        if not self.expect(name, held, seen):
            raise ExpectationError(f"{name}: {seen}")

    @property
    def failed(self) -> list[Expectation]:
        """Those that did not hold."""
        return [expectation for expectation in self.all if not expectation.held]
