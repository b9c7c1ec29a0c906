"""`pratique arbiter …`: a title registry on a chain: deploying it, the acts of its governors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas import strict_json

NameArgument = Annotated[str, typer.Argument(help="The arbiter's name in the member list.")]
FileArgument = Annotated[Path, typer.Argument(help="The act's file, JSON.")]
FileOption = Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        help="Title registries on a chain: deploy one, list carriers, freeze.",
        no_args_is_help=True,
    )
    for name, function in (
        ("key", key),
        ("deploy", deploy),
        ("act", act),
        ("sign", sign),
        ("send", send),
    ):
        group.command(name)(function)
    app.add_typer(group, name="arbiter")


def key(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show this node's governor key and, for a carrier, the key with which it issues."""
    found = _get(home, "/v1/arbiters")["keys"]
    if as_json:
        output.print_json(found)
    else:
        output.pairs("Keys on chains", list(found.items()))


def deploy(
    name: Annotated[str, typer.Argument(help="A name for the member list.")],
    governor: Annotated[
        list[str], typer.Option("--governor", help="A governor's key; once for each.")
    ],
    threshold: Annotated[int, typer.Option("--threshold", help="How many an act takes.")],
    delay: Annotated[
        int, typer.Option("--delay", help="Seconds until what widens power can be enacted.")
    ] = 86400,
    target: FileOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Deploy a title registry for this network; prints its entry for the member list."""
    body = {"name": name, "governors": governor, "threshold": threshold, "delay": delay}
    answer = _post(home, "/v1/arbiters", body)
    _write(answer.get("arbiter", answer), target)
    if not answer["final"]:
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def act(
    name: NameArgument,
    kind: Annotated[str, typer.Argument(help="list, delist, retire, freeze, govern or withdraw.")],
    carrier: Annotated[int, typer.Option("--carrier", help="The carrier's number.")] = 0,
    issuing_key: Annotated[str, typer.Option("--key", help="A carrier's issuing key.")] = "",
    number: Annotated[
        int, typer.Option("--number", help="Block of a freeze; threshold of new governors.")
    ] = 0,
    successor: Annotated[
        str, typer.Option("--successor", help="Arbiter id that follows; digest to withdraw.")
    ] = "",
    governor: Annotated[
        list[str] | None, typer.Option("--governor", help="A new governor; once for each.")
    ] = None,
    target: FileOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draft an act and sign it as one governor; the file goes on to the others."""
    body: dict[str, Any] = {"kind": kind, "step": "sign"}
    given = {
        "carrier": carrier,
        "key": issuing_key,
        "number": number,
        "successor": successor,
        "governors": governor,
    }
    body |= {name: value for name, value in given.items() if value}
    _write(_post(home, f"/v1/arbiters/{name}/acts", body), target)


def sign(
    name: NameArgument,
    file: FileArgument,
    target: FileOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Add this governor's signature to an act."""
    body = _read(file) | {"step": "sign"}
    _write(_post(home, f"/v1/arbiters/{name}/acts", body), target or file)


def send(
    name: NameArgument,
    file: FileArgument,
    enact: Annotated[
        bool, typer.Option("--enact", help="Enact what was proposed, its delay being over.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send an act that enough governors signed; with a delay that proposes it."""
    body = _read(file) | {"step": "enact" if enact else "send"}
    answer = _post(home, f"/v1/arbiters/{name}/acts", body)
    if as_json:
        output.print_json(answer)
    else:
        output.line("final" if answer["final"] else "sent, not final yet")
    if not answer["final"]:
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _read(file: Path) -> dict[str, Any]:
    body: dict[str, Any] = dict(strict_json.loads_object(file.read_bytes()))
    return body


def _write(body: Any, target: Path | None) -> None:
    text = json.dumps(body, indent=2) + "\n"
    if target is None:
        output.line(text.rstrip())
    else:
        target.write_text(text)
        output.line(str(target))


def _get(home: Path, path: str) -> Any:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        return client.get(path)


def _post(home: Path, path: str, body: dict[str, Any]) -> Any:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        return client.post(path, body)
