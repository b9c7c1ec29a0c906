"""The nonce journal: every transaction of the node's relayer keys, before it is ever sent.

Synchronous functions over a passed connection. `put` runs in the transaction of whatever the call
is for, so both commit or neither does; each row owns its nonce for good. What is sent are only
stored bytes, so a crash, a lost answer or a reorg is met by sending them again.

    queued → submitted ⇄ included → final | failed     (failed: included for good, but reverted)
    submitted → lost                                    (its nonce went to a transaction not ours)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, func, insert, select, update

from ledger.chain_tables import accounts, attempts, transactions
from protocols.evm.transaction import Fee, SignedTransaction

QUEUED: Final = "queued"
SUBMITTED: Final = "submitted"
INCLUDED: Final = "included"
FINAL: Final = "final"
FAILED: Final = "failed"
LOST: Final = "lost"
OPEN: Final = (QUEUED, SUBMITTED, INCLUDED)


@dataclass(frozen=True, slots=True)
class Account:
    """One relayer key on one chain."""

    chain_id: int
    sender: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """What a transaction is to do.

    purpose:   which part of the node is told how it went (`anchor`, `title` …)
    reference: 32 bytes that say what it is for, in that part's terms
    to:        the contract, or None to create one from `data`
    gas:       the limit
    """

    purpose: str
    reference: bytes
    to: bytes | None
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal; `hash`, `block`, `block_hash` and `gas_used` once it is included."""

    account: Account
    nonce: int
    job: Job
    state: str
    made_at: int
    hash: bytes | None
    block: int | None
    block_hash: bytes | None
    gas_used: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes for a nonce; at: when they were made, ms UTC."""

    number: int
    hash: bytes
    raw: bytes
    fee: Fee
    at: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where an attempt stands."""

    hash: bytes
    block: int
    block_hash: bytes
    gas_used: int


def settle_nonce(conn: Connection, account: Account, on_chain: int) -> int:
    """The next nonce, never below the one that the chain expects; called when the chain is met.

    After a restore from an old copy the chain is ahead: what it has seen is not used again.
    """
    held = _next(conn, account)
    if held is None:
        conn.execute(insert(accounts).values(**_key(account), next_nonce=on_chain))
        return on_chain
    if on_chain > held:
        conn.execute(_of(update(accounts), accounts, account).values(next_nonce=on_chain))
    return max(held, on_chain)


def _next(conn: Connection, account: Account) -> int | None:
    found = conn.execute(_of(select(accounts.c.next_nonce), accounts, account)).scalar_one_or_none()
    return None if found is None else int(found)


def put(conn: Connection, account: Account, job: Job, now_ms: int) -> int:
    """Queue a job in the caller's transaction; the nonce that is now its own."""
    taken = _of(update(accounts), accounts, account).values(next_nonce=accounts.c.next_nonce + 1)
    following = conn.execute(taken.returning(accounts.c.next_nonce)).scalar_one_or_none()
    if following is None:
        # The chain was never met: it begins at zero and is corrected by `settle_nonce` and `LOST`.
        conn.execute(insert(accounts).values(**_key(account), next_nonce=1))
        following = 1
    nonce = int(following) - 1
    conn.execute(
        insert(transactions).values(
            **_key(account),
            nonce=nonce,
            purpose=job.purpose,
            reference=job.reference,
            recipient=job.to,
            data=job.data,
            gas=job.gas,
            state=QUEUED,
            made_at=now_ms,
        )
    )
    return nonce


def pending(conn: Connection, account: Account, limit: int) -> list[Entry]:
    """What is not final yet, in the order of nonces."""
    return _entries(conn, account, transactions.c.state.in_(OPEN), limit)


def find(conn: Connection, account: Account, nonce: int) -> Entry | None:
    """The row of a nonce."""
    found = _entries(conn, account, transactions.c.nonce == nonce, 1)
    return found[0] if found else None


def of_reference(conn: Connection, purpose: str, reference: bytes) -> list[Entry]:
    """The rows for one thing, oldest first; more than one where a nonce was lost."""
    query = _select().where(
        transactions.c.purpose == purpose, transactions.c.reference == reference
    )
    return [_entry(row) for row in conn.execute(query.order_by(transactions.c.made_at))]


def _select() -> Any:
    return select(transactions)


def _entries(
    conn: Connection, account: Account, where: ColumnElement[bool], limit: int
) -> list[Entry]:
    query = _of(_select(), transactions, account).where(where)
    return [_entry(row) for row in conn.execute(query.order_by(transactions.c.nonce).limit(limit))]


def _entry(row: Any) -> Entry:
    job = Job(row.purpose, bytes(row.reference), _maybe(row.recipient), bytes(row.data), row.gas)
    return Entry(
        account=Account(row.chain_id, bytes(row.sender)),
        nonce=row.nonce,
        job=job,
        state=row.state,
        made_at=row.made_at,
        hash=_maybe(row.hash),
        block=row.block,
        block_hash=_maybe(row.block_hash),
        gas_used=row.gas_used,
    )


def _maybe(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def attempts_of(conn: Connection, account: Account, nonce: int) -> list[Attempt]:
    """All signed bytes for a nonce, the oldest first."""
    query = _of(select(attempts), attempts, account).where(attempts.c.nonce == nonce)
    return [
        Attempt(
            number=row.number,
            hash=bytes(row.hash),
            raw=bytes(row.raw),
            fee=Fee(int(row.price), None if row.tip is None else int(row.tip)),
            at=row.at,
        )
        for row in conn.execute(query.order_by(attempts.c.number))
    ]


def add_attempt(
    conn: Connection, entry: Entry, signed: SignedTransaction, fee: Fee, now_ms: int
) -> None:
    """Keep bytes before they are sent for the first time."""
    mine = _of(select(func.count()).select_from(attempts), attempts, entry.account)
    number = conn.execute(mine.where(attempts.c.nonce == entry.nonce)).scalar_one()
    conn.execute(
        insert(attempts).values(
            **_key(entry.account),
            nonce=entry.nonce,
            number=number,
            hash=signed.hash,
            raw=signed.raw,
            price=str(fee.price),
            tip=None if fee.tip is None else str(fee.tip),
            at=now_ms,
        )
    )
    if entry.state == QUEUED:
        mark(conn, entry, SUBMITTED)


def mark(conn: Connection, entry: Entry, state: str, found: Inclusion | None = None) -> None:
    """Another state; `found` where it is included, None takes back what a reorg took back."""
    changed = _of(update(transactions), transactions, entry.account)
    conn.execute(
        changed.where(transactions.c.nonce == entry.nonce).values(
            state=state,
            hash=found.hash if found else None,
            block=found.block if found else None,
            block_hash=found.block_hash if found else None,
            gas_used=found.gas_used if found else None,
        )
    )


def counts(conn: Connection, account: Account) -> dict[str, int]:
    """State → number of transactions."""
    query = _of(select(transactions.c.state, func.count()), transactions, account)
    return {row[0]: row[1] for row in conn.execute(query.group_by(transactions.c.state))}


def _key(account: Account) -> dict[str, Any]:
    return {"chain_id": account.chain_id, "sender": account.sender}


def _of(statement: Any, table: Table, account: Account) -> Any:
    return statement.where(table.c.chain_id == account.chain_id, table.c.sender == account.sender)
