"""The document an evaluation becomes when a node signs it (type `origin-evaluation`)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from schemas.origin.evaluation import Evaluation
    from schemas.strict_json import JsonValue

TYPE = "origin-evaluation"
INPUT = "preferential-certificate-of-origin"


def number_of(report: bytes, issued: date) -> str:
    """Day and the beginning of the report's SHA-256: the same report of a day, the same number."""
    return f"OE-{issued:%Y%m%d}-{hashlib.sha256(report).hexdigest()[:20]}"


def payload(
    evaluation: Evaluation,
    issued: date,
    issuer: Mapping[str, JsonValue],
    consignment: str | None = None,
) -> bytes:
    """The document's bytes (RFC 8785), with the report in English as it is signed.

    issuer: name, country and DID of who evaluated
    """
    report = evaluation.to_json("en")
    question, origin, country = evaluation.question, evaluation.origin, evaluation.country
    exporting = question.exporting or (question.good.party if question.good else None)
    inputs: list[JsonValue] = [
        {"type": INPUT, "number": each.number, "digest": each.digest}
        for each in evaluation.stands_on
        if each.number
    ]
    optional: dict[str, JsonValue] = {
        "consignment": consignment,
        "exportCountry": exporting,
        "importCountry": question.importing,
        "criterion": origin.criterion if origin else None,
        "originCountry": country.country if country else None,
        "inputs": inputs or None,
    }
    body: dict[str, JsonValue] = {
        "documentType": TYPE,
        "number": number_of(strict_json.canonical(report), issued),
        "issueDate": issued.isoformat(),
        "issuer": dict(issuer),
        "verdict": report["verdict"],
        "evaluation": report,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    return strict_json.canonical(body)
