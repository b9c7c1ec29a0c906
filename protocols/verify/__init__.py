"""Verification of a document: numbered steps, a three-valued report, and `Verified[T]`.

The only door to `Verified`, and the one everybody imports from.
"""

from __future__ import annotations

from protocols.verify.case import Case, Document, Receipt
from protocols.verify.receipt_steps import verify_in_listed_log
from protocols.verify.run import STEPS, examine_document, verify_case, verify_document
from protocols.verify.verified import Verified

__all__ = [
    "STEPS",
    "Case",
    "Document",
    "Receipt",
    "Verified",
    "examine_document",
    "verify_case",
    "verify_document",
    "verify_in_listed_log",
]
