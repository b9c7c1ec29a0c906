"""The balance of a certificate: what of its quantity is reserved, written off, and left (R23).

A certificate that may be used in parts has one register, named in it (by default its issuer).
Each use is one (certificate, node, declaration); the register applies one operation at a time by
compare-and-swap on (certificate, seq) and signs what it answers. Asking again changes nothing.
What is used is refused to the next one with the first use named. Without the register's answer
nothing is known: INDETERMINATE, never written off. RCEP 3.19(1)(e) for back-to-back certificates.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import RefusedError
from schemas.fields import decimal, objects, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocols.keys import Signer
    from protocols.member_list import MemberList
    from schemas.strict_json import JsonValue

TYP = "pratique-balance+jwt"
CODE = "balance_malformed"
MAX_ANSWER = 16_000
MAX_DECLARATION = 100
MAX_USES = 10_000


class Action(StrEnum):
    """What is asked of a register."""

    RESERVE = "reserve"
    WRITE_OFF = "write-off"
    RELEASE = "release"


class UseState(StrEnum):
    """How one use stands."""

    RESERVED = "RESERVED"
    WRITTEN_OFF = "WRITTEN_OFF"
    RELEASED = "RELEASED"


class Outcome(StrEnum):
    """The answer; INDETERMINATE is said by who did not get one."""

    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount above zero, in a unit of UN/ECE Recommendation 20."""

    value: Decimal
    unit: str

    def to_json(self) -> dict[str, JsonValue]:
        """As documents write a measure."""
        return {"value": plain(self.value), "unit": self.unit}


@dataclass(frozen=True, slots=True)
class Use:
    """One use: by which node, under which declaration, how much, since when."""

    by: str
    declaration: str
    quantity: Decimal
    state: UseState
    at: datetime

    @property
    def counts(self) -> bool:
        """Whether it takes from the balance."""
        return self.state is not UseState.RELEASED


@dataclass(frozen=True, slots=True)
class Balance:
    """A certificate's register: the whole quantity, how often it changed, and its uses in order."""

    certificate: bytes
    quantity: Quantity
    seq: int = 0
    uses: tuple[Use, ...] = ()

    def _sum(self, state: UseState) -> Decimal:
        return sum((use.quantity for use in self.uses if use.state is state), Decimal(0))

    @property
    def reserved(self) -> Decimal:
        """What is held for declarations not yet decided."""
        return self._sum(UseState.RESERVED)

    @property
    def written_off(self) -> Decimal:
        """What is used for good."""
        return self._sum(UseState.WRITTEN_OFF)

    @property
    def left(self) -> Decimal:
        """What may still be reserved."""
        return self.quantity.value - self.reserved - self.written_off

    def use_of(self, by: str, declaration: str) -> Use | None:
        """The use of one declaration."""
        return next((u for u in self.uses if (u.by, u.declaration) == (by, declaration)), None)

    @property
    def first_use(self) -> Use | None:
        """The first use that counts: what a refusal names."""
        return min((use for use in self.uses if use.counts), key=lambda use: use.at, default=None)


@dataclass(frozen=True, slots=True)
class Request:
    """One operation asked for by a node.

    id:       of the asker's own choice, echoed in the answer
    quantity: None to write off, or release, what is reserved
    expect:   the seq the asker saw last, where it insists on it (compare and swap)
    """

    id: str
    certificate: bytes
    declaration: str
    action: Action
    quantity: Quantity | None = None
    expect: int | None = None

    def to_bytes(self) -> bytes:
        """The body of a message `urn:pratique:balance`."""
        body: dict[str, JsonValue] = {
            "id": self.id,
            "certificate": self.certificate.hex(),
            "declaration": self.declaration,
            "action": self.action.value,
            "quantity": self.quantity.to_json() if self.quantity else None,
            "expect": self.expect,
        }
        return strict_json.canonical({k: v for k, v in body.items() if v is not None})


def read_request(fields: Fields) -> Request:
    """Raises MalformedError `balance_malformed`."""
    return Request(
        id=fields.text("id", max_length=64),
        certificate=fields.digest("certificate"),
        declaration=fields.text("declaration", max_length=MAX_DECLARATION),
        action=_action(fields),
        quantity=read_quantity(fields),
        expect=fields.integer("expect", 0, 2**53) if fields.has("expect") else None,
    )


def _action(fields: Fields) -> Action:
    said = fields.text("action", max_length=20)
    if said not in set(Action):
        raise fields.fault("action", f"action is one of {', '.join(Action)}")
    return Action(said)


def read_quantity(fields: Fields, name: str = "quantity") -> Quantity | None:
    """A measure above zero, or None when the member is absent; raises MalformedError."""
    given = fields.optional_child(name)
    if given is None:
        return None
    value = decimal(dict(given.members), "value")
    if value is None or not value.is_finite() or not 0 < value < 10**15:
        raise given.fault("value", "value is a decimal number above zero, as a text")
    return Quantity(value, given.text("unit", max_length=3))


def plain(value: Decimal) -> str:
    """Without exponent and without zeros at the end."""
    whole = format(value, "f")
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


@dataclass(frozen=True, slots=True)
class Named:
    """What a certificate says about its balance: who keeps it, and of how much."""

    register: str
    quantity: Quantity


def named_in(document: Mapping[str, JsonValue], issuer: str) -> Named:
    """The register and the whole quantity of a certificate.

    Without a `balance` member the issuer keeps it, over the lines' quantities. Raises RefusedError
    `balance_not_kept` where there is no one quantity.
    """
    value = decimal(dict(document), "balance", "quantity", "value")
    unit = text(dict(document), "balance", "quantity", "unit")
    register = text(dict(document), "balance", "register")
    if value is None or unit is None:
        lines = [line for _, line in objects(dict(document), "goods")]
        units = {text(line, "quantity", "unit") for line in lines}
        values = [decimal(line, "quantity", "value") for line in lines]
        if len(units) != 1 or None in units or None in values:
            raise RefusedError("balance_not_kept", "the certificate has no one quantity")
        unit = units.pop()
        value = sum((each for each in values if each is not None), Decimal(0))
    assert unit is not None
    return Named(register or issuer, Quantity(value, unit))


# -- the register ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Applied:
    """A balance after an operation, the use it concerns, and whether anything changed."""

    balance: Balance
    use: Use
    changed: bool


def apply(balance: Balance, request: Request, *, by: str, at: datetime) -> Applied:
    """The balance after the operation.

    Raises RefusedError: `balance_used` (too little is left, or it is used up), `balance_moved`
    (another seq than expected), `balance_unit_differs`, `balance_quantity_missing`,
    `balance_other_quantity` (this declaration stands with another one), `balance_not_reserved`,
    `balance_written_off` (final), `balance_full`.
    """
    quantity = request.quantity
    if quantity is not None and quantity.unit != balance.quantity.unit:
        told = f"it is counted in {balance.quantity.unit}"
        raise RefusedError("balance_unit_differs", told)
    before = balance.use_of(by, request.declaration)
    wanted = quantity.value if quantity else None
    repeated = _repeated(before, request.action, wanted)
    if repeated is not None:
        return Applied(balance, repeated, changed=False)
    if request.expect is not None and request.expect != balance.seq:
        raise RefusedError("balance_moved", f"the balance is at {balance.seq}")
    standing = before if before is not None and before.counts else None
    if request.action is Action.RELEASE:
        after = replace(_reserved(standing), state=UseState.RELEASED, at=at)
    else:
        after = _taken(balance, request, standing, by, at)
    return Applied(_with(balance, before, after), after, changed=True)


_REACHED = {
    Action.RESERVE: UseState.RESERVED,
    Action.WRITE_OFF: UseState.WRITTEN_OFF,
    Action.RELEASE: UseState.RELEASED,
}


def _repeated(before: Use | None, action: Action, wanted: Decimal | None) -> Use | None:
    """The use when this very thing was done already: one answer, however often it is asked."""
    if before is None or before.state is not _REACHED[action]:
        # What is written off needs no reserve any more.
        later = before is not None and before.state is UseState.WRITTEN_OFF
        if not (later and action is Action.RESERVE):
            return None
    assert before is not None
    if action is Action.RELEASE or wanted is None or wanted == before.quantity:
        return before
    raise RefusedError(
        "balance_other_quantity", f"this declaration stands with {plain(before.quantity)}"
    )


def _reserved(standing: Use | None) -> Use:
    if standing is None:
        raise RefusedError("balance_not_reserved", "nothing is reserved for this declaration")
    if standing.state is UseState.WRITTEN_OFF:
        raise RefusedError("balance_written_off", "what is written off stays so")
    return standing


def _taken(balance: Balance, request: Request, standing: Use | None, by: str, at: datetime) -> Use:
    """Reserve, or write off what is reserved or free; what a write-off leaves is free again."""
    held = standing.quantity if standing else Decimal(0)
    wanted = request.quantity.value if request.quantity else held
    if wanted <= 0:
        raise RefusedError("balance_quantity_missing", "say how much")
    if wanted > balance.left + held:
        first = balance.first_use
        told = f"{plain(balance.left)} {balance.quantity.unit} left of {plain(wanted)}"
        if first is not None:
            told += f"; first used for {first.declaration} by {first.by}"
        raise RefusedError("balance_used", told)
    if standing is None and len(balance.uses) >= MAX_USES:
        raise RefusedError("balance_full", f"more than {MAX_USES} uses")
    return Use(by, request.declaration, wanted, _REACHED[request.action], at)


def _with(balance: Balance, before: Use | None, after: Use) -> Balance:
    others = tuple(use for use in balance.uses if use is not before)
    return replace(balance, seq=balance.seq + 1, uses=(*others, after))


# -- what the register signs -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A register's signed statement: totals as of `seq`, and the outcome of one request, if any.

    quantity:  None where no balance of that certificate is kept there
    use:       the asker's own use after the operation
    first_use: where it was refused because used, who was first
    """

    network: str
    register: str
    certificate: bytes
    at: datetime
    seq: int = 0
    quantity: Quantity | None = None
    left: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    written_off: Decimal = Decimal(0)
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
        unit = self.quantity.unit if self.quantity else ""
        request = self.request
        body: dict[str, JsonValue] = {
            "register": self.register,
            "certificate": self.certificate.hex(),
            **self._totals(),
            "at": times.to_text(self.at),
            "outcome": self.outcome.value if self.outcome else None,
            "by": self.by or None,
            "request": strict_json.loads_object(request.to_bytes()) if request else None,
            "use": use_json(self.use, unit),
            "code": self.code or None,
            "detail": self.detail or None,
            "firstUse": use_json(self.first_use, unit),
        }
        return {name: value for name, value in body.items() if value is not None}

    def _totals(self) -> dict[str, JsonValue]:
        if self.quantity is None:
            return {}
        return {
            "seq": self.seq,
            "quantity": self.quantity.to_json(),
            "left": plain(self.left),
            "reserved": plain(self.reserved),
            "writtenOff": plain(self.written_off),
        }


def answer(balance: Balance, *, network: str, register: str, at: datetime) -> Answer:
    """What the register says of a balance now."""
    return Answer(
        network=network,
        register=register,
        certificate=balance.certificate,
        seq=balance.seq,
        quantity=balance.quantity,
        left=balance.left,
        reserved=balance.reserved,
        written_off=balance.written_off,
        at=at,
    )


def use_json(use: Use | None, unit: str) -> dict[str, JsonValue] | None:
    """One use, for the API and in answers."""
    if use is None:
        return None
    return {
        "by": use.by,
        "declaration": use.declaration,
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
    return _with_totals(found, fields)


def read_payload(text_: str) -> dict[str, JsonValue]:
    """What an answer says, without asking who signed it: for one that was read when it came."""
    return strict_json.loads_object(jws.parse(text_, typ=TYP, max_bytes=MAX_ANSWER).payload)


def _with_totals(found: Answer, fields: Fields) -> Answer:
    if not fields.has("quantity"):
        return found
    return replace(
        found,
        seq=fields.integer("seq", 0, 2**53),
        quantity=read_quantity(fields),
        left=_amount(fields, "left"),
        reserved=_amount(fields, "reserved"),
        written_off=_amount(fields, "writtenOff"),
    )


def _amount(fields: Fields, name: str) -> Decimal:
    value = decimal(dict(fields.members), name)
    if value is None or not value.is_finite():
        raise fields.fault(name, f"{name} is a decimal number, as a text")
    return value


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
