"""Notifications about transport documents (EBL 3.0.4): what changed, told and heard.

A carrier tells the platform that holds the bill, where that platform subscribed: a member always,
another when the operator wrote down the reference of its subscription. They inform; no state hangs
on them, but for one: a bill whose title was refused was never in force (`TITLE_REFUSED`).
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING

from node.ebl import rows
from protocols.pint import notification
from protocols.pint.issuance import TransportDocumentRelation
from protocols.pint.notification import Feedback, Notification
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.ebl.rows import Issuance
    from node.runtime import Node
    from protocols.pint.notification import Status

MAX_SUBSCRIPTION = 100
#: Feedback to VOIDED, our own word: the bill never came to life, its arbiter refused the title.
TITLE_REFUSED = "TITLE_REFUSED"


def send(
    conn: Connection, node: Node, held: Issuance, status: Status, feedback: Feedback | None = None
) -> None:
    """Keep a notification to the platform of a bill, and the call that carries it."""
    try:
        to = node.ebl.counterparts.named(held.counterpart)
    except TradeError:
        return  # no longer a counterpart: nobody to tell
    if to.subscription is None:
        return
    now = node.clock.now()
    event = Notification(
        id=str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
        source=node.endpoint,
        at=now,
        subscription=to.subscription[:MAX_SUBSCRIPTION],
        relation=TransportDocumentRelation(held.reference, held.sub_reference),
        status=status.value,
        feedback=() if feedback is None else (feedback,),
    )
    body = strict_json.canonical(event.to_json())
    _keep(conn, node, "sent", to.name, event, body)
    draft = rows.Draft(to.name, "POST", notification.NOTIFICATIONS, body, "notice", held.number)
    rows.put_call(conn, draft, node.clock.now_ms())


def receive(conn: Connection, node: Node, sender: Counterpart, body: bytes) -> Notification | None:
    """Keep an event that was told to us; None when it was heard before."""
    event = notification.read_notification(body)
    return event if _keep(conn, node, "received", sender.name, event, body) else None


def _keep(
    conn: Connection, node: Node, direction: str, who: str, event: Notification, body: bytes
) -> bool:
    values = {
        "direction": direction,
        "counterpart": who,
        "source": event.source,
        "event": event.id,
        "reference": event.relation.reference,
        "status": event.status,
        "body": body,
        "at": node.clock.now_ms(),
    }
    return rows.put_notification(conn, values)
