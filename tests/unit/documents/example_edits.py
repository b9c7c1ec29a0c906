"""Packaged examples as parsed objects, and edits of them by JSON pointer."""

from __future__ import annotations

import copy
import json
from typing import Any

from schemas import registry

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


def rules_of(key: str, document: dict[str, Any]) -> dict[str, list[str]]:
    """Rule id → pointers, as the registry reports them."""
    found: dict[str, list[str]] = {}
    for finding in registry.examine(key, json.dumps(document).encode()).findings:
        found.setdefault(finding.rule, []).append(finding.pointer)
    return found
