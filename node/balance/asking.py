"""Asking a certificate's register to reserve, write off or release, and taking its answers.

The question is a message: it is durable here before it is sent, and repeated until the register
has it. Until its signed answer is here the outcome is INDETERMINATE (R23): never a grant.
Messages `urn:pratique:balance` carry a request one way and a signed answer the other.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from node.balance import register, rows
from node.documents import documents
from node.store import events
from node.store.store import defer
from node.verification import judging
from protocols import balance
from protocols.balance import Action, Outcome, Quantity, Request
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.balance.rows import Asked
    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from protocols.balance import Answer

TYPE = "urn:pratique:balance"
MEDIA_TYPE = "application/json"
#: How long a caller waits: less than the deadline of a request.
WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator wants done to a certificate's balance."""

    certificate: bytes
    action: Action
    declaration: str
    quantity: Quantity | None = None
    expect: int | None = None
    line: int | None = None


class Asking:
    """The asker's side; `ask` waits a moment for the answer."""

    def __init__(self, node: Node) -> None:
        """Waits for nothing yet."""
        self._node = node
        self._waiting: dict[str, asyncio.Event] = {}

    async def ask(self, order: Order, *, seconds: float | None = None) -> Asked:
        """What became of it: GRANTED, REFUSED, or INDETERMINATE without the register's answer.

        Raises NotFoundError `document_not_here`, RefusedError `balance_not_kept`,
        `balance_line_missing`, `balance_line_unknown`, ConflictError `balance_pending` while
        another operation of this declaration on this line is not answered.
        """
        asked = await self._node.store.write(self._ask, order)
        if not asked.pending:
            return asked
        answered = self._waiting.setdefault(asked.id, asyncio.Event())
        try:
            async with asyncio.timeout(WAIT_SECONDS if seconds is None else seconds):
                # It may have come between the two steps; nobody would wake us then.
                found = await self._node.store.read(rows.asked, asked.id)
                if found is not None and found.pending:
                    await answered.wait()
        except TimeoutError:
            self._node.telemetry.log.info("balance.unanswered", register=asked.register)
        finally:
            self._waiting.pop(asked.id, None)
        found = await self._node.store.read(rows.asked, asked.id)
        return found or asked

    def _ask(self, conn: Connection, order: Order) -> Asked:
        node = self._node
        judging.members_of(node)
        stored = documents.require(conn, order.certificate)
        named = balance.named_in(strict_json.loads_object(stored.payload), stored.issuer)
        balance.line_of(named.quantity, named.lines, order.line)
        request = Request(
            str(uuid.uuid4()),
            order.certificate,
            order.declaration,
            order.action,
            order.quantity,
            order.expect,
            order.line,
        )
        waiting = self._unanswered(conn, request)
        if waiting is not None:
            return waiting
        asked = rows.ask(conn, request, named.register, node.clock.now_ms())
        if named.register == node.did:
            return self._settled(conn, asked, register.operate(conn, node, request, node.did))
        body = strict_json.canonical({"request": strict_json.loads_object(request.to_bytes())})
        node.exchange.enqueue(conn, named.register, TYPE, body, MEDIA_TYPE, None)
        return asked

    def _unanswered(self, conn: Connection, request: Request) -> Asked | None:
        """The same question, if it still waits; another one must wait for its answer."""
        lost = timedelta(days=self._node.settings.exchange.retry_days) / timedelta(milliseconds=1)
        since = self._node.clock.now_ms() - int(lost)
        line = request.line or rows.WHOLE
        for asked in rows.asked_about(conn, request.certificate, request.declaration, line):
            if not asked.pending or asked.asked_at < since:
                continue
            if asked.request == replace(request, id=asked.id).to_bytes().decode():
                return asked
            raise ConflictError("balance_pending", "the register has not answered yet")
        return None

    def _settled(self, conn: Connection, asked: Asked, answer: Answer) -> Asked:
        rows.settle(conn, asked.id, answer, self._node.clock.now_ms())
        found = rows.asked(conn, asked.id)
        assert found is not None
        return found

    def take(self, conn: Connection, answer: Answer) -> None:
        """Keep a register's answer and wake who waits for it.

        Raises RefusedError `balance_answer_unasked`, `balance_untrusted`.
        """
        request = answer.request
        asked = rows.asked(conn, request.id) if request else None
        if request is None or asked is None or answer.outcome is None:
            raise RefusedError("balance_answer_unasked", "nothing like it was asked from here")
        same = asked.request == request.to_bytes().decode() and asked.register == answer.register
        if not same or answer.by != self._node.did:
            raise RefusedError("balance_untrusted", "the answer is to another question")
        if not rows.settle(conn, asked.id, answer, self._node.clock.now_ms()):
            return
        self._tell(conn, answer, request)
        waiting = self._waiting.get(asked.id)
        if waiting is not None:
            defer(conn, waiting.set)

    def _tell(self, conn: Connection, answer: Answer, request: Request) -> None:
        granted = answer.outcome is Outcome.GRANTED
        stored = documents.get(conn, request.certificate)
        events.record(
            conn,
            kind=register.EVENTS[request.action] if granted else "balance-refused",
            at=self._node.clock.now_ms(),
            document=request.certificate,
            consignment=stored.consignment if stored else None,
            actor=answer.register,
            detail={
                "number": stored.number if stored else "",
                "declaration": request.declaration,
                **({"line": request.line} if request.line else {}),
                **({"code": answer.code} if answer.code else {}),
            },
        )


class BalanceHandler:
    """Messages `urn:pratique:balance`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node, asking: Asking) -> None:
        """Answers what is asked of this node's register; takes answers to what it asked."""
        self._node = node
        self._asking = asking

    async def prepare(self, message: InboundMessage) -> Request | Answer:
        """A request as its sender signed it in the manifest, or an answer with its signature."""
        fields = Fields(strict_json.loads_object(message.body), balance.CODE)
        if fields.has("request"):
            return balance.read_request(fields.child("request"))
        text = fields.text("answer", max_length=balance.MAX_ANSWER)
        return balance.read_answer(text, judging.members_of(self._node))

    def apply(self, conn: Connection, message: InboundMessage, prepared: Request | Answer) -> None:
        """One operation and its answer, one answer kept, or one told to us as the issuer."""
        if isinstance(prepared, Request):
            self._operate(conn, prepared, message.sender)
        elif prepared.by == self._node.did:
            self._asking.take(conn, prepared)
        else:
            self._told(conn, prepared)

    def _operate(self, conn: Connection, request: Request, by: str) -> None:
        answer = register.operate(conn, self._node, request, by)
        self._send(conn, by, answer)
        stored = documents.get(conn, request.certificate)
        issuer = stored.issuer if stored else by
        # A register that is not the issuer tells the issuer how its certificate is used.
        if answer.outcome is Outcome.GRANTED and issuer not in (by, self._node.did):
            self._send(conn, issuer, answer)

    def _told(self, conn: Connection, answer: Answer) -> None:
        """How a certificate of ours is used, from the register that it names.

        Raises NotFoundError `document_not_here`, RefusedError `balance_untrusted`.
        """
        stored = documents.require(conn, answer.certificate)
        named = balance.named_in(strict_json.loads_object(stored.payload), stored.issuer)
        request = answer.request
        if named.register != answer.register or stored.issuer != self._node.did or not request:
            raise RefusedError("balance_untrusted", "it does not come from its register")
        register.tell(conn, self._node, stored, register.EVENTS[request.action], request, answer.by)

    def _send(self, conn: Connection, to: str, answer: Answer) -> None:
        body = strict_json.canonical({"answer": answer.text})
        try:
            self._node.exchange.enqueue(conn, to, TYPE, body, MEDIA_TYPE, None)
        except RefusedError as error:
            # Who left the network is not told any more; what was done stays done.
            self._node.telemetry.log.warning("balance.answer", peer=to, code=error.code)
