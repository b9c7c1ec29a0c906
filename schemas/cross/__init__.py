"""Rules XDC-… across documents: do the papers of one consignment speak of the same goods?

`statement` reads what a document says, value by value with its place; `compare` holds two
statements against each other; `examine` does so for all the papers of a consignment. Every finding
shows both values and both places: which of the two is right is for people to say. An error means
that the papers cannot all be of this consignment; a warning wants an explanation before filing.
"""

from __future__ import annotations

from schemas.cross.comparing import MAX_FINDINGS, Paper, compare, examine, pairs
from schemas.cross.rules import RULES, CrossRule
from schemas.cross.statement import Said, Statement, statement

__all__ = [
    "MAX_FINDINGS",
    "RULES",
    "CrossRule",
    "Paper",
    "Said",
    "Statement",
    "compare",
    "examine",
    "pairs",
    "statement",
]
