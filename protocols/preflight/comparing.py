"""What changed between the pre-advice and the arrival, every difference with its cause.

A verdict may differ because a document was withdrawn, came later or never came, because its time
ran out, because the rules or the member list changed, or because its status cannot be known. What
follows from other lines says so. Nothing is left without a cause but what is told as unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.catalogue import explain
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocols.preflight.verdicts import Line

DOCUMENT = "PRE-10"
WITHDRAWN = frozenset({"revoked", "suspended"})
STATUS = "CRED-10"
TIME = "CRED-07"


@dataclass(frozen=True, slots=True)
class Given:
    """One end's list: lines, rule-set digest, member list version, the documents it rests on."""

    lines: Sequence[Line]
    rules: str
    members: int
    documents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """A line that differs: as advised, as found on arrival, the cause, and what it follows from."""

    id: str
    subject: str
    about: str
    cause: str
    before: Outcome | None
    after: Outcome | None
    follows: tuple[str, ...] = field(default=())

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """For reports."""
        entry = explain(self.cause)
        return {
            "id": self.id,
            "subject": self.subject,
            "about": self.about,
            "before": self.before.value if self.before else None,
            "after": self.after.value if self.after else None,
            "cause": self.cause,
            "title": entry.sentence(lang) if entry else self.cause,
            "next": entry.next_step(lang) if entry else "",
            "follows": list(self.follows),
        }


def differences(advised: Given, found: Given) -> tuple[Difference, ...]:
    """Every line whose outcome or code differs, and every line that only one list has.

    A document that the pre-advice foretold as FAILED and that was refused is no difference.
    """
    before = {line.key: line for line in advised.lines}
    after = {line.key: line for line in found.lines}
    told = []
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if _same(one, other) or (key[0] == DOCUMENT and _foreseen(one, other)):
            continue
        told.append((key, one, other))
    changed = tuple(key[1] for key, _, _ in told if key[0] == DOCUMENT)
    return tuple(_explained(key, one, other, advised, found, changed) for key, one, other in told)


def _same(one: Line | None, other: Line | None) -> bool:
    if one is None or other is None:
        return False
    return (one.outcome, one.code) == (other.outcome, other.code)


def _foreseen(one: Line | None, other: Line | None) -> bool:
    return one is not None and one.outcome is Outcome.FAILED and other is None


def _explained(
    key: tuple[str, str],
    one: Line | None,
    other: Line | None,
    advised: Given,
    found: Given,
    changed: tuple[str, ...],
) -> Difference:
    line = other or one
    assert line is not None
    document = key[0] == DOCUMENT
    cause = _of_document(one, other, advised) if document else ""
    follows: tuple[str, ...] = ()
    if not cause and advised.rules != found.rules:
        cause = "preflight_rules_changed"
    elif not cause and not document and changed:
        cause, follows = "preflight_follows", changed
    elif not cause and advised.members != found.members:
        cause = "preflight_members_changed"
    return Difference(
        id=key[0],
        subject=key[1],
        about=line.about,
        cause=cause or "preflight_unexplained",
        before=one.outcome if one else None,
        after=other.outcome if other else None,
        follows=follows,
    )


def _of_document(one: Line | None, other: Line | None, advised: Given) -> str:
    """What happened to the document itself; empty when its verdict changed for another reason."""
    if other is None:
        return "preflight_document_not_here"
    if one is None:
        return "" if other.subject in advised.documents else "preflight_document_new"
    for line, back in ((other, False), (one, True)):
        check: Mapping[str, str] = line.values
        if line.code in WITHDRAWN:
            return "preflight_document_reinstated" if back else "preflight_document_withdrawn"
        if check.get("check") == TIME:
            return "preflight_time_passed"
        if check.get("check") == STATUS:
            return "preflight_status_unknown"
    return ""
