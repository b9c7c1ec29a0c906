"""`pratique trace DIGEST|UCR`: the history of a document or consignment, step by step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

_DIGEST = re.compile(r"[0-9a-f]{64}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("trace")(trace)


def trace(
    subject: Annotated[str, typer.Argument(help="A document's digest, or a consignment's UCR.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Write the picture to this file as well.")
    ] = None,
) -> None:
    """Show what happened, in order, each step with its proof."""
    from node.operator import operator

    kind = "documents" if _DIGEST.fullmatch(subject) else "consignments"
    path = f"/v1/trace/{kind}/{quote(subject, safe='')}"
    with operator(home, lang=output.lang()) as client:
        body = client.get(path)
        if svg is not None:
            answer = client.request("GET", path, headers={"Accept": "image/svg+xml"})
            svg.write_bytes(answer.body)
    if as_json:
        output.print_json(body)
    else:
        _print(body)


def _print(body: dict[str, Any]) -> None:
    documents = [
        (item["type"], item["number"], item["issuer"], item.get("verdict", item["origin"]),
         "revoked" if item["status"]["revoked"] else "", item["digest"][:16])
        for item in body["documents"]
    ]  # fmt: skip
    columns = ("type", "number", "issuer", "verdict", "status", "digest")
    output.table(f"Documents of {body['subject']}", columns, documents)
    proofs = {item["leaf"]: item for item in body["proofs"]}
    rows = [
        (event["at"].replace("T", " ").rstrip("Z"), event.get("lane", event["actor"]),
         event["word"], event.get("about", ""), event.get("remark", ""),
         _proof(proofs.get(event.get("leaf", ""))))
        for event in body["events"]
    ]  # fmt: skip
    output.table("History", ("time (UTC)", "where", "what", "about", "remark", "proof"), rows)
    for title in body["titles"]:
        steps = [
            (item["seq"], item["kind"], item["by"], item["to"]) for item in title["operations"]
        ]
        name = f"Title {title['title'][:16]}… {title['state']} as of {title['asOf']}"
        output.table(name, ("seq", "operation", "by", "to"), steps)


def _proof(proof: dict[str, Any] | None) -> str:
    if proof is None:
        return ""
    seen = "witnessed" if proof["witnessed"] else "unwitnessed"
    return f"leaf {proof['index']} under {proof['checkpoint']}, {seen}"
