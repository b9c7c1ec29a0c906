"""What the readers of all DCSA messages share: forms of texts, lists, checksums, caps.

The DCSA schemas allow members that they do not name (no `additionalProperties: false` anywhere);
readers leave those alone, and what was signed is kept as the text it came in.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from protocols import digest
from schemas import strict_json
from schemas.errors import MalformedError
from schemas.strict_json import JsonValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.fields import Fields

CODE = "pint_message_malformed"
MAX_DOCUMENT = 16 * 1024 * 1024
MAX_LIST = 255

#: ``^\S(?:.*\S)?$``: begins and ends with something that is seen, on one line.
TRIMMED = re.compile(r"\S(?:.*\S)?")
#: ``^\S+$``: no white space at all.
SOLID = re.compile(r"\S+")
PLATFORM = re.compile(r"\S{1,4}")
COMPACT = re.compile(r"(?a:[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
MAX_COMPACT = 1024 * 1024

Json: TypeAlias = dict[str, JsonValue]
Item = TypeVar("Item")
Word = TypeVar("Word", bound=StrEnum)


def some(fields: Fields, name: str, read: Callable[[Fields], Item]) -> tuple[Item, ...]:
    """A list of one or more objects."""
    items = tuple(read(item) for item in fields.children(name, MAX_LIST))
    if not items:
        raise fields.fault(name, f"{name} has at least one item")
    return items


def word(fields: Fields, name: str, kind: type[Word]) -> Word:
    """A member that is one of the words of a vocabulary."""
    text = fields.text(name, max_length=50)
    try:
        return kind(text)
    except ValueError:
        raise fields.fault(name, f"{name} is none of the standard's words") from None


def loose(fields: Fields, name: str, max_length: int) -> str | None:
    """An optional text that the schema allows to be empty, which says as little as no text."""
    return (
        None
        if fields.members.get(name) == ""
        else fields.optional_text(name, max_length=max_length)
    )


def compact(fields: Fields, name: str) -> str:
    """A member that is a compact JWS; nothing is looked at inside."""
    return fields.text(name, pattern=COMPACT, max_length=MAX_COMPACT)


def optional_compact(fields: Fields, name: str) -> str | None:
    """As `compact`, or None when the member is absent."""
    return compact(fields, name) if fields.has(name) else None


def checksums(fields: Fields, name: str) -> tuple[bytes, ...]:
    """A list of SHA-256 checksums; an absent member is an empty list."""
    value = fields.members.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise fields.fault(name, f"{name} is a list of at most {MAX_LIST} checksums")
    try:
        return tuple(digest.from_hex(item) for item in value)
    except MalformedError as error:
        raise fields.fault(name, error.detail) from None


def whole(fields: Fields, name: str, low: int, high: int) -> int:
    """A JSON number that is whole; 12.0 is 12 (JSON has one kind of number)."""
    value = fields.members.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise fields.fault(name, f"{name} is a whole number from {low} to {high}")
    return value


def from_base64(text: object, *, pointer: str = "") -> bytes:
    """The bytes of `format: byte`: standard base64 with padding, in its one spelling."""
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (ValueError, binascii.Error):
        data = None
    if data is None or base64.b64encode(data).decode("ascii") != text:
        raise MalformedError(CODE, "a document is standard base64 with padding", pointer=pointer)
    if len(data) > MAX_DOCUMENT:
        raise MalformedError(CODE, f"a document over {MAX_DOCUMENT} bytes", pointer=pointer)
    return data


def to_base64(data: bytes) -> str:
    """`data` as `format: byte`."""
    return base64.b64encode(data).decode("ascii")


def present(**members: JsonValue) -> Json:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def in_hex(digest_or_none: bytes | None) -> str | None:
    """A checksum as it is written, None where there is none."""
    return None if digest_or_none is None else digest_or_none.hex()


def checksum_of(value: object) -> bytes:
    """SHA-256 of the RFC 8785 form of a parsed value: transport documents and `issueTo`.

    PINT's text also links another canonical form; ISS and every implementation that was compared
    use RFC 8785, and so does this.
    """
    return digest.sha256(strict_json.canonical(value))
