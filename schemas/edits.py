"""Edits of a JSON document by JSON pointer: how examples of rules say what they change.

A value is set where its pointer says; ``{"$drop": true}`` removes the member; the last step ``-``
appends to an array; ``{"$like": POINTER, …}`` stands for a copy of what is there with the other
members set. Source: RFC 6901.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DROP = {"$drop": True}
_LIKE = "$like"


def edited(document: Any, edits: Mapping[str, Any]) -> Any:
    """A copy of `document` with the edits, in their order; missing objects on the way are made."""
    result = copy.deepcopy(document)
    for pointer, value in edits.items():
        *path, last = _steps(pointer)
        if isinstance(value, dict) and _LIKE in value:
            value = _at(result, value[_LIKE]) | {
                name: each for name, each in value.items() if name != _LIKE
            }
        _edit(_reached(result, path), last, copy.deepcopy(value))
    return result


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _at(node: Any, pointer: str) -> Any:
    for step in _steps(pointer):
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


def _reached(node: Any, path: list[str]) -> Any:
    for step in path:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    return node


def _edit(node: Any, last: str, value: Any) -> None:
    if isinstance(node, list) and last == "-":
        node.append(value)
        return
    place: Any = int(last) if isinstance(node, list) else last
    if value == DROP:
        del node[place]
    else:
        node[place] = value
