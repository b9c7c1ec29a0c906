"""Packaged examples as parsed objects, and edits of them by JSON pointer."""

from __future__ import annotations

import json
from typing import Any

from schemas import registry
from schemas.edits import DROP, edited

__all__ = ["DROP", "JSON_TYPES", "edited", "example", "rules_of"]

JSON_TYPES = tuple(
    key for key, kind in registry.document_types().items() if kind.media_type == "application/json"
)


def example(key: str) -> dict[str, Any]:
    return json.loads(registry.example(key))


def rules_of(key: str, document: dict[str, Any]) -> dict[str, list[str]]:
    """Rule id → pointers, as the registry reports them."""
    found: dict[str, list[str]] = {}
    for finding in registry.examine(key, json.dumps(document).encode()).findings:
        found.setdefault(finding.rule, []).append(finding.pointer)
    return found
