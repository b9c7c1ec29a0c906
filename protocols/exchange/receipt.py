"""Signed batch receipts: what the receiver has made durable (DESIGN §4, R2, R9).

One receipt per batch: a JWS (`typ` px-receipt+jws) over the root of an RFC 6962 tree whose leaves
are the canonical JSON of the items. The items travel beside it, so that the proof of one document
(receipt, item, path) shows nothing of its neighbours. Receipts of one receiver for one sender form
a chain by `seq` and `prev` (SHA-256 of the payload before), so a second history is detectable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from protocols import jws, times
from protocols.digest import from_hex, sha256
from protocols.exchange.frames import MAX_ITEMS
from protocols.exchange.problems import problem_of
from protocols.log import merkle
from protocols.members.entries import KeyStanding
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from protocols.keys import Signer
    from protocols.members.entries import ListedKey

TYP = "px-receipt+jws"
VERSION = 1
MAX_RECEIPT_BYTES = 8 * 1024
MAX_PATH = 7  # a tree of at most 100 leaves
_MAX_INTEGER = 2**53 - 1
_MAX_ID = 64


class ItemState(StrEnum):
    """Level one of three: stored in order, held behind a gap (R10), or finally refused."""

    STORED = "stored"
    HELD = "held"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """One message's line: id, manifest payload digest, state, the final code of a rejection, and
    the hash of the receiver's log leaf (R9: never an index), which a rejection lacks."""

    id: str
    digest: bytes
    state: ItemState
    code: str | None = None
    leaf: bytes | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it, durably."""
        return self.state is not ItemState.REJECTED

    def to_bytes(self) -> bytes:
        """The RFC 8785 bytes whose hash is the tree's leaf."""
        return strict_json.canonical(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The item's JSON members."""
        members: dict[str, Any] = {
            "id": self.id,
            "digest": self.digest.hex(),
            "state": self.state.value,
        }
        if self.code is not None:
            members["code"] = self.code
        if self.leaf is not None:
            members["leaf"] = self.leaf.hex()
        return members


def item_from_json(members: object) -> ReceiptItem:
    """The item with exactly these members; raises MalformedError `receipt_malformed`."""
    if not isinstance(members, dict) or not isinstance(members.get("id"), str):
        raise _malformed("/id", "an item is an object with an id")
    state = members.get("state")
    if state not in set(ItemState) or len(members["id"]) > _MAX_ID:
        raise _malformed("/state", "an item is stored, held or rejected")
    code, leaf = members.get("code"), members.get("leaf")
    item = ReceiptItem(
        id=members["id"],
        digest=from_hex(members.get("digest"), pointer="/digest"),
        state=ItemState(state),
        code=code if isinstance(code, str) else None,
        leaf=None if leaf is None else from_hex(leaf, pointer="/leaf"),
    )
    if item.accepted != (item.leaf is not None) or item.accepted != (item.code is None):
        raise _malformed("", "a rejection has a code and no leaf, anything else a leaf and no code")
    if item.to_json() != members:
        raise _malformed("", "an item has no other members")
    problem = problem_of(item.code) if item.code is not None else None
    if problem is not None and not problem.signable:
        raise _malformed("/code", "that outcome is not final and has no place in a receipt")
    return item


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """What the receiver signs about one batch.

    seq, prev: position in the chain (receiver, sender) from 1, and the payload digest before it
    root:      RFC 6962 root over the `count` items
    members_*: the member list the receiver held (R4)
    """

    network: bytes
    receiver: str
    sender: str
    seq: int
    prev: bytes | None
    root: bytes
    count: int
    at: datetime
    members_version: int
    members_digest: bytes

    def payload(self) -> bytes:
        """The RFC 8785 bytes that are signed."""
        return strict_json.canonical(
            {
                "v": VERSION,
                "network": self.network.hex(),
                "rcv": self.receiver,
                "snd": self.sender,
                "seq": self.seq,
                "prev": None if self.prev is None else self.prev.hex(),
                "root": self.root.hex(),
                "count": self.count,
                "at": times.to_text(self.at),
                "members": {"version": self.members_version, "digest": self.members_digest.hex()},
            }
        )


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt as it travels: the JWS text, its values and its payload digest."""

    text: str
    receipt: BatchReceipt
    digest: bytes
    signature: jws.Jws


@dataclass(frozen=True, slots=True)
class ItemReceipt:
    """The proof that one message was received: receipt JWS, item, its index and Merkle path."""

    receipt: str
    item: ReceiptItem
    index: int
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, Any]:
        """As it travels in answers and evidence bundles."""
        return {
            "receipt": self.receipt,
            "item": self.item.to_json(),
            "index": self.index,
            "path": [step.hex() for step in self.path],
        }


def item_receipt_from_json(members: object) -> ItemReceipt:
    """The inverse of `ItemReceipt.to_json`; raises MalformedError `receipt_malformed`."""
    if not isinstance(members, dict) or not isinstance(members.get("receipt"), str):
        raise _malformed("/receipt", "a receipt is a compact JWS")
    return ItemReceipt(
        receipt=members["receipt"],
        item=item_from_json(members.get("item")),
        index=_count(members.get("index"), "/index", least=0),
        path=path_from_json(members.get("path")),
    )


def path_from_json(value: object) -> tuple[bytes, ...]:
    """At most 7 hashes in hexadecimal; raises MalformedError."""
    if not isinstance(value, list) or len(value) > MAX_PATH:
        raise _malformed("/path", f"a path has at most {MAX_PATH} hashes")
    return tuple(from_hex(step, pointer="/path") for step in value)


def tree_of(leaves: Iterable[bytes]) -> merkle.Tree:
    """The tree over item bytes; `merkle.Tree.root` and `.inclusion_proof` do the rest."""
    return merkle.Tree(merkle.leaf_hash(leaf) for leaf in leaves)


def sign(receipt: BatchReceipt, signer: Signer) -> SignedReceipt:
    """The receipt signed with the receiver's exchange key."""
    payload = receipt.payload()
    text = jws.sign(payload, typ=TYP, signer=signer)
    return SignedReceipt(text, receipt, sha256(payload), jws.parse(text, typ=TYP))


def read(text: str) -> SignedReceipt:
    """The receipt in the JWS `text`, unverified; raises MalformedError or RefusedError (typ)."""
    signature = jws.parse(text, typ=TYP, max_bytes=MAX_RECEIPT_BYTES)
    members = strict_json.loads_object(signature.payload, max_bytes=MAX_RECEIPT_BYTES)
    return SignedReceipt(text, _from_members(members), signature.payload_digest, signature)


def _from_members(members: dict[str, Any]) -> BatchReceipt:
    if members.get("v") != VERSION:
        raise _malformed("/v", f"this reader knows version {VERSION}")
    listed = members.get("members")
    if not isinstance(listed, dict):
        raise _malformed("/members", "the member list is named by version and digest")
    seq, prev = _count(members.get("seq"), "/seq", least=1), members.get("prev")
    if (prev is None) != (seq == 1):
        raise _malformed("/prev", "every receipt but the first names the one before")
    count = _count(members.get("count"), "/count", least=1)
    if count > MAX_ITEMS:
        raise _malformed("/count", f"a batch has at most {MAX_ITEMS} items")
    return BatchReceipt(
        network=from_hex(members.get("network"), pointer="/network"),
        receiver=_text(members, "rcv"),
        sender=_text(members, "snd"),
        seq=seq,
        prev=None if prev is None else from_hex(prev, pointer="/prev"),
        root=from_hex(members.get("root"), pointer="/root"),
        count=count,
        at=times.from_text(members.get("at"), pointer="/at"),
        members_version=_count(listed.get("version"), "/members/version", least=1),
        members_digest=from_hex(listed.get("digest"), pointer="/members/digest"),
    )


def verify(
    signed: SignedReceipt,
    *,
    network: bytes,
    receiver: str,
    sender: str,
    key: Callable[[str], ListedKey | None],
) -> None:
    """The receipt is of this network, between these two, signed by the receiver's exchange key.

    Raises RefusedError `receipt_mismatch` (network, ends, key), `bad_signature`.
    """
    receipt = signed.receipt
    if receipt.network != network:
        raise _mismatch("the receipt is of another network")
    if (receipt.receiver, receipt.sender) != (receiver, sender):
        raise _mismatch("the receipt is between others")
    listed = key(signed.signature.kid)
    if listed is None or listed.did != receiver or listed.purpose != "exchange":
        raise _mismatch("the receipt is not signed with an exchange key of the receiver")
    if listed.standing(receipt.at, proven=False) is not KeyStanding.VALID:
        raise _mismatch("the key did not stand when the receipt says it was signed")
    jws.verify(signed.signature, listed.public)


def verify_item(
    signed: SignedReceipt, item: ReceiptItem, index: int, path: Sequence[bytes]
) -> None:
    """The item stands at `index` in the receipt's tree. Raises RefusedError `receipt_mismatch`."""
    receipt = signed.receipt
    leaf = merkle.leaf_hash(item.to_bytes())
    try:
        merkle.verify_inclusion(index, receipt.count, leaf, path, receipt.root)
    except RefusedError as error:
        raise _mismatch(f"the path does not lead to the receipt's root: {error.detail}") from None


def links(before: SignedReceipt | None, after: SignedReceipt) -> bool:
    """Whether `after` is the next of the chain; `before` None stands for the chain's start."""
    if before is None:
        return after.receipt.seq == 1
    return (
        after.receipt.seq == before.receipt.seq + 1
        and after.receipt.prev == before.digest
        and after.receipt.receiver == before.receipt.receiver
        and after.receipt.sender == before.receipt.sender
    )


def verify_chain(chain: Sequence[SignedReceipt]) -> None:
    """The receipts follow one another. Raises RefusedError `receipt_chain_broken`."""
    for before, after in pairwise(chain):
        if not links(before, after):
            raise RefusedError(
                "receipt_chain_broken", f"receipt {after.receipt.seq} does not follow"
            )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise _malformed(f"/{name}", "a text is missing")
    return value


def _count(value: object, pointer: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_INTEGER:
        raise _malformed(pointer, "a whole number is missing or out of bounds")
    return value


def _malformed(pointer: str, detail: str) -> MalformedError:
    return MalformedError("receipt_malformed", detail, pointer=pointer)


def _mismatch(detail: str) -> RefusedError:
    return RefusedError("receipt_mismatch", detail)
