"""`pratique review …` and `pratique issue-batch`: applications, decisions, batches that resume."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output, review_people
from node.cli.approving import (
    DAYS,
    MAX_BYTES,
    ConsignmentOption,
    DaysOption,
    DisclosableOption,
    ExportOption,
    FormOption,
    HolderOption,
    ImportOption,
    KeyOption,
    OutputOption,
    Signing,
    TypeOption,
    UntilOption,
    order_body,
    read_document,
    signer,
    subject_of_body,
    write_approval,
)
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.operator import OperatorClient

MAX_FILE = 512 * 1024 * 1024
MAX_DOCUMENTS = 100_000
CHUNK, CHUNK_BYTES = 200, 4 * 1024 * 1024
POLL_SECONDS = 0.5
_MANY = "/v1/review/applications"
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
    group.command("key")(key)
    group.command("sign")(sign)
    group.command("sign-change")(sign_change)
    group.add_typer(review_people.group(), name="people")
    app.add_typer(group, name="review")
    app.command("issue-batch")(issue_batch)


def apply(
    file: Annotated[Path, typer.Argument(help="The document applied for: JSON or XML.")],
    type_: TypeOption = "",
    consignment: ConsignmentOption = "",
    export_country: ExportOption = "",
    import_country: ImportOption = "",
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
    body = order_body(file, wanted, None, None)
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
    key: KeyOption,
    reason: Annotated[str, typer.Option(help="What you want to say with it.")] = "",
    days: DaysOption = DAYS,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Approve an application, signed here with your own key.

    It is issued once all whom the policy wants have approved, if their signatures still count then.
    """
    _decide(number, "approve", Signing(signer(key), days, reason), home, as_json=as_json)


def refuse(
    number: NumberArgument,
    key: KeyOption,
    reason: Annotated[str, typer.Option(help="Why, for the applicant.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Refuse an application with the reason, signed here with your own key."""
    _decide(number, "refuse", Signing(signer(key), DAYS, reason), home, as_json=as_json)


def _decide(number: int, decision: str, signing: Signing, home: Path, *, as_json: bool) -> None:
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        subject = subject_of_body(client.get(f"{_MANY}/{number}/order"))
        text = signing.sign(client, subject, decision)
        told = client.post(f"{_MANY}/{number}/decision", {"approval": text})
    _print(told, as_json=as_json)


def key(
    file: Annotated[Path, typer.Argument(help="Where your private key is to be.")],
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase to encrypt it with.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key of your own to sign approvals with, and print its did:key to be registered.

    The private key stays in the file, which only you can read, and is never sent anywhere. The
    passphrase may come from PRATIQUE_KEY_PASSPHRASE.
    """
    from node import person_key

    words = ""
    if passphrase:
        words = os.environ.get("PRATIQUE_KEY_PASSPHRASE", "") or typer.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
    made = person_key.create(file, words)
    if as_json:
        output.print_json({"key": made})
    else:
        output.line(made)


def sign(
    file: Annotated[Path, typer.Argument(help="The document to be issued: JSON or XML.")],
    key: KeyOption,
    type_: TypeOption = "",
    consignment: ConsignmentOption = "",
    export_country: ExportOption = "",
    import_country: ImportOption = "",
    valid_until: UntilOption = "",
    disclosable: DisclosableOption = False,
    form: FormOption = "vc+sd-jwt",
    holder: HolderOption = None,
    reason: Annotated[str, typer.Option(help="What you want to say with it.")] = "",
    days: DaysOption = DAYS,
    out: OutputOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Approve a document with your own key, for `pratique issue --approval`: same file and options.

    The approval is for these bytes and these options, and counts once.
    """
    from node.operator import operator

    wanted = {
        "type": type_,
        "consignment": consignment,
        "exportCountry": export_country,
        "importCountry": import_country,
        "validUntil": valid_until,
    }
    body = order_body(file, wanted, form if disclosable else None, holder)
    signing = Signing(signer(key), days, reason)
    with operator(home, lang=output.lang()) as client:
        write_approval(signing.sign(client, subject_of_body(body)), out)


def sign_change(
    act: Annotated[str, typer.Argument(help="revoke, suspend or reinstate.")],
    digest: Annotated[str, typer.Argument(help="The document's digest, 64 digits.")],
    reason: Annotated[str, typer.Option(help="The reason the change will be made with.")],
    key: KeyOption,
    days: DaysOption = DAYS,
    out: OutputOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Approve a change of a document's status, for `pratique revoke --approval` and the like."""
    from node.documents.orders import status_subject
    from node.operator import operator
    from protocols.approval import STATUS_ACTS

    if act not in STATUS_ACTS:
        raise typer.BadParameter(f"the acts are {', '.join(STATUS_ACTS)}")
    signing = Signing(signer(key), days)
    with operator(home, lang=output.lang()) as client:
        found = client.get(f"/v1/documents/{digest}")
        type_, number = found["type"], found["number"]
        subject = status_subject(act, bytes.fromhex(digest), type_, number, reason)
        write_approval(signing.sign(client, subject), out)


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
        lapsed = f"(counts no more: {each['lapsed']})" if "lapsed" in each else ""
        said = f"{each['decision']} by {each['by']} {each.get('reason', '')} {lapsed}"
        output.line(f"  {each['at']}  {said.rstrip()}")
    if body["secondPerson"] and body["state"] == "manual":
        output.line("  a second, other person has to approve, too")
    if "document" in body:
        output.line(f"  issued: {body['document']}")


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
    key: KeyOption,
    days: DaysOption = DAYS,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is done.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Apply for many documents at once; with your key you sign for those in the AUTO lane.

    Run it again with the same name to go on after an interruption: what was taken in is not taken
    in twice, what was issued is not issued twice. MANUAL and HOLD wait for `pratique review`. When
    your signature counts no more on the way, what is left waits until somebody signs again.
    """
    from node.operator import operator

    documents = list(_documents(source))
    if not documents:
        raise MalformedError("file_empty", str(source))
    signing = Signing(signer(key), days)
    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/review/batches", _opened(client, name, documents, signing))
        _tell(body)
        while body["missing"]:
            _submit(client, name, documents, body["missing"])
            body = client.get(f"/v1/review/batches/{name}")
            _tell(body)
        while wait and not body["done"] and not body["lapsed"]:
            time.sleep(POLL_SECONDS)
            body = client.get(f"/v1/review/batches/{name}")
            _tell(body)
    _print_batch(body, as_json=as_json)


def _opened(
    client: OperatorClient, name: str, documents: Sequence[bytes], signing: Signing
) -> dict[str, Any]:
    """The batch with every document in it, signed as a whole."""
    from node.documents.orders import IssueOrder, subject_of
    from protocols.approval import batch_subject
    from schemas import registry

    items = b""
    for each in documents:
        key = registry.detect(each) or ""
        items += subject_of(IssueOrder(each), key, "").item
    return {
        "name": name,
        "total": len(documents),
        "documents": base64.b64encode(items).decode(),
        "approval": signing.sign(client, batch_subject(name, items)),
    }


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
    if body["lapsed"]:
        output.progress(f"nobody signs for it any more: {body['lapsed']}; run issue-batch again")
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
        yield from (read_document(each, MAX_BYTES) for each in files)
        return
    lines = [line for line in read_document(source, MAX_FILE).splitlines() if line.strip()]
    if len(lines) > MAX_DOCUMENTS:
        raise TooLargeError("documents_too_many", f"more than {MAX_DOCUMENTS} documents")
    yield from lines
