"""JSON as signed documents need it: I-JSON in (RFC 7493), RFC 8785 canonical bytes out.

A signature is worthless when two readers see two documents in one text, so everything on which
readers differ is refused: duplicate names, encodings other than UTF-8, integers that a double
cannot hold, numbers that overflow, lone surrogates. Noncharacters (RFC 7493 §2.1) are let through:
every reader agrees on them.

The fast path is orjson where it provably gives the same answer. Reading: when orjson writes the
value it read back as exactly the received bytes, these bytes came out of dictionaries, so no name
occurs twice. With other white space it is enough that both have as many colons: one stands for each
member, the others stand in strings, where no escape hides or adds one, and a member that was
dropped takes at least its own away; numbers must then be whole, whose spelling is no question.
Writing: without floats, and without characters beyond the basic plane (on which the
UTF-16 order of RFC 8785 §3.2.3 differs from code point order), orjson's sorted form is canonical.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_MEMBERS = 100_000
MAX_CANONICAL_DEPTH = 250  # orjson itself stops at 254
MAX_INTEGER = 2**53 - 1

#: What the standard decoder is given at most; far below the interpreter's usual limit of 1 000.
_DEEPEST_DECODED = 500
_BRACKET_OR_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
_LONGEST_INTEGER = len(str(-MAX_INTEGER))
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_BEYOND_BASIC_PLANE = re.compile(rb"[\xf0-\xf4]")
_CONTAINERS = (dict, list)
_SHORT = 16 * 1024
#: A number that is not whole, as orjson writes it inside of something; a string may hold it too.
_NOT_WHOLE = re.compile(rb"[\[:,]-?[0-9]+[.eE]")
_OPENING = (b"{", b"[", b'"')
_PLAIN = frozenset({dict, list, str, int, bool, type(None)})
_READ_BACK = orjson.OPT_STRICT_INTEGER
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def loads(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_members: int = MAX_MEMBERS,
) -> JsonValue:
    """The value of one I-JSON text.

    `max_bytes` counts bytes, `max_depth` nested arrays and objects, `max_members` all members and
    elements together. Raises MalformedError json_encoding, json_syntax, json_duplicate_name,
    json_number or json_surrogate with the JSON pointer where it is known, and TooLargeError
    json_too_large, json_too_deep or json_too_many_members. Source: RFC 7493, RFC 8259.
    """
    if len(data) > max_bytes:
        raise TooLargeError("json_too_large", f"{len(data)} bytes, allowed are {max_bytes}")
    value = _loads_fast(data)
    if value is _NOT_PROVEN:
        value = _loads_strict(data)
    if not _is_small(value, data, max_depth, max_members):
        _check_size(value, max_depth, max_members)
    return value  # type: ignore[no-any-return] # orjson: Any


def loads_each(texts: list[bytes]) -> list[JsonValue]:
    """As `loads` for each of many short texts, which cost more in calls than in bytes."""
    try:
        values = [orjson.loads(data) for data in texts]
        proven = [orjson.dumps(value, option=_READ_BACK) for value in values] == texts
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        proven = False
    # A text holds no more members and elements than bytes, and no more levels than brackets.
    if (
        proven
        and max(map(len, texts), default=0) <= MAX_MEMBERS
        and max([data.count(b"{") + data.count(b"[") for data in texts], default=0) <= MAX_DEPTH
    ):
        return values
    return [loads(data) for data in texts]


def loads_object(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_members: int = MAX_MEMBERS,
) -> dict[str, JsonValue]:
    """As `loads`, and the text must be one object (MalformedError json_not_object)."""
    value = loads(data, max_bytes=max_bytes, max_depth=max_depth, max_members=max_members)
    if not isinstance(value, dict):
        raise MalformedError("json_not_object", f"the text is {_kind(value)}, not an object")
    return value


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of a JSON value (dict with str names, list or tuple, str, numbers, …).

    Raises MalformedError json_number (not finite, or an integer beyond 2^53−1), json_surrogate,
    json_not_json (another Python type), TooLargeError json_too_deep. Source: RFC 8785 §3.
    """
    if _is_plain(value):
        try:
            fast = orjson.dumps(value, option=_CANONICAL)
        except orjson.JSONEncodeError:
            pass  # the careful writer below knows the exact reason
        else:
            if not _is_beyond_basic_plane(fast):
                return fast
    parts: list[str] = []
    _write(value, parts, MAX_CANONICAL_DEPTH)
    return "".join(parts).encode("utf-8")


def canonical_read(value: JsonValue) -> bytes:
    """As `canonical`, for a value that `loads` returned: its types are known, only floats are not.

    A number that is not whole shows in what orjson writes; so may a text that looks like one, which
    then takes the careful way.
    """
    try:
        fast = orjson.dumps(value, option=_CANONICAL)
    except orjson.JSONEncodeError:
        return canonical(value)
    if _may_hold_fraction(fast) or _is_beyond_basic_plane(fast):
        return canonical(value)
    return fast


def _is_beyond_basic_plane(text: bytes) -> bool:
    return not text.isascii() and _BEYOND_BASIC_PLANE.search(text) is not None


def _may_hold_fraction(written: bytes) -> bool:
    """Whether what orjson wrote may hold a number that is not whole."""
    return written[:1] not in _OPENING or _NOT_WHOLE.search(written) is not None


# --- reading -------------------------------------------------------------------------------------

_NOT_PROVEN: Any = object()


class _Fault:
    """Stands in the value where the strict reader met something it refuses."""

    __slots__ = ("code", "name")

    def __init__(self, code: str, name: str = "") -> None:
        self.code = code
        self.name = name


def _loads_fast(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
        written = orjson.dumps(value, option=_READ_BACK)
        if written == data or _is_only_spaced(data, written):
            return value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass
    return _NOT_PROVEN


def _is_only_spaced(data: bytes, written: bytes) -> bool:
    """Whether `data` provably holds what `written` does, by the argument above."""
    return (
        data.count(b":") == written.count(b":")
        and b"\\u" not in data
        and not _may_hold_fraction(written)
    )


def _loads_strict(data: bytes) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("json_encoding", f"no UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise MalformedError("json_encoding", "the text starts with a byte order mark")
    if _is_nested_beyond_use(data):
        raise TooLargeError("json_too_deep", "nested beyond any use")
    faults: list[_Fault] = []
    try:
        value = _decoder(faults).decode(text)
    except json.JSONDecodeError as error:
        raise MalformedError("json_syntax", f"line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise TooLargeError("json_too_deep", "nested beyond any use") from None
    if faults or _SURROGATE_ESCAPE.search(data):
        _raise_first_fault(value)
    return value


def _is_nested_beyond_use(data: bytes) -> bool:
    """Looked at before the standard decoder, which recurses and trusts the interpreter's limit.

    A library may raise that limit past what the stack holds: then a deep text ends the process.
    """
    if data.count(b"[") + data.count(b"{") <= _DEEPEST_DECODED:
        return False
    depth = 0
    for token in _BRACKET_OR_TEXT.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > _DEEPEST_DECODED:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _decoder(faults: list[_Fault]) -> json.JSONDecoder:
    """A standard-library decoder whose hooks leave a `_Fault` where a value is not I-JSON."""

    def refuse(code: str, name: str = "") -> _Fault:
        faults.append(_Fault(code, name))
        return faults[-1]

    def members(pairs: list[tuple[str, Any]]) -> Any:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        return refuse("json_duplicate_name", _first_twice(pairs))

    def integer(digits: str) -> Any:
        if len(digits) <= _LONGEST_INTEGER and abs(number := int(digits)) <= MAX_INTEGER:
            return number
        return refuse("json_number")

    def real(digits: str) -> Any:
        number = float(digits)
        return number if math.isfinite(number) else refuse("json_number")

    def constant(_: str) -> Any:
        return refuse("json_number")

    return json.JSONDecoder(
        object_pairs_hook=members, parse_int=integer, parse_float=real, parse_constant=constant
    )


def _first_twice(pairs: list[tuple[str, Any]]) -> str:
    return Counter(name for name, _ in pairs).most_common(1)[0][0]


_DETAILS = {
    "json_duplicate_name": "a name occurs twice in one object",
    "json_number": f"a number is not finite or an integer beyond {MAX_INTEGER}",
    "json_surrogate": "half of a surrogate pair stands alone",
}


def _raise_first_fault(value: Any) -> None:
    """Raises for the first `_Fault` or lone surrogate in `value`, with its JSON pointer."""
    for pointer, node in _walk(value):
        if isinstance(node, _Fault):
            if node.name:
                pointer = f"{pointer}/{_token(node.name)}"
            raise MalformedError(node.code, _DETAILS[node.code], pointer=pointer)
        if isinstance(node, str) and _has_lone_surrogate(node):
            raise MalformedError("json_surrogate", _DETAILS["json_surrogate"], pointer=pointer)


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every node with its pointer, names too (at the pointer of their object), in text order."""
    stack = [("", value)]
    while stack:
        pointer, node = stack.pop()
        yield pointer, node
        if isinstance(node, dict):
            for name in node:
                yield pointer, name
            children = [(f"{pointer}/{_token(name)}", child) for name, child in node.items()]
            stack.extend(reversed(children))
        elif isinstance(node, list):
            stack.extend((f"{pointer}/{at}", node[at]) for at in reversed(range(len(node))))


def _token(name: str) -> str:
    """`name` as a token of a JSON pointer (RFC 6901 §3), cut so that no report grows with it."""
    return name.encode("utf-8", "replace").decode()[:64].replace("~", "~0").replace("/", "~1")


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _is_small(value: Any, data: bytes, max_depth: int, max_members: int) -> bool:
    """Whether `value` provably keeps the caps, by its text or by an indented writing of it.

    Each member and element takes a byte at least, each level a bracket, and a member begins a line
    that is indented twice its depth; `_check_size` counts where this does not settle it.
    """
    if max_depth < 1 or len(data) > max_members:
        return False
    if data.count(b"{") + data.count(b"[") <= max_depth:
        return True
    if len(data) > _SHORT:  # nested deep, it grows when indented
        return False
    try:
        lines = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        return False
    return b"\n" + b"  " * max_depth not in lines


def _check_size(value: Any, max_depth: int, max_members: int) -> None:
    """Level by level, so that the depth of a hostile text never becomes our own."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    depth = members = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise TooLargeError("json_too_deep", f"more than {max_depth} nested levels")
        members += sum(map(len, level))
        if members > max_members:
            raise TooLargeError("json_too_many_members", f"more than {max_members} members")
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "an array"
    return "a string" if isinstance(value, str) else "a number, true, false or null"


# --- writing -------------------------------------------------------------------------------------


def _is_plain(value: Any) -> bool:
    """True when `value` holds only types that orjson writes as RFC 8785 does."""
    if type(value) not in _PLAIN:
        return False
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_CANONICAL_DEPTH):
        children: list[Any] = []
        for node in level:
            children += node.values() if type(node) is dict else node
        if not _PLAIN.issuperset(map(type, children)):
            return False
        level = [child for child in children if type(child) in _CONTAINERS]
        if not level:
            return True
    return False


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth < 0:
        raise TooLargeError("json_too_deep", f"more than {MAX_CANONICAL_DEPTH} nested levels")
    if isinstance(value, dict):
        _write_object(value, parts, depth)
    elif isinstance(value, (list, tuple)):
        parts.append("[")
        for at, child in enumerate(value):
            if at:
                parts.append(",")
            _write(child, parts, depth - 1)
        parts.append("]")
    else:
        parts.append(_scalar(value))


def _write_object(value: dict[Any, Any], parts: list[str], depth: int) -> None:
    separator = "{"
    for name in sorted(value, key=_utf16):
        parts += separator, _string(name), ":"
        _write(value[name], parts, depth - 1)
        separator = ","
    parts.append("}" if value else "{}")


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise MalformedError("json_number", _DETAILS["json_number"])
        return int.__repr__(value)
    if isinstance(value, float):
        return number_text(value)
    raise MalformedError("json_not_json", f"{type(value).__name__} is not a JSON type")


def _utf16(name: Any) -> bytes:
    """The sort key of RFC 8785 §3.2.3: the name's UTF-16 code units."""
    if not isinstance(name, str):
        raise MalformedError("json_not_json", "a name in an object is not a string")
    return name.encode("utf-16-be", "surrogatepass")


def _string(text: str) -> str:
    """RFC 8785 §3.2.2.2: the shortest escapes, lower-case hex, everything else as it is."""
    if _has_lone_surrogate(text):
        raise MalformedError("json_surrogate", _DETAILS["json_surrogate"])
    return json.dumps(text, ensure_ascii=False)


def number_text(number: float) -> str:
    """A finite double as ECMAScript writes it (ECMA-262 §6.1.6.1.20 Number::toString, radix 10).

    Python's `repr` finds the same shortest digits; only the layout differs: plain up to 21 digits
    before and 6 zeros after the point, otherwise an exponent with its sign.
    """
    if not math.isfinite(number):
        raise MalformedError("json_number", _DETAILS["json_number"])
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)  # where the decimal point stands in whole + fraction
    point -= len(whole + fraction) - len(digits)
    return sign + _layout(digits.rstrip("0"), point)


def _layout(digits: str, point: int) -> str:
    """`digits` with the decimal point after the first `point` of them (ECMA-262, steps 6 to 10)."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
