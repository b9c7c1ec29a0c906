"""`pratique title …`: who holds a bill, and passing it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output, title_exit
from node.cli.options import (
    DEFAULT_HOME,
    AmendmentOption,
    BlankOption,
    ByOption,
    HomeOption,
    JsonOption,
    TitleholderOption,
    ToOrderOption,
    endorsement,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TitleArgument = Annotated[str, typer.Argument(help="The title's id, 64 hexadecimal digits.")]
ToOption = Annotated[str, typer.Option("--to", help="DID of the party that receives it.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        help="Titles of bills of lading and of negotiable multimodal documents.",
        no_args_is_help=True,
    )
    commands: dict[str, Callable[..., None]] = {
        "list": list_titles,
        "show": show,
        "issue": issue,
        "transfer": transfer,
        "offer": offer,
        "cancel": cancel,
        "endorse": endorse,
        "surrender": surrender,
        "accept": accept,
        "reject": reject,
        "end": end,
        "paper": paper,
        "relay": relay,
        "party": party,
        "arbiters": arbiters,
    }
    for name, function in commands.items():
        group.command(name)(function)
    title_exit.add_to(group)
    app.add_typer(group, name="title")


def list_titles(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    state: Annotated[str, typer.Option("--state", help="LIVE, SURRENDERED, ACCEPTED …")] = "",
    document: Annotated[str, typer.Option("--document", help="Digest of a bill.")] = "",
) -> None:
    """List the titles known here by their final state."""
    found: list[Mapping[str, Any]] = []
    with _operator(home) as client:
        after = None
        for _ in range(10_000):
            page = client.get(
                "/v1/titles", state=state or None, document=document or None, after=after
            )
            found += page["titles"]
            after = page.get("after")
            if after is None:
                break
    if as_json:
        output.print_json({"titles": found})
        return
    rows = [
        (
            item["title"],
            item["state"]["state"],
            item["state"]["bill"],
            _did(item["state"].get("possessor")),
            _did(item["state"].get("holder")),
            item["state"]["seq"],
            item["asOf"],
        )
        for item in found
    ]
    columns = ("title", "state", "bill", "possession", "titleholder", "seq", "as of")
    output.table("Titles", columns, rows)


def show(
    title: TitleArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask the registry first.")] = False,
) -> None:
    """Show a title: its final state, its history, and what is not final yet."""
    with _operator(home) as client:
        shown = client.get(f"/v1/titles/{title}", refresh=1 if refresh else None)
    if as_json:
        output.print_json(shown)
        return
    _show_state(shown)
    columns = ("seq", "operation", "by", "to", "digest")
    steps = [_step(item) for item in shown.get("history", ())]
    if steps:
        output.table("History", columns, steps)
    tried = [
        (item.get("stage", item["status"]), item["code"] or "", *_step(item["operation"]))
        for item in shown.get("submitted", ())
    ]
    if tried:
        output.table("Handed in here, not final", ("status", "why", *columns), tried)


def _show_state(shown: Mapping[str, Any]) -> None:
    state = shown.get("state")
    told: list[tuple[str, object]] = [("title", shown["title"])]
    if state is None:
        told.append(("state", output.say("not final yet")))
    else:
        told += [
            ("state", state["state"] + _ending(state)),
            ("bill", state["bill"]),
            ("in possession", _did(state.get("possessor"))),
            ("titleholder", _did(state.get("holder")) or output.say("whoever possesses it")),
            ("carrier", _did(state["issuer"])),
            ("sequence", state["seq"]),
            ("as of", shown["asOf"]),
        ]
    final = "yes" if shown["final"] else "no, something handed in here is open"
    told.append(("final", output.say(final)))
    told += _registry(shown.get("registry"))
    if shown.get("document"):
        told.append(("document", shown["document"]))
    output.pairs("Title", told)


def _registry(place: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    """Where a title on a chain stands; nothing for one in a registry's log."""
    if place is None:
        return []
    told: list[tuple[str, object]] = [
        ("arbiter", output.say("{name}: {contract} on chain {chainId}", **place)),
        (
            "block",
            output.say("none that is final yet") if place["block"] is None else place["block"],
        ),
        ("final by", output.say("{finality}, read up to {finalBlock}", **place)),
    ]
    if "unreachable" in place:
        told.append(("now", place["unreachable"]))
    return told


def _ending(state: Mapping[str, Any]) -> str:
    return f" ({state['ending']})" if state.get("ending") else ""


def _did(party: Mapping[str, Any] | None) -> str:
    return str(party["did"]) if party else ""


def _step(item: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        item["seq"],
        output.say(item["kind"].lower().replace("_", " ")),
        _did(item["from"]),
        _did(item["to"]),
        item["digest"][:16] + "…",
    )


def issue(
    document: Annotated[str, typer.Argument(help="Digest of an own document.")],
    holder: Annotated[str, typer.Option("--holder", help="DID that takes possession.")],
    endorsee: Annotated[
        str, typer.Option("--endorsee", help="DID of the titleholder, or of the consignee.")
    ] = "",
    replaces: Annotated[
        str, typer.Option("--replaces", help="The title it replaces, ended as amended or paper.")
    ] = "",
    arbiter: Annotated[
        str,
        typer.Option(
            "--arbiter",
            help="Who orders its operations, for good: log, evm, or a name from `title arbiters`.",
        ),
    ] = "",
    law: Annotated[
        str, typer.Option("--law", help="Governing law, GB-ETDA-2023 … (default: `title.law`).")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Issue the title of a bill, or of one document for many legs, that this carrier issued."""
    body = {"document": document, "holder": holder}
    body |= {"endorsee": endorsee} if endorsee else {}
    body |= {"replaces": replaces} if replaces else {}
    body |= {"arbiter": arbiter} if arbiter else {}
    body |= {"law": law} if law else {}
    _post(home, "/v1/titles", body, as_json=as_json)


def transfer(
    title: TitleArgument,
    to: ToOption,
    by: ByOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pass possession of a bill to another party."""
    _operate(home, title, {"kind": "TRANSFER", "to": to}, by, as_json=as_json)


def offer(
    title: TitleArgument,
    to: ToOption,
    entry: Annotated[
        str, typer.Option("--entry", help="Digest of what is offered, 64 hexadecimal digits.")
    ] = "",
    by: ByOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Offer possession of a bill; it passes when the recipient accepts."""
    body = {"kind": "OFFER", "to": to} | ({"entry": entry} if entry else {})
    _operate(home, title, body, by, as_json=as_json)


def cancel(
    title: TitleArgument,
    by: ByOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Cancel an offer that has expired."""
    _operate(home, title, {"kind": "CANCEL_OFFER"}, by, as_json=as_json)


def endorse(
    title: TitleArgument,
    to: TitleholderOption = "",
    to_order: ToOrderOption = False,
    blank: BlankOption = False,
    by: ByOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Endorse a negotiable bill: in full, to order or in blank. Possession stays."""
    kind = endorsement(to, to_order=to_order, blank=blank)
    body = {"kind": kind} | ({} if blank else {"to": to})
    _operate(home, title, body, by, as_json=as_json)


def surrender(
    title: TitleArgument,
    amendment: AmendmentOption = False,
    by: ByOption = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Surrender a bill to its carrier, for delivery or amendment."""
    kind = "SURRENDER_FOR_AMENDMENT" if amendment else "SURRENDER_FOR_DELIVERY"
    _operate(home, title, {"kind": kind}, by, as_json=as_json)


def accept(
    title: TitleArgument,
    offer: Annotated[bool, typer.Option("--offer", help="An offer, not a surrender.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Accept a surrender as the carrier, or an offer as its recipient."""
    kind = "ACCEPT_OFFER" if offer else "ACCEPT_SURRENDER"
    _operate(home, title, {"kind": kind}, "", as_json=as_json)


def reject(
    title: TitleArgument,
    offer: Annotated[bool, typer.Option("--offer", help="An offer, not a surrender.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Reject a surrender as the carrier (possession goes back), or an offer as its recipient."""
    kind = "DECLINE_OFFER" if offer else "REJECT_SURRENDER"
    _operate(home, title, {"kind": kind}, "", as_json=as_json)


def end(
    title: TitleArgument,
    ending: Annotated[str, typer.Option("--as", help="delivered, amended or paper.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End an accepted title for good, as its carrier."""
    body = {"kind": "END"} | ({"ending": ending} if ending else {})
    _operate(home, title, body, "", as_json=as_json)


def paper(
    title: TitleArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Switch an accepted title to paper, as its carrier; the electronic title ends for good."""
    _operate(home, title, {"kind": "END", "ending": "paper"}, "", as_json=as_json)


def relay(
    title: TitleArgument,
    operation: Annotated[
        str, typer.Argument(help="The operation: a compact JWS, or for a chain its JSON.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hand in an operation that a party has signed elsewhere."""
    _operate(home, title, {"operation": operation}, "", as_json=as_json)


def party(
    name: Annotated[str, typer.Argument(help="Short name: lower-case letters, digits, hyphens.")],
    did: Annotated[str, typer.Option("--did", help="The party's DID.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Create the title key of a party hosted here; `trust ask --party` has it listed."""
    with _operator(home) as client:
        made = client.post("/v1/parties", {"name": name} | ({"did": did} if did else {}))
    if as_json:
        output.print_json(made)
    else:
        output.pairs("Party", [(key, made[key]) for key in ("did", "kid", "thumbprint")])


def arbiters(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the title arbiters of the member list and how they stand at this node."""
    with _operator(home) as client:
        found = client.get("/v1/arbiters")["arbiters"]
    if as_json:
        output.print_json({"arbiters": found})
        return
    rows = [
        (
            item["name"],
            item["kind"],
            item.get("contract", ""),
            item.get("finality", "witnesses"),
            item.get("block") or "",
            item.get("fault") or "",
        )
        for item in found
    ]
    columns = ("name", "kind", "contract", "final by", "read up to", "trouble")
    output.table("Title arbiters", columns, rows)


def _operate(home: Path, title: str, body: Mapping[str, str], by: str, *, as_json: bool) -> None:
    whole = dict(body) | ({"by": by} if by else {})
    _post(home, f"/v1/titles/{title}/operations", whole, as_json=as_json)


def _post(home: Path, path: str, body: Mapping[str, str], *, as_json: bool) -> None:
    """Sends a change; one that is not final yet says so and ends as unreachable (R21)."""
    with _operator(home) as client:
        answer = client.post(path, body)
    if as_json:
        output.print_json(answer)
    elif answer["outcome"] == "final":
        _show_state(answer)
    else:
        output.line(f"title {answer['title']}: {answer['message'].get(output.lang(), '')}")
    if answer["outcome"] != "final":
        raise typer.Exit(output.ExitCode.UNREACHABLE)


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
