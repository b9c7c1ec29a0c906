"""What is left when the story is over: a table, `report.json`, `index.html` with pictures."""

from __future__ import annotations

import json
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from node.trace.picture import history_svg
from node.trace.table import history_table
from protocols.trace import TraceEvent, ordered
from testnet import consignments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from testnet.run import Run

#: Characters of what was seen instead; report.json has all of it.
MAX_SEEN = 400


def write(run: Run) -> dict[str, Any]:
    """Writes `report.json` and `index.html`; the report."""
    report = _report(run)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (run.out / "report.json").write_text(text + "\n", encoding="utf-8")
    (run.out / "index.html").write_text(_page(run, report), encoding="utf-8")
    return report


def _report(run: Run) -> dict[str, Any]:
    failed = run.expectations.failed
    return {
        "held": not failed,
        "seed": run.seed,
        "fast": run.fast,
        "seconds": {"ready": round(run.ready_seconds, 2), "story": round(run.story_seconds, 2)},
        "memoryBytes": run.memory,
        "accounts": run.accounts.to_json(),
        "faults": [fault.to_json() for fault in consignments.injected(run)],
        "chain": run.world.chain.to_json() | {"title": dict(run.title_on_chain)},
        "bill": run.bill_accounts.to_json() | {"endorsementChain": run.chain_command},
        "origin": run.origin,
        "declarations": run.declarations,
        "expectations": {
            "held": len(run.expectations.all) - len(failed),
            "all": [item.to_json() for item in run.expectations.all],
        },
        "files": ["index.html", "evidence-A.zip", "members.json", "report.json"],
    }


def _totals(run: Run, report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of the last table: what, how much."""
    accounts, faults = report["accounts"], report["faults"]
    caught = sum(fault["caught"] for fault in faults)
    rows = [
        ("documents", accounts["documents"]),
        ("messages", accounts["messages"]),
        ("receipts", accounts["receipts"]),
        ("checkpoints", accounts["witnessedCheckpoints"]),
        ("anchors", len(accounts["anchors"])),
        ("faults", f"{len(faults)} / {caught}"),
        ("lost", len(accounts["lost"])),
        ("seconds", report["seconds"]["story"]),
        ("memory", round(report["memoryBytes"] / 2**20)),
        ("expectations", f"{report['expectations']['held']} / {len(run.expectations.all)}"),
    ]
    return [(run.word(f"sum_{name}"), str(value)) for name, value in rows]


def _page(run: Run, report: Mapping[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    text = (resources.files("testnet") / "index.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        lang="zh" if run.lang == "zh" else "en",
        word=run.word,
        totals=_totals(run, report),
        faults=report["faults"],
        bill=_bill(run, report["bill"]),
        declarations=report["declarations"],
        origin=[_case(run, case) for case in report["origin"]],
        chain=_chain(run, report),
        failed=run.expectations.failed,
        pictures=[_picture(run, name) for name in consignments.LANES],
        files=[name for name in report["files"] if name != "index.html"],
    )


def _bill(run: Run, bill: Mapping[str, Any]) -> dict[str, Any]:
    """The bill that moved across platforms: what was counted, and what the auditor's command says.

    Without an answer of that command there is nothing to show.
    """
    shown = bill["endorsementChain"]
    told = shown.get("json", [])
    links = [
        {
            "when": link["actionDateTime"],
            "action": link["actionCode"],
            "by": _party(link["actor"]),
            "to": _party(link.get("recipient")),
        }
        for one in told
        for link in one["endorsementChain"]
    ]
    said = run.word(
        "bill_said",
        entries=bill["chainEntries"],
        receipts=bill["signedReceipts"],
    )
    text = json.dumps(told, ensure_ascii=False, indent=1)
    return {"said": said, "links": links, "json": text, "command": shown.get("command", "")}


def _party(party: Mapping[str, Any] | None) -> str:
    return f"{party['partyName']} ({party['eblPlatform']})" if party else ""


def _case(run: Run, case: Mapping[str, str]) -> dict[str, Any]:
    """One case of the origin question in words."""
    words = {outcome: run.word(f"outcome_{outcome}") for outcome in ("PASSED", "FAILED")}
    return {
        "case": run.word(f"origin_{case['case']}"),
        "rvc": f"{case['rvc']} %",
        "ctsh": words.get(case["ctsh"], case["ctsh"]),
        "verdict": words.get(case["verdict"], case["verdict"]),
        "good": case["verdict"] == "PASSED",
    }


def _chain(run: Run, report: Mapping[str, Any]) -> dict[str, Any]:
    """The chain in sentences, and the newest final anchor of each log."""
    chain, title = report["chain"], report["chain"]["title"]
    newest = {anchor.actor: anchor for anchor in run.accounts.anchors}
    said = [
        run.word(
            "chain_is",
            engine=run.word(f"engine_{chain['engine']}"),
            id=chain["id"],
            finality=chain["finality"],
            anchors=chain["anchors"],
            titles=chain["titles"],
        )
    ]
    if title:
        said.append(run.word("chain_title", **title))
    named = ((run.world.name(actor, run.lang), anchor) for actor, anchor in newest.items())
    return {"said": said, "anchors": list(named)}


def _picture(run: Run, consignment: str) -> dict[str, str | Markup]:
    """One consignment: what it carries, its history as a picture and as a table."""
    events = _events(run, consignment)
    return {
        "ucr": run.stage.ucr(consignment),
        "lane": run.word(f"lane_{consignment.lower()}"),
        "cargo": _cargo(run, consignment),
        "svg": Markup(history_svg(events, run.lang)),  # noqa: S704 made by us
        "table": Markup(history_table(events, run.lang)),  # noqa: S704 made by us
    }


def _cargo(run: Run, consignment: str) -> str:
    """Goods, lane and containers in one sentence or two, from the story."""
    script = run.stage.consignment(consignment)
    goods = script["goods"][0]
    return run.word(
        f"cargo_{consignment.lower()}",
        packages=f"{goods['pkgs']:,}",
        gross=f"{goods['gross_kg']:,}",
        containers=", ".join(script["containers"]),
        lane=script["lane"].replace("-", " → "),
    )


def _events(run: Run, consignment: str) -> list[TraceEvent]:
    """What all nodes tell of a consignment, put together."""
    told = run.traces.get(consignment, {}).values()
    return ordered(TraceEvent.from_json(item) for trace in told for item in trace["events"])


def show(run: Run, report: Mapping[str, Any], *, as_json: bool) -> None:
    """The totals and what was caught, to a person; or the report, to a program."""
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    totals = Table(show_header=False, box=None, padding=(0, 2))
    for what, value in _totals(run, report):
        totals.add_row(what, value)
    faults = Table(title=run.word("faults_head"), title_justify="left")
    for head in ("fault_column", "seen"):
        faults.add_column(run.word(head), overflow="fold")
    for fault in report["faults"]:
        sign = "✔" if fault["caught"] else "✘"
        faults.add_row(f"{sign} {run.word('fault_' + fault['id'])}", fault["seen"])
    console.print(totals, faults, *_shown(run, report))
    for item in run.expectations.failed:
        seen = item.seen if len(item.seen) <= MAX_SEEN else item.seen[:MAX_SEEN] + " …"
        console.print(f"✘ {run.word('not_held')}: {item.name}: {seen}", markup=False)
    files = "  ".join(str(run.out / name) for name in report["files"])
    console.print(f"{run.word('files')}: {files}", markup=False, soft_wrap=True)


def _shown(run: Run, report: Mapping[str, Any]) -> list[RenderableType]:
    """The endorsement chain as the auditor reads it, and the origin in its cases."""
    from rich.table import Table

    found: list[RenderableType] = []
    bill = _bill(run, report["bill"])
    if bill["links"]:
        links = Table(title=f"$ {bill['command']}", title_justify="left")
        for head in ("when", "action", "by", "to"):
            links.add_column(run.word(f"link_{head}"), overflow="fold", no_wrap=head == "action")
        for link in bill["links"]:
            links.add_row(link["when"][11:19], link["action"], link["by"], link["to"])
        found.append(links)
    if report["origin"]:
        cases = Table(title=run.word("origin_head"), title_justify="left")
        for head in ("case", "rvc", "ctsh", "verdict"):
            cases.add_column(run.word(f"origin_{head}"), overflow="fold")
        for case in (_case(run, item) for item in report["origin"]):
            cases.add_row(case["case"], case["rvc"], case["ctsh"], case["verdict"])
        found.append(cases)
    return found


def show_addresses(run: Run, *, as_json: bool) -> None:
    """Where the nodes answer that ``--keep`` left running, and how to stop them."""
    if as_json:
        return
    sys.stdout.write(f"{run.word('urls')}:\n")
    for name, url in run.urls().items():
        sys.stdout.write(f"  {name:<12} {url}\n")
    sys.stdout.write(f"{run.word('stop')} --out {run.out}\n")
