"""Plant health, quality and dangerous goods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas import sps
from testnet.story.scene import HOMES, kilograms, number
from testnet.story.trade import containers, goods_line, head, mark, seal, totals
from testnet.story.transport import voyage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.story.scene import Scene

PHYTO_NUMBER = "CN-PC-2026-004417"
QUALITY_NUMBERS = {"A": "CN-QC-2026-11802", "C": "CN-QC-2026-11955"}
CERTIFYING_STATEMENT = (
    "This is to certify that the plants, plant products or other regulated articles described "
    "herein have been inspected and/or tested according to appropriate official procedures."
)
# Test, value, unit (Rec 20), lower and upper limit.
TESTS: Mapping[str, tuple[tuple[str, str, str | None, str | None, str | None], ...]] = {
    "A": (
        ("Moisture", "74.2", "P1", None, "80"),
        ("Mouldy pieces by weight", "0.4", "P1", None, "1"),
        ("Core temperature", "13.1", "CEL", "12", "14"),
    ),
    "C": (
        ("Maximum power at standard conditions", "583", "WTT", "580", None),
        ("Insulation resistance", "412", "B75", "40", None),
    ),
}


def phytosanitary_certificate(scene: Scene, variation: Mapping[str, Any]) -> bytes:
    """Phytosanitary certificate (851) of consignment A, UN/CEFACT SPS XML.

    variation["replaces"] (number): this is the replacement "/2" of that certificate, issued now.
    """
    replaced = variation.get("replaces")
    issued = scene.moment() if replaced else scene.moment(days=-36)
    notes = [{"subject": "SPSFL", "content": "5"}]
    facts = {
        "name": "Phytosanitary certificate",
        "number": f"{PHYTO_NUMBER}/2" if replaced else PHYTO_NUMBER,
        "typeCode": "851",
        "statusCode": "70",
        "issuedAt": issued,
        "issuer": scene.name("cn-cert"),
        "notes": notes + (_replacement(scene, replaced) if replaced else []),
        "signedAt": issued,
        "place": HOMES["cn-cert"][2],
        "authority": scene.name("cn-cert"),
        "officer": "Lin Demo",
        "clauses": [{"id": "1", "text": CERTIFYING_STATEMENT}],
        "consignor": _party(scene, scene.exporter),
        "consignee": _party(scene, scene.importer),
        "exportCountry": scene.export_country,
        "importCountry": scene.import_country,
        "pointOfEntry": {"code": "NLRTM", "name": "Rotterdam"},
        "examinationPlace": "Shanghai",
        "transports": [_main_carriage(scene)],
        "equipment": [{"number": one, "seals": [seal(one)]} for one in scene.containers],
        "cargoType": "12",
        "lines": [_line(scene)],
    }
    return sps.write(facts)


def _replacement(scene: Scene, replaced: str) -> list[dict[str, str]]:
    """ISPM 12 replacement block: statement, number, reason, date of the replaced certificate."""
    return [
        {"subject": "ADRP", "content": "4"},
        {"subject": "ADRPN", "content": replaced},
        {"subject": "ADRPR", "content": "Withdrawn and issued again after a second inspection"},
        {"subject": "ADRD", "content": scene.day(-36)},
    ]


def _party(scene: Scene, actor_id: str) -> dict[str, Any]:
    party = scene.party(actor_id)
    return {"name": party["name"], "address": [*party["address"], party["country"]]}


def _main_carriage(scene: Scene) -> dict[str, str]:
    ship = voyage(scene)
    return {"mode": "1", "name": ship["name"], "voyage": ship["voyage"]}


def _line(scene: Scene) -> dict[str, Any]:
    goods = scene.goods
    return {
        "sequence": "1",
        "description": [goods["desc"]],
        "commonName": ["Ginger"],
        "scientificName": ["Zingiber officinale"],
        "intendedUse": ["Consumption"],
        "netWeight": kilograms(goods["net_kg"]),
        "grossWeight": kilograms(goods["gross_kg"]),
        "notes": [
            {
                "subject": "ADTLIL",
                "content": "The consignment was inspected and found free from Ralstonia "
                "solanacearum and practically free from soil",
            }
        ],
        "classifications": [
            {"system": "HS", "code": goods["hs"]},
            {"system": "EPPO", "code": "ZINOF", "name": "Zingiber officinale"},
            {"system": "IPPCPCVP", "code": "RHIZO", "name": "Rhizomes"},
        ],
        "packages": [{"level": "4", "type": scene.package_type, "quantity": number(goods["pkgs"])}],
        "origins": [{"country": "CN", "name": "China", "region": "Shandong"}],
    }


def quality_certificate(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Quality certificate (3)."""
    return head(scene, "quality-certificate", QUALITY_NUMBERS[scene.id], "cn-cert", -36) | {
        "parties": {
            "consignor": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
        },
        "goods": [goods_line(scene, origin=True, marks=True)],
        "totals": totals(scene),
        "containers": [{"number": one} for one in scene.containers],
        "inspectedAt": scene.moment(days=-37),
        "sample": {"takenAt": scene.moment(days=-38), "place": HOMES[scene.exporter][2]},
        "results": [_result(*test) for test in TESTS[scene.id]],
        "verdict": "PASS",
    }


def _result(
    test: str, value: str, unit: str | None, minimum: str | None, maximum: str | None
) -> dict[str, Any]:
    limits = {"unit": unit, "minimum": minimum, "maximum": maximum}
    stated = {name: limit for name, limit in limits.items() if limit is not None}
    return {"test": test, "value": value, **stated, "passed": True}


def dangerous_goods_declaration(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Dangerous goods declaration (890) of consignment B: UN 3480."""
    line = goods_line(scene, marks=True) | {
        "container": scene.containers[0],
        "dangerous": {
            "unNumber": "3480",
            "properShippingName": "LITHIUM ION BATTERIES",
            "class": "9",
            "marinePollutant": False,
            "limitedQuantity": False,
            "emergencySchedule": "F-A, S-I",
            "testSummary": "UN383-QYPS-512-100",
        },
    }
    ship = voyage(scene)
    key = "dangerous-goods-declaration"
    return head(scene, key, "QYPS-DG-0893", scene.exporter, -9) | {
        "parties": {
            "shipper": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
            "carrier": scene.party("nhl"),
        },
        "transport": {
            "mode": "1",
            "vessel": {"name": ship["name"], "imo": ship["imo"]},
            "voyage": ship["voyage"],
            "portOfLoading": "CNSHA",
            "portOfDischarge": "SGSIN",
        },
        "containers": containers(scene),
        "goods": [line],
        "totals": totals(scene),
        "emergencyContact": {"name": "Qingyu duty desk", "phone": "+86 21 5550 0110"},
        "packingCertificate": {"signatory": "Gu Demo", "date": scene.day(-9), "place": "Shanghai"},
        "declaration": {
            "signatory": "Gu Demo",
            "date": scene.day(-9),
            "text": f"The contents are fully and accurately described, marked {mark(scene)}, and "
            "in all respects in proper condition for transport.",
        },
    }
