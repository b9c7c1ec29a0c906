"""`pratique balance …`: what is left of a certificate, and using it for a declaration (R23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

_EXIT = {
    "GRANTED": output.ExitCode.OK,
    "REFUSED": output.ExitCode.FAILED,
    "INDETERMINATE": output.ExitCode.UNREACHABLE,
}
Certificate = Annotated[str, typer.Argument(help="The certificate's digest, as held here.")]
Declaration = Annotated[
    str, typer.Option("--declaration", help="Number of the declaration it is used for.")
]
Quantity = Annotated[str | None, typer.Option("--quantity", help='Amount and unit: "80 H87".')]
Expect = Annotated[
    int | None, typer.Option("--if-seq", help="Only if the balance is still at this number.")
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Balances of certificates.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "show": show,
        "reserve": reserve,
        "write-off": write_off,
        "release": release,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="balance")


def show(
    certificate: Certificate, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Show what its register says is left; exit code 3 when the register cannot be asked."""
    with _operator(home) as client:
        body = client.get(f"/v1/balances/{quote(certificate)}")
    if as_json:
        output.print_json(body)
    else:
        _print(body)
    if body["standing"] != "KNOWN":
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _print(body: dict[str, Any]) -> None:
    output.line(f"{body['number']}: {_measure(body['quantity'])}, register {body['register']}")
    if body["standing"] == "KNOWN":
        told = body["balance"]
        words = f"left {told['left']}, reserved {told['reserved']}"
        output.line(f"  {words}, written off {told['writtenOff']} (at {told['seq']})")
    else:
        output.line(f"? INDETERMINATE: the register cannot be asked ({body['reason']})")
    if body.get("uses"):
        rows = [
            (use["declaration"], use["by"], _measure(use["quantity"]), use["state"], use["at"])
            for use in body["uses"]
        ]
        output.table("Uses", ("declaration", "by", "quantity", "state", "since"), rows)
    asked = [
        (one["declaration"], one["request"]["action"], one["outcome"], one.get("code", ""),
         one["askedAt"])
        for one in body["asked"]
    ]  # fmt: skip
    if asked:
        output.table("Asked from here", ("declaration", "action", "outcome", "code", "at"), asked)


def reserve(
    certificate: Certificate,
    declaration: Declaration,
    quantity: Quantity = None,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Reserve a quantity; exit code 0 granted, 1 refused, 3 when the register did not answer."""
    _operate("reserve", certificate, declaration, quantity, if_seq, home, as_json=as_json)


def write_off(
    certificate: Certificate,
    declaration: Declaration,
    quantity: Quantity = None,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write off what is reserved, or a quantity directly; this is final."""
    _operate("write-off", certificate, declaration, quantity, if_seq, home, as_json=as_json)


def release(
    certificate: Certificate,
    declaration: Declaration,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Give back what is reserved for a declaration."""
    _operate("release", certificate, declaration, None, if_seq, home, as_json=as_json)


def _operate(
    action: str,
    certificate: str,
    declaration: str,
    quantity: str | None,
    if_seq: int | None,
    home: Any,
    *,
    as_json: bool,
) -> None:
    order = {
        "action": action,
        "declaration": declaration,
        "quantity": _read_quantity(quantity),
        "expect": if_seq,
    }
    given = {name: value for name, value in order.items() if value is not None}
    with _operator(home) as client:
        body = client.post(f"/v1/balances/{quote(certificate)}", given)
    if as_json:
        output.print_json(body)
    else:
        _print_outcome(body)
    raise typer.Exit(_EXIT[body["outcome"]])


def _read_quantity(said: str | None) -> dict[str, str] | None:
    if said is None:
        return None
    value, _, unit = said.strip().partition(" ")
    if not unit.strip():
        raise typer.BadParameter('an amount and a unit, as in "80 H87"', param_hint="--quantity")
    return {"value": value, "unit": unit.strip().upper()}


def _print_outcome(body: dict[str, Any]) -> None:
    output.line(f"{body['outcome']}  {body['request']['action']}  {body['declaration']}")
    told = body.get("answer")
    if told is None:
        output.line(f"  {body['register']} has not answered; it is asked again by itself")
        return
    if "left" in told:
        output.line(f"  left {told['left']} of {_measure(told['quantity'])} (at {told['seq']})")
    if told.get("code"):
        output.line(f"✗ {told['code']}: {told.get('detail', '')}")
    first = told.get("firstUse")
    if first:
        words = f"{first['declaration']} by {first['by']}"
        output.line(f"  first used: {words}, {_measure(first['quantity'])}, {first['at']}")


def _measure(quantity: dict[str, str]) -> str:
    return f"{quantity['value']} {quantity['unit']}"


def _operator(home: Any) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
