"""Notifications about transport documents: written and read as EBL 3.0.4 has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from protocols.pint.issuance import TransportDocumentRelation
from protocols.pint.notification import Feedback, Notification, Status, read_notification
from schemas import strict_json
from schemas.errors import MalformedError
from tests.support.dcsa import faults

EVENT = Notification(
    id="3cecb101-7a1a-43a4-9d62-e88a131651e2",
    source="https://carrier.example",
    at=datetime(2026, 11, 18, 6, tzinfo=UTC),
    subscription="SUB-1",
    relation=TransportDocumentRelation("NHLU1", "v2"),
    status=Status.VOIDED.value,
    feedback=(Feedback("INFO", "INFORMATIONAL_MESSAGE", "Switched to paper"),),
)


def read(**changes: Any) -> Notification:
    return read_notification(strict_json.canonical(EVENT.to_json() | changes))


def test_an_event_is_read_as_it_was_written_and_obeys_the_published_schema() -> None:
    assert read() == EVENT
    assert faults("EBL", "TransportDocumentNotification", EVENT.to_json()) == []


def test_the_lightweight_form_needs_no_feedback_and_keeps_words_it_does_not_know() -> None:
    data = {"transportDocumentStatus": "AMENDED_SOMEHOW", "transportDocumentReference": "NHLU1"}
    event = read(data=data)
    assert (event.status, event.feedback) == ("AMENDED_SOMEHOW", ())
    assert event.relation == TransportDocumentRelation("NHLU1")
    assert "feedbacks" not in strict_json.canonical(event.to_json()).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "2.0"},
        {"type": "org.dcsa.shipping-instructions.v3"},
        {"datacontenttype": "text/xml"},
        {"time": "yesterday"},
        {"data": {"transportDocumentStatus": "ISSUED"}},
        {"subscriptionReference": " "},
    ],
)
def test_what_is_no_such_event_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match="pint_message_malformed"):
        read(**changes)
