"""What a verified answer does to the outbox: receipts kept, refusals answered with voids (R9, R10).

Synchronous, in a transaction. A receipt counts only when it fits the chain that the peer has shown
us so far; one that contradicts another is evidence, raises an alarm and settles nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from node.exchange import outbox_rows
from node.exchange.peer_rows import keep_evidence
from node.exchange.tables import outbox, receipts_received
from node.store import events
from protocols import times
from protocols.exchange import control
from protocols.exchange.answer import Open, Settled
from protocols.exchange.manifest import VOID
from protocols.exchange.problems import Problem
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from protocols.exchange.control import Feedback
    from protocols.exchange.receipt import SignedReceipt


@dataclass(frozen=True, slots=True)
class Settling:
    """One settlement: whose answer, when (ms), when to try an open message again, how to void.

    later: how often it was tried → ms at which it is tried again
    void:  (connection, outbox row, reason) queues the void of that row's place
    """

    peer: str
    now: int
    later: Callable[[int], int]
    void: Callable[[Connection, Any, str], None]


def settle(conn: Connection, settling: Settling, outcomes: Sequence[Settled | Open]) -> None:
    """Writes what is known now about each message."""
    proven = [one for one in outcomes if isinstance(one, Settled)]
    unknown = [one for one in outcomes if isinstance(one, Open)]
    bad = _keep_receipts(conn, settling, proven)
    good = [one for one in proven if one.signed.receipt.seq not in bad]
    unknown += [
        Open(one.sent, bad[one.signed.receipt.seq], "the receipt contradicts another")
        for one in proven
        if one.signed.receipt.seq in bad
    ]
    known = outbox_rows.rows(conn, [one.sent.id for one in outcomes])
    outbox_rows.write_receipts(conn, good, settling.now)
    for one in good:
        if (row := known.get(one.sent.id)) is not None:
            _tell(conn, settling, row, one)
    _postpone(conn, settling, unknown, known)


def _keep_receipts(
    conn: Connection, settling: Settling, proven: Sequence[Settled]
) -> dict[int, str]:
    """Stores new receipts; seq → code of those that contradict what we hold."""
    bad: dict[int, str] = {}
    for signed in {one.signed.text: one.signed for one in proven}.values():
        code = _keep_receipt(conn, settling, signed)
        if code is not None:
            bad[signed.receipt.seq] = code
            keep_evidence(conn, settling.peer, code, signed.digest, signed.text, settling.now)
    return bad


def _keep_receipt(conn: Connection, settling: Settling, signed: SignedReceipt) -> str | None:
    seq = signed.receipt.seq
    near = {
        row.seq: row
        for row in conn.execute(
            select(receipts_received).where(
                receipts_received.c.peer == settling.peer,
                receipts_received.c.seq.in_((seq - 1, seq, seq + 1)),
            )
        )
    }
    if seq in near:
        return None if bytes(near[seq].digest) == signed.digest else "receipt_fork"
    before, following = near.get(seq - 1), near.get(seq + 1)
    if before is not None and bytes(before.digest) != signed.receipt.prev:
        return "receipt_chain_broken"
    if following is not None and bytes(following.prev or b"") != signed.digest:
        return "receipt_chain_broken"
    conn.execute(
        insert(receipts_received).values(
            peer=settling.peer,
            seq=seq,
            digest=signed.digest,
            prev=signed.receipt.prev,
            at=times.to_ms(signed.receipt.at),
            receipt=signed.text,
        )
    )
    return None


def _tell(conn: Connection, settling: Settling, row: Any, one: Settled) -> None:
    if row.state not in (outbox_rows.QUEUED, outbox_rows.EXPIRED):
        return  # the same answer again
    item = one.proof.item
    if item.accepted:
        if row.document is not None:
            _event(conn, settling, row, "receipted", {"state": item.state.value})
        return
    _event(conn, settling, row, "refused", {"code": item.code, "level": "stored"})
    if row.type == VOID:
        _voided_in_vain(conn, row, item.code)
    elif row.stream is not None and row.state == outbox_rows.QUEUED:
        settling.void(conn, row, item.code or "rejected")


def _voided_in_vain(conn: Connection, row: Any, code: str | None) -> None:
    """The peer has the message that we gave up: it is sent again, which brings its receipt."""
    if code == Problem.NOT_A_GAP.value:
        try:
            void = control.read_void(outbox_rows.body(conn, row.id))
        except TradeError:
            return
        outbox_rows.requeue(conn, void.id, code)


def _event(
    conn: Connection, settling: Settling, row: Any, kind: str, detail: dict[str, Any]
) -> None:
    events.record(
        conn,
        kind=kind,
        at=settling.now,
        document=None if row.document is None else bytes(row.document),
        consignment=row.stream,
        actor=settling.peer,
        detail={"message": row.id, **detail},
    )


def _postpone(
    conn: Connection, settling: Settling, unknown: Sequence[Open], known: dict[str, Any]
) -> None:
    later = []
    for one in unknown:
        row = known.get(one.sent.id)
        if row is None:
            continue
        later.append((one.sent.id, settling.later(row.attempts + 1), one.code))
        if one.suspicious and row.code != one.code:
            detail = {"code": one.code, "reason": one.suspicious, "area": "exchange"}
            _event(conn, settling, row, "alarm", detail)
    outbox_rows.postpone(conn, later)


def note_feedback(conn: Connection, sender: str, level: str, feedback: Feedback, now: int) -> None:
    """Writes what the recipient said about a message of ours (levels two and three)."""
    if level == "validated":
        values: dict[str, Any] = {"validated": feedback.outcome}
    else:
        values = {"decided": feedback.outcome, "decided_code": feedback.code}
    row = conn.execute(
        update(outbox)
        .where(
            outbox.c.id == feedback.message,
            outbox.c.peer == sender,
            outbox.c.digest == feedback.digest,
        )
        .values(**values)
        .returning(outbox.c.document, outbox.c.stream)
    ).one_or_none()
    if row is None:
        return  # feedback on something we did not send changes nothing
    detail: dict[str, Any] = {
        "message": feedback.message,
        "outcome": feedback.outcome,
        "code": feedback.code,
    }
    events.record(
        conn,
        kind=level,
        at=now,
        document=None if row.document is None else bytes(row.document),
        consignment=row.stream,
        actor=sender,
        detail=detail | {"from": "peer"},
    )
