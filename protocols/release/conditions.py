"""The release decision: one pure function over facts and a country's dated rules (DESIGN §7).

Every condition is listed, met or not, with its reason and next step; nothing is decided by the
first thing that fails. Binding here: R6 (no grace after the member list expires), R21 (only a final
title event counts), R24 (a release order is for one container, one slot, one gate group) and R25
(a historical report releases nothing; a stale status is an unmet condition, not a refusal).

Two rules of practice are built in: holds are last-event-wins until the container has left, and a
missing certificate of origin never blocks (duty or security is paid instead).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from protocols.release.case import (
    Case,
    carriers,
    covering,
    masters,
    masters_named,
    need,
    not_required,
    order_counts,
    orders,
    standing,
    surrendered,
)
from protocols.release.decision import Condition, Decision, Outcome, State
from protocols.release.events import (
    rel_035_discharged,
    rel_045_holds,
    rel_055_freight,
    rel_075_charges,
    rel_080_pick_up,
    rel_095_aeo,
)
from protocols.release.facts import ReleaseFacts, Standing
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from protocols.release.facts import (
        CustomsFact,
        DeliveryOrderFact,
        PlantHealthFact,
        TransportFact,
    )
    from protocols.release.rules import CountryRules

__all__ = [
    "CONDITIONS",
    "Condition",
    "Decision",
    "OrderAction",
    "Outcome",
    "State",
    "decide",
    "reconsider",
]


PHYTOSANITARY = "phytosanitary"


def rel_000_member_list(case: Case) -> Condition:
    """REL-000: the member list is in force; release has no grace period (R6)."""
    if case.facts.members_fresh:
        return Condition("REL-000", State.MET)
    return Condition("REL-000", State.UNMET, "member_list_not_fresh")


def rel_010_transport(case: Case) -> Condition:
    """REL-010: a verified transport document covers this container."""
    documents = sorted(
        (each.document for each in case.transport), key=lambda document: document.issued_at
    )
    return need("REL-010", documents, "transport_document_missing")


def rel_020_surrender(case: Case) -> Condition:
    """REL-020: the title is surrendered for delivery and the carrier accepted it, finally (R21)."""
    if case.transport and not case.surrendering:
        kinds = ", ".join(sorted({each.kind for each in case.transport}))
        return not_required("REL-020", kinds)
    if not case.transport:
        return Condition("REL-020", State.UNKNOWN, "transport_document_missing")
    conditions = [surrendered("REL-020", case, each) for each in case.surrendering]
    return next((each for each in conditions if each.blocks), conditions[-1])


def rel_022_master(case: Case) -> Condition:
    """REL-022: the master bills of a house bill are held and given up as well (R19, R21).

    A house bill is surrendered to its own issuer, whatever becomes of the master; but the terminal
    has the goods for whoever holds the master, and would deliver them twice.
    """
    houses = [each for each in case.transport if each.masters]
    if not houses:
        return not_required("REL-022")
    found = [each for house in (*houses, *masters(case)) for each in _settled(case, house)]
    return next((each for each in found if each.blocks), found[-1])


def _settled(case: Case, house: TransportFact) -> Iterator[Condition]:
    """Each master bill that the house bill names; none for a bill that is no house bill."""
    for number, found in masters_named(case, house).items():
        if not found:
            basis = (house.document.digest,)
            yield Condition("REL-022", State.UNKNOWN, "master_bill_not_held", number, basis)
        yield from (_master(case, each) for each in found)


def _master(case: Case, master: TransportFact) -> Condition:
    if not master.document.good:
        return standing("REL-022", master.document)
    number, basis = master.document.number, (master.document.digest,)
    if not master.document.covers(case.facts.container):
        return Condition("REL-022", State.UNMET, "master_bill_other_container", number, basis)
    if case.rules.must_surrender(master.kind):
        return surrendered("REL-022", case, master)
    return Condition("REL-022", State.MET, "", f"{number}: {master.kind}", basis)


def _plain_name(name: str) -> str:
    return " ".join(name.split()).casefold()


def _same_name(left: str, right: str) -> bool:
    return _plain_name(left) == _plain_name(right)


def rel_025_consignee(case: Case) -> Condition:
    """REL-025: without a surrender the delivery order names the consignee of the document."""
    if not case.identifying:
        return not_required("REL-025")
    counting = [each for each in orders(case) if order_counts(case, each).state is State.MET]
    for document in case.identifying:
        if not document.consignee:
            return Condition("REL-025", State.UNKNOWN, "consignee_not_named")
        for order in (*counting, *_of_house(case, document)):
            if _same_name(order.consignee, document.consignee):
                break
        else:
            return Condition("REL-025", State.UNMET, "consignee_not_identified", document.consignee)
    return Condition("REL-025", State.MET, "", case.identifying[-1].consignee)


def _of_house(case: Case, bill: TransportFact) -> list[DeliveryOrderFact]:
    """The orders of a house bill's own issuer, who alone knows its consignee."""
    return [
        each
        for each in orders(case)
        if bill.masters and each.document.issuer == bill.document.issuer
    ]


def rel_030_arrival(case: Case) -> Condition:
    """REL-030: the carrier told of the arrival, where the rules ask for it."""
    if not case.modes & case.rules.arrival_notice:
        return not_required("REL-030")
    notices = covering(case.facts.arrival_notices, case.facts.container)
    return need("REL-030", notices, "arrival_notice_missing")


def _plant_decisions(case: Case) -> list[PlantHealthFact]:
    """Decisions on this container that were not taken back, oldest first.

    One that is no longer valid for another reason still counts: a hold does not lapse by itself.
    """
    return sorted(
        (
            each
            for each in case.facts.plant_health
            if each.document.covers(case.facts.container)
            and each.document.standing is not Standing.REVOKED
        ),
        key=lambda each: (each.decided_at, each.document.issued_at, not each.accepted),
    )


def rel_040_plant_health(case: Case) -> Condition:
    """REL-040: plant health accepted, and the certificate it accepted is good *now*.

    The last decision counts. When its certificate is revoked or replaced, a new acceptance of the
    new certificate is needed; the old acceptance does not carry over.
    """
    decisions = _plant_decisions(case)
    if not decisions:
        if case.unclassified:
            return Condition("REL-040", State.UNKNOWN, "goods_not_classified")
        withdrawn = _withdrawn(case)
        if withdrawn is not None:
            return withdrawn
        if case.transport and not case.rules.plant_health_applies(case.hs):
            return not_required("REL-040")
        return Condition("REL-040", State.UNMET, "plant_health_missing")
    last = decisions[-1]
    if not last.accepted:
        number = last.document.number
        return Condition(
            "REL-040", State.UNMET, "plant_health_refused", number, (last.document.digest,)
        )
    if not last.document.good:
        return standing("REL-040", last.document)
    stands = _certificate_stands(case, last)
    return stands if stands.blocks else _withdrawn(case) or stands


def _withdrawn(case: Case) -> Condition | None:
    """A withdrawn certificate blocks, whether or not one was asked for, until another replaces it.

    Whoever withdrew it says that the goods are not what it said: no rule makes that unknown again.
    """
    held = [each for each in case.facts.others if each.type.startswith(PHYTOSANITARY)]
    found = covering(held, case.facts.container)
    good = [each.issued_at for each in found if each.good]
    for each in reversed(found):
        if each.standing is Standing.REVOKED and not any(at > each.issued_at for at in good):
            basis = (each.digest,)
            return Condition("REL-040", State.UNMET, "certificate_revoked", each.number, basis)
    return None


def _certificate_stands(case: Case, decision: PlantHealthFact) -> Condition:
    """Met when every certificate of the acceptance stands; else what is wrong with the first."""
    conditions = [_one_certificate(case, decision, each) for each in decision.certificates]
    wrong = next((each for each in conditions if each.blocks), None)
    if wrong or not conditions:
        seen = decision.document.number
        return wrong or Condition("REL-040", State.UNKNOWN, "certificate_not_held", seen)
    basis = (decision.document.digest, *decision.certificates)
    numbers = ", ".join(each.reason for each in conditions)
    return Condition("REL-040", State.MET, "", numbers, basis)


def _one_certificate(case: Case, decision: PlantHealthFact, digest: str) -> Condition:
    basis = (decision.document.digest, digest)
    certificate = next((each for each in case.facts.others if each.digest == digest), None)
    if certificate is None:
        seen = decision.document.number
        return Condition("REL-040", State.UNKNOWN, "certificate_not_held", seen, basis)
    if certificate.standing is Standing.REVOKED:
        return Condition("REL-040", State.UNMET, "certificate_revoked", certificate.number, basis)
    if not certificate.good:
        return standing("REL-040", certificate)
    return Condition("REL-040", State.MET, "", certificate.number, basis)


def _customs_decisions(case: Case) -> list[CustomsFact]:
    """Decisions until the container left, oldest first; at the same moment a hold wins."""
    left = case.facts.gate_out
    return sorted(
        (
            each
            for each in case.facts.customs
            if each.document.covers(case.facts.container)
            and each.document.standing is not Standing.REVOKED
            and (left is None or each.decided_at <= left)
        ),
        key=lambda each: (each.decided_at, each.document.issued_at, not each.released),
    )


def rel_050_customs(case: Case) -> Condition:
    """REL-050: customs released; the last event wins, so a later hold blocks again."""
    if not case.rules.customs:
        return not_required("REL-050")
    decisions = _customs_decisions(case)
    if not decisions:
        return Condition("REL-050", State.UNMET, "customs_release_missing")
    last = decisions[-1]
    basis = (last.document.digest,)
    if not last.released:
        return Condition("REL-050", State.UNMET, "customs_hold", last.document.number, basis)
    if not last.document.good:
        return standing("REL-050", last.document)
    if not _in_order(case, last):
        return Condition(
            "REL-050", State.UNMET, "customs_before_plant_health", last.document.number, basis
        )
    return Condition("REL-050", State.MET, "", last.document.number, basis)


def _in_order(case: Case, customs: CustomsFact) -> bool:
    """Where the rules say so, customs may release only once plant health had accepted.

    An acceptance of this container that was in force then keeps the order: when its certificate is
    revoked later, REL-040 blocks by itself, and the new acceptance does not force customs to
    release a second time.
    """
    applies = case.rules.plant_health_applies(case.hs)
    if not (case.rules.plant_health_before_customs and applies):
        return True
    before = [
        each
        for each in case.facts.plant_health
        if each.document.covers(case.facts.container) and each.decided_at <= customs.decided_at
    ]
    last = max(before, key=lambda each: (each.decided_at, not each.accepted), default=None)
    return last is not None and last.accepted


def rel_060_delivery_order(case: Case) -> Condition:
    """REL-060: an unused delivery order for this container from the carrier or its listed agent."""
    if not case.modes & case.rules.delivery_order:
        return not_required("REL-060") if case.transport else _order_missing()
    found = orders(case)
    conditions = [order_counts(case, each) for each in found]
    if _carriers_disagree(case, found, conditions):
        return Condition("REL-060", State.UNMET, "delivery_orders_disagree")
    met = next((each for each in reversed(conditions) if each.state is State.MET), None)
    if met or conditions:
        return met or conditions[-1]
    bad = covering((each.document for each in case.facts.delivery_orders), case.facts.container)
    return standing("REL-060", bad[-1]) if bad else _order_missing()


def _carriers_disagree(
    case: Case, found: Sequence[DeliveryOrderFact], conditions: Sequence[Condition]
) -> bool:
    """Several carriers claim the container, and their latest orders name different consignees.

    Any listed carrier can sign a document that names a container it never had.
    """
    if len(carriers(case)) < 2:
        return False
    pairs = zip(found, conditions, strict=True)
    latest = {one.document.issuer: one for one, told in pairs if told.state is State.MET}
    return len({_plain_name(one.consignee) for one in latest.values()}) > 1


def _order_missing() -> Condition:
    return Condition("REL-060", State.UNMET, "delivery_order_missing")


def rel_065_handover(case: Case) -> Condition:
    """REL-065: the handover at the border is shown, where the rules ask for it (rail)."""
    if not case.modes & case.rules.handover:
        return not_required("REL-065")
    notes = covering(case.facts.handovers, case.facts.container)
    return need("REL-065", notes, "handover_missing")


def certificate_conditions(case: Case) -> list[Condition]:
    """REL-070…: the further certificates the goods need, one condition per rule."""
    conditions = []
    for rule in case.rules.certificates:
        if case.unclassified:
            conditions.append(Condition(rule.id, State.UNKNOWN, "goods_not_classified"))
            continue
        if not any(code.startswith(rule.hs) for code in case.hs):
            conditions.append(not_required(rule.id))
            continue
        held = [each for each in case.facts.others if each.type == rule.type]
        found = covering(held, case.facts.container)
        conditions.append(need(rule.id, found, "certificate_missing"))
    return conditions


def rel_090_preference(case: Case) -> Condition:
    """REL-090: is a proof of origin here? Told only: its absence never blocks."""
    proofs = [each for each in case.facts.others if each.type in case.rules.preference]
    told = need("REL-090", covering(proofs, case.facts.container), "origin_not_proven")
    return Condition(told.id, told.state, told.code, told.reason, told.basis, blocking=False)


CONDITIONS: tuple[Callable[[Case], Condition], ...] = (
    rel_000_member_list,
    rel_010_transport,
    rel_020_surrender,
    rel_022_master,
    rel_025_consignee,
    rel_030_arrival,
    rel_035_discharged,
    rel_040_plant_health,
    rel_045_holds,
    rel_050_customs,
    rel_055_freight,
    rel_060_delivery_order,
    rel_065_handover,
    rel_075_charges,
    rel_080_pick_up,
    rel_095_aeo,
)


def _alerts(facts: ReleaseFacts) -> tuple[str, ...]:
    """What can no longer be undone and must be told (a hold after the container left)."""
    left = facts.gate_out
    if left is None:
        return ()
    late = any(not each.released and each.decided_at > left for each in facts.customs)
    late |= any(each.event == "HOLD" and each.may_hold and each.at > left for each in facts.events)
    return ("hold_after_gate_out",) if late else ()


def decide(facts: ReleaseFacts, rules: CountryRules, at: datetime) -> Decision:
    """May this container leave at `at`? All conditions are listed, whatever the outcome.

    Raises RefusedError `historical_report` when a fact rests on a report about another moment
    (R25).
    """
    if facts.historical:
        raise RefusedError("historical_report", "a release is decided on reports of now")
    transport = tuple(each for each in facts.transport if each.document.covers(facts.container))
    case = Case(facts, rules, at, transport)
    conditions = rules.in_sequence(
        (
            *(condition(case) for condition in CONDITIONS),
            *certificate_conditions(case),
            rel_090_preference(case),
        )
    )
    held = any(condition.blocks for condition in conditions)
    outcome = Outcome.HOLD if held else Outcome.RELEASE
    if facts.gate_out is not None:
        outcome = Outcome.DONE
    return Decision(
        outcome=outcome,
        container=facts.container,
        consignment=facts.consignment,
        at=at,
        country=rules.country,
        edition=rules.edition,
        rules_digest=rules.digest,
        conditions=conditions,
        alerts=_alerts(facts),
    )


class OrderAction(StrEnum):
    """What becomes of a release order that was signed before, after a new decision."""

    KEEP = "keep"
    VOID = "void"


def reconsider(decision: Decision, *, used: bool) -> OrderAction:
    """A hold re-opens an unused release: its order is void. A used order is past recall (R24)."""
    if decision.outcome is Outcome.HOLD and not used:
        return OrderAction.VOID
    return OrderAction.KEEP
