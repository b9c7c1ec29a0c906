"""`pratique demo`: the story on this machine, as a command."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

_PID_FILE = "nursery.pid"


def register(app: typer.Typer) -> None:
    """Adds `demo` to the command line (entry-point group ``pratique.commands``)."""
    app.command("demo")(demo)


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out"),
    seed: Annotated[int | None, typer.Option(help="Shuffles what may happen in any order.")] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    fast: Annotated[bool, typer.Option("--fast", help="Shortens the waits, nothing else.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leaves the nodes running and prints their addresses.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stops nodes that --keep left.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Prints report.json alone.")] = False,
) -> None:
    """Eleven nodes and a chain play three consignments and seven faults; exit code 0 if all held.

    The chain is anvil where it is found, else the embedded one of `pratique devchain`.
    """
    if lang not in {"en", "zh"}:
        raise typer.BadParameter("en or zh", param_hint="--lang")
    if stop:
        _stop(out)
        return
    raise typer.Exit(
        _play(
            out,
            secrets.randbelow(2**31) if seed is None else seed,
            lang,
            fast=fast,
            keep=keep,
            as_json=as_json,
        )
    )


def _play(out: Path, seed: int, lang: str, *, fast: bool, keep: bool, as_json: bool) -> int:
    from testnet import chain
    from testnet.nursery import Beside, Nursery

    out.mkdir(parents=True, exist_ok=True)
    place = chain.choose()
    # First of all: the warm parent must be forked before this process has threads or a loop.
    nursery = Nursery.start(_warm, _serve, Beside(place.command(), out / chain.LOG_FILE))
    from testnet import report
    from testnet.run import prepare
    from testnet.screen import screen as make_screen

    screen = make_screen(lang, quiet=as_json)
    kept = False
    try:
        run = prepare(nursery, place, screen, lang=lang, seed=seed, fast=fast, out=out)
        asyncio.run(run.play())
        screen.close()
        made = report.write(run)
        report.show(run, made, as_json=as_json)
        if keep:
            nursery.detach()
            (out / _PID_FILE).write_text(f"{nursery.pid}\n", encoding="ascii")
            report.show_addresses(run, as_json=as_json)
            kept = True
        return 0 if made["held"] else 1
    finally:
        screen.close()
        if not kept:
            nursery.close()


def _warm() -> None:
    """Imports what every node needs, once."""
    from node import daemon

    daemon.warm()
    import uvloop  # noqa: F401 shared pages

    import ledger.chain  # noqa: F401 web3, which a node by itself loads when it is on a chain
    from schemas import catalogue, registry

    catalogue.catalogue()
    registry.document_types()


def _serve(home: Path) -> int:
    from node.daemon import serve

    return serve(home)


def _stop(out: Path) -> None:
    file = out / _PID_FILE
    if not file.exists():
        sys.stderr.write("nothing was left running\n")
        return
    with suppress(ProcessLookupError):
        os.kill(int(file.read_text(encoding="ascii")), signal.SIGTERM)
    file.unlink()
