"""What every release condition is given, and the few shapes that conditions have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.release.decision import Condition, State
from protocols.release.facts import ReleaseFacts, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from protocols.release.facts import DeliveryOrderFact, DocumentFact, TransportFact
    from protocols.release.rules import CountryRules


@dataclass(frozen=True, slots=True)
class Case:
    """What every condition function gets: the facts narrowed to one container, rules, moment."""

    facts: ReleaseFacts
    rules: CountryRules
    at: datetime
    transport: tuple[TransportFact, ...]

    @property
    def modes(self) -> frozenset[str]:
        """Modes of carriage that end here."""
        return frozenset(each.mode for each in self.transport)

    @property
    def hs(self) -> tuple[str, ...]:
        """HS codes (six digits) that the transport documents name."""
        return tuple(code for each in self.transport for code in each.hs)

    @property
    def unclassified(self) -> bool:
        """No transport document tells what the goods are: no control of goods may be left out."""
        return bool(self.transport) and not self.hs

    @property
    def surrendering(self) -> tuple[TransportFact, ...]:
        """The documents whose title has to be given up."""
        return tuple(each for each in self.transport if self.rules.must_surrender(each.kind))

    @property
    def identifying(self) -> tuple[TransportFact, ...]:
        """The sea documents where the named consignee identifies itself instead."""
        return tuple(
            each
            for each in self.transport
            if each.mode == "sea" and not self.rules.must_surrender(each.kind)
        )


_CODES = {
    Standing.REVOKED: "document_revoked",
    Standing.SUSPENDED: "document_suspended",
    Standing.STALE: "document_status_stale",
    Standing.INVALID: "document_invalid",
    Standing.UNKNOWN: "document_unknown",
}


def covering(documents: Iterable[DocumentFact], container: str) -> list[DocumentFact]:
    """Those that speak of the container, oldest first."""
    return sorted(
        (each for each in documents if each.covers(container)), key=lambda each: each.issued_at
    )


def standing(condition_id: str, document: DocumentFact) -> Condition:
    """The condition that says why a document that is there does not count now (R25)."""
    unknown = document.standing is Standing.UNKNOWN
    told = f"{document.type} {document.number}"
    return Condition(
        condition_id,
        State.UNKNOWN if unknown else State.UNMET,
        _CODES[document.standing],
        f"{told}: {document.why}" if document.why else told,
        (document.digest,),
    )


def need(condition_id: str, documents: Sequence[DocumentFact], missing: str) -> Condition:
    """Met by the latest good document; else says what is wrong with the latest, or that none is."""
    for document in reversed(documents):
        if document.good:
            seen = f"{document.type} {document.number}"
            return Condition(condition_id, State.MET, "", seen, (document.digest,))
    if documents:
        return standing(condition_id, documents[-1])
    return Condition(condition_id, State.UNMET, missing)


def not_required(condition_id: str, why: str = "") -> Condition:
    """The rules do not ask for it."""
    return Condition(condition_id, State.NOT_REQUIRED, "", why)


def carriers(case: Case) -> set[str]:
    """Issuers of the sea documents under which the terminal has the container.

    Whoever issued a house bill has the goods from the master's carrier: what he signs moves nothing
    out of the terminal.
    """
    known = (*case.transport, *masters(case))
    return {each.document.issuer for each in known if each.mode == "sea" and not each.masters}


def masters_named(case: Case, house: TransportFact) -> dict[str, list[TransportFact]]:
    """The documents that are held under each number of a master bill that the house bill names.

    One that was taken back is left out where another has its number: a bill issued again.
    """
    held = (*case.facts.transport, *case.facts.masters)
    named: dict[str, list[TransportFact]] = {}
    for number in house.masters:
        found = [each for each in held if each.document.number == number and each != house]
        standing = [each for each in found if each.document.standing is not Standing.REVOKED]
        named[number] = standing or found[-1:]
    return named


def masters(case: Case) -> list[TransportFact]:
    """All master bills above the house bills of the container, each once."""
    found: list[TransportFact] = []
    waiting = list(case.transport)
    while waiting:
        for each in masters_named(case, waiting.pop()).values():
            fresh = [one for one in each if one not in found]
            found += fresh
            waiting += fresh
    return found


def surrendered(condition_id: str, case: Case, bill: TransportFact) -> Condition:
    """Whether the bill's title is surrendered for delivery and accepted, finally (R21)."""
    titles = [each for each in case.facts.titles if each.document == bill.document.digest]
    title = titles[0] if titles else None
    number, basis = bill.document.number, (bill.document.digest,)
    if len(titles) > 1:
        # R19: whoever surrendered one of them says nothing about who holds the other.
        return Condition(condition_id, State.UNMET, "title_conflict", number, basis)
    if title is None:
        return Condition(condition_id, State.UNKNOWN, "title_not_known", number, basis)
    detail = {"holder": title.holder, "state": title.state}
    reason = f"{number}: {title.state}, {title.holder}"
    if not title.final:
        return Condition(condition_id, State.UNMET, "title_not_final", reason, basis, detail=detail)
    if title.state in ("ACCEPTED", "ENDED"):
        return Condition(condition_id, State.MET, "", reason, basis, detail=detail)
    code = "surrender_not_accepted" if title.state == "SURRENDERED" else "title_not_surrendered"
    return Condition(condition_id, State.UNMET, code, reason, basis, detail=detail)


def orders(case: Case) -> list[DeliveryOrderFact]:
    """Delivery orders that are good and cover the container, oldest first."""
    container = case.facts.container
    found = (each for each in case.facts.delivery_orders if each.document.covers(container))
    return sorted(
        (each for each in found if each.document.good), key=lambda each: each.document.issued_at
    )


def order_counts(case: Case, order: DeliveryOrderFact) -> Condition:
    """Whether a delivery order counts: of carrier or listed agent, unused, in time."""
    document = order.document
    basis = (document.digest,)
    if document.issuer not in carriers(case) | case.facts.agents:
        return Condition(
            "REL-060", State.UNMET, "delivery_order_not_from_carrier", document.issuer, basis
        )
    if document.digest in case.facts.used_orders:
        return Condition("REL-060", State.UNMET, "delivery_order_used", document.number, basis)
    if order.valid_until is not None and order.valid_until <= case.at:
        return Condition("REL-060", State.UNMET, "delivery_order_expired", document.number, basis)
    return Condition("REL-060", State.MET, "", document.number, basis)
