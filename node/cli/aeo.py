"""`pratique aeo …`: what authorised operators' status gives, now and then, and changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

CodeArgument = Annotated[str, typer.Argument(help="The operator's code, e.g. AEOCN3707DEMQ01.")]
AtOption = Annotated[
    str | None,
    typer.Option("--at", help="A past moment (RFC 3339): the answer as it was known then."),
]
ByOption = Annotated[
    str | None, typer.Option("--by", help="The country that would give the benefit; default ours.")
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Authorised economic operators (AEO).", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "list": list_codes,
        "show": show,
        "lane": lane,
        "status": status,
        "programmes": programmes,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="aeo")


def list_codes(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the authorisations of which status events are held."""
    found: list[dict[str, Any]] = []
    with _operator(home) as client:
        after = None
        for _ in range(10_000):
            page = client.get("/v1/aeo", after=after)
            found += page["items"]
            after = page["next"]
            if after is None:
                break
    if as_json:
        output.print_json(found)
        return
    lines = [(one["code"], one["seq"], one.get("knownAt", "")) for one in found]
    output.table("Authorisations", ("code", "newest event", "known at"), lines)


def show(
    code: CodeArgument,
    by: ByOption = None,
    role: Annotated[
        str | None, typer.Option("--role", help="IMPORTER, EXPORTER, CARRIER …")
    ] = None,
    at: AtOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Does this authorisation give a benefit here, and why not; exit code 0 when it does."""
    with _operator(home) as client:
        body = client.get(f"/v1/aeo/{quote(code)}", by=by, role=role, at=at)
    if as_json:
        output.print_json(body)
    else:
        _print(body)
    if not body["benefit"]:
        raise typer.Exit(output.ExitCode.FAILED)


def _print(body: dict[str, Any]) -> None:
    output.line(f"{body['lane']}  {body['code']}  {body.get('status', '')}")
    output.line(f"  on {body['on']} as known at {body['knownAt']}, for {body.get('by', '')}")
    _historical(body)
    if body.get("agreement"):
        output.line(f"  agreement {body['agreement']}")
    for reason in body.get("reasons", []):
        output.line(f"✗ {reason['rule']} {reason['code']}: {reason.get('reason', '')}")
        output.line(f"    {reason.get('next', '')}")
    if "flagged" in body:
        output.line(f"! known only later ({body['flagged']}): it would have changed this answer")
    lines = [
        (one["seq"], one["status"], one["effective"], one["knownAt"], one["class"],
         "yes" if one["consent"] else "no", one["standing"])
        for one in body["events"]
    ]  # fmt: skip
    columns = ("event", "status", "effective", "known here", "class", "consent", "standing")
    output.table("Status events", columns, lines)


def _historical(body: dict[str, Any]) -> None:
    if body.get("historical"):
        output.line("  a historical answer; no release accepts it (R25)")


def lane(
    ucr: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    by: ByOption = None,
    at: AtOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the lane a consignment gets here: AEO or NORMAL. Nothing is held either way."""
    with _operator(home) as client:
        body = client.get(f"/v1/aeo-lanes/{quote(ucr)}", by=by, at=at)
    if as_json:
        output.print_json(body)
        return
    output.line(f"{body['lane']}  {body['consignment']}")
    _historical(body)
    for one in body["operators"]:
        why = ", ".join(reason["code"] for reason in one.get("reasons", [])) or "benefit"
        output.line(f"  {one['code']}: {why}")


def status(
    code: CodeArgument,
    to: Annotated[
        str | None, typer.Option("--set", help="ACTIVE, SUSPENDED, REVOKED or EXPIRED.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, in words.")] = None,
    effective: Annotated[
        str | None, typer.Option("--effective", help="From which day, YYYY-MM-DD; default today.")
    ] = None,
    consent: Annotated[
        bool | None,
        typer.Option("--consent/--withdraw-consent", help="The operator's consent to exchange."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Issue the next status event of an authorisation we granted; it goes to all who got one."""
    order = {"status": to, "reason": reason, "effective": effective, "consent": consent}
    given = {name: value for name, value in order.items() if value is not None}
    with _operator(home) as client:
        body = client.post(f"/v1/aeo/{quote(code)}/status", given)
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Status event", ((name, body[name]) for name in ("number", "digest")))


def programmes(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the AEO programmes this node knows: code forms, classes, digest of the data."""
    with _operator(home) as client:
        body = client.get("/v1/aeo-programmes")
    if as_json:
        output.print_json(body)
        return
    output.line(f"data {body['digest'][:16]}…")
    lines = [
        (one["id"], one["name"], ", ".join(one["countries"]), ", ".join(one["codes"]),
         ", ".join(name + (" (security)" if secure else "")
                   for name, secure in one["classes"].items()))
        for one in body["programmes"]
    ]  # fmt: skip
    output.table("Programmes", ("id", "name", "countries", "codes", "classes"), lines)


def _operator(home: Any) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
