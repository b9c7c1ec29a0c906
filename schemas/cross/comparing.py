"""Which papers of a consignment are held against which, and the findings that come of it.

Leading are the transport documents: every other paper is compared with each of them. Declarations
come next: they are compared with what they are drawn up from. Two certificates are not compared
with each other; both answer to the bill. A certificate of another journey, of an input that came
before or of a part that went on, is about other goods and is not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from schemas.cross.rules import RULES, CrossRule, Disagreement, Pair
from schemas.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from schemas.cross.statement import Statement

MAX_FINDINGS = 500
TRANSPORT = (
    "bill-of-lading",
    "sea-waybill",
    "negotiable-multimodal-document",
    "master-transport-document",
    "rail-consignment-note",
)
DECLARATIONS = ("export-declaration", "import-declaration")
LEADING = (*TRANSPORT, *DECLARATIONS)
# They are about all the goods of the consignment, and have to say the same of them.
WHOLE = frozenset({*LEADING, "commercial-invoice", "packing-list", "arrival-notice"})
# They follow goods from one Party to the next.
ORIGIN = frozenset(
    {
        "preferential-certificate-of-origin",
        "back-to-back-certificate-of-origin",
        "origin-declaration",
    }
)
# They are about an operator, a ship, a moment, a calculation or a judgement: nothing to compare. A
# pre-advice names the country of the node that judged, which need not be where the goods leave.
SILENT = frozenset(
    {"aeo-status", "logistics-event", "origin-evaluation", "pre-advice", "ship-certificate"}
)


@dataclass(frozen=True, slots=True)
class Paper:
    """A document of the consignment: its statement, and what names it (a digest, hex)."""

    statement: Statement
    digest: str = ""


def pairs(papers: Sequence[Paper]) -> Iterator[tuple[Paper, Paper]]:
    """Leading document and other, each two papers at most once."""
    ranked = sorted(
        (each for each in papers if each.statement.type not in SILENT),
        key=lambda each: (_rank(each), each.statement.type, each.statement.number, each.digest),
    )
    for at, one in enumerate(ranked):
        if one.statement.type in LEADING:
            later = ranked[at + 1 :]
            yield from ((one, other) for other in later if not _elsewhere(one, other))


def _elsewhere(one: Paper, other: Paper) -> bool:
    """Whether a proof of origin is for the way to where these goods leave, or on from where they
    arrive: an input's certificate, a back-to-back certificate (RCEP Articles 3.4 and 3.19)."""
    if other.statement.type not in ORIGIN:
        return False
    leading, told = one.statement.single, other.statement.single
    joints = (("exportCountry", "importCountry"), ("importCountry", "exportCountry"))
    return any(
        here in leading and there in told and leading[here].value == told[there].value
        for here, there in joints
    )


def _rank(paper: Paper) -> int:
    kind = paper.statement.type
    return LEADING.index(kind) if kind in LEADING else len(LEADING)


def examine(papers: Sequence[Paper]) -> tuple[Finding, ...]:
    """Every disagreement between the papers of one consignment, at most `MAX_FINDINGS`."""
    found = (
        finding
        for one, other in pairs(papers)
        for finding in compare(one.statement, other.statement, one.digest, other.digest)
    )
    return tuple(islice(found, MAX_FINDINGS))


def compare(
    left: Statement, right: Statement, left_digest: str = "", right_digest: str = ""
) -> tuple[Finding, ...]:
    """Where two documents disagree; `left` leads. What either leaves out is not compared."""
    pair = Pair(left, right, partial=right.type not in WHOLE)
    named = {"leftDocument": left.name, "rightDocument": right.name}
    digests = {"leftDigest": left_digest, "rightDigest": right_digest}
    named |= {name: digest for name, digest in digests.items() if digest}
    return tuple(
        _finding(rule, each, named) for rule in RULES.values() for each in rule.check(pair)
    )


def _finding(rule: CrossRule, each: Disagreement, named: dict[str, str]) -> Finding:
    values = {
        "left": each.left.value,
        "right": each.right.value,
        "leftPointer": each.left.pointer,
        "rightPointer": each.right.pointer,
        **named,
    }
    message = f"{each.message}: {each.left.value} and {each.right.value}"
    return Finding(rule.id, rule.severity, each.right.pointer, message, values)


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that say the papers cannot all be of this consignment."""
    return tuple(each for each in findings if each.severity is Severity.ERROR)
