"""`pratique ebl …`: the holder's work with bills of lading across platforms."""

from __future__ import annotations

import mimetypes
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
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
from schemas.errors import MalformedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NAME = "ebl"
MAX_LINES = 100_000
MAX_FILE = 16 * 1024 * 1024
POLL_SECONDS = 0.5
BillsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Transport document references, their checksums, or titles' ids."),
]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="More of them: one to a line, # begins a comment."),
]
CommentsOption = Annotated[
    str, typer.Option("--comments", help="A sentence that goes into the chain, for everybody.")
]
PlatformOption = Annotated[
    str,
    typer.Option(
        "--at", help="Of a bill that no arbiter guards: the receiver's platform, by its code."
    ),
]
NameOption = Annotated[str, typer.Option("--name", help="With --at: the receiver's name there.")]
CodeOption = Annotated[
    list[str] | None,
    typer.Option("--code", help="With --at: DID, provider:code or provider:list:code; repeatable."),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", help="Seconds to wait for answers; what is open goes on by itself."),
]


def group_of(app: typer.Typer) -> typer.Typer:
    """The group `ebl`, to which several areas add commands; made by whoever asks first."""
    for known in app.registered_groups:
        if known.name == NAME and known.typer_instance is not None:
            return known.typer_instance
    group = typer.Typer(help="Bills of lading across platforms.", no_args_is_help=True)
    app.add_typer(group, name=NAME)
    return group


def code_of(text: str) -> dict[str, str]:
    """An identifying code as it is typed: a DID, provider:code or provider:list:code."""
    if text.startswith("did:"):
        return {"codeListProvider": "W3C", "codeListName": "DID", "partyCode": text}
    provider, separator, rest = text.partition(":")
    if not separator or not provider or not rest:
        raise typer.BadParameter("--code is a DID, provider:code or provider:list:code")
    name, separator, value = rest.partition(":")
    if not separator:
        return {"codeListProvider": provider, "partyCode": rest}
    return {"codeListProvider": provider, "codeListName": name, "partyCode": value}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = group_of(app)
    commands: dict[str, Callable[..., None]] = {
        "list": list_bills,
        "show": show,
        "transfer": transfer,
        "endorse": endorse,
        "surrender": surrender,
        "tell": tell,
        "outgoing": outgoing,
        "receiver": receiver,
    }
    for name, function in commands.items():
        group.command(name)(function)


# -- looking -----------------------------------------------------------------------------------


def list_bills(
    status: Annotated[
        str, typer.Option("--status", help="here, sent, surrendered, ended or disputed.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the bills that are or were at this platform, and what is under way with them."""
    found: list[Mapping[str, Any]] = []
    with _operator(home) as client:
        after = None
        for _ in range(10_000):
            page = client.get("/v1/ebl/bills", status=status or None, after=after)
            found += page["bills"]
            after = page.get("after")
            if after is None:
                break
    if as_json:
        output.print_json({"bills": found})
        return
    columns = ("reference", "status", "state", "bill", "with", "at", "under way")
    output.table("Bills", columns, [_line(item) for item in found])


def _line(item: Mapping[str, Any]) -> tuple[object, ...]:
    moving = item.get("transfer")
    return (
        item["transportDocumentReference"],
        output.say(item["status"]),
        item["state"],
        item["kind"],
        item["possessor"],
        item["platform"],
        f"{_words(moving['action'])}: {moving['state']}" if moving else "",
    )


def _words(action: str) -> str:
    return output.say(action.lower().replace("_", " "))


def show(
    bill: Annotated[
        str, typer.Argument(help="Transport document reference, its checksum, or a title's id.")
    ],
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask the arbiter first.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show who is in control of a bill now, with the proof and without names (`--json`)."""
    with _operator(home) as client:
        shown = client.get(f"/v1/ebl/bills/{bill}", refresh=1 if refresh else None)
    if as_json:
        output.print_json(shown)
        return
    ending = f" ({shown['ending']})" if shown.get("ending") else ""
    output.pairs(
        "Bill",
        [
            ("reference", shown["transportDocumentReference"]),
            ("state", _dead(shown) + shown["state"] + ending),
            ("bill", shown["bill"]),
            ("in possession", _control(shown["possessor"], "nobody")),
            ("titleholder", _control(shown["titleholder"], "whoever possesses it")),
            ("sequence", shown["seq"]),
            ("as of", shown["asOf"]),
            ("guarded by", shown["guarantee"]),
            ("title", shown["title"]),
            ("arbiter", shown["arbiter"]),
            *_more(shown),
        ],
    )


def _dead(shown: Mapping[str, Any]) -> str:
    if not shown.get("ending"):
        return ""
    return output.say("DEAD, it gives no right to the goods") + ": "


def _more(shown: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    names = {
        "controlTrackingRegistry": "registry",
        "replaces": "in place of",
        "replacedBy": "replaced by",
        "house": "house bills",
        "master": "master bill",
    }
    for name, told in names.items():
        if shown.get(name):
            yield told, shown[name]


def _control(party: Mapping[str, Any] | None, nobody: str) -> str:
    if party is None:
        return output.say(nobody)
    platform = party["platform"] or output.say("no platform")
    where = output.say("a party at {platform}", platform=platform)
    if party["key"] is None:
        return where + output.say(", by the platforms' word alone")
    here = output.say(", whose key is here") if party["here"] else ""
    return f"{where}{here}; {output.say('key')} {party['key']}"


def outgoing(
    state: Annotated[
        str, typer.Option("--state", help="sending, cancelling, received, refused, cancelled …")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the transfers to other platforms, the newest first, and why they are not decided."""
    with _operator(home) as client:
        found = client.get("/v1/ebl/outgoing", state=state or None, limit=500)["transfers"]
    if as_json:
        output.print_json({"transfers": found})
        return
    _show_moves("Transfers", found)


def receiver(
    platform: Annotated[str, typer.Argument(help="The platform's four-character code.")],
    code: Annotated[str, typer.Argument(help="The receiver's code there, or its DID.")],
    provider: Annotated[
        str, typer.Option("--provider", help="Keeper of the code's list: W3C, GLEIF, …")
    ] = "W3C",
    list_name: Annotated[str, typer.Option("--list", help="Which of its lists.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask another platform whom a code names, before anything is sent there."""
    named = {"codeListName": list_name} if list_name else {}
    whole = {"codeListProvider": provider, "partyCode": code, **named}
    with _operator(home) as client:
        found = client.post("/v1/ebl/receivers", {"platform": platform, "code": whole})
    if as_json:
        output.print_json(found)
    else:
        output.line(f"{found['partyName']} at {found['platform']}")


# -- doing -------------------------------------------------------------------------------------


def transfer(
    bills: BillsArgument = None,
    to: Annotated[str, typer.Option("--to", help="DID of the party that receives them.")] = "",
    at: PlatformOption = "",
    name: NameOption = "",
    code: CodeOption = None,
    by: ByOption = "",
    document: Annotated[
        list[Path] | None,
        typer.Option("--document", help="A file that goes along with each; may be repeated."),
    ] = None,
    comments: CommentsOption = "",
    file: FileOption = None,
    wait: WaitOption = 60.0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pass possession of bills to a party here or at another platform.

    Run it again with the same words after a break: what was done is not done twice.
    """
    if bool(to) == bool(at):
        raise typer.BadParameter("say --to whom, or --at which platform with --name and --code")
    documents = [_attached(one) for one in document or ()]
    body: dict[str, Any] = {"action": "TRANSFER"} | ({"documents": documents} if documents else {})
    body |= {"to": to} if to else {"recipient": _party(at, name, code or ())}
    _move_all(home, _named(bills, file), _said(body, by, comments), wait, as_json=as_json)


def endorse(
    bills: BillsArgument = None,
    to: TitleholderOption = "",
    to_order: ToOrderOption = False,
    blank: BlankOption = False,
    by: ByOption = "",
    comments: CommentsOption = "",
    file: FileOption = None,
    wait: WaitOption = 60.0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Endorse negotiable bills in full, to order or in blank; a party elsewhere gets a notice."""
    action = endorsement(to, to_order=to_order, blank=blank)
    body = {"action": action} | ({} if blank else {"to": to})
    _move_all(home, _named(bills, file), _said(body, by, comments), wait, as_json=as_json)


def surrender(
    bills: BillsArgument = None,
    amendment: AmendmentOption = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Of an amendment: SWTP (to paper), COD or SWI.")
    ] = "",
    by: ByOption = "",
    comments: CommentsOption = "",
    file: FileOption = None,
    wait: WaitOption = 60.0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Surrender bills to their carriers, by way of the platform they were issued on."""
    action = "SURRENDER_FOR_AMENDMENT" if amendment else "SURRENDER_FOR_DELIVERY"
    body: dict[str, Any] = {"action": action} | ({"reason": reason.upper()} if reason else {})
    _move_all(home, _named(bills, file), _said(body, by, comments), wait, as_json=as_json)


def tell(
    bills: BillsArgument = None,
    file: FileOption = None,
    wait: WaitOption = 60.0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell other platforms what is final at the arbiter: a bill issued to a party there."""
    _move_all(home, _named(bills, file), None, wait, as_json=as_json)


def _said(body: dict[str, Any], by: str, comments: str) -> dict[str, Any]:
    more = {"by": by, "comments": comments}
    return body | {name: value for name, value in more.items() if value}


def _party(platform: str, name: str, codes: Sequence[str]) -> dict[str, Any]:
    if not name or not codes:
        raise typer.BadParameter("--at goes with --name and --code")
    return {
        "partyName": name,
        "eblPlatform": platform,
        "identifyingCodes": [code_of(one) for one in codes],
    }


def _attached(file: Path) -> dict[str, str]:
    import base64

    with file.open("rb") as source:
        content = source.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise MalformedError("document_too_large", f"{file.name}: more than {MAX_FILE} bytes")
    media, _ = mimetypes.guess_type(file.name)
    return {
        "name": file.name[:100],
        "mediaType": media or "application/octet-stream",
        "content": base64.b64encode(content).decode("ascii"),
    }


def _named(bills: Sequence[str] | None, file: Path | None) -> list[str]:
    """The bills of the arguments and the file, each once."""
    named = list(bills or ())
    if file is not None:
        lines = file.read_text("utf-8").splitlines()
        if len(lines) > MAX_LINES:
            raise MalformedError("file_unusable", f"more than {MAX_LINES} lines")
        named += [line.partition("#")[0].strip() for line in lines]
    found = [one for one in dict.fromkeys(named) if one]
    if not found:
        raise typer.BadParameter("name a bill, or a --file that names some")
    return found


def _move_all(
    home: Path, bills: Sequence[str], body: Mapping[str, Any] | None, wait: float, *, as_json: bool
) -> None:
    """Order all, then wait until all are decided; one that fails keeps no other from going on."""
    with _operator(home) as client, output.bar("bills") as shown:
        moves = []
        for bill in bills:
            moves.append(_order(client, bill, body, alone=len(bills) == 1))
            shown(sum(_decided(one) for one in moves), len(bills))
        _until_decided(client, moves, wait, lambda done: shown(done, len(bills)))
    if as_json:
        output.print_json({"moves": moves})
    else:
        _show_moves("", moves)
    raise typer.Exit(_exit_code(moves))


def _order(
    client: Any, bill: str, body: Mapping[str, Any] | None, *, alone: bool
) -> dict[str, Any]:
    path = f"/v1/ebl/bills/{bill}/"
    try:
        if body is None:
            answer = client.post(path + "news")
        else:
            answer = client.post(path + "moves", {**body, "wait": 0})
    except TradeError as error:
        if alone:
            raise
        said = {lang: error.problem(lang).get("title", error.code) for lang in ("en", "zh")}
        # What could not be asked is not refused (R13): the same words again find out.
        outcome = "pending" if error.retryable else "refused"
        return {"asked": bill, "outcome": outcome, "code": error.code, "message": said}
    return {"asked": bill, **answer}


def _until_decided(
    client: Any, moves: list[dict[str, Any]], wait: float, told: Callable[[int], None]
) -> None:
    """Look again at what is open until it is decided or the time is over."""
    end = time.monotonic() + wait
    while (left := [one for one in moves if _is_open(one)]) and time.monotonic() < end:
        for one in left:
            if "transfer" in one:
                one |= client.get(f"/v1/ebl/outgoing/{one['transfer']}")
            elif client.get(f"/v1/titles/{one['title']}")["final"]:
                one |= {"outcome": "final", "state": "recorded"}
        told(sum(_decided(one) for one in moves))
        if any(map(_is_open, moves)):
            time.sleep(POLL_SECONDS)


def _decided(move: Mapping[str, Any]) -> bool:
    return bool(move["outcome"] != "pending")


def _is_open(move: Mapping[str, Any]) -> bool:
    """Whether the node has it in hand, so that it is worth looking again."""
    return not _decided(move) and ("transfer" in move or "title" in move)


def _exit_code(moves: Sequence[Mapping[str, Any]]) -> output.ExitCode:
    outcomes = {one["outcome"] for one in moves}
    if "refused" in outcomes:
        return output.ExitCode.REFUSED
    return output.ExitCode.UNREACHABLE if "pending" in outcomes else output.ExitCode.OK


def _show_moves(title: str, moves: Sequence[Mapping[str, Any]]) -> None:
    columns = ("bill", "what", "to", "platform", "outcome", "why")
    output.table(title, columns, [_move(one) for one in moves])


def _move(one: Mapping[str, Any]) -> tuple[object, ...]:
    why = one.get("message", {}).get(output.lang(), "") or one.get("code", "")
    if one.get("reason"):
        why = f"{why} “{one['reason']}”"
    state = one.get("state", "")
    outcome = one["outcome"]
    return (
        one.get("asked") or one.get("transportDocumentReference"),
        _words(one.get("action", "")),
        one.get("to") or "",
        one.get("platform") or "",
        f"{outcome}, {state}" if state and state != outcome else outcome,
        why,
    )


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
