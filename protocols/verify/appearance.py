"""Texts that can be shown otherwise than they read: warnings beside the checks (rule TXT-001).

Unicode TR 36 and TR 55: bidirectional controls reorder what is seen, invisible characters make two
texts look alike. Neither is wrong in itself: the document is judged as it is, and people are told.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from protocols.credentials import vcdm
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.strict_json import JsonValue

RULE = "TXT-001"
MAX_FINDINGS = 20
#: Without one of these bytes (UTF-8, or an escape of JSON or XML) there is no such character.
_MARKS = (b"\xe2\x80", b"\xe2\x81", b"\xd8\x9c", b"\xef\xbb\xbf", b"\\u", b"&#")


def warnings(payload: bytes, members: Mapping[str, JsonValue]) -> tuple[Finding, ...]:
    """At most `MAX_FINDINGS` warnings about a document, given as its bytes and as its members."""
    if not any(mark in payload for mark in _MARKS):
        return ()
    return tuple(
        Finding(RULE, Severity.WARNING, pointer, "it can be shown otherwise than it reads")
        for pointer in islice(vcdm.display_hazards(members), MAX_FINDINGS)
    )
