"""The proof that a log's size and root stood on a chain at a block's time, checked offline.

An anchor bounds time from above (what lies under it existed before the block) and shows one history
to everybody who reads the chain. The chain is believed for its own reasons: the block's hash is one
that the verifier holds, or ⌈2n/3⌉ of validators pinned beforehand sealed it. Contract, code and
sender are pinned as well: whoever calls the contract owns its own row only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from protocols.evm.calls import Anchored, read_event
from protocols.evm.keys import checksum_text, read_address
from protocols.evm.proof import MAX_NODES, EventProof, verify_event, verify_seals
from protocols.fields import Fields
from protocols.log import merkle
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

CODE: Final = "anchor_proof_malformed"
MAX_CONSISTENCY: Final = 63
_MAX_TEXT: Final = 128 * 1024


def origin_hash(origin: str) -> bytes:
    """How a log is named on a chain: SHA-256 of its C2SP origin line, without the newline."""
    return hashlib.sha256(origin.encode()).digest()


@dataclass(frozen=True, slots=True)
class AnchorProof:
    """An anchored checkpoint and its place on a chain.

    code_hash:   Keccak-256 of the contract's runtime code
    sender:      who anchored; its row alone counts
    size, root:  the anchored checkpoint
    event:       header (with a QBFT block's seals), path through the receipts' trie, log
    consistency: from the receipt's checkpoint to the anchored one (RFC 6962 §2.1.2)
    """

    chain_id: int
    contract: bytes
    code_hash: bytes
    sender: bytes
    origin: str
    size: int
    root: bytes
    event: EventProof
    consistency: tuple[bytes, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """The `anchor` member of a receipt."""
        return {
            "chainId": self.chain_id,
            "contract": checksum_text(self.contract),
            "codeHash": "0x" + self.code_hash.hex(),
            "sender": checksum_text(self.sender),
            "origin": self.origin,
            "size": self.size,
            "root": _text(self.root),
            "header": _text(self.event.header),
            "transaction": self.event.transaction,
            "receiptProof": [_text(node) for node in self.event.nodes],
            "logIndex": self.event.log,
            "consistency": [_text(item) for item in self.consistency],
        }


def read_anchor_proof(value: object) -> AnchorProof:
    """The proof from its JSON form; raises MalformedError `anchor_proof_malformed`."""
    if not isinstance(value, dict):
        raise MalformedError(CODE, "an object is expected")
    fields = Fields(value, CODE)
    event = EventProof(
        header=_bytes(fields.text("header", max_length=_MAX_TEXT)),
        transaction=fields.integer("transaction", low=0, high=2**32 - 1),
        nodes=_texts(fields, "receiptProof", MAX_NODES),
        log=fields.integer("logIndex", low=0, high=2**20),
    )
    return AnchorProof(
        chain_id=fields.integer("chainId", low=1, high=2**53 - 1),
        contract=read_address(fields.text("contract", max_length=42), pointer="/contract"),
        code_hash=_hash(fields.text("codeHash", max_length=66)),
        sender=read_address(fields.text("sender", max_length=42), pointer="/sender"),
        origin=fields.text("origin", max_length=255),
        size=fields.integer("size", low=1, high=2**53 - 1),
        root=_bytes(fields.text("root", max_length=44), 32),
        event=event,
        consistency=_texts(fields, "consistency", MAX_CONSISTENCY, 32),
    )


@dataclass(frozen=True, slots=True)
class PinnedChain:
    """What a verifier holds of a chain beforehand.

    validators: QBFT: the set of the block's epoch; or
    blocks:     hashes of blocks that the verifier holds for its own reasons
    """

    chain_id: int
    contract: bytes
    code_hash: bytes
    sender: bytes
    validators: frozenset[bytes] = frozenset()
    blocks: Collection[bytes] = ()


def verify_anchor(
    proof: AnchorProof, pinned: PinnedChain, *, origin: str, size: int, root: bytes
) -> datetime:
    """The block's time, before which the checkpoint of that size and root existed.

    origin, size, root: the checkpoint of the receipt, which the anchored one continues
    Raises RefusedError `anchor_not_pinned`, `anchor_other_log`, `anchor_inconsistent`,
    `anchor_block_unknown`, `evm_…`, and MalformedError.
    """
    held = (pinned.chain_id, pinned.contract, pinned.code_hash, pinned.sender)
    if (proof.chain_id, proof.contract, proof.code_hash, proof.sender) != held:
        raise RefusedError("anchor_not_pinned", "another chain, contract, code or sender")
    proven = verify_event(proof.event, proof.contract)
    found = read_event(proven.log)
    wanted = Anchored(origin_hash(proof.origin), proof.sender, proof.size, proof.root)
    if found != wanted or proof.origin != origin:
        raise RefusedError("anchor_other_log", "the event tells of another log, size or root")
    if pinned.validators:
        verify_seals(proven.header, pinned.validators)
    elif proven.header.hash not in pinned.blocks:
        raise RefusedError("anchor_block_unknown", "nobody who is pinned vouches for the block")
    _require_consistent(proof, size, root)
    return datetime.fromtimestamp(proven.header.time, UTC)


def _require_consistent(proof: AnchorProof, size: int, root: bytes) -> None:
    try:
        merkle.verify_consistency(size, proof.size, root, proof.root, proof.consistency)
    except RefusedError as error:
        raise RefusedError("anchor_inconsistent", error.detail) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _texts(fields: Fields, name: str, most: int, size: int | None = None) -> tuple[bytes, ...]:
    items = fields.members.get(name)
    if not isinstance(items, list) or len(items) > most:
        raise fields.fault(name, f"a list of at most {most} items is expected")
    return tuple(_bytes(item, size) for item in items)


def _bytes(text: object, size: int | None = None) -> bytes:
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise MalformedError(CODE, "a base64 text is expected")
    try:
        made = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise MalformedError(CODE, "a base64 text is expected") from None
    if base64.b64encode(made).decode() != text or (size is not None and len(made) != size):
        raise MalformedError(CODE, "a base64 text of another length or spelling")
    return made


def _hash(text: str) -> bytes:
    try:
        made = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        made = b""
    if len(made) != 32 or text != "0x" + made.hex():
        raise MalformedError(CODE, "a hash is 0x and 64 digits")
    return made
