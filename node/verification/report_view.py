"""How a verification report looks in a terminal: every check, its reason, its next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.cli import output
from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = {"PASSED": "✓", "FAILED": "✗", "INDETERMINATE": "?"}


def show(body: Mapping[str, Any]) -> None:
    """Print the report (as `Report.to_json` gives it) as tables."""
    mark = MARKS.get(body["verdict"], "")
    output.line(f"{mark} {body['verdict']}  {body.get('subject', '')}")
    if body.get("historical"):
        output.line(f"  as of {body.get('at') or 'an unknown moment'}; no release accepts it (R25)")
    rows = [
        (
            check["id"],
            f"{MARKS[check['outcome']]} {check['outcome']}",
            _told(check),
            check.get("next", ""),
        )
        for check in body["checks"]
    ]
    output.table("Checks", ("check", "outcome", "what", "next step"), rows)
    if body.get("findings"):
        found = [
            (item["rule"], item["severity"], item["pointer"], item["message"])
            for item in body["findings"]
        ]
        output.table("Findings", ("rule", "severity", "place", "message"), found)


def _told(check: Mapping[str, Any]) -> str:
    exact = explain(check.get("code", ""))
    sentence = exact.sentence(output.lang()) if exact else ""
    parts = [check.get("title", ""), sentence, check.get("reason", "")]
    code = f"[{check['code']}]" if check.get("code") else ""
    return "\n".join(part for part in (*parts, code) if part)


def exit_code(body: Mapping[str, Any]) -> output.ExitCode:
    """0 only for PASSED; what is not known has not passed."""
    return output.ExitCode.OK if body["verdict"] == "PASSED" else output.ExitCode.FAILED
