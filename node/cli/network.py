"""`pratique init` and `join`: setting up a node, founding a network, asking to be in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.changes import RIGHT_HELP, TERM_DAYS, read_right
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from node.operator import OperatorClient


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("init")(init)
    app.command("join")(join)


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
    issuer: Annotated[list[str] | None, typer.Option(help=RIGHT_HELP)] = None,
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


def join(
    network_url: Annotated[str, typer.Option(help="The address of any node of the network.")] = "",
    network_id: Annotated[str, typer.Option(help="The network id you were told, 64 digits.")] = "",
    home: HomeOption = DEFAULT_HOME,
    issuer: Annotated[list[str] | None, typer.Option(help="Ask for: " + RIGHT_HELP)] = None,
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
