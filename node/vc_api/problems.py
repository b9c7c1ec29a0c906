"""What the VC-API says when something does not verify: problem details (RFC 9457).

Types are the standards' own where they name one (VC Data Model 2.0 §7.3, Data Integrity §4.8,
Bitstring Status List §3.4); members of ours stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from protocols.credentials import data_integrity
from schemas.catalogue import explain
from schemas.errors import PROBLEM_TYPE
from schemas.findings import Outcome

if TYPE_CHECKING:
    from schemas.errors import TradeError
    from schemas.findings import Check, Report

_MODEL = "https://www.w3.org/TR/vc-data-model#"
_STATUS = "https://www.w3.org/ns/credentials/status-list#"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **data_integrity.PROBLEMS,
        "proof_malformed": _MODEL + "PARSING_ERROR",
        "bad_signature": _MODEL + "CRYPTOGRAPHIC_SECURITY_ERROR",
        "jws_algorithm_mismatch": _MODEL + "CRYPTOGRAPHIC_SECURITY_ERROR",
        "proof_not_issuers": _MODEL + "CRYPTOGRAPHIC_SECURITY_ERROR",
        "credential_malformed": _MODEL + "MALFORMED_VALUE_ERROR",
        "presentation_malformed": _MODEL + "MALFORMED_VALUE_ERROR",
        "envelope_malformed": _MODEL + "MALFORMED_VALUE_ERROR",
        "credential_expired": _MODEL + "RANGE_ERROR",
        "credential_not_yet_valid": _MODEL + "RANGE_ERROR",
        "status_unknown": _STATUS + "STATUS_RETRIEVAL_ERROR",
        "status_malformed": _STATUS + "STATUS_VERIFICATION_ERROR",
        "status_foreign_list": _STATUS + "STATUS_VERIFICATION_ERROR",
        "status_out_of_range": _MODEL + "RANGE_ERROR",
    }
)
_PARSING = ("json_", "base64url_", "jws_", "sd_", "disclosure_")


def type_of(code: str) -> str:
    """The problem type of one of our codes."""
    if code in _TYPES:
        return _TYPES[code]
    return _MODEL + "PARSING_ERROR" if code.startswith(_PARSING) else PROBLEM_TYPE + code


def of_error(error: TradeError, lang: str) -> dict[str, Any]:
    """The problem document of what could not be read or may not be issued; 400 or 422."""
    status = error.status if error.status in (400, 404, 413) else 422
    told = error.problem(lang) | {"type": type_of(error.code), "status": status}
    return told | {"verified": False, "problemDetails": [{**told}]}


def of_report(report: Report, lang: str) -> dict[str, Any]:
    """The problem document of a report that did not pass; 422, or 400 for what cannot be read."""
    failed = [check for check in report.checks if check.outcome is not Outcome.PASSED]
    details = [_detail(check, lang) for check in failed]
    unread = any(check.id == "DI-01" for check in failed)
    return {
        **(details[0] if details else {}),
        "status": 400 if unread else 422,
        "verified": False,
        "problemDetails": details,
        "report": report.to_json(lang),
    }


def _detail(check: Check, lang: str) -> dict[str, Any]:
    code = check.code or check.id
    entry = explain(code) or explain(check.id)
    title = entry.sentence(lang) if entry else code
    return {"type": type_of(code), "title": title, "detail": check.reason, "code": code}
