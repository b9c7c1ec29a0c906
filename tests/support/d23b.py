"""The published D23B snapshots as validators, and as maps of what may stand where."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from tests.shared import shared_path


@cache
def snapshot(name: str) -> dict[str, Any]:
    path = shared_path(f"vectors/documents/uncefact_d23b/UNECE-{name}.json")
    schema: dict[str, Any] = json.loads(path.read_bytes())
    if name == "PreferentialCoO":  # carries one sample per code list: take the release's full ones
        lists, full = (item["$defs"]["codeList"]["$defs"] for item in (schema, _full()))
        for list_id in set(lists) & set(full) - {"UNTDID1001Type"}:
            lists[list_id] = full[list_id]
    if name == "MultimodalWaybill":  # refers to a definition that it does not have
        assert "numericType" not in schema["$defs"]["udt"]["$defs"]
        schema["$defs"]["udt"]["$defs"]["numericType"] = _full()["$defs"]["udt"]["$defs"][
            "numericType"
        ]
    return schema


def _full() -> dict[str, Any]:
    return snapshot("SPSCertificate")


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(snapshot(name), validate_formats=True)


def faults(name: str, document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"
        for error in validator(name).iter_errors(document)
    ]


def why_not(name: str, place: str) -> str:
    """Why no value may stand at a place of the snapshot (`*` and `+` for any index); "" if one may.

    A snapshot forbids members of a shared type place by place, with ``false``.
    """
    schema = snapshot(name)
    there: list[Any] = [schema]
    for step in place.split("/"):
        parts = [part for one in there for part in _parts(schema, one)]
        if step in "*+" or step.isdecimal():
            most = min(part.get("maxItems", 10**9) for part in parts)
            if (step in "*+" and most == 1) or (step.isdecimal() and int(step) >= most):
                return f"too many at {step}"
            there = [part["items"] for part in parts if "items" in part]
        else:
            there = [
                part["properties"][step] for part in parts if step in part.get("properties", {})
            ]
        if not there or any(one is False for one in there):
            return f"nothing may stand at {step}"
    return ""


def _parts(schema: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
    found = [one]
    for word in ("oneOf", "anyOf"):
        if "$ref" in one.get(word, [{}])[0]:
            found += _parts(schema, one[word][0])
    reference = one.get("$ref", "")
    if reference and not reference.endswith("extensibleType"):
        node = schema
        for part in reference[2:].split("/"):
            node = node[part]
        found += _parts(schema, node)
    return found
