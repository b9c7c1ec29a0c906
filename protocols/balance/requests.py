"""What is asked of a register: one operation on a certificate, or on one of its lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols.balance.quantities import Quantity, read_quantity
from schemas import strict_json

if TYPE_CHECKING:
    from protocols.fields import Fields
    from schemas.strict_json import JsonValue

MAX_DECLARATION = 100
#: The highest number that a goods line has in the profiles.
MAX_LINE = 9999


class Action(StrEnum):
    """What is asked of a register."""

    RESERVE = "reserve"
    WRITE_OFF = "write-off"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Request:
    """One operation asked for by a node.

    id:       of the asker's own choice, echoed in the answer
    quantity: None to write off, or release, what is reserved
    expect:   the seq the asker saw last, where it insists on it (compare and swap)
    line:     the goods line's number; None for the whole, or for the only line
    """

    id: str
    certificate: bytes
    declaration: str
    action: Action
    quantity: Quantity | None = None
    expect: int | None = None
    line: int | None = None

    def to_bytes(self) -> bytes:
        """The body of a message `urn:pratique:balance`."""
        body: dict[str, JsonValue] = {
            "id": self.id,
            "certificate": self.certificate.hex(),
            "declaration": self.declaration,
            "action": self.action.value,
            "quantity": self.quantity.to_json() if self.quantity else None,
            "expect": self.expect,
            "line": self.line,
        }
        return strict_json.canonical({k: v for k, v in body.items() if v is not None})


def read_request(fields: Fields) -> Request:
    """Raises MalformedError `balance_malformed`."""
    return Request(
        id=fields.text("id", max_length=64),
        certificate=fields.digest("certificate"),
        declaration=fields.text("declaration", max_length=MAX_DECLARATION),
        action=read_action(fields),
        quantity=read_quantity(fields),
        expect=fields.integer("expect", 0, 2**53 - 1) if fields.has("expect") else None,
        line=read_line(fields),
    )


def read_action(fields: Fields) -> Action:
    """The member `action`; raises MalformedError."""
    said = fields.text("action", max_length=20)
    if said not in set(Action):
        raise fields.fault("action", f"action is one of {', '.join(Action)}")
    return Action(said)


def read_line(fields: Fields) -> int | None:
    """The member `line`, or None when it is absent; raises MalformedError."""
    return fields.integer("line", 1, MAX_LINE) if fields.has("line") else None
