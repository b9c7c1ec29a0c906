"""`pratique ebl …`: the holder's work with bills of lading across platforms."""

from __future__ import annotations

import typer

NAME = "ebl"


def group_of(app: typer.Typer) -> typer.Typer:
    """The group `ebl`, to which several areas add commands; made by whoever asks first."""
    for known in app.registered_groups:
        if known.name == NAME and known.typer_instance is not None:
            return known.typer_instance
    group = typer.Typer(help="Bills of lading across platforms.", no_args_is_help=True)
    app.add_typer(group, name=NAME)
    return group


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group_of(app)
