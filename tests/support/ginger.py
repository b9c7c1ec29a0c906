"""The facts of a fictional phytosanitary certificate for fresh ginger, free of every finding."""

from __future__ import annotations

import copy
from typing import Any

GINGER: dict[str, Any] = {
    "name": "Phytosanitary certificate",
    "number": "CN-PC-2026-004711",
    "typeCode": "851",
    "statusCode": "70",
    "issuedAt": "2026-11-18T01:30:00.000Z",
    "issuer": "East Coast Certification Desk",
    "signedAt": "2026-11-18T01:30:00.000Z",
    "place": "Qingdao",
    "authority": "East Coast Certification Desk",
    "officer": "Lin Mei",
    "clauses": [{"id": "1"}],
    "notes": [
        {"subject": "SPSFL", "content": "5"},
        {"subject": "ADDIEDL", "content": "2026-11-17"},
    ],
    "documents": [{"number": "ZJ-2026-88", "relationship": "ZZZ", "information": "Field report"}],
    "consignor": {
        "name": "Anhe Fresh Produce Co., Ltd.",
        "address": ["18 Orchard Road", "Anqiu, Shandong"],
    },
    "consignee": {"name": "Polder Roots B.V.", "address": ["4 Dijkweg", "Rotterdam"]},
    "exportCountry": "CN",
    "importCountry": "NL",
    "transitCountries": ["SG"],
    "pointOfEntry": {"code": "NLRTM", "name": "Rotterdam"},
    "examinationPlace": "Anqiu",
    "transports": [{"voyage": "031W", "mode": "1", "name": "NORTHERN HERON"}],
    "cargoType": "12",
    "equipment": [{"number": "NHLU2631075", "seals": ["CN778812"]}],
    "lines": [
        {
            "sequence": "1",
            "description": ["Fresh ginger, air-dried"],
            "commonName": ["Ginger"],
            "scientificName": ["Zingiber officinale"],
            "intendedUse": ["Consumption"],
            "netWeight": {"value": "24570", "unit": "KGM"},
            "grossWeight": {"value": "26460", "unit": "KGM"},
            "netVolume": {"value": "58", "unit": "MTQ"},
            "grossVolume": {"value": "60.5", "unit": "MTQ"},
            "notes": [{"subject": "ADTLIL", "content": "Free from Ralstonia solanacearum"}],
            "classifications": [
                {"system": "HS", "code": "091011"},
                {"system": "EPPO", "code": "ZINOF", "name": "Zingiber officinale"},
            ],
            "packages": [{"level": "4", "type": "CT", "quantity": "1890"}],
            "origins": [{"country": "CN", "name": "China", "region": "Shandong"}],
            "treatments": [
                {
                    "typeCode": "ZZZ",
                    "start": "2026-11-16T00:00:00.000Z",
                    "end": "2026-11-16",
                    "duration": {"value": "2", "unit": "HUR"},
                    "characteristics": [
                        {"key": "TTL1", "texts": ["WASH"]},
                        {"key": "TTTM", "value": {"value": "-1", "unit": "CEL"}},
                        {"key": "TTFT", "texts": ["Washed with water at low pressure"]},
                    ],
                }
            ],
        }
    ],
}


def ginger(**changes: Any) -> dict[str, Any]:
    """A copy of the facts with some members replaced."""
    return copy.deepcopy(GINGER) | changes
