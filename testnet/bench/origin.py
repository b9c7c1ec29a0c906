"""What one origin evaluation costs: a bill of materials of 100 lines, from JSON to the report.

Called by `pratique bench documents`. Every third line is another Party's originating material with
a certificate, half of the rest is non-originating; the rule has two alternatives, costs are stated,
and cumulation is worked out with and without, as the report shows both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas import strict_json
from schemas.findings import Outcome
from schemas.origin import certificates, evaluate, read
from testnet.bench.measuring import Measure

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = 100
#: Evaluations per second and core that are asked for.
TARGET = 500.0


def question(lines: int = LINES) -> dict[str, Any]:
    """A question with that many materials."""
    return {
        "on": "2026-11-08",
        "currency": "USD",
        "importingParty": "SG",
        "good": {"hs": "850760", "producedIn": "CN", "fob": "86400.00"},
        "rule": ["RVC40", "CTH"],
        "materials": [_material(at) for at in range(lines)],
        "operations": [{"name": "assembling"}, {"name": "testing"}],
        "costs": {"labour": "9000", "overhead": "4000", "profit": "6000", "other": "400"},
    }


def _material(at: int) -> dict[str, Any]:
    material: dict[str, Any] = {"id": f"line-{at}", "value": f"{100 + at}.{at % 100:02d}"}
    if at % 3 == 0:
        named = {"issuer": "did:web:issuer.example", "number": f"KR-{at}", "digest": f"{at:064x}"}
        return material | {
            "hs": "850760",
            "origin": "originating",
            "from": "KR",
            "certificate": named,
        }
    origin = "non-originating" if at % 2 else "originating"
    return material | {"hs": f"85{40 + at % 9:02d}31", "origin": origin, "from": "CN"}


def evaluation() -> Callable[[], object]:
    """One evaluation of 100 lines: bytes read, tests tried, report made."""
    data = strict_json.canonical(question())
    statuses = dict.fromkeys(certificates(read(question())), Outcome.PASSED)

    def run() -> dict[str, Any]:
        asked = read(strict_json.loads_object(data))
        report = evaluate(asked, statuses).to_json()
        if report["origin"]["verdict"] != Outcome.PASSED.value:
            raise AssertionError(report["origin"]["verdict"])
        return report

    return run


def measures() -> tuple[Measure, ...]:
    """The measure for a group's table; its target is `TARGET` per second and core."""
    return (Measure("origin.100", "origin evaluation of 100 lines, bytes to report", evaluation()),)
