"""How commands speak: results to standard output, progress and errors to standard error.

Exit codes are fixed: 0 done, 1 a check failed, 2 wrong use, 3 something was unreachable, 4 refused.
Every error ends with one line `next:`. Rich is loaded only where a table is drawn; it honours
NO_COLOR.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import orjson

from schemas.catalogue import explain
from schemas.words import in_language

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

    from schemas.errors import TradeError


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
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


def say(text: str, /, **values: object) -> str:
    """Fixed words in the language of the terminal (`schemas.words`), with `values` in them."""
    told = in_language(text, lang())
    return told.format_map(values) if values else told


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output; bytes are shown as lower-case hex."""
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(text + "\n")


def line(text: str) -> None:
    """One line of result on standard output."""
    sys.stdout.write(printable(text) + "\n")


def progress(text: str) -> None:
    """One line of progress on standard error."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, drawn on a terminal only: (done, of how many)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def printable(text: str) -> str:
    """The text without what could steer a terminal or turn its direction (Unicode TR 36)."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if _steers(one) else one for one in text)


def _steers(letter: str) -> bool:
    return letter not in "\n\t" and unicodedata.category(letter) in _STEERING


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; cells are text, never markup.

    Title and columns are shown in the language of the terminal where `say` knows them.
    Identifiers are never broken: what is too wide for the terminal is shown row by row.
    """
    from rich.console import Console

    cells = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
    console = Console(soft_wrap=False)
    # A column without any value tells nothing.
    used = [at for at in range(len(columns)) if not cells or any(row[at] for row in cells)]
    shown = [[row[at] for at in used] for row in cells]
    title, named = say(title), [say(columns[at]) for at in used]
    widths = _fitting(console.width, named, shown)
    if not cells:
        line(f"{title}: {say('none')}" if title else say("none"))
    elif widths is None:
        _stacked(title, named, shown)
    else:
        _drawn(console, title, named, shown, widths)


def _fitting(room: int, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int] | None:
    """Widths that break no word and together fit the room, or None when there are none."""
    from rich.cells import cell_len

    texts = [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]
    least = [max(cell_len(word) for one in each for word in [*one.split(), ""]) for each in texts]
    wanted = [max(cell_len(part) for one in each for part in one.split("\n")) for each in texts]
    spare = room - 2 * len(columns) + 1 - sum(least)
    if spare < 0:
        return None
    # The narrowest wishes first: what one column does not need is left for the wider ones.
    order = sorted(range(len(columns)), key=lambda at: wanted[at] - least[at])
    for waiting, at in zip(range(len(columns), 0, -1), order, strict=True):
        more = min(wanted[at] - least[at], spare // waiting)
        least[at] += more
        spare -= more
    return least


def _drawn(
    console: Console,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column, width in zip(columns, widths, strict=True):
        drawn.add_column(column, width=width, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
    line("")


def _stacked(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as a block of `name  value` lines, for values that no column can hold."""
    if title:
        line(title)
    for row in rows:
        pairs("", [(name, cell) for name, cell in zip(columns, row, strict=True) if cell])


def pairs(title: str, values: Iterable[tuple[str, object]]) -> None:
    """Names and values below a title, one to a line, long values unbroken.

    Title and names as in `table`.
    """
    from rich.cells import cell_len, set_cell_size

    told = [(say(name), "" if value is None else str(value)) for name, value in values]
    width = max((cell_len(name) for name, _ in told), default=0)
    if title:
        line(say(title))
    for name, value in told:
        first, *more = value.split("\n")
        line(f"  {set_cell_size(name, width)}  {first}".rstrip())
        for text in more:
            line(f"  {' ' * width}  {text}".rstrip())
    line("")


def report(error: TradeError, *, as_json: bool = False) -> None:
    """The error in plain words with its next step; as JSON on standard output if asked."""
    language = lang()
    if as_json:
        print_json(error.problem(language))
        return
    entry = explain(error.code)
    sentence = entry.sentence(language) if entry else error.code
    words = [f"error: {sentence} [{error.code}]"]
    if error.detail and not _same(error.detail, sentence):
        words.append(f"  {error.detail}")
    if error.pointer:
        words.append(f"  at {error.pointer}")
    words += [
        f"  {finding.rule} {finding.pointer}: {finding.message}" for finding in error.findings
    ]
    remote = error.context.get("errors", ())
    words += [f"  {item.get('rule', '')} {item.get('message', '')}" for item in remote]
    step = error.context.get("next") or (entry.next_step(language) if entry else "")
    words.append(f"next: {step or f'pratique explain {error.code}'}")
    sys.stderr.write(printable("\n".join(words)) + "\n")


def _same(detail: str, sentence: str) -> bool:
    return detail.strip(". ").lower() == sentence.strip(". ").lower()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
