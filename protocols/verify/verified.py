"""`Verified[T]`: a value that passed verification, and the report that says so (DESIGN §1.4).

Only a `Verified` changes state, and only `protocols.verify` makes one: the constructor asks for a
token that lives in this module and is used by `protocols.verify.run` alone (a test looks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar

from typing_extensions import override

from schemas.findings import Outcome

if TYPE_CHECKING:
    from schemas.findings import Report

T = TypeVar("T")
_SEAL: Final = object()


class Verified(Generic[T]):
    """A value whose report PASSED at the moment the report names. It cannot be changed or copied.

    Raises TypeError when made elsewhere, or from a report that did not pass or is historical.
    """

    __slots__ = ("_report", "_value")
    _report: Report
    _value: T

    def __init__(self, value: T, report: Report, *, seal: object) -> None:
        """Made by `protocols.verify.run` only."""
        if seal is not _SEAL:
            raise TypeError("only protocols.verify makes a Verified value")
        if report.verdict is not Outcome.PASSED or report.historical:
            raise TypeError("only a report of now that passed makes a Verified value")
        object.__setattr__(self, "_value", value)
        object.__setattr__(self, "_report", report)

    @property
    def value(self) -> T:
        """What was verified."""
        return self._value

    @property
    def report(self) -> Report:
        """The report, PASSED and not historical."""
        return self._report

    @override
    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("a Verified value cannot be changed")

    @override
    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError("a Verified value cannot be changed")

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError("a Verified value cannot be copied or stored: verify again")

    @override
    def __repr__(self) -> str:
        return f"Verified({self._report.subject})"
