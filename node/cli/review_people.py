"""`pratique review people …`: who may decide, by which key, and who let them in (R26)."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli import output
from node.cli.approving import (
    DAYS,
    ApprovalOption,
    DaysOption,
    KeyOption,
    OutputOption,
    Signing,
    read_approvals,
    signer,
    write_approval,
)
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def group() -> typer.Typer:
    """The commands over the register of persons."""
    made = typer.Typer(help="Who may decide, by which key.", no_args_is_help=True)
    made.command("list")(list_people)
    made.command("add")(add_person)
    made.command("sign")(sign_person)
    made.command("end")(end_person)
    return made


def list_people(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List who may decide, and who may no more."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/review/people")
    if as_json:
        output.print_json(body)
        return
    rows = [
        (each["name"], "active" if each["active"] else "ended", each["key"])
        for each in body["people"]
    ]
    output.table("Reviewers", ("name", "standing", "key"), rows)


def add_person(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    key: Annotated[str, typer.Option("--key", help="Their did:key: pratique review key.")],
    approval: ApprovalOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Add a person who may decide, by the public key of the key that they made themselves.

    Where the policy asks for two persons, those who decide already approve it: review people sign.
    """
    from node.operator import operator

    asked = {"name": name, "key": key, "approvals": read_approvals(approval)}
    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/review/people", asked)
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Reviewer", body.items())


def sign_person(
    name: Annotated[str, typer.Argument(help="The new person's name.")],
    person: Annotated[str, typer.Argument(help="Their did:key, as they handed it over.")],
    key: KeyOption,
    days: DaysOption = DAYS,
    out: OutputOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Approve that a person decides from now on, for `pratique review people add --approval`."""
    from node.operator import operator
    from protocols.approval import person_key, person_subject

    person_key(person)
    signing = Signing(signer(key), days)
    with operator(home, lang=output.lang()) as client:
        write_approval(signing.sign(client, person_subject(name, person)), out)


def end_person(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """The person decides no more; what was decided stays."""
    from urllib.parse import quote

    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        client.request("DELETE", f"/v1/review/people/{quote(name)}")
    output.line(f"{name} decides no more")
