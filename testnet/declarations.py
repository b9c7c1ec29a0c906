"""Consignment C: an export and an import declaration, both drawn from one set of signed papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testnet.stage import Issued
from testnet.story.decisions import DECLARATIONS
from testnet.story.trade import INVOICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.run import Run

AFTER_OUTAGE: Final = 45.0
#: Side → who declares, number, customs office, procedure.
FILINGS: Final = {
    "export": ("cn-rail", f"CN9012-{INVOICES['C']}", "CN9012", "1000"),
    "import": ("kz-rail", DECLARATIONS["C"], "KZ50417", "4000"),
}
#: What is a side's own to say; everything else is the data set's.
_OWN: Final = frozenset({"documentType", "number", "issueDate", "issuer", "office", "procedure"})
_OWN_MORE: Final = frozenset({"parties", "exportDeclaration", "preference"})


async def from_one_data_set(run: Run) -> None:
    """Steppe Link Rail declares the export; Almaty declares the import of the very same data."""
    stage = run.stage
    made = {"export": await _declare(run, "export")}
    digest, number = made["export"]["digest"], FILINGS["export"][1]
    sent = Issued("cn-rail", digest, number, "export-declaration", "C")
    await stage.send(sent, ["kz-rail"])
    # What waited for that node while it was off goes first, after a back-off of up to 32 s.
    await stage.arrived(sent, ["kz-rail"], deadline=AFTER_OUTAGE)
    made["import"] = await _declare(run, "import")
    sets = {side: declared["dataSet"] for side, declared in made.items()}
    same = sets["export"] == sets["import"]
    stage.expectations.expect("C: both declarations name one data set", same, sets)
    told = {side: _shared(declared["declaration"]) for side, declared in made.items()}
    differing = sorted(
        name
        for name in told["export"].keys() | told["import"].keys()
        if told["export"].get(name) != told["import"].get(name)
    )
    stage.expectations.expect("C: both declare the same", not differing, differing)
    run.declarations = {
        "export": FILINGS["export"][1],
        "import": FILINGS["import"][1],
        "dataSet": sets["export"],
        "papers": len(made["export"]["declaration"]["references"]),
    }
    stage.screen.say("declared", **run.declarations)


async def _declare(run: Run, side: str) -> Mapping[str, Any]:
    actor, number, office, procedure = FILINGS[side]
    stage = run.stage
    order = {
        "consignment": stage.ucr("C"),
        "side": side,
        "number": number,
        "office": office,
        "procedure": procedure,
    }
    made: Mapping[str, Any] = await stage.operators[actor].post("/v1/declarations", order)
    stage.screen.say("issued", actor=actor, document=made["type"], number=made["number"])
    stage.screen.step("C")
    return made


def _shared(declaration: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in declaration.items() if name not in _OWN | _OWN_MORE}
