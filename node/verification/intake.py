"""Documents that arrive: verified before they are kept, answered when they are (R8, R25).

PASSED is kept and answered, INDETERMINATE is kept apart, answered so, and looked at again, FAILED
is refused with the failing check's code; what it changed is named when the intact copy is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from node.aeo import flagging
from node.aeo import rows as aeo_rows
from node.basis import flagging as basis
from node.documents import documents
from node.exchange.message import Handler
from node.ships import rows as ship_rows
from node.store import events
from node.verification import conflicts, judging, rows
from node.verification.rows import Undecided
from protocols.exchange.control import MEDIA_TYPE, Feedback
from protocols.exchange.manifest import DOCUMENT, VALIDATED
from schemas.catalogue import explain
from schemas.errors import RefusedError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.exchange.message import InboundMessage
    from node.runtime import Node
    from node.verification.judging import Judged
    from node.verification.service import VerificationService
    from protocols.verify import Document
    from schemas.findings import Report


class DocumentHandler(Handler):
    """Messages `urn:pratique:document:<type>`."""

    def __init__(self, node: Node, service: VerificationService) -> None:
        """Judges by `service`."""
        self._node = node
        self._service = service

    @override
    async def prepare(self, message: InboundMessage) -> Judged:
        """Judge it now; raises RefusedError with the failing check's code."""
        judged = await self._service.judge(message.body)
        if judged.report.verdict is Outcome.FAILED:
            read = self._node.store.read
            judged = await read(judging.name_differences, message.body, judged)
            raise refusal(judged)
        if judged.document is None:
            raise RefusedError("document_refused", "the document could not be read")
        _require_announced(message, judged.document)
        return judged

    @override
    def apply(self, conn: Connection, message: InboundMessage, prepared: Any) -> None:
        """Keep it, tell the event, answer the sender, look at releases again."""
        judged: Judged = prepared
        document, now = judged.document, self._node.clock.now_ms()
        assert document is not None
        if judged.verified is not None:
            fresh = documents.put_received(
                conn, judged.verified, sender=message.sender, now_ms=now, leaf=message.leaf
            )
            rows.settle(conn, document.digest)
        else:
            fresh = documents.put_undecided(
                conn, document, judged.report, sender=message.sender, now_ms=now, leaf=message.leaf
            )
            waiting = Undecided(document.digest, message.sender, message.id, message.digest, 0)
            rows.keep(conn, waiting, now)
        answer(conn, self._node, judged.report, document.digest, message)
        if fresh:
            tell(conn, self._node, judged, message.sender, message.leaf)
            after_change(conn, self._node, document)


def refusal(judged: Judged) -> RefusedError:
    """The error that refuses a document, with its report's reason and findings."""
    check = judged.reason
    assert check is not None
    known = explain(check.code)
    code = check.code if known is not None else "document_refused"
    altered = next((each for each in judged.report.findings if each.rule == "ALT-001"), None)
    told = f"{check.id} {check.reason}".strip()
    if altered is not None:
        told = f"{told}; {altered.pointer}: {altered.message}"
    return RefusedError(code, told, findings=judged.report.findings)


def _require_announced(message: InboundMessage, document: Document) -> None:
    """The body is the type that the manifest announced, in the stream of its consignment."""
    announced = message.type.removeprefix(DOCUMENT)
    if announced != document.claims.document_type:
        raise RefusedError("document_refused", "the document has another type than announced")


def answer(
    conn: Connection, node: Node, report: Report, digest: bytes, to: InboundMessage | Undecided
) -> None:
    """Tell the sender the verdict (`urn:pratique:validated`, level two)."""
    check = next((each for each in report.checks if each.outcome is report.verdict), None)
    passed = report.verdict is Outcome.PASSED
    feedback = Feedback(
        message=to.message if isinstance(to, Undecided) else to.id,
        digest=to.message_digest if isinstance(to, Undecided) else to.digest,
        outcome=report.verdict.value,
        code=None if passed or check is None else check.code or check.id,
        detail=None if passed or check is None else check.id,
        document=digest,
    )
    body = feedback.to_bytes()
    try:
        node.exchange.enqueue(conn, to.sender, VALIDATED, body, MEDIA_TYPE, None)
    except RefusedError as error:
        # Who left the network gets no answer; the document stays what it is.
        node.telemetry.log.warning("verification.answer", peer=to.sender, code=error.code)


def tell(
    conn: Connection, node: Node, judged: Judged, actor: str, leaf: bytes | None = None
) -> None:
    """The event of a verdict, and an alarm when one number was issued twice."""
    document, report = judged.document, judged.report
    assert document is not None
    check = judged.reason
    kinds = {Outcome.PASSED: "validated", Outcome.FAILED: "refused"}
    detail = {
        "type": document.claims.document_type,
        "number": document.claims.number,
        "verdict": report.verdict.value,
        **({"check": check.id, "code": check.code} if check else {}),
    }
    events.record(
        conn,
        kind=kinds.get(report.verdict, "quarantined"),
        at=node.clock.now_ms(),
        document=document.digest,
        consignment=document.claims.consignment,
        actor=actor,
        leaf=leaf,
        detail=detail,
    )
    if report.verdict is Outcome.PASSED:
        conflicts.watch(conn, node, document)


def after_change(conn: Connection, node: Node, document: Document) -> None:
    """What else depends on a document that came or changed: releases. Titles look themselves."""
    stored = documents.get(conn, document.digest)
    if stored is not None:
        aeo_rows.note(conn, stored, node.clock.now_ms())
        ship_rows.note(conn, stored)
        flagging.flag(conn, node, stored)
        basis.note(conn, node, stored)
        consistency = getattr(node, "consistency", None)
        if consistency is not None:
            consistency.note(conn, stored)
    release = getattr(node, "release", None)
    if release is not None and stored is not None and stored.consignment is not None:
        release.reconsider(conn, stored.consignment)
