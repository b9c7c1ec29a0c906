"""`node.sending`: moving bills to other platforms, and telling them what was done (PINT 3.0.0).

The order is binding (R20): the entry is signed and kept, the deed is final at the arbiter (an
OFFER, where possession is to move) or at the register of records that the chain names (an intent),
then the envelope goes out until a signed word comes. Only they move the bill: RECE without their
word is not believed, their word without RECE is. Signed BSIG, BENV and DISE are refusals; the
offer is then ended, or the intent cancelled, as soon as it can be.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from node.pint import beginning, outgoing, preparing, registering
from node.pint.client import PlatformClient, Question
from node.pint.delivering import deliver
from node.pint.following import Said, Word, said_of
from node.pint.outgoing import (
    BUILDING,
    CANCELLED,
    CANCELLING,
    CONFIRMING,
    RECEIVED,
    RECORDED,
    REFUSED,
    SENDING,
    Outgoing,
)
from node.pint.platforms import keyring
from node.pint.sending_routes import SendingRoutes
from node.pint.sending_views import outgoing_json
from node.store import events
from node.title import rows as titles
from node.title.making import Order
from node.title.tasks import end
from protocols import times
from protocols.exchange.retry import RetryPolicy
from protocols.pint.answers import Decided, Unknown, open_finished
from protocols.pint.envelope import open_envelope_manifest, read_envelope
from protocols.pint.words import ACCEPTED, SURRENDERS, TO_TITLE, Action, Response
from protocols.title.machine import Bill, Kind
from schemas.catalogue import explain
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.pint.beginning import Supporting
    from node.pint.preparing import Move
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.pint.transactions import Transaction

AT_ONCE = 20
POLL_SECONDS = 0.5
WAIT_SECONDS = 4.0
"""For which a caller waits until a transfer is decided."""
LOOK_AGAIN_MS = 300
GRACE_MS = 200
#: Codes under which an undecided transfer is shown.
EXPIRED, UNANSWERED = "pint_offer_expired", "pint_answer_unknown"
UNCONFIRMED, TURNED_DOWN = "pint_receipt_unconfirmed", "pint_refused_signed"
NEVER_GIVES_UP = timedelta(days=36_500)
_MINE = frozenset({Action.TRANSFER})
_MOVED = frozenset({Word.TAKEN, Word.DONE})


class SendingService:
    """What a platform does with bills that leave it."""

    name = "sending"

    def __init__(self, node: Node) -> None:
        """Nothing runs before `start`."""
        self.node = node
        self.client = PlatformClient(node)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._at_work: set[bytes] = set()
        self._news: dict[bytes, int] = {}
        settings = node.settings.pint
        self._policy = RetryPolicy(
            base=timedelta(seconds=settings.retry_base),
            cap=timedelta(seconds=settings.retry_cap),
            give_up=NEVER_GIVES_UP,
        )

    def routes(self) -> Sequence[Route]:
        """/v1/ebl/bills…, /v1/ebl/transfers…"""
        return SendingRoutes(self).routes()

    async def start(self) -> None:
        """Go on with what is not decided."""
        if not self._task:
            self.node.title.follower.watch(self._moved)
            self.node.title.guard(partial(preparing.require_envelope, self.node))
        await self._look_back()
        self._task = asyncio.create_task(self._run(), name="pint.sending")

    async def stop(self) -> None:
        """End; what is not decided waits in the store."""
        if self._task is not None:
            await end([self._task])

    def ready(self) -> str | None:
        """That another platform does not answer is said per transfer."""
        return None

    # -- what is asked for ---------------------------------------------------------------------

    async def move(self, order: Move, *, wait: float = WAIT_SECONDS) -> dict[str, Any]:
        """Do a deed with a bill and tell the platform that must know; see `outgoing_json`.

        A party of this platform is served by the arbiter alone. Raises what `prepare` and
        `TitleService.operate` raise; an answer that has not come yet is no error.
        """
        held = await self.node.title.require(order.title, refresh=True)
        if self._is_inside(order):
            return await self._inside(order, held.state.seq)
        row = await self.node.store.write(self._prepared, order, held)
        await self._begin(row)
        return await self._outcome(row.entry, wait)

    async def send(
        self,
        document: bytes,
        transactions: Sequence[Transaction],
        supporting: Sequence[Supporting] = (),
        *,
        wait: float = WAIT_SECONDS,
    ) -> dict[str, Any]:
        """Send a bill that no arbiter of this network guards; raises as `prepare_untitled`."""
        row = await self.node.store.write(
            preparing.prepare_untitled, self.node, document, transactions, supporting
        )
        await self._begin(row)
        return await self._outcome(row.entry, wait)

    async def move_untitled(
        self, document: bytes, order: Move, *, wait: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """`move` for a bill under no arbiter of this network; raises as `untitled_deed`."""
        deed = await self.node.store.read(preparing.untitled_deed, self.node, document, order)
        return await self.send(document, (deed,), order.supporting, wait=wait)

    async def _begin(self, row: Outgoing) -> None:
        """The first step in the caller's own time, so that the arbiter's refusal is its answer."""
        if row.state != BUILDING or row.entry in self._at_work:
            return
        self._at_work.add(row.entry)
        try:
            await self._building(row)
        except TradeError as error:
            if not error.retryable:
                raise
            await self._later(row, error.code)
        finally:
            self._at_work.discard(row.entry)

    def _prepared(self, conn: Connection, order: Move, held: StoredTitle) -> Outgoing:
        newest = outgoing.of_title(conn, order.title)
        if newest is not None and preparing.is_done(newest, held, order):
            return newest
        return preparing.prepare(conn, self.node, held, order)

    def _is_inside(self, order: Move) -> bool:
        """Whether nobody but the arbiter is to be told: parties of one platform, or nobody."""
        if order.action in SURRENDERS | preparing.ANSWERS:
            return False
        return order.to is None or beginning.is_local(self.node, order.to)

    async def _inside(self, order: Move, seq: int) -> dict[str, Any]:
        held = await self.node.title.require(order.title)
        possessor = held.state.possessor
        if order.action is Action.TRANSFER and possessor and possessor.did == order.to:
            return {"outcome": "final", "state": "recorded", "title": order.title.hex()}
        if order.action is Action.TRANSFER and held.state.bill is Bill.STRAIGHT:
            await self.node.store.write(preparing.require_possible, self.node, held, order)
        kind = TO_TITLE[order.action]
        assert kind is not None  # no SIGN is ordered
        answer = await self.node.title.operate(
            order.title, Order(kind, order.to, order.by, seq=seq)
        )
        state = "recorded" if answer["outcome"] == "final" else "building"
        return {"outcome": answer["outcome"], "state": state, "title": order.title.hex()}

    async def tell(self, title: bytes, *, wait: float = 0.0) -> dict[str, Any] | None:
        """Tell the platform that must know of deeds that are final already: an ISSUE to a party
        elsewhere, a carrier's answer. None when there is nothing to tell.

        Raises as `prepare`.
        """
        held = await self.node.title.require(title, refresh=True)
        row = await self.node.store.write(self._untold, held)
        if row is None:
            return None
        self._wake.set()
        return await self._outcome(row.entry, wait)

    def _untold(self, conn: Connection, held: StoredTitle) -> Outgoing | None:
        found = preparing.unsent_issue(conn, self.node, held)
        return found or preparing.prepare_news(conn, self.node, held)

    async def _outcome(self, entry: bytes, wait: float) -> dict[str, Any]:
        """The transfer as it is, once it is decided or the time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            self._wake.set()
            row = await self.node.store.read(outgoing.require, entry)
            if not row.active or loop.time() >= until:
                return await self.node.store.read(outgoing_json, row)
            await asyncio.sleep(min(0.05, wait))

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                now = self.node.clock.now_ms()
                due = await self.node.store.read(outgoing.due, now, AT_ONCE)
                await asyncio.gather(*(self.advance(row) for row in due))
                await self._tell_what_moved()
            except TradeError as error:
                due = []
                self.node.telemetry.log.warning("pint.sending_failed", code=error.code)
            if not due:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _moved(self, title: bytes) -> None:
        # Called where stores are written: the next step of the loop looks at it, twice, because
        # what was told of may not be committed when it looks first.
        self._news[title] = 2

    async def _look_back(self) -> None:
        """What moved while this node was away."""
        if self.node.members.current is None:
            return
        unbegun = await self.node.store.read(beginning.unbegun, self.node)
        untold = await self.node.store.read(preparing.moved_since_told)
        self._news |= dict.fromkeys((*unbegun, *untold), 1)

    async def _tell_what_moved(self) -> None:
        """What the carrier or a party here did at the arbiter by other doors is told as well."""
        for title, looks in list(self._news.items()):
            if looks <= 1:
                self._news.pop(title, None)
            else:
                self._news[title] = looks - 1
            try:
                await self.node.store.write(self._tell_rest, title)
            except TradeError as error:
                self.node.telemetry.log.debug("pint.not_told", code=error.code)

    def _tell_rest(self, conn: Connection, title: bytes) -> None:
        """Only deeds whose last is for a party elsewhere; the others wait for the next entry."""
        beginning.begin(conn, self.node, title)
        held = titles.find(conn, title)
        if held is None or outgoing.open_of_title(conn, title) is not None:
            return
        if preparing.concerns_others(conn, self.node, held):
            preparing.prepare_news(conn, self.node, held)

    async def advance(self, row: Outgoing) -> None:
        """One step of one transfer; never raises for what the outside does."""
        if row.entry in self._at_work:
            return
        self._at_work.add(row.entry)
        try:
            found = await self.node.store.read(outgoing.find, row.entry)
            if found is not None and found.active:
                await _STEPS[found.state](self, found)
        except TradeError as error:
            await self._later(row, error.code)
        finally:
            self._at_work.discard(row.entry)

    async def _said(self, row: Outgoing, *, refresh: bool) -> Said:
        """The arbiter's word, asked anew where it matters, or that of a register of records."""
        if row.title is None:
            return await registering.said(self.node, row)
        if refresh:
            await self.node.title.find(row.title, refresh=True)
        found: Said = await self.node.store.read(said_of, self.node, row.title, row.entry)
        return found

    async def _building(self, row: Outgoing) -> None:
        """The deed is not known to be final."""
        said = await self._said(row, refresh=True)
        if said.word is not Word.NOTHING:
            await self.node.store.write(self._final, row, said)
        elif said.tried is None:
            await self._deed(row)
        elif said.tried.status in {"refused", "failed"}:
            await self._write(row, state=REFUSED, code=said.tried.code or "title_refused")
        else:
            await self._later(row, said.tried.code or "title_pending", LOOK_AGAIN_MS)

    async def _deed(self, row: Outgoing) -> None:
        """Hand the deed to the arbiter or register; a refusal ends the transfer and is raised."""
        try:
            if row.title is None:
                await registering.record(self.node, row)
                outcome = "final"
            else:
                outcome = await self._operate(row, row.title)
        except TradeError as error:
            if not error.retryable:
                await self._write(row, state=REFUSED, code=error.code)
            raise
        if outcome == "final":
            said = await self._said(row, refresh=False)
            await self.node.store.write(self._final, row, said)

    async def _operate(self, row: Outgoing, title: bytes) -> str:
        held = await self.node.title.require(title)
        await self.node.store.read(preparing.require_current, self.node, row, held)
        deed = row.deed
        kind = Kind.OFFER if deed.action in _MINE else TO_TITLE[deed.action]
        assert kind is not None  # no SIGN is ordered
        answers = deed.action in preparing.ANSWERS
        order = Order(
            kind,
            None if answers or deed.recipient is None else deed.recipient.did,
            deed.actor.did,
            entry=row.entry,
            seq=held.state.seq,
            lifetime=timedelta(seconds=self.node.settings.pint.offer_lifetime),
        )
        answer: dict[str, Any] = await self.node.title.operate(title, order)
        return str(answer["outcome"])

    def _final(self, conn: Connection, row: Outgoing, said: Said) -> None:
        """The deed is final: a mere offer or intent leaves the chain as it is."""
        if said.word is Word.NOTHING:
            return
        waits = row.title is None and row.deed.action in _MINE and row.platform
        if said.word in _MOVED and not waits:
            preparing.joined(conn, self.node, row)
        state = SENDING if row.platform else RECORDED
        outgoing.change(conn, row.entry, self.node.clock.now_ms(), state=state, code=None)

    async def _sending(self, row: Outgoing) -> None:
        """The envelope goes out, unless the arbiter has ended it meanwhile."""
        said = await self._said(row, refresh=row.tries > 0)
        if said.word is Word.WITHDRAWN:
            await self._write(row, state=CANCELLED, code="pint_offer_declined")
            return
        if self._has_expired(said):
            await self._write(row, state=CANCELLING, code=EXPIRED)
            return
        if said.word is Word.TAKEN:
            # The bill is with its recipient, whoever kept the receipt from us: ask on for it.
            await self.node.store.write(preparing.joined, self.node, row)
        answer = await self._ask(row)
        if not isinstance(answer, Decided):
            await self._later(row, answer.detail if explain(answer.detail) else UNANSWERED)
        elif answer.accepted:
            await self._write(row, state=CONFIRMING, answer=answer.text, code=None)
        else:
            await self._refused(row, answer, said)

    async def _ask(self, row: Outgoing) -> Decided | Unknown:
        signatory = keyring(self.node).platform(row.platform)
        if signatory is None:
            return Unknown(0, "pint_platform_unknown")
        asked = Question(row.platform, signatory, row.text, self.node.clock.now())
        contents = await self.node.store.read(_contents, row)
        return await deliver(self.client, asked, row.envelope, contents)

    async def _refused(self, row: Outgoing, answer: Decided, said: Said) -> None:
        """A signed no. What the arbiter has made final stands all the same."""
        code = TURNED_DOWN
        if answer.finished.response is Response.DISE:
            code = "pint_disputed"
        offered = row.deed.action in _MINE and row.title is not None
        if row.title is None:
            offered = said.word in {Word.OPEN, Word.TAKEN}  # at a register of records
        if offered and said.word in _MOVED:
            # It says no now, and took the bill at the arbiter before: the arbiter decides.
            state = CONFIRMING
        else:
            state = CANCELLING if offered and said.word is Word.OPEN else REFUSED
        await self._write(row, state=state, answer=answer.text, code=code)
        await self.node.store.write(self._tell_refusal, row, answer)

    def _tell_refusal(self, conn: Connection, row: Outgoing, answer: Decided) -> None:
        self._event(conn, row, "ebl-refused", answer)
        disputes = getattr(self.node, "disputes", None)
        if disputes is not None and answer.finished.response is Response.DISE:
            disputes.refused(conn, row.document, row.platform, answer.text)

    async def _confirming(self, row: Outgoing) -> None:
        """RECE is here; the bill has moved when the arbiter says so."""
        said = await self._said(row, refresh=True)
        if said.word in _MOVED:
            await self.node.store.write(self._received, row)
        elif said.word is Word.WITHDRAWN:
            await self._write(row, state=CANCELLED, code=UNCONFIRMED)
        elif self._has_expired(said):
            await self._write(row, state=CANCELLING, code=UNCONFIRMED)
        else:
            await self._later(row, UNCONFIRMED, LOOK_AGAIN_MS)

    def _received(self, conn: Connection, row: Outgoing) -> None:
        preparing.joined(conn, self.node, row)
        outgoing.change(conn, row.entry, self.node.clock.now_ms(), state=RECEIVED, code=None)
        self._event(conn, row, "ebl-sent", None)

    async def _cancelling(self, row: Outgoing) -> None:
        """The offer still binds the title: it is cancelled when it has expired, or was declined."""
        said = await self._said(row, refresh=True)
        if said.word in _MOVED:
            # Refused by word of mouth and accepted at the arbiter: the arbiter decides.
            await self._write(row, state=CONFIRMING)
        elif said.word is not Word.OPEN:
            refused = row.answer is not None and _accepts(row.answer) is False
            await self._write(row, state=REFUSED if refused else CANCELLED, code=row.code)
        elif row.title is None:
            await registering.cancel(self.node, row)
        elif not self._has_expired(said):
            await self._later(row, row.code or EXPIRED, self._until(said))
        else:
            order = Order(Kind.CANCEL_OFFER, by=row.deed.actor.did)
            await self.node.title.operate(row.title, order)
            await self._later(row, row.code or EXPIRED, LOOK_AGAIN_MS)

    def _has_expired(self, said: Said) -> bool:
        if said.word is not Word.OPEN or said.expires is None:
            return False
        return self.node.clock.now_ms() > times.to_ms(said.expires) + GRACE_MS

    def _until(self, said: Said) -> int:
        """Milliseconds until an offer has expired; asked again earlier, it may be declined."""
        assert said.expires is not None
        left = times.to_ms(said.expires) + GRACE_MS + 1 - self.node.clock.now_ms()
        return max(1, min(left, round(self.node.settings.pint.retry_cap * 1000)))

    # -- rows ----------------------------------------------------------------------------------

    async def _write(self, row: Outgoing, **values: Any) -> None:
        now = self.node.clock.now_ms()
        await self.node.store.write(outgoing.change, row.entry, now, **values)

    async def _later(self, row: Outgoing, code: str, pause_ms: int | None = None) -> None:
        now = self.node.clock.now_ms()
        if pause_ms is None:
            age = timedelta(milliseconds=now - row.created_at)
            delay = self._policy.delay(row.tries + 1, age, random.random())  # noqa: S311 - jitter
            pause_ms = round((delay or self._policy.cap).total_seconds() * 1000)
        await self.node.store.write(outgoing.postpone, row, code, now + pause_ms, now)

    def _event(self, conn: Connection, row: Outgoing, kind: str, answer: Decided | None) -> None:
        detail: dict[str, Any] = {
            "transfer": row.entry.hex(),
            "title": row.title.hex() if row.title else None,
            "action": row.deed.action.value,
            "platform": row.platform,
        }
        if answer is not None:
            finished = answer.finished
            detail |= {"responseCode": finished.response.value, "reason": finished.reason or ""}
        now = self.node.clock.now_ms()
        events.record(
            conn, kind=kind, at=now, document=None, consignment=None,
            actor=self.node.did, detail=detail,
        )  # fmt: skip


_STEPS = {
    BUILDING: SendingService._building,  # noqa: SLF001 its own table
    SENDING: SendingService._sending,  # noqa: SLF001 its own table
    CONFIRMING: SendingService._confirming,  # noqa: SLF001 its own table
    CANCELLING: SendingService._cancelling,  # noqa: SLF001 its own table
}


def _accepts(answer: str) -> bool:
    return open_finished(answer)[1].response in ACCEPTED


def _contents(conn: Connection, row: Outgoing) -> dict[bytes, bytes]:
    _, manifest = open_envelope_manifest(read_envelope(row.envelope).manifest)
    return outgoing.contents(conn, row.document, manifest.additional)
