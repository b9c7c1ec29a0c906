"""A chain in this process: py-evm itself, without JSON-RPC, with a clock that the test sets.

`transact` builds a real signed transaction and mines a block with it, so gas is what a chain
charges, with calldata and the transaction's own 21 000.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # Their own deprecations say nothing about this project.
    warnings.simplefilter("ignore")
    from eth.chains.base import MiningChain
    from eth.consensus import ConsensusApplier, NoProofConsensus
    from eth.db.atomic import AtomicDB
    from eth.vm.forks.cancun import CancunVM
    from eth_keys import keys

from protocols.evm.calls import Log
from protocols.evm.keys import keccak256

# Back to Python's own: py-evm raises it for the whole process, and a reader of nested JSON that
# counts on it would then run out of stack.
sys.setrecursionlimit(1000)

CHAIN_ID = 1337
START = 1_795_000_000
GAS = 30_000_000


class _Chain(MiningChain):
    chain_id = CHAIN_ID
    vm_configuration = ConsensusApplier(NoProofConsensus).amend_vm_configuration(((0, CancunVM),))

    def create_header_from_parent(self, parent_header: Any, **params: Any) -> Any:
        params["gas_limit"] = parent_header.gas_limit
        return super().create_header_from_parent(parent_header, **params)


@dataclass(frozen=True)
class Receipt:
    """What a transaction did."""

    ok: bool
    gas: int
    logs: tuple[Log, ...]
    address: bytes
    output: bytes


class EvmChain:
    """One chain with one account that pays for everything."""

    def __init__(self, start: int = START) -> None:
        self.key = keys.PrivateKey(keccak256(b"relayer"))
        self.address = self.key.public_key.to_canonical_address()
        account = {"balance": 10**30, "nonce": 0, "code": b"", "storage": {}}
        params = {"difficulty": 0, "gas_limit": 100 * GAS, "timestamp": start}
        self.chain = _Chain.from_genesis(AtomicDB(), params, {self.address: account})
        self.now = start
        self.nonce = 0

    def transact(self, to: bytes | None, data: bytes, gas: int = GAS) -> Receipt:
        """Mine a block with one transaction, at the moment `now`."""
        _, receipt, computation = self.mine(to, data, gas)
        return self._receipt(receipt, computation)

    def _receipt(self, receipt: Any, computation: Any) -> Receipt:
        logs = tuple(
            Log(log.address, tuple(t.to_bytes(32, "big") for t in log.topics), log.data)
            for log in receipt.logs
        )
        return Receipt(
            ok=computation.is_success,
            gas=receipt.gas_used,
            logs=logs,
            address=computation.msg.storage_address,
            output=computation.output,
        )

    def mine(self, to: bytes | None, data: bytes, gas: int = GAS) -> Any:
        """The mined block, the receipt and the computation of one transaction."""
        self.now += 1
        receipt, computation = self._add(to, data, gas)
        return self.chain.mine_block(), receipt, computation

    def together(self, now: int, to: bytes, calls: list[bytes]) -> list[Receipt]:
        """One block at `now` with a transaction for each of `calls`."""
        self.now = now
        done = [self._receipt(*self._add(to, data, GAS)) for data in calls]
        self.chain.mine_block()
        return done

    def _add(self, to: bytes | None, data: bytes, gas: int) -> Any:
        if not self.chain.get_block().transactions:
            self.chain.set_header_timestamp(self.now)
        unsigned = self.chain.create_unsigned_transaction(
            nonce=self.nonce, gas_price=10**10, gas=gas, to=to or b"", value=0, data=data
        )
        self.nonce += 1
        signed = unsigned.as_signed_transaction(self.key, chain_id=CHAIN_ID)
        _, receipt, computation = self.chain.apply_transaction(signed)
        return receipt, computation

    @property
    def height(self) -> int:
        """The number of the newest block."""
        return int(self.chain.get_canonical_head().block_number)

    def storage_root(self, address: bytes) -> bytes:
        """The root of a contract's storage."""
        accounts = self.chain.get_vm().state._account_db
        return bytes(accounts._get_account(address).storage_root)

    def call(self, to: bytes, data: bytes) -> bytes:
        """What a view function answers."""
        vm = self.chain.get_vm(
            self.chain.create_header_from_parent(self.chain.get_canonical_head())
        )
        done = vm.execute_bytecode(
            origin=self.address,
            gas_price=0,
            gas=GAS,
            to=to,
            sender=self.address,
            value=0,
            data=data,
            code=vm.state.get_code(to),
        )
        assert done.is_success, done.error
        return bytes(done.output)

    def code(self, address: bytes) -> bytes:
        """The runtime code at an address."""
        return bytes(self.chain.get_vm().state.get_code(address))


__all__ = ["CHAIN_ID", "START", "EvmChain", "Receipt"]
