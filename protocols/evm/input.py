"""Signed operations read back from the call data of a title registry's transactions.

A follower of the chain needs them for the history that it shows and proves. Nothing here is
believed: whoever reads compares each operation's digest with the event that the contract emitted.
Only the one encoding of `protocols.evm.calls` is read; what another contract forwarded in another
form is learned from peers instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from protocols.evm.calls import (
    APPLY,
    APPLY_JOINT,
    APPLY_ONE,
    MAX_OPERATIONS,
    apply_batch,
    apply_one,
)
from protocols.evm.keys import MAX_JOINT, NOBODY, Signature
from protocols.evm.title import (
    BILLS,
    ENDINGS,
    KINDS,
    NO_DIGEST,
    EvmOperation,
    Joint,
    SignedEvmOperation,
)
from protocols.title.machine import Kind
from schemas.errors import MalformedError

CODE: Final = "evm_input_malformed"
_Value = TypeVar("_Value")
_WORD: Final = 32
_OP_WORDS: Final = 7


def read_input(data: bytes) -> tuple[SignedEvmOperation, ...]:
    """The operations of a call to `apply`, `apply_one` or `apply_joint`, in their order.

    Raises MalformedError `evm_input_malformed` for any other call or another encoding.
    """
    name, words = data[:4], _words(data[4:])
    if name == APPLY_ONE:
        found: tuple[SignedEvmOperation, ...] = (_operation(words, ()),)
        same = apply_one(found[0])
    elif name == APPLY_JOINT:
        found = (_joint(words),)
        same = apply_one(found[0])
    elif name == APPLY:
        found = _batch(words)
        same = apply_batch(found)
    else:
        raise _malformed("not a call that applies operations")
    if same != data:
        raise _malformed("another encoding of the operations")
    return found


def _words(data: bytes) -> list[bytes]:
    if len(data) % _WORD:
        raise _malformed("whole words are expected")
    return [data[at : at + _WORD] for at in range(0, len(data), _WORD)]


def _batch(words: list[bytes]) -> tuple[SignedEvmOperation, ...]:
    """Two offsets, the operations with their number before them, the terms likewise."""
    count = _count(words, 2, MAX_OPERATIONS)
    end = 3 + count * _OP_WORDS
    terms = _count(words, end, MAX_OPERATIONS)
    listed = [words[end + 1 + 2 * at : end + 3 + 2 * at] for at in range(terms)]
    found = []
    for at in range(count):
        row = words[3 + at * _OP_WORDS : 3 + (at + 1) * _OP_WORDS]
        own = listed.pop(0) if listed and _number(row, 1) >> 32 & 255 == 1 else ()
        found.append(_operation(row, own))
    return tuple(found)


def _joint(words: list[bytes]) -> SignedEvmOperation:
    """The operation, two offsets, the members and as many signatures of three words."""
    count = _count(words, _OP_WORDS + 2, MAX_JOINT)
    at = _OP_WORDS + 3
    members = tuple(map(_address, words[at : at + count]))
    at += count
    signatures = [
        Signature(_number(words, place), _number(words, place + 1), _number(words, place + 2))
        for place in range(at + 1, at + 1 + 3 * count, 3)
    ]
    plain = _operation(words[:_OP_WORDS], ())
    return SignedEvmOperation(plain.operation, Joint(members, tuple(signatures)))


def _operation(words: Sequence[bytes], terms: Sequence[bytes]) -> SignedEvmOperation:
    if len(words) != _OP_WORDS:
        raise _malformed("an operation has seven words")
    packed = _number(words, 1)
    kind = _pick(KINDS, packed >> 32 & 255)
    if kind is None or (kind is Kind.ISSUE and len(terms) != 2):
        raise _malformed("an operation has a kind, and ISSUE has terms")
    operation = EvmOperation(
        title=words[0],
        seq=packed & 2**32 - 1,
        kind=kind,
        sender=_address(words[2]),
        recipient=_optional(words[3]),
        entry=words[4],
        deadline=packed >> 64 & 2**64 - 1,
        expires=packed >> 128 & 2**64 - 1,
        bill=_pick(BILLS, packed >> 40 & 255),
        holder=_optional(terms[0]) if terms else None,
        replaces=terms[1] if terms and terms[1] != NO_DIGEST else None,
        ending=_pick(ENDINGS, packed >> 48 & 255),
    )
    return SignedEvmOperation(
        operation, Signature(packed >> 56 & 255, _number(words, 5), _number(words, 6))
    )


def _count(words: Sequence[bytes], at: int, most: int) -> int:
    number = _number(words, at)
    if number > most:
        raise _malformed(f"more than {most} rows")
    return number


def _number(words: Sequence[bytes], at: int) -> int:
    if at >= len(words):
        raise _malformed("the call data is too short")
    return int.from_bytes(words[at], "big")


def _address(data: bytes) -> bytes:
    return data[12:]


def _optional(data: bytes) -> bytes | None:
    found = _address(data)
    return None if found == NOBODY else found


def _pick(values: tuple[_Value, ...], number: int) -> _Value:
    if number >= len(values):
        raise _malformed("a number outside its range")
    return values[number]


def _malformed(detail: str) -> MalformedError:
    return MalformedError(CODE, detail)
