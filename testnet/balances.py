"""What is drawn on consignment A's certificate of origin, at the register that it names (R23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testnet.operator import eventually
from testnet.story.decisions import DECLARATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.run import Run
    from testnet.stage import Issued

CUSTOMS: Final = "nl-customs"
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
