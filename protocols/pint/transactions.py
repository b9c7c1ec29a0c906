"""One deed in a transfer chain: who did what to whom, when (PINT 3.0.0 Transaction)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from protocols import times
from protocols.pint.parties import TransactionParty, read_party
from protocols.pint.reading import TRIMMED, Json, loose, present, word
from protocols.pint.words import Action, Reason

if TYPE_CHECKING:
    from protocols.fields import Fields


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction. at: when it was created, as its platform says (aware, UTC, milliseconds)."""

    action: Action
    actor: TransactionParty
    at: datetime
    recipient: TransactionParty | None = None
    reason: Reason | None = None
    comments: str | None = None
    audit_reference: str | None = None

    def to_json(self) -> Json:
        """The object on the wire."""
        body: Json = {
            "actionCode": self.action.value,
            "actor": self.actor.to_json(),
            "actionDateTime": times.to_text(self.at),
        }
        if self.recipient is not None:
            body["recipient"] = self.recipient.to_json()
        return body | present(
            reasonCode=self.reason and self.reason.value,
            comments=self.comments,
            auditReference=self.audit_reference,
        )


def read_transaction(fields: Fields) -> Transaction:
    """One transaction; a word or reason that the standard does not know is a fault."""
    recipient = fields.optional_child("recipient")
    reason = loose(fields, "reasonCode", 4)
    return Transaction(
        action=word(fields, "actionCode", Action),
        actor=read_party(fields.child("actor")),
        at=fields.time("actionDateTime"),
        recipient=None if recipient is None else read_party(recipient),
        reason=None if reason is None else word(fields, "reasonCode", Reason),
        comments=fields.optional_text("comments", pattern=TRIMMED, max_length=255),
        audit_reference=loose(fields, "auditReference", 100),
    )
