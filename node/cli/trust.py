"""`pratique trust …`: the member list: showing, proposing, comparing, signing, carrying it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import changes, output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from node.cli.resolving import resolve
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.operator import OperatorClient

_WORDS = {
    "changes": ("Changes", "变更"),
    "follows": ("What follows", "后果"),
    "nothing": ("nothing changes for anybody's documents", "任何人的单证均不受影响"),
    "unsigned": ("nothing was signed", "未签名"),
    "force": ("in force", "已生效"),
    "more": (
        "signatures: {have} of {need}; the other roots sign next",
        "已有{have}个签名，共需{need}个；请其余根密钥持有人签名",
    ),
    "new": ("; {have} of {need} of the new roots", "；新根密钥已签{have}个，共需{need}个"),
    "version": ("version {number}: {what}", "第{number}版：{what}"),
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="The member list: who is in the network and may do what.", no_args_is_help=True
    )
    group.callback()(_nothing)
    for name, function in (
        ("show", show),
        ("ask", ask),
        ("refuse", refuse),
        ("propose", propose),
        ("diff", diff),
        ("sign", sign),
        ("new-root", new_root),
        ("import", import_),
        ("export", export),
        ("resolve", resolve),
    ):
        group.command(name)(function)
    app.add_typer(group, name="trust")


def _nothing() -> None:
    pass


def show(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Requests and proposals that wait.")
    ] = False,
    at: Annotated[
        str | None, typer.Option("--at", help="The list that was in force at another moment.")
    ] = None,
    payload: Annotated[
        bool, typer.Option("--list", help="The list itself as JSON, for editing.")
    ] = False,
) -> None:
    """Show the member list in force, or what waits for signatures."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        if payload:
            output.print_json(client.get("/v1/trust/list"))
            return
        asked = {} if at is None else {"at": changes.moment(at)}
        body = client.get("/v1/trust/requests" if pending else "/v1/trust", **asked)
    if as_json:
        output.print_json(body)
    elif pending:
        _show_pending(body)
    else:
        _show_list(body)


def _show_list(body: dict[str, Any]) -> None:
    roots = body["roots"]
    kind = output.say("test network" if body["test"] else "network")
    needed = output.say("{threshold} of", threshold=roots["threshold"])
    output.pairs(f"{body['name']} ({kind})", [
        ("network id", body["network"]),
        ("version", body["version"]),
        ("digest", body["digest"]),
        ("expires", f"{body['expires']} ({output.say(body['freshness'])})"),
        ("roots", f"{needed} {', '.join(roots['keys'])}"),
        ("requests waiting", body["pending"]),
    ])  # fmt: skip
    output.table(
        "Nodes",
        ("did", "name", "country", "roles", "endpoint"),
        [
            (one["did"], one["name"], one["country"], ", ".join(one["roles"]), one["endpoint"])
            for one in body["nodes"]
        ],
    )
    output.table(
        "Rights to issue",
        ("did", "type", "country", "office", "delegated by", "until"),
        [
            (one["did"], one["documentType"], one["country"], one.get("office"),
             one.get("delegatedBy"), one.get("validUntil"))
            for one in body["issuers"]
        ],
    )  # fmt: skip
    output.table(
        "Recognition agreements",
        ("id", "verifier", "accepts from", "types", "since", "until"),
        [
            (one["id"], one["verifier"], one["issuer"],
             ", ".join((*one["documentTypes"], *one.get("aeoClasses", ()))),
             one["validFrom"], one.get("validUntil"))
            for one in body["agreements"]
        ],
    )  # fmt: skip


def _show_pending(body: dict[str, Any]) -> None:
    output.table(
        "Requests to join",
        ("request", "did", "name", "country", "roles", "wants", "missing"),
        [
            (one["id"], one["did"], one["name"], one["country"], ", ".join(one["roles"]),
             ", ".join(one["wants"]), "; ".join(one["missing"]))
            for one in body["requests"]
        ],
    )  # fmt: skip
    output.table(
        "Proposals",
        ("version", "signatures", "changes"),
        [
            (one["version"], output.say("{signatures} of {threshold}", **one),
             "; ".join(one["changes"]))
            for one in body["proposals"]
        ],
    )  # fmt: skip


def refuse(
    requests: Annotated[list[str], typer.Argument(help="Ids of requests that wait.")],
    why: Annotated[str, typer.Option("--why", help="The reason, kept with the refusal.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Let requests to join wait no longer that no list is to grant, or not to grant whole.

    Who asks is told `dropped`; what a list has granted already stays.
    """
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.post("/v1/trust/refuse", {"requests": requests, "why": why})
    output.line(f"{len(body['requests'])} refused")


def ask(
    home: HomeOption = DEFAULT_HOME,
    party: Annotated[
        list[str] | None,
        typer.Option(help="DID=NAME of a party with its title key here; may be repeated."),
    ] = None,
    issuer: Annotated[list[str] | None, typer.Option(help="Ask for: " + changes.RIGHT_HELP)] = None,
    as_json: JsonOption = False,
) -> None:
    """As a member, ask the roots to list hosted parties, rights and keys made since."""
    from node.operator import operator

    body = {
        "wants": [changes.read_right(text) for text in issuer or []],
        "parties": [_party(text) for text in party or []],
    }
    with operator(home, lang=output.lang()) as client:
        answer = client.post("/v1/trust/ask", body)
    if as_json:
        output.print_json(answer)
    else:
        output.line(f"asked: pratique trust sign {answer['id']} at a node with a root")


def _party(text: str) -> dict[str, str]:
    """DID=NAME as the API takes it."""
    did, equals, name = text.partition("=")
    if not equals or not name:
        raise MalformedError("right_malformed", "write did:web:exporter.example=Name")
    return {"did": did, "name": name}


def propose(
    home: HomeOption = DEFAULT_HOME,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="The proposal's file to write.")
    ] = None,
    requests: changes.Requests = None,
    everything: changes.Everything = False,
    issuer: changes.Issuer = None,
    grant_wanted: changes.GrantWanted = False,
    agreement: changes.AgreementOption = None,
    end: changes.EndKey = None,
    end_node: changes.EndNode = None,
    end_right: changes.EndRight = None,
    end_agreement: changes.EndAgreement = None,
    compromised: changes.Compromised = None,
    refuse_algorithm: changes.RefuseAlgorithm = None,
    anchor: changes.Anchor = None,
    arbiter: changes.ArbiterFile = None,
    anchor_contract: changes.AnchorContractFile = None,
    witness: changes.Witness = None,
    known_key: changes.Known = None,
    quorum: changes.Quorum = None,
    registry: changes.Registry = "",
    add_root: changes.AddRoot = None,
    remove_root: changes.RemoveRoot = None,
    threshold: changes.Threshold = None,
    edited: changes.Edited = None,
    anyway: changes.Anyway = False,
    days: changes.Days = changes.TERM_DAYS,
    expires: changes.Expires = None,
    as_json: JsonOption = False,
) -> None:
    """Draft the next member list as a file, unsigned, and show what it would change.

    Without any change it renews the list. Sign the file with trust sign FILE where the roots are.
    """
    given = {name: value for name, value in locals().items() if name not in _NO_CHANGE}
    body = changes.wish(**given)
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        answer = client.post("/v1/trust/propose", body)
    place = file or Path(f"member-list-{answer['version']}.proposal.json")
    _write(place, answer["proposal"])
    if as_json:
        output.print_json(answer)
        return
    _show_effect(answer)
    output.progress(f"written to {place}; next: pratique trust sign {place}")


_NO_CHANGE = frozenset({"home", "file", "as_json"})


def _write(file: Path, proposal: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(proposal, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


def diff(
    file: Annotated[Path, typer.Argument(help="A proposal's file.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what a proposal would change, and whose documents would stop or start to count."""
    from node.operator import operator
    from node.verification.offline import read_capped
    from protocols.member_list import MEDIA_TYPE
    from protocols.members.trust import MAX_BYTES

    data = read_capped(file, MAX_BYTES)
    with operator(home, lang=output.lang()) as client:
        headers = {"Content-Type": MEDIA_TYPE}
        answer = json.loads(client.request("POST", "/v1/trust/diff", data, headers=headers).body)
    if as_json:
        output.print_json(answer)
        return
    _show_effect(answer)
    output.line(_version(answer, dry_run=False))


def sign(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Proposal files, or requests to admit; none signs all proposals."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    everything: changes.Everything = False,
    issuer: changes.Issuer = None,
    grant_wanted: changes.GrantWanted = False,
    agreement: changes.AgreementOption = None,
    end: changes.EndKey = None,
    compromised: changes.Compromised = None,
    refuse_algorithm: changes.RefuseAlgorithm = None,
    arbiter: changes.ArbiterFile = None,
    anchor_contract: changes.AnchorContractFile = None,
    witness: changes.Witness = None,
    known_key: changes.Known = None,
    quorum: changes.Quorum = None,
    registry: changes.Registry = "",
    anyway: changes.Anyway = False,
    days: changes.Days = changes.TERM_DAYS,
    root: Annotated[
        str, typer.Option("--root", help="Sign a file with this root key only, by its id.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the changes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign a proposal with the root keys in this home; with changes, propose and sign at once.

    What reaches the threshold is published by the node. A signed file is written back.
    """
    from node.operator import operator

    files = [Path(one) for one in what or [] if _names_a_file(one)]
    requests = [one for one in what or [] if not _names_a_file(one)]
    given = {name: value for name, value in locals().items() if name not in _NO_WISH}
    with operator(home, lang=output.lang()) as client:
        if files:
            more = {**({"root": root} if root else {}), **({"anyway": True} if anyway else {})}
            answers = [_sign_file(client, file, more, dry_run) for file in files]
        else:
            body = {**changes.wish(**given), "dryRun": dry_run}
            answers = client.post("/v1/trust/sign", body)["signed"]
    if as_json:
        output.print_json({"signed": answers})
        return
    for answer in answers:
        _show_effect(answer)
        output.line(_version(answer, dry_run=dry_run))


def _names_a_file(what: str) -> bool:
    """Whether it is a proposal's file; else it is the id of a request."""
    return _REQUEST.fullmatch(what) is None or Path(what).is_file()


_REQUEST = re.compile(r"[0-9a-f]{64}")
_NO_WISH = frozenset({"what", "home", "root", "dry_run", "as_json", "files", "operator"})


def _sign_file(
    client: OperatorClient, file: Path, more: Mapping[str, Any], dry_run: bool
) -> dict[str, Any]:
    """One file signed by the node, and written back with what it now has."""
    proposal = changes.read_json_file(file)
    if dry_run:
        answer: dict[str, Any] = client.post("/v1/trust/diff", proposal)
        return answer
    body = {"proposal": proposal, **more}
    signed: dict[str, Any] = client.post("/v1/trust/sign", body)["signed"][0]
    _write(file, signed["proposal"])
    return signed


def _word(name: str, **values: object) -> str:
    return _WORDS[name][output.lang() == "zh"].format_map(values)


def _show_effect(answer: Mapping[str, Any]) -> None:
    """What a proposal changes and what follows, before anybody signs."""
    follows = [one["told"] for one in answer["consequences"]] or [_word("nothing")]
    for title, told in (("changes", answer["changes"]), ("follows", follows)):
        output.line(_word(title))
        for one in told:
            output.line(f"  {one}")


def _version(answer: Mapping[str, Any], *, dry_run: bool) -> str:
    if dry_run:
        what = _word("unsigned")
    elif answer["published"]:
        what = _word("force")
    else:
        what = _word("more", have=answer["signatures"], need=answer["threshold"])
        if answer["newThreshold"]:
            more = {"have": answer["newSignatures"], "need": answer["newThreshold"]}
            what += _word("new", **more)
    return _word("version", number=answer["version"], what=what)


def new_root(
    home: HomeOption = DEFAULT_HOME,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
) -> None:
    """Make a root key in this home and write its public part; it counts when a list names it."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        key = client.post("/v1/trust/roots")
    if file is None:
        output.print_json(key)
    else:
        _write(file, key)
        output.line(f"{key['kid']}: pratique trust propose --add-root {file}")


def import_(
    file: Annotated[Path, typer.Argument(help="Lists from trust export, or one signed list.")],
    home: HomeOption = DEFAULT_HOME,
    network_id: Annotated[
        str, typer.Option(help="The network id you were told, where this home holds no list.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Take in member lists from a file, each verified by the one before it."""
    from node.operator import operator
    from node.verification.offline import read_capped
    from protocols.member_list import MAX_EXPORT_BYTES

    data = read_capped(file, MAX_EXPORT_BYTES)
    path = "/v1/trust/import" + (f"?network={network_id}" if network_id else "")
    with operator(home, lang=output.lang()) as client:
        headers = {"Content-Type": "application/json"}
        answer = json.loads(client.request("POST", path, data, headers=headers).body)
    if as_json:
        output.print_json(answer)
        return
    added = ", ".join(map(str, answer["added"])) or "none"
    output.line(f"new versions: {added}; {answer['name']} is at version {answer['version']}")


def export(
    home: HomeOption = DEFAULT_HOME,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
) -> None:
    """Write all versions of the member list to one file, for verifying without a node."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        data = client.request("GET", "/v1/trust/export").body
    if file is None:
        output.line(data.decode())
    else:
        file.write_bytes(data)
        output.progress(f"{len(data)} bytes written to {file}")
