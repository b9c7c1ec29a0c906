"""The RCEP origin engine: is a good originating, by which rule, on which certificates.

Pure functions over exact decimals and dated, hashed data. `read` a question, `evaluate` it with
what is known about the certificates it names, and keep `Evaluation.to_json()`: `reproduce`
repeats it.
"""

from __future__ import annotations

from schemas.origin.evaluation import (
    FORMAT,
    Evaluation,
    basis_lost,
    certificates,
    evaluate,
    other_data,
    read_statuses,
    reproduce,
    reread,
)
from schemas.origin.question import Question, read

__all__ = [
    "FORMAT",
    "Evaluation",
    "Question",
    "basis_lost",
    "certificates",
    "evaluate",
    "other_data",
    "read",
    "read_statuses",
    "reproduce",
    "reread",
]
