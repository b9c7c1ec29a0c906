"""CRED-13 and CRED-14: the steps over what a holder discloses of a document, and for whom.

CRED-13 is asked of SD-JWT files only. CRED-14 is asked when the verifier's policy asks for key
binding, of any file: one that cannot be bound does not pass for being another form (RFC 9901 §7.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.credentials import key_binding
from protocols.verify.credential_steps import FAILED, PASSED, fault, not_reached
from schemas.errors import TradeError
from schemas.findings import Check

if TYPE_CHECKING:
    from protocols.verify.case import Case


def cred_13_disclosures(case: Case) -> Check:
    """CRED-13: every disclosure has its signed digest, and only marked members are concealed."""
    error = case.faults.get("CRED-13")
    if error is not None:
        return fault("CRED-13", error)
    shown = case.presentation
    if shown is None:
        return not_reached("CRED-13")
    evidence = {"disclosed": list(shown.disclosed), "withheld": list(shown.withheld)}
    code = "partly_disclosed" if shown.withheld else ""
    return Check("CRED-13", PASSED, code=code, evidence=evidence)


def cred_14_key_binding(case: Case) -> Check:
    """CRED-14: the holder named by the issuer signed this presentation for this verifier, now."""
    shown, challenge = case.presentation, case.challenge
    if challenge is None or case.jws is None or (shown is None and case.selective):
        return not_reached("CRED-14")
    if shown is None:
        return Check("CRED-14", FAILED, code="key_binding_missing")
    try:
        key_binding.require(shown.given, shown.holder, challenge, case.at, shown.hash)
    except TradeError as error:
        return fault("CRED-14", error)
    assert shown.holder is not None
    return Check("CRED-14", PASSED, evidence={"holder": shown.holder.thumbprint()})
