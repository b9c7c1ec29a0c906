"""Issuances, surrenders and notifications as the operator sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocols import times
from protocols.pint import issuance, surrender
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.ebl.rows import Call, Issuance, Surrender


def _moments(**moments: int | None) -> dict[str, str]:
    return {
        name: times.to_text(times.from_ms(at)) for name, at in moments.items() if at is not None
    }


def issuance_json(held: Issuance, calls: Sequence[Call] = ()) -> dict[str, Any]:
    """One bill as it was put up for issuance, with what the platform said."""
    request = issuance.read_request(held.body)
    body: dict[str, Any] = {
        "number": held.number,
        "side": held.side,
        "counterpart": held.counterpart,
        "transportDocumentReference": held.reference,
        "state": held.state,
        "issueTo": request.issue_to.to_json(),
        "checksum": held.checksum.hex(),
        **_moments(at=held.created_at, answeredAt=held.answered_at),
    }
    if held.sub_reference is not None:
        body["transportDocumentSubReference"] = held.sub_reference
    if held.title is not None:
        body["title"] = held.title.hex()
    if held.answer is not None:
        body["answer"] = strict_json.loads(held.answer.encode())
    if held.fault is not None:
        body["titleRefused"] = held.fault
    return body | _calls(calls)


def surrender_json(
    held: Surrender,
    calls: Sequence[Call] = (),
    masters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """One surrender with its chain, the carrier's answer and, of a house bill, its masters."""
    body: dict[str, Any] = {
        "surrenderRequestReference": held.request,
        "side": held.side,
        "counterpart": held.counterpart,
        "transportDocumentReference": held.reference,
        "surrenderRequestCode": held.code,
        "state": held.state,
        **_moments(at=held.created_at, answeredAt=held.answered_at),
    }
    optional = {"reasonCode": held.reason, "comments": held.comments, "party": held.party}
    body |= {name: value for name, value in optional.items() if value is not None}
    if masters:
        body["masterBills"] = list(masters)
    if held.body is not None:
        links = surrender.read_request(held.body).links
        body["endorsementChain"] = [link.to_json() for link in links]
    if held.answer is not None:
        body["answer"] = strict_json.loads(held.answer)
    return body | _calls(calls)


def _calls(calls: Sequence[Call]) -> dict[str, Any]:
    """How our own call stands, while it is not answered or when it was refused."""
    open_ones = [one for one in calls if one.state != "done"]
    if not open_ones:
        return {}
    last = open_ones[-1]
    told = {"path": last.path, "state": last.state, "tries": last.tries, "why": last.answer}
    return {"call": told}


def notification_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """One event, sent or received."""
    return {
        "direction": row["direction"],
        "counterpart": row["counterpart"],
        "transportDocumentReference": row["reference"],
        "transportDocumentStatus": row["status"],
        "event": strict_json.loads(bytes(row["body"])),
        **_moments(at=row["at"]),
    }
