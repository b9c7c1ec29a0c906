"""What a handler is given, and what it must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One stored message in its turn: signature, addressee and access are checked, the body is not.

    digest:      SHA-256 of the manifest's payload, the message's identity
    document:    SHA-256 of the credential's payload for a document, as claimed
    leaf:        leaf hash of our log entry for its receipt
    received_at: milliseconds UTC
    """

    sender: str
    id: str
    digest: bytes
    type: str
    stream: str | None
    seq: int | None
    body: bytes = field(repr=False)
    content_type: str
    manifest: str = field(repr=False)
    received_at: int
    document: bytes | None
    leaf: bytes


class Handler(Protocol):
    """What is done with messages of one kind, exactly once and in stream order.

    Both methods may raise a TradeError: UnavailableError means that nothing is known and the
    message is tried again later with back-off; any other is a refusal, which is stored and sent
    back to the sender as `urn:pratique:decided`.
    """

    async def prepare(self, message: InboundMessage) -> Any:
        """Everything slow, outside the transaction; the result goes to `apply`.

        May run again after a crash, and may run before the message before it is applied: what
        depends on stored state belongs into `apply`.
        """
        ...

    def apply(self, conn: Connection, message: InboundMessage, prepared: Any) -> None:
        """Changes the store, inside the transaction that marks the message delivered."""
        ...
