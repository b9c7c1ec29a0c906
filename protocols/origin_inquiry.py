"""What importing customs asks or tells an issuing body about a proof of origin, and the answer.

RCEP 3.24: a request for verification is answered within 30 to 90 days from its receipt, the
determination is endeavoured within 90 to 180 days from the answer; meanwhile preference may be
suspended, but the goods are released. 3.25: without an answer in time preference may be denied.
A refused preference is told to the issuing body with its reasons, and it answers, too. Days are
calendar days (1.2(e)).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import times
from protocols.fields import Fields
from schemas import strict_json

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

CODE = "inquiry_malformed"
ANSWER_DAYS, DETERMINATION_DAYS = (30, 90), (90, 180)
MAX_REASONS, MAX_REASON = 20, 2_000


class Kind(StrEnum):
    """A request for verification, or the report that preference was refused."""

    VERIFICATION = "verification"
    REFUSED = "preference-refused"


class Stage(StrEnum):
    """Where an inquiry stands."""

    SENT = "SENT"
    RECEIVED = "RECEIVED"
    OVERDUE = "OVERDUE"
    ANSWERED = "ANSWERED"
    DETERMINED = "DETERMINED"


#: What an issuing body may answer; what customs may determine.
ANSWERS = frozenset({"CONFIRMED", "NOT_CONFIRMED", "CORRECTED", "DISPUTED"})
DETERMINATIONS = frozenset({"PREFERENCE_GRANTED", "PREFERENCE_DENIED"})


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked or told. days: for the answer, counted from its receipt."""

    id: str
    kind: Kind
    certificate: bytes
    declaration: str
    reasons: tuple[str, ...]
    days: int = ANSWER_DAYS[1]

    def to_json(self) -> dict[str, JsonValue]:
        """As the message carries it."""
        body: dict[str, JsonValue] = {
            "id": self.id,
            "kind": self.kind.value,
            "certificate": self.certificate.hex(),
            "reasons": list(self.reasons),
            "days": self.days,
        }
        return body | ({"declaration": self.declaration} if self.declaration else {})


@dataclass(frozen=True, slots=True)
class Said:
    """An answer or a determination: its outcome, in words, and the certificate that replaces."""

    outcome: str
    text: str
    replacement: str = ""

    def to_json(self) -> dict[str, JsonValue]:
        """As the message carries it."""
        body: dict[str, JsonValue] = {"outcome": self.outcome, "text": self.text}
        return body | ({"replacement": self.replacement} if self.replacement else {})


def read_inquiry(fields: Fields, id_: str | None = None) -> Inquiry:
    """Raises MalformedError `inquiry_malformed`. id_: where the members name none."""
    kind = fields.text("kind", max_length=30)
    if kind not in set(Kind):
        raise fields.fault("kind", f"kind is one of {', '.join(Kind)}")
    reasons = fields.texts("reasons", max_items=MAX_REASONS, max_length=MAX_REASON)
    if not reasons:
        raise fields.fault("reasons", "say why (RCEP 3.24, 3.25: in writing)")
    return Inquiry(
        id_ or fields.text("id", max_length=64),
        Kind(kind),
        fields.digest("certificate"),
        fields.optional_text("declaration", max_length=100) or "",
        reasons,
        fields.integer("days", *ANSWER_DAYS) if fields.has("days") else ANSWER_DAYS[1],
    )


def read_said(fields: Fields, outcomes: frozenset[str]) -> Said:
    """Raises MalformedError `inquiry_malformed`."""
    outcome = fields.text("outcome", max_length=30)
    if outcome not in outcomes:
        raise fields.fault("outcome", f"outcome is one of {', '.join(sorted(outcomes))}")
    return Said(
        outcome,
        fields.text("text", max_length=MAX_REASON),
        fields.optional_text("replacement", max_length=64) or "",
    )


@dataclass(frozen=True, slots=True)
class Course:
    """When what happened; None where it has not."""

    days: int
    received: datetime | None = None
    answered: datetime | None = None
    determined: datetime | None = None

    @property
    def answer_due(self) -> datetime | None:
        """The last moment for the answer, counted from receipt."""
        return None if self.received is None else self.received + timedelta(days=self.days)

    @property
    def determination_due(self) -> datetime | None:
        """The last moment at which the determination is endeavoured, counted from the answer."""
        if self.answered is None:
            return None
        return self.answered + timedelta(days=DETERMINATION_DAYS[1])

    def stage(self, now: datetime) -> Stage:
        """Where it stands at `now`."""
        if self.determined is not None:
            return Stage.DETERMINED
        if self.answered is not None:
            return Stage.ANSWERED
        if self.answer_due is None:
            return Stage.SENT
        return Stage.OVERDUE if now > self.answer_due else Stage.RECEIVED

    def to_json(self, now: datetime) -> dict[str, JsonValue]:
        """For the API; what may be done when it is overdue stands in the catalogue."""
        moments = {
            "receivedAt": self.received,
            "answerDue": self.answer_due,
            "answeredAt": self.answered,
            "determinationDue": self.determination_due,
            "determinedAt": self.determined,
        }
        told: dict[str, JsonValue] = {"stage": self.stage(now).value}
        return told | {name: times.to_text(at) for name, at in moments.items() if at is not None}


def body(kind: str, id_: str, value: dict[str, JsonValue]) -> bytes:
    """A message `urn:pratique:origin-inquiry`; kind: ask, received, answer, determination."""
    return strict_json.canonical({kind: {"id": id_, **value}})
