"""How a verification report looks in a terminal: every check, its reason, its next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.cli import output
from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_REACHED = "not_reached"
MARKS = {"PASSED": "✓", "FAILED": "✗", "INDETERMINATE": "?"}


def show(body: Mapping[str, Any]) -> None:
    """Print the report (as `Report.to_json` gives it) as tables."""
    mark = MARKS.get(body["verdict"], "")
    output.line(f"{mark} {body['verdict']}  {body.get('subject', '')}")
    if body.get("historical"):
        at = body.get("at") or output.say("an unknown moment")
        output.line("  " + output.say("as of {at}; no release accepts it (R25)", at=at))
        _show_judged_by(body["checks"])
    rows = [_row(check) for check in body["checks"] if check.get("code") != NOT_REACHED]
    output.table("Checks", ("check", "outcome", "what", "next step"), rows)
    _show_unreached([check for check in body["checks"] if check.get("code") == NOT_REACHED])
    _show_disclosed(body["checks"])
    _show_lists(body["checks"])
    if body.get("findings"):
        found = [
            (item["rule"], output.say(item["severity"]), item["pointer"], _message(item))
            for item in body["findings"]
        ]
        output.table("Findings", ("rule", "severity", "place", "message"), found)


def _show_judged_by(checks: Sequence[Mapping[str, Any]]) -> None:
    """By which versions another moment was judged: of the member list, and of the status."""
    evidence = {each["id"]: each.get("evidence", {}) for each in checks}
    members, status = evidence.get("CRED-12", {}), evidence.get("CRED-10", {})
    if "version" in members:
        since = output.say("issued {at}", at=members["issued"])
        told = output.say("member list version {version}", version=members["version"])
        output.line(f"  {told} ({since}, {members['digest'][:16]}…)")
    agreed = next((one for one in map(_recognition, checks) if "version" in one), None)
    if agreed is not None:
        told = output.say(
            "recognition by the agreements of member list version {version}", **agreed
        )
        output.line(f"  {told} ({agreed['digest'][:16]}…)")
    if "signedAt" in status:
        told = output.say("status list signed {at}", at=status["signedAt"])
        output.line(f"  {told} ({status['digest'][:16]}…)")


def _recognition(check: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decided about the recognition of one of a bundle's documents."""
    evidence: Mapping[str, Any] = check.get("evidence", {}) if check["id"] == "CRED-11" else {}
    return evidence


def _show_disclosed(checks: Sequence[Mapping[str, Any]]) -> None:
    """Which members a holder shows, and which he withholds (CRED-13)."""
    found = (each.get("evidence", {}) for each in checks if each["id"] == "CRED-13")
    evidence: Mapping[str, Any] = next(found, {})
    rows = [
        (place, mark)
        for mark, name in (("✓", "disclosed"), ("–", "withheld"))
        for place in evidence.get(name, ())
    ]
    if rows:
        output.table("Disclosable members", ("place", "disclosed"), rows)


def _show_lists(checks: Sequence[Mapping[str, Any]]) -> None:
    """The status lists that were asked, and how old they are (CRED-10)."""
    evidence: Mapping[str, Any] = next(
        (each.get("evidence", {}) for each in checks if each["id"] == "CRED-10"), {}
    )
    lists = [one for one in (evidence, evidence.get("suspension", {})) if "ageSeconds" in one]
    rows = [
        (
            one["list"],
            output.say(one["says"]),
            one["signedAt"],
            _age(one["ageSeconds"]),
        )
        for one in lists
    ]
    if rows:
        output.table("Status lists", ("list", "says", "signed", "age"), rows)


def _age(seconds: int) -> str:
    """An age in the unit in which it is two digits or so; a list of later has a negative one."""
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    size, name = next((each for each in units if abs(seconds) >= 2 * each[0]), units[-1])
    return f"{int(seconds / size)} {output.say(name)}"


def _message(finding: Mapping[str, Any]) -> str:
    """What was found, or in another language the sentence of the rule."""
    entry = explain(finding["rule"]) if output.lang() != "en" else None
    return entry.sentence(output.lang()) if entry else str(finding["message"])


def _row(check: Mapping[str, Any]) -> tuple[str, str, str, str]:
    outcome = f"{MARKS[check['outcome']]} {check['outcome']}"
    return check["id"], outcome, _told(check), check.get("next", "")


def _show_unreached(checks: Sequence[Mapping[str, Any]]) -> None:
    """Steps that an earlier one kept from being taken say the same: told once."""
    entry = explain(NOT_REACHED)
    if checks and entry is not None:
        # Of a bundle's documents each has its own; then the reason names it.
        ids = ", ".join(f"{check['id']} {check.get('reason', '')}".strip() for check in checks)
        output.line(f"{MARKS['INDETERMINATE']} {ids}: {entry.sentence(output.lang())}\n")


def _told(check: Mapping[str, Any]) -> str:
    exact = explain(check.get("code", ""))
    sentence = exact.sentence(output.lang()) if exact else ""
    # What the code says is more exact than the question the check asks.
    title = "" if sentence and check["outcome"] == "PASSED" else check.get("title", "")
    parts = [title, sentence, check.get("reason", "")]
    code = f"[{check['code']}]" if check.get("code") else ""
    return "\n".join(part for part in (*parts, code) if part)


def show_unasked(body: Mapping[str, Any]) -> None:
    """Say so when documents were judged, and their recognition by a country was not (CRED-11)."""
    asked = {check["id"] for check in body["checks"]}
    if "CRED-11" not in asked and asked & {"CRED-06", "EVI-08"}:
        told = "not asked: recognition by a country. Name the one that verifies: --country NL"
        output.line(output.say(told))


def exit_code(body: Mapping[str, Any]) -> output.ExitCode:
    """0 only for PASSED; what is not known has not passed."""
    return output.ExitCode.OK if body["verdict"] == "PASSED" else output.ExitCode.FAILED
