"""`pratique node run|wait`, `db upgrade`, `config show`, `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from node.settings import Described


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for name, doc, commands in (
        ("node", "The node's process.", {"run": run, "wait": wait}),
        ("db", "The node's store.", {"upgrade": upgrade}),
        ("config", "The node's settings.", {"show": show}),
    ):
        group = typer.Typer(help=doc, no_args_is_help=True)
        group.callback()(_nothing)
        for command, function in commands.items():
            group.command(command)(function)
        app.add_typer(group, name=name)
    app.command("status")(status)


def _nothing() -> None:
    pass


def run(home: HomeOption = DEFAULT_HOME) -> None:
    """Run the node until it is told to stop (SIGTERM, Ctrl-C)."""
    from node.daemon import serve

    raise typer.Exit(serve(home))


def wait(
    home: HomeOption = DEFAULT_HOME,
    seconds: Annotated[float, typer.Option(help="How long to wait at most.")] = 30.0,
) -> None:
    """Wait until the node that was started answers; for scripts. Exit code 3 when it does not."""
    import time

    from node.home import Home
    from node.operator import running
    from schemas.errors import UnavailableError

    place = Home(home)
    place.require()
    until = time.monotonic() + seconds
    while True:
        client = running(place, lang=output.lang())
        try:
            if client is not None:
                client.get("/healthz")
                return
        except UnavailableError:
            pass  # It has bound its port and does not answer yet.
        if time.monotonic() >= until:
            raise UnavailableError("node_stopped", f"no node runs in {place.path}")
        time.sleep(0.1)


def upgrade(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Bring the store to the schema of this program. The node must not be running."""
    from node import migrations
    from node.home import Home
    from node.settings import load

    place = Home(home)
    place.require()
    url = load(place.settings_file).store.url or place.store_url()
    with place.lock():
        before = migrations.current(url)
        after = migrations.upgrade(url)
    if as_json:
        output.print_json({"before": before, "after": after})
    else:
        output.line(f"store: {before or 'empty'} → {after}")


def show(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not default.")] = False,
) -> None:
    """Show every setting in force, its default and what it is for."""
    from node.home import Home
    from node.settings import describe, load

    place = Home(home)
    place.require()
    items = [
        item
        for item in describe(load(place.settings_file))
        if not changed or item.value != item.default
    ]
    if as_json:
        output.print_json({item.name: item.value for item in items})
        return
    rows = [(item.name, _text(item.value), item.doc + _default(item)) for item in items]
    output.table("Settings", ("name", "value", "what it is for"), rows)


def _default(item: Described) -> str:
    """What would hold if nothing were said, where something else holds."""
    default = _text(item.default)
    return f" (default {default})" if item.value != item.default and default else ""


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show who the node is, its network, whether its services are ready, and its newest alarms."""
    from node.home import Home
    from node.operator import running
    from schemas.errors import UnavailableError

    place = Home(home)
    place.require()
    client = running(place, lang=output.lang())
    if client is None:
        raise UnavailableError("node_stopped", f"no node runs in {place.path}")
    body = client.get("/v1/status")
    if as_json:
        output.print_json(body)
    else:
        _show_status(body)
    if not body["ready"]:
        raise typer.Exit(output.ExitCode.FAILED)


def _show_status(body: dict[str, Any]) -> None:
    members = body["members"]
    told = [(name, _text(body[name])) for name in ("did", "name", "endpoint", "roles", "store")]
    told.append(("network", body["network"] or "none yet"))
    told.append(("member list", f"version {members['version']}" if members else "none yet"))
    output.pairs("Node", told)
    output.table("Services", ("service", "state"), body["services"].items())
    if body["alarms"]:
        columns = ("when", "code", "what it means")
        output.table("Alarms, newest first", columns, map(_alarm, body["alarms"]))


def _alarm(event: dict[str, Any]) -> tuple[str, str, str]:
    """Moment, code and the sentence of the catalogue."""
    from schemas.catalogue import explain

    code = str(event["detail"].get("code", ""))
    entry = explain(code)
    told = entry.sentence(output.lang()) if entry else _text(event["actor"] or "")
    at = datetime.fromtimestamp(event["at"] / 1000, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S"), code, told


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
