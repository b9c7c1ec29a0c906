"""`pratique evidence`: files that prove a consignment's history offline, now and in ten years."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import output
from node.cli.options import DEFAULT_HOME, CountryOption, HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Evidence bundles.", no_args_is_help=True)
    group.command("export")(export)
    group.command("verify")(verify)
    group.command("timestamp")(timestamp)
    group.command("renew")(renew)
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
    output.progress(output.say("waiting for the witnesses …"))
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
    file: Annotated[Path, typer.Argument(help="The evidence bundle, or the proof of a fork.")],
    trust: Annotated[Path, typer.Option("--trust", help="The member list held here.")],
    freeze: Annotated[
        list[Path] | None,
        typer.Option("--freeze", help="A signed end of a registry that is known here."),
    ] = None,
    country: CountryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle with nothing but this file and the member list: no node, no network.

    With --country, each document is asked whether that country recognised it on the day of the
    export, by the agreements in force then (verify --at asks for another day).

    A file `fork-….json` of a node's `evidence/` is verified as the proof that a log or a registry
    showed two histories, `title-fork-….json` that a quorum cosigned two histories of one title,
    `member-list-….json` that the roots signed two lists of one version; the exit code is 0 when
    it proves that. A title proven beyond an end given with --freeze is refused.
    """
    from datetime import UTC, datetime

    from node.cli import evidence_forks
    from node.verification import offline, report_view
    from protocols.evidence.verification import verify_bundle
    from protocols.title import registry_freeze

    now = datetime.now(UTC)
    versions = offline.read_versions(trust, now)
    data = offline.read_capped(file, offline.MAX_BUNDLE)
    if data[:1] == b"{":
        if country is not None:
            raise typer.BadParameter("no country is asked about the proof of a fork")
        evidence_forks.show(data, versions, as_json=as_json)
        return
    ends = [offline.read_text(each, registry_freeze.MAX_BYTES) for each in freeze or ()]
    known = registry_freeze.disclosed(ends, versions[-1], registry_freeze.NO_FREEZES)
    report = verify_bundle(
        data, versions[-1], now=now, earlier=versions[:-1], freezes=known, country=country
    )
    body = report.to_json(output.lang())
    if as_json:
        output.print_json(body)
    else:
        report_view.show(body)
        report_view.show_unasked(body)
    raise typer.Exit(report_view.exit_code(body))


def timestamp(
    file: Annotated[
        Path, typer.Argument(help="A document file, or the digest of a document held here.")
    ],
    token: Annotated[
        Path | None, typer.Option("--token", help="A response (RFC 3161) got elsewhere.")
    ] = None,
    query: Annotated[
        Path | None, typer.Option("--query", help="Only write the query, to be answered elsewhere.")
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="With --token: verify it without a node.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Have a document's signature time-stamped, so that it counts after its key has ended.

    The stamp of FILE is written beside it, as NAME.tsr, where verify looks for it; that of a
    document held here is kept by the node and goes into its evidence bundles.
    """
    from node.evidence import renewing

    if query is not None:
        told = renewing.write_query(file, query)
    elif trust is not None:
        told = renewing.take_offline(file, token, trust)
    else:
        told = renewing.stamp_by_node(file, token, home, output.lang())
    if as_json:
        output.print_json(told)
    else:
        output.pairs("Time-stamp", told.items())


def renew(
    paths: Annotated[list[Path], typer.Argument(help="Bundles, folders of them, receipt files.")],
    token: Annotated[
        Path | None, typer.Option("--token", help="The answer to the query, got elsewhere.")
    ] = None,
    work: Annotated[
        Path, typer.Option("--work", help="The folder that remembers how far it came.")
    ] = Path("renewal"),
    by_hand: Annotated[
        bool, typer.Option("--query", help="Stop at the query: WORK/query.tsq awaits an answer.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget a renewal that was begun and begin anew.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Renew the evidence of many bundles with one time-stamp over all of them.

    Run it again after a stop: it goes on where it was, with the same stamp.
    """
    from node.evidence import renewing

    with output.bar("bundles") as progress:
        told = renewing.renew(
            renewing.Wish(tuple(paths), work, token, by_hand, restart),
            lambda data: renewing.ask_node(data, home, output.lang()),
            progress,
        )
    if as_json:
        output.print_json(told)
    else:
        output.pairs("Renewal", told.items())
