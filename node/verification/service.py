"""The verification service: judges what arrives and what is asked, and looks again.

Messages: urn:pratique:document:*, urn:pratique:conflict. Routes: POST /v1/verify, /v1/challenges
(operator). What could not be found out is looked at again, sooner when the member list changed.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from node.basis import flagging as basis
from node.consistency import papers
from node.documents import documents
from node.verification import challenges, intake, judging, rows
from node.verification.conflicts import ConflictHandler
from node.verification.handlers import VerificationHandlers
from node.verification.rdf_proofs import RdfProofs
from protocols.exchange.manifest import CONFLICT, DOCUMENT
from protocols.verify import Receipt, foreign_steps, presentation_steps
from protocols.verify.foreign_steps import StatusNamed
from protocols.verify.receipt_steps import CheckedCheckpoints
from schemas.errors import TradeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from node.http.routes import Route
    from node.runtime import Node
    from node.verification.challenges import Given
    from node.verification.judging import Judged, Question
    from node.verification.rows import Undecided
    from protocols.credentials.key_binding import Challenge
    from protocols.credentials.status_list import GivenList, StatusLists
    from protocols.member_list import MemberList
    from protocols.verify import Case
    from protocols.verify.foreign_steps import Foreign

POLL_SECONDS = 2.0
STATUS_SECONDS = 8.0
AT_ONCE = 8


class VerificationService:
    """`node.verification`."""

    name = "verification"

    def __init__(self, node: Node) -> None:
        """Reads nothing yet."""
        self._node = node
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._handlers = VerificationHandlers(self)
        self.rdf = RdfProofs(node.home.contexts)
        self._checked: CheckedCheckpoints | None = None

    def routes(self) -> Sequence[Route]:
        """See `node.verification.handlers` and `node.verification.rdf_proofs`."""
        return (*self._handlers.routes(), *self.rdf.routes())

    async def start(self) -> None:
        """Takes documents in, and begins to look again at what is undecided."""
        self.rdf.open()
        exchange = getattr(self._node, "exchange", None)
        if exchange is not None:
            exchange.on(DOCUMENT, intake.DocumentHandler(self._node, self))
            exchange.on(CONFLICT, ConflictHandler(self._node))
        self._node.members.watch(self._list_changed)
        self._loop = asyncio.create_task(self._look_again(), name="verification")

    async def stop(self) -> None:
        """Ends looking again."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None
        await self.rdf.close()

    def ready(self) -> str | None:
        """Without a member list nothing can be judged."""
        return None if self._node.members.current else "this node is in no network yet"

    async def judge(
        self, data: bytes, *, refresh: bool = False, country: str | None = None
    ) -> Judged:
        """The judgement of a document file now, with the status list fetched where needed.

        country: for which it is judged, where not for this node's own
        """
        case = judging.case_of(self._node, data, self._node.clock.now())
        if country is not None:
            case.verifier_country = country
        await self._hear_register(case)
        return judging.judge(case, await self._status_of(case, refresh=refresh))

    async def answer(self, question: Question) -> Judged:
        """What an operator asks; names what an altered copy changed when the intact one is here.

        About another moment the list and the status of that moment answer (R25).
        """
        historical = question.at is not None
        at = question.at or self._node.clock.now()
        members = await self._node.trust.members_at(at) if historical else None
        case = judging.case_of(self._node, presentation_steps.unwrapped(question.file), at, members)
        case.logs = self._node.members.current
        if self._checked is None or self._checked.members is not case.logs:
            self._checked = CheckedCheckpoints(case.logs) if case.logs else None
        case.checked = self._checked
        case.receipt = question.receipt or await self._own_receipt(case)
        case.timestamp = question.timestamp or self._own_stamp(case)
        case.challenge, case.blocks = question.challenge, question.blocks
        case.rdf = await self.rdf.of(case)
        await self._hear_register(case)
        if question.country is not None:
            case.verifier_country = question.country
        status = await self._status_of(
            case, refresh=not historical, asked=True, at=at if historical else None
        )
        judged = judging.judge(case, status, historical=historical)
        if question.challenge is not None:
            judged = await self._once(judged, question.challenge)
        read = self._node.store.read
        told = await read(judging.name_differences, question.file, judged)
        told = await read(papers.with_findings, told)
        return await read(basis.with_findings, self._node, told)

    async def _hear_register(self, case: Case) -> None:
        """Ask the issuer's register about a ship certificate."""
        ships = getattr(self._node, "ships", None)
        if ships is not None:
            await ships.hear(case)

    def _own_stamp(self, case: Case) -> bytes | None:
        """The time-stamp kept here, where a file has none with it."""
        evidence = getattr(self._node, "evidence", None)
        if case.jws is None or evidence is None:
            return None
        return evidence.stamping.held(case.jws.payload_digest) or None

    async def challenge(self, audience: str | None, seconds: int | None) -> Given:
        """A nonce that one presentation may answer; raises UnavailableError `challenges_full`."""
        given = challenges.new(
            audience or self._node.did,
            self._node.clock.now_ms(),
            challenges.DEFAULT_SECONDS if seconds is None else seconds,
            secrets.token_bytes(32),
        )
        await self._node.store.write(challenges.give, given, self._node.clock.now_ms())
        return given

    async def _once(self, judged: Judged, challenge: Challenge) -> Judged:
        """A challenge is used up by the holder's valid answer to it, by nothing else."""
        # A presentation of several credentials answers by VP-01, a document in part by CRED-14.
        answer = "CRED-14" if judged.report.check("VP-01") is None else "VP-01"
        for step in ("CRED-03", answer):
            check = judged.report.check(step)
            if check is None or check.outcome is not Outcome.PASSED:
                return judged
        code = await self._node.store.write(
            challenges.use, challenge.audience, challenge.nonce, self._node.clock.now_ms()
        )
        return judged if code is None else judging.with_fault(judged, answer, code)

    async def _status_of(
        self, case: Case, *, refresh: bool, asked: bool = False, at: datetime | None = None
    ) -> StatusLists:
        """The lists that the claims name, as fresh as can be had within 8 s.

        asked: by the operator; only then a foreign credential, which is never taken in, has one
        at:    the moment that is asked about: the versions of that time come with those of now
        """
        case.max_status_age = self._node.documents.max_status_age
        shown = presentation_steps.opened(case) if asked else None
        if shown is not None:
            return await self._statuses_shown(shown, refresh=refresh, at=at)
        if case.claims is not None:
            urls = tuple(entry.list_url for entry in case.claims.statuses)
            named: StatusNamed | None = StatusNamed(case.claims.issuer, urls)
        else:
            named = foreign_steps.status_named(case) if asked else None
        if named is None:
            return None
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                return await self._lists(named, refresh=refresh, at=at)
        except TimeoutError:
            return None

    async def _statuses_shown(
        self, shown: Foreign, *, refresh: bool, at: datetime | None
    ) -> StatusLists:
        """The lists that the contained credentials of a presentation name, one after another."""
        found: list[GivenList] = []
        for case in presentation_steps.contained(shown):
            case.open()
            given = await self._status_of(case, refresh=refresh, asked=True, at=at)
            held = given if isinstance(given, tuple) else (given,)
            found += [one for one in held if one is not None]
        return tuple(found)

    async def _lists(
        self, named: StatusNamed, *, refresh: bool, at: datetime | None
    ) -> StatusLists:
        node = self._node.documents
        if named.token is not None:
            answer = await node.token_list(named.issuer, named.token, refresh=refresh, at=at)
            return answer.held
        found = await node.statuses_for(named.issuer, named.lists, refresh=refresh)
        if at is not None:
            found += await node.statuses_for(named.issuer, named.lists, at=at)
        return found

    async def _own_receipt(self, case: Case) -> Receipt | None:
        """The receipt of our own log, when the document is here."""
        log = getattr(self._node, "log", None)
        if case.file is None or log is None:
            return None
        stored = await self._node.store.read(documents.get, case.file.digest)
        if stored is None or stored.leaf is None:
            return None
        found = await log.receipt(stored.leaf)
        return None if found is None else Receipt(found.entry, found.text)

    # -- looking again -------------------------------------------------------------------------

    def _list_changed(self, _members: MemberList) -> None:
        self._wake.set()

    async def _look_again(self) -> None:
        while True:
            changed = self._wake.is_set()
            self._wake.clear()
            try:
                await self._turn(changed=changed)
            except TradeError as error:
                self._node.telemetry.log.warning("verification.turn", code=error.code)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _turn(self, *, changed: bool) -> None:
        if self._node.members.current is None:
            return
        now = self._node.clock.now_ms()
        if changed:
            await self._node.store.write(rows.all_due, now)
        due = await self._node.store.read(rows.due, now)
        # Several at once: an issuer that answers slowly must not keep others' documents waiting.
        for start in range(0, len(due), AT_ONCE):
            await asyncio.gather(*map(self._again, due[start : start + AT_ONCE]))

    async def _again(self, waiting: Undecided) -> None:
        stored = await self._node.store.read(documents.get, waiting.digest)
        if stored is None:
            await self._node.store.write(rows.settle, waiting.digest)
            return
        judged = await self.judge(stored.file)
        await self._node.store.write(self._decide, waiting, judged)

    def _decide(self, conn: Connection, waiting: Undecided, judged: Judged) -> None:
        """Keep the newer report; when it is decided, tell and answer.

        Meanwhile a genuine copy may have come and settled it: then this was about another file.
        """
        if not rows.waits(conn, waiting.digest):
            return
        documents.set_report(conn, waiting.digest, judged.report)
        if judged.report.verdict is Outcome.INDETERMINATE:
            rows.postpone(conn, waiting, self._node.clock.now_ms())
            return
        if not rows.settle(conn, waiting.digest) or judged.document is None:
            return
        intake.answer(conn, self._node, judged.report, waiting.digest, waiting)
        intake.tell(conn, self._node, judged, waiting.sender)
        intake.after_change(conn, self._node, judged.document)
