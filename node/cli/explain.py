"""`pratique explain CODE`: what a code means, in both languages, and what to do about it."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import output
from node.cli.options import JsonOption
from schemas.catalogue import catalogue
from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from schemas.catalogue import Entry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("explain")(explain)


def explain(
    code: Annotated[str, typer.Argument(help="A code; without one, all are listed.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Explain an error, a check, a rule or a release condition."""
    entries = catalogue()
    if not code:
        _list_all(list(entries.values()), as_json=as_json)
        return
    entry = entries.get(code) or _in_any_case(code)
    if as_json:
        output.print_json(asdict(entry))
        return
    output.line(f"{entry.code} ({entry.kind}{', ' + entry.family if entry.family else ''})")
    output.line(f"  {entry.en}\n  {entry.zh}")
    if entry.source:
        output.line(f"source: {entry.source}")
    output.line(f"next: {entry.next}\n      {entry.next_zh}")


def _in_any_case(code: str) -> Entry:
    by_name = {name.casefold(): entry for name, entry in catalogue().items()}
    found = by_name.get(code.casefold())
    if found is not None:
        return found
    near = difflib.get_close_matches(code.casefold(), by_name, 3, 0.5)
    names = ", ".join(by_name[name].code for name in near)
    raise NotFoundError("code_unknown", f"nearest: {names}" if names else "")


def _list_all(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        output.print_json([asdict(entry) for entry in entries])
        return
    rows = [(entry.code, entry.kind, entry.sentence(output.lang())) for entry in entries]
    output.table("Codes", ("code", "kind", "meaning"), rows)
