"""The worked RCEP cases of the shared vectors, written as questions to the origin engine.

A case states facts in its own words; nothing that decides is added here. Cases name no day of claim
for a good: the day is one on which the agreement is in force for every Party.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.origin import Evaluation, evaluate, read
from tests.shared import shared_path

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2025-06-15"
#: Which clause of 3.3 a wholly obtained good of a chapter claims when the case does not say.
CLAUSES = {"01": "b", "02": "c", "03": "d", "04": "c", "25": "e", "26": "e", "27": "e"}
DEDUCTIONS = {
    "inland_freight": "inland-freight",
    "freight": "freight",
    "insurance": "insurance",
    "packing": "packing",
    "duty_paid": "duty",
    "duty": "duty",
    "tax": "tax",
    "brokerage": "brokerage",
    "waste": "waste",
}
LESS = {"duty": "duty_refunded", "waste": "scrap_value"}
ORIGINS = {"O": "originating", "N": "non-originating", "U": "undetermined"}
DECLARANTS = {"approved_exporter": "approved-exporter"}
BASES = {"cif": "CIF", "CIF": "CIF", "domestic_price": "domestic-price"}


def cases() -> list[dict[str, Any]]:
    """Every case of the file."""
    path = shared_path("vectors/documents/rcep/cases.json")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return found


def answer(case: dict[str, Any]) -> Evaluation:
    """What the engine says about a case."""
    return evaluate(read(question(case)))


def question(case: dict[str, Any]) -> dict[str, Any]:
    """A case as a question."""
    if "proof" in case:
        return _proof(case["proof"])
    body: dict[str, Any] = {"on": case.get("claimed", DAY), "currency": "USD"}
    body["good"] = _good(case)
    if "import_" in case:
        body["importingParty"] = case["import_"]
    if "contributions" in case:
        return body | {"tariff": _tariff(case)}
    body["rule"] = case["psr"]
    body["materials"] = [_material(each, at) for at, each in enumerate(case["materials"])]
    if "operations" in case:
        body["operations"] = [
            {"name": each["op"]} | ({"simple": each["simple"]} if "simple" in each else {})
            for each in case["operations"]
        ]
    if "costs" in case:
        body["costs"] = case["costs"]
    return body


def _good(case: dict[str, Any]) -> dict[str, Any]:
    given = case["good"]
    good = {"hs": given["hs"], "fob": _text(given["fob"]), "producedIn": given["party"]}
    if "kg" in given:
        good["weightKg"] = _text(given["kg"])
    if "materials" in case and not case["materials"]:
        clause = CLAUSES.get(given["hs"][:2], "a")
        good["whollyObtained"] = {"clause": clause, "in": given["party"]}
    return good


def _text(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _material(given: dict[str, Any], at: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": f"m{at + 1}",
        "hs": given["hs"],
        "value": _text(given["value"]),
        "origin": ORIGINS[given["status"]],
        "from": given["party"],
    }
    if "kg" in given:
        made["weightKg"] = _text(given["kg"])
    if "value_basis" in given:
        made["valueBasis"] = BASES[given["value_basis"]]
    if given.get("indirect"):
        made["role"] = "indirect"
    if given.get("accessory"):
        made |= {"role": "accessory", "invoicedSeparately": given["separately_invoiced"]}
        made["customary"] = given["customary"]
    if "deductions" in given:
        made["deductions"] = list(_deductions(given["deductions"]))
    return made


def _deductions(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, kind in DEDUCTIONS.items():
        if name in given:
            less = given.get(LESS.get(kind, ""), 0)
            yield {
                "kind": kind,
                "amount": _text(given[name]),
                "less": _text(less),
                "evidence": given["evidence"],
            }


def _tariff(case: dict[str, Any]) -> dict[str, Any]:
    good = case["good"]
    contributions = {party: _text(value) for party, value in case["contributions"].items()}
    tariff = {"criterion": good["criterion"], "contributions": contributions}
    if "appendix" in good:
        tariff["appendix"] = good["appendix"]
    if "dv20_value" in good:
        tariff["domesticValue"] = _text(good["dv20_value"])
    if "appendix_line" in case:
        tariff["line"] = case["appendix_line"]
    return tariff


def _proof(given: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"on": given.get("claimed", given["issued"])}
    for name, theirs in (("exportingParty", "export"), ("importingParty", "import_")):
        if theirs in given:
            body[name] = given[theirs]
    proof: dict[str, Any] = {"issued": given["issued"]}
    kinds = {"CoO": "certificate", "DoO": "declaration", "B2B": "back-to-back"}
    proof["kind"] = kinds[given["type"]]
    if "by" in given:
        proof["declaredBy"] = DECLARANTS.get(given["by"], given["by"])
    if "exporter_status" in given:
        history = [{"from": since, "status": status} for since, status in given["exporter_status"]]
        proof["approvedExporter"] = {"code": given["code"], "history": history}
    for name, theirs in _PLAIN.items():
        if theirs in given:
            proof[name] = given[theirs]
    if given["type"] == "B2B":
        proof["backToBack"] = _back_to_back(given)
    if "route" in given:
        body["route"] = [_stay(each) for each in given["route"]]
    return body | {"proof": proof}


_PLAIN = {
    "shipped": "shipped",
    "issuedRetroactively": "retroactive_mark",
    "cause": "cause",
    "importingPartyImplements": "accepts_3_16_1_c",
    "exportingPartyImplements": "export_implements_3_16_1_c",
}


def _back_to_back(given: dict[str, Any]) -> dict[str, Any]:
    original = given["original"]
    made: dict[str, Any] = {
        "issuedBy": given["issuer"],
        "quantity": _text(given["qty"]),
        "unit": original["unit"],
        "earlier": [{"quantity": _text(each)} for each in given["earlier_partials"]],
        "operations": given.get("operations", []),
        "original": {
            "number": original["number"],
            "issued": original["issued"],
            "quantity": _text(original["qty"]),
            "unit": original["unit"],
            "certifiedTrueCopy": original.get("certified_true_copy", False),
        },
    }
    return made


def _stay(given: dict[str, Any]) -> dict[str, Any]:
    stay = {"country": given["country"], "operations": given["ops"]}
    if "customs_control" in given:
        stay["customsControl"] = given["customs_control"]
    if "evidence" in given:
        stay["evidence"] = given["evidence"]
    return stay
