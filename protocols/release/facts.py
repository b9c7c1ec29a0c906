"""What a release decision looks at: typed facts, each with the document it rests on.

The facts of DESIGN §7 and of the release set (arrival notice, surrender, delivery order, plant
health, customs). `DocumentFact.standing` is the document's state *now*; a document good when it
arrived may be revoked, or its status too old to know. Nothing here reads a payload:
`protocols.release.reading` turns documents into facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.release.pick_up import Link


class Standing(StrEnum):
    """How a document stands at the moment of the decision."""

    GOOD = "good"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    STALE = "stale"  # the last status known is too old, or none could be fetched (R25)
    INVALID = "invalid"  # some check failed other than its status
    UNKNOWN = "unknown"  # some check could not be carried out


@dataclass(frozen=True, slots=True)
class DocumentFact:
    """A document as a fact: identity (hex digest), type, number, issuer DID, moment, standing.

    containers: ISO 6346 codes the document covers; empty means the whole consignment
    why:        the reason behind a standing other than GOOD, for people
    """

    digest: str
    type: str
    number: str
    issuer: str
    issued_at: datetime
    standing: Standing
    containers: tuple[str, ...] = ()
    why: str = ""

    def covers(self, container: str) -> bool:
        """True when the document speaks of this container or of the whole consignment."""
        return not self.containers or container in self.containers

    @property
    def good(self) -> bool:
        """True when the document may be relied on now."""
        return self.standing is Standing.GOOD


@dataclass(frozen=True, slots=True)
class TransportFact:
    """A bill, waybill or rail note: its kind decides whether a surrender is asked for.

    kind: "to-order", "blank", "straight", "waybill", "rail" or "multimodal"
    mode: "sea" or "rail" (of the leg that ends here)
    masters: of a house bill, the numbers of the master bills under which its goods are carried
    """

    document: DocumentFact
    kind: str
    mode: str
    consignee: str = ""
    hs: tuple[str, ...] = ()
    masters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TitleFact:
    """Where the bill's title stands at its arbiter.

    document: hex digest of the bill; state: NONE, LIVE, SURRENDERED, ACCEPTED, ENDED
    holder:   who may surrender it; final: is that state final at the arbiter (R21)
    """

    document: str
    state: str
    holder: str
    final: bool
    proof: str = ""


@dataclass(frozen=True, slots=True)
class PlantHealthFact:
    """A plant-health decision and the digests (hex) of the certificates it was taken on."""

    document: DocumentFact
    accepted: bool
    certificates: tuple[str, ...]
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class CustomsFact:
    """A customs decision: it clears (`released`), or it detains, inspects or refuses."""

    document: DocumentFact
    released: bool
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryOrderFact:
    """A delivery order: to whom the carrier will deliver which containers, until when."""

    document: DocumentFact
    consignee: str = ""
    valid_until: datetime | None = None
    freight: str = ""


@dataclass(frozen=True, slots=True)
class EventFact:
    """A logistics event: what, when, why; of a hold's lifting, the hold's digest (hex).

    by_terminal: its issuer is a terminal, port or dry port of this country
    may_hold:    its issuer may hold a container here: such a one, customs or plant health
    """

    document: DocumentFact
    event: str
    at: datetime
    reason: str = ""
    lifts: str = ""
    by_terminal: bool = False
    may_hold: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Everything one decision looks at.

    masters:       transport documents of other consignments that house bills here name
    agents:        DIDs that may sign delivery orders for the carrier, besides the carrier
    used_orders:   hex digests of delivery orders that a gate-out has used up, per this container
    gate_out:      when the container left, or None
    members_fresh: the member list is in force now; release has no grace after it expires (R6)
    events:        logistics events of the consignment
    links, revoked_links: of the pick-up right, and the digests of those taken back
    operators:     per authorised operator of the consignment: has it a benefit here now
    historical:    any fact comes from a report about another moment (R25); no decision then
    """

    container: str
    consignment: str
    transport: tuple[TransportFact, ...] = ()
    masters: tuple[TransportFact, ...] = ()
    titles: tuple[TitleFact, ...] = ()
    arrival_notices: tuple[DocumentFact, ...] = ()
    delivery_orders: tuple[DeliveryOrderFact, ...] = ()
    plant_health: tuple[PlantHealthFact, ...] = ()
    customs: tuple[CustomsFact, ...] = ()
    handovers: tuple[DocumentFact, ...] = ()
    others: tuple[DocumentFact, ...] = ()
    agents: frozenset[str] = frozenset()
    used_orders: frozenset[str] = frozenset()
    gate_out: datetime | None = None
    events: tuple[EventFact, ...] = ()
    links: tuple[Link, ...] = ()
    revoked_links: frozenset[str] = frozenset()
    operators: tuple[tuple[str, bool], ...] = ()
    members_fresh: bool = True
    historical: bool = False
