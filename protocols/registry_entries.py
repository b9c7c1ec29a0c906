"""Entries of a title registry's log: what its witnesses need to re-execute it, and nothing else.

Three kinds of deterministic CBOR arrays (RFC 8949 §4.2). A batch is one ``batch`` entry, one or
more ``op`` entries and one ``root`` entry, in this order:

``["r1", "batch", number, at_ms, members_digest, policy_digest]``, ``["r1", "op", compact JWS]``,
``["r1", "root", network, number, at_ms, state_root]``

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
_BATCH: Final = re.compile(rb"\x86\x62r1\x65batch" + _UINT + _UINT + _DIGEST + _DIGEST, re.DOTALL)
_ROOT: Final = re.compile(rb"\x86\x62r1\x64root" + _DIGEST + _UINT + _UINT + _DIGEST, re.DOTALL)
_OPERATION: Final = re.compile(rb"\x83\x62r1\x62op(?:[\x58].|\x59..)(.{24,})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """Opens batch `number` (from 1): its time, the member list and policy it is executed under."""

    number: int
    at_ms: int
    members_digest: bytes
    policy_digest: bytes

    def encode(self) -> bytes:
        """The entry bytes."""
        head = [VERSION, "batch", self.number, self.at_ms]
        return cbor2.dumps([*head, self.members_digest, self.policy_digest], canonical=True)


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


Entry: TypeAlias = BatchEntry | OperationEntry | RootEntry


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
        return BatchEntry(_integer(match[1]), _integer(match[2]), match[3], match[4])
    if match := _ROOT.fullmatch(data):
        return RootEntry(match[1], _integer(match[2]), _integer(match[3]), match[4])
    return None


def _integer(encoded: bytes) -> int:
    return int.from_bytes(encoded[1:] or encoded, "big")
