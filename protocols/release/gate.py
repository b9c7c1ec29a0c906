"""What a register and its gates say to each other, and what a gate decides alone (SAFETY R24).

A *lease* gives one order to one gate: until the order ends nobody but that gate may open for it,
so a gate needs no network to be sure of being the only one. At the gate the collector shows its key
by signing the gate's *challenge* (a *presentation*). What a gate did, it says in a *journal*:
numbered, chained, signed by the gate's own key. All are JWS with a `typ` of their own (R1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.fields import DID, Fields
from protocols.keys import PublicKey, from_jwk
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

LEASE_TYP = "pratique-gate-lease+jwt"
NOTICE_TYP = "pratique-gate-notice+jwt"
PRESENTATION_TYP = "pratique-gate-presentation+jwt"
JOURNAL_TYP = "pratique-gate-journal+jwt"
CODE = "gate_malformed"
MAX_TEXT = 32_000


@dataclass(frozen=True, slots=True)
class Lease:
    """One order leased to one gate. Digests are hex; key: the collector's public JWK.

    vehicle: the plate that may collect, "" where none was named
    """

    network: str
    register: str
    gate: str
    gate_key: str
    group: str
    order: str
    number: str
    container: str
    consignment: str
    collector: str
    key: Mapping[str, str]
    vehicle: str
    not_before: datetime
    not_after: datetime
    leased_at: datetime
    text: str = field(default="", repr=False)

    def to_json(self) -> dict[str, JsonValue]:
        """What is signed."""
        return {
            "network": self.network,
            "register": self.register,
            "gate": self.gate,
            "gateKey": self.gate_key,
            "group": self.group,
            "order": self.order,
            "number": self.number,
            "container": self.container,
            "consignment": self.consignment,
            "collector": self.collector,
            "key": dict(self.key),
            **({"vehicle": self.vehicle} if self.vehicle else {}),
            "notBefore": times.to_text(self.not_before),
            "notAfter": times.to_text(self.not_after),
            "leasedAt": times.to_text(self.leased_at),
        }

    def collector_key(self) -> PublicKey:
        """The key by which the collector shows itself."""
        return from_jwk(f"{self.collector}#collector", dict(self.key))


def sign_lease(lease: Lease, signer: Signer) -> str:
    """The lease as the register signs it."""
    return jws.sign(strict_json.canonical(lease.to_json()), typ=LEASE_TYP, signer=signer)


def read_lease(text: str, register: PublicKey, *, gate: str, gate_key: str) -> Lease:
    """A lease for this gate, signed by the register's key that the gate was set up with.

    Raises MalformedError `gate_malformed`, RefusedError `gate_lease_untrusted`.
    """
    fields = _signed(text, LEASE_TYP, register)
    lease = Lease(
        network=fields.text("network", max_length=64),
        register=fields.text("register", pattern=DID),
        gate=fields.text("gate", max_length=70),
        gate_key=fields.text("gateKey", max_length=43),
        group=fields.text("group", max_length=100),
        order=fields.digest("order").hex(),
        number=fields.text("number", max_length=100),
        container=fields.text("container", max_length=20),
        consignment=fields.text("consignment", max_length=100),
        collector=fields.text("collector", max_length=255),
        key=fields.text_map("key"),
        vehicle=fields.optional_text("vehicle", max_length=20) or "",
        not_before=fields.time("notBefore"),
        not_after=fields.time("notAfter"),
        leased_at=fields.time("leasedAt"),
        text=text,
    )
    if (lease.gate, lease.gate_key) != (gate, gate_key):
        raise RefusedError("gate_lease_untrusted", f"it is for gate {lease.gate}")
    return lease


def _signed(text: str, typ: str, key: PublicKey) -> Fields:
    parsed = jws.parse(text, typ=typ, max_bytes=MAX_TEXT)
    try:
        jws.verify(parsed, key)
    except RefusedError as error:
        raise RefusedError("gate_lease_untrusted", error.detail) from None
    return Fields(strict_json.loads_object(parsed.payload), CODE)


@dataclass(frozen=True, slots=True)
class Notice:
    """The register's word that an order is taken back: by a hold, a revocation, a broken right."""

    order: str
    reason: str
    at: datetime


def sign_notice(network: str, notice: Notice, signer: Signer) -> str:
    """The notice as the register signs it; it may be carried to a gate by any means."""
    body: dict[str, JsonValue] = {
        "network": network,
        "order": notice.order,
        "reason": notice.reason,
        "at": times.to_text(notice.at),
    }
    return jws.sign(strict_json.canonical(body), typ=NOTICE_TYP, signer=signer)


def read_notice(text: str, register: PublicKey, network: str) -> Notice:
    """A notice of this gate's register; errors as `read_lease`."""
    fields = _signed(text, NOTICE_TYP, register)
    if fields.text("network", max_length=64) != network:
        raise RefusedError("gate_lease_untrusted", "it belongs to another network")
    return Notice(
        order=fields.digest("order").hex(),
        reason=fields.text("reason", max_length=500),
        at=fields.time("at"),
    )


def presentation(
    network: str, order: str, challenge: str, vehicle: str, at: datetime, signer: Signer
) -> str:
    """The collector's answer to a gate's challenge, with the vehicle that stands there."""
    body: dict[str, JsonValue] = {
        "network": network,
        "order": order,
        "challenge": challenge,
        "vehicle": vehicle,
        "at": times.to_text(at),
    }
    return jws.sign(strict_json.canonical(body), typ=PRESENTATION_TYP, signer=signer)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A truck at the gate: container on it, plate seen, and the collector's presentation.

    condition: SOUND or DAMAGED where somebody looked, else ""; seals: the seals seen
    """

    order: str
    container: str
    vehicle: str
    proof: str
    condition: str = ""
    seals: tuple[str, ...] = ()
    remarks: str = ""


def plate(text: str) -> str:
    """A plate without spaces, hyphens and case: what a camera and a form have in common."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


def require_admissible(
    lease: Lease | None, arrival: Arrival, challenge: str, held: str, now: datetime
) -> Lease:
    """Everything asked of an arrival but whether the order was used, which only a store knows.

    lease: of that order at this gate, if there is one; held: why the order was taken back, "" when
    it was not; challenge: what this gate asked, not asked before and not yet answered

    Raises RefusedError `gate_order_not_leased`, `gate_order_not_now`, `gate_on_hold`,
    `gate_wrong_container`, `gate_wrong_vehicle`, `gate_wrong_collector`.
    """
    if lease is None:
        raise RefusedError("gate_order_not_leased", arrival.order[:16])
    if not lease.not_before <= now < lease.not_after:
        raise RefusedError("gate_order_not_now", f"until {times.to_text(lease.not_after)}")
    if held:
        raise RefusedError("gate_on_hold", held)
    if arrival.container != lease.container:
        raise RefusedError("gate_wrong_container", f"it names {lease.container}")
    if lease.vehicle and plate(arrival.vehicle) != plate(lease.vehicle):
        raise RefusedError("gate_wrong_vehicle", arrival.vehicle[:20])
    _require_collector(lease, arrival, challenge)
    return lease


def _require_collector(lease: Lease, arrival: Arrival, challenge: str) -> None:
    try:
        parsed = jws.parse(arrival.proof, typ=PRESENTATION_TYP, max_bytes=MAX_TEXT)
        jws.verify(parsed, lease.collector_key())
    except RefusedError as error:
        raise RefusedError("gate_wrong_collector", error.detail) from None
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    said = (
        fields.text("network", max_length=64),
        fields.digest("order").hex(),
        fields.text("challenge", max_length=64),
    )
    if said != (lease.network, lease.order, challenge):
        raise RefusedError("gate_wrong_collector", "it answers another question")
    if plate(fields.text("vehicle", max_length=20)) != plate(arrival.vehicle):
        raise RefusedError("gate_wrong_vehicle", "the collector shows another vehicle")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a gate's journal. kind: USED, REFUSED, MANUAL or VOIDED.

    previous: digest (hex) of the line before, "" for the first
    condition, seals: of the container that went out, where somebody looked
    """

    gate: str
    seq: int
    previous: str
    kind: str
    at: datetime
    order: str = ""
    container: str = ""
    vehicle: str = ""
    code: str = ""
    reason: str = ""
    person: str = ""
    condition: str = ""
    seals: tuple[str, ...] = ()
    digest: str = ""

    def to_json(self) -> dict[str, JsonValue]:
        """What is signed; empty members are left out."""
        body: dict[str, JsonValue] = {
            "gate": self.gate,
            "seq": self.seq,
            "previous": self.previous,
            "kind": self.kind,
            "at": times.to_text(self.at),
            "order": self.order,
            "container": self.container,
            "vehicle": self.vehicle,
            "code": self.code,
            "reason": self.reason,
            "person": self.person,
            "condition": self.condition,
            **({"seals": list(self.seals)} if self.seals else {}),
        }
        return {name: value for name, value in body.items() if value != ""}


def sign_entry(entry: Entry, signer: Signer) -> str:
    """The line as the gate signs it."""
    return jws.sign(strict_json.canonical(entry.to_json()), typ=JOURNAL_TYP, signer=signer)


def read_entry(text: str, key: PublicKey, gate: str) -> Entry:
    """A journal line of that gate; raises MalformedError, RefusedError `gate_report_broken`."""
    parsed = jws.parse(text, typ=JOURNAL_TYP, max_bytes=MAX_TEXT)
    jws.verify(parsed, key)
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    if fields.text("gate", max_length=70) != gate:
        raise RefusedError("gate_report_broken", "it is another gate's line")
    kind = fields.text("kind", max_length=10)
    if kind not in ("USED", "REFUSED", "MANUAL", "VOIDED"):
        raise fields.fault("kind", "USED, REFUSED, MANUAL or VOIDED")
    return Entry(
        gate=gate,
        seq=fields.integer("seq", 1, 2**31 - 1),
        previous=fields.digest("previous").hex() if fields.has("previous") else "",
        kind=kind,
        at=fields.time("at"),
        order=fields.digest("order").hex() if fields.has("order") else "",
        container=fields.optional_text("container", max_length=20) or "",
        vehicle=fields.optional_text("vehicle", max_length=20) or "",
        code=fields.optional_text("code", max_length=64) or "",
        reason=fields.optional_text("reason", max_length=500) or "",
        person=fields.optional_text("person", max_length=140) or "",
        condition=fields.optional_text("condition", max_length=10) or "",
        seals=fields.texts("seals", max_length=15, max_items=20),
        digest=parsed.payload_digest.hex(),
    )
