"""AEO benefits: what an authorised operator's chain of status events gives, where and when.

Status events are numbered and chained per authorisation; each has the day from which it has effect
and the moment at which it was known here. The question is therefore bitemporal: the status *on* one
day *as known* at one moment; later knowledge flags an answer, it never changes what was decided.
Everything fails closed for the benefit and only for the benefit: goods without it go the normal
way, nothing is held (DESIGN §7, WCO SAFE Framework). R25: an answer about the past serves reading;
no release looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from protocols import times
from schemas import aeo_programmes
from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from protocols.member_list import Agreement

TYPE = "aeo-status"
ACTIVE = "ACTIVE"
#: What may follow which status; an authorisation that ended is not revived, a new one is granted.
TRANSITIONS = {
    "": frozenset({ACTIVE}),
    ACTIVE: frozenset({ACTIVE, "SUSPENDED", "REVOKED", "EXPIRED"}),
    "SUSPENDED": frozenset({ACTIVE, "SUSPENDED", "REVOKED", "EXPIRED"}),
    "REVOKED": frozenset[str](),
    "EXPIRED": frozenset[str](),
}


class Lane(StrEnum):
    """How customs treats the goods: with the operator's benefits, or as everybody's."""

    AEO = "AEO"
    NORMAL = "NORMAL"


@dataclass(frozen=True, slots=True)
class AeoEvent:
    """One status event as known here.

    known_at: when this node had verified it, aware UTC; effective: from which day it counts
    payload:  SHA-256 (hex) of its payload; previous: that of the event before it, "" for the first
    gone_at:  since when its credential is known to be revoked, if it is
    standing: "" when it may be relied on now, else the reason why not
    """

    code: str
    seq: int
    status: str
    effective: date
    known_at: datetime
    payload: str
    previous: str = ""
    country: str = ""
    issuer: str = ""
    authorisation: str = "AEOF"
    roles: tuple[str, ...] = ()
    consent: bool = True
    document: str = ""
    gone_at: datetime | None = None
    standing: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """The question: of which country, in which role, on which day, as known at which moment.

    by: the country that would give the benefit; "" asks the granting administration itself
    """

    on: date
    known_at: datetime
    by: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that denies the benefit: the rule, the exact code, what was seen."""

    rule: str
    code: str
    seen: str = ""
    seq: int | None = None

    @property
    def entry(self) -> str:
        """Its code in the catalogue, without the number of an event."""
        name, numbered, _ = self.code.lower().partition("_seq_")
        return f"aeo_{name}" if numbered else name

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """With the sentence and the next step in English or Chinese."""
        entry = explain(self.entry)
        body: dict[str, Any] = {"rule": self.rule, "code": self.code, "seen": self.seen}
        if entry is not None:
            body |= {"reason": entry.sentence(lang), "next": entry.next_step(lang)}
        if self.seq is not None:
            body["seq"] = self.seq
        return {name: value for name, value in body.items() if value != ""}


@dataclass(frozen=True, slots=True)
class Answer:
    """Benefit or not, every reason against it, and what later knowledge says about it.

    rejected: numbers of events that may not follow what was before them
    flagged:  when knowledge came that would have changed this answer, or None
    """

    code: str
    query: Query
    benefit: bool
    status: str
    reasons: tuple[Reason, ...]
    events: tuple[AeoEvent, ...]
    rejected: tuple[int, ...] = ()
    agreement: str = ""
    flagged: datetime | None = None

    @property
    def lane(self) -> Lane:
        """The lane this answer gives; the lack of a benefit never holds anything."""
        return Lane.AEO if self.benefit else Lane.NORMAL

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """As people and machines read it."""
        body: dict[str, Any] = {
            "code": self.code,
            "benefit": self.benefit,
            "lane": self.lane.value,
            "status": self.status,
            "on": self.query.on.isoformat(),
            "knownAt": times.to_text(self.query.known_at),
            "by": self.query.by,
            "role": self.query.role,
            "agreement": self.agreement,
            "reasons": [reason.to_json(lang) for reason in self.reasons],
            "rejected": list(self.rejected),
            "data": aeo_programmes.digest(),
        }
        if self.flagged is not None:
            body["flagged"] = times.to_text(self.flagged)
        return {name: value for name, value in body.items() if value not in ("", [])}


def answer(
    code: str, events: Iterable[AeoEvent], query: Query, agreements: Sequence[Agreement] = ()
) -> Answer:
    """Does `code` give a benefit? Every reason against it is listed; see the module.

    agreements: the recognition agreements of the member list in force then
    """
    every = tuple(events)
    found = _answer(code, every, query, agreements)
    later = sorted({each.known_at for each in every if each.known_at > query.known_at})
    gone = {one.gone_at for one in every if one.gone_at and one.gone_at > query.known_at}
    for moment in sorted({*later, *gone}):
        again = Query(query.on, moment, query.by, query.role)
        if _answer(code, every, again, agreements).benefit != found.benefit:
            return _flag(found, moment)
    return found


def _flag(found: Answer, moment: datetime) -> Answer:
    return replace(found, flagged=moment)


def _answer(
    code: str, every: Sequence[AeoEvent], query: Query, agreements: Sequence[Agreement]
) -> Answer:
    known = sorted(
        (one for one in every if one.known_at <= query.known_at), key=lambda one: one.seq
    )
    programme = aeo_programmes.programme_of(code, query.on)
    reasons = list(_form(code, programme))
    if not known and not reasons:
        reasons.append(Reason("AEO-010", "AEO_UNKNOWN", code))
    reasons += _chain(known, query)
    standing, rejected, wrong = _status(known, query.on)
    reasons += wrong
    if standing is not None and not rejected and standing.status != ACTIVE:
        reasons.append(Reason("AEO-013", f"AEO_{standing.status}", seq=standing.seq))
    if known and standing is None and not rejected:
        reasons.append(Reason("AEO-013", "AEO_NOT_YET", known[0].effective.isoformat()))
    agreement = ""
    if known:
        # Facts other than the status (class, roles, consent) are those of the newest event known.
        told, agreement = _recognition(known[-1], programme, query, agreements)
        reasons += told
    return Answer(
        code=code,
        query=query,
        benefit=not reasons,
        status=standing.status if standing else "",
        reasons=tuple(reasons),
        events=tuple(known),
        rejected=rejected,
        agreement=agreement,
    )


def _form(code: str, programme: aeo_programmes.Programme | None) -> Iterable[Reason]:
    if programme is None or programme.scheme_of(code) is None:
        yield Reason("AEO-011", "BAD_CODE", code)


def _chain(known: Sequence[AeoEvent], query: Query) -> list[Reason]:
    """AEO-012: numbers from 1 on without a gap or a fork, each naming the one before it."""
    reasons: list[Reason] = []
    before: AeoEvent | None = None
    for one in known:
        expected = before.seq + 1 if before else 1
        if before is not None and one.seq == before.seq:
            if one.payload != before.payload:
                reasons.append(Reason("AEO-012", f"FORK_SEQ_{one.seq}", seq=one.seq))
            continue
        if one.seq != expected:
            reasons.append(Reason("AEO-012", f"GAP_SEQ_{expected}", seq=expected))
        elif before is not None and one.previous and one.previous != before.payload:
            reasons.append(Reason("AEO-012", f"CHAIN_SEQ_{one.seq}", seq=one.seq))
        if one.standing or (one.gone_at is not None and one.gone_at <= query.known_at):
            seen = one.standing or "revoked"
            reasons.append(Reason("AEO-018", "AEO_EVENT_NOT_IN_FORCE", seen, one.seq))
        before = one
    return reasons


def _status(
    known: Sequence[AeoEvent], on: date
) -> tuple[AeoEvent | None, tuple[int, ...], list[Reason]]:
    """The event that has effect on that day, the events that may not stand, and why not."""
    held: AeoEvent | None = None
    state, rejected, reasons = "", [], []
    for one in known:
        if one.status not in TRANSITIONS.get(state, frozenset()):
            if state == "" and one.seq != 1:
                state = one.status  # the gap is told already; what came after it is unknown
            else:
                rejected.append(one.seq)
                seen = f"{state} → {one.status}"
                reasons.append(Reason("AEO-014", "INVALID_TRANSITION", seen, one.seq))
                continue
        state = one.status
        if one.effective <= on:
            held = one
    return held, tuple(rejected), reasons


def _recognition(
    newest: AeoEvent,
    programme: aeo_programmes.Programme | None,
    query: Query,
    agreements: Sequence[Agreement],
) -> tuple[list[Reason], str]:
    reasons: list[Reason] = []
    grants = aeo_programmes.country_named(newest.code)
    if newest.country and newest.country != grants:
        reasons.append(Reason("AEO-015", "AEO_ISSUER_NOT_GRANTING", newest.country))
    if not newest.consent:
        reasons.append(Reason("AEO-016", "AEO_CONSENT_WITHDRAWN", seq=newest.seq))
    if query.role and newest.roles and query.role not in newest.roles:
        reasons.append(Reason("AEO-017", "AEO_ROLE_NOT_HELD", query.role))
    if not query.by or programme is None or query.by in programme.countries:
        return reasons, ""
    if not programme.classes.get(newest.authorisation, False):
        return [*reasons, Reason("AEO-019", "TYPE_NOT_RECOGNISED", newest.authorisation)], ""
    wrong, named = _agreed(newest, query, grants, agreements)
    return [*reasons, *wrong], named


def _agreed(
    newest: AeoEvent, query: Query, grants: str, agreements: Sequence[Agreement]
) -> tuple[list[Reason], str]:
    """AEO-020: an agreement in force on that day that covers the class and the role."""
    begins = datetime.combine(query.on, time(), UTC)
    ends = begins + timedelta(days=1)
    fitting = [
        one
        for one in agreements
        if (one.verifier, one.issuer) == (query.by, grants)
        and TYPE in one.document_types
        and one.valid_from < ends
        and (one.valid_until is None or one.valid_until > begins)
    ]
    if not fitting:
        return [Reason("AEO-020", "AEO_NO_AGREEMENT", f"{grants} → {query.by}")], ""
    classes = [one for one in fitting if newest.authorisation in one.aeo_classes]
    if not classes:
        return [Reason("AEO-020", "AEO_CLASS_NOT_COVERED", newest.authorisation)], fitting[0].id
    role = query.role
    covering = [one for one in classes if not role or not one.aeo_roles or role in one.aeo_roles]
    if not covering:
        return [Reason("AEO-020", "AEO_ROLE_NOT_COVERED", role)], classes[0].id
    return [], covering[0].id
