"""`pratique fsck`: verify everything stored, through the running node or on the closed store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.home import Home


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("fsck")(fsck)


def fsck(
    home: HomeOption = DEFAULT_HOME,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what can be made again without loss.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Re-verify everything that is stored; say what is damaged and how to repair it.

    The store itself is never changed. --repair writes damaged tiles again from whole leaves, and
    puts damaged time-stamps aside.
    """
    from node.home import Home

    place = Home(home)
    place.require()
    checks = _examine(place, lambda check: None if as_json else _tell(check), repair=repair)
    damaged = [check for check in checks if check["outcome"] != "PASSED"]
    if as_json:
        output.print_json({"ok": not damaged, "checks": checks})
    else:
        rows = [(item["id"], item["outcome"], item["title"], item["reason"]) for item in checks]
        output.table("fsck", ("check", "outcome", "area", "found"), rows)
        for check in damaged:
            _explain(check)
    if damaged:
        raise typer.Exit(output.ExitCode.FAILED)


def _tell(check: dict[str, Any]) -> None:
    output.progress(f"{check['id']} {check['title']}: {check['outcome']}, {check['reason']}")


def _explain(check: dict[str, Any]) -> None:
    evidence = check["evidence"]
    for damage in evidence["damages"]:
        output.line(f"{check['id']}: {damage}")
    rest = evidence["damaged"] - len(evidence["damages"])
    if rest:
        output.line(f"{check['id']}: and {rest} more")
    output.line(f"next: {check['next']}")


def _examine(
    place: Home, tell: Callable[[dict[str, Any]], None], *, repair: bool
) -> list[dict[str, Any]]:
    """All areas: the running node is asked; a closed store is opened to read, under its lock."""
    from node.fsck import areas
    from node.operator import running

    client = running(place, lang=output.lang())
    if client is None:
        with place.lock():
            return _closed(place, tell, repair=repair)
    checks = []
    for area in areas():
        (check,) = client.post("/v1/fsck", {"area": area, "repair": repair})["checks"]
        tell(check)
        checks.append(check)
    return checks


def _closed(
    place: Home, tell: Callable[[dict[str, Any]], None], *, repair: bool
) -> list[dict[str, Any]]:
    import asyncio

    return asyncio.run(_areas_of_closed(place, tell, repair=repair))


async def _areas_of_closed(
    place: Home, tell: Callable[[dict[str, Any]], None], *, repair: bool
) -> list[dict[str, Any]]:
    from node.fsck import areas, run_area
    from node.keystore import KeyStore
    from node.settings import load
    from node.store.store import open_store

    settings = load(place.settings_file)
    store = open_store(settings.store.url or place.store_url(), settings.store)
    await store.start()
    try:
        checks = []
        for area in areas():
            keys = KeyStore(place.keys, settings.node.did)
            found = await run_area(store, place, keys, area, repair=repair)
            check = found.to_json(output.lang())
            tell(check)
            checks.append(check)
        return checks
    finally:
        await store.close()
