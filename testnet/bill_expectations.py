"""What must hold of the bill that moved across platforms: accounts, the auditor's command, replays.

The story's `title` list is the measure: who did what with bill A, on which platform.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from testnet import bill_accounts
from testnet.accounts import decode
from testnet.world import did

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.run import Run

ACROSS: Final = "A"
PLATFORMS: Final = ("nhl", "nl-port")
#: Where the auditor asks, and who never had the bill.
AUDITED, STRANGER = "nl-port", "sg-port"
TITLE_LIST: Final = (
    ("ISSUE", "nhl", "NHLX", "exp-a", "NHLX"),
    ("TRANSFER", "exp-a", "NHLX", "bank", "MDPX"),
    ("ENDORSE", "bank", "MDPX", "imp-a", "MDPX"),
    ("TRANSFER", "bank", "MDPX", "imp-a", "MDPX"),
    ("SURRENDER_FOR_DELIVERY", "imp-a", "MDPX", "nhl", "NHLX"),
    ("SACC", "nhl", "NHLX", "imp-a", "MDPX"),
)
WIDE: Final = "110"
COMMAND_DEADLINE: Final = 30


async def check(run: Run) -> None:
    """Takes the accounts, runs the auditor's command as a process, and sends old envelopes again.

    Without a title there is nothing to look at: the lane ended before, and that is told.
    """
    if ACROSS not in run.stage.titles:
        return
    reference = next(
        item.number
        for item in run.stage.issued
        if item.type == "bill-of-lading" and item.actor == "nhl" and item.consignment == ACROSS
    )
    found = await asyncio.to_thread(bill_accounts.take, run.world, reference, PLATFORMS)
    run.bill_accounts, expect = found, run.expectations.expect
    acted = [(action, platform) for action, _, platform, _, _ in TITLE_LIST]
    told = [(action, platform) for platform, action in found.actions]
    expect("bill A moved as the story's title list says", told == acted, told)
    expect("both platforms keep the same chain texts", not found.differing, found.differing)
    expect("every chain entry is its platform's", not found.bad_entries, found.bad_entries[:5])
    received = found.receipts == 3 and not found.bad_receipts
    expect("every RECE kept is genuine", received, (found.receipts, found.bad_receipts[:5]))
    expect("RECE was said after the acceptance (R20)", not found.disordered, found.disordered[:5])
    await asyncio.gather(_auditor(run, reference), _again(run, reference))


async def _auditor(run: Run, reference: str) -> None:
    """`pratique ebl chain` at one platform, as JSON (END 3.0.4) and as a table."""
    home = str(run.world.actors[AUDITED].home.path)
    command = ["ebl", "chain", reference, "--home", home]
    as_json, as_table = await asyncio.gather(
        _pratique(*command, "--json"), _pratique(*command, "--table")
    )
    run.chain_command = {"command": f"pratique ebl chain {reference}", "table": as_table}
    told = _chains(as_json)
    if not run.expectations.expect("the auditor's command answers", bool(told), as_json[-1000:]):
        return
    run.chain_command["json"] = told
    links = [_link(link) for one in told for link in one["endorsementChain"]]
    wanted = [(action, did(by), at, did(to), there) for action, by, at, to, there in TITLE_LIST]
    # END calls the carrier's acceptance SURRENDERED, and gives it no recipient.
    wanted[-1] = ("SURRENDERED", *wanted[-1][1:3], "", "")
    run.expectations.expect("the auditor reads the story's title list", links == wanted, links)
    run.screen.say("audited", reference=reference, count=len(links))


def _chains(text: str) -> list[Any]:
    """The chains that the command printed; none where it printed why it could not."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _link(link: Mapping[str, Any]) -> tuple[str, ...]:
    actor, recipient = link["actor"], link.get("recipient") or {}
    return (
        link["actionCode"],
        _did_of(actor),
        actor["eblPlatform"],
        _did_of(recipient),
        recipient.get("eblPlatform", ""),
    )


def _did_of(party: Mapping[str, Any]) -> str:
    codes = (code["partyCode"] for code in party.get("identifyingCodes", ()))
    return next((code for code in codes if code.startswith("did:")), "")


async def _pratique(*arguments: str) -> str:
    """What the command prints, on a terminal of fixed width."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "node.cli.main", *arguments],
        env=os.environ | {"COLUMNS": WIDE, "NO_COLOR": "1"},
        capture_output=True,
        timeout=COMMAND_DEADLINE,
        check=False,
    )
    shown = done.stdout if done.returncode == 0 else done.stdout + done.stderr
    return shown.decode(errors="replace")


async def _again(run: Run, reference: str) -> None:
    """NHLX sends the envelope of the transfer again: to whom it went, and to a third platform."""
    envelope = await asyncio.to_thread(_first_envelope, run, reference)
    if not run.expectations.expect("an envelope was received", envelope is not None):
        return
    assert envelope is not None
    twice = await _response(run, AUDITED, envelope)
    run.expectations.expect("the same envelope again is answered DUPE", twice == "DUPE", twice)
    stranger = await _response(run, STRANGER, envelope)
    run.expectations.expect(
        "the same envelope at a third platform is refused, signed", stranger == "BENV", stranger
    )
    forged = json.loads(envelope)
    entry = forged["envelopeTransferChain"][-1]
    head, payload, signature = entry.split(".")
    forged["envelopeTransferChain"][-1] = f"{head}.{payload}.{signature[::-1]}"
    altered = await _response(run, AUDITED, json.dumps(forged).encode())
    run.expectations.expect(
        "an envelope whose last signature is altered is refused, signed",
        altered in {"BSIG", "BENV"},
        altered,
    )


def _first_envelope(run: Run, reference: str) -> bytes | None:
    path = run.world.actors["nhl"].home.database
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        row = store.execute(
            "SELECT o.envelope FROM pint_outgoing o JOIN pint_bills b ON b.document = o.document"
            " WHERE b.reference = ? AND o.state = 'received' ORDER BY o.created_at LIMIT 1",
            (reference,),
        ).fetchone()
    return bytes(row[0]) if row is not None else None


async def _response(run: Run, platform: str, envelope: bytes) -> str:
    """The code of the signed answer, or what came instead."""
    answer = await run.stage.operators[platform].post_for_answer("/v3/envelopes", envelope)
    if not isinstance(answer, str):
        return str(answer)[:500]
    return str(json.loads(decode(answer.split(".")[1])).get("responseCode"))
