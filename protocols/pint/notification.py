"""Notifications about transport documents: CloudEvents as DCSA EBL 3.0.4 writes them.

POST /v3/transport-document-notifications; the lightweight form, which names the document and its
status. `source` and `id` together are one event: a second arrival is the same event again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import times
from protocols.fields import Fields
from protocols.pint.issuance import TransportDocumentRelation, read_relation
from protocols.pint.reading import CODE, MAX_LIST, TRIMMED, Json, loose
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTIFICATIONS = "/v3/transport-document-notifications"
SPECVERSION, TYPE, CONTENT = "1.0", "org.dcsa.transport-document.v3", "application/json"
MAX_BODY = 1024 * 1024


class Status(StrEnum):
    """EBL 3.0.4 transportDocumentStatus of an issued bill."""

    ISSUED = "ISSUED"
    PENDING_SURRENDER_FOR_AMENDMENT = "PENDING_SURRENDER_FOR_AMENDMENT"
    SURRENDERED_FOR_AMENDMENT = "SURRENDERED_FOR_AMENDMENT"
    PENDING_SURRENDER_FOR_DELIVERY = "PENDING_SURRENDER_FOR_DELIVERY"
    SURRENDERED_FOR_DELIVERY = "SURRENDERED_FOR_DELIVERY"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the provider has to say. severity: ERROR, WARN or INFO; code: of DCSA's list."""

    severity: str
    code: str
    message: str

    def to_json(self) -> Json:
        """The object on the wire."""
        return {"severity": self.severity, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Notification:
    """One event. status: a word that this version does not know is kept as it came."""

    id: str
    source: str
    at: datetime
    subscription: str
    relation: TransportDocumentRelation
    status: str
    feedback: tuple[Feedback, ...] = ()

    def to_json(self) -> Json:
        """The CloudEvent."""
        data: Json = {"transportDocumentStatus": self.status, **self.relation.to_json()}
        if self.feedback:
            data["feedbacks"] = [one.to_json() for one in self.feedback]
        return {
            "specversion": SPECVERSION,
            "id": self.id,
            "source": self.source,
            "type": TYPE,
            "time": times.to_text(self.at),
            "datacontenttype": CONTENT,
            "subscriptionReference": self.subscription,
            "data": data,
        }


def read_notification(body: bytes) -> Notification:
    """The event; raises MalformedError json_*, `pint_message_malformed`."""
    fields = Fields(strict_json.loads_object(body, max_bytes=MAX_BODY), CODE)
    fixed = (("specversion", SPECVERSION), ("type", TYPE), ("datacontenttype", CONTENT))
    for name, value in fixed:
        if fields.text(name, max_length=100) != value:
            raise fields.fault(name, f"{name} is {value}")
    data = fields.child("data")
    return Notification(
        id=fields.text("id", max_length=100),
        source=fields.text("source", max_length=4096),
        at=fields.time("time"),
        subscription=fields.text("subscriptionReference", pattern=TRIMMED, max_length=100),
        relation=read_relation(data),
        status=data.text("transportDocumentStatus", max_length=50),
        feedback=_feedback(data.children("feedbacks", MAX_LIST)),
    )


def _feedback(items: Iterable[Fields]) -> tuple[Feedback, ...]:
    return tuple(
        Feedback(
            item.text("severity", max_length=50),
            item.text("code", max_length=50),
            loose(item, "message", 5000) or "",
        )
        for item in items
    )
