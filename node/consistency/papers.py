"""The papers of a consignment that are held here, as statements to compare.

What was revoked or refused is no paper any more; what is undecided is compared, too: a warning
costs nothing, and the sender may still be asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.documents import documents
from node.store import events
from schemas import cross
from schemas.cross import Paper
from schemas.cross.comparing import LEADING, SILENT, compare
from schemas.errors import TradeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from node.verification.judging import Judged
    from schemas.findings import Finding

MAX_ON_RECEIPT = 100
MAX_TOLD = 20
KIND = "inconsistent"


def paper_of(stored: StoredDocument) -> Paper | None:
    """The statement of a held document; None where it cannot be read or has nothing to say."""
    if stored.type in SILENT or stored.revoked_at is not None:
        return None
    if stored.verdict == Outcome.FAILED.value:
        return None
    try:
        return Paper(cross.statement(stored.type, stored.payload), stored.digest.hex())
    except TradeError:
        return None


def papers_of(conn: Connection, consignment: str) -> list[Paper]:
    """Every paper of the consignment; raises TooLargeError as `documents.find_all`."""
    found = documents.find_all(conn, consignment=consignment)
    return [paper for each in found if (paper := paper_of(each)) is not None]


def against_others(conn: Connection, stored: StoredDocument) -> tuple[Finding, ...]:
    """One document against the leading papers of its consignment, or, if it leads, against all.

    Beyond `MAX_ON_RECEIPT` documents nothing is compared here: whoever floods a consignment makes
    nothing slower, and the whole comparison can still be asked for.
    """
    if stored.consignment is None or (mine := paper_of(stored)) is None:
        return ()
    held = documents.find(conn, consignment=stored.consignment, limit=MAX_ON_RECEIPT + 1)
    if len(held) > MAX_ON_RECEIPT:
        return ()
    leads = stored.type in LEADING
    wanted = [each for each in held if leads or each.type in LEADING]
    others = [paper_of(each) for each in wanted if each.digest != stored.digest]
    found: list[Finding] = []
    for other in others:
        if other is not None:
            for left, right in cross.pairs([mine, other]):
                found += compare(left.statement, right.statement, left.digest, right.digest)
    return tuple(found[: cross.MAX_FINDINGS])


def note(conn: Connection, node: Node, stored: StoredDocument) -> None:
    """On receipt: the event that tells an operator where a new paper disagrees with the others."""
    found = against_others(conn, stored)
    if not found:
        return
    events.record(
        conn,
        kind=KIND,
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


def with_findings(conn: Connection, judged: Judged) -> Judged:
    """A report with what the document says otherwise than the papers that are held with it."""
    if judged.document is None:
        return judged
    stored = documents.get(conn, judged.document.digest)
    found = against_others(conn, stored) if stored is not None else ()
    if not found:
        return judged
    report = replace(judged.report, findings=(*judged.report.findings, *found))
    return replace(judged, report=report)
