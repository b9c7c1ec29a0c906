"""Transactions of one relayer key, from the journal to finality.

`turn` does what there is to do: signs what is queued (the bytes are durable before they are sent),
looks where each transaction stands, sends again what is in no block, replaces what is stuck with
the same nonce and 12.5 % more, and marks final only what is proven to lie in a final block. A
reorg takes a receipt away and lets the nonce fall back: then the same bytes are sent again.

Whoever queued a job hears of it by its purpose, inside the transaction that marks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from ledger import chain_journal as journal
from ledger.chain_client import Alarm, ChainClient
from ledger.chain_journal import Account, Attempt, Entry, Inclusion, Job
from protocols.evm.transaction import Fee, Transaction, sign
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.chain_values import ProvenBlock, Receipt
    from protocols.evm.keys import EvmSigner

T = TypeVar("T")
AT_ONCE: Final = 64
"""Transactions looked after in one turn; the next follow as these become final."""
MAX_ATTEMPTS: Final = 40


class JobStore(Protocol):
    """The node's store: functions over a connection, `write` in one transaction."""

    async def read(self, job: Callable[..., T], *args: object) -> T: ...
    async def write(self, job: Callable[..., T], *args: object) -> T: ...


@dataclass(frozen=True, slots=True)
class News:
    """What became of a job.

    entry:   its row, in its new state: included, submitted (a reorg took it back), final, failed,
             or lost (the job is queued again under another nonce)
    receipt: where it is included; proven only when final or failed
    proven:  the block with its receipts, when final or failed
    """

    entry: Entry
    receipt: Receipt | None = None
    proven: ProvenBlock | None = None


Listener: TypeAlias = "Callable[[Connection, News], None]"


class Relayer:
    """One key on one chain."""

    def __init__(
        self,
        client: ChainClient,
        signer: EvmSigner,
        store: JobStore,
        now_ms: Callable[[], int],
        *,
        alarm: Callable[[Alarm], None] = lambda _: None,
    ) -> None:
        """Nothing happens before `turn`."""
        self.client = client
        self.account = Account(client.config.chain_id, signer.address)
        self._signer = signer
        self._store = store
        self._now_ms = now_ms
        self._alarm = alarm
        self._listeners: dict[str, Listener] = {}
        self._settled = False
        self._held_back = ""

    def on(self, purpose: str, listener: Listener) -> None:
        """`listener` hears of every job of that purpose, inside the marking transaction."""
        self._listeners[purpose] = listener

    def put(self, conn: Connection, job: Job, now_ms: int) -> int:
        """Queue a job inside the caller's transaction; its nonce."""
        return journal.put(conn, self.account, job, now_ms)

    async def submit(self, job: Job) -> int:
        """Queue a job in a transaction of its own; its nonce."""
        return await self._store.write(self.put, job, self._now_ms())

    @property
    def held_back(self) -> str:
        """Why nothing is sent just now, or nothing."""
        return self._held_back

    # -- one turn ------------------------------------------------------------------------------

    async def turn(self) -> int:
        """Do what can be done now; how many jobs are still open. Raises UnavailableError."""
        await self._settle()
        entries = await self._store.read(journal.pending, self.account, AT_ONCE)
        if not entries:
            self._held_back = ""
            return 0
        await self._look(entries)
        entries = await self._store.read(journal.pending, self.account, AT_ONCE)
        for entry in entries:
            if entry.state != journal.INCLUDED and not await self._push(entry):
                break  # a later nonce cannot come before it
        return len(entries)

    async def _settle(self) -> None:
        if self._settled:
            return
        on_chain = await self.client.nonce(self.account.sender)
        await self._store.write(self._settle_in, on_chain)
        self._settled = True

    def _settle_in(self, conn: Connection, on_chain: int) -> None:
        journal.settle_nonce(conn, self.account, on_chain)
        for entry in journal.pending(conn, self.account, 10 * AT_ONCE):
            if entry.state == journal.QUEUED and entry.nonce < on_chain:
                self._again(conn, entry)

    # -- where it stands -----------------------------------------------------------------------

    async def _look(self, entries: Sequence[Entry]) -> None:
        sent = [entry for entry in entries if entry.state != journal.QUEUED]
        if not sent:
            return
        final = await self.client.final_number()
        for entry in sent:
            attempts = await self._store.read(journal.attempts_of, self.account, entry.nonce)
            seen = await self._seen(entry, attempts)
            settled = [receipt for receipt in seen if receipt.block <= final]
            if not seen:
                await self._missing(entry, final)
            elif settled:
                await self._conclude(entry, settled)
            else:
                await self._included(entry, seen[0])

    async def _seen(self, entry: Entry, attempts: Sequence[Attempt]) -> tuple[Receipt, ...]:
        """Of whichever attempt it was; a cheaper one can win over its replacement."""
        for attempt in sorted(attempts, key=lambda each: (each.hash != entry.hash, -each.number)):
            if found := await self.client.sightings(attempt.hash):
                return found
        return ()

    async def _included(self, entry: Entry, receipt: Receipt) -> None:
        if entry.state == journal.INCLUDED and entry.block_hash == receipt.block_hash:
            return
        await self._store.write(self._mark, entry, journal.INCLUDED, receipt, None)

    async def _conclude(self, entry: Entry, claimed: Sequence[Receipt]) -> None:
        """Final is what the proven block holds, not what a receipt says."""
        for receipt in claimed:
            proven = await self.client.prove(receipt.block, receipt.block_hash)
            found = proven.receipt(receipt.transaction) if proven else None
            if found is not None:
                state = journal.FINAL if found.succeeded else journal.FAILED
                await self._store.write(self._mark, entry, state, found, proven)
                return
        raise UnavailableError("chain_unconfirmed", "the receipts told lie in no final block")

    def _mark(
        self,
        conn: Connection,
        entry: Entry,
        state: str,
        receipt: Receipt | None,
        proven: ProvenBlock | None,
    ) -> None:
        found = None
        if receipt is not None:
            found = Inclusion(
                receipt.transaction, receipt.block, receipt.block_hash, receipt.gas_used
            )
        journal.mark(conn, entry, state, found)
        self._tell(conn, entry.nonce, receipt, proven)

    def _tell(
        self, conn: Connection, nonce: int, receipt: Receipt | None, proven: ProvenBlock | None
    ) -> None:
        entry = journal.find(conn, self.account, nonce)
        assert entry is not None
        listener = self._listeners.get(entry.job.purpose)
        if listener is not None:
            listener(conn, News(entry, receipt, proven))

    async def _missing(self, entry: Entry, final: int) -> None:
        """In no block: not yet, no longer, or its nonce went to something else for good."""
        if entry.nonce < await self._spent(final):
            self._alarm(Alarm("chain_nonce_taken", f"nonce {entry.nonce} of the relayer's key"))
            await self._store.write(self._again, entry)
        elif entry.state == journal.INCLUDED:
            await self._store.write(self._mark, entry, journal.SUBMITTED, None, None)

    async def _spent(self, final: int) -> int:
        """Nonces used up for good; none where servers have dropped that block's state."""
        try:
            return await self.client.nonce(self.account.sender, at=final)
        except UnavailableError:
            return 0

    def _again(self, conn: Connection, entry: Entry) -> None:
        journal.mark(conn, entry, journal.LOST)
        journal.put(conn, self.account, entry.job, self._now_ms())
        self._tell(conn, entry.nonce, None, None)

    # -- sending -------------------------------------------------------------------------------

    async def _push(self, entry: Entry) -> bool:
        """Send what is newest for this nonce; whether the next nonce may be sent, too."""
        attempts = await self._store.read(journal.attempts_of, self.account, entry.nonce)
        if not attempts:
            fee = await self.client.fee()
            if fee is None:
                return self._hold("chain_fee_over_cap", "the chain asks for more than the cap")
            return await self._send(await self._attempt(entry, fee))
        newest = attempts[-1]
        dearer = self._dearer(newest)
        if dearer is not None and len(attempts) < MAX_ATTEMPTS:
            newest = await self._attempt(entry, dearer)
        return await self._send(newest)

    def _dearer(self, attempt: Attempt) -> Fee | None:
        policy = self.client.config.fee
        if self._now_ms() - attempt.at < policy.stuck_after * 1000:
            return None
        fee = attempt.fee.bumped(policy.cap)
        if fee is None and attempt.fee.price:
            self._hold("chain_fee_over_cap", "a stuck transaction would cost more than the cap")
        return fee

    async def _attempt(self, entry: Entry, fee: Fee) -> Attempt:
        job = entry.job
        made = Transaction(self.account.chain_id, entry.nonce, job.to, job.data, job.gas, fee)
        signed = sign(made, self._signer)
        now = self._now_ms()
        await self._store.write(journal.add_attempt, entry, signed, fee, now)
        return Attempt(-1, signed.hash, signed.raw, fee, now)

    async def _send(self, attempt: Attempt) -> bool:
        said = await self.client.send(attempt.raw)
        if said.kind == "poor":
            return self._hold("chain_account_poor", "the relayer's account cannot pay")
        if said.kind in {"taken", "spent", "cheap"}:
            self._held_back = ""
            return True
        return self._hold("chain_send_refused", said.said)

    def _hold(self, code: str, detail: str) -> bool:
        if self._held_back != code:
            self._alarm(Alarm(code, detail))
        self._held_back = code
        return False
