"""What a register signs: how a balance stands, and what became of one operation.

The answer to an operation tells the line that it was about; a balance that is asked for is told
with all its lines. `MAX_ANSWER` holds `MAX_LINES` of them with the longest amounts there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.balance.named import MAX_LINES
from protocols.balance.quantities import (
    CODE,
    plain,
    read_amount,
    read_quantity,
    read_total,
)
from protocols.balance.register import Part, Use, UseState
from protocols.balance.requests import MAX_DECLARATION, MAX_LINE, Request, read_line, read_request
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from protocols.balance.register import Balance
    from protocols.keys import Signer
    from protocols.member_list import MemberList
    from schemas.strict_json import JsonValue

TYP = "pratique-balance+jwt"
MAX_ANSWER = 64_000


class Outcome(StrEnum):
    """The answer; INDETERMINATE is said by who did not get one."""

    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True, slots=True)
class Answer:
    """A register's signed statement: how it stands as of `seq`, and the outcome of a request.

    seq:       None where no balance of that certificate is kept there
    whole:     None also where the lines have no one unit
    lines:     all of them, or the one that the request was about
    use:       the asker's own use after the operation
    first_use: where it was refused because used, who was first
    """

    network: str
    register: str
    certificate: bytes
    at: datetime
    seq: int | None = None
    whole: Part | None = None
    lines: tuple[Part, ...] = ()
    outcome: Outcome | None = None
    request: Request | None = None
    by: str = ""
    use: Use | None = None
    code: str = ""
    detail: str = ""
    first_use: Use | None = None
    text: str = field(default="", repr=False)

    def payload(self) -> bytes:
        """What is signed: RFC 8785 JSON."""
        return strict_json.canonical({"network": self.network, **self.to_json()})

    def to_json(self) -> dict[str, JsonValue]:
        """For the API, and to be signed."""
        request = self.request
        body: dict[str, JsonValue] = {
            "register": self.register,
            "certificate": self.certificate.hex(),
            "seq": self.seq,
            **(_part_json(self.whole) if self.whole else {}),
            "lines": [{"line": part.line, **_part_json(part)} for part in self.lines] or None,
            "at": times.to_text(self.at),
            "outcome": self.outcome.value if self.outcome else None,
            "by": self.by or None,
            "request": strict_json.loads_object(request.to_bytes()) if request else None,
            "use": self._use_json(self.use),
            "code": self.code or None,
            "detail": self.detail or None,
            "firstUse": self._use_json(self.first_use),
        }
        return {name: value for name, value in body.items() if value is not None}

    def _use_json(self, use: Use | None) -> dict[str, JsonValue] | None:
        parts = (*self.lines, *((self.whole,) if self.whole else ()))
        units = (part.quantity.unit for part in parts if use and part.line in (use.line, None))
        return use_json(use, next(units, "")) if use else None


def _part_json(part: Part) -> dict[str, JsonValue]:
    return {
        "quantity": part.quantity.to_json(),
        "left": plain(part.left),
        "reserved": plain(part.reserved),
        "writtenOff": plain(part.written_off),
    }


def answer(
    balance: Balance, *, network: str, register: str, at: datetime, lines: tuple[Part, ...]
) -> Answer:
    """What the register says of a balance now, and of which of its lines."""
    return Answer(
        network=network,
        register=register,
        certificate=balance.certificate,
        at=at,
        seq=balance.seq,
        whole=balance.whole,
        lines=lines,
    )


def use_json(use: Use, unit: str) -> dict[str, JsonValue]:
    """One use, for the API and in answers."""
    return {
        "by": use.by,
        "declaration": use.declaration,
        **({"line": use.line} if use.line is not None else {}),
        "quantity": {"value": plain(use.quantity), "unit": unit},
        "state": use.state.value,
        "at": times.to_text(use.at),
    }


def sign(made: Answer, signer: Signer) -> str:
    """The answer as a compact JWS by the register's exchange key."""
    return jws.sign(made.payload(), typ=TYP, signer=signer)


def read_answer(text_: str, members: MemberList) -> Answer:
    """An answer whose signature is by a listed exchange key of the register it names (R1, R3).

    Raises MalformedError `balance_malformed`, RefusedError `balance_untrusted`.
    """
    parsed = jws.parse(text_, typ=TYP, max_bytes=MAX_ANSWER)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    outcome = fields.optional_text("outcome", max_length=20)
    request = fields.optional_child("request")
    found = Answer(
        network=fields.text("network", max_length=64),
        register=fields.text("register", pattern=DID),
        certificate=fields.digest("certificate"),
        at=fields.time("at"),
        outcome=Outcome(outcome) if outcome in ("GRANTED", "REFUSED") else None,
        request=read_request(request) if request else None,
        by=fields.optional_text("by", pattern=DID) or "",
        use=_read_use(fields, "use"),
        code=fields.optional_text("code", max_length=60) or "",
        detail=fields.optional_text("detail") or "",
        first_use=_read_use(fields, "firstUse"),
        text=text_,
    )
    _require_signed(parsed, found, members)
    return _with_parts(found, fields)


def read_payload(text_: str) -> dict[str, JsonValue]:
    """What an answer says, without asking who signed it: for one that was read when it came."""
    return strict_json.loads_object(jws.parse(text_, typ=TYP, max_bytes=MAX_ANSWER).payload)


def _with_parts(found: Answer, fields: Fields) -> Answer:
    """With how the whole and the lines stand, if a balance is kept there."""
    if not fields.has("seq"):
        return found
    lines = tuple(
        _read_part(each, each.integer("line", 1, MAX_LINE))
        for each in fields.children("lines", MAX_LINES)
    )
    if len({part.line for part in lines}) != len(lines):
        raise fields.fault("lines", "each line is told once")
    whole = _read_part(fields, None) if fields.has("quantity") else None
    return replace(found, seq=fields.integer("seq", 0, 2**53 - 1), whole=whole, lines=lines)


def _read_part(fields: Fields, line: int | None) -> Part:
    left, reserved, written_off = (
        read_amount(fields, name) for name in ("left", "reserved", "writtenOff")
    )
    return Part(line, read_total(fields), left, reserved, written_off)


def _read_use(fields: Fields, name: str) -> Use | None:
    given = fields.optional_child(name)
    quantity = read_quantity(given) if given else None
    if given is None or quantity is None:
        return None
    state = given.text("state", max_length=20)
    if state not in set(UseState):
        raise given.fault("state", f"state is one of {', '.join(UseState)}")
    return Use(
        given.text("by", pattern=DID),
        given.text("declaration", max_length=MAX_DECLARATION),
        quantity.value,
        UseState(state),
        given.time("at"),
        read_line(given),
    )


def _require_signed(parsed: jws.Jws, found: Answer, members: MemberList) -> None:
    node = members.node(found.register)
    if found.network != members.network.hex():
        raise RefusedError("balance_untrusted", "it belongs to another network")
    for key in node.keys if node else ():
        fits = key.purpose == "exchange" and key.kid == parsed.kid and key.valid_at(found.at)
        if fits:
            jws.verify(parsed, key.public)
            return
    raise RefusedError("balance_untrusted", f"{parsed.kid[:200]} is no key of its register")
