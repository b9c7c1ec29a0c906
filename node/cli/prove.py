"""`pratique prove DIGEST`: a document of ours as JSON with a Data Integrity proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("prove")(prove)


def prove(
    digest: Annotated[str, typer.Argument(help="The document's digest, 64 digits.")],
    home: HomeOption = DEFAULT_HOME,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
) -> None:
    """Write a JSON document this node issued (no XML) with a Data Integrity proof."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        data = client.request("POST", f"/v1/documents/{digest}/proof").body
    if file is None:
        output.line(data.decode())
    else:
        file.write_bytes(data)
        output.progress(f"{len(data)} bytes written to {file}")
