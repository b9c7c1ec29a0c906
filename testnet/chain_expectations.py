"""What must hold of the chain: it starts, logs are anchored in it, and B's title lives there."""

from __future__ import annotations

import base64
import zipfile
from typing import TYPE_CHECKING, Final

from testnet.chain import UP, ChainFailedError, Stands
from testnet.operator import ProblemError, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from testnet.run import Run

ON_CHAIN: Final = "B"
ANCHORED: Final = 20.0
HEARD: Final = 15.0


async def start(run: Run) -> None:
    """Waits for the chain, then puts both contracts there."""
    process = run.nursery.beside()

    async def look() -> bool | None:
        if run.nursery.exit_code(process) is not None:
            raise ChainFailedError(run.chain_log.read_text(errors="replace")[-500:])
        return await run.chain.is_up()

    begun = await eventually(look, deadline=UP)
    run.expectations.require("the chain answers", bool(begun), begun)
    deployed = await run.chain.deploy(run.world.charter(run.members.network))
    run.expectations.require("both contracts are on the chain", deployed, deployed)
    run.screen.say("chain", engine=run.word(f"engine_{run.world.chain.engine}"))


async def anchored(run: Run) -> None:
    """Every witness anchors what its log now holds; waits until that is final."""
    wanted = {}
    for name in run.world.witnesses:
        operator = run.stage.operators[name]
        wanted[name] = ((await operator.get("/v1/log"))["witnessed"] or {}).get("size", 0)
        await operator.post("/v1/anchors")

    async def look() -> bool:
        for name, size in wanted.items():
            shown = await run.stage.operators[name].get("/v1/anchors")
            if (shown["final"] or {}).get("size", 0) < size:
                return False
        return True

    final = await eventually(look, deadline=ANCHORED, pause=0.2)
    run.expectations.expect("every witness's log is anchored to its end", bool(final), wanted)


async def check(run: Run) -> None:
    """Judges the anchors that lie in the stores, and B's title, by what the chain itself says."""
    found, expect = run.accounts.anchors, run.expectations.expect
    bad = [f"{item.actor} at {item.size}: {item.fault}" for item in found if item.fault]
    expect("every anchor's proof stands", bool(found) and not bad, bad[:5])
    missing = set(run.world.witnesses) - {item.actor for item in found}
    expect("the log of every witness has a final anchor", not missing, sorted(missing))
    blocks = {(item.block, item.block_hash) for item in found}
    other = [at for at, held in blocks if await run.chain.block_hash(at) != held]
    expect("anchors stand in blocks that the chain has", not other, other[:5])
    run.screen.say("anchored", count=len(found))
    await _title(run)


async def _title(run: Run) -> None:
    """One state of B's title at every node, and the same in the contract and its events."""
    title = run.stage.titles.get(ON_CHAIN)
    if title is None:
        return  # The lane ended before, and that is told.
    moves = sorted(await run.chain.moves(bytes.fromhex(title)))
    stands = await run.chain.control(bytes.fromhex(title))
    steps = moves == list(range(1, stands.seq + 1))
    expect = run.expectations.expect
    expect("the title on the chain moved once for each number", steps, (moves, stands))
    told: dict[str, Stands | None] = {}

    async def look() -> bool:
        for name in run.stage.operators:
            told[name] = await _stands(run, name, title)
        return set(told.values()) == {stands}

    await eventually(look, deadline=HEARD, pause=0.2)
    differing = {name: found for name, found in told.items() if found != stands}
    expect("every node shows the title as the contract has it", not differing, differing)
    run.title_on_chain = {
        "consignment": ON_CHAIN,
        "title": title,
        "moves": len(moves),
        "nodes": len(told),
    }


async def _stands(run: Run, name: str, title: str) -> Stands | None:
    """The title by the word of one node; parties as addresses, whose names only some know."""
    try:
        state = (await run.stage.operators[name].get(f"/v1/titles/{title}"))["state"]
    except ProblemError:
        return None
    possessor, holder = (_address(state[member]) for member in ("possessor", "holder"))
    # In the contract a surrendered title has no possessor: it is with the carrier.
    with_carrier = possessor == _address(state["issuer"])
    return Stands(state["seq"], "" if with_carrier else possessor, holder, state["head"])


def _address(party: dict[str, str] | None) -> str:
    """The last 20 bytes of a party's key: an ABI word in base64url."""
    return base64.urlsafe_b64decode(party["key"] + "=")[12:].hex() if party else ""


def evidence(run: Run, file: Path) -> None:
    """The bundle carries the anchors of its receipts, which verifying it (EVI-16) looks at."""
    with zipfile.ZipFile(file) as bundle:
        held = [name for name in bundle.namelist() if name.startswith("anchors/")]
    run.expectations.expect("evidence A holds anchors", bool(held), held)
