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
Line = Annotated[
    int | None,
    typer.Option("--line", min=1, max=9999, help="Number of the goods line it is drawn from."),
]
Expect = Annotated[
    int | None, typer.Option("--if-seq", help="Only if the balance is still at this number.")
]


_AMOUNTS = ("left", "reserved", "writtenOff")
_WORDS = {
    "head": ("{number}: {whole}, register {register}", "{number}：{whole}，登记处 {register}"),
    "by line": ("kept by goods line", "按货物行登记"),
    "whole": (
        "  left {left}, reserved {reserved}, written off {writtenOff} (at {seq})",
        "  余额 {left}，预留 {reserved}，核销 {writtenOff}（序号 {seq}）",
    ),
    "at": ("  as of operation {seq}", "  截至第 {seq} 次操作"),
    "unknown": (
        "? INDETERMINATE: the register cannot be asked ({reason})",
        "? INDETERMINATE：无法询问登记处（{reason}）",
    ),
    "unanswered": (
        "  {register} has not answered; it is asked again by itself",
        "  {register} 尚未答复；系统将自动再次询问",
    ),
    "line left": ("  line {line}: left {left} of {of}", "  第 {line} 行：余额 {left}，共 {of}"),
    "all left": ("  left {left} of {of} (at {seq})", "  余额 {left}，共 {of}（序号 {seq}）"),
    "first": (
        "  first used: {declaration} by {by}, {quantity}, {at}",
        "  首次使用：{declaration}，{by}，{quantity}，{at}",
    ),
    "lines": ("Goods lines", "货物行"),
    "uses": ("Uses", "使用记录"),
    "asked from here": ("Asked from here", "由此处提出"),
    "line": ("line", "行"),
    "goods": ("goods", "货物"),
    "quantity": ("quantity", "数量"),
    "left": ("left", "余额"),
    "reserved": ("reserved", "预留"),
    "writtenOff": ("written off", "核销"),
    "declaration": ("declaration", "报关单"),
    "by": ("by", "使用者"),
    "state": ("state", "状态"),
    "since": ("since", "时间"),
    "action": ("action", "操作"),
    "outcome": ("outcome", "结果"),
    "code": ("code", "代码"),
    "asked": ("at", "时间"),
}


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
    whole = _measure(body["quantity"]) if "quantity" in body else _word("by line")
    output.line(_word("head", number=body["number"], whole=whole, register=body["register"]))
    told = body.get("balance")
    if told is None:
        output.line(_word("unknown", reason=body["reason"]))
    elif "left" in told:
        output.line(_word("whole", **told))
    else:
        output.line(_word("at", **told))
    _print_lines(body["lines"], told)
    _print_uses(body)


def _print_lines(goods: list[dict[str, Any]], told: dict[str, Any] | None) -> None:
    """One row to a line of the certificate, with what the register says of it."""
    standing = {one["line"]: one for one in (told or {}).get("lines", ())}
    rows = [
        (
            one["line"],
            " ".join(part for part in (one["hs"], one["description"]) if part),
            _measure(one["quantity"]),
            *(standing.get(one["line"], {}).get(name, "?") for name in _AMOUNTS),
        )
        for one in goods
    ]
    if rows:
        output.table(_word("lines"), _columns("line", "goods", "quantity", *_AMOUNTS), rows)


def _print_uses(body: dict[str, Any]) -> None:
    uses = [
        (use["declaration"], use.get("line"), use["by"], _measure(use["quantity"]), use["state"],
         use["at"])
        for use in body.get("uses", ())
    ]  # fmt: skip
    if uses:
        columns = _columns("declaration", "line", "by", "quantity", "state", "since")
        output.table(_word("uses"), columns, uses)
    asked = [
        (one["declaration"], one.get("line"), one["request"]["action"], one["outcome"],
         one.get("code", ""), one["askedAt"])
        for one in body["asked"]
    ]  # fmt: skip
    if asked:
        columns = _columns("declaration", "line", "action", "outcome", "code", "asked")
        output.table(_word("asked from here"), columns, asked)


def reserve(
    certificate: Certificate,
    declaration: Declaration,
    quantity: Quantity = None,
    line: Line = None,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Reserve a quantity; exit code 0 granted, 1 refused, 3 when the register did not answer."""
    order = _order("reserve", declaration, quantity, line, if_seq)
    _operate(certificate, order, home, as_json=as_json)


def write_off(
    certificate: Certificate,
    declaration: Declaration,
    quantity: Quantity = None,
    line: Line = None,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write off what is reserved, or a quantity directly; this is final."""
    order = _order("write-off", declaration, quantity, line, if_seq)
    _operate(certificate, order, home, as_json=as_json)


def release(
    certificate: Certificate,
    declaration: Declaration,
    line: Line = None,
    if_seq: Expect = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Give back what is reserved for a declaration."""
    order = _order("release", declaration, None, line, if_seq)
    _operate(certificate, order, home, as_json=as_json)


def _order(
    action: str, declaration: str, quantity: str | None, line: int | None, if_seq: int | None
) -> dict[str, Any]:
    order = {
        "action": action,
        "declaration": declaration,
        "quantity": _read_quantity(quantity),
        "line": line,
        "expect": if_seq,
    }
    return {name: value for name, value in order.items() if value is not None}


def _operate(certificate: str, order: dict[str, Any], home: Any, *, as_json: bool) -> None:
    with _operator(home) as client:
        body = client.post(f"/v1/balances/{quote(certificate)}", order)
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
    line = f"  {_word('line')} {body['line']}" if "line" in body else ""
    output.line(f"{body['outcome']}  {body['request']['action']}  {body['declaration']}{line}")
    told = body.get("answer")
    if told is None:
        output.line(_word("unanswered", register=body["register"]))
        return
    for one in told.get("lines", ()):
        output.line(
            _word("line left", line=one["line"], left=one["left"], of=_measure(one["quantity"]))
        )
    if "left" in told:
        output.line(
            _word("all left", left=told["left"], of=_measure(told["quantity"]), seq=told["seq"])
        )
    if told.get("code"):
        output.line(f"✗ {told['code']}: {told.get('detail', '')}")
    first = told.get("firstUse")
    if first:
        output.line(_word("first", **{**first, "quantity": _measure(first["quantity"])}))


def _word(name: str, **values: Any) -> str:
    return _WORDS[name][output.lang() == "zh"].format_map(values)


def _columns(*names: str) -> list[str]:
    return [_word(name) for name in names]


def _measure(quantity: dict[str, str]) -> str:
    return f"{quantity['value']} {quantity['unit']}"


def _operator(home: Any) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
