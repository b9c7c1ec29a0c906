"""Where a copy differs from the intact document that is held: the field and both values.

A digest or a signature says *that* something was altered, a comparison *what*. It proves nothing
by itself; it goes beside the checks as findings (rule ALT-001), never in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols import base64url
from protocols.credentials import credential, forms
from schemas import consistency, registry, strict_json
from schemas.errors import TradeError
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue
    from schemas.view import View

RULE = "ALT-001"


def given_payload(data: bytes) -> bytes | None:
    """The document's bytes in a file that does not verify, or None when none can be found.

    Nothing is checked: this is for showing people what was altered. A plain document file without
    a credential is taken as it is. Of a file with disclosures nothing is taken: comparing it could
    tell what its holder withholds.
    """
    if forms.is_selective(data):
        return None
    head, line_feed, beside = data[: credential.MAX_FILE_BYTES].partition(b"\n")
    if line_feed and head.count(b".") == 2:
        return beside
    parts = head.split(b".")
    if len(parts) != 3:
        return data if registry.detect(data) else None
    try:
        members = strict_json.loads_object(base64url.decode(parts[1].decode("ascii", "replace")))
    except TradeError:
        return data if registry.detect(data) else None
    return _document_of(members)


def _document_of(members: dict[str, JsonValue]) -> bytes | None:
    subject = members.get("credentialSubject")
    if isinstance(subject, dict) and isinstance(subject.get("document"), dict):
        return strict_json.canonical(subject["document"])
    return None


def named_by(payload: bytes) -> tuple[str, str] | None:
    """Type and number that a payload claims, by which an intact copy is looked up; or None."""
    key = registry.detect(payload)
    if key is None:
        return None
    try:
        number = registry.examine(key, payload).view.number
    except TradeError:
        return None
    return (key, number) if number else None


def differences(
    document_type: str, held: bytes, given: bytes, severity: Severity = Severity.ERROR
) -> tuple[Finding, ...]:
    """One finding per member in which `given` differs from the intact `held`.

    JSON is compared member by member, other formats by their normalised views.
    """
    if held == given:
        return ()
    found: list[tuple[str, object, object]]
    try:
        found = [
            (item.pointer, item.left, item.right)
            for item in consistency.compare_payloads(held, given)
        ]
    except TradeError:
        found = _by_view(document_type, held, given)
    return tuple(_finding(*item, severity) for item in found)


def _by_view(document_type: str, held: bytes, given: bytes) -> list[tuple[str, object, object]]:
    try:
        left, right = (registry.examine(document_type, each).view for each in (held, given))
    except TradeError:
        return [("", "the signed bytes", "other bytes")]
    told = [(f"/{name}", *pair) for name, pair in _view_pairs(left, right) if pair[0] != pair[1]]
    return told or [("", "the signed bytes", "other bytes with the same content")]


def _view_pairs(left: View, right: View) -> list[tuple[str, tuple[object, object]]]:
    before, after = left.to_json(), right.to_json()
    return [
        (name, (before.get(name), after.get(name))) for name in dict.fromkeys([*before, *after])
    ]


def _finding(pointer: str, held: object, given: object, severity: Severity) -> Finding:
    return Finding(
        RULE,
        severity,
        pointer,
        f"held here: {_short(held)}; in this copy: {_short(given)}",
        {"held": held, "given": given},
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"
