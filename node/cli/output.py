"""How commands speak: results to standard output, progress and errors to standard error.

Exit codes are fixed: 0 done, 1 a check failed, 2 wrong use, 3 something was unreachable, 4 refused.
Every error ends with one line `next:`. Rich is loaded only where a table is drawn; it honours
NO_COLOR.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import orjson

from schemas.catalogue import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.errors import TradeError


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


_BY_FAMILY = {
    "malformed": ExitCode.USAGE,
    "not_found": ExitCode.USAGE,
    "too_large": ExitCode.USAGE,
    "settings": ExitCode.USAGE,
    "unavailable": ExitCode.UNREACHABLE,
}


def exit_code(error: TradeError) -> ExitCode:
    """The exit code of an error's family; whatever says no is REFUSED."""
    return _BY_FAMILY.get(error.family, ExitCode.REFUSED)


def lang() -> str:
    """`zh` in a Chinese locale, else `en`."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "zh" if locale.startswith("zh") else "en"


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output; bytes are shown as lower-case hex."""
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(text + "\n")


def line(text: str) -> None:
    """One line of result on standard output."""
    sys.stdout.write(text + "\n")


def progress(text: str) -> None:
    """One line of progress on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; cells are text, never markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(soft_wrap=False).print(drawn)


def pairs(title: str, values: Iterable[tuple[str, object]]) -> None:
    """Names and values below a title."""
    table(title, ("", ""), values)


def report(error: TradeError, *, as_json: bool = False) -> None:
    """The error in plain words with its next step; as JSON on standard output if asked."""
    language = lang()
    if as_json:
        print_json(error.problem(language))
        return
    entry = explain(error.code)
    sentence = entry.sentence(language) if entry else error.code
    words = [f"error: {sentence} [{error.code}]"]
    if error.detail:
        words.append(f"  {error.detail}")
    if error.pointer:
        words.append(f"  at {error.pointer}")
    words += [
        f"  {finding.rule} {finding.pointer}: {finding.message}" for finding in error.findings
    ]
    remote = error.context.get("errors", ())
    words += [f"  {item.get('rule', '')} {item.get('message', '')}" for item in remote]
    step = entry.next_step(language) if entry else ""
    words.append(f"next: {step or f'pratique explain {error.code}'}")
    sys.stderr.write("\n".join(words) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
