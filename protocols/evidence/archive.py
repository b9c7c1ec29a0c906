"""The zip container of an evidence bundle: one way to write it, and only that way is read.

Members are stored (never compressed), sorted by name, with a fixed time and no extra fields, so
the same members give the same bytes (PKWARE APPNOTE 6.3.10 §4.3). The reader walks the local
headers itself and then compares the whole file with what the writer makes of the members: two
members of one name, data before, between or after, comments, other flags and a directory that
tells another story than the headers are all refused by that one comparison.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARCHIVE = 64 * 1024 * 1024
MAX_MEMBERS = 2_000
MAX_MEMBER = 16 * 1024 * 1024
STORED = 0
_MADE_BY, _NEEDS = (3 << 8) | 20, 20  # APPNOTE §4.4.2: Unix, version 2.0
_TIME, _DATE = 0, (1 << 5) | 1  # §4.4.6: 1 January 1980, midnight
_MODE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_NAME = re.compile(r"(?a:[a-z0-9][A-Za-z0-9._-]{0,150}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,150})?)")


def write(members: Mapping[str, bytes]) -> bytes:
    """The archive of `members` (name → bytes), the same bytes every time.

    Raises MalformedError `archive_name` or TooLargeError `archive_too_large`.
    """
    _require_sizes(members)
    body, directory = bytearray(), bytearray()
    for name in sorted(members):
        local, central = _headers(name, members[name], len(body))
        body += local + members[name]
        directory += central
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def _headers(name: str, data: bytes, offset: int) -> tuple[bytes, bytes]:
    """The local header and the directory entry of one member that begins at `offset`."""
    if not _NAME.fullmatch(name):
        raise MalformedError("archive_name", "a member is a plain file in at most one folder")
    size, crc, raw = len(data), zlib.crc32(data), name.encode("ascii")
    common = (_NEEDS, 0, STORED, _TIME, _DATE, crc, size, size, len(raw), 0)
    local = _LOCAL.pack(_LOCAL_SIGNATURE, *common) + raw
    central = _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, *common, 0, 0, 0, _MODE, offset) + raw
    return local, central


def _require_sizes(members: Mapping[str, bytes]) -> None:
    if len(members) > MAX_MEMBERS:
        raise TooLargeError("archive_too_large", f"at most {MAX_MEMBERS} members")
    if any(len(data) > MAX_MEMBER for data in members.values()):
        raise TooLargeError("archive_too_large", f"a member has at most {MAX_MEMBER} bytes")
    if sum(map(len, members.values())) > MAX_ARCHIVE:
        raise TooLargeError("archive_too_large", f"at most {MAX_ARCHIVE} bytes in all")


def read(data: bytes) -> tuple[dict[str, bytes], bool]:
    """The members by name, and whether the file is exactly what `write` makes of them.

    The second value lets a report name the altered member besides the broken container; nothing
    may be relied on when it is False. Raises MalformedError `archive_malformed` when the headers
    cannot even be walked, `archive_name`, or TooLargeError `archive_too_large`.
    """
    if len(data) > MAX_ARCHIVE + MAX_MEMBERS * 1024:
        raise TooLargeError("archive_too_large", f"at most {MAX_ARCHIVE} bytes in all")
    members: dict[str, bytes] = {}
    position = 0
    while data.startswith(_LOCAL_SIGNATURE, position):
        name, content, position = _member(data, position)
        if name in members:
            raise MalformedError("archive_malformed", "two members have one name")
        members[name] = content
        if len(members) > MAX_MEMBERS:
            raise TooLargeError("archive_too_large", f"at most {MAX_MEMBERS} members")
    if not members:
        raise MalformedError("archive_malformed", "this is not an evidence bundle's zip file")
    return members, write(members) == data


def _member(data: bytes, start: int) -> tuple[str, bytes, int]:
    """Name and bytes of the member whose local header begins at `start`, and where it ends."""
    if len(data) < start + _LOCAL.size:
        raise MalformedError("archive_malformed", "a local header is cut short")
    header = _LOCAL.unpack_from(data, start)
    method, packed, size, name_length, extra_length = (header[each] for each in (3, 7, 8, 9, 10))
    if method != STORED or packed != size or extra_length:
        raise MalformedError("archive_malformed", "members are stored, without extra fields")
    begin = start + _LOCAL.size + name_length
    if size > MAX_MEMBER:
        raise TooLargeError("archive_too_large", f"a member has at most {MAX_MEMBER} bytes")
    if len(data) < begin + size:
        raise MalformedError("archive_malformed", "a member is cut short")
    name = data[start + _LOCAL.size : begin].decode("ascii", "replace")
    if not _NAME.fullmatch(name):
        raise MalformedError("archive_name", "a member is a plain file in at most one folder")
    return name, data[begin : begin + size], begin + size
