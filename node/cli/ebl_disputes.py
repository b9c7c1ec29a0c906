"""`pratique ebl disputes …`: chains that contradict each other, and how they are settled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import output
from node.cli.ebl import group_of
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocols.member_list import MemberList
    from protocols.pint.dispute import Evidence, Proven

DisputeArgument = Annotated[str, typer.Argument(help="The dispute's id, from `ebl disputes`.")]
COLUMNS = ("place", "compared", "ours", "theirs")


def register(app: typer.Typer) -> None:
    """Adds to the group `ebl`."""
    group = group_of(app)
    group.command("disputes")(disputes)
    group.command("dispute")(dispute)
    group.command("resolve")(resolve)
    group.command("verify-dispute")(verify_dispute)
    group.command("registries")(registries)


def disputes(
    status: Annotated[str, typer.Option("--status", help="open, kept, replaced …")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List disputes: envelopes that contradicted what a platform knows of a bill (DISE)."""
    with _operator(home) as client:
        found = client.get("/v1/ebl/disputes", status=status or None)["disputes"]
    if as_json:
        output.print_json({"disputes": found})
        return
    rows = [
        (one["id"], one["status"], one["eblID"][:16] + "…", one["platform"],
         "yes" if one["record"] else "", one["openedAt"])
        for one in found
    ]  # fmt: skip
    columns = ("dispute", "status", "bill", "shown by", "marked at registry", "opened")
    output.table("Disputes", columns, rows)


def dispute(
    name: DisputeArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write its evidence to this file.")
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Record it at the registry: the bill stands still there.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one dispute, both signed chains side by side; write its evidence; mark the registry."""
    path = f"/v1/ebl/disputes/{name}"
    with _operator(home) as client:
        shown = client.post(f"{path}/mark", {}) if mark else client.get(path)
        if out is not None:
            out.write_bytes(client.request("GET", f"{path}/evidence").body)
    if as_json:
        output.print_json(shown)
        return
    _show(shown)
    if out is not None:
        output.line(f"evidence: {out}")


def resolve(
    name: DisputeArgument,
    outcome: Annotated[
        str,
        typer.Option(
            "--as",
            help="kept: our chain stands; replaced: theirs does, as the registry says; withdrawn.",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    canonical: Annotated[
        str,
        typer.Option(
            "--canonical", help="Give the bill up: the register's record that counts again."
        ),
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Close a dispute here and, where it is marked, at the registry."""
    body = {"outcome": outcome, "reason": reason} | ({"canonical": canonical} if canonical else {})
    with _operator(home) as client:
        shown = client.post(f"/v1/ebl/disputes/{name}/resolution", body)
    if as_json:
        output.print_json(shown)
    else:
        _show(shown)


def verify_dispute(
    file: Annotated[Path, typer.Argument(help="The evidence, from `ebl dispute ID -o FILE`.")],
    trust: Annotated[Path, typer.Option("--trust", help="The member list held here.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a dispute's evidence with nothing but this file and the member list."""
    from datetime import UTC, datetime

    from node.verification import offline
    from protocols.pint import dispute as evidence
    from protocols.pint.platforms import MemberKeyring

    members = offline.read_trust(trust, datetime.now(UTC))
    read = evidence.read(offline.read_capped(file, evidence.MAX_BYTES))
    proven = evidence.prove(read, members, MemberKeyring(members))
    body = {
        "proven": True,
        "eblID": read.ebl.hex(),
        "parted": proven.parted,
        "signedBoth": list(proven.signed_both),
        "recorded": proven.recorded or _at_arbiter(read, members, proven),
        "places": [one.row.value for one in proven.places],
    }
    if as_json:
        output.print_json(body)
        return
    output.pairs("Dispute", [(key, _text(value)) for key, value in body.items()])
    output.table("Side by side", COLUMNS, _compared(proven))


def _at_arbiter(read: Evidence, members: MemberList, proven: Proven) -> str | None:
    """Which chain the final operations of the bill's title stand for; None without a title."""
    from node.title import news
    from protocols.fields import Fields
    from protocols.pint import dispute as evidence
    from protocols.pint import registries as arbiters

    if read.title is None:
        return None
    fields = Fields(read.title, news.CODE)
    told = news.check_news(fields, fields.digest("arbiter"), members)
    if told.manifest is None or told.manifest.document_checksum != read.ebl:
        return None
    final = {operation.entry for operation, _ in told.operations}
    # A shared beginning stands in both; what comes after it decides.
    apart = proven.places[proven.parted or 0 :]
    ours = [one.left for one in apart if one.left is not None]
    theirs = [one.right for one in apart if one.right is not None]
    return evidence.which(ours, theirs, lambda one: arbiters.offered_entry(one.jws) in final)


def registries(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the control tracking registries that count here, and what guards a bill at each."""
    with _operator(home) as client:
        found = client.get("/v1/ebl/registries")
    if as_json:
        output.print_json(found)
        return
    rows = [(one["uri"], one["keeper"], one["guards"]) for one in found["registries"]]
    output.table("Control tracking registries", ("base URI", "kept by", "guards"), rows)
    if not found["required"]:
        output.line("bills without a registry are taken: only the platforms' word guards them")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _compared(proven: Proven) -> Sequence[tuple[object, ...]]:
    sides = (
        (one.index + 1, one.row.value, *(_platform(side) for side in (one.left, one.right)))
        for one in proven.places
    )
    return list(sides)


def _platform(item: Any) -> str:
    return "" if item is None else f"{item.entry.platform} {item.last.action.value}"


def _show(shown: Mapping[str, Any]) -> None:
    told = [
        ("dispute", shown["id"]),
        ("status", shown["status"] + (f" ({shown['reason']})" if shown["reason"] else "")),
        ("bill", shown["eblID"]),
        ("shown by", shown["platform"]),
        ("registry", shown["registry"] or "none: only the platforms' word"),
        ("marked", shown["record"] or "no"),
        ("signed both", ", ".join(shown["signedBoth"]) or "nobody"),
    ]
    output.pairs("Dispute", told)
    rows = [
        (one["index"] + 1, one["row"], _entry(one["ours"]), _entry(one["theirs"]))
        for one in shown["places"]
    ]
    output.table("Side by side", COLUMNS, rows)


def _entry(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    steps = (
        f"{one['action']} {one['actor']} → {one['recipient'] or ''}"
        for one in entry["transactions"]
    )
    return f"{entry['platform']}: " + "; ".join(steps)


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
