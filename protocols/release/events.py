"""Release conditions that rest on logistics events and on the delegated pick-up right.

Discharge, holds, freight, port charges, pick-up right, and what is told of AEO. Who may say what:
a terminal, port or dry port of this country that something was discharged or paid; the carrier or
its listed agent that the freight is settled; whoever may hold a container here that it is held, and
only that one that it no longer is. Holds are last-event-wins until the container has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.release.case import (
    Case,
    carriers,
    not_required,
    order_counts,
    orders,
    standing,
)
from protocols.release.decision import Condition, State
from protocols.release.facts import Standing
from protocols.release.pick_up import entitled

if TYPE_CHECKING:
    from protocols.release.facts import EventFact
    from protocols.release.pick_up import Entitlement

SETTLED = frozenset({"PREPAID", "PAID", "CREDIT"})


def _said(case: Case, name: str) -> list[EventFact]:
    """Events of that name about this container that were not taken back, oldest first."""
    container = case.facts.container
    found = (
        each
        for each in case.facts.events
        if each.event == name
        and each.document.covers(container)
        and each.document.standing is not Standing.REVOKED
    )
    return sorted(found, key=lambda each: (each.at, each.document.issued_at))


def _event_condition(condition_id: str, found: list[EventFact], missing: str) -> Condition:
    """Met by the latest good event; else why not."""
    for each in reversed(found):
        if each.document.good:
            basis = (each.document.digest,)
            return Condition(condition_id, State.MET, "", each.document.number, basis)
    if found:
        return standing(condition_id, found[-1].document)
    return Condition(condition_id, State.UNMET, missing)


def rel_035_discharged(case: Case) -> Condition:
    """REL-035: the terminal here reported the discharge, where the rules ask for it."""
    if not case.modes & case.rules.discharge:
        return not_required("REL-035")
    told = [each for each in _said(case, "DISCHARGED") if each.by_terminal]
    return _event_condition("REL-035", told, "discharge_missing")


def rel_045_holds(case: Case) -> Condition:
    """REL-045: every hold was lifted by whoever set it, before the container left."""
    left = case.facts.gate_out
    holds = [each for each in _said(case, "HOLD") if left is None or each.at <= left]
    open_holds = [each for each in holds if each.may_hold and not _lifted(case, each)]
    sea = {each.document.issuer for each in case.transport if each.mode == "sea"}
    carrying = carriers(case) | sea  # who issued a house bill moves nothing out, but may hold it
    carried = [
        each for each in holds if each.document.issuer in carrying and not _lifted(case, each)
    ]
    held = list(dict.fromkeys([*open_holds, *carried]))
    if not held:
        return Condition("REL-045", State.MET)
    told = "; ".join(f"{each.document.number}: {each.reason}" for each in held)
    basis = tuple(each.document.digest for each in held)
    return Condition("REL-045", State.UNMET, "hold_open", told, basis)


def _lifted(case: Case, hold: EventFact) -> bool:
    """A good lifting by the same issuer names this hold."""
    return any(
        each.lifts == hold.document.digest
        and each.document.issuer == hold.document.issuer
        and each.document.good
        for each in _said(case, "LIFT")
    )


def rel_055_freight(case: Case) -> Condition:
    """REL-055: the delivery order, or an event of carrier or agent, says the freight is settled."""
    if not case.modes & case.rules.freight:
        return not_required("REL-055")
    for order in orders(case):
        if order.freight in SETTLED and order_counts(case, order).state is State.MET:
            basis, seen = (order.document.digest,), f"{order.document.number}: {order.freight}"
            return Condition("REL-055", State.MET, "", seen, basis)
    entitled_to_say = carriers(case) | case.facts.agents
    told = [
        each for each in _said(case, "FREIGHT_CLEARED") if each.document.issuer in entitled_to_say
    ]
    return _event_condition("REL-055", told, "freight_not_cleared")


def rel_075_charges(case: Case) -> Condition:
    """REL-075: the terminal here reported its charges as settled, where the rules ask for it."""
    if not case.modes & case.rules.charges:
        return not_required("REL-075")
    told = [each for each in _said(case, "CHARGES_SETTLED") if each.by_terminal]
    return _event_condition("REL-075", told, "charges_not_settled")


def entitlement(case: Case) -> Entitlement:
    """Where the pick-up right of the container leads; only carriers and their agents begin it."""
    facts = case.facts
    links = [
        link
        for link in facts.links
        if (link.container, link.consignment) == (facts.container, facts.consignment)
    ]
    roots = frozenset(carriers(case) | facts.agents)
    return entitled(links, facts.revoked_links, roots, case.at)


def rel_080_pick_up(case: Case) -> Condition:
    """REL-080: the right to pick up leads without a break to one company.

    Asked where the rules ask for it, and wherever a carrier began to delegate: who was given the
    right by a chain loses it with the chain.
    """
    found = entitlement(case)
    begun = found.code != "pick_up_right_missing"
    if not begun and not case.modes & case.rules.pick_up:
        return not_required("REL-080")
    if found.collector is None:
        return Condition("REL-080", State.UNMET, found.code, found.seen)
    detail = {
        "name": found.collector.name,
        "did": found.collector.did,
        "keyThumbprint": found.collector.thumbprint,
        "vehicle": found.vehicle,
    }
    names = " → ".join(link.to.name for link in found.path)
    basis = tuple(link.digest for link in found.path)
    return Condition("REL-080", State.MET, "", names, basis, detail=detail)


def rel_095_aeo(case: Case) -> Condition:
    """REL-095: does an operator of the consignment have a benefit here? Told only."""
    if not case.facts.operators:
        return not_required("REL-095")
    for code, benefit in case.facts.operators:
        if benefit:
            return Condition("REL-095", State.MET, "", code, blocking=False)
    told = ", ".join(code for code, _ in case.facts.operators)
    return Condition("REL-095", State.UNMET, "aeo_no_benefit", told, blocking=False)
