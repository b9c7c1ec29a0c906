"""`pratique bench …`: runs a group of measures and shows them as a table, or as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from testnet.bench.measuring import Line

SecondsOption: TypeAlias = Annotated[
    float, typer.Option(min=0, help="How long the measures take turns; more is steadier.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Prints the result as JSON.")]
app = typer.Typer(help="Measure against the raw limits of this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure against the raw limits of this machine."""


@app.command()
def credentials(
    *,
    seconds: SecondsOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Verifying and issuing credentials; exit code 0 if every target is met."""
    from testnet.bench import credentials as group

    raise typer.Exit(_run(group.measure, seconds, as_json=as_json))


@app.command()
def ledger(
    *,
    seconds: SecondsOption = 20,
    leaves: Annotated[
        int, typer.Option(min=1000, help="Leaves of the log that is started again.")
    ] = 1_000_000,
    as_json: JsonOption = False,
) -> None:
    """Log, witnesses, receipts, restart and gas; exit code 0 if every target is met."""
    from functools import partial

    from testnet.bench import ledger as group

    raise typer.Exit(_run(partial(group.measure, leaves=leaves), seconds, as_json=as_json))


@app.command()
def ebl(
    *,
    seconds: SecondsOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Receiving bills of lading from another platform; exit code 0 if every target is met."""
    from testnet.bench import ebl as group

    raise typer.Exit(_run(group.measure, seconds, as_json=as_json))


@app.command()
def documents(
    *,
    seconds: SecondsOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Reading documents and trying rules; exit code 0 if every target is met."""
    from testnet.bench import documents as group

    raise typer.Exit(_run(group.measure, seconds, as_json=as_json))


def _run(
    measure: Callable[[float, Callable[[float], None]], tuple[Mapping[str, float], list[Line]]],
    seconds: float,
    *,
    as_json: bool,
) -> int:
    """Measures with a progress bar, shows the result; 0 when every target is met."""
    from rich.console import Console
    from rich.progress import Progress

    quiet = as_json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("measuring", total=1.0)
        limits, lines = measure(seconds, lambda part: progress.update(task, completed=part))
    _show(limits, lines, as_json=as_json)
    return 0 if all(line.met is not False for line in lines) else 1


def _show(limits: Mapping[str, float], lines: Sequence[Line], *, as_json: bool) -> None:
    from node.cli import output

    if as_json:
        output.print_json(_report(limits, lines))
        return
    from rich.console import Console
    from rich.table import Table

    from testnet.bench.measuring import LIMITS

    table = Table("measured", "value", "ratio", "target", "")
    for name, rate in limits.items():
        table.add_row(LIMITS[name], f"{rate:,.0f} /s", "", "", style="dim")
    table.add_section()
    for line in lines:
        table.add_row(*_cells(line))
    Console().print(table)


def _cells(line: Line) -> tuple[str, str, str, str, str]:
    ratio = "" if line.ratio is None else f"{line.ratio:.2f} of {line.limit}"
    sign = "≤" if line.ratio is None and not line.least else "≥"
    target = "" if line.target is None else f"{sign} {line.target:,g}"
    met = {None: "", True: "[green]met[/]", False: "[red]not met[/]"}[line.met]
    value = f"{line.rate:,.0f}" if line.rate >= 100 else f"{line.rate:.1f}"
    return line.what, f"{value} {line.unit}", ratio, target, met


def _report(limits: Mapping[str, float], lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "limits": {name: round(rate) for name, rate in limits.items()},
        "lines": [line.to_json() for line in lines],
        "met": all(line.met is not False for line in lines),
    }
