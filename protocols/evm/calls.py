"""Calls to and events of the two contracts, as bytes (Solidity contract ABI specification).

Every argument here is a 32-byte word or an array of fixed rows, so a general ABI codec is not
needed. What a chain answers is read strictly: another length or a number outside its range raises
MalformedError `evm_answer_malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from protocols.evm.keys import NOBODY, Signature, keccak256
from protocols.evm.title import (
    BILLS,
    ENDINGS,
    KINDS,
    NO_DIGEST,
    REFUSALS,
    Joint,
    SignedEvmOperation,
    number_of,
    padded,
    word,
)
from protocols.times import from_ms
from protocols.title.machine import Bill, Ending, Kind, Offer, Party, State, TitleState
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.evm.title import EvmOperation, PartyOf

_Value = TypeVar("_Value")

CODE: Final = "evm_answer_malformed"
#: Most operations of one `apply`; the relayer sends at most 100.
MAX_OPERATIONS: Final = 200
MAX_GOVERNORS: Final = 16

_OP: Final = "(bytes32,uint256,address,address,bytes32,uint256,uint256)"
_TERMS: Final = "(address,bytes32)"
_SIGNATURE: Final = "(uint256,uint256,uint256)"
_STATES: Final = (
    State.NONE,
    State.LIVE,
    State.OFFERED,
    State.SURRENDERED,
    State.ACCEPTED,
    State.ENDED,
)


def selector(signature: str) -> bytes:
    """The four bytes that name a function."""
    return keccak256(signature.encode())[:4]


def topic(signature: str) -> bytes:
    """The first topic of an event."""
    return keccak256(signature.encode())


APPLY: Final = selector(f"apply({_OP}[],{_TERMS}[])")
APPLY_ONE: Final = selector(f"apply_one({_OP})")
APPLY_JOINT: Final = selector(f"apply_joint({_OP},address[],{_SIGNATURE}[])")
CONTROL: Final = selector("control(bytes32)")
OFFER_OF: Final = selector("offer(bytes32)")
SURRENDERED_BY: Final = selector("surrendered_by(bytes32)")
CARRIER_OF: Final = selector("carrier_of(address)")
MAY_ISSUE: Final = selector("may_issue(uint256)")
FROZEN_AT: Final = selector("frozen_at()")
SUCCESSOR: Final = selector("successor()")
OPEN: Final = selector("open(bytes32)")
ANCHOR: Final = selector("anchor(bytes32,uint64,bytes32)")
LATEST: Final = selector("latest(address,bytes32)")

MOVED: Final = topic("Moved(bytes32,uint256,bytes32,bytes32)")
REFUSED: Final = topic("Refused(bytes32,bytes32,uint256,uint256)")
ANCHORED: Final = topic("Anchored(bytes32,address,uint64,bytes32)")


def call(name: bytes, *words: bytes) -> bytes:
    """Call data of a function whose arguments are all single words."""
    return name + b"".join(words)


# Operations.


@dataclass(frozen=True, slots=True)
class Row:
    """One operation as the contract takes it: `Op`, seven words, and for ISSUE its `Terms`."""

    op: bytes
    terms: bytes = b""


def operation_row(signed: SignedEvmOperation) -> Row:
    """The row of an operation; that of joint holders has no signature in it."""
    consent = signed.consent
    signature = consent if isinstance(consent, Signature) else Signature(0, 0, 0)
    return raw_row(signed.operation, signature)


def raw_row(operation: EvmOperation, signature: Signature) -> Row:
    """The same from any numbers, right or wrong."""
    packed = (
        operation.seq
        | number_of(operation.kind) << 32
        | number_of(operation.bill) << 40
        | number_of(operation.ending) << 48
        | signature.v << 56
        | operation.deadline << 64
        | operation.expires << 128
    )
    parties = padded(operation.sender) + padded(operation.recipient)
    proof = word(signature.r) + word(signature.s)
    op = operation.title + word(packed) + parties + operation.entry + proof
    if operation.kind is not Kind.ISSUE:
        return Row(op)
    return Row(op, padded(operation.holder) + (operation.replaces or NO_DIGEST))


def apply_rows(rows: Sequence[Row]) -> bytes:
    """Call data of `apply` for prepared rows."""
    ops = word(len(rows)) + b"".join(row.op for row in rows)
    terms = [row.terms for row in rows if row.terms]
    listed = word(len(terms)) + b"".join(terms)
    return APPLY + word(64) + word(64 + len(ops)) + ops + listed


def apply_batch(batch: Sequence[SignedEvmOperation]) -> bytes:
    """Call data of `apply`; joint holders' operations go alone, through `apply_one`."""
    return apply_rows([operation_row(signed) for signed in batch])


def apply_one(signed: SignedEvmOperation) -> bytes:
    """Call data for one operation, of one holder or of joint ones."""
    row, consent = operation_row(signed), signed.consent
    if row.terms:
        return apply_rows([row])
    if not isinstance(consent, Joint):
        return APPLY_ONE + row.op
    members = word(len(consent.members)) + b"".join(padded(item) for item in consent.members)
    # Offsets count from the first argument: the row, then two words of offsets.
    at = len(row.op) + 64
    head = word(at) + word(at + len(members))
    return APPLY_JOINT + row.op + head + members + _signatures(consent.signatures)


def _signatures(signatures: Sequence[Signature]) -> bytes:
    rows = (word(item.v) + word(item.r) + word(item.s) for item in signatures)
    return word(len(signatures)) + b"".join(rows)


# Events.


@dataclass(frozen=True, slots=True)
class Log:
    """One log of a receipt: who emitted it, its topics, its data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """An operation was applied; `seq` is the title's number after it."""

    title: bytes
    seq: int
    kind: Kind
    recipient: bytes | None
    entry: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation did not hold; `seq` is the title's number at that moment."""

    title: bytes
    digest: bytes
    code: str
    seq: int


@dataclass(frozen=True, slots=True)
class Anchored:
    """A log's size and root were anchored; origin is SHA-256 of its C2SP origin."""

    origin: bytes
    sender: bytes
    size: int
    root: bytes


Event: TypeAlias = Moved | Refused | Anchored


def read_event(log: Log) -> Event | None:
    """The event of a log, or None when it is of another kind (the governors' for example)."""
    kind = log.topics[0] if log.topics else b""
    reader = _READERS.get(kind)
    return None if reader is None else reader(log)


def _moved(log: Log) -> Moved:
    topics, data = _shape(log, 2, 3)
    packed = _number(data[0])
    kind = _pick(KINDS, packed >> 184)
    if kind is None:
        raise _malformed("an operation has a kind")
    return Moved(
        title=topics[1],
        seq=packed >> 160 & 0xFF_FFFF,
        kind=kind,
        recipient=_optional(word(packed & (1 << 160) - 1)),
        entry=data[1],
        digest=data[2],
    )


def _refused(log: Log) -> Refused:
    topics, data = _shape(log, 2, 3)
    return Refused(topics[1], data[0], _pick(REFUSALS, _number(data[1])), _number(data[2]))


def _anchored(log: Log) -> Anchored:
    topics, data = _shape(log, 3, 2)
    return Anchored(topics[1], _account(topics[2]), _number(data[0]), data[1])


_READERS: Final[Mapping[bytes, Callable[[Log], Event]]] = MappingProxyType(
    {MOVED: _moved, REFUSED: _refused, ANCHORED: _anchored}
)


def _shape(log: Log, topics: int, words: int) -> tuple[tuple[bytes, ...], list[bytes]]:
    if len(log.topics) != topics or any(len(item) != 32 for item in log.topics):
        raise _malformed("the event has other topics")
    return log.topics, _words(log.data, words)


# Answers.


@dataclass(frozen=True, slots=True)
class EvmTitle:
    """What the contract holds of a title; parties are addresses, the carrier a number.

    possessor: None while the carrier holds the surrendered title, and after the end
    purpose:   10 or 11 (the kind of surrender) or the number of the ending, as stored
    """

    state: State
    seq: int
    bill: Bill | None
    purpose: int
    possessor: bytes | None
    holder: bytes | None
    carrier: int
    head: bytes


@dataclass(frozen=True, slots=True)
class EvmOffer:
    """An open offer; `expires` in seconds since 1970."""

    recipient: bytes
    expires: int
    entry: bytes


def read_control(data: bytes) -> EvmTitle:
    """The answer of `control`."""
    words = _words(data, 8)
    return EvmTitle(
        state=_pick(_STATES, _number(words[0])),
        seq=_number(words[1]),
        bill=_pick(BILLS, _number(words[2])),
        purpose=_number(words[3]),
        possessor=_optional(words[4]),
        holder=_optional(words[5]),
        carrier=_number(words[6]),
        head=words[7],
    )


def read_offer(data: bytes) -> EvmOffer | None:
    """The answer of `offer`; None when there is none."""
    words = _words(data, 3)
    recipient = _optional(words[0])
    return EvmOffer(recipient, _number(words[1]), words[2]) if recipient else None


def read_address_word(data: bytes) -> bytes | None:
    """An answer that is one address; None for zero."""
    return _optional(_words(data, 1)[0])


def read_number(data: bytes) -> int:
    """An answer that is one number."""
    return _number(_words(data, 1)[0])


def read_latest(data: bytes) -> tuple[int, bytes, int]:
    """The answer of `latest`: size, root, block time in seconds."""
    words = _words(data, 3)
    return _number(words[0]), words[1], _number(words[2])


def to_state(
    title: bytes,
    row: EvmTitle,
    *,
    issue: EvmOperation,
    party_of: PartyOf,
    offer: EvmOffer | None = None,
    surrendered_by: bytes | None = None,
) -> TitleState | None:
    """The model's state for what the contract holds.

    issue: the title's ISSUE, from its event's transaction: it alone names the carrier's key, the
           shipper in full and the title that this one replaces
    """
    if row.state is State.NONE or row.bill is None:
        return None
    issuer = party_of(issue.sender)
    with_carrier = row.state in {State.SURRENDERED, State.ACCEPTED}
    ending = _pick(ENDINGS, row.purpose) if row.state is State.ENDED else None
    return TitleState(
        title=title,
        seq=row.seq,
        state=row.state,
        bill=row.bill,
        issuer=issuer,
        shipper=party_of(issue.recipient or NOBODY),
        possessor=issuer if with_carrier else _party(row.possessor, party_of),
        holder=_party(row.holder, party_of),
        head=row.head,
        replaces=issue.replaces,
        surrendered_by=_party(surrendered_by, party_of),
        purpose=_pick(KINDS, row.purpose) if with_carrier else _purpose(ending),
        offer=None if offer is None else _offer(offer, party_of),
        ending=ending,
    )


def _purpose(ending: Ending | None) -> Kind | None:
    """The contract keeps the ending in the purpose's place; the one follows from the other."""
    if ending is None:
        return None
    delivered = ending is Ending.DELIVERED
    return Kind.SURRENDER_FOR_DELIVERY if delivered else Kind.SURRENDER_FOR_AMENDMENT


def _offer(offer: EvmOffer, party_of: PartyOf) -> Offer:
    return Offer(party_of(offer.recipient), offer.entry, from_ms(offer.expires * 1000))


def _party(address: bytes | None, party_of: PartyOf) -> Party | None:
    return None if address is None else party_of(address)


# Acts of the governors.

LIST: Final = 1
DELIST: Final = 2
RETIRE: Final = 3
FREEZE: Final = 4
GOVERN: Final = 5
WITHDRAW: Final = 6
ACT_TYPE: Final = (
    "Act(uint64 nonce,uint8 kind,uint32 carrier,address key,uint64 number,bytes32 successor,"
    "address[] governors)"
)
_ACT_ROW: Final = "(uint64,uint8,uint32,address,uint64,bytes32,address[])"
GOVERN_CALL: Final = selector(f"govern({_ACT_ROW},{_SIGNATURE}[])")
ENACT_CALL: Final = selector(f"enact({_ACT_ROW})")
NEXT_ACT: Final = selector("next_act()")


@dataclass(frozen=True, slots=True)
class Act:
    """One act of the governors: list or de-list a carrier, retire a key, freeze, change governors.

    nonce:     the contract's `next_act`
    number:    the block of a freeze; the threshold of new governors
    successor: arbiter id that comes after a freeze; digest of a proposal that is withdrawn
    """

    nonce: int
    kind: int
    carrier: int = 0
    key: bytes = NOBODY
    number: int = 0
    successor: bytes = NO_DIGEST
    governors: tuple[bytes, ...] = ()

    def _words(self) -> bytes:
        numbers = word(self.nonce) + word(self.kind) + word(self.carrier)
        return numbers + padded(self.key) + word(self.number) + self.successor

    def digest(self, domain: bytes) -> bytes:
        """What governors sign: EIP-712 over the registry's domain separator."""
        listed = keccak256(b"".join(padded(key) for key in self.governors))
        struct = keccak256(keccak256(ACT_TYPE.encode()) + self._words() + listed)
        return keccak256(b"\x19\x01" + domain + struct)

    def encode(self) -> bytes:
        """The ABI form, whose last member is an array."""
        keys = b"".join(padded(key) for key in self.governors)
        return self._words() + word(7 * 32) + word(len(self.governors)) + keys


def govern_call(act: Act, signatures: Sequence[Signature]) -> bytes:
    """Call data of `govern`; signatures in ascending order of their signers' addresses."""
    encoded = act.encode()
    return GOVERN_CALL + word(64) + word(64 + len(encoded)) + encoded + _signatures(signatures)


def enact_call(act: Act) -> bytes:
    """Call data of `enact`."""
    return ENACT_CALL + word(32) + act.encode()


# Words.


def _malformed(detail: str) -> MalformedError:
    return MalformedError(CODE, detail)


def _words(data: bytes, count: int) -> list[bytes]:
    if len(data) != 32 * count:
        raise _malformed(f"another number of words than {count}")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _account(data: bytes) -> bytes:
    if any(data[:12]):
        raise _malformed("an address has 20 bytes")
    return data[12:]


def _optional(data: bytes) -> bytes | None:
    found = _account(data)
    return None if found == NOBODY else found


def _pick(values: tuple[_Value, ...], number: int) -> _Value:
    if not 0 <= number < len(values):
        raise _malformed("a number outside its range")
    return values[number]
