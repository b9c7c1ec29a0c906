"""Hostile variants of JSON and XML documents: seeded, so that a finding repeats."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

MAX_BYTES = 1_000_000
_BYTES = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\r\n"),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"<", b">", b"/>", b"&", b"&#0;", b"&#x110000;"),
    *(b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"<![CDATA[x]]>", b"<?pi x?>", b"<!-- -- -->", b"&a;"),
    *(b"1e400", b"-0", b"1E-999", b"0.1e1", b"9007199254740993", b"NaN", b"null", b"true"),
    *(b"9" * 400, b"[" * 200, b'{"a":' * 200, b"<a>" * 300, b"A" * 70_000),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e300, 2**53, 2**53 - 1, -(2**63), 10**30, "", " ", "\u0000"),
    *("\u202e", "é" * 500, "x" * 100_000, "9" * 30, "-9.9", "1e5", "NaN", "٣", "2026-02-30"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-18T08:00:00Z"),
    *("did:web:x", "urn:x", "../../etc", "a.b.c", "====", "%00", "ZZ", "$drop", [], {}, [[]]),
    *([None] * 50, [{}] * 50, {"": ""}, {"a": {"a": {"a": {}}}}, {"value": "1", "unit": "KGM"}),
)
_TAG = re.compile(rb"<[^<>]+>")
_ELEMENT = re.compile(rb"<([A-Za-z][\w:.-]*)(?:\s[^<>]*)?>[^<>]*</\1>")


def mutated(seed: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A variant of `seed`; parts may come from `others`."""
    data = seed
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        kind = chance.random()
        if kind < 0.6 and data[:1] in (b"{", b"["):
            data = _in_structure(data, others, chance)
        elif kind < 0.6 and data[:1] == b"<":
            data = _in_elements(data, others, chance)
        else:
            data = _in_bytes(data, others, chance)
    return data[:MAX_BYTES]


def _in_bytes(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 4, 40, 4000)))
    way = chance.randrange(5)
    if way == 0:
        return data[:start] + chance.choice(_BYTES) + data[end:]
    if way == 1:
        return data[:start] + data[end:]
    if way == 2:
        return data[:end] + data[start:end] * chance.choice((1, 2, 50)) + data[end:]
    if way == 3 and data:
        at = min(start, len(data) - 1)
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    other = chance.choice(others)
    begin = chance.randrange(len(other) + 1)
    return data[:start] + other[begin : begin + chance.choice((10, 300, 5000))] + data[end:]


def _in_elements(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """An element or tag is dropped, repeated, moved, emptied, or left without its namespace."""
    found = [*(_ELEMENT if chance.random() < 0.7 else _TAG).finditer(data)]
    if not found:
        return _in_bytes(data, others, chance)
    one, two = chance.choice(found), chance.choice(found)
    way = chance.randrange(6)
    if way == 0:
        return data[: one.start()] + data[one.end() :]
    if way == 1:
        return data[: two.start()] + one[0] * chance.choice((1, 2, 300)) + data[two.start() :]
    if way == 2:
        bare = one[0].replace(b"ram:", b"").replace(b"rsm:", b"")
        return data[: one.start()] + bare + data[one.end() :]
    if way == 3:
        said = chance.choice(_VALUES)
        text = str(said).replace("&", "&amp;").replace("<", "&lt;").encode("utf-8", "ignore")
        filled = re.sub(rb">[^<>]*<", lambda _: b">" + text + b"<", one[0], count=1)
        return data[: one.start()] + filled + data[one.end() :]
    if way == 4:
        return data.replace(b":21", chance.choice((b":12", b":8", b":99", b"")), 1)
    return _in_bytes(data, others, chance)


def _in_structure(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A member is replaced, dropped, repeated, renamed or taken from another document."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _in_bytes(data, others, chance)
    places = _places(value)
    if not places:
        return _in_bytes(data, others, chance)
    node, key = chance.choice(places)
    way = chance.randrange(6)
    if way <= 1:
        node[key] = copy.deepcopy(chance.choice(_VALUES))
    elif way == 2:
        del node[key]
    elif way == 3:
        other, name = chance.choice(places)
        node[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
    elif way == 4 and isinstance(node, list):
        node += [copy.deepcopy(node[key])] * chance.choice((1, 3, 200))
    elif isinstance(node, dict):
        node[chance.choice(("", "extra", "x" * 3000, "__proto__", "\u202e"))] = node.pop(key)
    try:
        return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return data


def _keys(node: Any) -> Any:
    return node if isinstance(node, dict) else range(len(node))


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, pending = [], [value]
    while pending and len(found) < 3000:
        node = pending.pop()
        for key in list(_keys(node)) if isinstance(node, dict | list) else ():
            found.append((node, key))
            pending.append(node[key])
    return found
