"""`pratique anchor status|now|show|deploy|entry`: the log's size and root on a chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_NAME = "anchors"
NameOption = Annotated[str, typer.Option("--name", help="The contract's name in the member list.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Anchors of the log on a chain.", no_args_is_help=True)
    group.command("status")(status)
    group.command("now")(now)
    group.command("show")(show)
    group.command("deploy")(deploy)
    group.command("entry")(entry)
    app.add_typer(group, name="anchor")


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show how the chain stands and which anchors are final; exit code 1 for trouble."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/anchors")
    if as_json:
        output.print_json(body)
    else:
        _status(body)
    faults = [body["fault"], (body["chain"] or {}).get("fault"), body["unlisted"]]
    if body["overdue"] or any(faults):
        raise typer.Exit(output.ExitCode.FAILED)


def _status(body: dict[str, Any]) -> None:
    output.pairs("Anchors", list(_summary(body)))
    if body["anchors"]:
        rows = [
            (item["size"], item["state"], item["block"] or "", _time(item["block_time"]))
            for item in body["anchors"]
        ]
        output.table("Newest", ("leaves", "state", "block", "block time"), rows)
    if body["unlisted"] is not None:
        _unlisted(body["unlisted"])
    for fault in (body["fault"], (body["chain"] or {}).get("fault")):
        if fault is not None:
            output.line(f"{fault['title']} [{fault['code']}]")
            output.line(f"next: {fault.get('next', '')}")


def _unlisted(found: str) -> None:
    output.line(f"these anchors prove nothing to others: {found}")
    output.line("next: correct [chain], or have the list changed: pratique anchor entry -o FILE")


def _summary(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    chain = body["chain"]
    if chain is None:
        yield "chain", "none is configured"
        return
    yield "chain", chain["chain_id"]
    yield "contract", body["contract"] or "none is configured"
    yield "relayer", chain["relayer"]
    yield "finality", chain["finality"]
    for item in chain["addresses"]:
        yield item["url"], item["fault"] or "well"
    for state, count in chain["transactions"].items():
        yield f"transactions {state}", count
    if chain["held_back"]:
        yield "held back", chain["held_back"]
    for item in body["deployed"]:
        yield f"deployed {item['contract']}", item["state"]
    yield "leaves signed", body.get("size", 0)
    yield "leaves anchored", body["final"]["size"] if body["final"] else 0


def _time(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def now(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Anchor the newest checkpoint without waiting for its time."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/anchors", {})
    if as_json:
        output.print_json(body)
    elif body["anchor"] is None:
        output.line("nothing is new since the last anchor")
    else:
        output.line(f"to be anchored: size {body['anchor']['size']}")


def show(
    size: Annotated[int, typer.Argument(help="Leaves of a checkpoint.", min=1)],
    out: OutOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print the proof of the first final anchor over a checkpoint, for checks without network."""
    import orjson

    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/anchors/{size}")
    if out is None:
        output.print_json(body)
    else:
        out.write_bytes(orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n")
        output.line(f"size {body['size']}, chain {body['chainId']}: {out}")


def deploy(
    name: NameOption = DEFAULT_NAME,
    out: OutOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put an anchor contract on the chain, once for a network: nobody owns it."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/anchors/contract", {})
    made = body["contracts"][-1]
    if out is not None:
        _write(out, made["entry"], name)
    if as_json:
        output.print_json(body)
        return
    output.line(f"contract: {made['contract']}")
    output.line("next: once `pratique anchor status` says final, put it into chain.anchors")


def entry(
    name: NameOption = DEFAULT_NAME, out: OutOption = None, home: HomeOption = DEFAULT_HOME
) -> None:
    """Write the contract of chain.anchors with this node's log and relayer, to be listed.

    The roots list it: trust propose --anchor-contract FILE, once for each member.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        found = client.get("/v1/anchors")["entry"]
    if found is None:
        raise NotFoundError("chain_not_configured", "chain.urls or chain.anchors is empty")
    if out is None:
        output.print_json(found | {"name": name})
    else:
        _write(out, found, name)


def _write(out: Path, found: dict[str, Any], name: str) -> None:
    out.write_text(json.dumps(found | {"name": name}, indent=2) + "\n", "utf-8")
    output.line(f"written to {out}; next: pratique trust propose --anchor-contract {out}")
