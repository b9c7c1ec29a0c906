"""What a desk knows beside a document: how the consignment's papers stand to it, and its exporter.

The review asks it when an application came, the signer again when the document is to be signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.basis import pinned
from node.consistency.papers import paper_of
from node.documents import documents
from node.review import rows
from protocols.review import Circumstances, amount_of
from schemas import cross, strict_json
from schemas.cross.comparing import LEADING, SILENT
from schemas.errors import TradeError

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy import Connection

    from node.documents.issuing import Examined
    from schemas.findings import Finding
    from schemas.view import View

MAX_PAPERS = 100
MAX_EXPORTER = 400


def exporter(view: View | None) -> str:
    """The exporter's name as it is kept, or ""."""
    return (view.parties.get("exporter", "") if view else "")[:MAX_EXPORTER]


def circumstances(conn: Connection, examined: Examined) -> Circumstances:
    """As the signer sees them: number and right are asked for by themselves there."""
    key = examined.type.key
    return Circumstances(
        first_time=rows.is_first(conn, key, exporter(examined.view)),
        amount=amount(examined.order.payload),
    )


def across(conn: Connection, examined: Examined) -> tuple[Finding, ...]:
    """As `across_papers`, for a document about to be signed."""
    payload = examined.order.payload
    return across_papers(conn, examined.type.key, payload, examined.consignment)


def across_papers(
    conn: Connection, key: str, payload: bytes, consignment: str | None
) -> tuple[Finding, ...]:
    """What it stands on, and what the leading papers of its consignment say, as far as here."""
    return (*pinned.findings(conn, key, payload), *_against(conn, key, payload, consignment))


def _against(
    conn: Connection, key: str, payload: bytes, consignment: str | None
) -> tuple[Finding, ...]:
    if consignment is None or key in SILENT:
        return ()
    held = documents.find(conn, consignment=consignment, limit=MAX_PAPERS)
    leading = [each for each in held if each.type in LEADING]
    if not leading:
        return ()
    try:
        mine = cross.Paper(cross.statement(key, payload))
    except TradeError:
        return ()
    found: list[Finding] = []
    for each in leading:
        other = paper_of(each)
        if other is not None:
            found += cross.examine([other, mine])
    return tuple(found)


def amount(payload: bytes) -> Decimal | None:
    """What a JSON document says it is worth."""
    try:
        return amount_of(strict_json.loads_object(payload))
    except TradeError:
        return None  # no JSON: such a document states no amount
