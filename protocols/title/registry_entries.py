"""Entries of a title registry's log: what its witnesses need to re-execute it, and nothing else.

Deterministic CBOR arrays (RFC 8949 §4.2). A batch is one ``batch`` entry, one or more ``op``
entries and one ``root`` entry, in this order:

``["r1", "batch", number, at_ms, members_digest, policy_digest]``, ``["r1", "op", compact JWS]``,
``["r1", "root", network, number, at_ms, state_root]``

Two others have no operations of their own. ``["r1", "restate", …]``, with the members of ``batch``,
takes back the batch before it and judges that one's operations at its own time. ``["r1",
"hand-over", …, document]`` ends the turn of one arbiter and begins that of its successor (R21).
Time, member list and policy are entries, so that nobody who re-executes needs a clock (R22).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

import cbor2

from schemas.errors import MalformedError

VERSION: Final = "r1"
MAX_ENTRY: Final = 65_535
_UINT: Final = rb"([\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8})"
_DIGEST: Final = rb"\x58\x20(.{32})"
# The layouts are fixed, so entries of strangers never meet a general CBOR reader.
_MOMENT: Final = _UINT + _UINT + _DIGEST + _DIGEST
_BATCH: Final = re.compile(rb"\x86\x62r1(?:\x65batch|\x67(restate))" + _MOMENT, re.DOTALL)
_HAND_OVER: Final = re.compile(
    rb"\x87\x62r1\x69hand-over" + _MOMENT + rb"(?:[\x58].|\x59..)(.{24,})", re.DOTALL
)
_ROOT: Final = re.compile(rb"\x86\x62r1\x64root" + _DIGEST + _UINT + _UINT + _DIGEST, re.DOTALL)
_OPERATION: Final = re.compile(rb"\x83\x62r1\x62op(?:[\x58].|\x59..)(.{24,})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """Opens batch `number` (from 1): its time, the member list and policy it is executed under.

    restates: it takes the place of the batch before it, whose operations it judges anew
    """

    number: int
    at_ms: int
    members_digest: bytes
    policy_digest: bytes
    restates: bool = False

    def encode(self) -> bytes:
        """The entry bytes."""
        head = [VERSION, "restate" if self.restates else "batch", self.number, self.at_ms]
        return cbor2.dumps([*head, self.members_digest, self.policy_digest], canonical=True)


@dataclass(frozen=True, slots=True)
class HandOverEntry:
    """Opens the batch in which a successor takes over: `batch` is its moment, under its policy.

    document: the signed freeze (`protocols.title.registry_freeze`), as its file has it
    """

    batch: BatchEntry
    document: bytes

    def encode(self) -> bytes:
        """The entry bytes."""
        one = self.batch
        moment = [one.number, one.at_ms, one.members_digest, one.policy_digest]
        return cbor2.dumps([VERSION, "hand-over", *moment, self.document], canonical=True)


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """One accepted operation, as the compact JWS that was handed in."""

    text: str

    def encode(self) -> bytes:
        """The entry bytes."""
        return cbor2.dumps([VERSION, "op", self.text.encode("ascii")], canonical=True)


@dataclass(frozen=True, slots=True)
class RootEntry:
    """Closes batch `number`: the root of the map of all titles after it."""

    network: bytes
    number: int
    at_ms: int
    state_root: bytes

    def encode(self) -> bytes:
        """The entry bytes."""
        head = [VERSION, "root", self.network, self.number, self.at_ms]
        return cbor2.dumps([*head, self.state_root], canonical=True)


Entry: TypeAlias = BatchEntry | HandOverEntry | OperationEntry | RootEntry


def decode(data: bytes) -> Entry:
    """The entry of these bytes; only its one deterministic encoding is taken.

    Raises MalformedError `registry_entry_malformed`.
    """
    entry = _read(data) if len(data) <= MAX_ENTRY else None
    if entry is None or entry.encode() != data:
        raise MalformedError("registry_entry_malformed", "not an entry of a title registry")
    return entry


def _read(data: bytes) -> Entry | None:
    if match := _OPERATION.fullmatch(data):
        return OperationEntry(match[1].decode("ascii")) if match[1].isascii() else None
    if match := _BATCH.fullmatch(data):
        return _moment(match.groups()[1:], restates=match[1] is not None)
    if match := _HAND_OVER.fullmatch(data):
        return HandOverEntry(_moment(match.groups()[:4]), match[5])
    if match := _ROOT.fullmatch(data):
        return RootEntry(match[1], _integer(match[2]), _integer(match[3]), match[4])
    return None


def _moment(parts: tuple[bytes, ...], *, restates: bool = False) -> BatchEntry:
    number, at, members, policy = parts
    return BatchEntry(_integer(number), _integer(at), members, policy, restates)


def _integer(encoded: bytes) -> int:
    return int.from_bytes(encoded[1:] or encoded, "big")
