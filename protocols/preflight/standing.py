"""What a destination knows of a consignment as of a moment, beside its rules (PRE-80 … PRE-83).

Balance, lane and title move until the goods arrive: these lines promise nothing and block nothing.
The destination makes them of its own register answers, lanes and release conditions and signs them;
nobody else works them out. They tell how things stand and neither how much is left nor who holds.
A balance is told for the whole proof, and for each goods line (subject DIGEST#LINE) where one of
them stands otherwise than the whole. Of a paper that is not here nothing else can be said, so that
is what is said: silence would look like "nothing is wrong".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.fields import DID, Fields
from protocols.preflight.comparing import Difference
from protocols.preflight.rule_set import require_key
from protocols.preflight.verdicts import Line, read_line
from protocols.release.decision import State
from schemas import strict_json
from schemas.errors import RefusedError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from protocols import aeo, balance
    from protocols.keys import Signer
    from protocols.member_list import MemberList
    from protocols.release.decision import Decision
    from schemas.strict_json import JsonValue

TYP = "pratique-standing+jwt"
CODE = "standing_malformed"
MAX_BYTES = 512 * 1024
MAX_LINES = 1_000
FRESH = timedelta(minutes=5)
BALANCE, LANE, TITLE, MISSING = "PRE-80", "PRE-81", "PRE-82", "PRE-83"
_KNOWN = frozenset({BALANCE, LANE, TITLE, MISSING})
#: Between a digest and the number of a goods line, in the subject of PRE-80.
_LINE = "#"
SURRENDER = "REL-020"
_OUTCOMES = {
    State.MET: Outcome.PASSED,
    State.UNMET: Outcome.FAILED,
    State.UNKNOWN: Outcome.INDETERMINATE,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stood at `node` at `at`. text: as signed, empty before."""

    node: str
    consignment: str
    at: datetime
    lines: tuple[Line, ...]
    text: str = ""


_UNKNOWN = (Outcome.INDETERMINATE, "balance_unknown")
_USED_UP = (Outcome.FAILED, "balance_used")
_PARTLY = (Outcome.INDETERMINATE, "preflight_balance_partly")
_UNUSED = (Outcome.PASSED, "")


def of_balance(digest: str, about: str, answer: balance.Answer | None) -> tuple[Line, ...]:
    """PRE-80: whole, used in part, or used up, by line where lines differ.

    answer: None without its register's answer: nothing is known (R23)
    """
    lines = answer.lines if answer is not None else ()
    by_line = {part.line: _standing(part) for part in lines}
    if answer is not None and answer.whole is not None:
        overall = _standing(answer.whole)
    elif len(set(by_line.values())) > 1:
        overall = _PARTLY
    else:
        overall = next(iter(by_line.values()), _UNKNOWN)
    told = [_told(BALANCE, digest, overall[0], about, overall[1])]
    if set(by_line.values()) - {overall}:
        told += (
            _told(BALANCE, f"{digest}{_LINE}{line}", outcome, f"{about}, line {line}", code)
            for line, (outcome, code) in by_line.items()
        )
    return tuple(told)


def _standing(part: balance.Part) -> tuple[Outcome, str]:
    if part.left <= 0:
        return _USED_UP
    return _UNUSED if part.left == part.quantity.value else _PARTLY


def ordered(lines: Iterable[Line]) -> tuple[Line, ...]:
    """By key; single goods lines are what is left out where there are more than `MAX_LINES`."""
    first = sorted(lines, key=lambda line: (_LINE in line.subject, line.key))[:MAX_LINES]
    return tuple(sorted(first, key=lambda line: line.key))


def of_operator(answer: aeo.Answer) -> Line:
    """PRE-81: the authorisation gives the lane, or the first reason why not."""
    about = f"{answer.lane.value} {answer.status}".strip()
    if answer.benefit:
        return _told(LANE, answer.code, Outcome.PASSED, about, "")
    code = answer.reasons[0].entry if answer.reasons else ""
    return _told(LANE, answer.code, Outcome.FAILED, about, code)


def of_title(decision: Decision, documents: Iterable[str]) -> Line | None:
    """PRE-82: the release condition REL-020 on one container, where it rests on `documents`."""
    found = decision.condition(SURRENDER)
    if found is None or found.state not in _OUTCOMES or not set(found.basis) <= set(documents):
        return None
    return _told(TITLE, decision.container, _OUTCOMES[found.state], SURRENDER, found.code)


def of_missing(digest: bytes, about: str = "") -> Line:
    """PRE-83: a paper that was named, or that a paper here pins, is not here as a good one."""
    return _told(MISSING, digest.hex(), Outcome.INDETERMINATE, about, "preflight_not_held")


def with_names(found: Standing, names: Mapping[str, str]) -> Standing:
    """The same with the asker's own names of papers that the destination does not have.

    names: digest (hex) → type and number; `text` stays as it was signed
    """
    lines = (
        replace(line, about=names.get(line.subject, ""))
        if line.id == MISSING and not line.about
        else line
        for line in found.lines
    )
    return replace(found, lines=tuple(lines))


def _told(id_: str, subject: str, outcome: Outcome, about: str, code: str) -> Line:
    return Line(id_, subject, outcome, about, code, blocking=False)


def sign(network: bytes, standing: Standing, signer: Signer) -> str:
    """The statement as its node signs it."""
    lines: list[JsonValue] = [line.to_json() for line in standing.lines]
    body: dict[str, JsonValue] = {
        "network": network.hex(),
        "node": standing.node,
        "consignment": standing.consignment,
        "asOf": times.to_text(standing.at),
        "lines": lines,
    }
    return jws.sign(strict_json.canonical(body), typ=TYP, signer=signer)


def read(text: str, members: MemberList, node: str, consignment: str, at: datetime) -> Standing:
    """A statement as that member signed it about the consignment, within five minutes of `at`.

    Raises MalformedError `standing_malformed` or of the JWS; RefusedError `standing_untrusted`.
    """
    parsed = jws.parse(text, typ=TYP, max_bytes=MAX_BYTES)
    require_key(parsed, members, node, at, code="standing_untrusted")
    fields = Fields(strict_json.loads_object(parsed.payload), CODE)
    told = (fields.text("network", max_length=64), fields.text("node", pattern=DID))
    if told != (members.network.hex(), node):
        raise RefusedError("standing_untrusted", "it is another node's or network's")
    if fields.text("consignment", max_length=100) != consignment:
        raise RefusedError("standing_untrusted", "it is about another consignment")
    as_of = fields.time("asOf")
    if abs(at - as_of) > FRESH:
        raise RefusedError("standing_untrusted", f"it is of {times.to_text(as_of)}")
    lines = tuple(read_line(each.members) for each in fields.children("lines", MAX_LINES))
    if any(line.blocking or line.id not in _KNOWN for line in lines):
        raise fields.fault("lines", "only what is told as of a moment")
    return Standing(node, consignment, as_of, lines, text)


def moved(before: Sequence[Line], now: Sequence[Line]) -> tuple[Difference, ...]:
    """What stood otherwise when the pre-advice was made; what nobody spoke of is no difference.

    Nor is a paper that has come since: that it had not is why nothing was said of it.
    A goods line that is no longer told apart stands as its whole proof does.
    """
    found = {line.key: line for line in now}
    pairs = [(line, found.get(line.key) or found.get(_proof(line))) for line in before]
    return tuple(
        Difference(
            id=line.id,
            subject=line.subject,
            about=line.about,
            cause="preflight_moved",
            before=line.outcome,
            after=other.outcome if other else None,
        )
        for line, other in pairs
        if not (other is None and line.id == MISSING)
        and (other is None or (line.outcome, line.code) != (other.outcome, other.code))
    )


def _proof(line: Line) -> tuple[str, str]:
    return (line.id, line.subject.partition(_LINE)[0])
