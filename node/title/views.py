"""Titles as JSON for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.title.rows import OPEN
from protocols import times
from protocols.title.json_forms import party_json, state_json
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.title.forms import Reader
    from node.title.rows import StoredBill, StoredTitle, Submission


def operation_json(text: str, read: Reader) -> dict[str, Any]:
    """One signed operation, read."""
    operation = read(text)
    return {
        "digest": operation.digest.hex(),
        "kind": operation.kind.value,
        "seq": operation.seq,
        "from": party_json(operation.sender),
        "to": party_json(operation.recipient) if operation.recipient else None,
        "entry": operation.entry.hex(),
        "deadline": times.to_text(operation.deadline),
        "signed": text,
    }


def submission_json(found: Submission, read: Reader) -> dict[str, Any]:
    """What was handed in here and is not final: its state, and the evidence if it lost."""
    shown = operation_json(found.text, read)
    body = {"status": found.status, "code": found.code, "operation": shown}
    return body | ({"refusal": found.refusal} if found.refusal else {})


def summary_json(held: StoredTitle) -> dict[str, Any]:
    """A final state without its proof."""
    return {
        "title": held.title.hex(),
        "arbiter": held.arbiter.hex(),
        "state": state_json(held.state),
        "asOf": times.to_text(times.from_ms(held.at)),
    }


def title_json(
    held: StoredTitle | None,
    bill: StoredBill | None,
    history: Sequence[str],
    tried: Sequence[Submission],
    read: Reader,
) -> dict[str, Any]:
    """A title whole. final: the state is the last word and nothing handed in here is open."""
    undecided = [item for item in tried if item.status in OPEN]
    body: dict[str, Any] = {"state": None, "final": held is not None and not undecided}
    if held is not None:
        body |= summary_json(held) | {"proof": strict_json.loads(held.proof.encode())}
    if bill is not None:
        body |= {
            "document": bill.document.hex() if bill.document else None,
            "reference": bill.reference,
            "issuance": bill.issuance,
        }
    if history:
        body["history"] = [operation_json(text, read) for text in history]
    others = [submission_json(item, read) for item in tried if item.status != "final"]
    return body | ({"submitted": others} if others else {})
