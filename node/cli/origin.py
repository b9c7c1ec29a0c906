"""`pratique origin evaluate|again|reproduce|data`: is a good originating under RCEP, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

MAX_FILE = 4 * 1024 * 1024
_EXIT = {
    "PASSED": output.ExitCode.OK,
    "FAILED": output.ExitCode.FAILED,
    "INDETERMINATE": output.ExitCode.UNREACHABLE,
}


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Origin of goods under RCEP.", no_args_is_help=True)
    group.command("evaluate")(evaluate)
    group.command("again")(again)
    group.command("reproduce")(reproduce)
    group.command("data")(data)
    app.add_typer(group, name="origin")


def evaluate(
    file: Annotated[Path, typer.Argument(help="A question as JSON, see docs/origin.md.")],
    home: HomeOption = DEFAULT_HOME,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Without a node, also where none is here; see --status."),
    ] = False,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="With --offline: DIGEST=PASSED, FAILED or INDETERMINATE."),
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Issue the result as a document of this node.")
    ] = False,
    consignment: Annotated[
        str | None, typer.Option("--consignment", help="With --sign: the UCR it belongs to.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate origin, proof, road and country; exit code 0 only when all that is asked passed.

    Through the node, certificates are those it holds, verified now. Exit code 1: something failed;
    3: something could not be found out.
    """
    question = _read(file)
    if offline or (home == DEFAULT_HOME and not sign and not home.exists()):
        if sign:
            raise typer.BadParameter("only a node signs", param_hint="--sign")
        body: dict[str, Any] = {"evaluation": _offline(question, status or [])}
    else:
        if status:
            raise typer.BadParameter("a node looks itself; use --offline", param_hint="--status")
        body = _by_node(question, home, sign=sign, consignment=consignment)
    if as_json:
        output.print_json(body)
    else:
        _print(body)
    raise typer.Exit(_EXIT[body["evaluation"]["verdict"]])


def again(
    digest: Annotated[str, typer.Argument(help="A signed origin evaluation held by the node.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold a signed evaluation against now; exit code 1 when its basis was lost."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/origin-evaluations/{digest}")
    if as_json:
        output.print_json(body)
    else:
        signed, now = body["signed"]["verdict"], body["now"]["verdict"]
        output.line(f"signed {signed}, now {now}")
        for lost in body["basisLost"]:
            output.line(f"! basis lost: {lost}")
        _print({"evaluation": body["now"], "inputs": body["inputs"]})
    if body["basisLost"]:
        raise typer.Exit(output.ExitCode.FAILED)


def reproduce(
    file: Annotated[Path, typer.Argument(help="A report, or what `origin evaluate --json` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Work a report out again from nothing but itself; exit code 0 when it is the same."""
    from schemas.origin import reproduce as work_out

    body = _read(file)
    report = body.get("evaluation", body)
    check = work_out(report if isinstance(report, dict) else {}).to_json(output.lang())
    if as_json:
        output.print_json(check)
    else:
        output.line(f"{check['outcome']}  {check['title']}")
    raise typer.Exit(_EXIT[check["outcome"]])


def data(as_json: JsonOption = False) -> None:
    """List the dated data the engine rests on, with the hashes that reports cite."""
    from schemas.origin.data import sources

    found = [source.to_json() for source in sources().values()]
    if as_json:
        output.print_json(found)
        return
    rows = [(each["file"], each["edition"], each["sha256"]) for each in found]
    output.table("Origin data", ("file", "edition", "SHA-256"), rows)


def _read(file: Path) -> dict[str, Any]:
    from node.verification.offline import read_capped
    from schemas import strict_json

    return dict(strict_json.loads_object(read_capped(file, MAX_FILE)))


def _offline(question: dict[str, Any], status: list[str]) -> dict[str, Any]:
    from schemas import origin

    pairs = (each.partition("=") for each in status)
    statuses = origin.read_statuses({name: value for name, _, value in pairs}, "--status")
    return origin.evaluate(origin.read(question), statuses).to_json(output.lang())


def _by_node(
    question: dict[str, Any], home: Path, *, sign: bool, consignment: str | None
) -> dict[str, Any]:
    from node.operator import operator

    body: dict[str, Any] = {"question": question, "sign": sign}
    if consignment is not None:
        body["consignment"] = consignment
    with operator(home, lang=output.lang()) as client:
        answer: dict[str, Any] = client.post("/v1/origin-evaluations", body)
    return answer


# -- printing --------------------------------------------------------------------------------------


def _print(body: dict[str, Any]) -> None:
    report = body["evaluation"]
    output.line(f"{report['verdict']}  RCEP  {report['on']}")
    if "origin" in report:
        _print_origin(report["origin"])
    if "country" in report:
        country = report["country"]
        told = f"{country['country'] or '?'} ({country['paragraph']})"
        output.line(f"  {output.say('country of origin')} {told}")
    if report.get("proof", {}).get("expires"):
        until = report["proof"]["expires"]
        output.line("  " + output.say("the proof counts until {until}", until=until))
    _print_checks("Conclusions", report["checks"])
    for finding in report["findings"]:
        output.line(f"! {finding['rule']} {finding['pointer']}: {finding['message']}")
    for given in body.get("inputs", ()):
        told = " ".join(given.get(name, "") for name in ("code", "reason")).strip()
        certificate = f"  {output.say('certificate')} {given['digest'][:16]}…"
        output.line(f"{certificate} {given['status']} {told}".rstrip())
    if "document" in body:
        output.line(output.say("signed as {number}, {document}", **body))


def _print_origin(origin: dict[str, Any]) -> None:
    said = [origin["criterion"] or output.say("no criterion"), *origin["annotations"]]
    if origin["also"]:
        said.append(f"{output.say('also')} {', '.join(origin['also'])}")
    rule = origin["rule"]
    output.line(f"  {output.say('origin')} {origin['verdict']}: {', '.join(said)}")
    if rule is not None:
        told = f" {output.say('or')} ".join(rule["alternatives"])
        mark = f", {output.say('demonstration data')}" if rule.get("demonstration") else ""
        output.line(f"  {output.say('rule')} {told} ({rule['source']}{mark})")
    _print_checks("Tests tried", origin["tests"])
    for name, title in (("withoutCumulation", "Without cumulation"), ("atBest", "At best")):
        if name in origin:
            told = f"{output.say(title)}: {origin[name]['verdict']}"
            _print_checks(told, origin[name]["tests"])


def _print_checks(title: str, checks: list[dict[str, Any]]) -> None:
    rows = [
        (each["id"], each["outcome"], _told(each), _numbers(each.get("evidence", {})))
        for each in checks
    ]
    output.table(title, ("rule", "outcome", "what", "numbers"), rows)


def _told(check: dict[str, Any]) -> str:
    parts = (check["title"], check.get("reason", ""), check.get("code", ""))
    return "\n".join(part for part in parts if part)


def _numbers(evidence: dict[str, Any]) -> str:
    return "\n".join(f"{name} {value}" for name, value in evidence.items())
