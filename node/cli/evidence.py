"""`pratique evidence export|verify`: one file that proves a consignment's history offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Evidence bundles.", no_args_is_help=True)
    group.command("export")(export)
    group.command("verify")(verify)
    app.add_typer(group, name="evidence")


def export(
    consignment: Annotated[str, typer.Argument(help="The consignment's UCR.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Export all this node holds of a consignment, with its proofs, as one file.

    The file is written whatever its own verdict; the exit code is 0 only when that is PASSED.
    """
    import orjson

    from node.operator import operator

    target = out or Path("evidence.zip")
    output.progress("waiting for the witnesses …")
    with operator(home, lang=output.lang()) as client:
        headers = {"Content-Type": "application/json"}
        body = orjson.dumps({"consignment": consignment})
        answer = client.request("POST", "/v1/evidence", body, headers=headers)
    target.write_bytes(answer.body)
    verdict = answer.headers.get("px-verdict", "")
    told = {"file": str(target), "bytes": len(answer.body), "verdict": verdict}
    if as_json:
        output.print_json(told)
    else:
        output.pairs("Evidence bundle", told.items())
    raise typer.Exit(0 if verdict == "PASSED" else 1)


def verify(
    file: Annotated[Path, typer.Argument(help="The evidence bundle.")],
    trust: Annotated[Path, typer.Option("--trust", help="The member list held here.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle with nothing but this file and the member list: no node, no network."""
    from node.verification import offline, report_view
    from protocols.evidence.verification import verify_bundle

    members = offline.read_trust(trust)
    report = verify_bundle(offline.read_capped(file, offline.MAX_BUNDLE), members)
    body = report.to_json(output.lang())
    if as_json:
        output.print_json(body)
    else:
        report_view.show(body)
    raise typer.Exit(report_view.exit_code(body))
