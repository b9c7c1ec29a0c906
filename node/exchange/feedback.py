"""What recipients say about our messages: validated, decided (levels two and three)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from node.exchange.message import Handler
from node.exchange.settling import note_feedback
from protocols.exchange.control import Feedback, read_feedback

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.exchange.message import InboundMessage
    from protocols.seams import Clock


class FeedbackHandler(Handler):
    """Writes feedback beside the message it speaks of."""

    def __init__(self, clock: Clock) -> None:
        """`clock` dates the event."""
        self._clock = clock

    @override
    async def prepare(self, message: InboundMessage) -> Feedback:
        return read_feedback(message.body)

    @override
    def apply(self, conn: Connection, message: InboundMessage, prepared: Any) -> None:
        level = message.type.rpartition(":")[2]
        note_feedback(conn, message.sender, level, prepared, self._clock.now_ms())
