"""From held documents to release facts: which document is which fact, and how it stands.

A document counts as good only with its `Verified` value in hand, made by a verification of *now*;
every other document is a fact with the standing that its report shows. Payloads are not read here,
only views (DESIGN §3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import times
from protocols.member_list import Freshness
from protocols.release.facts import (
    CustomsFact,
    DeliveryOrderFact,
    DocumentFact,
    EventFact,
    PlantHealthFact,
    ReleaseFacts,
    Standing,
    TransportFact,
)
from schemas.errors import MalformedError
from schemas.findings import Outcome
from schemas.view import MASTER_BILL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from protocols.member_list import MemberList
    from protocols.release.facts import TitleFact
    from protocols.release.pick_up import Link
    from protocols.release.rules import CountryRules
    from protocols.verify import Document, Verified
    from schemas.findings import Report
    from schemas.view import View

STATUS_STEP = "CRED-10"
PHYTOSANITARY = "phytosanitary-certificate"
SEA_WAYBILL, NEGOTIABLE = "sea-waybill", "negotiable-multimodal-document"
TRANSPORT_TYPES = frozenset(
    {
        "bill-of-lading",
        "rail-consignment-note",
        "master-transport-document",
        SEA_WAYBILL,
        NEGOTIABLE,
    }
)
EVENT = "logistics-event"
TERMINALS = frozenset({"port", "terminal", "dry-port"})
AUTHORITIES = frozenset({"customs", "plant-health"})
NAMED_TYPES = frozenset(
    {
        *TRANSPORT_TYPES,
        "arrival-notice",
        "delivery-order",
        "plant-health-decision",
        "customs-decision",
        "handover-note",
        EVENT,
    }
)
_BY_STATUS = {"revoked": Standing.REVOKED, "suspended": Standing.SUSPENDED}
_BY_ORDER = {"STRAIGHT": "straight", "BLANK": "blank"}
_RAIL = "2"  # UN/ECE Recommendation 19


@dataclass(frozen=True, slots=True)
class Held:
    """A held document with its report of now, and its Verified value when it passed."""

    document: Document
    report: Report
    verified: Verified[Document] | None


def standing_of(held: Held) -> Standing:
    """How the document stands, from the report of now."""
    if held.verified is not None and held.verified.value.digest == held.document.digest:
        return Standing.GOOD
    status = held.report.check(STATUS_STEP)
    wrong = [each for each in held.report.checks if each.outcome is not Outcome.PASSED]
    only_status = status is not None and wrong == [status]
    if only_status and status is not None:
        return _BY_STATUS.get(status.code, Standing.STALE)
    return Standing.INVALID if held.report.verdict is Outcome.FAILED else Standing.UNKNOWN


def fact_of(held: Held) -> DocumentFact:
    """The document as a fact."""
    claims, view, standing = held.document.claims, held.document.view, standing_of(held)
    wrong = next((each for each in held.report.checks if each.outcome is not Outcome.PASSED), None)
    return DocumentFact(
        digest=held.document.digest.hex(),
        type=claims.document_type,
        number=claims.number,
        issuer=claims.issuer,
        issued_at=claims.valid_from,
        standing=standing,
        containers=view.containers,
        why="" if wrong is None else f"{wrong.id} {wrong.code}".strip(),
    )


def _text(view: View, name: str) -> str:
    value = view.facts.get(name)
    return value if isinstance(value, str) else ""


def _decided_at(held: Held) -> datetime:
    """When it was decided, never later than it was signed."""
    signed = held.document.claims.valid_from
    try:
        return min(times.from_text(_text(held.document.view, "decidedAt")), signed)
    except MalformedError:
        return signed


def _transport(held: Held) -> TransportFact:
    view = held.document.view
    kind = _text(view, "kind")
    named = held.document.claims.document_type
    if named == SEA_WAYBILL or _text(view, "documentKind") == "SWB":
        kind = "waybill"
    if named == NEGOTIABLE or (kind == "multimodal" and view.facts.get("negotiable") is True):
        kind = _BY_ORDER.get(_text(view, "toOrder"), "to-order")
    consignee = view.parties.get("consignee") or _text(view, "consignee")
    mode = _mode(view, kind)
    return TransportFact(fact_of(held), kind, mode, consignee, view.hs, masters_of(view))


def masters_of(view: View) -> tuple[str, ...]:
    """The numbers of the master bills that a house bill names; none for any other document."""
    return tuple(each.number for each in view.references if each.type == MASTER_BILL)


def _mode(view: View, kind: str) -> str:
    """ "rail" or "sea": of the note itself, of the last leg of a master, else sea."""
    if kind == "rail":
        return "rail"
    legs = view.facts.get("legs")
    if isinstance(legs, list) and legs:
        last = legs[-1]
        return "rail" if isinstance(last, dict) and last.get("mode") == _RAIL else "sea"
    return "sea"


def _certificates(view: View) -> tuple[str, ...]:
    pinned = (each for each in view.references if each.type == PHYTOSANITARY and each.digest)
    return tuple(dict.fromkeys(each.digest for each in pinned))


def _plant_health(held: Held) -> PlantHealthFact:
    view = held.document.view
    accepted = _text(view, "verdict") == "ACCEPTED"
    return PlantHealthFact(fact_of(held), accepted, _certificates(view), _decided_at(held))


def _customs(held: Held) -> CustomsFact:
    released = _text(held.document.view, "verdict") == "RELEASED"
    return CustomsFact(fact_of(held), released, _decided_at(held))


def _delivery_order(held: Held) -> DeliveryOrderFact:
    view = held.document.view
    consignee = view.parties.get("consignee") or _text(view, "consignee")
    return DeliveryOrderFact(fact_of(held), consignee, view.valid_until, _text(view, "freight"))


def _event(held: Held, members: MemberList, country: str) -> EventFact:
    view = held.document.view
    issuer = members.node(held.document.claims.issuer)
    here = issuer is not None and issuer.country == country
    roles = frozenset(issuer.roles) if issuer is not None and here else frozenset[str]()
    signed = held.document.claims.valid_from
    try:
        at = min(times.from_text(_text(view, "occurredAt")), signed)
    except MalformedError:
        at = signed
    return EventFact(
        document=fact_of(held),
        event=_text(view, "event"),
        at=at,
        reason=_text(view, "reason"),
        lifts=_text(view, "lifts"),
        by_terminal=not TERMINALS.isdisjoint(roles),
        may_hold=not (TERMINALS | AUTHORITIES).isdisjoint(roles),
    )


def agents_of(members: MemberList, carriers: set[str], at: datetime) -> frozenset[str]:
    """Who may sign delivery orders for these carriers: rights delegated by them in the list."""
    return frozenset(
        entry.did
        for entry in members.issuers
        if entry.document_type == "delivery-order"
        and entry.delegated_by in carriers
        and members.issuer_entry(entry.did, entry.document_type, entry.country, at) is not None
    )


def relevant_types(rules: CountryRules) -> frozenset[str]:
    """The document types that a decision under these rules looks at, and no others.

    Whoever floods a consignment with papers of other types makes no decision slower.
    """
    certificates = {rule.type for rule in rules.certificates}
    return NAMED_TYPES | rules.preference | certificates | {PHYTOSANITARY}


def read_facts(
    held: Sequence[Held],
    *,
    container: str,
    consignment: str,
    members: MemberList,
    at: datetime,
    country: str,
    masters: Sequence[Held] = (),
    titles: tuple[TitleFact, ...] = (),
    used_orders: frozenset[str] = frozenset(),
    gate_out: datetime | None = None,
    links: tuple[Link, ...] = (),
    revoked_links: frozenset[str] = frozenset(),
    operators: tuple[tuple[str, bool], ...] = (),
) -> ReleaseFacts:
    """The facts of one container of one consignment at `at`.

    held:    every document of the consignment, each with its report of `at`
    masters: transport documents of other consignments that house bills among them name
    country: where it is released; decisions of another country's authorities are none here, though
             an agreement may recognise them as documents (an export clearance is no import release)
    """

    def ours(one: Held) -> bool:
        issuer = members.node(one.document.claims.issuer)
        return issuer is not None and issuer.country == country

    def of(*types: str) -> list[Held]:
        return [each for each in held if each.document.claims.document_type in types]

    transport, above = tuple(map(_transport, of(*TRANSPORT_TYPES))), tuple(map(_transport, masters))
    # Who issues a house bill has the goods from somebody else, and has no agents at the terminal.
    carriers = {each.document.issuer for each in (*transport, *above) if not each.masters}
    return ReleaseFacts(
        container=container,
        consignment=consignment,
        transport=transport,
        masters=above,
        titles=titles,
        arrival_notices=tuple(map(fact_of, of("arrival-notice"))),
        delivery_orders=tuple(map(_delivery_order, of("delivery-order"))),
        plant_health=tuple(map(_plant_health, filter(ours, of("plant-health-decision")))),
        customs=tuple(map(_customs, filter(ours, of("customs-decision")))),
        handovers=tuple(map(fact_of, of("handover-note"))),
        others=tuple(
            fact_of(each) for each in held if each.document.claims.document_type not in NAMED_TYPES
        ),
        agents=agents_of(members, carriers, at),
        used_orders=used_orders,
        gate_out=gate_out,
        events=tuple(_event(each, members, country) for each in of(EVENT)),
        links=links,
        revoked_links=revoked_links,
        operators=operators,
        members_fresh=members.freshness(at) is Freshness.FRESH,
        historical=any(each.report.historical for each in (*held, *masters)),
    )
