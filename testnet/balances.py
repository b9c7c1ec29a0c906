"""What is drawn on the certificates of origin of A and B, at the register that they name (R23)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from testnet.operator import ProblemError, eventually
from testnet.story.decisions import DECLARATIONS
from testnet.story.documents import to_bytes
from testnet.story.scene import Scene
from testnet.story.trade import back_to_back_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.run import Run
    from testnet.stage import Issued

CUSTOMS: Final = "nl-customs"
ONWARD_DESK: Final = "sg-customs"
OVERDRAWN: Final = "back_to_back_overdrawn"
ANSWERED: Final = 10.0
SECOND: Final = f"{DECLARATIONS['A']}-2"


async def drawn_twice(run: Run, certificate: Issued) -> Mapping[str, Any]:
    """Customs writes off the first declaration, then a second one claims more than is left.

    The signed answer to the second.
    """
    script, expect = run.stage.consignment("A")["write_off"], run.stage.expectations.expect
    first = await _written_off(run, certificate, DECLARATIONS["A"], script["drawn_kg"])
    told = first.get("answer", {})
    left = (first["outcome"], told.get("left"))
    expect(
        "the first declaration is written off", left == ("GRANTED", str(script["left_kg"])), left
    )
    second = await _written_off(run, certificate, SECOND, script["second_claim_kg"])
    return {"outcome": second["outcome"], **second.get("answer", {})}


async def _written_off(
    run: Run, certificate: Issued, declaration: str, kilograms: int
) -> Mapping[str, Any]:
    """What the register answered; it may take a moment, and nothing is granted before."""
    operator, path = run.stage.operators[CUSTOMS], f"/v1/balances/{certificate.digest}"
    quantity = {"value": str(kilograms), "unit": "KGM"}
    order = {"action": "write-off", "declaration": declaration, "quantity": quantity}
    seen = dict(await operator.post(path, order))

    async def look() -> bool:
        if seen["outcome"] == "INDETERMINATE":
            asked = (await operator.get(path))["asked"]
            seen.update(next(one for one in asked if one["declaration"] == declaration))
        return bool(seen["outcome"] != "INDETERMINATE")

    await eventually(look, deadline=ANSWERED)
    return seen


async def drawn_onward(run: Run, original: Issued) -> None:
    """B goes on from Singapore in parts: one back-to-back certificate, and one that is too much."""
    stage, expect = run.stage, run.stage.expectations.expect
    script, total = (
        stage.consignment("B")["back_to_back"],
        stage.consignment("B")["goods"][0]["qty"],
    )
    first, second = script["first"], script["second"]
    issued = await _certified_onward(run, original, 1, first)
    expect(f"B: {first} packs are certified onward", issued == "", issued)
    refused = await _certified_onward(run, original, 2, second)
    wanted = f"{total - first} H87 left of {second}"
    overdrawn = OVERDRAWN in refused and wanted in refused
    expect(f"B: {wanted}, so no second certificate", overdrawn, refused)
    said = {"first": first, "total": total, "second": second, "left": total - first}
    stage.screen.say("onward", actor=ONWARD_DESK, code=OVERDRAWN, **said)
    stage.screen.step("B")


async def _certified_onward(run: Run, original: Issued, place: int, pieces: int) -> str:
    """Have a back-to-back certificate issued; why not, "" when it was."""
    world = run.stage.world
    scene = Scene(world.story, run.stage.consignment("B"), datetime.now(UTC))
    asked = {"number": f"SG-B2B-{place:04}", "pieces": pieces, "original": original.digest}
    content = back_to_back_certificate(scene, asked)
    payload = base64.b64encode(to_bytes(content)).decode()
    body = {"type": content["documentType"], "payload": payload}
    try:
        await run.stage.operators[ONWARD_DESK].post("/v1/documents", body)
    except ProblemError as problem:
        return str(problem)
    return ""
