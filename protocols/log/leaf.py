"""Leaves of a node log: what is remembered of an event, and nothing of the trade itself.

A leaf is the deterministic CBOR (RFC 8949 §4.2) array ``["tx1", kind, subject, commit, prev,
at_ms]``. Subject and commitment are hashes under the one salt that the issuer fixed inside the
signed credential (R18), so the log shows no document, reference, actor or schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocols.digest import SIZE, sha256
from protocols.log.merkle import leaf_hash
from schemas.errors import MalformedError

VERSION: Final = "tx1"
SALT_SIZE: Final = 32
MAX_CHAIN: Final = 100_000
"""Leaves of one subject that are looked at."""
_MAX_MS: Final = 2**53 - 1
#: An array of six, then the version's text; and what stands before 32 bytes (RFC 8949 §3).
_HEAD: Final = b"\x86\x63" + VERSION.encode()
_DIGEST: Final = b"\x58\x20"
# The layout is fixed, so entries of strangers never meet a general CBOR reader.
_ENTRY: Final = re.compile(
    rb"\x86\x63tx1([\x01-\x17])\x58\x20(.{32})\x58\x20(.{32})"
    rb"(?:\xf6|\x58\x20(.{32}))([\x00-\x1b].{0,8})",
    re.DOTALL,
)


class LeafKind(IntEnum):
    """What happened."""

    ISSUE = 1
    AMEND = 2
    STATUS = 3
    RECEIVE = 4
    VERIFY_RESULT = 5
    TITLE_OPERATION_SEEN = 6
    FOREIGN_CHECKPOINT = 7
    KEY_EVENT = 8
    ACCESS = 9
    MEMBER_LIST = 10
    TOMBSTONE = 11
    EXPORT = 12
    POLICY = 13
    EVIDENCE = 14


@dataclass(frozen=True, slots=True)
class Leaf:
    """One event. Digests are 32 bytes; `prev` is the leaf hash of the subject's last leaf here.

    `at_ms` is the node's own claim; the trusted time is the witnesses' (R17).
    """

    kind: LeafKind
    subject: bytes
    commit: bytes
    prev: bytes | None
    at_ms: int


def subject(document_type: str, number: str, salt: bytes) -> bytes:
    """``SHA-256(type ‖ 0x00 ‖ number ‖ 0x00 ‖ salt)``: which document, for those who know it."""
    if "\x00" in document_type or "\x00" in number or len(salt) != SALT_SIZE:
        raise ValueError("type and number have no NUL, a salt has 32 bytes")
    return sha256(document_type.encode() + b"\x00" + number.encode() + b"\x00" + salt)


def commit(salt: bytes, digest: bytes) -> bytes:
    """``SHA-256(salt ‖ document digest)``: which bytes, for those who have them."""
    if len(salt) != SALT_SIZE or len(digest) != SIZE:
        raise ValueError("salt and digest have 32 bytes")
    return sha256(salt + digest)


def encode(leaf: Leaf) -> bytes:
    """The entry bytes, at most 512. Raises `leaf_malformed` for a digest of another length."""
    _check(leaf)
    prev = b"\xf6" if leaf.prev is None else _DIGEST + leaf.prev
    body = (_HEAD, bytes((leaf.kind,)), _DIGEST, leaf.subject, _DIGEST, leaf.commit, prev)
    return b"".join((*body, _unsigned(leaf.at_ms)))


def _unsigned(value: int) -> bytes:
    """A CBOR unsigned integer in its shortest form (RFC 8949 §4.2.1)."""
    if value < 24:
        return bytes((value,))
    power = max(0, (value.bit_length() - 1).bit_length() - 3)
    return bytes((0x18 + power,)) + value.to_bytes(1 << power, "big")


def decode(entry: bytes) -> Leaf:
    """The leaf of an entry; only its one deterministic encoding is taken.

    Raises MalformedError `leaf_malformed`.
    """
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise _malformed("an entry is a CBOR array of version, kind, three digests and a time")
    kind, about, commitment, prev, time = match.groups()
    if kind[0] not in set(LeafKind):
        raise _malformed("unknown kind of leaf")
    at_ms = int.from_bytes(time[1:] or time, "big")
    found = Leaf(LeafKind(kind[0]), about, commitment, prev, at_ms)
    if encode(found) != entry:
        raise _malformed("an entry is deterministic CBOR")
    return found


def subject_of(entry: bytes) -> bytes | None:
    """The subject of an entry that looks like a leaf, None for any other bytes."""
    match = _ENTRY.fullmatch(entry)
    return None if match is None else match[2]


@dataclass(frozen=True, slots=True)
class Chain:
    """A subject's leaves at one node, newest first, and the leaf hash at which they break off.

    missing: the hash that a leaf names and nobody could give; None when the first leaf was reached
    """

    leaves: tuple[Leaf, ...]
    missing: bytes | None


def chain(
    newest: bytes, entry_of: Callable[[bytes], bytes | None], *, limit: int = MAX_CHAIN
) -> Chain:
    """Walk back from the leaf hash `newest`; what is left out on the way shows as `missing` (R18).

    `entry_of` gives the entry of a leaf hash, or None. An entry that does not give that hash, or
    is of another subject, counts as not given. Raises MalformedError `leaf_malformed` when the
    chain is longer than `limit`.
    """
    found: list[Leaf] = []
    wanted: bytes | None = newest
    while wanted is not None:
        if len(found) >= limit:
            raise _malformed(f"a subject has at most {limit} leaves")
        entry = entry_of(wanted)
        if entry is None or leaf_hash(entry) != wanted:
            return Chain(tuple(found), wanted)
        one = decode(entry)
        if found and one.subject != found[0].subject:
            return Chain(tuple(found), wanted)
        found.append(one)
        wanted = one.prev
    return Chain(tuple(found), None)


@dataclass(frozen=True, slots=True)
class Located:
    """A leaf where it was found: its index in the log and its leaf hash."""

    index: int
    hash: bytes
    leaf: Leaf


def gaps(found: Sequence[Located], pinned: Collection[bytes] = ()) -> list[str]:
    """What does not hang together among all leaves of one subject, in the order of the log (R18).

    pinned: leaf hashes of this subject that receipts name; each must be among them
    """
    faults, last = [], None
    for item in found:
        prev = item.leaf.prev
        if prev != last:
            named = "no entry before it" if prev is None else f"{prev.hex()} before it"
            stands = "none" if last is None else last.hex()
            faults.append(f"entry {item.index} names {named}, in the log stands {stands}")
        last = item.hash
    hashes = {item.hash for item in found}
    missing = (hash_ for hash_ in pinned if hash_ not in hashes)
    return [*faults, *(f"{hash_.hex()} has a receipt and is not in the log" for hash_ in missing)]


def _check(leaf: Leaf) -> None:
    digests = [item for item in (leaf.subject, leaf.commit, leaf.prev) if item is not None]
    if any(len(item) != SIZE for item in digests):
        raise _malformed("subject, commitment and previous leaf have 32 bytes")
    if not 0 <= leaf.at_ms <= _MAX_MS:
        raise _malformed("the time is milliseconds since 1970")


def _malformed(detail: str) -> MalformedError:
    return MalformedError("leaf_malformed", detail)
