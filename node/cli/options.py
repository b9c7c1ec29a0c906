"""Options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DEFAULT_HOME = Path("pratique-home")

HomeOption: TypeAlias = Annotated[
    Path, typer.Option("--home", envvar="PRATIQUE_HOME", help="The node's folder.")
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON value instead of tables.")
]
