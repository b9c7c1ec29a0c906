"""`pratique release show|list|sign`: may a container leave, and the order that lets it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

ContainerArgument = Annotated[str, typer.Argument(help="The container number, e.g. NHLU2631075.")]
ConsignmentOption = Annotated[
    str | None, typer.Option("--consignment", help="The UCR, where several name the container.")
]
MARKS = {"met": "✓", "unmet": "✗", "unknown": "?", "not-required": "–"}


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Release of containers.", no_args_is_help=True)
    group.command("show")(show)
    group.command("list")(list_all)
    group.command("sign")(sign)
    app.add_typer(group, name="release")


def show(
    container: ContainerArgument,
    consignment: ConsignmentOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the release decision with every condition; exit code 0 when it may leave."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/releases/{container}", consignment=consignment)
    if as_json:
        output.print_json(body)
    else:
        _print(body)
    if body["outcome"] == "HOLD":
        raise typer.Exit(output.ExitCode.FAILED)


def _print(body: dict[str, Any]) -> None:
    rules = body["rules"]
    output.line(f"{body['outcome']}  {body['container']}  {body['consignment']}")
    told = output.say("rules {edition}", edition=rules["edition"])
    output.line(f"  {told} ({rules['digest'][:16]}…), {body['at']}")
    rows = [
        (
            item["id"],
            f"{MARKS[item['state']]} {output.say(item['state'])}"
            + ("" if item["blocking"] else f" ({output.say('told')})"),
            "\n".join(part for part in (item["title"], item.get("reason", "")) if part),
            item.get("next", ""),
        )
        for item in body["conditions"]
    ]
    output.table("Conditions", ("condition", "state", "what", "next step"), rows)
    if body["orders"]:
        orders = [
            (
                item["number"],
                output.say(item["state"]),
                item["gateGroup"],
                item["collector"],
                item["notAfter"],
            )
            for item in body["orders"]
        ]
        columns = ("order", "state", "gate", "collector", "until")
        output.table("Release orders", columns, orders)
    for alert in body["alerts"]:
        output.line(f"! {alert['title']}")


def list_all(
    ucr: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show every container of a consignment: which may leave now, and what the others lack."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/consignments/{quote(ucr)}/release")
    if as_json:
        output.print_json(body)
        return
    lines = [
        (one["container"], one["outcome"], ", ".join(each["id"] for each in one["unmet"]))
        for one in body["containers"]
    ]
    title = output.say("Release: {extent}", extent=body["extent"])
    output.table(title, ("container", "outcome", "unmet"), lines)


def sign(
    container: ContainerArgument,
    consignment: ConsignmentOption = None,
    gate: Annotated[str | None, typer.Option("--gate", help="The gate group.")] = None,
    collector: Annotated[
        str | None, typer.Option("--collector", help="Who collects, by name.")
    ] = None,
    minutes: Annotated[int, typer.Option("--minutes", help="Validity, at most one slot.")] = 60,
    vehicle: Annotated[
        str | None, typer.Option("--vehicle", help="The plate; default the one delegated to.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sign the release order, when and only when the decision is RELEASE now."""
    from node.operator import operator

    order: dict[str, Any] = {"minutes": minutes}
    optional = {"consignment": consignment, "gateGroup": gate, "vehicle": vehicle}
    order |= {name: value for name, value in optional.items() if value is not None}
    if collector is not None:
        order["collector"] = {"name": collector}
    with operator(home, lang=output.lang()) as client:
        body = client.post(f"/v1/releases/{container}/sign", order)
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Release order", body.items())
