"""Our multimodal transport documents (765, 766) as MultimodalWaybill of D23B, and back.

This snapshot is nearly all amounts and totals: it names no consignor, consignee, place, line of
goods or container, and not even the document. The number travels as the carrier's own reference.
"""

from __future__ import annotations

from interop.uncefact.codecs import DATE, WHOLE
from interop.uncefact.mapping import Row, Table
from interop.uncefact.parts import weights

_HEAD, _GOODS = "exchangedDocument", "specifiedConsignment/0"

TABLES = tuple(
    Table(
        key=key,
        snapshot="MultimodalWaybill",
        rows=(
            Row("number", f"{_GOODS}/carrierAssignedId/content"),
            Row("issueDate", f"{_HEAD}/issueDateTime", DATE),
            Row("remarks", f"{_HEAD}/remarks/0/content"),
            Row("legalBasis", f"{_HEAD}/name/0/content"),
            Row("consignment", f"{_GOODS}/consignorAssignedId/content"),
            Row("totals/packages", f"{_GOODS}/packageQuantity/content", WHOLE),
            Row(
                "legs/*/document/number",
                f"{_GOODS}/mainCarriageLogisticsTransportMovement/*/id/content",
            ),
            *weights("totals", _GOODS),
        ),
        implied={"documentType": key},
    )
    for key in ("master-transport-document", "negotiable-multimodal-document")
)
