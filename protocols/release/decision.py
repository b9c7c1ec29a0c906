"""What a release decision is: conditions, each met or not, and the outcome they give together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from protocols import times
from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class State(StrEnum):
    """Of one condition. UNKNOWN blocks like UNMET; NOT_REQUIRED does not."""

    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"
    NOT_REQUIRED = "not-required"


class Outcome(StrEnum):
    """RELEASE: may leave now. HOLD: may not. DONE: has left, nothing can be decided any more."""

    RELEASE = "RELEASE"
    HOLD = "HOLD"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: id (REL-…), state, exact code, what was seen, and the documents behind it.

    `blocking` is False for a condition that is only told (preference).
    """

    id: str
    state: State
    code: str = ""
    reason: str = ""
    basis: tuple[str, ...] = ()
    blocking: bool = True
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """True when this condition keeps the container here."""
        return self.blocking and self.state in (State.UNMET, State.UNKNOWN)

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """Id, title, state, reason, next step (unless met) and the digests it rests on."""
        entry, exact = explain(self.id), explain(self.code)
        body: dict[str, Any] = {"id": self.id, "state": self.state.value, "blocking": self.blocking}
        body["title"] = entry.sentence(lang) if entry else self.id
        if self.code:
            body["code"] = self.code
        told = exact.sentence(lang) if exact else ""
        body["reason"] = " ".join(part for part in (told, self.reason) if part)
        if self.state in (State.UNMET, State.UNKNOWN):
            body["next"] = (
                exact.next_step(lang) if exact else entry.next_step(lang) if entry else ""
            )
        if self.basis:
            body["basis"] = list(self.basis)
        if self.detail:
            body["detail"] = dict(self.detail)
        return body


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one container at one moment, repeatable from the rules it cites."""

    outcome: Outcome
    container: str
    consignment: str
    at: datetime
    country: str
    edition: str
    rules_digest: str
    conditions: tuple[Condition, ...]
    alerts: tuple[str, ...] = ()

    @property
    def unmet(self) -> tuple[Condition, ...]:
        """The conditions that keep the container here, in the order of the rules."""
        return tuple(condition for condition in self.conditions if condition.blocks)

    @property
    def basis(self) -> tuple[str, ...]:
        """Digests (hex) of every document the met conditions rest on, sorted."""
        met = (each for each in self.conditions if each.state is State.MET)
        return tuple(sorted({digest for each in met for digest in each.basis}))

    def condition(self, condition_id: str) -> Condition | None:
        """The condition with that id."""
        return next((each for each in self.conditions if each.id == condition_id), None)

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """The decision as people and machines read it."""
        return {
            "outcome": self.outcome.value,
            "container": self.container,
            "consignment": self.consignment,
            "at": times.to_text(self.at),
            "rules": {
                "country": self.country,
                "edition": self.edition,
                "digest": self.rules_digest,
            },
            "conditions": [condition.to_json(lang) for condition in self.conditions],
            "alerts": [
                {"code": code, "title": entry.sentence(lang) if (entry := explain(code)) else code}
                for code in self.alerts
            ],
        }
