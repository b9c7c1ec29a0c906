"""Revoking, suspending and reinstating our own documents, and taking in the lists of others.

A push carries the signed list; the push itself changes nothing (R11). Whoever forwarded a
document passes the list on to those it went to. A list is taken only if it verifies and does not
go back; an older one that arrives late is kept as history and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.basis import flagging as basis
from node.documents import documents, status
from node.documents.documents import ISSUED, StoredDocument
from node.documents.issuing import append_status
from node.review import approving
from node.store import events
from protocols import approval, times
from protocols.credentials import status_list
from protocols.credentials.status_list import SUSPENSION, StatusEntry, StatusList
from protocols.exchange.manifest import REVOCATION
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import ConflictError, ForbiddenError, RefusedError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.alarms import ListAlarms
    from node.documents.status import Publisher
    from node.exchange.message import InboundMessage
    from node.runtime import Node

CONTENT_TYPE = "application/json"
MAX_BYTES = 2 * 1024 * 1024
#: How a document stands after a change; the words of events, and of what recipients were told.
REVOKED, SUSPENDED, REINSTATED = "revoked", "suspended", "reinstated"
_ACTS = {
    REVOKED: approval.REVOKE,
    SUSPENDED: approval.SUSPEND,
    REINSTATED: approval.REINSTATE,
}


@dataclass(frozen=True, slots=True)
class Change:
    """Which document, why, and by whose approvals (R26)."""

    digest: bytes
    reason: str
    approvals: Sequence[str] = ()


def revoke(conn: Connection, node: Node, publisher: Publisher, change: Change) -> StoredDocument:
    """Revoke a document of ours: list, leaf, event and messages in the caller's transaction.

    Raises NotFoundError `document_not_here`, ForbiddenError `not_the_issuer`, ConflictError
    `already_revoked`, and as `approving.for_change`.
    """
    document = _own(conn, change.digest)
    status.revoke(conn, document.status, change.reason, node.clock.now_ms())
    return _changed(conn, node, publisher, document, document.status, change, REVOKED)


def suspend(conn: Connection, node: Node, publisher: Publisher, change: Change) -> StoredDocument:
    """Suspend a document of ours, until it is reinstated or revoked; all in the transaction.

    Raises as `revoke`; ConflictError `revocation_is_final`, `already_suspended`, RefusedError
    `suspension_not_offered`.
    """
    document = _own(conn, change.digest)
    entry = _suspension(document)
    status.suspend(conn, entry, change.reason, node.clock.now_ms())
    return _changed(conn, node, publisher, document, entry, change, SUSPENDED)


def reinstate(conn: Connection, node: Node, publisher: Publisher, change: Change) -> StoredDocument:
    """End a suspension of ours. Raises as `suspend`; ConflictError `not_suspended`."""
    document = _own(conn, change.digest)
    entry = _suspension(document)
    status.reinstate(conn, entry)
    return _changed(conn, node, publisher, document, entry, change, REINSTATED)


def _own(conn: Connection, digest: bytes) -> StoredDocument:
    document = documents.require(conn, digest)
    if document.origin != ISSUED:
        raise ForbiddenError("not_the_issuer", "only the issuing body changes its status")
    return document


def _suspension(document: StoredDocument) -> StatusEntry:
    if document.revoked_at is not None:
        raise ConflictError("revocation_is_final", "the document is revoked")
    if document.suspension is None:
        raise RefusedError("suspension_not_offered", "its credential has no such entry")
    return document.suspension


def _changed(
    conn: Connection,
    node: Node,
    publisher: Publisher,
    document: StoredDocument,
    entry: StatusEntry,
    change: Change,
    standing: str,
) -> StoredDocument:
    """Sign the list, mark the document, and tell everybody: leaf, event, messages, releases."""
    now_ms = node.clock.now_ms()
    act, reason = _ACTS[standing], change.reason
    approved = approving.for_change(conn, node, act, document, reason, change.approvals)
    text = status.current(conn, publisher, entry.list_url.rpartition("/")[2], now_ms)
    since = None if standing == REINSTATED else now_ms
    documents.mark(conn, document.digest, entry.purpose, since)
    leaf_hash = append_status(conn, document, now_ms)
    detail = {"reason": reason, **approved}
    _tell_event(conn, standing, document, node.did, now_ms, leaf_hash, detail)
    relay(conn, node, text, document.digest, standing)
    _reconsider(conn, node, document)
    if standing == REVOKED:
        basis.revoked(conn, node, document)
    return documents.require(conn, document.digest)


def _tell_event(
    conn: Connection,
    kind: str,
    document: StoredDocument,
    actor: str,
    now_ms: int,
    leaf_hash: bytes | None,
    detail: Mapping[str, Any],
) -> None:
    events.record(
        conn,
        kind=kind,
        at=now_ms,
        document=document.digest,
        consignment=document.consignment,
        actor=actor,
        leaf=leaf_hash,
        detail={"type": document.type, "number": document.number, **detail},
    )


def relay(conn: Connection, node: Node, signed_list: str, digest: bytes, standing: str) -> None:
    """Queue the list for everybody this document went to from here, once per change (R11)."""
    for did, told in documents.untold(conn, [digest], standing).items():
        body = message_body(signed_list, told)
        try:
            node.exchange.enqueue(conn, did, REVOCATION, body, CONTENT_TYPE, None)
        except RefusedError as error:
            # Whoever left the network is not reached any more; nobody else waits for that.
            node.telemetry.log.warning("documents.relay", peer=did, code=error.code)
            continue
        documents.mark_told(conn, told, did, standing)


def message_body(signed_list: str, digests: Iterable[bytes]) -> bytes:
    """The body of a revocation message: the signed list, and which documents it is about."""
    return strict_json.canonical(
        {"statusList": signed_list, "documents": [digest.hex() for digest in digests]}
    )


def _reconsider(conn: Connection, node: Node, document: StoredDocument) -> None:
    """A revocation re-opens an unused release (R25), where this node decides releases."""
    release = getattr(node, "release", None)
    if release is not None and document.consignment is not None:
        release.reconsider(conn, document.consignment)


def take(conn: Connection, node: Node, opened: StatusList, *, floor: int = 0) -> bool:
    """Keep a verified list of somebody else and act on what it says; False when it is old.

    floor: validFrom (ms) of what was held when the list was asked for: nobody answers with less.
    Raises RefusedError `status_rollback` then, or when a later list takes a revocation back;
    ConflictError `status_fork`.
    """
    now_ms = node.clock.now_ms()
    if times.to_ms(opened.valid_from) < floor:
        raise RefusedError("status_rollback", "the list is older than the one already held")
    fresh = require_onward(conn, opened)
    status.keep(conn, opened, now_ms)
    found = status.newest(conn, opened.url, opened.issuer)
    if found is None or found[0].digest != opened.digest:
        return False  # an older version that came late is history and no more
    for purpose in (status_list.REVOCATION, SUSPENSION):
        if purpose in opened.purposes:
            for one in documents.on_list(conn, opened.url, purpose):
                _act(conn, node, one, opened, purpose, now_ms)
    return fresh


def require_onward(conn: Connection, opened: StatusList) -> bool:
    """Whether a verified list is news; it may be an older version, but never another history.

    Raises RefusedError `status_rollback` when it takes a revocation back, ConflictError
    `status_fork` when another list was signed for the same moment.
    """
    valid_from = times.to_ms(opened.valid_from)
    known = status.version_of(conn, opened.url, opened.issuer, valid_from)
    if known is not None and known != opened.digest:
        raise ConflictError("status_fork", "two lists were signed for the same moment")
    found = status.newest(conn, opened.url, opened.issuer)
    if found is not None and opened.valid_from < found[0].valid_from:
        return False
    return status_list.supersedes(opened, found[0] if found else None)


def _act(
    conn: Connection,
    node: Node,
    one: documents.Standing,
    opened: StatusList,
    purpose: str,
    now_ms: int,
) -> None:
    """What the list says about one document we hold, if that is news."""
    members = node.members.current
    at = opened.valid_from
    if members is None or not status_list.keeps_for(opened.issuer, one.issuer, members, at):
        return
    said = one.index < len(opened.bits) * 8 and status_list.bit(opened.bits, one.index)
    if said == one.marked or (purpose == status_list.REVOCATION and not said):
        return
    standing = REVOKED if purpose == status_list.REVOCATION else SUSPENDED if said else REINSTATED
    document = documents.require(conn, one.digest)
    documents.mark(conn, one.digest, purpose, now_ms if said else None)
    leaf_hash = append_status(conn, document, now_ms)
    detail = {"status": standing, "list": opened.url, "index": one.index}
    _tell_event(conn, "status-changed", document, opened.issuer, now_ms, leaf_hash, detail)
    relay(conn, node, opened.signed, one.digest, standing)
    _reconsider(conn, node, document)
    if standing == REVOKED:
        basis.revoked(conn, node, document)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A revocation message, read; the list is verified."""

    opened: StatusList


class RevocationHandler:
    """Messages `urn:pratique:revocation`: see `node.exchange.message.Handler`."""

    def __init__(self, node: Node, alarms: ListAlarms) -> None:
        """Verifies against the node's member list."""
        self._node = node
        self._alarms = alarms

    async def prepare(self, message: InboundMessage) -> Pushed:
        """Verify the list that the push carries, by its issuer's key, whoever sent it.

        One that forks, or takes a revocation back, is told as an alarm and refused, which the
        sender learns.
        """
        body = strict_json.loads_object(message.body, max_bytes=MAX_BYTES)
        fields = Fields(body, "revocation_malformed")
        text = fields.text("statusList", max_length=MAX_BYTES)
        members = self._node.members.current
        if members is None:
            raise RefusedError("outside_a_network", "this node is in no network yet")
        now = self._node.clock.now()
        opened = status_list.open_list(text, members=members, now=now)
        try:
            await self._node.store.read(require_onward, opened)
        except TradeError as error:
            await self._alarms.tell(opened.issuer, opened.url, error)
            raise
        return Pushed(opened)

    def apply(self, conn: Connection, message: InboundMessage, prepared: Pushed) -> None:
        """Take the list, unless it is our own."""
        if prepared.opened.issuer == self._node.did:
            return
        if take(conn, self._node, prepared.opened):
            self._node.telemetry.log.info("documents.status_taken", peer=message.sender)
