"""Freezing a title arbiter and handing its titles over, by threshold (R21).

One document for both arbiters and both purposes, signed by the threshold of the member list's
roots (``px-freeze+jws``, general JSON serialisation). It names the arbiter whole, so that its id
can be computed (R19); the place at which it ends, for a log a size with the roots of log and
state, for a chain a block with its hash; and, when the titles go on, the arbiter that continues
them. What is ordered after that place is void. A successor that is a log begins with the frozen
log's own entries and then this document: the chain of arbiters is proven by the log itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import cbor2

from protocols import base64url, jws, times
from protocols.digest import sha256
from protocols.evm.title import EvmArbiterId
from protocols.fields import Fields
from protocols.log import note
from protocols.log import policy as log_policy
from protocols.members import trust
from protocols.title.json_forms import Json, require_members
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.keys import Signer
    from protocols.log.note import VerifierKey
    from protocols.log.policy import Policy
    from protocols.member_list import MemberList, RegistryEntry

TYP = "px-freeze+jws"
TYPE = "urn:pratique:freeze"
MEDIA_TYPE = "application/json"
CODE = "freeze_malformed"
MAX_BYTES = 48 * 1024
MAX_LINEAGE = 16
_ARBITER_TAG = "pratique/arbiter/log/1"
_ALWAYS = frozenset({"v", "network", "arbiter", "root", "members", "issuedAt"})
_LOG_ARBITER = frozenset({"origin", "vkey", "policy"})
_EVM_ARBITER = frozenset({"chainId", "contract", "codeHash"})


@dataclass(frozen=True, slots=True)
class Arbiter:
    """A log arbiter as its network's member list names it: origin, log key, witness policy."""

    origin: str
    vkey: str
    policy_text: str

    @property
    def id(self) -> bytes:
        """Arbiter id: SHA-256 over the registry's vkey and the policy text (R19)."""
        return sha256(cbor2.dumps([_ARBITER_TAG, self.vkey, self.policy_text], canonical=True))

    @property
    def policy_digest(self) -> bytes:
        """SHA-256 of the policy text."""
        return sha256(self.policy_text.encode())

    @property
    def key(self) -> VerifierKey:
        """The key of the registry's log; raises MalformedError `vkey_malformed`."""
        return note.parse_vkey(self.vkey)

    @property
    def policy(self) -> Policy:
        """The parsed policy; raises MalformedError `policy_malformed`."""
        return log_policy.parse(self.policy_text)


def arbiter_of(entry: RegistryEntry) -> Arbiter:
    """The arbiter of a registry in the member list."""
    return Arbiter(entry.origin, entry.vkey, entry.policy)


@dataclass(frozen=True, slots=True)
class Freeze:
    """What the roots say.

    arbiter:    the one that ends
    at:         entries of its log that count, or the number of the last block that counts
    root:       the log's root at that size, or the block's hash
    state_root: of a log: the root of the map of titles there; None of a chain
    members:    digest of the member list whose roots sign
    successor:  id of the arbiter that continues the titles; None while nobody does
    """

    network: bytes
    arbiter: Arbiter | EvmArbiterId
    at: int
    root: bytes
    members: bytes
    issued_at: datetime
    state_root: bytes | None = None
    successor: bytes | None = None

    def to_bytes(self) -> bytes:
        """The payload that is signed: RFC 8785."""
        body: Json = {
            "v": 1,
            "network": self.network.hex(),
            "arbiter": _arbiter_json(self.arbiter),
            "root": self.root.hex(),
            "members": self.members.hex(),
            "issuedAt": times.to_text(self.issued_at),
        }
        if self.state_root is None:
            body["block"] = self.at
        else:
            body |= {"size": self.at, "stateRoot": self.state_root.hex()}
        if self.successor is not None:
            body["successor"] = self.successor.hex()
        return strict_json.canonical(body)

    def same_place(self, other: Freeze) -> bool:
        """Whether both end the same arbiter at the same place."""
        places = [(one.arbiter, one.at, one.root, one.state_root) for one in (self, other)]
        return places[0] == places[1]


def _arbiter_json(arbiter: Arbiter | EvmArbiterId) -> Json:
    if isinstance(arbiter, Arbiter):
        return {"origin": arbiter.origin, "vkey": arbiter.vkey, "policy": arbiter.policy_text}
    return {
        "chainId": arbiter.chain_id,
        "contract": "0x" + arbiter.contract.hex(),
        "codeHash": arbiter.code_hash.hex(),
    }


@dataclass(frozen=True, slots=True)
class SignedFreeze:
    """A freeze with the signatures that there are so far, perhaps none."""

    envelope: jws.MultiJws
    freeze: Freeze

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload (R2)."""
        return self.envelope.payload_digest

    def to_bytes(self) -> bytes:
        """The file."""
        return self.envelope.to_bytes()

    def signed_by(self, signers: Sequence[Signer]) -> SignedFreeze:
        """With the signatures of these keys added."""
        more = jws.sign_multi(self.envelope.payload, typ=TYP, signers=signers).signatures
        return replace(self, envelope=self.envelope.with_signatures(more))

    def counted(self, members: MemberList) -> int:
        """How many roots of that list have signed; two signatures by one key count once (R3)."""
        return trust.signatures_counted(self.envelope, members.roots)

    def verify(self, members: MemberList) -> Freeze:
        """The freeze, once the threshold of the roots of the list it names has signed.

        Raises RefusedError `freeze_other_network`, `freeze_other_list`, `freeze_threshold`.
        """
        if self.freeze.network != members.network:
            raise RefusedError("freeze_other_network", "the document is of another network")
        if self.freeze.members != members.digest:
            raise RefusedError("freeze_other_list", "it names another version of the member list")
        counted, needed = self.counted(members), members.roots.threshold
        if counted < needed:
            raise RefusedError("freeze_threshold", f"roots that have signed: {counted} of {needed}")
        return self.freeze


def draft(freeze: Freeze) -> SignedFreeze:
    """The document before anybody has signed it."""
    return SignedFreeze(jws.MultiJws(freeze.to_bytes(), ()), freeze)


def read(data: bytes) -> SignedFreeze:
    """The document from its file, strictly, whatever its signatures are worth.

    Raises MalformedError `freeze_malformed`, `jws_malformed`, json_*.
    """
    members = strict_json.loads_object(data, max_bytes=MAX_BYTES)
    payload = members.get("payload")
    if members.get("signatures") == [] and len(members) == 2 and isinstance(payload, str):
        envelope = jws.MultiJws(base64url.decode(payload), ())
    else:
        envelope = jws.parse_multi(data, typ=TYP, max_bytes=MAX_BYTES)
    freeze = _read_payload(envelope.payload)
    if envelope.to_bytes() != data or freeze.to_bytes() != envelope.payload:
        raise MalformedError(CODE, "the document is not in its canonical form")
    return SignedFreeze(envelope, freeze)


def _read_payload(payload: bytes) -> Freeze:
    fields = Fields(strict_json.loads_object(payload, max_bytes=MAX_BYTES), CODE)
    arbiter = _read_arbiter(fields.child("arbiter"))
    is_log = isinstance(arbiter, Arbiter)
    place = {"size", "stateRoot"} if is_log else {"block"}
    more = {"successor"} if fields.has("successor") else set()
    require_members(fields, _ALWAYS | place | more)
    fields.integer("v", 1, 1)
    return Freeze(
        network=fields.digest("network"),
        arbiter=arbiter,
        at=fields.integer("size" if is_log else "block", 0, 2**53 - 1),
        root=fields.digest("root"),
        members=fields.digest("members"),
        issued_at=fields.time("issuedAt"),
        state_root=fields.digest("stateRoot") if is_log else None,
        successor=fields.optional_digest("successor"),
    )


def _read_arbiter(fields: Fields) -> Arbiter | EvmArbiterId:
    if fields.has("vkey"):
        require_members(fields, _LOG_ARBITER)
        found = Arbiter(
            fields.text("origin"),
            fields.text("vkey"),
            fields.text("policy", max_length=log_policy.MAX_TEXT),
        )
        if found.key.name != found.origin or not found.policy.logs:
            raise fields.fault("origin", "the key is not of that origin")
        return found
    require_members(fields, _EVM_ARBITER)
    contract = fields.text("contract", max_length=42)
    try:
        address = bytes.fromhex(contract.removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != 20 or contract != "0x" + address.hex():
        raise fields.fault("contract", "an address is 0x and 40 lowercase hexadecimal digits")
    return EvmArbiterId(fields.integer("chainId", 1, 2**53 - 1), address, fields.digest("codeHash"))


# Which arbiter continues which.

Freezes: TypeAlias = Mapping[bytes, SignedFreeze]
"""Arbiter id → the freeze that ended it, of those that are held and were verified."""
NO_FREEZES: Freezes = MappingProxyType({})
MembersOf: TypeAlias = Callable[[bytes], "MemberList | None"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The log arbiters that kept one registry in turn, and the document between each two.

    arbiters: first to last, one more than documents
    """

    arbiters: tuple[Arbiter, ...]
    documents: tuple[SignedFreeze, ...] = ()

    @property
    def carried(self) -> int:
        """Entries that the last arbiter took over; 0 for one that took over nothing."""
        return self.documents[-1].freeze.at if self.documents else 0

    def position(self, size: int) -> int:
        """Which arbiter's turn the entry before `size` belongs to."""
        return sum(one.freeze.at < size for one in self.documents)


def lineage(arbiter: Arbiter, freezes: Freezes) -> Lineage:
    """What came before that arbiter, by the documents held.

    Raises RefusedError `freeze_lineage_invalid` when they lead in a circle or two name it.
    """
    arbiters, documents = [arbiter], list[SignedFreeze]()
    for _ in range(MAX_LINEAGE):
        found = [one for one in freezes.values() if one.freeze.successor == arbiters[0].id]
        if not found:
            return Lineage(tuple(arbiters), tuple(documents))
        before = found[0].freeze.arbiter
        if len(found) > 1 or not isinstance(before, Arbiter):
            break
        arbiters.insert(0, before)
        documents.insert(0, found[0])
    raise RefusedError("freeze_lineage_invalid", "more than one arbiter, or itself, precedes it")


def in_force(arbiter: bytes, freezes: Freezes) -> bytes:
    """Who continues the titles of that arbiter now: the end of the chain of successors.

    Raises RefusedError `arbiter_frozen` when it is frozen and nobody continues its titles.
    """
    for _ in range(MAX_LINEAGE):
        found = freezes.get(arbiter)
        if found is None:
            return arbiter
        if found.freeze.successor is None:
            break
        arbiter = found.freeze.successor
    raise RefusedError("arbiter_frozen", "the arbiter is frozen and nobody continues its titles")


def leading_from(arbiter: bytes, freezes: Freezes) -> tuple[SignedFreeze, ...]:
    """The documents, first to last, that ended that arbiter and those that continued it in turn."""
    documents = list[SignedFreeze]()
    while arbiter in freezes and len(documents) < MAX_LINEAGE:
        documents.append(freezes[arbiter])
        arbiter = documents[-1].freeze.successor or b""
    return tuple(documents)


def require_in_force(arbiter: bytes, freezes: Freezes) -> None:
    """Raise RefusedError `arbiter_frozen` for an arbiter that has ended (R21)."""
    found = freezes.get(arbiter)
    if found is not None:
        successor = found.freeze.successor
        then = f"sign again for {successor.hex()}" if successor else "nobody continues it yet"
        raise RefusedError("arbiter_frozen", f"the arbiter ended at {found.freeze.at}; {then}")


def require_before_end(arbiter: bytes, place: int, freezes: Freezes) -> None:
    """Raise RefusedError `arbiter_frozen` for what was ordered after the end: it is void (R21)."""
    found = freezes.get(arbiter)
    if found is not None and place > found.freeze.at:
        raise RefusedError("arbiter_frozen", "it was ordered after the arbiter's end and is void")


def may_replace(held: SignedFreeze, other: SignedFreeze) -> bool:
    """Whether `other` completes `held`: the same end, now with a successor."""
    same = held.freeze.same_place(other.freeze)
    return same and held.freeze.successor is None and other.freeze.successor is not None


def require_turns(
    named: Sequence[bytes], proving: bytes, size: int, freezes: Freezes
) -> tuple[SignedFreeze, ...]:
    """That a title's operations were each for the arbiter whose turn it was (R19, R21).

    named:   the arbiters that the operations name, first to last; the first issued the title
    proving: the arbiter under which the state is proven, as of `size` entries of its log

    The documents that lead from the first to the last. Raises RefusedError `title_other_arbiter`
    when no signed document does, `arbiter_frozen` for a state from after an arbiter's end.
    """
    turns, documents = [named[0]], list[SignedFreeze]()
    while turns[-1] != proving:
        found = freezes.get(turns[-1])
        if found is None or found.freeze.successor is None or len(turns) > MAX_LINEAGE:
            raise RefusedError("title_other_arbiter", "no signed hand-over leads to this arbiter")
        turns.append(found.freeze.successor)
        documents.append(found)
    places = [turns.index(one) if one in turns else -1 for one in named]
    if -1 in places or places != sorted(places):
        raise RefusedError("title_other_arbiter", "an operation names an arbiter out of its turn")
    if documents and size <= documents[-1].freeze.at:
        raise RefusedError("title_other_arbiter", "the successor had not taken over yet")
    require_before_end(proving, size, freezes)
    return tuple(documents)


def disclosed(items: object, members: MemberList, held: Freezes) -> Freezes:
    """The freezes held, and those of a message that the roots of `members` have signed (R5).

    items: the message's list of documents, each a text. Raises MalformedError `freeze_malformed`,
    RefusedError `freeze_threshold`, `freeze_other_network`.
    """
    texts = items if isinstance(items, list) else [None]
    known = dict(held)
    if len(texts) > MAX_LINEAGE:
        raise MalformedError(CODE, f"at most {MAX_LINEAGE} documents")
    for text in texts:
        if not isinstance(text, str):
            raise MalformedError(CODE, "a document is a text")
        document = read(text.encode())
        arbiter = document.freeze.arbiter.id
        if arbiter in known and not may_replace(known[arbiter], document):
            continue  # what is held here holds
        if document.freeze.network != members.network:
            raise RefusedError("freeze_other_network", "the document is of another network")
        counted, needed = document.counted(members), members.roots.threshold
        if counted < needed:
            raise RefusedError("freeze_threshold", f"roots that have signed: {counted} of {needed}")
        known[arbiter] = document
    return known
