"""The seams between what is said and what carries it: the few things a node can exchange.

Each has two real implementations in the end, and test doubles that fail both ways: applied, then
errored; errored, not applied (DESIGN §2). Nothing else is abstracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from protocols.keys import Signer

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.title.machine import TitleState

__all__ = ["Answer", "BlobStore", "Clock", "Signer", "TitleArbiter", "Transport"]


class Clock(Protocol):
    """Where a node takes the time from. Pure code is handed moments, never a clock."""

    def now(self) -> datetime:
        """The aware moment, in UTC."""
        ...

    def now_ms(self) -> int:
        """The same in milliseconds since 1970-01-01T00:00:00Z."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits that long by this clock."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over a transport: HTTP status, headers by lower-case name, capped body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries one signed call to a listed node (R12)."""

    async def call(
        self,
        did: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        deadline: float = 10.0,
    ) -> Answer:
        """The peer's answer, whatever its status.

        did:      look-up key into the member list; an unlisted one raises RefusedError (R7)
        path:     absolute path with its query
        deadline: seconds for the whole call

        Raises UnavailableError `peer_unreachable` when there was no whole answer: the outcome is
        unknown and the call is repeated, it is never a refusal (R13).
        """
        ...


class TitleArbiter(Protocol):
    """Orders the operations of titles: compare-and-swap on (title, seq) (DESIGN §5).

    One machine (`protocols.title.machine`) behind both. What differs is the form that is signed: of
    a log a compact JWS (`protocols.title.operation`), of a chain EIP-712 typed data in JSON
    (`protocols.evm.title`); each maps to one `protocols.title.machine.Operation` and back.
    """

    @property
    def id(self) -> bytes:
        """The arbiter id that a title names for good (R19)."""
        ...

    async def submit(self, operation: str) -> None:
        """Hands in a signed operation in the arbiter's form; doing so again changes nothing.

        Raises ConflictError when another operation took its place, RefusedError when the rules
        forbid it, UnavailableError when the outcome is unknown.
        """
        ...

    async def state(self, title: bytes) -> TitleState | None:
        """The last *final* state of the title (R21), or None when it was never issued."""
        ...


class BlobStore(Protocol):
    """Keeps large bytes beside the database under a name the caller chose (R12: per peer)."""

    async def put(self, name: str, data: bytes) -> None:
        """Durable when it returns; the same name with the same bytes is no error."""
        ...

    async def get(self, name: str) -> bytes:
        """The bytes; raises NotFoundError `blob_missing`."""
        ...

    async def delete(self, name: str) -> None:
        """Removes the bytes; a name nobody stored is no error."""
        ...
