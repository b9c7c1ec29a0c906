"""Options that commands share: all of them, and those on titles and on bills elsewhere."""

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


def _country(value: str | None) -> str | None:
    from protocols.fields import COUNTRY

    if value is not None and not COUNTRY.fullmatch(value):
        raise typer.BadParameter("two capital letters (ISO 3166-1), e.g. NL")
    return value


CountryOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--country", help="The country that verifies, e.g. NL.", callback=_country),
]

ByOption: TypeAlias = Annotated[
    str, typer.Option("--by", help="DID of the party that acts; by default whoever is to act.")
]
TitleholderOption: TypeAlias = Annotated[
    str, typer.Option("--to", help="DID of the new titleholder.")
]
ToOrderOption: TypeAlias = Annotated[
    bool, typer.Option("--to-order", help="The new titleholder may endorse on.")
]
BlankOption: TypeAlias = Annotated[
    bool, typer.Option("--blank", help="To whoever possesses it; names nobody.")
]
AmendmentOption: TypeAlias = Annotated[
    bool, typer.Option("--for-amendment", help="To be amended or put on paper.")
]


def endorsement(to: str, *, to_order: bool, blank: bool) -> str:
    """The kind of endorsement these options ask for; raises BadParameter when they contradict."""
    if blank == bool(to) or (blank and to_order):
        raise typer.BadParameter("name --to, with or without --to-order, or say --blank")
    return "BLANK_ENDORSE" if blank else "ENDORSE_TO_ORDER" if to_order else "ENDORSE"
