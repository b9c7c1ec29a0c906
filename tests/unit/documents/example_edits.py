"""Packaged examples as parsed objects, and edits of them by JSON pointer."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

from schemas import registry, sps

DROP = object()
JSON_TYPES = tuple(
    key for key, kind in registry.document_types().items() if kind.media_type == "application/json"
)


def example(key: str) -> dict[str, Any]:
    return json.loads(registry.example(key))


def edited(document: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """A copy with members set, or removed where the value is DROP; "-" appends to an array."""
    result = copy.deepcopy(document)
    for pointer, value in edits.items():
        *path, last = pointer.split("/")[1:]
        node: Any = result
        for part in path:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if isinstance(node, list):
            if last == "-":
                node.append(value)
            elif value is DROP:
                del node[int(last)]
            else:
                node[int(last)] = value
        elif value is DROP:
            del node[last]
        else:
            node[last] = value
    return result


def cases_of(key: str) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Rule id → type, edits of its example that break the rule, edits that keep it.

    ``cases.json`` beside a profile: a new type is one folder, with the cases of its rules.
    """
    folder = resources.files("schemas") / "documents" / key.replace("-", "_")
    file = folder / "cases.json"
    if not file.is_file():
        return {}
    listed = json.loads(file.read_text(encoding="utf-8"))
    return {
        rule: (key, _marked(both["broken"]), _marked(both["kept"])) for rule, both in listed.items()
    }


def _marked(edits: dict[str, Any]) -> dict[str, Any]:
    return {place: DROP if value == {"$drop": True} else value for place, value in edits.items()}


def edited_rules(key: str, edits: dict[str, Any]) -> dict[str, list[str]]:
    """As `rules_of`, for the packaged example of a type with these edits; of XML, of its facts."""
    if key in JSON_TYPES:
        return rules_of(key, edited(example(key), edits))
    payload = sps.write(edited(sps.examine(registry.example(key))[0]["facts"], edits))
    found: dict[str, list[str]] = {}
    for finding in registry.examine(key, payload).findings:
        found.setdefault(finding.rule, []).append(finding.pointer)
    return found


def rules_of(key: str, document: dict[str, Any]) -> dict[str, list[str]]:
    """Rule id → pointers, as the registry reports them."""
    found: dict[str, list[str]] = {}
    for finding in registry.examine(key, json.dumps(document).encode()).findings:
        found.setdefault(finding.rule, []).append(finding.pointer)
    return found
