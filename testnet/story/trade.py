"""The documents of the sale and of where the goods come from."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from testnet.story.scene import kilograms, money, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.story.scene import Scene

INVOICES = {"A": "ANHE-26-1107", "B": "QYPS-26-0893", "C": "GZS-26-3310"}
DELIVERY = {"A": ("FOB", "Shanghai"), "B": ("FOB", "Shanghai"), "C": ("FCA", "Xi'an")}
ORIGIN_NUMBERS = {"A": "CN-2026-30718", "B": "CN-2026-88210"}
AEO_CODES = {"A": "AEOCN3707DEMQ01", "B": "AEOCN3101DEMR01", "C": "AEOCN6101DEMT01"}
ARRANGEMENTS = {"A": "DEMO-CN-NL", "B": "DEMO-CN-SG", "C": "DEMO-CN-KZ"}


def head(scene: Scene, key: str, document_number: str, issuer: str, days: int) -> dict[str, Any]:
    """The members every document of ours begins with; `days` from now it was issued."""
    return {
        "documentType": key,
        "number": document_number,
        "issueDate": scene.day(days),
        "consignment": scene.consignment["ucr"],
        "exportCountry": scene.export_country,
        "importCountry": scene.import_country,
        "issuer": scene.issuer(issuer),
    }


def quantity(scene: Scene) -> dict[str, str]:
    """What is counted: pieces where the script counts them, else net kilograms."""
    if "qty" in scene.goods:
        return {"value": number(scene.goods["qty"]), "unit": "H87"}
    return kilograms(scene.goods["net_kg"])


def goods_line(scene: Scene, *, origin: bool = False, marks: bool = False) -> dict[str, Any]:
    """The goods of the consignment as one line."""
    goods = scene.goods
    line = {
        "sequence": 1,
        "description": goods["desc"],
        "hs": goods["hs"],
        "hsEdition": "HS2022",
        "packages": {"count": goods["pkgs"], "packageType": scene.package_type},
        "netWeight": kilograms(goods["net_kg"]),
        "grossWeight": kilograms(goods["gross_kg"]),
    }
    extra = {
        "originCountry": scene.export_country if origin else None,
        "marks": mark(scene) if marks else None,
    }
    return line | {name: value for name, value in extra.items() if value}


def mark(scene: Scene) -> str:
    """The shipping mark, the same on every document of the consignment."""
    return f"{INVOICES[scene.id]} NO. 1-{scene.goods['pkgs']}"


def totals(scene: Scene) -> dict[str, Any]:
    """Totals of the consignment."""
    goods = scene.goods
    return {
        "packages": goods["pkgs"],
        "netWeight": kilograms(goods["net_kg"]),
        "grossWeight": kilograms(goods["gross_kg"]),
    }


def invoice_reference(scene: Scene) -> dict[str, str]:
    """Number and date of the invoice."""
    return {"number": INVOICES[scene.id], "date": scene.day(-40)}


def commercial_invoice(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Invoice (380) of the exporter."""
    total = Decimal(str(scene.goods["fob_usd"]))
    counted = quantity(scene)
    line = goods_line(scene, origin=True) | {
        "quantity": counted,
        "unitPrice": number(total / Decimal(counted["value"])),
        "amount": money(total),
    }
    term, place = DELIVERY[scene.id]
    return head(scene, "commercial-invoice", INVOICES[scene.id], scene.exporter, -40) | {
        "parties": {"seller": scene.party(scene.exporter), "buyer": scene.party(scene.importer)},
        "goods": [line],
        "currency": "USD",
        "totalAmount": money(total),
        "delivery": {"incoterm": term, "place": place},
    }


def containers(scene: Scene) -> list[dict[str, Any]]:
    """The containers with seals; packages and weights in equal parts."""
    count = len(scene.containers)
    goods = scene.goods
    return [
        {
            "number": container,
            "seals": [seal(container)],
            "packages": goods["pkgs"] // count,
            "grossWeight": kilograms(Decimal(str(goods["gross_kg"])) / count),
            "netWeight": kilograms(Decimal(str(goods["net_kg"])) / count),
        }
        for container in scene.containers
    ]


def seal(container: str) -> str:
    """The seal put on a container at loading."""
    return f"{container[:3]}{container[4:10]}"


def packing_list(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Packing list (271) of the exporter."""
    return head(scene, "packing-list", f"{INVOICES[scene.id]}-P", scene.exporter, -39) | {
        "parties": {
            "consignor": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
        },
        "goods": [goods_line(scene, origin=True, marks=True)],
        "totals": totals(scene),
        "containers": containers(scene),
        "invoice": invoice_reference(scene),
    }


def certificate_of_origin(scene: Scene, _variation: Mapping[str, Any]) -> dict[str, Any]:
    """Non-preferential certificate of origin (861)."""
    number_ = ORIGIN_NUMBERS[scene.id]
    return head(scene, "certificate-of-origin", number_, "cn-cert", -37) | {
        "parties": {
            "exporter": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
        },
        "goods": [goods_line(scene, origin=True, marks=True) | {"quantity": quantity(scene)}],
        "totals": totals(scene),
        "invoice": invoice_reference(scene),
        "balance": {"register": "did:web:cn-cert.example", "quantity": quantity(scene)},
    }


def preferential_certificate(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """RCEP certificate (864) of consignment B, standing on the certificates of its inputs.

    variation["inputs"]: number → digest (hex) of the input certificates' credentials.
    """
    rvc = scene.consignment["rvc"]
    line = goods_line(scene, origin=True, marks=True) | {
        "originCriterion": "RVC",
        "cumulation": True,
        "regionalValueContent": rvc["with_cumulation"]["rvc"],
        "quantity": quantity(scene),
        "fob": {"amount": money(rvc["fob"]), "currency": "USD"},
    }
    key = "preferential-certificate-of-origin"
    return head(scene, key, ORIGIN_NUMBERS[scene.id], "cn-cert", -10) | {
        "validUntil": scene.day(350),
        "kind": "RCEP_COO",
        "parties": {
            "exporter": scene.party(scene.exporter),
            "producer": scene.party(scene.exporter),
            "consignee": scene.party(scene.importer),
        },
        "goods": [line],
        "totals": totals(scene),
        "invoice": invoice_reference(scene),
        "departureDate": scene.day(-7),
        "inputs": [
            pinned(key, part["coo"], variation.get("inputs", {}))
            for part in rvc["inputs"]
            if part["coo"]
        ],
        "balance": {"register": "did:web:cn-cert.example", "quantity": quantity(scene)},
    }


def back_to_back_certificate(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Singapore's certificate for a part of consignment B that goes on to Thailand (RCEP 3.19).

    variation: number, pieces, original (digest, hex, of the certificate it draws on). It belongs to
    another consignment, which the story does not follow.
    """
    pieces, goods = variation["pieces"], scene.goods
    share = Decimal(pieces) / Decimal(goods["qty"])
    counted = {"value": number(pieces), "unit": "H87"}
    content = scene.consignment["rvc"]
    line = goods_line(scene) | {
        "packages": {"count": pieces, "packageType": scene.package_type},
        "netWeight": kilograms(Decimal(str(goods["net_kg"])) * share),
        "grossWeight": kilograms(Decimal(str(goods["gross_kg"])) * share),
        "originCountry": scene.export_country,
        "originCriterion": "RVC",
        "regionalValueContent": content["with_cumulation"]["rvc"],
        "quantity": counted,
        "fob": {"amount": money(Decimal(content["fob"]) * share), "currency": "USD"},
    }
    until = scene.day(350)
    original = {
        "number": ORIGIN_NUMBERS[scene.id],
        "issueDate": scene.day(-10),
        "validUntil": until,
        "originCountry": scene.export_country,
        "digest": variation["original"],
        "quantity": counted,
        "originalQuantity": quantity(scene),
    }
    body = head(scene, "back-to-back-certificate-of-origin", variation["number"], "sg-customs", 0)
    del body["consignment"]
    return body | {
        "exportCountry": scene.import_country,
        "importCountry": "TH",
        "validUntil": until,
        "kind": "RCEP_COO",
        "parties": {
            "exporter": scene.party(scene.importer),
            "consignee": {"name": "Lantern Bay Storage", "address": ["Port"], "country": "TH"},
        },
        "goods": [line],
        "backToBack": original,
    }


def pinned(key: str, document_number: str, digests: Mapping[str, str]) -> dict[str, str]:
    """A reference with a digest; without a real one, the digest of the number stands in."""
    stand_in = sha256(f"{key} {document_number}".encode()).hexdigest()
    digest = digests.get(document_number, stand_in)
    return {"type": key, "number": document_number, "digest": digest}


# Inputs of consignment B: maker, its address, pieces, net and gross kilograms.
MAKERS: Mapping[str, tuple[str, str, int, int, int]] = {
    "KR": ("Morning Tide Cells Co., Ltd.", "Ulsan", 2560, 4864, 5120),
    "VN": ("Red Delta Castings Co., Ltd.", "Hai Phong", 160, 640, 704),
}
INPUT_ISSUERS = {"KR": "kr-cert", "VN": "vn-cert"}


def input_certificate(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """RCEP certificate of one input of consignment B; variation["country"] is KR or VN."""
    country = variation["country"]
    part = next(one for one in scene.consignment["rvc"]["inputs"] if one["origin"] == country)
    maker, city, pieces, net, gross = MAKERS[country]
    line = {
        "sequence": 1,
        "description": f"{part['part'].capitalize()} for battery packs",
        "hs": part["hs"],
        "hsEdition": "HS2022",
        "packages": {"count": 16, "packageType": "PX"},
        "netWeight": kilograms(net),
        "grossWeight": kilograms(gross),
        "originCountry": country,
        "originCriterion": "CTC",
        "quantity": {"value": number(pieces), "unit": "H87"},
    }
    key = "preferential-certificate-of-origin"
    return head(scene, key, part["coo"], INPUT_ISSUERS[country], -60) | {
        "exportCountry": country,
        "importCountry": "CN",
        "validUntil": scene.day(300),
        "kind": "RCEP_COO",
        "parties": {
            "exporter": {"name": maker, "address": [city], "country": country},
            "consignee": scene.party(scene.exporter),
        },
        "goods": [line],
        "departureDate": scene.day(-58),
    }


def aeo_status(scene: Scene, variation: Mapping[str, Any]) -> dict[str, Any]:
    """Status event of the exporter.

    variation: seq (default 1), status (ACTIVE), prevHash (hex, from event 2), reason, consent.
    """
    seq = variation.get("seq", 1)
    later = {name: variation[name] for name in ("prevHash", "reason") if name in variation}
    days = -400 if seq == 1 else 0
    code = AEO_CODES[scene.id]
    return {
        "documentType": "aeo-status",
        "number": f"{code}-{seq:04}",
        "issueDate": scene.day(days),
        "issuer": scene.issuer("cn-cert"),
        "programme": {"country": "CN", "name": "Demonstration credit programme"},
        "holder": {
            "code": code,
            "name": scene.name(scene.exporter),
            "did": scene.party(scene.exporter)["did"],
            "identifiers": scene.party(scene.exporter)["identifiers"],
        },
        "authorisation": "AEOF",
        "roles": ["EXPORTER", "MANUFACTURER"],
        "seq": seq,
        **later,
        "status": variation.get("status", "ACTIVE"),
        "effective": scene.day(days),
        "recorded": scene.moment(days=days),
        "mraRefs": [ARRANGEMENTS[scene.id]],
        "consent": {"given": variation.get("consent", True), "date": scene.day(-400)},
    }
