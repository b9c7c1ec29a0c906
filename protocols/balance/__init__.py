"""The balance of a certificate: what of its quantity is reserved, written off, and left (R23).

A certificate that may be used in parts has one register, named in it (by default its issuer).
Each use is one (certificate, node, declaration, goods line); the register applies one operation at
a time by compare-and-swap on (certificate, seq) and signs what it answers. Asking again changes
nothing. What is used is refused to the next one with the first use named. Without the register's
answer nothing is known: INDETERMINATE, never written off. RCEP 3.19(1)(e) for back-to-back
certificates.

Customs write off by goods line, so each line with a quantity has a balance of its own (`named`).
Where all lines are in one unit there is a whole beside them, on which a request without a line
draws. Then both bounds hold: what is drawn by line never exceeds the line, and all that is drawn,
by line or not, never exceeds the whole; so what was drawn without a line can always be laid on the
lines. A line therefore has left what neither bound forbids. Where the units differ every request
names its line. A certificate of one line means that line, named or not; one that states a single
quantity in `balance` is one pool without lines.

`quantities` are exact amounts, `named` what a certificate says, `requests` what is asked,
`register` how it is applied, `answers` what the register signs.
"""

from __future__ import annotations

from protocols.balance.answers import (
    MAX_ANSWER,
    TYP,
    Answer,
    Outcome,
    answer,
    read_answer,
    read_payload,
    sign,
    use_json,
)
from protocols.balance.named import MAX_LINES, GoodsLine, Named, line_of, named_in
from protocols.balance.quantities import CODE, Quantity, plain, read_quantity
from protocols.balance.register import MAX_USES, Applied, Balance, Part, Use, UseState, apply
from protocols.balance.requests import (
    MAX_DECLARATION,
    MAX_LINE,
    Action,
    Request,
    read_line,
    read_request,
)

__all__ = [
    "CODE",
    "MAX_ANSWER",
    "MAX_DECLARATION",
    "MAX_LINE",
    "MAX_LINES",
    "MAX_USES",
    "TYP",
    "Action",
    "Answer",
    "Applied",
    "Balance",
    "GoodsLine",
    "Named",
    "Outcome",
    "Part",
    "Quantity",
    "Request",
    "Use",
    "UseState",
    "answer",
    "apply",
    "line_of",
    "named_in",
    "plain",
    "read_answer",
    "read_line",
    "read_payload",
    "read_quantity",
    "read_request",
    "sign",
    "use_json",
]
