"""DCSA's published OpenAPI files as validators of requests and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from openapi_schema_validator import OAS30Validator

from tests.shared import shared_path

FILES = {
    "ISS": "standards/dcsa/issuance/EBL_ISS_v3.0.4.yaml",
    "SUR": "standards/dcsa/surrender/EBL_SUR_v3.0.4.yaml",
    "END": "standards/dcsa/endorsement/EBL_END_v3.0.4.yaml",
    "EBL": "standards/dcsa/ebl/EBL_v3.0.4.yaml",
}


@cache
def document(api: str) -> dict[str, Any]:
    """The whole file."""
    loaded: dict[str, Any] = yaml.load(shared_path(FILES[api]).read_bytes(), yaml.CSafeLoader)
    return loaded


def faults(api: str, schema: str, value: object) -> list[str]:
    """What the schema `components/schemas/<schema>` says against a value."""
    return [error.message for error in _validator(api, schema).iter_errors(value)]


@cache
def _validator(api: str, schema: str) -> OAS30Validator:
    components = document(api)["components"]
    assert schema in components["schemas"], schema
    return OAS30Validator({"$ref": f"#/components/schemas/{schema}", "components": components})


def body_faults(api: str, method: str, path: str, value: object) -> list[str]:
    """What the operation's schema says against a request's body."""
    operation = document(api)["paths"][path][method.lower()]
    content = operation["requestBody"]["content"]["application/json"]["schema"]
    return faults(api, content["$ref"].rpartition("/")[2], value)
