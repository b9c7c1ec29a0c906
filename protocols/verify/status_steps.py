"""CRED-10 in parts: what the status lists at hand say about the entries of one credential.

Revoked is FAILED, for it is final. Suspended is INDETERMINATE, for it may be lifted: nobody may
rely on the document now, and nobody need issue it anew (ETSI EN 319 102-1 §5.1.3 gives TRY_LATER
for a certificate on hold). Without a list, with a stale one, or with one of a later moment that
leaves the question open, the status is unknown, and unknown never becomes valid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocols import times
from protocols.credentials import status_list
from protocols.credentials.status_list import REVOCATION, Status, StatusList
from protocols.credentials.vcdm import SKEW
from protocols.member_list import KeyStanding
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from protocols.credentials.status_list import GivenList, StatusEntry
    from protocols.verify.case import Case

STEP = "CRED-10"
SUSPENDED = "suspended"
PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE


def status_check(case: Case, entries: Sequence[StatusEntry], issuer: str) -> Check:
    """What the lists of `case` say about a credential of `issuer` with these entries, the worst.

    Evidence is that of the first entry; those of the others stand under their purpose.
    """
    names = {entry.list_url for entry in entries}
    said = [_said(case, entry, issuer, names) for entry in entries]
    worst = min(said, key=_rank)
    evidence: dict[str, Any] = dict(said[0].evidence)
    for entry, one in zip(entries[1:], said[1:], strict=True):
        if one.evidence:
            evidence[entry.purpose] = dict(one.evidence)
    return Check(STEP, worst.outcome, worst.reason, worst.code, evidence)


def _rank(check: Check) -> int:
    """What is final comes before what may be lifted, and that before what is not known."""
    if check.outcome is UNKNOWN:
        return 1 if check.code == SUSPENDED else 2
    return 0 if check.outcome is FAILED else 3


def _said(case: Case, entry: StatusEntry, issuer: str, names: Collection[str]) -> Check:
    """What the lists of that name say, the one of that time and the one after it."""
    given = _lists_for(case, entry, names)
    if not given:
        return Check(STEP, UNKNOWN, code="status_unknown")
    return min((_one_says(case, entry, issuer, *one) for one in given), key=_telling)


def _telling(check: Check) -> int:
    """Of several versions the one that decides counts: a later may know more than a stale one."""
    if check.outcome is UNKNOWN:
        return 2 if check.code == SUSPENDED else 3
    return 0 if check.outcome is FAILED else 1


def _one_says(case: Case, entry: StatusEntry, issuer: str, given: GivenList, later: bool) -> Check:
    try:
        held = _opened(case, given, issuer)
        keeps = status_list.keeps_for(held.issuer, issuer, case.members, case.at)
        says = status_list.check(entry, held, issuer=held.issuer if keeps else issuer)
    except TradeError as error:
        return Check(STEP, UNKNOWN, error.detail, error.code)
    outcome, code = _later(entry, says) if later else _verdict(case, held, says)
    return Check(STEP, outcome, code=code, evidence=_evidence(case, entry, held, says))


def _lists_for(
    case: Case, entry: StatusEntry, names: Collection[str]
) -> list[tuple[GivenList, bool]]:
    """The last list of the entry's name that was signed by the moment, and the first after it.

    With each, whether it is of a later moment; clocks may differ only where no earlier one is.
    Without any of that name, one that no entry names is told of for the first, to say why not.
    """
    given = case.status if isinstance(case.status, tuple) else (case.status,)
    lists = [(_read(one), one) for one in given if one is not None]
    named = [(held, one) for held, one in lists if held and held.url == entry.list_url]
    if not named:
        other = [(one, False) for held, one in lists if held is None or held.url not in names]
        return other[:1] if entry.purpose == REVOCATION else []
    named.sort(key=lambda pair: pair[0].valid_from)
    until = case.at if named[0][0].valid_from <= case.at else case.at + SKEW
    by_then = [(one, False) for held, one in named if held.valid_from <= until]
    return [*by_then[-1:], *((one, True) for _, one in named[len(by_then) :][:1])]


def _read(given: GivenList) -> StatusList | None:
    try:
        return given if isinstance(given, StatusList) else status_list.parse_list(given)[1]
    except TradeError:
        return None


def _opened(case: Case, given: GivenList, issuer: str) -> StatusList:
    if isinstance(given, StatusList):
        held = given
        _require_list_key(case, held)
    else:
        held = status_list.open_list(given, members=case.members, now=case.at, issuer=issuer)
    if case.held_status is not None and case.held_status.url == held.url:
        status_list.supersedes(held, case.held_status)
    return held


def _require_list_key(case: Case, held: StatusList) -> None:
    """A list that was verified before counts only while its key does not stand in doubt (R17)."""
    key = case.members.key(held.kid)
    standing = None if key is None else key.standing(held.valid_from, proven=False)
    if standing in (None, KeyStanding.DOUBTFUL, KeyStanding.COMPROMISED):
        raise RefusedError("status_key_refused", "the key of the list held is not to be relied on")


def _evidence(
    case: Case, entry: StatusEntry, held: StatusList, says: Status
) -> dict[str, str | int]:
    return {
        "list": held.url,
        "digest": held.digest.hex(),
        "index": entry.index,
        "says": says.value,
        "signedAt": times.to_text(held.valid_from),
        "ageSeconds": int(held.age(case.at).total_seconds()),
    }


def _later(entry: StatusEntry, says: Status) -> tuple[Outcome, str]:
    """Not revoked later is not revoked then; a suspension may have come and gone."""
    if says is Status.VALID and entry.purpose == REVOCATION:
        return PASSED, ""
    return UNKNOWN, "status_later" if says is Status.REVOKED else "suspension_later"


def _verdict(case: Case, held: StatusList, says: Status) -> tuple[Outcome, str]:
    if says is Status.REVOKED:
        return FAILED, "revoked"
    if says is Status.SUSPENDED:
        return UNKNOWN, SUSPENDED
    if not held.fresh_at(case.at, case.max_status_age):
        return UNKNOWN, "status_stale"
    return PASSED, ""
