"""One EVM chain in this process's memory: py-evm (Cancun), and an index of logs and receipts.

py-evm keeps blocks and state; looking receipts and logs up in it means walking tries again and
again, so they are indexed here as they come. Gas costs nothing: the base fee begins at zero and a
block is never filled to where it would rise. Block times stay near the wall clock, at most
`MAX_LEAD` seconds ahead, because contracts compare deadlines with them. There is one producer and
no reorg: what is mined is final.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

_RECURSION = sys.getrecursionlimit()
with warnings.catch_warnings():
    # Their own deprecations say nothing about this project.
    warnings.simplefilter("ignore")
    from eth.chains.base import MiningChain
    from eth.consensus.applier import ConsensusApplier
    from eth.consensus.noproof import NoProofConsensus
    from eth.db.atomic import AtomicDB
    from eth.exceptions import PyEVMError
    from eth.vm.forks.cancun import CancunVM
    from eth_utils.exceptions import ValidationError
    from rlp.exceptions import RLPException  # type: ignore[import-untyped] # rlp has no types

# py-evm raises the limit for the whole process; readers of nested input count on Python's own.
sys.setrecursionlimit(_RECURSION)

MAX_LEAD: Final = 2
BLOCK_GAS: Final = 1_000_000_000
#: Below half of the limit the base fee stays where it is: at zero (EIP-1559).
USED_AT_MOST: Final = BLOCK_GAS // 2 - 1
MAX_CALL_GAS: Final = 100_000_000
MAX_POOL: Final = 5000
MAX_AHEAD: Final = 256


class ChainError(Exception):
    """A JSON-RPC error: code and message."""

    def __init__(self, message: str, code: int = -32000, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


@dataclass(frozen=True, slots=True)
class MinedLog:
    """A log with its place."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    transaction: bytes
    position: int
    index: int


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction and its receipt."""

    hash: bytes
    raw: bytes
    data: bytes
    sender: bytes
    to: bytes | None
    nonce: int
    gas: int
    kind: int
    block: int
    block_hash: bytes
    position: int
    succeeded: bool
    cumulative: int
    gas_used: int
    bloom: bytes
    created: bytes | None
    logs: tuple[MinedLog, ...]


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block: py-evm's header and what we keep of its transactions."""

    header: Any
    transactions: tuple[MinedTransaction, ...]


def _chain_class(number: int) -> type[Any]:
    class Made(MiningChain):
        chain_id = number
        vm_configuration = ConsensusApplier(NoProofConsensus).amend_vm_configuration(
            ((0, CancunVM),)
        )

        @override
        def create_header_from_parent(self, parent_header: Any, **params: Any) -> Any:
            params["gas_limit"] = parent_header.gas_limit
            return super().create_header_from_parent(parent_header, **params)

    return Made


class DevEvm:
    """The chain. Not thread-safe: one thread owns it."""

    def __init__(self, chain_id: int, clock: Callable[[], float] = time.time) -> None:
        """Only the genesis block, a second old."""
        self.chain_id = chain_id
        self._clock = clock
        params: dict[str, Any] = {
            "difficulty": 0,
            "gas_limit": BLOCK_GAS,
            "base_fee_per_gas": 0,
            "timestamp": int(clock()) - 1,
        }
        self._chain = _chain_class(chain_id).from_genesis(AtomicDB(), params, {})
        genesis = MinedBlock(self._chain.get_canonical_head(), ())
        self._blocks = [genesis]
        self._by_hash = {bytes(genesis.header.hash): genesis}
        self._transactions: dict[bytes, MinedTransaction] = {}
        self._pool: dict[bytes, dict[int, Any]] = {}

    # -- blocks --------------------------------------------------------------------------------

    @property
    def head(self) -> MinedBlock:
        """The newest block."""
        return self._blocks[-1]

    def block(self, number: int) -> MinedBlock | None:
        """The block of a number."""
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def block_of_hash(self, block_hash: bytes) -> MinedBlock | None:
        """The block of a hash."""
        return self._by_hash.get(block_hash)

    def transaction(self, transaction_hash: bytes) -> MinedTransaction | None:
        """A mined transaction."""
        return self._transactions.get(transaction_hash)

    def waiting(self) -> int:
        """Transactions in the pool."""
        return sum(map(len, self._pool.values()))

    def logs(
        self, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes]], first: int, last: int
    ) -> list[MinedLog]:
        """The logs of blocks `first` to `last`; an empty place in `topics` stands for any."""
        return [
            log
            for block in self._blocks[max(0, first) : last + 1]
            for transaction in block.transactions
            for log in transaction.logs
            if _wanted(log, addresses, topics)
        ]

    # -- the pool ------------------------------------------------------------------------------

    def add(self, raw: bytes) -> bytes:
        """Take a raw transaction into the pool; its hash. Raises ChainError as a server does."""
        try:
            made = CancunVM.get_transaction_builder().decode(raw)
            made.validate()
            made.check_signature_validity()
            sender, chain_id = bytes(made.sender), made.chain_id
        except (RLPException, PyEVMError, ValidationError, ValueError, TypeError) as error:
            raise ChainError(f"invalid transaction: {error}"[:200]) from None
        if chain_id != self.chain_id:
            raise ChainError("invalid chain id for signer")
        found = bytes(made.hash)
        if found in self._transactions:
            raise ChainError("already known")
        nonce = self.nonce(sender)
        if made.nonce < nonce:
            raise ChainError("nonce too low")
        if made.gas > USED_AT_MOST or made.nonce > nonce + MAX_AHEAD:
            raise ChainError("exceeds block gas limit or nonce too high")
        if self.waiting() >= MAX_POOL:
            raise ChainError("the pool is full")
        # Gas is free, so a replacement costs nothing more; the newest word of an account counts.
        self._pool.setdefault(sender, {})[made.nonce] = made
        return found

    # -- mining --------------------------------------------------------------------------------

    def due_in(self) -> float:
        """Seconds until a block may be mined without running ahead of the clock."""
        return max(0.0, float(self.head.header.timestamp + 1 - MAX_LEAD - self._clock()))

    def mine(self) -> MinedBlock:
        """Mine what the pool holds, each account in the order of its nonces; maybe nothing."""
        chain = self._chain
        at = max(int(self._clock()), self.head.header.timestamp + 1)
        chain.set_header_timestamp(at)
        done: list[tuple[Any, Any, Any]] = []
        used = 0
        for sender in list(self._pool):
            for made in self._ready(sender):
                if used + made.gas > USED_AT_MOST:
                    break
                result = self._apply(made)
                del self._pool[sender][made.nonce]
                if result is not None:
                    done.append((made, *result))
                    used = int(chain.header.gas_used)
            if not self._pool[sender]:
                del self._pool[sender]
        return self._keep(chain.mine_block(), done)

    def _ready(self, sender: bytes) -> list[Any]:
        """An account's transactions from its next nonce on, without a gap."""
        waiting, nonce = self._pool[sender], self.nonce(sender)
        for old in [number for number in waiting if number < nonce]:
            del waiting[old]
        found = []
        while nonce in waiting:
            found.append(waiting[nonce])
            nonce += 1
        return found

    def _apply(self, made: Any) -> tuple[Any, Any] | None:
        try:
            _, receipt, computation = self._chain.apply_transaction(made)
        except (PyEVMError, ValidationError):
            return None  # it cannot pay or is no longer in order: dropped, as a pool does
        return receipt, computation

    def _keep(self, block: Any, done: Sequence[tuple[Any, Any, Any]]) -> MinedBlock:
        mined: list[MinedTransaction] = []
        index = 0
        for position, (made, receipt, computation) in enumerate(done):
            before = mined[-1].cumulative if mined else 0
            kept = _transaction(block.header, position, made, receipt, computation, before, index)
            index += len(kept.logs)
            mined.append(kept)
            self._transactions[kept.hash] = kept
        found = MinedBlock(block.header, tuple(mined))
        self._blocks.append(found)
        self._by_hash[bytes(block.header.hash)] = found
        return found

    # -- state ---------------------------------------------------------------------------------

    def _vm(self, block: MinedBlock) -> Any:
        """A machine on top of a block, at the present time."""
        chain = self._chain
        at = max(int(self._clock()), block.header.timestamp + 1)
        return chain.get_vm(chain.create_header_from_parent(block.header, timestamp=at))

    def nonce(self, address: bytes, block: MinedBlock | None = None) -> int:
        """Transactions of an account up to a block."""
        return int(self._vm(block or self.head).state.get_nonce(address))

    def balance(self, address: bytes, block: MinedBlock) -> int:
        """In wei."""
        return int(self._vm(block).state.get_balance(address))

    def code(self, address: bytes, block: MinedBlock) -> bytes:
        """The code at an address."""
        return bytes(self._vm(block).state.get_code(address))

    def storage(self, address: bytes, slot: int, block: MinedBlock) -> int:
        """One word of a contract's storage."""
        return int(self._vm(block).state.get_storage(address, slot))

    def call(self, sender: bytes, to: bytes, data: bytes, block: MinedBlock) -> bytes:
        """What a view function answers on top of a block; raises ChainError for a revert."""
        vm = self._vm(block)
        done = vm.execute_bytecode(
            origin=sender, gas_price=0, gas=MAX_CALL_GAS, to=to, sender=sender, value=0,
            data=data, code=vm.state.get_code(to),
        )  # fmt: skip
        if not done.is_success:
            raise ChainError("execution reverted", 3, "0x" + bytes(done.output).hex())
        return bytes(done.output)


def _wanted(log: MinedLog, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes]]) -> bool:
    if (addresses and log.address not in addresses) or len(topics) > len(log.topics):
        return False
    return all(
        not wanted or found in wanted for wanted, found in zip(topics, log.topics, strict=False)
    )


def _transaction(
    header: Any, position: int, made: Any, receipt: Any, computation: Any, before: int, index: int
) -> MinedTransaction:
    block, block_hash, name = int(header.block_number), bytes(header.hash), bytes(made.hash)
    logs = tuple(
        MinedLog(
            address=bytes(log.address),
            topics=tuple(topic.to_bytes(32, "big") for topic in log.topics),
            data=bytes(log.data),
            block=block, block_hash=block_hash, transaction=name, position=position,
            index=index + offset,
        )
        for offset, log in enumerate(receipt.logs)
    )  # fmt: skip
    to = bytes(made.to) or None
    return MinedTransaction(
        hash=name, raw=bytes(made.encode()), data=bytes(made.data), sender=bytes(made.sender),
        to=to, nonce=int(made.nonce), gas=int(made.gas), kind=int(getattr(made, "type_id", 0) or 0),
        block=block, block_hash=block_hash, position=position,
        succeeded=bool(computation.is_success), cumulative=int(receipt.gas_used),
        gas_used=int(receipt.gas_used) - before, bloom=int(receipt.bloom).to_bytes(256, "big"),
        created=None if to else bytes(computation.msg.storage_address), logs=logs,
    )  # fmt: skip
