"""The sequencer of a title registry: one batch at a time, each operation accepted or refused alone.

`sequence` runs inside one writing transaction: operations are executed in the order in which they
were handed in, accepted ones become entries of the registry's own log with the state root behind
them, refused ones get a signed refusal that names the winner. There is exactly one sequencer; it
has no automatic fail-over (R21). What it accepted becomes final when a quorum of witnesses has
re-executed the batch and cosigned the checkpoint over it (R22); nothing before that is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger import log as leaves
from ledger import registry_store as stored
from ledger.log import AppendedLeaf
from protocols import times
from protocols.title.operation import (
    Refusal,
    SignedOperation,
    read_operation,
    sign_refusal,
)
from protocols.title.registry import MAX_OPERATIONS, Execution, Registry, open_batch, restate
from schemas.errors import TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from protocols.keys import Signer
    from protocols.member_list import MemberList

#: Refusals that bind: signed, kept, and given again for ever. All others may turn out otherwise
#: later (a key gets listed, an operation arrives that this one builds on, an offer expires).
BINDING = frozenset(
    {
        "title_seq_conflict",
        "title_exists",
        "title_ended",
        "title_state_forbids",
        "title_not_possessor",
        "title_not_holder",
        "title_not_issuer",
        "title_not_recipient",
        "title_bad_recipient",
        "title_not_negotiable",
        "title_operation_expired",
        "title_offer_expired",
        "title_offer_other_entry",
        "title_ending_mismatch",
        "title_manifest_reused",
        "title_already_replaced",
    }
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation that was handed in.

    batch:   the batch that accepted it; final once that batch is
    refusal: the signed refusal, when it lost for good
    error:   any other reason; nothing is decided by it
    """

    batch: int | None = None
    refusal: str | None = None
    error: TradeError | None = None


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one transaction did: an outcome per operation in order, and the batch, if one was."""

    outcomes: tuple[Outcome, ...]
    registry: Registry | None = None
    leaves: tuple[AppendedLeaf, ...] = ()


@dataclass(frozen=True, slots=True)
class Sequencer:
    """How this registry is sequenced: the name of its log here, and who signs refusals."""

    log: str
    refuser: Signer

    def sequence(
        self,
        conn: Connection,
        base: Registry,
        texts: Sequence[str],
        members: MemberList,
        now_ms: int,
    ) -> Sequenced:
        """Execute up to `MAX_OPERATIONS` operations on top of `base`, in this transaction.

        The caller puts the returned registry in force only after the commit. Raises RefusedError
        `registry_members_stale` when titles may not move at all.
        """
        batch = open_batch(base, members, now_ms)
        run = Execution(base, batch, members, lambda title: stored.state_of(conn, self.log, title))
        outcomes = tuple(self._one(conn, run, text) for text in texts[:MAX_OPERATIONS])
        if not run.applied:
            return Sequenced(outcomes)
        return self._close(conn, base, run, now_ms, outcomes)

    def _close(
        self,
        conn: Connection,
        base: Registry,
        run: Execution,
        now_ms: int,
        outcomes: tuple[Outcome, ...] = (),
    ) -> Sequenced:
        added = leaves.append_all(conn, run.entries(), now_ms, log=self.log)
        step = run.step()
        stored.put_step(conn, self.log, base, step)
        return Sequenced(outcomes, step.registry, tuple(added))

    def restate(
        self, conn: Connection, base: Registry, members: MemberList, now_ms: int
    ) -> Sequenced:
        """Take back the last batch and judge its operations at `now_ms` (see `registry_dating`).

        Operations that no longer hold get a signed refusal. Raises RefusedError
        `registry_members_stale`.
        """
        moment = open_batch(base, members, now_ms, restates=True)
        run = restate(base, moment, members, lambda title: stored.state_of(conn, self.log, title))
        done = self._close(conn, base, run, now_ms)
        for signed, error in run.voided:
            if error.code in BINDING and self.known(conn, signed.operation.digest) is None:
                self._refused(conn, run, signed, error)
        return done

    def _one(self, conn: Connection, run: Execution, text: str) -> Outcome:
        try:
            signed = read_operation(text)
        except TradeError as error:
            return Outcome(error=error)
        known = self.known(conn, signed.operation.digest) or _in(run, signed)
        if known is not None:
            return known
        try:
            run.apply(text)
        except TradeError as error:
            return self._refused(conn, run, signed, error)
        return Outcome(batch=run.batch.number)

    def known(self, conn: Connection, digest: bytes) -> Outcome | None:
        """What became of that operation before."""
        accepted = stored.by_digest(conn, self.log, digest)
        if accepted is not None:
            return Outcome(batch=accepted.batch)
        refused = stored.refusal(conn, self.log, digest)
        return None if refused is None else Outcome(refusal=refused)

    def _refused(
        self, conn: Connection, run: Execution, signed: SignedOperation, error: TradeError
    ) -> Outcome:
        if error.code not in BINDING:
            return Outcome(error=error)
        operation = signed.operation
        state = run.state_of(operation.title)
        refusal = Refusal(
            network=operation.network,
            arbiter=operation.arbiter,
            title=operation.title,
            operation=operation.digest,
            code=error.code,
            seq=state.seq if state else 0,
            at=times.from_ms(run.batch.at_ms),
            winner=self._winner(conn, run, signed),
        )
        text = sign_refusal(refusal, self.refuser)
        stored.put_refusal(conn, self.log, operation.digest, text, run.batch.at_ms)
        return Outcome(refusal=text)

    def _winner(self, conn: Connection, run: Execution, signed: SignedOperation) -> bytes | None:
        title, seq = signed.operation.title, signed.operation.seq
        for done in run.applied:
            if (done.state.title, done.signed.operation.seq) == (title, seq):
                return done.signed.operation.digest
        return stored.winner(conn, self.log, title, seq)


def _in(run: Execution, signed: SignedOperation) -> Outcome | None:
    """The same operation, handed in twice within one batch."""
    digests = (done.signed.operation.digest for done in run.applied)
    return Outcome(batch=run.batch.number) if signed.operation.digest in digests else None


def whole_batches(sizes: Iterable[int], start: int, limit: int) -> int | None:
    """The largest of `sizes` that is above `start` by at most `limit`, else the next one."""
    above = sorted(size for size in sizes if size > start)
    if not above:
        return None
    return max((size for size in above if size - start <= limit), default=above[0])
