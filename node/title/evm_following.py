"""Following title registries on a chain: what final blocks tell, into this node's own title rows.

Events are read block range by block range, only up to what is final (R21), and stored; titles that
concern this node are then proven, re-executed and learned like news of any registry. What the
contract itself says at the last block read must agree, or nothing is learned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ledger import evm_title, registry_freezes
from ledger.chain_client import MAX_RANGE
from ledger.evm_title import Move
from node.title import forms, partners, rows
from node.title.news import chain_news
from protocols.evm.calls import CONTROL, Moved, Refused, call, read_control, read_event
from protocols.evm.holder_keys import address_of
from protocols.evm.input import read_input
from protocols.evm.refusal import EvmRefusal
from protocols.evm.title_proof import EvmTitleProof, Step, of_known, read_step, step_text
from protocols.evm.title_text import read_text, to_text
from schemas.errors import MalformedError, NotFoundError, TradeError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.chain_client import ChainClient
    from ledger.chain_values import FoundLog
    from node.runtime import Node
    from node.title.following import Follower
    from node.title.news import TitleNews
    from protocols.members.arbiters import ArbiterEntry

RANGES_AT_ONCE: Final = 50
LEARN_AT_ONCE: Final = 100
AGAIN_SECONDS: Final = 30.0


class EvmFollower:
    """Reads one chain's registries for one node."""

    def __init__(self, node: Node, follower: Follower) -> None:
        """Reads nothing yet."""
        self._node = node
        self._follower = follower
        self._not_before: dict[bytes, float] = {}

    async def turn(self, entry: ArbiterEntry, client: ChainClient) -> bool:
        """Read on to the newest final block and learn; whether there is more to read.

        Raises UnavailableError when the chain does not answer.
        """
        final, more = await client.final_number(), False
        frozen = partners.freezes_of(self._node).get(entry.id)
        if frozen is not None:
            # What the roots ended counts up to that block and not further (R21).
            final = min(final, frozen.freeze.at)
        known = await self._node.store.read(evm_title.followed_to, entry.id)
        at = known[0] if known else entry.start - 1
        if frozen is not None and at > frozen.freeze.at:
            at = frozen.freeze.at
            await self._node.store.write(evm_title.forget_after, entry.id, at)
        for _ in range(RANGES_AT_ONCE):
            last = min(final, at + MAX_RANGE)
            more = last < final
            if last > at:
                await self._read(entry, client, at + 1, last)
            at = max(at, last)
            if not more:
                break
        # Also when nothing is new: that it was asked is what "as of" says.
        await self._node.store.write(self._mark, entry.id, at)
        await self._learn_all(entry, client)
        return more

    def _mark(self, conn: Connection, arbiter: bytes, block: int) -> None:
        evm_title.follow(conn, arbiter, block, self._node.clock.now_ms())
        frozen = registry_freezes.find(conn, arbiter)
        if frozen is not None:
            # It may have come in while these blocks were read.
            evm_title.forget_after(conn, arbiter, frozen.freeze.at)

    async def _read(self, entry: ArbiterEntry, client: ChainClient, first: int, last: int) -> None:
        logs = await client.final_logs(entry.contract, [], first, last)
        events = [(found, read_event(found.log)) for found in logs]
        moves = [_move(found, event) for found, event in events if isinstance(event, Moved)]
        refused = [(found, event) for found, event in events if isinstance(event, Refused)]
        told = await self._refusals(entry, client, refused)
        await self._node.store.write(self._keep, entry, moves, told, last)

    async def _refusals(
        self, entry: ArbiterEntry, client: ChainClient, found: Sequence[tuple[FoundLog, Refused]]
    ) -> list[EvmRefusal]:
        """Refusals of operations that were handed in here, with their proofs."""
        told = []
        for log, event in found:
            held = await self._node.store.read(rows.submission, event.digest)
            if held is None or held.status not in rows.OPEN:
                continue
            block = await client.block(log.block)
            proof = await client.prove_log(log)
            told.append(EvmRefusal(entry.id, event, block.time, proof))
        return told

    def _keep(
        self,
        conn: Connection,
        entry: ArbiterEntry,
        moves: Sequence[Move],
        refused: Sequence[EvmRefusal],
        last: int,
    ) -> None:
        evm_title.put_moves(conn, entry.id, moves)
        for each in refused:
            keep_refusal(conn, entry, each)
        self._mark(conn, entry.id, last)

    # -- learning ------------------------------------------------------------------------------

    async def _learn_all(self, entry: ArbiterEntry, client: ChainClient) -> None:
        behind = await self._node.store.read(
            evm_title.behind, entry.id, rows.known_titles(), LEARN_AT_ONCE
        )
        for title in behind:
            if time.monotonic() < self._not_before.get(title, 0.0):
                continue
            try:
                await self.learn(entry, client, title)
            except UnavailableError:
                raise
            except TradeError as error:
                if error.code == "arbiter_frozen":
                    continue  # what was read is forgotten by now: the next turn begins there
                # A peer may tell what the chain alone does not show.
                self._not_before[title] = time.monotonic() + AGAIN_SECONDS
                self._node.telemetry.log.warning("title.not_learned", code=error.code)

    async def learn(self, entry: ArbiterEntry, client: ChainClient, title: bytes) -> TitleNews:
        """Prove a title as far as final blocks tell it and keep that as its final state."""
        news = await self.news(entry, client, title)
        await self._node.store.write(self._learned, news)
        return news

    def _learned(self, conn: Connection, news: TitleNews) -> None:
        self._follower.learn(conn, news)
        evm_title.learned(conn, news.arbiter, news.state.title, news.state.seq)

    async def news(self, entry: ArbiterEntry, client: ChainClient, title: bytes) -> TitleNews:
        """The title's final state with its whole proof.

        Raises NotFoundError `title_never_issued`, UnavailableError.
        """
        moves = await self._node.store.read(evm_title.moves_of, entry.id, title)
        if not moves:
            raise NotFoundError("title_never_issued", "no final block tells of that title")
        steps = [await self._step(entry, client, move) for move in moves]
        members = partners.members_of(self._node)
        operations = [read_text(step.operation).operation for step in steps]
        keys = await self._node.store.read(forms.statements_naming, members, operations)
        proof = EvmTitleProof(entry.id, tuple(steps), keys)
        known, ended = (
            of_known([move.block_hash for move in moves]),
            partners.freezes_of(self._node),
        )
        news = chain_news(proof, members, known, ended)
        await self._compare(entry, client, news)
        return news

    async def _step(self, entry: ArbiterEntry, client: ChainClient, move: Move) -> Step:
        if move.step is not None:
            return read_step(move.step)
        text = await self._node.store.read(rows.text_of, move.title, move.digest)
        if text is None:
            text = await self._text(entry, client, move)
        proven = await client.prove(move.block, move.block_hash)
        receipt = proven.receipt(move.transaction) if proven else None
        if proven is None or receipt is None:
            raise UnavailableError("chain_lies", f"block {move.block} is another one now")
        index = move.index - sum(len(each.logs) for each in proven.receipts[: receipt.position])
        step = Step(text, proven.event(receipt, index))
        await self._node.store.write(evm_title.put_step, entry.id, move, step_text(step))
        return step

    async def _text(self, entry: ArbiterEntry, client: ChainClient, move: Move) -> str:
        """The signed operation out of the transaction that brought it."""
        data = await client.input(move.transaction)
        domain = entry.registry(partners.members_of(self._node).network).domain
        for signed in read_input(data or b""):
            if signed.operation.digest(domain) == move.digest:
                return to_text(signed)
        raise MalformedError("evm_input_malformed", "the transaction holds no such operation")

    async def _compare(self, entry: ArbiterEntry, client: ChainClient, news: TitleNews) -> None:
        """The contract at the last block read says the same, so no event was withheld."""
        known = await self._node.store.read(evm_title.followed_to, entry.id)
        assert known is not None
        asked = call(CONTROL, news.state.title)
        row = read_control(await client.call(entry.contract, asked, at=known[0]))
        state = news.state
        if (row.seq, row.head, row.state) != (state.seq, state.head, state.state):
            raise UnavailableError("chain_lies", f"the contract has {row.seq}, events {state.seq}")
        possessor = state.possessor if row.possessor else None
        if possessor is not None and address_of(possessor) != row.possessor:
            raise UnavailableError("chain_lies", "the contract has another possessor")


def _move(found: FoundLog, event: Moved) -> Move:
    return Move(
        title=event.title,
        seq=event.seq,
        digest=event.digest,
        block=found.block,
        block_hash=found.block_hash,
        transaction=found.transaction,
        index=found.index,
    )


#: Not decided: what the operation builds on may be on its way.
EARLY: Final = frozenset({"title_seq_ahead", "title_never_issued"})


def keep_refusal(conn: Connection, entry: ArbiterEntry, told: EvmRefusal) -> None:
    """Keep why an operation of ours was refused, unless it happened or may yet happen."""
    refused = told.refused
    if evm_title.move_of(conn, refused.digest) is not None:
        return  # handed in twice; once it counted
    if refused.code in EARLY:
        evm_title.forget_relay(conn, refused.digest)
        return
    held = rows.submission(conn, refused.digest)
    moves = evm_title.moves_of(conn, entry.id, refused.title)
    winner = next((m.digest for m in moves if held and m.seq == held.seq + 1), None)
    text = EvmRefusal(told.arbiter, refused, told.at, told.event, winner).to_text()
    evm_title.put_refusal(conn, refused.digest, refused.code, text)
