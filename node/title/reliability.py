"""The reliability report: what four laws ask of an electronic title, line by line, with evidence.

The lines are data (`schemas/data/reliability.json`): UK ETDA 2023 s.2 and s.4, MLETR art. 10–12 and
15–18, Singapore's ETA Part 2A and China's Maritime Code ch. 4 s. 5. Each names the property that
answers it. A property is answered from this very title's exit file, verified again, and from what
the member list says of its arbiter; T1–T8 name the tests that hold the system to it. What the file
does not show is said so (`not shown`), never assumed. Where clauses are
not cited by their own numbers, the report says so (`cited` in `schemas/data/laws.json`). How the
title ended that this one replaces, the other's exit file shows, if it can be made here. It is
evidence for counsel, no legal advice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from node.title import news
from protocols import times
from protocols.evm.title_proof import no_voucher
from protocols.fields import Fields
from protocols.log import policy as log_policy
from protocols.title.machine import Bill, Ending, Kind
from schemas import laws
from schemas.errors import TradeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.title.exit_file import ExitFile
    from node.title.news import TitleNews
    from protocols.member_list import MemberList
    from protocols.title.machine import TitleState
    from schemas.findings import Report

MET, NOT_MET, NOT_SHOWN = "met", "not met", "not shown"
STANDARDS = ("DCSA PINT 3.0.0", "C2SP tlog-tiles, tlog-witness, tlog-proof", "RFC 6962", "RFC 7515",
             "RFC 8785", "W3C VC Data Model 2.0")  # fmt: skip
_ENDORSING = frozenset({Kind.ENDORSE, Kind.ENDORSE_TO_ORDER, Kind.BLANK_ENDORSE})


@dataclass(frozen=True, slots=True)
class Former:
    """The title that this one replaces: its own exit file, and the report on it."""

    file: ExitFile
    report: Report
    members: MemberList

    @property
    def state(self) -> TitleState | None:
        """Its final state, if its file proves it."""
        found = [self.report.check(name) for name in ("EXIT-03", "EXIT-04")]
        if any(one is None or one.outcome is not Outcome.PASSED for one in found):
            return None
        title = _title(self.file, self.members)
        return None if title is None else title.state


@dataclass(frozen=True, slots=True)
class Facts:
    """The title as it verifies: its exit file, the report on it, and what the list says."""

    file: ExitFile
    report: Report
    members: MemberList
    title: TitleNews | None
    former: Former | None = None

    def replaced(self) -> tuple[Ending | None, dict[str, Any]]:
        """How the title that this one replaces ended, where that is proven, with the evidence."""
        state = self.title.state if self.title is not None else None
        if state is None or state.replaces is None:
            return None, {}
        evidence: dict[str, Any] = {"replaces": state.replaces.hex()}
        ended = self.former.state if self.former is not None else None
        if ended is None or ended.title != state.replaces or ended.ending is None:
            return None, evidence
        return ended.ending, evidence | {"endedAs": ended.ending.value, "endedAt": ended.seq}

    def passed(self, *checks: str) -> str:
        """Met when all these steps passed, not met when one failed."""
        found = [one.outcome for name in checks if (one := self.report.check(name)) is not None]
        if Outcome.FAILED in found:
            return NOT_MET
        whole = len(found) == len(checks) and set(found) == {Outcome.PASSED}
        return MET if whole else NOT_SHOWN

    def evidence(self, check: str) -> dict[str, Any]:
        """What a step found."""
        found = self.report.check(check)
        return dict(found.evidence) if found is not None else {}


Answer = tuple[str, dict[str, Any]]


@cache
def lines() -> tuple[Mapping[str, Any], ...]:
    """All lines of the report."""
    file = resources.files("schemas") / "data" / "reliability.json"
    return tuple(json.loads(file.read_text(encoding="utf-8")))


def report(
    file: ExitFile, verified: Report, members: MemberList, former: Former | None = None
) -> dict[str, Any]:
    """The report as JSON: the title, its law, and every line with its answer and evidence.

    former: the title that this one replaces, where its exit file can be made here
    """
    title = _title(file, members)
    facts = Facts(file, verified, members, title, former)
    law = title.manifest.law if title is not None and title.manifest is not None else None
    rules = title.manifest.rulebook if title is not None and title.manifest is not None else None
    answers = {name: answer(facts) for name, answer in PROPERTIES.items()}
    return {
        "title": verified.subject,
        "at": times.to_text(file.at),
        "verdict": verified.verdict.value,
        "governingLaw": law,
        "rulebookDigest": rules.hex() if rules is not None else None,
        "lines": [_line(one, answers[one["asks"]], law) for one in lines()],
        "cited": {one.code: dict(one.cited) for one in laws.laws().values() if one.cited},
    }


def _line(line: Mapping[str, Any], answer: Answer, law: str | None) -> dict[str, Any]:
    met, evidence = answer
    return {
        "law": line["law"],
        "name": laws.laws()[line["law"]].name,
        "clause": line["clause"],
        "asks": {"en": line["en"], "zh": line["zh"]},
        "governs": line["law"] == law,
        "answer": met,
        "evidence": evidence,
        "tests": line["tests"],
    }


def _title(file: ExitFile, members: MemberList) -> TitleNews | None:
    told = Fields(file.news, news.CODE)
    try:
        return news.check_news(told, told.digest("arbiter"), members, no_voucher)
    except TradeError:
        return None


def _identified(facts: Facts) -> Answer:
    return facts.passed("EXIT-03", "EXIT-05"), {
        "title": facts.report.subject,
        **facts.evidence("EXIT-05"),
        "how": "the title's id is a digest over network, arbiter, carrier, reference and manifest; "
        "a copy of the document has no title, or another that was never issued",
    }


def _integrity(facts: Facts) -> Answer:
    state = facts.title.state if facts.title is not None else None
    return facts.passed("EXIT-03", "EXIT-04", "EXIT-05"), {
        "head": state.head.hex() if state is not None else None,
        "operations": state.seq if state is not None else None,
        "how": "the head commits to every signed operation, the manifest to the document",
    }


def _exclusive(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    seqs = [operation.seq for operation, _ in facts.title.operations]
    single = seqs == list(range(len(seqs)))
    met = facts.passed("EXIT-03", "EXIT-04") if single else NOT_MET
    return met, {
        "seq": facts.title.state.seq,
        "possessors": 0 if facts.title.state.possessor is None else 1,
        **_arbiter(facts),
        "how": "one arbiter takes one operation for each sequence number; a quorum re-executed it",
    }


def _arbiter(facts: Facts) -> dict[str, Any]:
    assert facts.title is not None
    entry = facts.members.arbiter(facts.title.arbiter)
    if entry is not None:
        return {"arbiter": f"{entry.name} on chain {entry.chain_id}", "final": entry.finality}
    listed, _ = news.registry_with(facts.members, facts.title.arbiter)
    policy = log_policy.parse(listed.policy)
    voters = policy.voters(listed.origin)
    return {
        "arbiter": listed.origin,
        "sequencer": listed.did,
        "witnesses": [one.name for one in voters],
        "quorum": policy.smallest_quorum(),
    }


def _demonstrated(facts: Facts) -> Answer:
    return facts.passed("EXIT-03", "EXIT-08"), {
        **facts.evidence("EXIT-08"),
        "how": "the exit file proves the state offline; the key named there signs for its holder",
    }


def _divested(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    moved = [one for one, _ in facts.title.operations if one.kind in _MOVING]
    former = {one.sender.did for one in moved} - {_did(facts)}
    how = "after a final transfer the arbiter takes no operation of the former possessor's key"
    evidence = {"transfers": len(moved), "former": sorted(former), "how": how}
    if not moved:
        return NOT_SHOWN, evidence | {"why": "this title was never transferred"}
    return facts.passed("EXIT-03", "EXIT-04"), evidence


_MOVING = frozenset({Kind.TRANSFER, Kind.ACCEPT_OFFER, Kind.SURRENDER_FOR_DELIVERY,
                     Kind.SURRENDER_FOR_AMENDMENT, Kind.REJECT_SURRENDER})  # fmt: skip


def _did(facts: Facts) -> str:
    state = facts.title.state if facts.title is not None else None
    return state.possessor.did if state is not None and state.possessor is not None else ""


def _reading(facts: Facts) -> Answer:
    how = "this report was made of all that is known of the title, and holds no key that acts"
    return facts.passed("EXIT-03"), {"how": how}


def _joint(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    possessor = facts.title.state.possessor
    joint = [one.did for one in possessor.joint] if possessor is not None else []
    how = "joint holders are one party that acts only with the signatures of all"
    return facts.passed("EXIT-03"), {"joint": joint, "how": how}


def _rules(facts: Facts) -> Answer:
    return facts.passed("EXIT-06"), facts.evidence("EXIT-06")


def _security(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    acted = {one.sender.key for one, _ in facts.title.operations}
    how = "keys have one purpose each in the signed member list; every operation is signed by its"
    return facts.passed("EXIT-03"), {
        "keys": len(acted),
        "memberList": facts.members.version,
        "how": f"{how} party's own title key",
    }


def _hardware(facts: Facts) -> Answer:
    del facts
    why = "no file shows how the machines and programs of others are kept; an auditor sees them"
    return NOT_SHOWN, {"why": why}


def _supervised(facts: Facts) -> Answer:
    del facts
    return NOT_SHOWN, {"why": "neither exit file nor member list carries such an assessment"}


def _audit(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    told = _arbiter(facts)
    independent = len(told.get("witnesses", ())) > 0 or told.get("final") == "qbft"
    how = "witnesses of other organisations re-execute every operation before it is final"
    return (MET if independent else NOT_SHOWN), {**told, "how": how}


def _standards(facts: Facts) -> Answer:
    del facts
    return MET, {"standards": list(STANDARDS)}


def _proven(facts: Facts) -> Answer:
    evidence = {"checks": {one.id: one.outcome.value for one in facts.report.checks}}
    return facts.passed("EXIT-03", "EXIT-04", "EXIT-05"), evidence


def _endorsed(facts: Facts) -> Answer:
    if facts.title is None:
        return facts.passed("EXIT-03"), {}
    made = [one.kind.value for one, _ in facts.title.operations if one.kind in _ENDORSING]
    straight = facts.title.state.bill is Bill.STRAIGHT
    why = "a straight bill is not endorsed" if straight else "it was not endorsed so far"
    if not made:
        return NOT_SHOWN, {"why": why}
    return facts.passed("EXIT-03", "EXIT-04"), {"endorsements": made}


def _amended(facts: Facts) -> Answer:
    """Shown by an end as amended, of this title or of the one that it replaces, and by no other.

    A bill that came back from paper replaces one too, and nothing in it was amended.
    """
    state = facts.title.state if facts.title is not None else None
    if state is None:
        return facts.passed("EXIT-03"), {}
    before, evidence = facts.replaced()
    if state.ending is not None:
        evidence |= {"ending": state.ending.value}
    if Ending.AMENDED in (state.ending, before):
        return facts.passed("EXIT-03", "EXIT-04"), evidence
    why = "it was not amended; an amendment ends it, and the new names it"
    if before is Ending.PAPER:
        why = "what it replaces went to paper and was not amended"
    elif evidence.get("replaces"):
        why = "it replaces a title of which no file here shows whether it ended as amended"
    return NOT_SHOWN, {**evidence, "why": why}


def _medium(facts: Facts) -> Answer:
    state = facts.title.state if facts.title is not None else None
    if state is None:
        return facts.passed("EXIT-03"), {}
    if state.ending is Ending.PAPER:
        return facts.passed("EXIT-03", "EXIT-04"), {"ending": "paper", "seq": state.seq}
    before, evidence = facts.replaced()
    why = "it was not switched to paper; that ends it for good, and nothing brings it back"
    if before is Ending.PAPER:
        why = "it came back from paper; that the paper was given up, no file shows"
        return NOT_SHOWN, {**evidence, "why": why}
    return NOT_SHOWN, {"why": why}


def _delivered(facts: Facts) -> Answer:
    state = facts.title.state if facts.title is not None else None
    if state is None:
        return facts.passed("EXIT-03"), {}
    if state.ending is not Ending.DELIVERED:
        return NOT_SHOWN, {"why": "the goods were not delivered against it so far"}
    return facts.passed("EXIT-03", "EXIT-04"), {"ending": "delivered", "seq": state.seq}


PROPERTIES: Mapping[str, Callable[[Facts], Answer]] = {
    "identified": _identified,
    "integrity": _integrity,
    "exclusive": _exclusive,
    "demonstrated": _demonstrated,
    "divested": _divested,
    "reading": _reading,
    "joint": _joint,
    "rules": _rules,
    "security": _security,
    "hardware": _hardware,
    "supervised": _supervised,
    "audit": _audit,
    "standards": _standards,
    "proven": _proven,
    "endorsed": _endorsed,
    "amended": _amended,
    "medium": _medium,
    "delivered": _delivered,
}
