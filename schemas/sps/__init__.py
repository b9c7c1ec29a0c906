"""UN/CEFACT SPS certificates (phytosanitary 851, re-export 657) as XML: lenient in, strict out.

Real certificates differ from every published schema: two namespace generations travel, the IPPC
hub's description leaves some elements unqualified, and authorities order elements as they like.
`examine` therefore matches by local name, takes elements in any order, and reports each deviation
as a warning; what a rule forbids is an error. `write` produces one form only: all elements
qualified, in canonical order. Source: ISPM 12 appendix 1; UN/CEFACT SPSCertificate 17 and 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import strict_xml
from schemas.sps.deviations import deviations
from schemas.sps.elements import Root
from schemas.sps.facts import view_fields
from schemas.sps.layout import ROOT
from schemas.sps.rules import PHYTOSANITARY, RULES, future_issue, rule_findings
from schemas.sps.status import Status, may_follow, status_of
from schemas.sps.writer import write

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from schemas.findings import Finding

__all__ = [
    "RULES",
    "Status",
    "examine",
    "future_issue",
    "judge",
    "may_follow",
    "status_of",
    "write",
]


def examine(
    payload: bytes, *, at: datetime | None = None, type_codes: frozenset[str] = PHYTOSANITARY
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """What one certificate says and what is wrong with it.

    The dictionary has the members of the normalised view: number, issuedAt (RFC 3339 in UTC, or a
    bare date), exportCountry, importCountry, containers, packages, grossKg and netKg (decimal
    strings), hs, parties (role → name), references ({type, number}), portOfDischarge, pointers
    (member → XML path) and facts, which `write` takes. With `at` (aware) an issue date after it is
    an error, PHY-013. Raises MalformedError or TooLargeError (xml_…) only when the bytes are no XML
    that may be read at all; other XML than a certificate gives PHY-002. type_codes: the UNTDID 1001
    codes that this certificate may have (PHY-011).
    """
    root = Root(strict_xml.parse(payload))
    found = _findings(root, at, type_codes)
    if root.name != ROOT:
        return {"number": None, "facts": {}, "pointers": {}}, found
    return view_fields(root), found


def judge(
    payload: bytes, *, at: datetime | None = None, type_codes: frozenset[str] = PHYTOSANITARY
) -> tuple[Finding, ...]:
    """What is wrong with one certificate, without what it says (see `examine`)."""
    return _findings(Root(strict_xml.parse(payload)), at, type_codes)


def _findings(root: Root, at: datetime | None, type_codes: frozenset[str]) -> tuple[Finding, ...]:
    found = list(deviations(root))
    if root.name == ROOT:
        found += rule_findings(root, type_codes)
        if at is not None:
            found += future_issue(root, at)
    return tuple(found)
