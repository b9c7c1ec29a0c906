"""What goes out, and who holds a bill, as people and programs see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.pint import outgoing, rows
from node.pint.building import platform_of
from node.pint.outgoing import CANCELLED, RECEIVED, RECORDED, REFUSED
from node.pint.views import bill_summary, guarantee
from node.title import partners
from node.title import rows as titles
from protocols import times
from protocols.pint.answers import open_finished
from schemas import strict_json
from schemas.catalogue import explain
from schemas.documents.bill_of_lading import master_bills
from schemas.errors import ConflictError, NotFoundError, TradeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from node.pint.outgoing import Outgoing
    from node.pint.rows import StoredBill
    from node.runtime import Node
    from node.title.rows import StoredTitle
    from protocols.title.machine import Party

_OUTCOME = {RECEIVED: "final", RECORDED: "final", REFUSED: "refused", CANCELLED: "refused"}
_HEX = frozenset("0123456789abcdef")
MAX_SAME = 20


def outgoing_json(conn: Connection, row: Outgoing) -> dict[str, Any]:
    """A transfer that goes out. outcome: `pending`, `final` (it is there), `refused` (it is not).

    code, message: why it is not decided yet, or why it was refused; answer: the signed word
    """
    deed, bill = row.deed, rows.bill(conn, row.document)
    body: dict[str, Any] = {
        "transfer": row.entry.hex(),
        "outcome": _OUTCOME.get(row.state, "pending"),
        "state": row.state,
        "action": deed.action.value,
        "document": row.document.hex(),
        "transportDocumentReference": bill.reference if bill is not None else None,
        "title": row.title.hex() if row.title else None,
        "platform": row.platform or None,
        "by": deed.actor.did or deed.actor.name,
        "to": None if deed.recipient is None else deed.recipient.did or deed.recipient.name,
        "tries": row.tries,
        "startedAt": times.to_text(times.from_ms(row.created_at)),
        "updatedAt": times.to_text(times.from_ms(row.updated_at)),
    }
    if row.code is not None:
        entry = explain(row.code)
        body["code"] = row.code
        body["message"] = {"en": entry.en, "zh": entry.zh} if entry else {}
    if row.answer is not None:
        _, finished = open_finished(row.answer)
        body |= {"responseCode": finished.response.value, "answer": row.answer}
        body |= {"reason": finished.reason} if finished.reason else {}
    return body


def control_json(conn: Connection, node: Node, title: bytes) -> dict[str, Any]:
    """Who is in control of a bill now, with the proof, and without names or addresses.

    platform: the code of the platform of whoever possesses it; key: the thumbprint of the key that
    alone can pass it on; here: whether that key lies at this node
    """
    held = titles.find(conn, title)
    if held is None:
        raise NotFoundError("title_never_issued", "no final state of that title is known")
    bill = rows.bill_of_title(conn, title)
    state = held.state
    body: dict[str, Any] = {
        "title": title.hex(),
        "document": bill.document.hex() if bill is not None else None,
        "transportDocumentReference": bill.reference if bill else _reference(conn, title),
        "state": state.state.value,
        "bill": state.bill.value,
        "possessor": _control(node, state.possessor),
        "titleholder": _control(node, state.holder),
        "seq": state.seq,
        "asOf": times.to_text(times.from_ms(held.at)),
        "arbiter": held.arbiter.hex(),
        "controlTrackingRegistry": bill.registry if bill else None,
        "guarantee": guarantee(bill) if bill else "arbiter",
        "proof": strict_json.loads(held.proof.encode()),
    }
    optional = {
        "ending": state.ending and state.ending.value,
        "replaces": state.replaces and state.replaces.hex(),
        "status": bill.status if bill else None,
        **_linked(conn, held),
        **_house_and_master(conn, _document(conn, bill, title)),
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def _reference(conn: Connection, title: bytes) -> str | None:
    bill = titles.bill(conn, title)
    return None if bill is None else bill.reference


def _linked(conn: Connection, held: StoredTitle) -> dict[str, Any]:
    """The title that came in place of an ended one, as far as it is known here."""
    if held.state.ending is None:
        return {}
    found = titles.replacing(conn, held.title)
    return {} if found is None else {"replacedBy": found.hex()}


def _document(conn: Connection, bill: StoredBill | None, title: bytes) -> Mapping[str, Any]:
    """The transport document, from the platform's bills or the node's own documents."""
    if bill is not None:
        return strict_json.loads_object(bill.body.encode())
    named = titles.bill(conn, title)
    held = documents.get(conn, named.document) if named and named.document else None
    return strict_json.loads_object(held.payload) if held is not None else {}


def _house_and_master(conn: Connection, document: Mapping[str, Any]) -> dict[str, Any]:
    """A house bill names its master bill's reference (UN/CEFACT 1153: MB), signed with the rest."""
    found: dict[str, Any] = {}
    if named := master_bills(dict(document)):
        found["master"] = named[0]
    reference = document.get("transportDocumentReference")
    houses = outgoing.naming_master(conn, reference) if isinstance(reference, str) else []
    return found | ({"house": houses} if houses else {})


def _control(node: Node, party: Party | None) -> dict[str, Any] | None:
    if party is None:
        return None
    try:
        platform: str | None = platform_of(partners.members_of(node), party.did)
    except TradeError:
        platform = None
    here = node.did in {party.did, _host(node, party.did)}
    return {"platform": platform, "key": party.key, "here": here}


def _possessor(node: Node, party: Party | None) -> dict[str, Any]:
    """Its listed name, else its DID; and the code of its platform."""
    if party is None:
        return {"possessor": None, "platform": None}
    members = partners.members_of(node)
    listed = members.party(party.did) or members.node(party.did)
    name = party.did if listed is None else listed.name
    control = _control(node, party) or {}
    return {"possessor": name, "platform": control.get("platform")}


def _host(node: Node, did: str) -> str | None:
    listed = partners.members_of(node).party(did)
    return None if listed is None else listed.host


def line_json(conn: Connection, node: Node, bill: StoredBill) -> dict[str, Any]:
    """One line of the holder's list: the bill, who has it, and what is under way with it.

    What is final at its arbiter goes before what its chain says: inside a platform possession
    passes there alone.
    """
    newest = outgoing.of_document(conn, bill.document, 1)
    held = titles.find(conn, bill.title) if bill.title else None
    body = bill_summary(bill) | {"state": None, "kind": None}
    if held is not None:
        body |= {"state": held.state.state.value, "kind": held.state.bill.value}
        body |= _possessor(node, held.state.possessor)
    if newest and newest[0].active:
        body["transfer"] = {
            "transfer": newest[0].entry.hex(),
            "action": newest[0].deed.action.value,
            "state": newest[0].state,
            "code": newest[0].code,
        }
    return body


def title_of(conn: Connection, text: str) -> bytes:
    """The title that a reference, a document's checksum or a title's own id means.

    Raises NotFoundError `pint_bill_unknown`, ConflictError `pint_reference_ambiguous`.
    """
    if len(text) == 64 and set(text) <= _HEX:
        digest = bytes.fromhex(text)
        bill = rows.bill(conn, digest)
        return bill.title if bill is not None and bill.title is not None else digest
    named = rows.bills_page(conn, reference=text, limit=MAX_SAME)
    found = {one.title for one in named if one.title is not None}
    found |= set(titles.titles_named(conn, text))
    standing = {one for one in found if not _is_over(conn, one)}
    chosen = standing or found
    if not chosen:
        raise NotFoundError("pint_bill_unknown", text[:64])
    if len(chosen) > 1:
        raise ConflictError(
            "pint_reference_ambiguous", ", ".join(sorted(one.hex() for one in chosen))
        )
    return chosen.pop()


def chain_json(conn: Connection, node: Node, document: bytes) -> dict[str, Any]:
    """As `control_json`, for a bill that no arbiter guards: what its chain says, without proof."""
    bill, known = rows.bill(conn, document), rows.known_chain(conn, document)
    if bill is None or known is None:
        raise NotFoundError("pint_bill_unknown", document.hex())
    state = strict_json.loads_object(bill.state.encode())
    possessor: Any = state.get("possessor") or {}
    entry = partners.members_of(node).node(node.did)
    platform = possessor.get("eblPlatform")
    here = entry is not None and entry.platform == platform
    body = {
        "title": None,
        "document": document.hex(),
        "transportDocumentReference": bill.reference,
        "state": bill.status,
        "bill": state.get("bill"),
        "possessor": {"platform": platform, "key": None, "here": here},
        "titleholder": None,
        "seq": len(known.texts),
        "asOf": times.to_text(times.from_ms(bill.updated_at)),
        "arbiter": None,
        "controlTrackingRegistry": bill.registry,
        "guarantee": guarantee(bill),
        "status": bill.status,
        "proof": None,
    }
    return body | ({"ending": state["ended"]} if "ended" in state else {})


def untitled(conn: Connection, text: str) -> bytes | None:
    """The checksum of a bill here that has no title; None where one has, or nothing is known."""
    if len(text) == 64 and set(text) <= _HEX:
        bill = rows.bill(conn, bytes.fromhex(text))
        return bill.document if bill is not None and bill.title is None else None
    named = rows.bills_page(conn, reference=text, limit=MAX_SAME)
    if len(named) != 1 or named[0].title is not None:
        return None
    return named[0].document


def _is_over(conn: Connection, title: bytes) -> bool:
    held = titles.find(conn, title)
    return held is not None and held.state.ending is not None
