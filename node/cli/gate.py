"""`pratique gate …`: set a gate up, visit the register, and decide about trucks without a network.

A gate has a folder of its own (`--gate`). Only `init`, `sync`, `end`, `registered` and `present`
speak to a node (`--home`); everything else needs nothing but that folder.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import orjson
import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from schemas.errors import MalformedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.gate.process import Gate

GateOption = Annotated[
    Path, typer.Option("--gate", envvar="PRATIQUE_GATE", help="The gate's own folder.")
]
DEFAULT_GATE = Path("pratique-gate")
VehicleOption = Annotated[str, typer.Option("--vehicle", help="The plate seen at the gate.")]
ContainerOption = Annotated[str, typer.Option("--container", help="The container on the truck.")]
OrderOption = Annotated[str, typer.Option("--order", help="Digest of the release order.")]
ChallengeOption = Annotated[str, typer.Option("--challenge", help="The gate's question.")]
MAX_LINE = 64 * 1024


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Gates, also without a network.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "init": init,
        "registered": registered,
        "end": end,
        "sync": sync,
        "take": take,
        "list": list_leases,
        "challenge": challenge,
        "present": present,
        "admit": admit,
        "manual": manual,
        "journal": journal,
        "serve": serve,
    }
    for name, function in commands.items():
        group.command(name)(function)
    app.add_typer(group, name="gate")


@contextmanager
def _gate(folder: Path) -> Iterator[Gate]:
    from node.gate.process import Gate

    gate = Gate(folder)
    try:
        yield gate
    finally:
        gate.close()


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())


def _now() -> datetime:
    return datetime.now(UTC)


def init(
    name: Annotated[str, typer.Option("--name", help="The gate's name, unique at its register.")],
    group: Annotated[str, typer.Option("--group", help="The gate group, e.g. NLRTM-1.")],
    gate: GateOption = DEFAULT_GATE,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a gate with a key of its own and register it at the port's node."""
    from node.gate.process import Gate, GateSettings

    with _operator(home) as client:
        told = client.get("/v1/gates")["register"]
        settings = GateSettings(
            name=name,
            group=group,
            network=told["network"],
            register=told["did"],
            register_kid=told["kid"],
            register_key=told["key"],
        )
        made = Gate.init(gate, settings)
        try:
            client.post("/v1/gates", {"name": name, "group": group, "key": made.public})
        finally:
            made.close()
    output.line(f"gate {name} of {group} in {gate}")


def registered(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the gates of a register."""
    with _operator(home) as client:
        body = client.get("/v1/gates")
    if as_json:
        output.print_json(body)
        return
    lines = [
        (one["name"], one["group"], one["registeredAt"], "ended" if one["ended"] else "")
        for one in body["items"]
    ]
    output.table("Gates", ("name", "group", "since", ""), lines)


def end(
    name: Annotated[str, typer.Argument(help="The gate's name.")], home: HomeOption = DEFAULT_HOME
) -> None:
    """Lease nothing to that gate any more."""
    with _operator(home) as client:
        client.post(f"/v1/gates/{quote(name)}/end", {})
    output.line(f"gate {name} ended")


def sync(
    gate: GateOption = DEFAULT_GATE, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Visit the register: hand the journal in, get leases and notices. Twice where one was void."""
    with _gate(gate) as here, _operator(home) as client:
        for _ in range(100):
            done = visit(here, client)
            if not done["again"]:
                break
    if as_json:
        output.print_json(done)
    else:
        output.line(f"{done['leases']} leased, {done['notices']} taken back")


def visit(here: Gate, client: Any) -> dict[str, Any]:
    """One visit; `again` when the journal has lines that the register does not know yet."""
    path = f"/v1/gates/{quote(here.settings.name)}/visit"
    lines = here.store.journal(after=here.store.told())
    body = client.post(path, {"journal": [text for _, text in lines]})
    here.confirmed(body["confirmed"])
    for text in body["notices"]:
        here.take_notice(text, _now())
    for text in body["leases"]:
        here.take_lease(text)
    again = bool(here.store.journal(after=here.store.told(), limit=1))
    counts = {name: len(body[name]) for name in ("leases", "notices", "used")}
    return counts | {"confirmed": body["confirmed"], "again": again}


def take(
    file: Annotated[Path, typer.Argument(help="A file with signed notices, one per line.")],
    gate: GateOption = DEFAULT_GATE,
) -> None:
    """Take in notices of orders taken back that came by other ways than the network."""
    from node.verification.offline import read_capped

    texts = read_capped(file, 1024 * 1024).decode("ascii", "replace").split()
    with _gate(gate) as here:
        for text in texts:
            in_time = here.take_notice(text, _now())
            output.line("taken back" if in_time else "too late: used before")


def list_leases(gate: GateOption = DEFAULT_GATE, as_json: JsonOption = False) -> None:
    """List what this gate may open for, and what became of it."""
    with _gate(gate) as here:
        found = [
            {
                "order": lease.order,
                "number": lease.number,
                "container": lease.container,
                "vehicle": lease.vehicle,
                "until": f"{lease.not_after:%Y-%m-%dT%H:%M:%SZ}",
                "state": "used" if used else "void" if void else "open",
            }
            for lease, void, used in here.leases()
        ]
    if as_json:
        output.print_json(found)
        return
    columns = ("number", "container", "vehicle", "until", "state")
    lines = [tuple(one[name] for name in columns) for one in found]
    output.table("Leased orders", columns, lines)


def challenge(gate: GateOption = DEFAULT_GATE) -> None:
    """Ask a new question, which the collector signs."""
    with _gate(gate) as here:
        output.line(here.challenge(_now()))


def present(
    order: OrderOption,
    question: ChallengeOption,
    vehicle: VehicleOption,
    by: Annotated[
        str | None, typer.Option("--by", help="DID of the collector; default this node.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Sign a gate's question for the collector, at the node that has its key."""
    body = {"order": order, "challenge": question, "vehicle": vehicle}
    with _operator(home) as client:
        answer = client.post("/v1/gate-presentations", body | ({"by": by} if by else {}))
    output.line(answer["proof"])


def admit(
    order: OrderOption,
    container: ContainerOption,
    vehicle: VehicleOption,
    question: ChallengeOption,
    proof: Annotated[str, typer.Option("--proof", help="The collector's signed answer.")],
    condition: Annotated[
        str, typer.Option("--condition", help="SOUND or DAMAGED, where somebody looked.")
    ] = "",
    seal: Annotated[
        list[str] | None, typer.Option("--seal", help="A seal seen; may be repeated.")
    ] = None,
    remarks: Annotated[str, typer.Option("--remarks", help="What is damaged.")] = "",
    gate: GateOption = DEFAULT_GATE,
    as_json: JsonOption = False,
) -> None:
    """Decide about one truck. Exit code 0: the order is spent, open the barrier."""
    from protocols.release.gate import Arrival

    with _gate(gate) as here:
        arrival = Arrival(order, container, vehicle, proof, condition, tuple(seal or ()), remarks)
        lease = here.admit(arrival, question, _now())
    if as_json:
        output.print_json({"open": True, "order": lease.order, "container": lease.container})
    else:
        output.line(f"OPEN  {lease.container}  {vehicle}  {lease.number}")


def manual(
    container: ContainerOption,
    vehicle: VehicleOption,
    person: Annotated[str, typer.Option("--person", help="Who opens.")],
    reason: Annotated[str, typer.Option("--reason", help="Why there is no leased order.")],
    gate: GateOption = DEFAULT_GATE,
) -> None:
    """Record that a person opened by the manual procedure."""
    with _gate(gate) as here:
        here.manual(container, vehicle, person, reason, _now())
    output.line("recorded")


def journal(gate: GateOption = DEFAULT_GATE, as_json: JsonOption = False) -> None:
    """Show what this gate did, from the first line on."""
    from node.gate.store import summary

    found: list[dict[str, Any]] = []
    with _gate(gate) as here:
        for _ in range(10_000):
            page = here.store.journal(after=len(found))
            found += [summary(text) for _, text in page]
            if not page:
                break
    if as_json:
        output.print_json(found)
        return
    columns = ("seq", "at", "kind", "container", "vehicle", "code", "person", "reason")
    lines = [tuple(str(one.get(name, "")) for name in columns) for one in found]
    output.table("Journal", columns, lines)


def serve(gate: GateOption = DEFAULT_GATE) -> None:
    """Serve a barrier's controller: one JSON object per line in, one per line out.

    {"do": "challenge"}; {"do": "admit", "order", "container", "vehicle", "challenge", "proof",
    "condition"?, "seals"?, "remarks"?}; {"do": "notice", "text"}. Ends with its input.
    """
    with _gate(gate) as here:
        while True:
            line = sys.stdin.buffer.readline(MAX_LINE + 1)
            if not line:
                return
            sys.stdout.write(orjson.dumps(_served(here, line)).decode() + "\n")
            sys.stdout.flush()


def _served(here: Gate, line: bytes) -> dict[str, Any]:
    try:
        return _do(here, line)
    except TradeError as error:
        return {"open": False, "code": error.code, "detail": error.detail}


def _do(here: Gate, line: bytes) -> dict[str, Any]:
    from protocols.fields import Fields
    from protocols.release.gate import MAX_TEXT, Arrival
    from schemas import strict_json

    fields = Fields(strict_json.loads_object(line, max_bytes=MAX_LINE), "gate_malformed")
    what = fields.text("do", max_length=20)
    if what == "challenge":
        return {"challenge": here.challenge(_now())}
    if what == "notice":
        return {"inTime": here.take_notice(fields.text("text", max_length=MAX_TEXT), _now())}
    if what != "admit":
        raise MalformedError("gate_malformed", "do is challenge, admit or notice")
    arrival = Arrival(
        fields.digest("order").hex(),
        fields.text("container", max_length=20),
        fields.text("vehicle", max_length=20),
        fields.text("proof", max_length=MAX_TEXT),
        fields.optional_text("condition", max_length=10) or "",
        fields.texts("seals", max_length=15, max_items=20),
        fields.optional_text("remarks", max_length=500) or "",
    )
    lease = here.admit(arrival, fields.text("challenge", max_length=64), _now())
    return {"open": True, "order": lease.order, "container": lease.container}
