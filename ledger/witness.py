"""The witness, C2SP tlog-witness: one atomic step from the old state to a cosignature.

`add_checkpoint` runs inside one writing transaction: it compares with the state, moves it and
cosigns; the answer leaves only after the commit, so no state that was vouched for is ever lost or
rolled back by a slower request. What cannot be cosigned is a value, not an exception, because a
fork that it proves must be kept in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ledger.tables import witness_states
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log.checkpoint import Checkpoint, SignedCheckpoint
from protocols.log.note import Sign, Signature, VerifierKey
from protocols.log.witness_protocol import AddCheckpoint
from schemas.errors import ForbiddenError, MalformedError, RefusedError, TradeError


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A cosigning key (type 0x04 or 0x06) and its private half.

    second: the same witness's ML-DSA-44 key, when its line is wanted too
    """

    key: VerifierKey
    sign: Sign
    second: Cosigner | None = None

    def lines(self, body: str, time: int) -> tuple[Signature, ...]:
        """The lines over a checkpoint text at `time` (POSIX seconds)."""
        line = cosignature.sign(body, time, self.key, self.sign)
        return (line, *(self.second.lines(body, time) if self.second else ()))


@dataclass(frozen=True, slots=True)
class HeldState:
    """The last checkpoint cosigned for a log; `note` has the log's and our signature."""

    origin: str
    size: int
    root: bytes
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What came of a request.

    cosignature: the line to answer with (200); second: those to add to it
    old_size:    the size to answer with (409), when the caller's idea of our state was wrong
    refusal:     the problem to answer with (400, 403, 422)
    forked_with: our held note, when it and the submitted one may prove a fork
    """

    cosignature: Signature | None = None
    old_size: int | None = None
    refusal: TradeError | None = None
    forked_with: str | None = None
    second: tuple[Signature, ...] = ()


def state(conn: Connection, origin: str, *, lock: bool = False) -> HeldState | None:
    """What is held of a log; `lock` holds the row until the end of a writing transaction."""
    query = select(witness_states).where(witness_states.c.origin == origin)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else HeldState(row[0], row[1], bytes(row[2]), row[3], row[4])


def states(conn: Connection) -> list[HeldState]:
    """What is held of all logs."""
    rows = conn.execute(select(witness_states).order_by(witness_states.c.origin))
    return [HeldState(row[0], row[1], bytes(row[2]), row[3], row[4]) for row in rows]


def add_checkpoint(
    conn: Connection,
    request: AddCheckpoint,
    log_key: VerifierKey,
    cosigner: Cosigner,
    now_ms: int,
    *,
    origin: str | None = None,
) -> WitnessAnswer:
    """Cosign the submitted checkpoint if it extends the held one. Steps as in tlog-witness.

    origin: of the log that `log_key` is trusted for, when that is not the key's name
    """
    try:
        opened = checkpoint.open_checkpoint(request.checkpoint, log_key, origin=origin)
    except (MalformedError, RefusedError) as error:
        return WitnessAnswer(refusal=_bad_signature(error))
    head = opened.checkpoint
    if request.old > head.size:
        return WitnessAnswer(
            refusal=MalformedError("witness_old_size_too_large", "old size beyond the checkpoint")
        )
    held = state(conn, head.origin, lock=True)
    if request.old != (held.size if held else 0):
        return _conflict(held, head)
    refusal = _inconsistent(request, held, head)
    if refusal is not None:
        return WitnessAnswer(refusal=refusal, forked_with=held.note if held else None)
    line, *second = _cosign(conn, opened, log_key, cosigner, now_ms)
    return WitnessAnswer(cosignature=line, second=tuple(second))


def _bad_signature(error: TradeError) -> TradeError:
    """A text that is no checkpoint is 400; one without a verifying signature of the log is 403."""
    if error.code == "checkpoint_malformed":
        return error
    return ForbiddenError("witness_bad_signature", "invalid signature: " + error.detail)


def _conflict(held: HeldState | None, head: Checkpoint) -> WitnessAnswer:
    size = held.size if held else 0
    forked = held is not None and head.size == held.size and head.root != held.root
    return WitnessAnswer(old_size=size, forked_with=held.note if held and forked else None)


def _inconsistent(
    request: AddCheckpoint, held: HeldState | None, head: Checkpoint
) -> RefusedError | None:
    code = "witness_inconsistent"
    if head.size == 0 and head.root != merkle.EMPTY_ROOT:
        return RefusedError(code, "the empty tree has another root")
    if held is None or held.size == 0:
        return RefusedError(code, "no consistency proof from size 0") if request.proof else None
    try:
        merkle.verify_consistency(held.size, head.size, held.root, head.root, request.proof)
    except RefusedError as error:
        return RefusedError(code, f"consistency proof: {error.detail}")
    return None


def _cosign(
    conn: Connection,
    opened: SignedCheckpoint,
    log_key: VerifierKey,
    cosigner: Cosigner,
    now_ms: int,
) -> tuple[Signature, ...]:
    lines = cosigner.lines(opened.note.text, now_ms // 1000)
    # Lines of strangers are not kept: the state is the log's word and ours only.
    own = [item for item in opened.note.signatures if item.names(log_key)]
    text = note.Note(opened.note.text, ()).with_signatures([*own, *lines]).to_text()
    put_state(conn, opened.checkpoint, text, now_ms)
    return lines


def put_state(conn: Connection, head: Checkpoint, text: str, now_ms: int) -> None:
    """Hold this checkpoint for its log from now on."""
    values = {"size": head.size, "root": head.root, "note": text, "at": now_ms}
    mine = witness_states.c.origin == head.origin
    if conn.execute(update(witness_states).where(mine).values(**values)).rowcount == 0:
        conn.execute(insert(witness_states).values(origin=head.origin, **values))


def adopt(conn: Connection, head: Checkpoint, text: str, now_ms: int) -> bool:
    """Take over a larger state that another witness of the log confirmed (R15).

    After a restore from an old copy the lost state may not be cosigned behind; whoever is ahead
    shows how far the log was. False when ours is as large.
    """
    held = state(conn, head.origin, lock=True)
    if held is not None and held.size >= head.size:
        return False
    put_state(conn, head, text, now_ms)
    return True
