"""Every document of the story as payload bytes: pure functions of the script and a moment.

`planned` lists the documents of a consignment in the order they are issued; `build` makes one.
The write-off, the origin calculation, the back-to-back certificates and the declarations of the
script come with the features they show.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import registry
from schemas.errors import NotFoundError
from testnet.story import certificates, decisions, trade, transport
from testnet.story.scene import Scene, load_story

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    Builder = Callable[[Scene, Mapping[str, Any]], "dict[str, Any] | bytes"]

__all__ = ["Planned", "StoryDocument", "build", "load_story", "planned"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One document that will be issued: its key in the consignment, its type and its issuer.

    key:          unique within the consignment, e.g. ``bill-of-lading`` or ``coo-kr``
    issuer_actor: the node that signs (for a party: its host)
    variation:    fixed arguments of the builder
    """

    key: str
    document_type: str
    issuer_actor: str
    variation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoryDocument:
    """A payload ready to be issued. Countries are the envelope's; `number` as the view reads it."""

    key: str
    document_type: str
    number: str
    payload: bytes
    media_type: str
    issuer_actor: str
    consignment_ucr: str
    export_country: str
    import_country: str


_BUILDERS: Mapping[str, Builder] = {
    "aeo-status": trade.aeo_status,
    "commercial-invoice": trade.commercial_invoice,
    "packing-list": trade.packing_list,
    "certificate-of-origin": trade.certificate_of_origin,
    "phytosanitary-certificate": certificates.phytosanitary_certificate,
    "quality-certificate": certificates.quality_certificate,
    "dangerous-goods-declaration": certificates.dangerous_goods_declaration,
    "bill-of-lading": transport.bill_of_lading,
    "arrival-notice": transport.arrival_notice,
    "delivery-order": transport.delivery_order,
    "master-transport-document": transport.master_transport_document,
    "rail-consignment-note": transport.rail_consignment_note,
    "road-leg-note": transport.road_leg_note,
    "handover-note": transport.handover_note,
    "plant-health-decision": decisions.plant_health_decision,
    "customs-decision": decisions.customs_decision,
    "release-order": decisions.release_order,
}

# Consignment → (key, document type, issuing node) in the order of issue. A key that is a type of
# its own needs no second word.
_PLANS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "A": (
        ("aeo-status", "aeo-status", "cn-cert"),
        ("commercial-invoice", "commercial-invoice", "nhl"),
        ("packing-list", "packing-list", "nhl"),
        ("certificate-of-origin", "certificate-of-origin", "cn-cert"),
        ("phytosanitary-certificate", "phytosanitary-certificate", "cn-cert"),
        ("quality-certificate", "quality-certificate", "cn-cert"),
        ("bill-of-lading", "bill-of-lading", "nhl"),
        ("arrival-notice", "arrival-notice", "nhl"),
        ("plant-health-decision", "plant-health-decision", "nl-customs"),
        ("customs-decision", "customs-decision", "nl-customs"),
        ("delivery-order", "delivery-order", "nhl"),
        ("release-order", "release-order", "nl-port"),
    ),
    "B": (
        ("coo-kr", "preferential-certificate-of-origin", "kr-cert"),
        ("coo-vn", "preferential-certificate-of-origin", "vn-cert"),
        ("commercial-invoice", "commercial-invoice", "cn-port"),
        ("packing-list", "packing-list", "cn-port"),
        ("aeo-status", "aeo-status", "cn-cert"),
        ("coo-rcep", "preferential-certificate-of-origin", "cn-cert"),
        ("dangerous-goods-declaration", "dangerous-goods-declaration", "cn-port"),
        ("bill-of-lading", "bill-of-lading", "nhl"),
        ("customs-decision", "customs-decision", "sg-customs"),
        ("delivery-order", "delivery-order", "nhl"),
        ("release-order", "release-order", "sg-port"),
    ),
    "C": (
        ("aeo-status", "aeo-status", "cn-cert"),
        ("commercial-invoice", "commercial-invoice", "cn-rail"),
        ("master-transport-document", "master-transport-document", "cn-rail"),
        ("road-leg-note", "road-leg-note", "cn-rail"),
        ("rail-consignment-note", "rail-consignment-note", "cn-rail"),
        ("quality-certificate", "quality-certificate", "cn-cert"),
        ("handover-note", "handover-note", "kz-rail"),
        ("customs-decision", "customs-decision", "kz-rail"),
        ("release-order", "release-order", "kz-rail"),
    ),
}
_INPUTS = {"coo-kr": "KR", "coo-vn": "VN"}


def planned(story: Mapping[str, Any], consignment_id: str) -> tuple[Planned, ...]:
    """The documents of a consignment in order of issue. Raises NotFoundError for another id."""
    _consignment(story, consignment_id)
    return tuple(
        Planned(key, kind, issuer, {"country": _INPUTS[key]} if key in _INPUTS else {})
        for key, kind, issuer in _PLANS[consignment_id]
    )


def build(
    story: Mapping[str, Any],
    consignment_id: str,
    document_key: str,
    now: datetime,
    **variation: Any,
) -> StoryDocument:
    """The payload of one document at `now` (aware, UTC).

    `variation` goes to the builder of the type; see there, e.g. ``replaces=…`` for the replacement
    phytosanitary certificate. Raises NotFoundError for a document the consignment has not.
    """
    plan = next((one for one in planned(story, consignment_id) if one.key == document_key), None)
    if plan is None:
        raise NotFoundError("story_document_unknown", f"no {document_key} in {consignment_id}")
    scene = Scene(story, _consignment(story, consignment_id), now)
    content = _builder(plan)(scene, {**plan.variation, **variation})
    payload = content if isinstance(content, bytes) else to_bytes(content)
    view = registry.examine(plan.document_type, payload).view
    return StoryDocument(
        key=document_key,
        document_type=plan.document_type,
        number=view.number,
        payload=payload,
        media_type=registry.get(plan.document_type).media_type,
        issuer_actor=plan.issuer_actor,
        consignment_ucr=str(scene.consignment["ucr"]),
        export_country=view.export_country or scene.export_country,
        import_country=view.import_country or scene.import_country,
    )


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """Compact JSON in the order it was built: what an issuer's system would send."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _builder(plan: Planned) -> Builder:
    if plan.document_type == "preferential-certificate-of-origin":
        if plan.key in _INPUTS:
            return trade.input_certificate
        return trade.preferential_certificate
    return _BUILDERS[plan.document_type]


def _consignment(story: Mapping[str, Any], consignment_id: str) -> Mapping[str, Any]:
    for consignment in story["consignments"]:
        if consignment["id"] == consignment_id and consignment_id in _PLANS:
            found: Mapping[str, Any] = consignment
            return found
    raise NotFoundError("story_document_unknown", f"no consignment {consignment_id}")
