"""Certificate status, one table per dialect.

The same number means different things in different systems: 40 is *withdrawn* in ePhyto and
*validity suspended* in UNTDID 1373; 70 does not exist there at all. So a number is never
interpreted without its dialect.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(StrEnum):
    """Our own words for the status of a certificate."""

    DRAFT = "DRAFT"
    IN_PROGRESS = "IN_PROGRESS"
    ISSUED = "ISSUED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"
    CANCELLED = "CANCELLED"
    DELETED = "DELETED"


TABLES: Mapping[str, Mapping[str, Status]] = {
    "ephyto": {"70": Status.ISSUED, "40": Status.WITHDRAWN},
    "ched": {
        "47": Status.DRAFT,
        "42": Status.IN_PROGRESS,
        "70": Status.ISSUED,
        "41": Status.REJECTED,
        "64": Status.CANCELLED,
        "55": Status.DELETED,
    },
    "untdid-1373": {"40": Status.SUSPENDED, "41": Status.REVOKED},
}

# From which status a certificate of the same number may go where (PHY-012).
_SUCCESSORS: Mapping[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset(Status) - {Status.DRAFT},
    Status.IN_PROGRESS: frozenset(Status) - {Status.DRAFT},
    Status.ISSUED: frozenset({Status.WITHDRAWN, Status.SUSPENDED, Status.REVOKED}),
    Status.SUSPENDED: frozenset({Status.ISSUED, Status.WITHDRAWN, Status.REVOKED}),
}


def status_of(code: str, dialect: str = "ephyto") -> Status | None:
    """Our word for a status code of one dialect (ephyto, ched, untdid-1373), None if unknown."""
    return TABLES[dialect].get(code)


def code_of(status: Status, dialect: str = "ephyto") -> str | None:
    """The code of a status in one dialect, None where the dialect cannot say it."""
    return next((code for code, said in TABLES[dialect].items() if said is status), None)


def may_follow(before: Status, after: Status) -> bool:
    """True when a certificate may go from one status to another; what ended stays ended."""
    return before is after or after in _SUCCESSORS.get(before, frozenset())
