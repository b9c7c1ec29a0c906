"""`pratique log receipt`: the receipt of a document as one file, for checks offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def receipt(
    digest: Annotated[str, typer.Argument(help="The digest of a document held here.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "receipt.json"
    ),
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the receipt of a document: leaf, proof, cosignatures, and its anchor on a chain.

    Whoever has the document and the member list verifies it without a network: pratique verify
    FILE --receipt RECEIPT --trust LIST. Exit code 1 as long as no quorum has witnessed it.
    """
    from node.operator import operator
    from protocols.digest import from_hex
    from protocols.log import receipt as log_receipt
    from protocols.log.proof import parse

    from_hex(digest)
    with operator(home, lang=output.lang()) as client:
        answer = client.request("GET", f"/v1/documents/{digest}/receipt")
    file = log_receipt.read(answer.body)
    out.write_bytes(answer.body)
    witnessed = answer.headers.get("px-witnessed") == "true"
    told = {
        "file": str(out),
        "bytes": len(answer.body),
        "index": parse(file.proof).index,
        "witnessed": witnessed,
        "anchored": file.anchor is not None,
    }
    if as_json:
        output.print_json(told)
    else:
        output.pairs("Receipt", told.items())
    raise typer.Exit(0 if witnessed else 1)
