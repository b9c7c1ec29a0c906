"""The published OpenAPI files: schemas to validate against, examples; and values as on the wire."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import yaml

from protocols.fields import Fields
from protocols.pint.reading import CODE
from schemas import strict_json
from tests.shared import shared_path

FILES = {
    "pint": "standards/dcsa/pint/EBL_PINT_v3.0.0.yaml",
    "iss": "standards/dcsa/issuance/EBL_ISS_v3.0.4.yaml",
    "sur": "standards/dcsa/surrender/EBL_SUR_v3.0.4.yaml",
    "end": "standards/dcsa/endorsement/EBL_END_v3.0.4.yaml",
}


@cache
def standard(name: str) -> Any:
    return yaml.load(shared_path(FILES[name]).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@cache
def validator(name: str, schema: str) -> Any:
    document = standard(name)
    rooted = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema.Draft202012Validator(rooted)


def valid(name: str, schema: str, value: Any) -> None:
    validator(name, schema).validate(json.loads(json.dumps(value)))


def fields(value: Any) -> Fields:
    """As it would be read from the wire."""
    return Fields(strict_json.loads_object(strict_json.canonical(value)), CODE)


def encoded(value: Any) -> bytes:
    return strict_json.canonical(value)
