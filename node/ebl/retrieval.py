"""GET /v3/transport-documents/{transportDocumentReference} (EBL 3.0.4), for who the bill is with.

The document as it was issued, under the status that it has now. It is shown to the platform that it
was put before and to members to whom it was sent; for everybody else there is no such document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.documents import documents
from node.ebl import rows
from node.ebl.rows import CARRIER
from node.ebl.surrender_carrier import ACCEPTING, REJECTING, status_of
from protocols.pint import issuance
from schemas import strict_json
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from schemas.strict_json import JsonValue

BILL = "bill-of-lading"
MAX_FOUND = 20


def transport_document(
    conn: Connection, caller: Counterpart, reference: str
) -> dict[str, JsonValue] | None:
    """The document, or None while it is being worked on; raises NotFoundError `ebl_bill_unknown`"""
    found = rows.of_reference(conn, reference, side=CARRIER, counterpart=caller.name)
    living = [one for one in found if one.state in (rows.PENDING, rows.ISSUED, rows.VOID)]
    if living:
        held = living[0]
        asked = rows.surrenders_of(conn, held.number)
        if asked and asked[-1].state in (ACCEPTING, REJECTING):
            return None
        document = dict(issuance.read_request(held.body).document)
        return document | {"transportDocumentStatus": status_of(conn, held).value}
    for one in reversed(
        documents.find(conn, type=BILL, number=reference, origin=documents.ISSUED, limit=MAX_FOUND)
    ):
        if caller.name in documents.recipients_of(conn, one.digest):
            shown = strict_json.loads_object(one.payload)
            return shown | ({"transportDocumentStatus": "VOIDED"} if one.revoked_at else {})
    raise NotFoundError("ebl_bill_unknown", "no such transport document")
