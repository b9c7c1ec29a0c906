"""`pratique log show|audit|compare|recover`: the node's log, and any listed log verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.log_chain import chain
from node.cli.log_receipt import receipt
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.catalogue import explain
from schemas.errors import NotFoundError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from node.operator import OperatorClient

GENESIS = "genesis"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)
    group.command("show")(show)
    group.command("audit")(audit)
    group.command("chain")(chain)
    group.command("compare")(compare)
    group.command("receipt")(receipt)
    group.command("recover")(recover)
    app.add_typer(group, name="log")


def show(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the node's log: size, newest signed and witnessed checkpoint, witnesses."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/log")
    if as_json:
        output.print_json(body)
    else:
        _show(body)
    if body["fault"] is not None:
        raise typer.Exit(output.ExitCode.FAILED)


def _show(body: dict[str, Any]) -> None:
    policy = body["policy"]
    quorum = output.say("none")
    if policy["witnesses"]:
        quorum = output.say("{quorum} of {witnesses}", **policy)
    about = [
        ("origin", body["origin"]),
        ("key", body["vkey"]),
        ("leaves", body["leaves"]),
        ("signed", _head(body["signed"])),
        ("witnessed", _head(body["witnessed"])),
        ("quorum", quorum),
        ("confirmed by partners", output.say("yes" if body["confirmed"] else "not yet")),
    ]
    output.pairs("Log", about)
    if body["trouble"] is not None and body["fault"] is None:
        halted = output.say("halted: nothing new is witnessed.")
        output.line(f"{halted} {_sentence(body['trouble'])}")
    if body["handOver"] is not None:
        waiting = body["handOver"]
        told = output.say("new witnesses wait (epoch {epoch})", epoch=waiting["epoch"])
        output.line(f"{told}: {waiting['trouble'] or output.say('soon')}")
    for ended in body["frozen"]:
        output.line(output.say("ended: {origin} at size {size} [{reason}]", **ended))
    if body["witnesses"]:
        rows = [(item["name"], item["size"], item["error"] or "") for item in body["witnesses"]]
        output.table("Witnesses", ("witness", "cosigned", "trouble"), rows)
    if body["mirrors"]:
        rows = [(item["name"], item["size"], item["error"] or "") for item in body["mirrors"]]
        output.table("Mirrors", ("mirror", "stored", "trouble"), rows)
    for key in body["keys"]:
        output.line(f"{output.say('to be named in policies')}: {key}")
    for mark in body["marked"]:
        output.line(f"{output.say('caught')}: {mark['did']} [{mark['code']}]")
    fault = body["fault"]
    if fault is not None:
        output.line(f"{output.say('sealed')}: {fault['title']} [{fault['code']}]")
        output.line(f"{output.say('next')}: {fault.get('next', '')}")
        _show_recovery(body["recovery"])


def _show_recovery(body: dict[str, Any] | None) -> None:
    if body is None:
        return
    if body["automatic"]:
        output.line(output.say("recovery: the node asks its partners again and again by itself"))
    if body["trouble"] is not None:
        trouble = body["trouble"]
        output.line(f"{output.say('recovery')}: {trouble['title']} [{trouble['code']}]")


def _sentence(code: str) -> str:
    entry = explain(code)
    return f"{entry.sentence(output.lang()) if entry else code} [{code}]"


def _head(head: dict[str, Any] | None) -> str:
    if head is None:
        return output.say("nothing yet")
    return output.say("size {size}, root {root}…", size=head["size"], root=head["root"][:16])


def audit(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    log: Annotated[str, typer.Option("--log", help="Origin of a listed log; default: ours.")] = "",
    partner: Annotated[
        str, typer.Option("--partner", help="The log of this member: its DID, host or short name.")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", help="`genesis` begins again; default: where it ended.")
    ] = "",
) -> None:
    """Verify a log from its entries against its signed and witnessed checkpoint."""
    from node.operator import operator

    if start not in ("", GENESIS):
        raise typer.BadParameter("it is genesis or left out", param_hint="--from")
    with operator(home, lang=output.lang()) as client:
        origin = _log_of(client, partner) if partner else log
        body = _advance(client, {"origin": origin} if origin else {}, genesis=start == GENESIS)
    if as_json:
        output.print_json(body)
    else:
        output.pairs("Audit", [(name, _text(value)) for name, value in body.items()])
    if not body["ok"]:
        error = RefusedError("log_audit_failed", "; ".join(body["faults"]))
        if not as_json:
            output.report(error)
        raise typer.Exit(output.ExitCode.FAILED)
    if not body["done"]:
        told = f"entries verified: {body['verified']} of {body['size']}"
        unfinished = UnavailableError("log_audit_unfinished", told)
        if not as_json:
            output.report(unfinished)
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _member(client: OperatorClient, name: str) -> dict[str, Any]:
    """A member by its DID, its host, the first label of its host, or its name."""
    for wanted in client.get("/v1/log")["listed"]:
        host = wanted["did"].removeprefix("did:web:")
        if name in (wanted["did"], host, host.split(".")[0], wanted["name"]):
            return dict(wanted)
    raise NotFoundError("log_unknown", f"{name} is not in the member list")


def _log_of(client: OperatorClient, name: str) -> str:
    member = _member(client, name)
    if member["origin"] is None:
        raise NotFoundError("log_unknown", f"{member['did']} has no listed log")
    return str(member["origin"])


def compare(
    partners: Annotated[
        list[str] | None, typer.Argument(help="Members to ask: DID, host or short name.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask partners what they hold of each log, and find logs that show different histories.

    The exit code is 1 when a log is split, or nobody can show that it is not.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        dids = [_member(client, name)["did"] for name in partners or ()]
        body = client.post("/v1/log/compare", {"partners": dids})
    if as_json:
        output.print_json(body)
    else:
        _show_compared(body)
    if not body["ok"]:
        raise typer.Exit(output.ExitCode.FAILED)
    if body["unreachable"] and not body["asked"]:
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _show_compared(body: dict[str, Any]) -> None:
    rows = [
        (log["origin"], log["verdict"], view["size"], view["root"][:16], view["by"])
        for log in body["logs"]
        for view in log["views"]
    ]
    output.table("What is held", ("log", "verdict", "size", "root", "held by"), rows)
    for log in body["logs"]:
        for sentence in log["invalid"]:
            output.line(f"not signed by {log['origin']}: {sentence}")
    for did in body["unreachable"]:
        output.line(f"no answer: {did}")
    split = [log["origin"] for log in body["logs"] if log["verdict"] == "split"]
    for origin in split:
        output.line(f"split: {origin}. {_sentence('log_split_view')}")
    for anchor in body["anchors"]:
        if not anchor["ok"]:
            output.line(f"the anchor of size {anchor['size']} has another root than our log")


def recover(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    new_log: Annotated[
        bool,
        typer.Option(
            "--new-log", help="Close the sealed log for good and open the next one. Not undone."
        ),
    ] = False,
) -> None:
    """Take a sealed log back to the last state that partners hold.

    A node whose store was restored from an old copy does this by itself as soon as enough partners
    answer; the command does it now and says what is lacking. Only when the missing entries are
    lost everywhere, `--new-log` ends this log; its receipts stay valid. The next log has another
    name and a new key, which the roots have to list: `pratique trust ask`.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/log/recover", {"newLog": new_log})
    if as_json:
        output.print_json(body)
    elif new_log:
        output.line(f"ended: {body['frozen']}")
        output.line(f"opened: {body['opened']}; have its key listed with `pratique trust ask`")
    else:
        output.line(f"entries that came back from partners: {body['entries']}")
        if body["moved"]:
            output.line(f"entries of this copy that were put behind them: {body['moved']}")


def _advance(client: OperatorClient, asked: dict[str, Any], *, genesis: bool) -> dict[str, Any]:
    """Ask again until it is done or no longer gets further."""
    body: dict[str, Any] = client.post("/v1/log/audit", {**asked, "genesis": genesis})
    before = -1
    while body["ok"] and not body["done"] and body["verified"] > before:
        output.progress(f"entries verified: {body['verified']} of {body['size']}")
        before = body["verified"]
        body = client.post("/v1/log/audit", asked)
    return body


def _text(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
