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
    """Issuers of the sea documents of the container."""
    return {each.document.issuer for each in case.transport if each.mode == "sea"}


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
