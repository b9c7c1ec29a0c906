"""`pratique preflight UCR --for NODE`, and `--arrived` at the destination."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

_EXIT = {
    "PASSED": output.ExitCode.OK,
    "FAILED": output.ExitCode.FAILED,
    "INDETERMINATE": output.ExitCode.UNREACHABLE,
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("preflight")(preflight)


def preflight(
    ucr: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    to: Annotated[
        str | None, typer.Option("--for", help="The destination's DID: run its signed rules.")
    ] = None,
    arrived: Annotated[
        bool, typer.Option("--arrived", help="At the destination: what changed since.")
    ] = False,
    send: Annotated[
        bool, typer.Option("--send/--no-send", help="Send the pre-advice to the destination.")
    ] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run a destination's rules before sailing, or explain every difference on arrival.

    Exit code: 0 when the list passed, or nothing differs; 1 when it failed, or something differs;
    3 when something could not be found out.
    """
    from node.operator import operator

    if (to is None) != arrived:
        raise typer.BadParameter("say either --for DID or --arrived", param_hint="--for")
    with operator(home, lang=output.lang()) as client:
        if arrived:
            body = client.get(f"/v1/consignments/{quote(ucr)}/preflight")
        else:
            body = client.post("/v1/preflights", {"consignment": ucr, "for": to, "send": send})
    if as_json:
        output.print_json(body)
    elif arrived:
        _print_arrivals(body)
    else:
        _print_run(body)
    raise typer.Exit(_arrival_code(body) if arrived else _EXIT[body["verdict"]])


def _arrival_code(body: dict[str, Any]) -> int:
    differs = any(one["differences"] for one in body["preAdvices"])
    return output.ExitCode.FAILED if differs else output.ExitCode.OK


def _print_run(body: dict[str, Any]) -> None:
    told = output.say("for {destination} ({country})", **body)
    output.line(f"{body['verdict']}  {told}")
    output.line("  " + output.say("rules {edition}", edition=body["ruleSet"]))
    _print_lines("Verdicts", body["lines"])
    _print_standing(body["standing"])
    output.line(f"{output.say('pre-advice')} {body['number']}, {body['document']}")


def _print_standing(standing: dict[str, Any] | None) -> None:
    if standing is None:
        output.line(output.say("the destination did not say how balance, lane and title stand"))
    elif standing["lines"]:
        title = output.say("At the destination as of {at}", at=standing["asOf"])
        _print_lines(title, standing["lines"])


def _print_lines(title: str, lines: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["id"],
            one["outcome"] + ("" if one["blocking"] else f" ({output.say('told')})"),
            "\n".join(part for part in (one["title"], one["about"], one.get("code", "")) if part),
            one.get("next", ""),
        )
        for one in lines
    ]
    output.table(title, ("line", "outcome", "what", "next step"), rows)


def _print_arrivals(body: dict[str, Any]) -> None:
    for one in body["preAdvices"]:
        output.line(output.say("{number} of {issuer}: {advised}, now {found}", **one))
        rows = [
            (
                each["id"],
                each["about"] or each["subject"],
                f"{each['before'] or '–'} → {each['after'] or '–'}",
                each["title"],
            )
            for each in one["differences"]
        ]
        output.table("Differences", ("line", "about", "change", "because"), rows)
