"""The receiving platform: envelopes, their documents, the answer that is signed (PINT 3.0.0).

The order is R20's: all checks, then the transfer is durable, then the recipient's acceptance is
final at the arbiter, then bill, chain and RECE are durable in one transaction, and only then RECE
is answered. After a crash in between, whoever asks again, or the node itself, comes to the same
end. A refused envelope leaves nothing that could hinder the correct one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger import log
from ledger.log import Fact
from node.pint import judging, replies, rows, views
from node.pint.accepting import Acceptance
from node.pint.keys import platform_signer
from node.store import events
from node.title import rows as title_rows
from protocols import times
from protocols.digest import sha256
from protocols.log import leaf
from protocols.log.leaf import LeafKind
from protocols.pint import answers, documents
from protocols.pint.envelope import open_envelope_manifest, read_envelope
from protocols.pint.judgement import Outcome
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Response
from protocols.title.operation import read_manifest
from schemas import strict_json
from schemas.errors import NotFoundError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection

    from node.pint.judging import Looked
    from node.pint.replies import Reply
    from node.pint.rows import Transfer
    from node.runtime import Node
    from protocols.pint.envelope import EnvelopeManifest
    from protocols.pint.judgement import Judgement

TRIES = 4
REFERENCE_BYTES = 18
#: Larger envelopes are judged before a writing transaction begins, which others wait for.
MAX_AT_ONCE = 64 * 1024
_LEAF_TYPE, _SALT = "pint-received", b"pratique/pint/1\n"


@dataclass(frozen=True, slots=True)
class Received:
    """What was accepted, for those who watch: told inside the transaction that keeps it."""

    document: bytes
    sender: str
    judgement: Judgement = field(repr=False)


Watcher = Callable[["Connection", Received], None]


class _Changed(Exception):  # noqa: N818 - no error: look again
    """The bill moved on between looking and keeping."""


class Receiving:
    """The four operations, without HTTP."""

    def __init__(self, node: Node) -> None:
        """Keeps nothing but locks in memory."""
        self._node = node
        self.acceptance = Acceptance(node)
        self._locks: dict[bytes, tuple[asyncio.Lock, int]] = {}
        self._watchers: list[Watcher] = []
        self._dispute_watchers: list[Watcher] = []
        self._answers = node.telemetry.counter(
            "pratique_pint_answers_total", "PINT envelopes answered", ("code",)
        )

    def watch(self, watcher: Watcher) -> None:
        """`watcher` is called in the transaction of every acceptance, a notice's too."""
        self._watchers.append(watcher)

    def watch_disputes(self, watcher: Watcher) -> None:
        """`watcher` is called, in a transaction of its own, for every envelope answered DISE."""
        self._dispute_watchers.append(watcher)

    # -- POST /v3/envelopes --------------------------------------------------------------------

    async def start(self, body: bytes) -> Reply:
        """An envelope: RECE or DUPE, 201 with what is missing, or a signed refusal.

        Raises MalformedError or TooLargeError for what is no envelope, UnavailableError while the
        outcome is not known, NotFoundError `pint_not_a_platform`: all answered unsigned.
        """
        platform_signer(self._node)
        for _ in range(TRIES):
            with suppress(_Changed):
                return self._count(await self._try(body))
        raise UnavailableError("pint_busy", "the bill changes all the time; ask again")

    async def _try(self, body: bytes) -> Reply:
        if len(body) > MAX_AT_ONCE:
            looked = await self._look(body)
        else:
            found = await self._node.store.write_together(self._at_once, body)
            if isinstance(found, replies.Reply):
                return found
            looked = found
        try:
            return await self._answer(looked, body)
        except EnvelopeRefusedError as error:
            refused = answers.rejected(_last(looked), error.response, error.detail)
            await self._refused(looked, error)
            await self.acceptance.decline(looked.judgement, error.code)
            return replies.signed(refused, platform_signer(self._node))

    def _at_once(self, conn: Connection, bodies: Sequence[bytes]) -> list[Reply | Looked]:
        """What waits for nothing, no document and no registry, is kept as soon as it is judged.

        One transaction sees the bills and takes them over, so many envelopes share a commit and
        none is looked at twice. All else is only looked at.
        """
        looks = judging.look_all(conn, self._node, bodies, self._node.clock.now())
        told: list[Reply | Looked] = [*looks]
        # Of one bill only the first: it changes what the others were compared with.
        first: dict[bytes, int] = {}
        for place, looked in enumerate(looks):
            if self._waits_for_nothing(looked):
                first.setdefault(looked.document, place)
        if places := list(first.values()):
            done = self._finish(conn, [(looks[place], bodies[place]) for place in places])
            for place, reply in zip(places, done, strict=True):
                told[place] = reply
        return told

    def _waits_for_nothing(self, looked: Looked) -> bool:
        judgement = looked.judgement
        if judgement.outcome is not Outcome.READY or judgement.registry is not None:
            return False
        assert judgement.manifest is not None
        # Somebody else's acceptance of this very bill may be under way at an arbiter.
        return not judgement.manifest.additional and looked.document not in self._locks

    def _finish(self, conn: Connection, taken: Sequence[tuple[Looked, bytes]]) -> list[Reply]:
        """RECE of each, signed and kept; it may be told once the transaction is durable."""
        signer = platform_signer(self._node)
        finished = [looked.judgement.received() for looked, _ in taken]
        texts = [one.sign(signer) for one in finished]
        self._keep(
            conn,
            [
                (looked, _transfer(looked, body, rows.RECEIVED, text))
                for (looked, body), text in zip(taken, texts, strict=True)
            ],
        )
        return [
            replies.told(text, one.status, one.response.value)
            for one, text in zip(finished, texts, strict=True)
        ]

    async def _look(self, body: bytes) -> Looked:
        now = self._node.clock.now()
        return await self._node.store.read(judging.look, self._node, body, now)

    async def _answer(self, looked: Looked, body: bytes) -> Reply:
        judgement = looked.judgement
        if judgement.outcome is Outcome.MALFORMED:
            assert judgement.error is not None
            raise judgement.error
        if judgement.outcome is Outcome.REFUSED:
            assert isinstance(judgement.error, EnvelopeRefusedError)
            raise judgement.error
        if judgement.outcome is Outcome.DUPLICATE:
            return replies.signed(judgement.finished(), platform_signer(self._node))
        self._require_bearable(looked)
        async with self._alone(looked.document):
            if judgement.outcome is Outcome.DOCUMENTS:
                transfer = await self._begin(looked, body, rows.ACTIVE)
                started = judgement.started(transfer.reference)
                return replies.unsigned(started.to_json(), 201)
            return await self._accept(looked, body)

    def _require_bearable(self, looked: Looked) -> None:
        """Documents that could never be taken are refused before anything is begun."""
        manifest, limits = looked.judgement.manifest, self._node.settings.pint
        assert manifest is not None
        sizes = [one.size for one in manifest.additional.values()]
        if max(sizes, default=0) > limits.max_document or sum(sizes) > limits.max_documents:
            raise EnvelopeRefusedError(
                Response.BENV, "pint_document_too_large", "the documents are too large for us"
            )

    async def _begin(self, looked: Looked, body: bytes, state: str) -> Transfer:
        now = self._node.clock.now_ms()
        return await self._node.store.write(self._put, looked, body, state, now)

    def _put(self, conn: Connection, looked: Looked, body: bytes, state: str, now: int) -> Transfer:
        self._require_unchanged(conn, looked)
        known = rows.transfer_of(conn, looked.document, looked.entry)
        limit = self._node.settings.pint.max_active
        if known is None and rows.active_of(conn, looked.sender) >= limit:
            raise UnavailableError("pint_too_many_transfers", "finish what was begun first")
        return rows.put_transfer(conn, _transfer(looked, body, state), now)

    @staticmethod
    def _require_unchanged(conn: Connection, looked: Looked) -> None:
        # Another worker or request may have taken the bill over since it was looked at.
        if rows.known_chain(conn, looked.document) != looked.known:
            raise _Changed

    # -- accepting -----------------------------------------------------------------------------

    async def _accept(self, looked: Looked, body: bytes) -> Reply:
        """R20: durable, accepted at the arbiter, kept, and then told. The bill is locked."""
        if looked.judgement.registry is not None:
            await self._take(looked, body)
        return (await self._node.store.write(self._finish, [(looked, body)]))[0]

    async def _take(self, looked: Looked, body: bytes) -> None:
        """Where a registry guards the bill: nothing is accepted there that is not durable here."""
        transfer = await self._begin(looked, body, rows.ACCEPTING)
        try:
            await self.acceptance.take(looked.judgement, looked.account)
        except EnvelopeRefusedError:
            await self._node.store.write(rows.drop_transfer, transfer.reference)
            raise

    def _keep(self, conn: Connection, taken: Sequence[tuple[Looked, dict[str, Any]]]) -> None:
        """Bill, chain, answer and event, together or not at all (R8).

        Table by table, as the statements of one table are in the processor's caches then.
        """
        now = self._node.clock.now_ms()
        for looked, _ in taken:
            self._keep_chain(conn, looked, now)
        for _, transfer in taken:
            rows.put_received(conn, transfer, now)
        self._tell(conn, [looked for looked, _ in taken], now)
        for looked, _ in taken:
            judgement, issuance = looked.judgement, self._issuance(looked.judgement)
            if judgement.title is not None:
                title_rows.put_bill(conn, read_manifest(issuance)[1], issuance, None, now)
            for watcher in self._watchers:
                watcher(conn, Received(looked.document, looked.sender, judgement))

    def _keep_chain(self, conn: Connection, looked: Looked, now: int) -> None:
        envelope, document = looked.judgement.envelope, looked.document
        assert envelope is not None
        values, status = self._bill(looked), self._status(looked)
        last = len(envelope.chain) - 1
        if looked.known is None:
            if not rows.add_bill(conn, document, now, **values, status=status):
                raise _Changed
            rows.add_entries(conn, document, envelope.chain, last, now)
            return
        self._require_unchanged(conn, looked)
        rows.put_bill(conn, document, now, **values)
        rows.keep_chain(conn, document, envelope.chain, now, accepted=(last,))
        # Last: a chain that ended may be followed by another only from now on.
        rows.put_bill(conn, document, now, status=status)

    def _bill(self, looked: Looked) -> dict[str, Any]:
        judgement = looked.judgement
        assert judgement.envelope is not None
        assert judgement.state is not None
        document = judgement.envelope.document
        carrier = judgement.state.carrier
        return {
            "reference": str(document.get("transportDocumentReference", "")),
            "carrier": carrier.did or carrier.name,
            "title": judgement.title,
            "registry": judgement.registry,
            "issuance": self._issuance(judgement),
            "body": judgement.document.decode(),
            "state": strict_json.canonical(views.state_json(judgement.state)).decode(),
            "report": views.report_json(judgement.checks, times.to_text(self._node.clock.now())),
        }

    @staticmethod
    def _issuance(judgement: Judgement) -> str:
        issuance = judgement.entries[0].entry.issuance
        assert issuance is not None  # PINT-06
        return issuance

    def _status(self, looked: Looked) -> str:
        state = looked.judgement.state
        assert state is not None
        if state.ended is not None:
            return rows.ENDED
        last = looked.judgement.entries[-1].last
        here = last.recipient.platform if last.recipient is not None else ""
        if state.possessor.platform != here:
            return rows.SENT
        return rows.HERE if state.surrender is None else rows.SURRENDERED

    def _tell(self, conn: Connection, taken: Sequence[Looked], now: int) -> None:
        # No final operation of an arbiter leaves a leaf for a bill that is under none: our own log
        # says when it came (R8).
        untold = [looked for looked in taken if looked.judgement.title is None]
        added = log.remember_all(conn, [_fact(looked) for looked in untold], now)
        leaves = {one.document: kept.hash for one, kept in zip(untold, added, strict=True)}
        for looked in taken:
            judgement, last = looked.judgement, looked.judgement.entries[-1].last
            detail = {
                "bill": looked.document.hex(),
                "title": judgement.title.hex() if judgement.title else None,
                "action": last.action.value,
                "from": looked.sender,
                "entry": looked.entry.hex(),
            }
            events.record(
                conn,
                kind="pint-received" if judgement.moves_possession else "pint-notified",
                at=now,
                actor=last.actor.did,
                leaf=leaves.get(looked.document),
                detail=detail,
            )

    async def _refused(self, looked: Looked, error: EnvelopeRefusedError) -> None:
        """Told to the operator; of the envelope itself nothing stays (never a poisoned state)."""
        self._node.telemetry.log.warning(
            "pint.refused", response=error.response.value, code=error.code, why=error.detail
        )
        if error.response is Response.DISE and looked.judgement.entries:
            await self._node.store.write(self._disputed, looked)

    def _disputed(self, conn: Connection, looked: Looked) -> None:
        received = Received(looked.document, looked.sender, looked.judgement)
        for watcher in self._dispute_watchers:
            watcher(conn, received)

    # -- PUT …/additional-documents/… ----------------------------------------------------------

    async def document(self, reference: str, checksum: bytes, body: bytes) -> Reply:
        """One additional document: 204, or INCD, which does not end the transfer.

        Raises NotFoundError `pint_transfer_unknown`, MalformedError for what is no base64.
        """
        transfer, manifest = await self._manifest(reference)
        content = documents.read_document_body(body)
        try:
            documents.take_document(manifest.additional, checksum, content)
        except EnvelopeRefusedError as error:
            refused = answers.rejected(transfer.last, error.response, error.detail)
            return self._count(replies.signed(refused, platform_signer(self._node)))
        now = self._node.clock.now_ms()
        named = (transfer.document, transfer.platform, checksum, content, now)
        await self._node.store.write(rows.put_document, *named)
        return replies.Reply(204)

    async def _manifest(self, reference: str) -> tuple[Transfer, EnvelopeManifest]:
        return await self._node.store.read(_manifest_of, reference)

    # -- PUT …/finish-transfer -----------------------------------------------------------------

    async def finish(self, reference: str) -> Reply:
        """The signed end of a transfer: RECE, MDOC with what is missing, or as `start`.

        Asked again, it gives the answer that was stored. Raises as `start`, and NotFoundError
        `pint_transfer_unknown`.
        """
        transfer, _ = await self._manifest(reference)
        if transfer.answer is not None:
            return self._count(replies.told(transfer.answer, 200, Response.RECE.value))
        looked = await self._look(transfer.envelope)
        if looked.judgement.outcome is Outcome.DOCUMENTS:
            reason = "documents of the manifest are missing"
            missing = answers.missing_documents(_last(looked), looked.judgement.missing, reason)
            return self._count(replies.signed(missing, platform_signer(self._node)))
        reply = await self.start(transfer.envelope)
        if reply.status not in (200, 201):
            await self._node.store.write(rows.drop_transfer, reference)
        return reply

    # -- what was left undone ------------------------------------------------------------------

    async def resume(self, before_ms: int, limit: int = 20) -> int:
        """Come to an end with transfers that were being accepted; how many were looked at."""
        waiting = await self._node.store.read(rows.unsettled, before_ms, limit)
        for transfer in waiting:
            await self._resume(transfer)
        return len(waiting)

    async def _resume(self, transfer: Transfer) -> None:
        state = rows.ACTIVE
        try:
            # Refused now: whoever sent it may ask again, the node itself does not.
            reply = await self.start(transfer.envelope)
            if reply.status == 200:
                return
        except TradeError as error:
            self._node.telemetry.log.info("pint.not_resumed", code=error.code)
            state = rows.ACCEPTING
        now = self._node.clock.now_ms()
        await self._node.store.write(rows.settle, transfer.reference, state, now, None)

    # -- shared --------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self, document: bytes) -> AsyncIterator[None]:
        """One request at a time for one bill."""
        lock, users = self._locks.get(document, (asyncio.Lock(), 0))
        self._locks[document] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[document]
            if users == 1:
                del self._locks[document]
            else:
                self._locks[document] = (lock, users - 1)

    def _count(self, reply: Reply) -> Reply:
        self._answers.labels(reply.code or str(reply.status)).inc()
        return reply


def _transfer(looked: Looked, body: bytes, state: str, answer: str | None = None) -> dict[str, Any]:
    """The columns of a transfer that begins, or ends, now."""
    return {
        "reference": secrets.token_urlsafe(REFERENCE_BYTES),
        "document": looked.document,
        "entry": looked.entry,
        "last": looked.judgement.entries[-1].jws.checksum,
        "platform": looked.sender,
        "envelope": body,
        "state": state,
        "answer": answer,
    }


def _fact(looked: Looked) -> Fact:
    """The leaf of a bill that came, by its last entry's text.

    A subject of its own: a register of records kept here counts the leaves of its own (`_placed`
    in `protocols.pint.tracking_proof`).
    """
    salt = sha256(_SALT + looked.document)
    about = leaf.subject(_LEAF_TYPE, looked.document.hex(), salt)
    commit = leaf.commit(salt, looked.judgement.entries[-1].jws.checksum)
    return Fact(LeafKind.TITLE_OPERATION_SEEN, about, commit)


def _last(looked: Looked) -> bytes:
    """What every signed answer names: the checksum of the last entry's text in the request."""
    assert looked.judgement.envelope is not None
    return looked.judgement.envelope.last_checksum


def _manifest_of(conn: Connection, reference: str) -> tuple[Transfer, EnvelopeManifest]:
    transfer = rows.transfer(conn, reference)
    if transfer is None:
        raise NotFoundError("pint_transfer_unknown", "no transfer here has that reference")
    _, manifest = open_envelope_manifest(read_envelope(transfer.envelope).manifest)
    return transfer, manifest
