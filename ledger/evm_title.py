"""Store functions for title registries on chains: final moves, refusals, and batches under way.

Synchronous, over a passed connection. Rows follow from final blocks alone (R21), so reading a range
of blocks again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select, update

from ledger.chain_journal import FINAL, INCLUDED, QUEUED, SUBMITTED, of_reference
from ledger.evm_tables import followed, heads, moves, refusals, relays

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.chain_journal import Entry

PURPOSE: Final = "title"
#: The states of an operation, as people read them, by the state of its transaction.
STAGES: Final = {QUEUED: "signed", SUBMITTED: "relayed", INCLUDED: "included", FINAL: "included"}


@dataclass(frozen=True, slots=True)
class Move:
    """One applied operation where it stands for good; seq is the title's after it.

    index: of the log within the block; step: canonical JSON of the proven step, or None
    """

    title: bytes
    seq: int
    digest: bytes
    block: int
    block_hash: bytes
    transaction: bytes
    index: int
    step: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRefusal:
    """The chain's word that an operation did not hold."""

    code: str
    text: str


# -- following ---------------------------------------------------------------------------------


def followed_to(conn: Connection, arbiter: bytes) -> tuple[int, int] | None:
    """The last final block that was read and when (ms UTC); None before the first."""
    query = select(followed.c.block, followed.c.at).where(followed.c.arbiter == arbiter)
    row = conn.execute(query).one_or_none()
    return None if row is None else (int(row.block), int(row.at))


def follow(conn: Connection, arbiter: bytes, block: int, at: int) -> None:
    """All events up to `block` are stored."""
    values = {"block": block, "at": at}
    changed = conn.execute(update(followed).where(followed.c.arbiter == arbiter).values(values))
    if changed.rowcount == 0:
        conn.execute(insert(followed).values(arbiter=arbiter, **values))


def put_moves(conn: Connection, arbiter: bytes, found: Sequence[Move]) -> None:
    """Keep moves in the order of the chain; those that are known stay as they are."""
    for move in found:
        mine = (moves.c.arbiter == arbiter, moves.c.title == move.title)
        if conn.execute(select(moves.c.seq).where(*mine, moves.c.seq == move.seq)).first():
            continue
        conn.execute(
            insert(moves).values(
                arbiter=arbiter,
                title=move.title,
                seq=move.seq,
                digest=move.digest,
                block=move.block,
                block_hash=move.block_hash,
                transaction_hash=move.transaction,
                log_index=move.index,
            )
        )
        _head(conn, arbiter, move)


def _head(conn: Connection, arbiter: bytes, move: Move) -> None:
    mine = (heads.c.arbiter == arbiter, heads.c.title == move.title)
    changed = update(heads).where(*mine, heads.c.seq < move.seq).values(seq=move.seq)
    known = conn.execute(select(heads.c.seq).where(*mine)).first()
    if known is None:
        row = {"arbiter": arbiter, "title": move.title, "seq": move.seq, "learned": 0}
        conn.execute(insert(heads).values(row))
    else:
        conn.execute(changed)


_MOVE = (
    moves.c.title,
    moves.c.seq,
    moves.c.digest,
    moves.c.block,
    moves.c.block_hash,
    moves.c.transaction_hash,
    moves.c.log_index,
    moves.c.step,
)


def _move(row: Any) -> Move:
    return Move(
        title=bytes(row.title),
        seq=row.seq,
        digest=bytes(row.digest),
        block=row.block,
        block_hash=bytes(row.block_hash),
        transaction=bytes(row.transaction_hash),
        index=row.log_index,
        step=row.step,
    )


def moves_of(conn: Connection, arbiter: bytes, title: bytes) -> list[Move]:
    """All moves of a title, first to last."""
    query = select(*_MOVE).where(moves.c.arbiter == arbiter, moves.c.title == title)
    return [_move(row) for row in conn.execute(query.order_by(moves.c.seq))]


def move_of(conn: Connection, digest: bytes) -> Move | None:
    """Where an operation was applied, if it was."""
    row = conn.execute(select(*_MOVE).where(moves.c.digest == digest)).first()
    return None if row is None else _move(row)


def last_move(conn: Connection, arbiter: bytes, title: bytes) -> Move | None:
    """The newest move of a title."""
    query = select(*_MOVE).where(moves.c.arbiter == arbiter, moves.c.title == title)
    row = conn.execute(query.order_by(moves.c.seq.desc()).limit(1)).first()
    return None if row is None else _move(row)


def forget_after(conn: Connection, arbiter: bytes, block: int) -> None:
    """Forget what was read of later blocks: the arbiter ended there (R21)."""
    later = (moves.c.arbiter == arbiter, moves.c.block > block)
    touched = set(conn.execute(select(moves.c.title).where(*later)).scalars())
    conn.execute(delete(moves).where(*later))
    for title in touched:
        mine = (heads.c.arbiter == arbiter, heads.c.title == title)
        last = last_move(conn, arbiter, bytes(title))
        if last is None:
            conn.execute(delete(heads).where(*mine))
        else:
            conn.execute(update(heads).where(*mine).values(seq=last.seq, learned=0))
    read = (followed.c.arbiter == arbiter, followed.c.block > block)
    conn.execute(update(followed).where(*read).values(block=block))


def put_step(conn: Connection, arbiter: bytes, move: Move, step: str) -> None:
    """Keep the proven step of a move."""
    mine = (moves.c.arbiter == arbiter, moves.c.title == move.title, moves.c.seq == move.seq)
    conn.execute(update(moves).where(*mine).values(step=step))


def behind(conn: Connection, arbiter: bytes, among: Any, limit: int) -> list[bytes]:
    """Titles among a select of titles whose newest move was not learned yet."""
    query = (
        select(heads.c.title)
        .where(heads.c.arbiter == arbiter, heads.c.seq > heads.c.learned, heads.c.title.in_(among))
        .order_by(heads.c.title)
        .limit(limit)
    )
    return [bytes(title) for title in conn.execute(query).scalars()]


def learned(conn: Connection, arbiter: bytes, title: bytes, seq: int) -> None:
    """The node's own row of that title has that seq, which no end of the arbiter took back."""
    mine = (heads.c.arbiter == arbiter, heads.c.title == title)
    stands = (heads.c.learned < seq, heads.c.seq >= seq)
    conn.execute(update(heads).where(*mine, *stands).values(learned=seq))


def newest_seqs(conn: Connection, arbiter: bytes) -> dict[bytes, int]:
    """Title → seq of every title that ever moved there; for checks."""
    query = select(moves.c.title, func.max(moves.c.seq)).where(moves.c.arbiter == arbiter)
    return {bytes(title): seq for title, seq in conn.execute(query.group_by(moves.c.title))}


# -- refusals ----------------------------------------------------------------------------------


def put_refusal(conn: Connection, digest: bytes, code: str, text: str) -> None:
    """Keep the first refusal of an operation of ours."""
    if refusal(conn, digest) is None:
        conn.execute(insert(refusals).values(digest=digest, code=code, text=text))


def refusal(conn: Connection, digest: bytes) -> StoredRefusal | None:
    """The refusal of an operation of ours."""
    query = select(refusals.c.code, refusals.c.text).where(refusals.c.digest == digest)
    row = conn.execute(query).one_or_none()
    return None if row is None else StoredRefusal(row.code, row.text)


def forget_refusal(conn: Connection, digest: bytes) -> None:
    """The operation is not decided: it may be relayed again, and be refused again."""
    conn.execute(delete(refusals).where(refusals.c.digest == digest))
    forget_relay(conn, digest)


# -- relaying ----------------------------------------------------------------------------------


def put_relay(
    conn: Connection, arbiter: bytes, reference: bytes, digests: Sequence[bytes], now_ms: int
) -> None:
    """These operations go in one batch; `reference` names it in the nonce journal."""
    for digest in digests:
        forget_relay(conn, digest)
        row = {"digest": digest, "arbiter": arbiter, "reference": reference, "at": now_ms}
        conn.execute(insert(relays).values(row))


def forget_relay(conn: Connection, digest: bytes) -> None:
    """The operation may be relayed again."""
    conn.execute(delete(relays).where(relays.c.digest == digest))


def forget_batch(conn: Connection, reference: bytes) -> None:
    """The batch's transaction failed as a whole: each of its operations may be relayed again."""
    conn.execute(delete(relays).where(relays.c.reference == reference))


def is_relayed(conn: Connection, digest: bytes) -> bool:
    """Whether the operation is in a batch of ours that did not fail."""
    return (
        conn.execute(select(relays.c.digest).where(relays.c.digest == digest)).first() is not None
    )


def transaction_of(conn: Connection, digest: bytes) -> Entry | None:
    """The newest transaction that carries an operation which this node relays."""
    query = select(relays.c.reference).where(relays.c.digest == digest)
    reference = conn.execute(query).scalar_one_or_none()
    if reference is None:
        return None
    found = of_reference(conn, PURPOSE, bytes(reference))
    return found[-1] if found else None
