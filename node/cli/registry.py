"""`pratique registry …`: title registries: how they stand, ending one and handing it over (R21)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping

ArbiterOption = Annotated[
    str, typer.Option("--arbiter", help="Id of the arbiter to end; the only one that stands.")
]
FileOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="The document's file to write.")
]
FileArgument = Annotated[Path, typer.Argument(help="A freeze document's file.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        help="Title registries: their standing, their end, their hand-over.", no_args_is_help=True
    )
    for name, function in (
        ("show", show),
        ("stop", stop),
        ("resume", resume),
        ("freeze", freeze),
        ("hand-over", hand_over),
        ("sign", sign),
        ("take", take),
    ):
        group.command(name)(function)
    app.add_typer(group, name="registry")


def show(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the registry sequenced here, those witnessed, ended arbiters and disputes."""
    with _operator(home) as client:
        body = client.get("/v1/registry")
    if as_json:
        output.print_json(body)
        return
    own = body["sequenced"]
    if own is not None:
        _show_own(own)
    output.table(
        "Listed",
        ("origin", "sequenced by", "arbiter", "ended"),
        [(one["origin"], one["did"], one["arbiter"], "yes" if one["frozen"] else "")
         for one in body["listed"]],
    )  # fmt: skip
    tables: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("Witnessed here", "witnessed", ("origin", "size")),
        ("Ended arbiters", "frozen", ("arbiter", "size", "block", "successor", "issuedAt")),
        ("Disputes", "disputes", ("code", "arbiter", "title", "evidence")),
    )
    for title, name, columns in tables:
        if body[name]:
            rows = [tuple(one.get(column) or "" for column in columns) for one in body[name]]
            output.table(title, columns, rows)


def _show_own(own: Mapping[str, Any]) -> None:
    fault = own["fault"]
    halted = "transfer pending – awaiting witnesses" if own["awaitingWitnesses"] else ""
    if not own["confirmed"]:
        halted = "waits for its witnesses to confirm its last state"
    if own["stopped"]:
        halted = "stopped"
    output.pairs("Sequenced here", [
        ("origin", own["origin"]),
        ("arbiter", own["arbiter"]),
        ("batches", own["batches"]),
        ("final up to batch", own["final"]),
        ("state", fault["code"] if fault else halted or "working"),
        ("continues", ", ".join(own["predecessors"])),
    ])  # fmt: skip
    output.table(
        "Witnesses",
        ("name", "cosigned", "error"),
        [(one["name"], one["size"], one["error"] or "") for one in own["witnesses"]],
    )


def stop(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the registry sequenced here, before a planned hand-over; it stays stopped."""
    _stop(home, resume=False)


def resume(home: HomeOption = DEFAULT_HOME) -> None:
    """Go on with the registry that was stopped here."""
    _stop(home, resume=True)


def _stop(home: Path, *, resume: bool) -> None:
    with _operator(home) as client:
        own = client.post("/v1/registry/stop", {"resume": resume})
    output.line(f"{own['origin']}: {'stopped' if own['stopped'] else 'goes on'}")


def freeze(
    home: HomeOption = DEFAULT_HOME,
    arbiter: ArbiterOption = "",
    block: Annotated[
        int | None, typer.Option("--block", help="Of a chain: the last block that counts.")
    ] = None,
    block_hash: Annotated[
        str, typer.Option("--block-hash", help="That block's hash, 64 hexadecimal digits.")
    ] = "",
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draft the end of an arbiter for the roots to sign: nothing after it counts."""
    wish = {"arbiter": arbiter, "block": block, "blockHash": block_hash}
    _draft(home, wish, file, as_json)


def hand_over(
    to: Annotated[
        str, typer.Option("--to", help="The listed registry that goes on: its DID or arbiter id.")
    ],
    home: HomeOption = DEFAULT_HOME,
    arbiter: ArbiterOption = "",
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draft the end of an arbiter, and who continues its titles, for the roots to sign."""
    _draft(home, {"arbiter": arbiter, "successor": to}, file, as_json)


def _draft(home: Path, wish: Mapping[str, Any], file: Path | None, as_json: bool) -> None:
    body = {name: value for name, value in wish.items() if value not in (None, "")}
    with _operator(home) as client:
        answer = client.post("/v1/registry/freeze", body)
    place = file or Path(f"freeze-{answer['arbiter'][:16]}.json")
    place.write_text(answer["document"], "utf-8")
    if as_json:
        output.print_json(answer)
        return
    _show_freeze(answer)
    output.progress(f"written to {place}; next: pratique registry sign {place}")


def _show_freeze(answer: Mapping[str, Any]) -> None:
    where = f"size {answer['size']}" if "size" in answer else f"block {answer['block']}"
    output.pairs("End of an arbiter", [
        ("arbiter", answer["arbiter"]),
        ("origin", answer["origin"]),
        ("ends at", where),
        ("root", answer["root"]),
        ("titles go on at", answer["successor"] or "nobody yet"),
        ("signatures", f"{answer['counted']} of {answer['threshold']}"),
        ("in force", "yes" if answer["inForce"] else "no"),
    ])  # fmt: skip


def sign(file: FileArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Sign a freeze document with the roots in this home; at the threshold it is in force."""
    _hand_in(file, home, as_json, "?sign=1")


def take(file: FileArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Take in a freeze document that has the threshold of signatures, and tell all members."""
    _hand_in(file, home, as_json, "")


def _hand_in(file: Path, home: Path, as_json: bool, query: str) -> None:
    from node.verification.offline import read_capped
    from protocols.title.registry_freeze import MAX_BYTES

    data = read_capped(file, MAX_BYTES).strip()
    with _operator(home) as client:
        headers = {"Content-Type": "application/json"}
        path = f"/v1/registry/freezes{query}"
        answer = json.loads(client.request("POST", path, data, headers=headers).body)
    if query:
        file.write_text(answer["document"], "utf-8")
    if as_json:
        output.print_json(answer)
    else:
        _show_freeze(answer)


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
