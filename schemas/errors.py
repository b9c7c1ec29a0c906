"""One taxonomy of errors: families are classes, stable codes are catalogue entries.

A family says who is at fault and whether trying again can help; it fixes the HTTP status. The code
says exactly what happened and is explained in `schemas.catalogue`. The problem document follows
RFC 9457. A retryable error is never a business refusal (R13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.findings import Finding

PROBLEM_TYPE = "urn:pratique:error:"


class TradeError(Exception):
    """Something a person or a peer must be told. Raise a family, never this class.

    code:     stable, snake_case, in the catalogue
    detail:   what happened here, without secrets and without echoing foreign content
    pointer:  JSON pointer (RFC 6901) or XML path of the place, or ""
    findings: the single faults, when there are several
    context:  further members of the problem document (JSON values)
    """

    family: ClassVar[str] = ""
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        pointer: str = "",
        findings: Sequence[Finding] = (),
        **context: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.findings = tuple(findings)
        self.context = context

    def problem(self, lang: str = "en") -> dict[str, Any]:
        """The RFC 9457 problem document, with our members code, next, retry, errors."""
        entry = explain(self.code)
        body: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": entry.sentence(lang) if entry else self.code,
            "status": self.status,
            "code": self.code,
            "retry": self.retryable,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.pointer:
            body["pointer"] = self.pointer
        if entry and entry.next_step(lang):
            body["next"] = entry.next_step(lang)
        if self.findings:
            body["errors"] = [finding.to_json() for finding in self.findings]
        return body | self.context


class MalformedError(TradeError):
    """The bytes are not what they claim to be."""

    family = "malformed"
    status = 400


class UnauthenticatedError(TradeError):
    """We do not know who is asking."""

    family = "unauthenticated"
    status = 401


class ForbiddenError(TradeError):
    """We know who is asking, and they may not."""

    family = "forbidden"
    status = 403


class NotFoundError(TradeError):
    """Nothing here by that name."""

    family = "not_found"
    status = 404


class ConflictError(TradeError):
    """The state has moved on, or the same name was used for something else."""

    family = "conflict"
    status = 409


class TooLargeError(TradeError):
    """A cap was reached."""

    family = "too_large"
    status = 413


class RefusedError(TradeError):
    """Well-formed, understood and refused: a signature, a rule or a right is missing."""

    family = "refused"
    status = 422


class SettingsError(TradeError):
    """This node is set up wrongly; nothing was started."""

    family = "settings"
    status = 500


class UnavailableError(TradeError):
    """We could not find out. Says nothing about the document; try again (R13)."""

    family = "unavailable"
    status = 503
    retryable = True


FAMILIES: dict[str, type[TradeError]] = {
    cls.family: cls
    for cls in (
        MalformedError,
        UnauthenticatedError,
        ForbiddenError,
        NotFoundError,
        ConflictError,
        TooLargeError,
        RefusedError,
        SettingsError,
        UnavailableError,
    )
}
