"""How the master bills of a house bill stand, for those who are asked to give its goods out.

Whoever issued the house bill owes its holder the goods, whatever becomes of the master (SUR 3.0.4
knows no master). But the goods are where the master's carrier has them: an issuer who accepts while
the master is not given up promises what he may be unable to hand over. So he is told, not refused;
at the terminal REL-022 decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.release.deciding import told_state
from node.title import rows as title_rows
from protocols.pint import issuance
from protocols.release.reading import TRANSPORT_TYPES
from schemas.catalogue import explain
from schemas.documents.bill_of_lading import master_bills

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.rows import Issuance

UNKNOWN, WAYBILL = "UNKNOWN", "WAYBILL"
_NOT_GIVEN_UP, _NOT_KNOWN = "ebl_master_not_surrendered", "ebl_master_unknown"
_SETTLED = frozenset({"ACCEPTED", "ENDED"})
_REISSUED = frozenset({"ENDED AMENDED", "ENDED PAPER"})


def standing(conn: Connection, bill: Issuance, lang: str) -> list[dict[str, Any]]:
    """Each master bill that the bill names: its state as known here, and what to mind.

    state: of its title for delivery (as REL-022 sees it), `WAYBILL` where there is none to give
    up, `UNKNOWN`; code, message, next: where it is not given up, or not known
    """
    document = issuance.read_request(bill.body).document
    return [_one(conn, number, lang) for number in master_bills(dict(document))]


def open_masters(conn: Connection, bill: Issuance) -> dict[str, str]:
    """The masters that are not given up, or not known: number → state."""
    found = standing(conn, bill, "en")
    return {one["transportDocumentReference"]: one["state"] for one in found if "code" in one}


def _one(conn: Connection, number: str, lang: str) -> dict[str, Any]:
    state = _state(conn, number)
    told: dict[str, Any] = {"transportDocumentReference": number, "state": state}
    if state in _SETTLED or state == WAYBILL:
        return told
    code = _NOT_KNOWN if state == UNKNOWN else _NOT_GIVEN_UP
    entry = explain(code)
    assert entry is not None
    return told | {"code": code, "message": entry.sentence(lang), "next": entry.next_step(lang)}


def _state(conn: Connection, number: str) -> str:
    """The state of the title that is furthest from being given up; of all under that number."""
    named = title_rows.titles_named(conn, number)
    if not named:
        held = documents.of_types(conn, TRANSPORT_TYPES, number=number)
        plain = held and all(each.type == "sea-waybill" for each in held)
        return WAYBILL if plain else UNKNOWN
    held_titles = [title_rows.find(conn, title) for title in named]
    states = [told_state(each.state) if each is not None else UNKNOWN for each in held_titles]
    # A bill that was issued again under its number: the one that ended for it says nothing.
    living = [each for each in states if each not in _REISSUED] or states
    return next((each for each in living if each not in _SETTLED), living[0])
