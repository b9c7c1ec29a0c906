"""Later knowledge about an operator: earlier decisions in the AEO lane are flagged, not changed.

A suspension that had effect before it was known here leaves what was decided in between as it was;
customs may look at it after clearance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.aeo import history, rows
from node.documents import documents
from node.store import events
from node.verification import judging
from protocols import times
from protocols.aeo import TYPE

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node

DECISION = "customs-decision"


def flag(conn: Connection, node: Node, stored: StoredDocument) -> None:
    """A status event came: tell which customs decisions here rested on what it corrects."""
    code = rows.code_of(conn, stored.digest) if stored.type == TYPE else None
    country = judging.country_of(node)
    if code is None or not country:
        return
    known = dict(rows.known(conn, code)).get(stored.digest)
    if known is None:
        return
    for decision in _decisions(conn, code):
        at = times.from_ms(decision.valid_from)
        then = history.ask(conn, node, code, by=country, role="", at=at)
        if then.benefit and then.flagged == times.from_ms(known):
            events.record(
                conn,
                kind="post-clearance",
                at=node.clock.now_ms(),
                document=decision.digest,
                consignment=decision.consignment,
                actor=stored.issuer,
                detail={"code": code, "number": decision.number, "event": stored.number},
            )


def _decisions(conn: Connection, code: str) -> list[StoredDocument]:
    """Customs decisions in the consignments that brought an event of the code."""
    held = (documents.get(conn, digest) for digest, _ in rows.known(conn, code))
    consignments = {each.consignment for each in held if each is not None and each.consignment}
    return [
        each
        for consignment in sorted(consignments)
        for each in documents.find_all(conn, type=DECISION, consignment=consignment)
    ]
