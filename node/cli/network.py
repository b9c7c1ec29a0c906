"""`pratique init`, `join`, `trust show|ask|sign|export`: setting up a node and its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from node.cli.resolving import resolve
from schemas.errors import ConflictError, MalformedError, UnavailableError

if TYPE_CHECKING:
    from node.operator import OperatorClient

TERM_DAYS = 365
_RIGHT_HELP = "A right to issue, TYPE:COUNTRY; may be repeated."


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("init")(init)
    app.command("join")(join)
    group = typer.Typer(
        help="The member list: who is in the network and may do what.", no_args_is_help=True
    )
    group.callback()(_nothing)
    for name, function in (
        ("show", show),
        ("ask", ask),
        ("sign", sign),
        ("export", export),
        ("resolve", resolve),
    ):
        group.command(name)(function)
    app.add_typer(group, name="trust")


def _nothing() -> None:
    pass


def init(
    home: Annotated[Path, typer.Argument(help="The folder to make.")],
    did: Annotated[str, typer.Option(help="The node's did:web.")],
    name: Annotated[str, typer.Option(help="The organisation's name.")],
    role: Annotated[list[str], typer.Option(help="port, customs, carrier …; may be repeated.")],
    country: Annotated[str, typer.Option(help="Two-letter country code.")],
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8470,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    public_url: Annotated[str, typer.Option(help="The address peers use, if another.")] = "",
    locode: Annotated[str, typer.Option(help="UN/LOCODE of its place.")] = "",
    platform: Annotated[str, typer.Option(help="Four-character platform code.")] = "",
    found: Annotated[str, typer.Option(help="Found a network of this name.")] = "",
    test: Annotated[bool, typer.Option("--test", help="The new network is for tests.")] = False,
    root_threshold: Annotated[
        int, typer.Option(min=1, max=16, help="Root keys to make, all of which must sign.")
    ] = 1,
    registry: Annotated[
        bool, typer.Option("--registry", help="Make a key to sequence a title registry.")
    ] = False,
    issuer: Annotated[list[str] | None, typer.Option(help=_RIGHT_HELP)] = None,
    credential_algorithm: Annotated[
        str, typer.Option(help="ES256, ES384, Ed25519 or ML-DSA-65, for the credential key.")
    ] = "ES256",
    as_json: JsonOption = False,
) -> None:
    """Make a node's home: settings, keys, store. With --found it founds a network."""
    from node.home import Home
    from node.settings import load
    from node.trust import founding

    place = Home(home)
    table: dict[str, Any] = {
        "node": {
            "did": did,
            "name": name,
            "roles": role,
            "country": country,
            "locode": locode,
            "platform": platform,
        },
        "http": {"host": host, "port": port, "public_url": public_url},
    }
    rights = [read_right(text) for text in issuer or []]
    keys = founding.set_up(
        place,
        table,
        extra=("registry",) if registry else (),
        credential_algorithm=credential_algorithm,
    )
    body: dict[str, Any] = {
        "home": str(place.path),
        "did": did,
        "endpoint": founding.endpoint_of(load(place.settings_file)),
    }
    if found:
        plan = _plan(found, test, root_threshold, did, rights)
        members = founding.found_alone(place, load(place.settings_file), keys, plan)
        body |= {"network": members.network.hex(), "networkName": members.name}
    if as_json:
        output.print_json(body)
        return
    for key, value in body.items():
        output.line(f"{key}: {value}")
    step = f"pratique node run --home {home}"
    output.line(f"next: {step}" if found else f"next: pratique join --home {home} …, then {step}")


def _plan(name: str, test: bool, threshold: int, did: str, rights: list[dict[str, str]]) -> Any:
    """What a founder decides, from the options."""
    from datetime import timedelta

    from node.clock import SystemClock
    from node.trust.founding import Founding
    from protocols import times
    from protocols.member_list import IssuerEntry

    now = times.from_ms(SystemClock().now_ms())
    entries = tuple(
        IssuerEntry(did, right["documentType"], right["country"], now) for right in rights
    )
    return Founding(name, test, now, now + timedelta(days=TERM_DAYS), threshold, entries)


def read_right(text: str) -> dict[str, str]:
    """TYPE:COUNTRY, or DID=TYPE:COUNTRY, as the API takes it."""
    did, equals, right = text.rpartition("=")
    document_type, colon, country = right.partition(":")
    if not colon or not document_type or not country or (equals and not did):
        raise MalformedError("right_malformed", "write certificate-of-origin:CN")
    named = {"did": did} if did else {}
    return {**named, "documentType": document_type, "country": country}


def join(
    network_url: Annotated[str, typer.Option(help="The address of any node of the network.")] = "",
    network_id: Annotated[str, typer.Option(help="The network id you were told, 64 digits.")] = "",
    home: HomeOption = DEFAULT_HOME,
    issuer: Annotated[list[str] | None, typer.Option(help="Ask for: " + _RIGHT_HELP)] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for admission; 0 for none.")] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Ask to be admitted to a network, and wait until its roots have signed.

    Who has asked already waits on: address and id are needed once.
    """
    from node.operator import operator

    wants = [read_right(text) for text in issuer or []]
    with operator(home, lang=output.lang()) as client:
        state = client.get("/v1/trust/join")
        if state["state"] == "none":
            if not network_url or not network_id:
                raise typer.BadParameter("say --network-url and --network-id: nothing was asked")
            body = {"url": network_url, "network": network_id, "wants": wants}
            state = client.post("/v1/trust/join", body)
            output.progress(f"asked; request {state['id']} waits for the roots to sign")
        elif network_id not in {"", state["network"]}:
            raise ConflictError("already_member", f"it asked, or is in, {state['network']}")
        state = _await_admission(client, state, wait)
    if as_json:
        output.print_json(state)
    elif state["state"] == "admitted":
        output.line(f"admitted to {state['name']}, member list version {state['version']}")
    else:
        output.line(f"not admitted yet: pratique trust sign {state['id']} at a node with a root")
    if state["state"] != "admitted" and wait > 0:
        raise UnavailableError("not_admitted_yet", "the roots have not signed in that time")


def _await_admission(client: OperatorClient, state: dict[str, Any], wait: float) -> dict[str, Any]:
    import time

    until = time.monotonic() + wait
    while state["state"] == "pending" and time.monotonic() < until:
        time.sleep(0.5)
        try:
            state = state | client.get("/v1/trust/join")
        except UnavailableError as error:
            if error.code == "node_not_running":
                raise
    return state


def show(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Requests and proposals that wait.")
    ] = False,
) -> None:
    """Show the member list in force, or what waits for signatures."""
    from node.operator import operator

    with operator(home, lang=output.lang()) as client:
        body = client.get("/v1/trust/requests" if pending else "/v1/trust")
    if as_json:
        output.print_json(body)
    elif pending:
        _show_pending(body)
    else:
        _show_list(body)


def _show_list(body: dict[str, Any]) -> None:
    roots = body["roots"]
    kind = "test network" if body["test"] else "network"
    output.pairs(f"{body['name']} ({kind})", [
        ("network id", body["network"]),
        ("version", body["version"]),
        ("digest", body["digest"]),
        ("expires", f"{body['expires']} ({body['freshness']})"),
        ("roots", f"{roots['threshold']} of {', '.join(roots['keys'])}"),
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
        ("did", "type", "country", "office", "until"),
        [
            (one["did"], one["documentType"], one["country"], one.get("office"),
             one.get("validUntil"))
            for one in body["issuers"]
        ],
    )  # fmt: skip
    output.table(
        "Recognition agreements",
        ("verifier", "accepts from", "types", "since"),
        [
            (one["verifier"], one["issuer"], ", ".join(one["documentTypes"]), one["validFrom"])
            for one in body["agreements"]
        ],
    )


def _show_pending(body: dict[str, Any]) -> None:
    output.table(
        "Requests to join",
        ("request", "did", "name", "country", "roles", "wants"),
        [
            (one["id"], one["did"], one["name"], one["country"], ", ".join(one["roles"]),
             ", ".join(one["wants"]))
            for one in body["requests"]
        ],
    )  # fmt: skip
    output.table(
        "Proposals",
        ("version", "signatures", "changes"),
        [
            (one["version"], f"{one['signatures']} of {one['threshold']}",
             "; ".join(one["changes"]))
            for one in body["proposals"]
        ],
    )  # fmt: skip


def ask(
    home: HomeOption = DEFAULT_HOME,
    party: Annotated[
        list[str] | None,
        typer.Option(help="DID=NAME of a party with its title key here; may be repeated."),
    ] = None,
    issuer: Annotated[list[str] | None, typer.Option(help="Ask for: " + _RIGHT_HELP)] = None,
    as_json: JsonOption = False,
) -> None:
    """As a member, ask the roots to list hosted parties, rights and keys made since."""
    from node.operator import operator

    body = {
        "wants": [read_right(text) for text in issuer or []],
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


def sign(
    request: Annotated[
        list[str] | None, typer.Argument(help="Requests to admit; none signs proposals.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    everything: Annotated[bool, typer.Option("--all", help="Admit all that wait.")] = False,
    issuer: Annotated[
        list[str] | None,
        typer.Option(
            help="Grant TYPE:COUNTRY to the admitted (else to this node), or "
            "DID=TYPE:COUNTRY; may be repeated."
        ),
    ] = None,
    grant_wanted: Annotated[
        bool, typer.Option("--grant-wanted", help="Grant the rights they asked for.")
    ] = False,
    agreement: Annotated[
        list[str] | None, typer.Option(help="VERIFIER:ISSUER:TYPE,TYPE; may be repeated.")
    ] = None,
    end: Annotated[
        list[str] | None, typer.Option(help="Id of a key that ends now; may be repeated.")
    ] = None,
    compromised: Annotated[
        list[str] | None,
        typer.Option(help="KID=TIME: a key in foreign hands since then; may be repeated."),
    ] = None,
    refuse_algorithm: Annotated[
        list[str] | None,
        typer.Option(help="ID=TIME: an algorithm refused from then on; may be repeated."),
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="DID of a witness of all logs; may be repeated.")
    ] = None,
    quorum: Annotated[int | None, typer.Option(help="Witnesses that must cosign.")] = None,
    registry: Annotated[str, typer.Option(help="DID that sequences the title registry.")] = "",
    days: Annotated[int, typer.Option(help="Days until the new list expires.")] = TERM_DAYS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the changes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign the next member list with the root keys in this home."""
    from node.operator import operator

    body: dict[str, Any] = {
        "requests": request or [],
        "all": everything,
        "issuers": [read_right(text) for text in issuer or []],
        "grantWanted": grant_wanted,
        "agreements": [_agreement(text) for text in agreement or []],
        "ended": end or [],
        "compromised": [_compromise(text) for text in compromised or []],
        "algorithms": [_algorithm(text) for text in refuse_algorithm or []],
        "witnesses": witness or [],
        "days": days,
        "dryRun": dry_run,
        **({"quorum": quorum} if quorum is not None else {}),
        **({"registry": registry} if registry else {}),
    }
    with operator(home, lang=output.lang()) as client:
        answer = client.post("/v1/trust/sign", body)
    if as_json:
        output.print_json(answer)
    else:
        _show_signed(answer, dry_run)


def _show_signed(answer: dict[str, Any], dry_run: bool) -> None:
    for one in answer["signed"]:
        for change in one["changes"]:
            output.line(f"  {change}")
        output.line(f"version {one['version']}: {_standing(one, dry_run)}")


def _compromise(text: str) -> dict[str, str]:
    """KID=TIME as the API takes it."""
    kid, equals, since = text.rpartition("=")
    if not equals:
        raise MalformedError("right_malformed", "write KID=2026-11-18T06:00:00Z")
    return {"kid": kid, "since": since}


def _algorithm(text: str) -> dict[str, str]:
    """ID=TIME as the API takes it."""
    name, equals, until = text.partition("=")
    if not equals:
        raise MalformedError("right_malformed", "write ES256=2035-01-01T00:00:00Z")
    return {"id": name, "until": until}


def _standing(one: dict[str, Any], dry_run: bool) -> str:
    if dry_run:
        return "nothing was signed"
    if one["published"]:
        return "in force"
    return f"{one['signatures']} of {one['threshold']} signatures; the other roots sign next"


def _agreement(text: str) -> dict[str, Any]:
    """VERIFIER:ISSUER:TYPE,TYPE as the API takes it."""
    parts = text.split(":")
    if len(parts) != 3:
        raise MalformedError("right_malformed", "write NL:CN:certificate-of-origin")
    return {"verifier": parts[0], "issuer": parts[1], "documentTypes": parts[2].split(",")}


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
