"""The release order: what a decision becomes when it is signed (UNTDID 129, SAFETY R24).

One container, one gate group, one collector, at most one slot. The order pins the decision it rests
on by digest and names the documents behind the met conditions; its validity is the stated exposure
to a late revocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import times
from protocols.digest import sha256
from protocols.release.conditions import Outcome, State
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from protocols.release.conditions import Decision
    from protocols.release.rules import CountryRules
    from schemas.strict_json import JsonValue

TYPE = "release-order"


@dataclass(frozen=True, slots=True)
class Collector:
    """Who may fetch the container: a name, and where known DID and key (RFC 7638 thumbprint)."""

    name: str
    did: str = ""
    thumbprint: str = ""

    def to_json(self) -> dict[str, JsonValue]:
        """The order's `collector` member."""
        optional = {"did": self.did, "keyThumbprint": self.thumbprint}
        return {"name": self.name, **{key: value for key, value in optional.items() if value}}


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What the person who releases says: where, to whom, from when, for how long."""

    gate_group: str
    collector: Collector
    not_before: datetime
    validity: timedelta
    vehicle: str = ""


def decision_digest(decision: Decision) -> bytes:
    """SHA-256 of the decision's canonical JSON, in English."""
    return sha256(strict_json.canonical(decision.to_json("en")))


def number_of(container: str, at: datetime) -> str:
    """The order's number: container and moment (UTC), unique per container and millisecond."""
    return f"RO-{container}-{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def order_payload(
    decision: Decision, rules: CountryRules, request: OrderRequest, *, issuer: str
) -> bytes:
    """The order's document (our profile), RFC 8785 JSON. issuer: the organisation's name.

    Raises RefusedError `release_held` when the decision is not RELEASE now, `release_slot_too_long`
    when the validity is more than one slot.
    """
    if decision.outcome is not Outcome.RELEASE:
        unmet = ", ".join(condition.id for condition in decision.unmet)
        raise RefusedError(
            "release_held",
            unmet or decision.outcome.value,
            unmet=[each.to_json() for each in decision.unmet],
        )
    if not request.validity.total_seconds() > 0 or request.validity > rules.order_validity:
        minutes = int(rules.order_validity.total_seconds() // 60)
        raise RefusedError("release_slot_too_long", f"at most {minutes} minutes")
    body: dict[str, JsonValue] = {
        "documentType": TYPE,
        "number": number_of(decision.container, decision.at),
        "issueDate": f"{decision.at:%Y-%m-%d}",
        "consignment": decision.consignment,
        "importCountry": decision.country,
        "issuer": {"name": issuer, "country": decision.country},
        "containers": [{"number": decision.container}],
        "gateGroup": request.gate_group,
        "collector": request.collector.to_json(),
        **({"vehicle": request.vehicle} if request.vehicle else {}),
        "notBefore": times.to_text(request.not_before),
        "notAfter": times.to_text(request.not_before + request.validity),
        "conditionsDigest": decision_digest(decision).hex(),
        "ruleVersion": f"{decision.edition} {decision.rules_digest[:16]}",
        "conditions": _conditions(decision),
        "basis": list(decision.basis[:100]),
    }
    return strict_json.canonical(body)


def _conditions(decision: Decision) -> list[JsonValue]:
    settled = (State.MET, State.NOT_REQUIRED)
    return [
        {"id": each.id, "state": each.state.value}
        for each in decision.conditions
        if each.state in settled
    ]
