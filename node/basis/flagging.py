"""Flagging what stands on a revoked proof, in the transaction in which that becomes known (R25).

The flag goes along the chain of documents held here. For a proof of our own it is signed and sent
to all who got the proof, with the status list that shows the revocation; they go on from there.
Decisions that rested on it are told as to be looked at again. Nothing is revoked by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.balance import rows as balance_rows
from node.basis import pinned, rows
from node.basis.rows import Flag
from node.documents import documents, status
from node.documents.documents import ISSUED
from node.store import events
from node.verification import judging
from protocols import basis, times
from protocols.balance import Outcome
from protocols.basis import DECISIONS, MAX_PATH, PROOFS, Lost
from schemas import strict_json
from schemas.errors import RefusedError
from schemas.fields import text
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from node.verification.judging import Judged

TYPE = "urn:pratique:basis"
MEDIA_TYPE = "application/json"
MAX_TOLD = 20
_LINKED = PROOFS | DECISIONS | {basis.EVALUATION}


def note(conn: Connection, node: Node, stored: StoredDocument) -> None:
    """A document was issued or came: what it stands on, and whether that is lost already."""
    if stored.type not in _LINKED:
        return
    found = basis.stands_on(stored.type, strict_json.loads_object(stored.payload))
    if found and not rows.bases(conn, stored.digest):  # told once, when it is new here
        _tell_unsure(conn, node, stored)
    rows.link(conn, stored.digest, found)
    for digest in found:
        below = documents.get(conn, digest)
        if below is None:
            continue
        if below.revoked_at is not None:
            _revoked(conn, node, below, [stored.digest])
        for flag in flags_of(conn, node, below):
            _pass_on(conn, node, flag, [stored.digest])


def _tell_unsure(conn: Connection, node: Node, stored: StoredDocument) -> None:
    """The event that a proof it stands on is not here, or is here as another one."""
    found = pinned.findings(conn, stored.type, stored.payload)
    if not found:
        return
    events.record(
        conn,
        kind="basis-unknown",
        at=node.clock.now_ms(),
        document=stored.digest,
        consignment=stored.consignment,
        actor=node.did,
        detail={
            "type": stored.type,
            "number": stored.number,
            "findings": [each.to_json() for each in found[:MAX_TOLD]],
            "more": max(0, len(found) - MAX_TOLD),
        },
    )


def revoked(conn: Connection, node: Node, document: StoredDocument) -> None:
    """A document is revoked: flag what stands on it, and tell its issuer where that is wanted."""
    if document.type in PROOFS:
        standing = rows.dependents(conn, document.digest)
        _revoked(conn, node, document, standing)
        _rested(conn, node, document)
        if document.issuer != node.did:
            feed_back(conn, node, document, document.digest, document.issuer)


def _revoked(conn: Connection, node: Node, document: StoredDocument, standing: list[bytes]) -> None:
    shown = status.newest_named(conn, document.status_list_url)
    flag = Flag(
        document.digest,
        document.digest,
        node.did,
        (document.digest,),
        node.clock.now_ms(),
        None,
        shown.signed if shown else None,
    )
    _pass_on(conn, node, flag, standing)


def _pass_on(conn: Connection, node: Node, below: Flag, standing: list[bytes]) -> None:
    """The flag of one document goes to those that stand on it, and on from there."""
    waiting = [(below, digest) for digest in standing]
    while waiting:
        flag, digest = waiting.pop()
        stored = documents.get(conn, digest)
        if stored is None or digest in flag.path or len(flag.path) >= MAX_PATH:
            continue
        made = _signed(conn, node, stored, replace(flag, document=digest, by=node.did,
            path=(digest, *flag.path), at=node.clock.now_ms(), statement=None))  # fmt: skip
        if rows.put(conn, made):
            told(conn, node, stored, made)
            waiting += [(made, each) for each in rows.dependents(conn, digest)]


def _signed(conn: Connection, node: Node, stored: StoredDocument, flag: Flag) -> Flag:
    """With our statement, where the document is a proof of our own."""
    if stored.origin != ISSUED or stored.type not in PROOFS or flag.status_list is None:
        return flag
    opened = status.parsed(flag.status_list)
    index = _index_of(conn, flag)
    if index is None:
        return flag
    lost = Lost(
        network=judging.members_of(node).network.hex(),
        by=node.did,
        path=flag.path,
        keeper=opened.issuer,
        list_url=opened.url,
        index=index,
        at=times.from_ms(flag.at),
    )
    return replace(flag, statement=basis.sign(lost, node.keys.signer("exchange")))


def _index_of(conn: Connection, flag: Flag) -> int | None:
    """Where the revocation stands: of what is held here, else as a statement below says."""
    held = documents.get(conn, flag.lost)
    if held is not None:
        return held.status_index
    below = documents.get(conn, flag.path[1])
    for one in rows.flags(conn, flag.path[1], [below.issuer] if below else []):
        if one.lost == flag.lost and one.statement:
            return basis.parse(one.statement).index
    return None


def told(conn: Connection, node: Node, stored: StoredDocument, flag: Flag) -> None:
    """The event, the statement to whom the document went, and decisions that rested on it."""
    kind = "post-clearance" if stored.type in DECISIONS else "basis-lost"
    if rows.count(conn, stored.digest, flag.lost) == 1:  # told once, whoever says it again
        _event(conn, stored, kind, flag)
        _rested(conn, node, stored)
    for did in documents.recipients_of(conn, stored.digest):
        tell(conn, node, did, flag)


def _rested(conn: Connection, node: Node, proof: StoredDocument) -> None:
    """Decisions under declarations for which the proof was used, though they do not name it."""
    if proof.consignment is None:
        return
    used = {
        each.declaration
        for each in balance_rows.asked_about(conn, proof.digest)
        if each.outcome == Outcome.GRANTED.value
    }
    for kind in sorted(DECISIONS) if used else ():
        for decision in documents.find_all(conn, type=kind, consignment=proof.consignment):
            declared = text(strict_json.loads_object(decision.payload), "declarationNumber")
            linked = proof.digest in rows.bases(conn, decision.digest)
            path = (decision.digest, proof.digest)
            flag = Flag(*path, node.did, path, node.clock.now_ms(), None, None)
            if declared in used and not linked and rows.put(conn, flag):
                _event(conn, decision, "post-clearance", flag)


def _event(conn: Connection, stored: StoredDocument, kind: str, flag: Flag) -> None:
    detail = {
        "type": stored.type,
        "number": stored.number,
        "lost": flag.lost.hex(),
        "path": [each.hex() for each in flag.path],
    }
    events.record(
        conn,
        kind=kind,
        at=flag.at,
        document=stored.digest,
        consignment=stored.consignment,
        actor=flag.by,
        detail=detail,
    )


def tell(conn: Connection, node: Node, did: str, flag: Flag) -> None:
    """Send a signed statement, with the list that shows the revocation, to one node."""
    exchange = getattr(node, "exchange", None)
    if flag.statement is None or flag.status_list is None or exchange is None:
        return
    body = strict_json.canonical({"lost": flag.statement, "statusList": flag.status_list})
    try:
        exchange.enqueue(conn, did, TYPE, body, MEDIA_TYPE, None)
    except RefusedError as error:
        node.telemetry.log.warning("basis.tell", peer=did, code=error.code)


def tell_recipient(conn: Connection, node: Node, stored: StoredDocument, did: str) -> None:
    """A flagged document is sent: its flags go with it."""
    if stored.type in PROOFS:
        for flag in flags_of(conn, node, stored):
            tell(conn, node, did, flag)


def take(conn: Connection, node: Node, lost: Lost, signed_list: str) -> None:
    """Keep the statement of another node, and go on from it when it is the issuer's.

    Raises RefusedError `basis_not_lost` when it tells another place of a document that is here.
    """
    held = documents.get(conn, lost.lost)
    if held is not None and (held.status_list_url, held.status_index) != (
        lost.list_url,
        lost.index,
    ):
        raise RefusedError("basis_not_lost", "its revocation would stand in another place")
    flag = Flag(
        lost.document, lost.lost, lost.by, lost.path, node.clock.now_ms(), lost.text, signed_list
    )
    stored = documents.get(conn, lost.document)
    if not rows.put(conn, flag) or stored is None or stored.issuer != lost.by:
        return
    told(conn, node, stored, flag)
    _pass_on(conn, node, flag, rows.dependents(conn, lost.document))
    feed_back(conn, node, stored, lost.lost, lost.by)


def flags_of(conn: Connection, node: Node, stored: StoredDocument) -> list[Flag]:
    """The flags of a document that count: its issuer's word, and what was found here."""
    return rows.flags(conn, stored.digest, {stored.issuer, node.did})


def lost_among(conn: Connection, node: Node, found: Sequence[StoredDocument]) -> set[bytes]:
    """Which of these documents are flagged."""
    linked = [each for each in found if each.type in _LINKED]
    return {each.digest for each in linked if flags_of(conn, node, each)}


def feed_back(conn: Connection, node: Node, stored: StoredDocument, lost: bytes, to: str) -> None:
    """Tell an issuer how much here stood on its document: how many, not which (R11: opt-in)."""
    if not node.settings.origin.tell_issuers:
        return
    standing = [documents.get(conn, each) for each in rows.dependents(conn, stored.digest)]
    types = [each.type for each in standing if each is not None]
    used = balance_rows.asked_about(conn, stored.digest)
    body = {
        "document": stored.digest.hex(),
        "lost": lost.hex(),
        "proofs": sum(1 for each in types if each in PROOFS),
        "decisions": sum(1 for each in types if each in DECISIONS),
        "uses": sum(1 for each in used if each.outcome == Outcome.GRANTED.value),
    }
    data = strict_json.canonical({"feedback": body})
    try:
        node.exchange.enqueue(conn, to, TYPE, data, MEDIA_TYPE, None)
    except RefusedError as error:
        node.telemetry.log.warning("basis.feedback", peer=to, code=error.code)


def with_findings(conn: Connection, node: Node, judged: Judged) -> Judged:
    """A report with what is lost or unknown below the document; the verdict stays what it is."""
    if judged.document is None:
        return judged
    stored = documents.get(conn, judged.document.digest)
    found = flags_of(conn, node, stored) if stored else []
    unsure = pinned.findings(
        conn, judged.document.claims.document_type, judged.document.file.payload
    )
    lost = [
        Finding(
            "BAS-001",
            Severity.WARNING,
            "",
            "a document it stands on was revoked; only its own issuing body invalidates it",
            {"lost": flag.lost.hex(), "path": [each.hex() for each in flag.path], "by": flag.by},
        )
        for flag in found
    ]
    if not (lost or unsure):
        return judged
    report = replace(judged.report, findings=(*judged.report.findings, *lost, *unsure))
    return replace(judged, report=report)
