"""`pratique log show|audit`: the node's log, and any listed log verified from its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from node.operator import OperatorClient

GENESIS = "genesis"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)
    group.command("show")(show)
    group.command("audit")(audit)
    app.add_typer(group, name="log")


def show(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the node's log: size, newest signed and witnessed checkpoint, witnesses."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/log")
    if as_json:
        output.print_json(body)
    else:
        _show(body)
    if body["fault"] is not None:
        raise typer.Exit(output.ExitCode.FAILED)


def _show(body: dict[str, Any]) -> None:
    policy = body["policy"]
    quorum = f"{policy['quorum']} of {policy['witnesses']}" if policy["witnesses"] else "none"
    told = [
        ("origin", body["origin"]),
        ("key", body["vkey"]),
        ("leaves", body["leaves"]),
        ("signed", _head(body["signed"])),
        ("witnessed", _head(body["witnessed"])),
        ("quorum", quorum),
        ("confirmed by partners", "yes" if body["confirmed"] else "not yet"),
    ]
    output.pairs("Log", told)
    if body["witnesses"]:
        rows = [(item["name"], item["size"], item["error"] or "") for item in body["witnesses"]]
        output.table("Witnesses", ("witness", "cosigned", "trouble"), rows)
    for mark in body["marked"]:
        output.line(f"caught: {mark['did']} [{mark['code']}]")
    fault = body["fault"]
    if fault is not None:
        output.line(f"sealed: {fault['title']} [{fault['code']}]")
        output.line(f"next: {fault.get('next', '')}")


def _head(head: dict[str, Any] | None) -> str:
    return "nothing yet" if head is None else f"{head['size']} leaves, root {head['root'][:16]}…"


def audit(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    log: Annotated[str, typer.Option("--log", help="Origin of a listed log; default: ours.")] = "",
    start: Annotated[
        str, typer.Option("--from", help="`genesis` begins again; default: where it ended.")
    ] = "",
) -> None:
    """Verify a log from its entries against its signed and witnessed checkpoint."""
    from node.operator import operator

    if start not in ("", GENESIS):
        raise typer.BadParameter("it is genesis or left out", param_hint="--from")
    with operator(home, lang=output.lang()) as client:
        body = _advance(client, {"origin": log} if log else {}, genesis=start == GENESIS)
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Audit", [(name, _text(value)) for name, value in body.items()])
    if not body["ok"]:
        error = RefusedError("log_audit_failed", "; ".join(body["faults"]))
        if not as_json:
            output.report(error)
        raise typer.Exit(output.ExitCode.FAILED)


def _advance(client: OperatorClient, asked: dict[str, Any], *, genesis: bool) -> dict[str, Any]:
    """Ask again until it is done or no longer gets further."""
    body: dict[str, Any] = client.post("/v1/log/audit", {**asked, "genesis": genesis})
    before = -1
    while body["ok"] and not body["done"] and body["verified"] > before:
        output.progress(f"{body['verified']} of {body['size']} entries verified")
        before = body["verified"]
        body = client.post("/v1/log/audit", asked)
    return body


def _text(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
