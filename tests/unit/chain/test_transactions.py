"""Raw transactions against another implementation's reading of them."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_utils import to_checksum_address

from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.transaction import FREE, Fee, Transaction, created_address, sign

SECRET = keccak256(b"a relayer")
SIGNER = SoftwareEvmSigner(SECRET)


@pytest.mark.parametrize("to", [None, b"\x11" * 20])
@pytest.mark.parametrize("fee", [FREE, Fee(10**9), Fee(3 * 10**9, 10**9), Fee(0, 0)])
def test_the_bytes_are_those_another_signer_makes(to: bytes | None, fee: Fee) -> None:
    made = sign(Transaction(1337, 5, to, b"\x01\x02\x00", 90_000, fee), SIGNER)
    told = {"chainId": 1337, "nonce": 5, "value": 0, "data": b"\x01\x02\x00", "gas": 90_000}
    if to:
        told["to"] = to_checksum_address(to)
    if fee.tip is None:
        told["gasPrice"] = fee.price
    else:
        told |= {"type": 2, "maxFeePerGas": fee.price, "maxPriorityFeePerGas": fee.tip}
    theirs = Account.sign_transaction(told, SECRET)
    assert (made.raw, made.hash) == (bytes(theirs.raw_transaction), bytes(theirs.hash))


def test_a_replacement_offers_an_eighth_more_and_never_more_than_the_cap() -> None:
    assert Fee(800, 80).bumped(10_000) == Fee(900, 90)
    assert Fee(801).bumped(10_000) == Fee(902)  # rounded up: pools ask for 10 % at least
    assert Fee(800).bumped(899) is None
    assert FREE.bumped(10_000) is None


def test_a_created_contract_stands_where_the_yellow_paper_says() -> None:
    sender = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    wanted = "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert created_address(sender, 0).hex() == wanted
