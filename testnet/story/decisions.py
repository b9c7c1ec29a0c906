"""The decisions of authorities and the release order of the port."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from testnet.story.certificates import PHYTO_NUMBER
from testnet.story.scene import actor_did
from testnet.story.trade import ORIGIN_NUMBERS, head, pinned
from testnet.story.transport import bill_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.story.scene import Scene

AUTHORITIES = {"A": "nl-customs", "B": "sg-customs", "C": "kz-rail"}
TERMINALS = {"A": "nl-port", "B": "sg-port", "C": "kz-rail"}
GATES = {"A": "MDPX-GATE-A", "B": "STPX-GATE-2", "C": "KZALA-GATE-1"}
COLLECTORS = {"A": "haulier-a", "B": "imp-b", "C": "imp-c"}
DECLARATIONS = {"A": "26NL000396DEMO41", "B": "26SG-IM-0088213", "C": "26KZ-50417-0009"}
RULES = {"A": "NL-2026-1", "B": "SG-2026-1", "C": "KZ-2026-1"}
SLOT_HOURS = 2


def _scope(scene: Scene) -> dict[str, Any]:
    return {"kind": "CONTAINER", "containers": [{"number": one} for one in scene.containers]}


def _reasons(variation: Mapping[str, Any]) -> dict[str, Any]:
    return {"reasons": [{"text": variation["reason"]}]} if "reason" in variation else {}


def plant_health_decision(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Plant-health decision on consignment A.

    variation: verdict (ACCEPTED), certificate (number), digests (number → hex digest), reason,
    revision (2 for the decision on the replacement).
    """
    certificate = variation.get("certificate", PHYTO_NUMBER)
    subject = pinned("phytosanitary-certificate", certificate, variation.get("digests", {}))
    suffix = f"-{variation['revision']}" if "revision" in variation else ""
    document_number = f"NL-PH-2026-20551{suffix}"
    return head(scene, "plant-health-decision", document_number, AUTHORITIES[scene.id], 0) | {
        "decidedAt": scene.moment(),
        "verdict": variation.get("verdict", "ACCEPTED"),
        "subjects": [subject],
        "scope": _scope(scene),
        "inspection": "DOCUMENTARY",
        **_reasons(variation),
        "ruleVersion": RULES[scene.id],
    }


def customs_decision(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Customs decision (961).

    variation: verdict (RELEASED), lane (AEO), digests (number → hex digest), reason, revision.
    """
    verdict = variation.get("verdict", "RELEASED")
    origin = {
        "A": "certificate-of-origin",
        "B": "preferential-certificate-of-origin",
    }
    digests = variation.get("digests", {})
    subjects = (
        [pinned(origin[scene.id], ORIGIN_NUMBERS[scene.id], digests)] if scene.id in origin else []
    )
    suffix = f"-{variation['revision']}" if "revision" in variation else ""
    document_number = f"{DECLARATIONS[scene.id]}-D{suffix}"
    return head(scene, "customs-decision", document_number, AUTHORITIES[scene.id], 0) | {
        "decidedAt": scene.moment(),
        "verdict": verdict,
        "action": {"RELEASED": "1", "REFUSED": "2"}.get(verdict, "4"),
        "declarationNumber": DECLARATIONS[scene.id],
        "lane": variation.get("lane", "AEO"),
        "subjects": subjects,
        "scope": _scope(scene),
        **_reasons(variation),
        "ruleVersion": RULES[scene.id],
    }


def release_order(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Release order (129) for one container and one slot (R24).

    variation: container, conditionsDigest (hex), keyThumbprint of the collector's key.
    """
    container = variation.get("container", scene.containers[0])
    collector = COLLECTORS[scene.id]
    stand_in = sha256(f"release of {container}".encode()).hexdigest()
    key = {"keyThumbprint": variation["keyThumbprint"]} if "keyThumbprint" in variation else {}
    document_number = f"{GATES[scene.id]}-{container}"
    return head(scene, "release-order", document_number, TERMINALS[scene.id], 0) | {
        "billOfLading": bill_reference(scene, variation),
        "containers": [{"number": container}],
        "gateGroup": GATES[scene.id],
        "collector": {"name": scene.name(collector), "did": actor_did(collector), **key},
        "notBefore": scene.moment(),
        "notAfter": scene.moment(hours=SLOT_HOURS),
        "conditionsDigest": variation.get("conditionsDigest", stand_in),
        "ruleVersion": RULES[scene.id],
    }
