"""`pratique schema list|example`: the document types, and a fictional sample of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Document types and their samples.", no_args_is_help=True)
    group.command("list")(list_types)
    group.command("example")(example)
    app.add_typer(group, name="schema")


def list_types(as_json: JsonOption = False) -> None:
    """List the document types: key, UNTDID 1001 code, format, and who issues it."""
    from dataclasses import asdict

    from schemas import registry

    types = list(registry.document_types().values())
    if as_json:
        output.print_json([asdict(one) for one in types])
        return
    chinese = output.lang() == "zh"
    rows = [
        (
            one.key,
            one.code,
            one.name_zh if chinese else one.name_en,
            one.media_type.removeprefix("application/"),
            ", ".join(one.issuer_roles),
        )
        for one in types
    ]
    output.table("Document types", ("type", "code", "name", "format", "issued by"), rows)


def example(
    document_type: Annotated[str, typer.Argument(help="A type's key, e.g. bill-of-lading.")],
    out: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
) -> None:
    """Write a sample document: fictional, complete, and without a finding."""
    from schemas import registry

    data = registry.example(document_type)
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(data)
        output.progress(f"{len(data)} bytes written to {out}")
