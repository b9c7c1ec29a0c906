"""Bills across platforms as people and programs see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from protocols import times
from protocols.pint.chain import open_entry
from protocols.pint.envelope import open_envelope_manifest, read_envelope
from protocols.pint.judgement import BILL
from protocols.pint.parties import TransactionParty
from protocols.pint.reading import present
from schemas import registry, strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.pint.rows import StoredBill, Transfer
    from protocols.pint.history import KnownChain
    from protocols.pint.parties import DocumentParty
    from protocols.pint.rules import ChainState
    from protocols.pint.transactions import Transaction
    from schemas.findings import Check


def state_json(state: ChainState) -> dict[str, Any]:
    """Where a bill is by its chain: kind, parties, what was asked of the carrier, how it ended."""
    surrender = state.surrender
    return {
        "bill": state.bill.value,
        "carrier": state.carrier.to_json(),
        "shipper": state.shipper.to_json(),
        "possessor": state.possessor.to_json(),
        **present(
            holder=None if state.holder is None else _party_json(state.holder),
            surrender=None
            if surrender is None
            else {
                "action": surrender.action.value,
                **present(reasonCode=surrender.reason and surrender.reason.value),
                "by": surrender.by.to_json(),
            },
            ended=state.ended and state.ended.value,
        ),
    }


def _party_json(party: TransactionParty | DocumentParty) -> dict[str, Any]:
    if isinstance(party, TransactionParty):
        return dict(party.to_json())
    codes = [code.to_json() for code in party.codes]
    return {"partyName": party.name, **({"identifyingCodes": codes} if codes else {})}


def report_json(checks: Iterable[Check], at: str) -> str:
    """The checks as they are kept: id, outcome, code and reason of each; at: RFC 3339."""
    told = [
        {"id": one.id, "outcome": one.outcome.value, "code": one.code, "reason": one.reason}
        for one in checks
    ]
    return orjson.dumps({"at": at, "checks": told}).decode()


def bill_summary(bill: StoredBill) -> dict[str, Any]:
    """One line of a list."""
    state = orjson.loads(bill.state)
    possessor = state.get("possessor", {})
    return {
        "document": bill.document.hex(),
        "transportDocumentReference": bill.reference,
        "carrier": bill.carrier,
        "status": bill.status,
        "title": bill.title.hex() if bill.title else None,
        "possessor": possessor.get("partyName"),
        "platform": possessor.get("eblPlatform"),
        "updatedAt": times.to_text(times.from_ms(bill.updated_at)),
    }


def bill_json(
    bill: StoredBill, chain: KnownChain | None, transfers: Iterable[Transfer] = ()
) -> dict[str, Any]:
    """The whole bill: document, state, chain, the report of its receipt, what is not guaranteed."""
    texts = chain.texts if chain is not None else ()
    report = orjson.loads(bill.report) if bill.report else None
    return bill_summary(bill) | {
        "controlTrackingRegistry": bill.registry,
        "guarantee": guarantee(bill),
        "state": orjson.loads(bill.state),
        "report": report,
        "findings": _findings(bill.body),
        "additionalDocuments": documents_json(transfers),
        "transportDocument": orjson.loads(bill.body),
        "issuanceManifestSignedContent": bill.issuance,
        "envelopeTransferChain": list(texts),
        "transactions": [_told(one) for one in transactions_of(texts)],
    }


def _findings(body: str) -> list[dict[str, str]]:
    """What the rules of bills say of the document; they refuse no transfer."""
    found = registry.examine_parsed(BILL, strict_json.loads_object(body.encode())).findings
    return [{"rule": one.rule, "pointer": one.pointer, "message": one.message} for one in found]


def guarantee(bill: StoredBill) -> str:
    """What stands against a second transfer: `arbiter`, `registry`, or only `platforms`' word."""
    if bill.title is not None:
        return "arbiter"
    return "platforms" if bill.registry is None else "registry"


def transactions_of(texts: Iterable[str]) -> list[tuple[str, Transaction]]:
    """Every transaction with the platform that signed it; an older dialect's are left out."""
    found: list[tuple[str, Transaction]] = []
    for text in texts:
        try:
            entry = open_entry(text).entry
        except TradeError:
            continue
        found += [(entry.platform, one) for one in entry.transactions]
    return found


def _told(item: tuple[str, Transaction]) -> dict[str, Any]:
    platform, transaction = item
    return {"signedBy": platform, **transaction.to_json()}


def documents_json(transfers: Iterable[Transfer]) -> list[dict[str, Any]]:
    """The additional documents that came with a bill, each once, as their senders named them."""
    found: dict[bytes, dict[str, Any]] = {}
    for transfer in transfers:
        manifest = open_envelope_manifest(read_envelope(transfer.envelope).manifest)[1]
        for checksum, metadata in manifest.additional.items():
            found.setdefault(checksum, metadata.to_json() | {"from": transfer.platform})
    return list(found.values())


def transfer_json(transfer: Transfer) -> dict[str, Any]:
    """A transfer that comes in."""
    return {
        "envelopeReference": transfer.reference,
        "document": transfer.document.hex(),
        "from": transfer.platform,
        "state": transfer.state,
        "at": times.to_text(times.from_ms(transfer.updated_at)),
    }
