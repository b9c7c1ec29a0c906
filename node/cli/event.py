"""`pratique event …`: tell what happened to containers, hold and lift, and see who is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UcrArgument = Annotated[str, typer.Argument(help="The consignment's UCR.")]
ContainersOption = Annotated[
    list[str] | None,
    typer.Option("--container", help="A container it is about; may be repeated; else all."),
]
SendOption = Annotated[
    list[str] | None, typer.Option("--send", help="DID of a node that gets it; may be repeated.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in words.")]
MARKS = {"done": "✓", "due": "…", "silent": "?"}


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Milestones, holds and payments.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "tell": tell,
        "hold": hold,
        "lift": lift,
        "milestones": milestones,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="event")


def tell(
    ucr: UcrArgument,
    event: Annotated[
        str, typer.Argument(help="LOADED, DEPARTED, DISCHARGED, FREIGHT_CLEARED … (see the type).")
    ],
    container: ContainersOption = None,
    at: Annotated[str | None, typer.Option("--at", help="When; by default now.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="UN/LOCODE.")] = None,
    plan: Annotated[
        list[str] | None,
        typer.Option("--plan", help="EVENT=TIME[@LOCODE] that comes next; may be repeated."),
    ] = None,
    send: SendOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sign an event and send it; it stands in the trace and is decided upon at once."""
    order = {
        "event": event.upper(),
        "at": at,
        "place": place,
        "containers": container,
        "plan": [_planned(text) for text in plan] if plan else None,
        "send": send,
    }
    _post(home, ucr, order, as_json=as_json)


def _planned(text: str) -> dict[str, str]:
    event, equals, rest = text.partition("=")
    at, _, place = rest.partition("@")
    if not equals or not at:
        raise MalformedError("logistics_event_malformed", "write DISCHARGED=2026-12-18T00:00:00Z")
    return {"event": event.upper(), "at": at, **({"place": place} if place else {})}


def hold(
    ucr: UcrArgument,
    reason: ReasonOption,
    container: ContainersOption = None,
    send: SendOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold containers; unused release orders here are void at once."""
    order = {"event": "HOLD", "reason": reason, "containers": container, "send": send}
    _post(home, ucr, order, as_json=as_json)


def lift(
    ucr: UcrArgument,
    held: Annotated[str, typer.Argument(help="Digest of the hold.")],
    reason: ReasonOption,
    send: SendOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Lift a hold that this node set; a new release order can then be signed."""
    order = {"event": "LIFT", "lifts": held, "reason": reason, "send": send}
    _post(home, ucr, order, as_json=as_json)


def _post(home: Path, ucr: str, order: dict[str, Any], *, as_json: bool) -> None:
    from node.operator import operator

    given = {name: value for name, value in order.items() if value is not None}
    with operator(home, lang=output.lang()) as client:
        body = client.post(f"/v1/consignments/{quote(ucr)}/events", given)
    if as_json:
        output.print_json(body)
    else:
        output.line(f"{body['digest']}  {body['number']}")
        for one in body.get("warnings", ()):
            output.progress(f"  warning: {one['rule']} {one['message']} ({one['pointer']})")


def milestones(
    ucr: UcrArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Show each container's way against its plan; exit code 1 when somebody is silent past it."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/consignments/{quote(ucr)}/milestones")
    if as_json:
        output.print_json(body)
    else:
        for one in body["containers"]:
            lines = [
                (f"{MARKS[step['progress']]} {step['progress']}", step["event"],
                 step.get("place", ""), step.get("planned", ""), step.get("at", ""),
                 step.get("by", ""))
                for step in one["steps"]
            ]  # fmt: skip
            columns = ("", "event", "place", "planned", "happened", "said by")
            strange = "" if one.get("named", True) else " (no paper names it)"
            output.table(one["container"] + strange, columns, lines)
    if any(one["silent"] for one in body["containers"]):
        raise typer.Exit(output.ExitCode.FAILED)
