"""`pratique title exit`, `verify-exit` and `reliability-report`: a title beyond its node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping

RefArgument = Annotated[
    str, typer.Argument(help="The title's id, or its transport document's reference.")
]


def add_to(group: typer.Typer) -> None:
    """Adds to the group `title`."""
    group.command("exit")(leave)
    group.command("verify-exit")(verify_exit)
    group.command("reliability-report")(reliability_report)


def leave(
    ref: RefArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "title-exit.json"
    ),
    key_of: Annotated[
        str,
        typer.Option(
            "--key-of",
            help="DID of a party hosted here that is to get its own title key; it is recorded.",
        ),
    ] = "",
    key_out: Annotated[
        Path | None, typer.Option("--key-out", help="Where that private key is written.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the file that proves a title if this node disappears.

    No key is in it. Only with --key-of and --key-out a hosted party's private key is copied to a
    file of its own, for that party's hands; the node remembers that for good. From then on it can
    act without this node, and so can whoever gets hold of that file.
    """
    if bool(key_of) != (key_out is not None):
        raise typer.BadParameter("--key-of and --key-out go together")
    with _operator(home) as client:
        answer = client.request("GET", f"/v1/title-exit?{urlencode({'ref': ref})}")
        out.write_bytes(answer.body)
        verdict = answer.headers.get("px-verdict", "")
        told: dict[str, Any] = {"file": str(out), "bytes": len(answer.body), "verdict": verdict}
        if key_out is not None:
            title = _subject(answer.body)
            handed = client.post("/v1/title-exit/key", {"title": title, "party": key_of})
            _copy_key(home, handed["kid"], key_out)
            told["key"] = str(key_out)
    if as_json:
        output.print_json(told)
    else:
        output.pairs("Exit file", told.items())
    raise typer.Exit(0 if verdict == "PASSED" else 1)


def _subject(data: bytes) -> str:
    """The title that an exit file is about, by its own word."""
    from node.title import exit_file

    proof = exit_file.read(data).news["proof"]
    operations = proof.get("state") if isinstance(proof, dict) else None
    if isinstance(operations, dict):
        return str(operations["title"])
    raise typer.BadParameter("keys of titles on a chain are derived; back up keys/titles instead")


def _copy_key(home: Path, kid: str, target: Path) -> None:
    """The party's key file, byte for byte, readable by its owner alone."""
    from node.home import Home, write_private

    for file in sorted((Home(home).keys / "parties").glob("*.pem")):
        data = file.read_bytes()
        if data.startswith(f"kid: {kid}\n".encode()):
            write_private(target, data)
            return
    raise typer.BadParameter("the key is not in this home")


def verify_exit(
    file: Annotated[Path, typer.Argument(help="The exit file.")],
    trust: Annotated[Path, typer.Option("--trust", help="The member list held here.")],
    freeze: Annotated[
        list[Path] | None,
        typer.Option("--freeze", help="A signed end of an arbiter that is known here."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify an exit file with nothing but this file and the member list: no node, no network.

    The whole history is executed again. The report speaks of the moment of the arbiter's proof.
    """
    from datetime import UTC, datetime

    from node.title import exit_file
    from node.verification import offline, report_view
    from protocols.title import registry_freeze

    versions = offline.read_versions(trust, datetime.now(UTC))
    ends = [offline.read_text(each, registry_freeze.MAX_BYTES) for each in freeze or ()]
    known = registry_freeze.disclosed(ends, versions[-1], registry_freeze.NO_FREEZES)
    report = exit_file.verify(offline.read_capped(file, exit_file.MAX_BYTES), versions, known)
    body = report.to_json(output.lang())
    if as_json:
        output.print_json(body)
    else:
        report_view.show(body)
        _show_holder(body)
    raise typer.Exit(report_view.exit_code(body))


def _show_holder(body: Mapping[str, Any]) -> None:
    found = {each["id"]: each.get("evidence", {}) for each in body["checks"]}
    told = {**found.get("EXIT-03", {}), **found.get("EXIT-06", {}), **found.get("EXIT-08", {})}
    output.pairs("Title", [(name, str(value)) for name, value in told.items()])


def reliability_report(
    ref: RefArgument,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """What the laws on electronic titles ask of this one, line by line, with the evidence."""
    with _operator(home) as client:
        found = client.get("/v1/title-reliability", ref=ref)
    if as_json:
        output.print_json(found)
        return
    told = [("title", found["title"]),
            ("governing law", found["governingLaw"] or output.say("not named")),
            ("rules (SHA-256)", found["rulebookDigest"] or output.say("not named")),
            ("exit file", found["verdict"])]  # fmt: skip
    output.pairs("Title", told)
    lang = output.lang()
    rows = [
        (one["law"] + (" *" if one["governs"] else ""), one["clause"],
         one["asks"].get(lang, one["asks"]["en"]), output.say(one["answer"]), _evidence(one))
        for one in found["lines"]
    ]  # fmt: skip
    columns = ("law (* governs)", "clause", "asks", "answer", "evidence")
    output.table("Reliability", columns, rows)
    for law, note in found["cited"].items():
        output.line(f"{law}: {note.get(lang, note['en'])}")


def _evidence(line: Mapping[str, Any]) -> str:
    shown = [f"{name}: {_short(value)}" for name, value in line["evidence"].items() if value]
    tests = ["tests " + ", ".join(line["tests"])] if line["tests"] else []
    return "; ".join([*shown, *tests])


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _operator(home: Path) -> Any:
    from node.operator import operator

    return operator(home, lang=output.lang())
