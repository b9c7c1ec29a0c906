"""Taking a bill over at its title arbiter, before RECE is signed (R20, R21).

The sender's deed is final at the arbiter before its envelope comes: an OFFER of this very chain
entry to the recipient, or, where nobody has to agree, the ISSUE or surrender itself. A transfer is
accepted here with the recipient's key, which this node lawfully holds, and counts once that is
final. The arbiter unreachable or not yet final: unsigned 503, the sender asks again. An acceptance
that became final before this node could say so is found again and not made twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.title import law, partners
from node.title import rows as title_rows
from node.title.making import Order
from node.tracking import client as tracking
from node.tracking.client import Bill
from node.tracking.policy import registry_policy
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.registries import offered_entry
from protocols.pint.words import MOVES_POSSESSION, TO_TITLE, Action, Response
from protocols.title import registry_freeze
from protocols.title.machine import ACCOUNT, Kind, State
from schemas.errors import (
    ConflictError,
    ForbiddenError,
    RefusedError,
    TradeError,
    UnavailableError,
)
from schemas.findings import Outcome as Verdict

if TYPE_CHECKING:
    from node.pint.rows import Account
    from node.runtime import Node
    from node.title.news import TitleNews
    from protocols.pint.judgement import Judgement
    from protocols.pint.transactions import Transaction
    from protocols.title.machine import Party, TitleState

DECLINE_SECONDS = 8.0


class Acceptance:
    """What has to be final elsewhere before this platform says RECE."""

    def __init__(self, node: Node) -> None:
        """Speaks for parties hosted at this node, through its title service."""
        self._node = node

    async def take(self, judgement: Judgement, account: Account | None) -> None:
        """Returns once the bill is the recipient's where its registry says so.

        Raises EnvelopeRefusedError BENV `pint_not_offered`, `pint_not_at_arbiter`,
        `pint_not_recorded`, `pint_recipient_unknown`, DISE `title_disputed`; UnavailableError for
        what is not known yet.
        """
        if judgement.title is not None:
            self._require_law(judgement)
            await self._at_arbiter(judgement, judgement.title, account)
        elif judgement.registry is not None:
            await self._at_register(judgement)

    async def decline(self, judgement: Judgement, code: str) -> None:
        """End the offer of an entry that can never be received here, for the recipient (R20).

        Only where the entry alone decided so: it names all of its chain and the bill, and whoever
        sends it again gets the same answer. A manifest or a document may still be put right. The
        arbiter out of reach, or no key of the recipient here: the offer expires.
        """
        if judgement.title is None or not _is_final(judgement, code):
            return
        digest = offered_entry(judgement.entries[-1].jws)
        try:
            # The signed refusal, which decides, waits no longer than this.
            async with asyncio.timeout(DECLINE_SECONDS):
                await self._decline(judgement.title, digest)
        except TradeError as error:
            self._node.telemetry.log.info("pint.not_declined", code=error.code)
        except TimeoutError:
            self._node.telemetry.log.info("pint.not_declined", code="title_pending")

    async def _decline(self, title: bytes, digest: bytes) -> None:
        held = await self._node.title.find(title, refresh=True)
        if held is None or held.state.offer is None or held.state.offer.entry != digest:
            return
        # By its sequence number no offer is meant that was made since.
        recipient = held.state.offer.recipient.did
        order = Order(Kind.DECLINE_OFFER, by=recipient, seq=held.state.seq)
        await self._node.title.operate(title, order)

    def _require_law(self, judgement: Judgement) -> None:
        """The law that the carrier named is one under which titles are taken here."""
        issuance = judgement.entries[0].entry.issuance
        assert issuance is not None  # PINT-06
        try:
            law.require_manifest(self._node, issuance)
        except RefusedError as error:
            raise _refused(error.code, error.detail) from None

    async def _at_register(self, judgement: Judgement) -> None:
        """A register of records that a member keeps: the transfer was recorded as intended."""
        assert judgement.registry is not None
        last, first = judgement.entries[-1], judgement.entries[0]
        if not judgement.moves_possession:
            return
        bill = Bill(judgement.registry, first.entry.document, first.text)
        try:
            await tracking.accept(self._node, bill, last.jws.checksum)
        except (ConflictError, RefusedError, ForbiddenError) as error:
            told = f"{error.code}: {error.detail}"
            if error.code == "tracking_disputed":
                raise EnvelopeRefusedError(Response.DISE, error.code, told) from None
            raise _refused("pint_not_recorded", told) from None

    async def _at_arbiter(
        self, judgement: Judgement, title: bytes, account: Account | None
    ) -> None:
        if account is None or account.did is None:
            raise _refused("pint_recipient_unknown", "the recipient has no title key here")
        news = await self._newest(judgement, title)
        last, digest = judgement.entries[-1].last, offered_entry(judgement.entries[-1].jws)
        if last.action is Action.TRANSFER:
            await self._accept_offer(news, last, account.did, digest)
        else:
            _require_done(news, last, account.did)

    async def _newest(self, judgement: Judgement, title: bytes) -> TitleNews:
        """The title as it is final now, asked of the arbiter itself (R21)."""
        assert judgement.registry is not None
        arbiter = registry_policy(self._node).arbiters[judgement.registry]
        arbiter = registry_freeze.in_force(arbiter, partners.freezes_of(self._node))
        service = self._node.title
        news = await service.submitter.arbiter_with(arbiter).fetch(title)
        if news is None:
            raise _refused("pint_not_at_arbiter", "the arbiter knows no such title")
        await self._node.store.write(service.follower.learn, news)
        return news

    async def _accept_offer(
        self, news: TitleNews, last: Transaction, recipient: str, digest: bytes
    ) -> None:
        if _accepted(news, recipient, digest):
            return
        _require_offered(news.state, last, recipient, digest)
        if await self._under_way(news.state.title, digest):
            raise UnavailableError("title_pending", "the acceptance is not final yet")
        order = Order(Kind.ACCEPT_OFFER, by=recipient, entry=digest)
        try:
            outcome = await self._node.title.operate(news.state.title, order)
        except ForbiddenError as error:
            raise _refused("pint_recipient_unknown", error.detail) from None
        except (ConflictError, RefusedError) as error:
            disputed = error.code in {"title_disputed", "tracking_disputed"}
            response = Response.DISE if disputed else Response.BENV
            code = error.code if disputed else "pint_not_offered"
            raise EnvelopeRefusedError(response, code, f"{error.code}: {error.detail}") from None
        if outcome["outcome"] != "final":
            raise UnavailableError("title_pending", "the acceptance is not final yet")

    async def _under_way(self, title: bytes, digest: bytes) -> bool:
        """Whether an acceptance was handed in that nobody has decided: none is made beside it."""
        service = self._node.title
        for held in await self._node.store.read(title_rows.submissions_of, title):
            if held.kind != Kind.ACCEPT_OFFER.value or held.status not in title_rows.OPEN:
                continue
            if service.submitter.read(held.text).entry != digest:
                continue
            settled = await service.submitter.submit(held.text)
            return settled.status != "final"
        return False


#: The steps whose refusal follows from the last entry, once all steps before them have passed.
_FINAL_STEPS = frozenset({"PINT-15", "PINT-16"})
_FINAL_CODES = frozenset({"title_law_unlisted"})


def _is_final(judgement: Judgement, code: str) -> bool:
    """Whether what refused the envelope refuses every envelope with that last entry."""
    failed = {one.id for one in judgement.checks if one.outcome is Verdict.FAILED}
    return code in _FINAL_CODES if not failed else failed <= _FINAL_STEPS


def _refused(code: str, detail: str) -> EnvelopeRefusedError:
    return EnvelopeRefusedError(Response.BENV, code, detail)


def _accepted(news: TitleNews, recipient: str, digest: bytes) -> bool:
    """Whether this entry was accepted before: by a crash, or an answer that was late."""
    return any(
        operation.kind is Kind.ACCEPT_OFFER
        and operation.entry == digest
        and operation.sender.did == recipient
        for operation, _ in news.operations
    )


def _require_offered(state: TitleState, last: Transaction, recipient: str, digest: bytes) -> None:
    offer, actor = state.offer, last.actor.did
    if state.state is not State.OFFERED or offer is None:
        raise _refused("pint_not_offered", "the arbiter has no offer of this bill")
    if offer.entry != digest:
        raise _refused("pint_not_offered", "what was offered is another chain entry")
    if offer.recipient.did != recipient:
        raise _refused("pint_not_offered", "the bill was offered to somebody else")
    if state.possessor is None or not _may_be(state.possessor, actor):
        raise _refused("pint_not_offered", "somebody else offered the bill")


def _may_be(party: Party, did: str | None) -> bool:
    """Whether a party of the title is who the chain says; of an address on a chain, whose owner
    nobody told us, only its signature over this very entry is known."""
    return party.did == did or party.did.startswith(ACCOUNT)


def _require_done(news: TitleNews, last: Transaction, recipient: str) -> None:
    """A deed that takes no acceptance is final at the arbiter already, or it did not happen."""
    kind = TO_TITLE[last.action]
    found = any(
        operation.kind is kind
        and _may_be(operation.sender, last.actor.did)
        and (operation.recipient is None or _may_be(operation.recipient, recipient))
        for operation, _ in news.operations
    )
    if not found:
        raise _refused("pint_not_at_arbiter", f"the arbiter has no {last.action.value} like this")
    possessor = news.state.possessor
    moved = last.action in MOVES_POSSESSION
    if moved and (possessor is None or possessor.did != recipient):
        raise _refused("pint_not_at_arbiter", "by the arbiter somebody else has the bill")
