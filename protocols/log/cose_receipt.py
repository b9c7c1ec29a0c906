"""COSE receipts (RFC 9942): a place in a log for those who read SCITT's formats.

A receipt is a COSE_Sign1 whose payload, left out, is the root; the inclusion proof stands in the
unprotected header. It carries the log's signature alone: without witnesses it proves no time (R17),
so it goes beside a tlog-proof and never replaces one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from protocols import keys
from protocols.log import merkle
from protocols.log.merkle import HASH_SIZE, Proof
from schemas.errors import MalformedError, RefusedError

MEDIA_TYPE: Final = "application/cose"
MAX_BYTES: Final = 8192
EDDSA: Final = -8
_ALG, _KID, _CLAIMS, _VDS, _VDP = 1, 4, 15, 395, 396
_RFC9162_SHA256, _INCLUSION, _ISSUER = 1, -1, 1
_SIGN1: Final = 18


@dataclass(frozen=True, slots=True)
class CoseReceipt:
    """A parsed receipt; nothing is verified yet. `algorithm` is a COSE algorithm number."""

    algorithm: int
    issuer: str
    index: int
    size: int
    hashes: Proof
    protected: bytes
    signature: bytes


def issue(
    origin: str,
    key_id: bytes,
    index: int,
    size: int,
    hashes: Proof,
    root: bytes,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """The receipt of leaf `index` in the tree of `size` leaves, signed by the log's Ed25519 key."""
    header = {_ALG: EDDSA, _KID: key_id, _CLAIMS: {_ISSUER: origin}, _VDS: _RFC9162_SHA256}
    protected = cbor2.dumps(header, canonical=True)
    proof = cbor2.dumps([size, index, list(hashes)], canonical=True)
    unprotected = {_VDP: {_INCLUSION: [proof]}}
    members = [protected, unprotected, None, sign(_to_be_signed(protected, root))]
    return cbor2.dumps(cbor2.CBORTag(_SIGN1, members), canonical=True)


def _to_be_signed(protected: bytes, root: bytes) -> bytes:
    """Sig_structure of RFC 9052 §4.4; the detached payload is the root."""
    return cbor2.dumps(["Signature1", protected, b"", root], canonical=True)


def parse(data: bytes) -> CoseReceipt:
    """Raises MalformedError `cose_receipt_malformed`."""
    tag = _loads(data)
    if not isinstance(tag, cbor2.CBORTag) or tag.tag != _SIGN1:
        raise _malformed()
    try:
        protected, unprotected, payload, signature = tag.value
        header, (proof,) = _loads(protected), unprotected[_VDP][_INCLUSION]
        size, index, hashes = _loads(proof)
        receipt = CoseReceipt(
            header[_ALG],
            header.get(_CLAIMS, {}).get(_ISSUER, ""),
            index,
            size,
            tuple(hashes),
            protected,
            signature,
        )
        good = header[_VDS] == _RFC9162_SHA256 and payload is None
    except (TypeError, ValueError, LookupError, AttributeError):
        raise _malformed() from None
    if not good or not _typed(receipt):
        raise _malformed()
    return receipt


def _typed(receipt: CoseReceipt) -> bool:
    """Whether what CBOR gave has the declared types."""
    numbers: tuple[object, ...] = (receipt.algorithm, receipt.index, receipt.size)
    octets: tuple[object, ...] = (receipt.signature, *receipt.hashes)
    texts: tuple[object, ...] = (receipt.issuer,)
    return (
        all(type(item) is int for item in numbers)
        and all(isinstance(item, bytes) for item in octets)
        and all(isinstance(item, str) for item in texts)
        and len(receipt.hashes) <= merkle.MAX_PROOF
        and all(len(item) == HASH_SIZE for item in receipt.hashes)
    )


def _loads(data: object) -> Any:
    if not isinstance(data, bytes) or len(data) > MAX_BYTES:
        raise _malformed()
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError):
        raise _malformed() from None


def verify(receipt: CoseReceipt, entry: bytes, public_key: bytes) -> bytes:
    """The root under which `entry` stands, signed by the Ed25519 key of the log.

    Raises RefusedError `inclusion_proof_invalid`, `cose_receipt_invalid`.
    """
    leaf = merkle.leaf_hash(entry)
    root = merkle.root_from_inclusion(receipt.index, receipt.size, leaf, receipt.hashes)
    key = keys.from_ed25519_bytes("", public_key)
    signed = _to_be_signed(receipt.protected, root)
    if receipt.algorithm != EDDSA or not key.verify(receipt.signature, signed):
        raise RefusedError("cose_receipt_invalid", "the log did not sign that root")
    return root


def _malformed() -> MalformedError:
    return MalformedError("cose_receipt_malformed", "not a COSE receipt of one inclusion proof")
