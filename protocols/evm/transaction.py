"""Transactions of an EVM chain, signed locally: legacy with a chain id, and EIP-1559.

EIP-155 and EIP-1559 (type 2, over EIP-2718) fix what is signed. A node signs only with its own
relayer key, which moves no title: the operations inside are signed by their holders. Signing is
deterministic (RFC 6979), so the same transaction always has the same bytes and the same hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import rlp  # type: ignore[import-untyped] # rlp has no types

from protocols.evm.keys import ADDRESS_BYTES, keccak256

if TYPE_CHECKING:
    from protocols.evm.keys import EvmSigner

_TYPE_2: Final = b"\x02"
_EIP155: Final = 35


@dataclass(frozen=True, slots=True)
class Fee:
    """What a transaction offers for each unit of gas, in wei.

    price: the most it pays: the gas price, or maxFeePerGas
    tip:   maxPriorityFeePerGas; None makes the transaction a legacy one
    """

    price: int
    tip: int | None = None

    def bumped(self, cap: int) -> Fee | None:
        """Eight parts become nine, +12.5 %: what pools ask of a replacement.

        None when that would exceed `cap` wei, or when nothing is offered at all.
        """
        price = _ninth(self.price)
        if self.price == 0 or price > cap:
            return None
        return Fee(price, None if self.tip is None else min(price, _ninth(self.tip)))


def _ninth(value: int) -> int:
    return -(-value * 9 // 8)


FREE: Final = Fee(0)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call that carries no value; `to` is None where it creates a contract."""

    chain_id: int
    nonce: int
    to: bytes | None
    data: bytes
    gas: int
    fee: Fee


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes that are sent, and the hash by which the chain knows them."""

    raw: bytes
    hash: bytes


def sign(transaction: Transaction, signer: EvmSigner) -> SignedTransaction:
    """The transaction signed by that key."""
    if transaction.fee.tip is None:
        raw = _legacy(transaction, signer)
    else:
        raw = _dynamic(transaction, transaction.fee.tip, signer)
    return SignedTransaction(raw, keccak256(raw))


def _legacy(made: Transaction, signer: EvmSigner) -> bytes:
    fields = [made.nonce, made.fee.price, made.gas, made.to or b"", 0, made.data]
    signature = signer.sign_digest(keccak256(rlp.encode([*fields, made.chain_id, 0, 0])))
    v = signature.v - 27 + _EIP155 + 2 * made.chain_id
    return bytes(rlp.encode([*fields, v, signature.r, signature.s]))


def _dynamic(made: Transaction, tip: int, signer: EvmSigner) -> bytes:
    offer = (tip, made.fee.price, made.gas)
    fields = [made.chain_id, made.nonce, *offer, made.to or b"", 0, made.data, []]
    signature = signer.sign_digest(keccak256(_TYPE_2 + rlp.encode(fields)))
    ended = [*fields, signature.v - 27, signature.r, signature.s]
    return _TYPE_2 + bytes(rlp.encode(ended))


def created_address(sender: bytes, nonce: int) -> bytes:
    """Where a contract stands that `sender` creates with `nonce` (yellow paper §7)."""
    return keccak256(rlp.encode([sender, nonce]))[-ADDRESS_BYTES:]
