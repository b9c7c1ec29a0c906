"""Putting inquiries about proofs of origin, taking them, answering and determining.

Messages `urn:pratique:origin-inquiry`, signed by their sender in the manifest: `ask` by importing
customs, `received` by the issuing body (the days run from then), `answer`, `determination`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from node.balance.register import require_entitled
from node.documents import documents
from node.inquiries import rows
from node.store import events
from node.verification import judging
from protocols import origin_inquiry, times
from protocols.basis import PROOFS
from protocols.fields import Fields
from protocols.origin_inquiry import ANSWERS, DETERMINATIONS, Kind, read_inquiry, read_said
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.exchange.message import InboundMessage
    from node.inquiries.rows import Stored
    from node.runtime import Node
    from protocols.origin_inquiry import Inquiry, Said
    from schemas.strict_json import JsonValue

TYPE = "urn:pratique:origin-inquiry"
MEDIA_TYPE = "application/json"


def ask(conn: Connection, node: Node, order: Fields) -> Stored:
    """Put an inquiry to the issuing body of a proof that is here.

    Raises NotFoundError `document_not_here`, RefusedError `inquiry_not_a_proof`, ForbiddenError
    `inquiry_not_customs`, ConflictError `inquiry_not_due`.
    """
    inquiry = read_inquiry(order, str(uuid.uuid4()))
    stored = documents.require(conn, inquiry.certificate)
    _require_proof(stored)
    entry = judging.members_of(node).node(node.did)
    if entry is None or "customs" not in entry.roles:
        raise ForbiddenError("inquiry_not_customs", "customs of the importing country asks")
    if stored.issuer == node.did:
        raise RefusedError("inquiry_not_a_proof", "the proof is our own")
    if inquiry.kind is Kind.REFUSED:
        _require_no_days_running(conn, node, inquiry)
    now_ms = node.clock.now_ms()
    rows.put(conn, inquiry, node.did, stored.issuer, now_ms, None)
    _send(conn, node, stored.issuer, "ask", inquiry.id, inquiry.to_json())
    _tell(conn, node, stored, _KINDS[inquiry.kind], node.did, {"inquiry": inquiry.id})
    return rows.get(conn, node.did, inquiry.id)


def _require_no_days_running(conn: Connection, node: Node, inquiry: Inquiry) -> None:
    """What the issuing body still has time to answer is not refused meanwhile (3.24, 3.25).

    A verification that names no import is about every import on the proof.
    """
    now = node.clock.now()
    for one in rows.listed(conn, inquiry.certificate):
        mine = one.asked_by == node.did and one.said["kind"] == Kind.VERIFICATION
        same = one.said.get("declaration") in (None, "", inquiry.declaration)
        if mine and same and one.course.stage(now) in _WAITING:
            raise ConflictError("inquiry_not_due", "the issuing body still has time to answer")


_KINDS = {Kind.VERIFICATION: "origin-verification", Kind.REFUSED: "preference-refused"}


def _require_proof(stored: StoredDocument) -> None:
    if stored.type not in PROOFS:
        raise RefusedError("inquiry_not_a_proof", f"it is a {stored.type}")


def answer(conn: Connection, node: Node, id_: str, order: Fields) -> Stored:
    """The issuing body answers; late is better than never.

    Raises NotFoundError `inquiry_unknown`, ForbiddenError `inquiry_not_ours`, ConflictError
    `inquiry_closed`.
    """
    found = rows.named(conn, id_)
    if found.asked_of != node.did:
        raise ForbiddenError("inquiry_not_ours", "whoever was asked answers")
    return _say(conn, node, found, "answer", read_said(order, ANSWERS), found.asked_by)


def determine(conn: Connection, node: Node, id_: str, order: Fields) -> Stored:
    """Customs determines in writing (3.24), after the answer or when the days are over (3.25).

    Raises as `answer`; ConflictError `inquiry_not_due`.
    """
    found = rows.named(conn, id_)
    if found.asked_by != node.did:
        raise ForbiddenError("inquiry_not_ours", "whoever asked determines")
    said = read_said(order, DETERMINATIONS)
    open_ = found.course.stage(node.clock.now()) in _WAITING
    if open_ and said.outcome == "PREFERENCE_DENIED" and found.said["kind"] == Kind.VERIFICATION:
        raise ConflictError("inquiry_not_due", "the issuing body still has time to answer")
    return _say(conn, node, found, "determination", said, found.asked_of)


_WAITING = (origin_inquiry.Stage.SENT, origin_inquiry.Stage.RECEIVED)
_SAID = {"answer": "origin-answered", "determination": "origin-determined"}


def _say(conn: Connection, node: Node, found: Stored, what: str, said: Said, to: str) -> Stored:
    rows.say(conn, found, what, said, node.clock.now_ms())
    _send(conn, node, to, what, found.id, said.to_json())
    stored = documents.require(conn, found.certificate)
    detail = {"inquiry": found.id, "outcome": said.outcome}
    _tell(conn, node, stored, _SAID[what], node.did, detail)
    return rows.get(conn, found.asked_by, found.id)


def _send(
    conn: Connection, node: Node, to: str, what: str, id_: str, value: dict[str, JsonValue]
) -> None:
    data = origin_inquiry.body(what, id_, value)
    node.exchange.enqueue(conn, to, TYPE, data, MEDIA_TYPE, None)


def _tell(
    conn: Connection,
    node: Node,
    stored: StoredDocument,
    kind: str,
    actor: str,
    detail: dict[str, Any],
) -> None:
    events.record(
        conn,
        kind=kind,
        at=node.clock.now_ms(),
        document=stored.digest,
        consignment=stored.consignment,
        actor=actor,
        detail={"type": stored.type, "number": stored.number, **detail},
    )


class InquiryHandler:
    """Messages `urn:pratique:origin-inquiry`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node) -> None:
        """Keeps what is asked of this node and what is answered to it."""
        self._node = node

    async def prepare(self, message: InboundMessage) -> tuple[str, Fields]:
        """Which of the four it is, and its members."""
        fields = Fields(strict_json.loads_object(message.body), origin_inquiry.CODE)
        for what in ("ask", "received", "answer", "determination"):
            if fields.has(what):
                return what, fields.child(what)
        raise fields.fault("ask", "it asks, tells of receipt, answers or determines")

    def apply(
        self, conn: Connection, message: InboundMessage, prepared: tuple[str, Fields]
    ) -> None:
        """Keep it; raises RefusedError for what is not the sender's to say."""
        what, fields = prepared
        sender, at = message.sender, message.received_at
        if what == "ask":
            self._asked(conn, read_inquiry(fields), sender, at)
            return
        mine = what != "determination"
        id_ = fields.text("id", max_length=64)
        found = rows.get(conn, self._node.did if mine else sender, id_)
        if sender != (found.asked_of if mine else found.asked_by):
            raise RefusedError("inquiry_not_ours", "it was put between others")
        if what == "received":
            # Days counted from a moment still to come would never be over.
            rows.received(conn, found.asked_by, id_, min(times.to_ms(fields.time("at")), at))
            return
        said = read_said(fields, ANSWERS if what == "answer" else DETERMINATIONS)
        rows.say(conn, found, what, said, at)
        stored = documents.require(conn, found.certificate)
        detail = {"inquiry": id_, "outcome": said.outcome}
        _tell(conn, self._node, stored, _SAID[what], sender, detail)

    def _asked(self, conn: Connection, inquiry: Inquiry, sender: str, at: int) -> None:
        """Raises NotFoundError `document_not_here`, RefusedError `inquiry_not_ours`."""
        node = self._node
        stored = documents.require(conn, inquiry.certificate)
        _require_proof(stored)
        if stored.issuer != node.did:
            raise RefusedError("inquiry_not_ours", "the proof was issued by somebody else")
        require_entitled(node, stored, sender)
        if rows.put(conn, inquiry, sender, node.did, at, at):
            _tell(conn, node, stored, _KINDS[inquiry.kind], sender, {"inquiry": inquiry.id})
        moment: dict[str, JsonValue] = {"at": times.to_text(times.from_ms(at))}
        _send(conn, node, sender, "received", inquiry.id, moment)
