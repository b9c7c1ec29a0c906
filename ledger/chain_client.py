"""A chain behind several addresses: what is believed of what they say.

Reads go to the first address that answers. What is to be *final* is asked of all of them: as many
as the settings say must tell the same, the header must hash to the block's hash, the receipts must
lead to the header, and a QBFT block must be sealed by the pinned validators. An address with
another chain id or other code at a contract's place is not used. Contradictions are told to the
`alarm`, once each; trouble is UnavailableError, never a refusal (R13, R21).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ledger.chain_settings import ChainConfig
from ledger.chain_values import (
    FINALIZED,
    LATEST,
    Block,
    FoundLog,
    ProvenBlock,
    Receipt,
    Sending,
    Tag,
)
from protocols.evm.keys import checksum_text, keccak256
from protocols.evm.proof import read_header, verify_seals
from protocols.evm.transaction import FREE, Fee
from schemas.errors import SettingsError, TradeError, UnavailableError

if TYPE_CHECKING:
    from protocols.evm.proof import EventProof

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
_PROVEN_KEPT: Final = 32
_ALARMS_KEPT: Final = 1000
MAX_RANGE: Final = 5000
"""Blocks asked for logs at a time, at most."""


class Rpc(Protocol):
    """What is asked of one address; `ledger.chain.Endpoint` is it."""

    async def close(self) -> None: ...
    async def chain_id(self) -> int: ...
    async def code(self, address: bytes) -> bytes: ...
    async def balance(self, address: bytes) -> int: ...
    async def nonce(self, address: bytes, at: int | Tag) -> int: ...
    async def call(self, to: bytes, data: bytes, at: int | Tag) -> bytes: ...
    async def block(self, at: int | Tag | bytes) -> Block | None: ...
    async def receipt(self, transaction: bytes) -> Receipt | None: ...
    async def input(self, transaction: bytes) -> bytes | None: ...
    async def receipts(self, block: Block) -> tuple[Receipt, ...]: ...
    async def logs(
        self, address: bytes, topics: Sequence[bytes | None], first: int, last: int
    ) -> tuple[FoundLog, ...]: ...
    async def gas_price(self) -> int: ...
    async def send(self, raw: bytes) -> Sending: ...


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator must look at: a stable code and where."""

    code: str
    detail: str


@dataclass(slots=True)
class _Place:
    """One address and what is known of it."""

    url: str
    rpc: Rpc | None = None
    checked: set[bytes] = field(default_factory=set)
    known: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands; `fault` is empty when the last call went well."""

    url: str
    fault: str


class ChainClient:
    """Reading and sending; see `ledger.chain_relayer` for transactions of our own."""

    def __init__(
        self,
        config: ChainConfig,
        *,
        alarm: Callable[[Alarm], None] = lambda _: None,
        connect: Callable[[str], Rpc] | None = None,
    ) -> None:
        """Speaks to nobody yet. connect: makes the caller of an address, for tests."""
        self.config = config
        self._alarm = alarm
        self._told: set[tuple[str, str]] = set()
        self._connect = connect
        self._places = [_Place(url) for url in config.urls]
        self._codes: dict[bytes, bytes] = {}
        self._proven: OrderedDict[bytes, ProvenBlock] = OrderedDict()

    # -- life ----------------------------------------------------------------------------------

    def require_code(self, contract: bytes, code_hash: bytes) -> None:
        """Every address must show this code (Keccak-256) at `contract` before it is used."""
        self._codes[contract] = code_hash

    async def start(self) -> None:
        """Ask every address for its chain and the contracts' code.

        Raises SettingsError `chain_id_mismatch` or `chain_code_mismatch` where one answers
        otherwise. Addresses that do not answer are asked again when they are needed.
        """
        results = await asyncio.gather(
            *(self._ready(place) for place in self._places), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, UnavailableError):
                raise result

    async def close(self) -> None:
        """Close all connections."""
        for place in self._places:
            if place.rpc is not None:
                await place.rpc.close()
                place.rpc = None

    def standing(self) -> list[Standing]:
        """Every address and its last trouble."""
        return [Standing(shown(place.url), place.fault) for place in self._places]

    async def _ready(self, place: _Place) -> Rpc:
        """The caller of an address whose chain and code are the right ones."""
        rpc = place.rpc or await self._open(place)
        if not place.known:
            found = await self._try(place, rpc.chain_id())
            if found != self.config.chain_id:
                place.fault = f"chain {found}"
                detail = f"{shown(place.url)} serves chain {found}, not {self.config.chain_id}"
                raise self._wrong("chain_id_mismatch", detail)
            place.known = True
        for contract, wanted in self._codes.items():
            if contract not in place.checked:
                await self._check_code(place, rpc, contract, wanted)
        return rpc

    async def _open(self, place: _Place) -> Rpc:
        if self._connect is None:
            self._connect = await asyncio.to_thread(self._load)
        if place.rpc is None:
            place.rpc = self._connect(place.url)
        return place.rpc

    def _load(self) -> Callable[[str], Rpc]:
        """web3 takes a second or two to import, so a thread does it, once a chain is needed."""
        made = import_module("ledger.chain").Endpoint
        config = self.config

        def connect(url: str) -> Rpc:
            rpc: Rpc = made(url, deadline=config.deadline, max_answer=config.max_answer)
            return rpc

        return connect

    async def _check_code(self, place: _Place, rpc: Rpc, contract: bytes, wanted: bytes) -> None:
        code = await self._try(place, rpc.code(contract))
        if keccak256(code) != wanted:
            place.fault = "other code"
            what = "other code" if code else "no code"
            detail = f"{shown(place.url)} shows {what} at {checksum_text(contract)}"
            raise self._wrong("chain_code_mismatch", detail)
        place.checked.add(contract)

    def _wrong(self, code: str, detail: str) -> SettingsError:
        self._tell(code, detail)
        return SettingsError(code, detail)

    def _tell(self, code: str, detail: str) -> None:
        if len(self._told) < _ALARMS_KEPT and (code, detail) not in self._told:
            self._told.add((code, detail))
            self._alarm(Alarm(code, detail))

    async def _try(self, place: _Place, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except UnavailableError as error:
            place.fault = f"{error.code}: {error.detail}"
            if error.code == "chain_unreachable":
                # Whoever answers there next time may be another chain.
                place.known = False
                place.checked.clear()
            raise
        place.fault = ""
        return answer

    # -- one answer, and the same answer -------------------------------------------------------

    async def _first(self, ask: Callable[[Rpc], Awaitable[T]]) -> T:
        """The answer of the first address that gives one; the one in trouble is asked last."""
        last: TradeError = UnavailableError("chain_unreachable", "no address of the chain answers")
        for place in sorted(self._places, key=lambda each: bool(each.fault)):
            try:
                return await self._try(place, ask(await self._ready(place)))
            except (UnavailableError, SettingsError) as error:
                last = error
        raise UnavailableError("chain_unreachable", last.detail)

    async def _all(self, ask: Callable[[Rpc], Awaitable[T]]) -> list[T]:
        """The answers of all that give one."""

        async def one(place: _Place) -> T:
            return await self._try(place, ask(await self._ready(place)))

        results = await asyncio.gather(*map(one, self._places), return_exceptions=True)
        answers: list[T] = []
        for result in results:
            if not isinstance(result, BaseException):
                answers.append(result)
            elif not isinstance(result, UnavailableError | SettingsError):
                raise result
        return answers

    async def _agreed(self, what: str, ask: Callable[[Rpc], Awaitable[H | None]]) -> H | None:
        """What enough addresses say alike; None where that many know nothing of it.

        Raises UnavailableError `chain_disagrees` or `chain_unconfirmed`.
        """
        answers = await self._all(ask)
        counted = Counter(answer for answer in answers if answer is not None)
        if len(counted) > 1:
            self._tell("chain_disagrees", what)
        best = counted.most_common(2)
        clear = len(best) == 1 or (len(best) == 2 and best[0][1] > best[1][1])
        if best and clear and best[0][1] >= self.config.agree:
            return best[0][0]
        if len(counted) > 1:
            raise UnavailableError("chain_disagrees", what)
        if not counted and len(answers) >= self.config.agree:
            return None
        raise UnavailableError(
            "chain_unconfirmed", f"{what}: fewer addresses tell it than {self.config.agree}"
        )

    # -- reading -------------------------------------------------------------------------------

    async def latest(self) -> int:
        """The number of the newest block, which may yet be taken back."""
        return (await self._first(_newest)).number

    async def final_number(self) -> int:
        """The number of the newest block that enough addresses hold to be final."""
        found = sorted(await self._all(self._final_of), reverse=True)
        if len(found) < self.config.agree:
            raise UnavailableError("chain_unconfirmed", "too few addresses answer")
        return found[self.config.agree - 1]

    async def _final_of(self, rpc: Rpc) -> int:
        finality = self.config.finality
        if finality.mode == "finalized":
            block = await rpc.block(FINALIZED)
            return block.number if block is not None else 0
        return max(0, (await _newest(rpc)).number - finality.depth)

    async def block(self, number: int) -> Block:
        """A block on whose hash enough addresses agree, its header and seals checked.

        Raises UnavailableError; `chain_unsealed` where the pinned validators did not seal it.
        """
        qbft = self.config.finality.mode == "qbft"

        async def ask(rpc: Rpc) -> Block | None:
            found = await rpc.block(number)
            if found is None:
                return None
            return await self._watched(f"block {number}", _hashed(found, qbft=qbft))

        found = await self._agreed_block(number, ask)
        if qbft:
            self._require_seals(found)
        return found

    async def _agreed_block(
        self, number: int, ask: Callable[[Rpc], Awaitable[Block | None]]
    ) -> Block:
        told: dict[bytes, Block] = {}

        async def hash_of(rpc: Rpc) -> bytes | None:
            found = await ask(rpc)
            if found is None:
                return None
            told[found.hash] = found
            return found.hash

        agreed = await self._agreed(f"block {number}", hash_of)
        if agreed is None:
            raise UnavailableError("chain_unconfirmed", f"block {number} is not there yet")
        return told[agreed]

    def _require_seals(self, block: Block) -> None:
        validators = self.config.finality.validators(block.number)
        try:
            verify_seals(read_header(block.header), validators)
        except TradeError as error:
            self._tell("chain_unsealed", f"block {block.number}: {error.detail}")
            raise UnavailableError("chain_unsealed", f"block {block.number}") from None

    async def _watched(self, what: str, call: Awaitable[T]) -> T:
        try:
            return await call
        except UnavailableError as error:
            if error.code == "chain_lies":
                self._tell("chain_lies", f"{what}: {error.detail}")
            raise

    async def sightings(self, transaction: bytes) -> tuple[Receipt, ...]:
        """Where a transaction stands by any address's word, what most say first: not proven.

        Empty where as many as must agree know of no block that holds it.
        """
        answers = await self._all(lambda rpc: rpc.receipt(transaction))
        told = [each for each in answers if each is not None and each.transaction == transaction]
        counted = Counter(each.block_hash for each in told)
        if not told and len(answers) < self.config.agree:
            raise UnavailableError("chain_unconfirmed", "too few addresses answer")
        first = {each.block_hash: each for each in told}
        return tuple(first[block] for block, _ in counted.most_common())

    async def input(self, transaction: bytes) -> bytes | None:
        """A transaction's call data by one address's word; whoever asks compares what is in it."""
        return await self._first(lambda rpc: rpc.input(transaction))

    async def prove(self, number: int, block_hash: bytes) -> ProvenBlock | None:
        """The block of that number with all its receipts, proven; None when it is another one."""
        held = self._proven.get(block_hash)
        if held is not None:
            return held
        block = await self.block(number)
        if block.hash != block_hash:
            return None
        proven = await self._with_receipts(block)
        self._proven[block_hash] = proven
        while len(self._proven) > _PROVEN_KEPT:
            self._proven.popitem(last=False)
        return proven

    async def _with_receipts(self, block: Block) -> ProvenBlock:
        """The first address whose receipts lead to the header is right, whoever it is."""

        async def ask(rpc: Rpc) -> ProvenBlock:
            made = ProvenBlock(block, await rpc.receipts(block))
            return await self._watched(f"block {block.number}", _checked(made))

        return await self._first(ask)

    async def call(self, to: bytes, data: bytes, *, at: int | None = None) -> bytes:
        """A view function's answer at block `at`, alike from enough addresses; None: newest block
        of one address, which is a hint and no more."""
        if at is None:
            return await self._first(lambda rpc: rpc.call(to, data, LATEST))

        async def ask(rpc: Rpc) -> bytes | None:
            return await rpc.call(to, data, at)

        found = await self._agreed(f"{checksum_text(to)} at block {at}", ask)
        return found or b""

    async def final_logs(
        self, address: bytes, topics: Sequence[bytes | None], first: int, last: int
    ) -> tuple[FoundLog, ...]:
        """Logs of a contract in blocks `first` to `last`, alike from enough addresses.

        The caller keeps within `final_number` and at most MAX_RANGE blocks. One address can still
        leave one out where it is the only one; the title's own sequence shows that.
        """
        if last - first >= MAX_RANGE:
            raise ValueError(f"at most {MAX_RANGE} blocks at a time")

        async def ask(rpc: Rpc) -> tuple[tuple[object, ...], ...] | None:
            return tuple(_log_key(log) for log in await self._kept(rpc, told, asked))

        told: dict[tuple[object, ...], FoundLog] = {}
        asked = (address, tuple(topics), first, last)
        agreed = await self._agreed(f"events of blocks {first} to {last}", ask)
        return tuple(told[key] for key in agreed or ())

    async def _kept(
        self,
        rpc: Rpc,
        told: dict[tuple[object, ...], FoundLog],
        asked: tuple[bytes, tuple[bytes | None, ...], int, int],
    ) -> tuple[FoundLog, ...]:
        found = await rpc.logs(*asked)
        told.update({_log_key(log): log for log in found})
        return found

    async def prove_log(self, found: FoundLog) -> EventProof:
        """The proof of a log that `final_logs` told; raises UnavailableError `chain_lies`."""
        proven = await self.prove(found.block, found.block_hash)
        receipt = proven.receipt(found.transaction) if proven else None
        if proven is None or receipt is None:
            raise UnavailableError("chain_lies", f"block {found.block} has no such transaction")
        # The log's index counts within the block.
        index = found.index - sum(len(r.logs) for r in proven.receipts[: receipt.position])
        if not 0 <= index < len(receipt.logs) or receipt.logs[index] != found.log:
            self._tell("chain_lies", f"an event of block {found.block}")
            raise UnavailableError("chain_lies", f"block {found.block} has no such event")
        return proven.event(receipt, index)

    # -- accounts, fees, sending ---------------------------------------------------------------

    async def balance(self, address: bytes) -> int:
        """In wei, by one address's word."""
        return await self._first(lambda rpc: rpc.balance(address))

    async def nonce(self, address: bytes, *, at: int | None = None) -> int:
        """Transactions of `address` so far; at a block number alike from enough addresses."""
        if at is None:
            return await self._first(lambda rpc: rpc.nonce(address, LATEST))
        found = await self._agreed(
            f"nonce at block {at}", lambda rpc: _present(rpc.nonce(address, at))
        )
        return found or 0

    async def fee(self) -> Fee | None:
        """What to offer now; None while the chain asks for more than the cap."""
        policy = self.config.fee
        if policy.mode == "zero":
            return FREE
        if policy.mode == "legacy":
            price = await self._first(lambda rpc: rpc.gas_price())
            return Fee(price) if price <= policy.cap else None
        base = (await self._first(_newest)).base_fee
        if base + policy.tip > policy.cap:
            return None
        return Fee(min(policy.cap, 2 * base + policy.tip), policy.tip)

    async def send(self, raw: bytes) -> Sending:
        """Send to every address: whoever drops it, another has it. The best word counts."""
        said = await self._all(lambda rpc: rpc.send(raw))
        if not said:
            raise UnavailableError("chain_unreachable", "no address of the chain answers")
        return min(said, key=lambda item: _RANK.get(item.kind, len(_RANK)))


_RANK: Final[Mapping[str, int]] = {"taken": 0, "cheap": 1, "poor": 2, "spent": 3}


async def _newest(rpc: Rpc) -> Block:
    found = await rpc.block(LATEST)
    if found is None:
        raise UnavailableError("chain_answer_unusable", "there is no newest block")
    return found


async def _present(call: Awaitable[T]) -> T | None:
    return await call


async def _hashed(block: Block, *, qbft: bool) -> Block:
    return block.checked(qbft=qbft)


async def _checked(made: ProvenBlock) -> ProvenBlock:
    return await asyncio.to_thread(made.checked)


def _log_key(found: FoundLog) -> tuple[object, ...]:
    log = found.log
    place = (found.block, found.block_hash, found.transaction, found.index)
    return (*place, log.address, log.topics, log.data)


def shown(url: str) -> str:
    """Scheme and host: paths and queries of RPC addresses are often secrets."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
