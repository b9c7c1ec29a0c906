"""`pratique review …` and `pratique issue-batch`: applications, decisions, batches that resume."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.operator import OperatorClient

MAX_BYTES = 5 * 1024 * 1024
MAX_FILE = 512 * 1024 * 1024
MAX_DOCUMENTS = 100_000
CHUNK, CHUNK_BYTES = 200, 4 * 1024 * 1024
POLL_SECONDS = 0.5
_MANY = "/v1/review/applications"
ByOption = Annotated[str, typer.Option("--by", help="Who decides: a reviewer's name.")]
SecretOption = Annotated[
    str,
    typer.Option(
        "--secret",
        envvar="PRATIQUE_REVIEWER_SECRET",
        prompt="Secret",
        hide_input=True,
        help="The reviewer's secret; better by the variable.",
    ),
]
NumberArgument = Annotated[int, typer.Argument(help="The application's number.")]


def register(app: typer.Typer) -> None:
    """Adds the group and the command for batches."""
    group = typer.Typer(help="Applications reviewed before signing.", no_args_is_help=True)
    group.command("apply")(apply)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("refuse")(refuse)
    group.command("batch")(batch)
    group.command("people")(people)
    group.command("add-person")(add_person)
    group.command("end-person")(end_person)
    app.add_typer(group, name="review")
    app.command("issue-batch")(issue_batch)


def apply(
    file: Annotated[Path, typer.Argument(help="The document applied for: JSON or XML.")],
    type_: Annotated[str, typer.Option("--type", help="Its type; else it is detected.")] = "",
    consignment: Annotated[str, typer.Option(help="UCR of the consignment.")] = "",
    export_country: Annotated[str, typer.Option(help="Exporting country, if not in it.")] = "",
    import_country: Annotated[str, typer.Option(help="Importing country, if not in it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Apply for a document; the rules put it into a lane: AUTO, MANUAL or HOLD."""
    from node.operator import operator

    wanted = {
        "type": type_,
        "consignment": consignment,
        "exportCountry": export_country,
        "importCountry": import_country,
    }
    body = {name: value for name, value in wanted.items() if value}
    body["payload"] = base64.b64encode(_read(file, MAX_BYTES)).decode()
    with operator(home, lang=output.lang()) as client:
        kept = client.post(_MANY, body)
        kept = _reviewed(client, kept)
    _print(kept, as_json=as_json)
    if kept.get("lane") == "HOLD":
        raise typer.Exit(output.ExitCode.FAILED)


def _reviewed(client: OperatorClient, kept: dict[str, Any], turns: int = 40) -> dict[str, Any]:
    """The application once the rules have looked at it, which takes a moment."""
    for _ in range(turns):
        if kept["state"] != "received":
            break
        time.sleep(POLL_SECONDS / 2)
        kept = client.get(f"{_MANY}/{kept['application']}")
    return kept


def list_all(
    state: Annotated[str, typer.Option(help="Only in this state, e.g. manual.")] = "",
    batch: Annotated[str, typer.Option(help="Only of this batch.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most.")] = 100,
    after: Annotated[int, typer.Option(min=0, help="The `next` of the page before.")] = 0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List applications with their lane and what was found."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(_MANY, state=state or None, batch=batch or None, limit=limit, after=after)
    if as_json:
        output.print_json(body)
        return
    rows = [
        (
            one["application"],
            one["type"],
            one["number"],
            one.get("lane"),
            one["state"],
            ", ".join(dict.fromkeys(each["rule"] for each in one["findings"])),
        )
        for one in body["applications"]
    ]
    output.table("Applications", ("no.", "type", "number", "lane", "state", "findings"), rows)
    if body["next"] is not None:
        output.progress(f"more: --after {body['next']}")


def show(
    number: NumberArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Show one application: every finding with its field, and who decided what."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"{_MANY}/{number}")
    _print(body, as_json=as_json)


def approve(
    number: NumberArgument,
    by: ByOption,
    secret: SecretOption,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Approve an application; it is signed once all whom the policy wants have approved."""
    _decide(number, {"decision": "approve", "by": by, "secret": secret}, home, as_json=as_json)


def refuse(
    number: NumberArgument,
    by: ByOption,
    secret: SecretOption,
    reason: Annotated[str, typer.Option(help="Why, for the applicant.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Refuse an application, with the reason."""
    body = {"decision": "refuse", "by": by, "secret": secret, "reason": reason}
    _decide(number, body, home, as_json=as_json)


def _decide(number: int, body: dict[str, str], home: Path, *, as_json: bool) -> None:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        told = client.post(f"{_MANY}/{number}/decision", body)
    _print(told, as_json=as_json)


def _print(body: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(body)
        return
    lane = body.get("lane", "not reviewed yet")
    output.line(f"{body['application']}  {body['type']} {body['number']}  {lane}  {body['state']}")
    rows = [
        (each["rule"], each["severity"], each["pointer"], each["message"])
        for each in body["findings"]
    ]
    if rows:
        output.table("Findings", ("rule", "severity", "field", "what"), rows)
    for each in body["decisions"]:
        output.line(f"  {each['at']}  {each['decision']} by {each['by']} {each.get('reason', '')}")
    if body["secondPerson"] and body["state"] == "manual":
        output.line("  a second, other person has to approve, too")
    if "document" in body:
        output.line(f"  issued: {body['document']}")


def people(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List who may decide."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/review/people")
    if as_json:
        output.print_json(body)
        return
    rows = [(each["name"], "active" if each["active"] else "ended") for each in body["people"]]
    output.table("Reviewers", ("name", "standing"), rows)


def add_person(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Add a person who may decide; the secret is shown this once."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/review/people", {"name": name})
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Reviewer", body.items())


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


def batch(
    name: Annotated[str, typer.Argument(help="The batch's name.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how far a batch is; exit code 3 while it is under way."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get(f"/v1/review/batches/{name}")
    _print_batch(body, as_json=as_json)


def issue_batch(
    source: Annotated[
        Path, typer.Argument(help="A folder of documents, or a .jsonl file with one per line.")
    ],
    name: Annotated[str, typer.Option("--name", help="The batch's name; the same to resume.")],
    by: ByOption,
    secret: SecretOption,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is done.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Apply for many documents at once; those in the AUTO lane are signed for the person named.

    Run it again with the same name to go on after an interruption: what was taken in is not taken
    in twice, what was issued is not issued twice. MANUAL and HOLD wait for `pratique review`.
    """
    from node.operator import operator

    documents = list(_documents(source))
    if not documents:
        raise MalformedError("file_empty", str(source))
    opened = {"name": name, "total": len(documents), "by": by, "secret": secret}
    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/review/batches", opened)
        _tell(body)
        while body["missing"]:
            _submit(client, name, documents, body["missing"])
            body = client.get(f"/v1/review/batches/{name}")
            _tell(body)
        while wait and not body["done"]:
            time.sleep(POLL_SECONDS)
            body = client.get(f"/v1/review/batches/{name}")
            _tell(body)
    _print_batch(body, as_json=as_json)


def _submit(
    client: OperatorClient, name: str, documents: Sequence[bytes], missing: Sequence[int]
) -> None:
    """Send what is missing in runs of neighbours that fit into one request."""
    run: list[int] = []
    size = 0
    for place in [*missing, -1]:
        full = len(run) >= CHUNK or size > CHUNK_BYTES
        if run and (full or place != run[-1] + 1):
            items = [{"payload": base64.b64encode(documents[at]).decode()} for at in run]
            body = {"first": run[0], "items": items}
            _put(client, f"/v1/review/batches/{name}/applications", body)
            output.progress(f"submitted up to {run[-1] + 1} of {len(documents)}")
            run, size = [], 0
        if place >= 0:
            run.append(place)
            size += len(documents[place])


def _put(client: OperatorClient, path: str, body: dict[str, Any]) -> None:
    import orjson

    client.request("PUT", path, orjson.dumps(body), headers={"Content-Type": "application/json"})


def _tell(body: dict[str, Any]) -> None:
    states = body["states"]
    output.progress(
        f"{body['reviewed']}/{body['total']} reviewed, {states['issued']} issued, "
        f"{states['manual']} manual, {states['hold']} on hold"
    )


def _print_batch(body: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(body)
    else:
        output.pairs(f"Batch {body['batch']}", _flat(body))
    if not body["done"]:
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _flat(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("total", "submitted", "reviewed", "done"):
        yield key, body[key]
    yield from body["lanes"].items()
    yield from body["states"].items()


def _documents(source: Path) -> Iterator[bytes]:
    """The documents of a folder by file name, or the lines of a file."""
    if source.is_dir():
        files = sorted(each for each in source.iterdir() if each.is_file())
        if len(files) > MAX_DOCUMENTS:
            raise TooLargeError("documents_too_many", f"more than {MAX_DOCUMENTS} documents")
        yield from (_read(each, MAX_BYTES) for each in files)
        return
    lines = [line for line in _read(source, MAX_FILE).splitlines() if line.strip()]
    if len(lines) > MAX_DOCUMENTS:
        raise TooLargeError("documents_too_many", f"more than {MAX_DOCUMENTS} documents")
    yield from lines


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as source:
            data = source.read(most + 1)
    except OSError as error:
        raise MalformedError("file_unreadable", f"{file}: {error.strerror}") from None
    if not data:
        raise MalformedError("file_empty", str(file))
    if len(data) > most:
        raise TooLargeError("document_too_large", f"{file} has more than {most} bytes")
    return data
