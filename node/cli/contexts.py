"""`pratique contexts import|list|remove`: the JSON-LD contexts that proofs over RDF are read with.

They are imported once, pinned by digest, and never fetched.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

_COLUMNS = ("url", "sha256", "title")


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="JSON-LD contexts, pinned by digest.", no_args_is_help=True)
    group.command("import")(import_)
    group.command("list")(list_)
    group.command("remove")(remove)
    app.add_typer(group, name="contexts")


def import_(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Context files, or folders of them.")
    ],
    url: Annotated[
        str | None, typer.Option("--url", help="The context's URL, when it is no well-known one.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--sha256", help="With --url: the digest its publisher states.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Import contexts; well-known ones are recognised by their digest.

    A file that is another one than its pin says is refused. Of a folder only the well-known
    contexts are taken; the other files are named and left.
    """
    from node.operator import operator
    from schemas.errors import MalformedError, NotFoundError

    if (url is None) != (digest is None) or (url is not None and len(paths) != 1):
        raise MalformedError("context_pin_malformed", "--url and --sha256 belong to one file")
    imported: list[dict[str, Any]] = []
    with operator(home, lang=output.lang()) as client:
        for file, found_by_us in _files(paths):
            question = {"body": base64.b64encode(_read(file)).decode()}
            if url is not None and digest is not None:
                question |= {"url": url, "sha256": digest}
            try:
                imported.append(client.post("/v1/contexts", question))
            except NotFoundError:
                if not found_by_us:
                    raise
                output.progress(f"{file.name}: no well-known context, left out")
    _show("Imported", imported, as_json=as_json)


def _files(paths: list[Path]) -> list[tuple[Path, bool]]:
    """Each file, and whether it was found in a folder rather than named."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            found += [(file, True) for file in sorted(path.iterdir()) if file.is_file()]
        else:
            found.append((path, False))
    return found


def _read(file: Path) -> bytes:
    from node.verification.contexts import MAX_BYTES
    from node.verification.offline import read_capped

    return read_capped(file, MAX_BYTES)


def list_(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """The imported contexts."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        found = client.get("/v1/contexts")["contexts"]
    _show("Contexts", found, as_json=as_json)


def remove(
    url: Annotated[str, typer.Argument(help="The context's URL.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Remove an imported context; proofs that need it are INDETERMINATE from then on."""
    from urllib.parse import quote

    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        client.request("DELETE", f"/v1/contexts?url={quote(url, safe='')}")
    if as_json:
        output.print_json({"removed": url})
    else:
        output.line(f"removed {url}")


def _show(title: str, found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"contexts": found})
    else:
        output.table(title, _COLUMNS, [[one[name] for name in _COLUMNS] for one in found])
