"""The verbs of the story for bills across platforms: issuance (ISS), transfers (PINT), surrender.

Each acts through a node's operator API, as `pratique ebl` does; the nodes do the rest among each
other. What is required here is what a person at that desk would see: a signed answer, a title that
is final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testnet.operator import eventually
from testnet.stage import FINALITY
from testnet.world import did

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testnet.stage import Issued, Stage

ANSWER: Final = 20.0
WAIT: Final = 10


async def issue(stage: Stage, consignment: str, bill: Issued, holder: str) -> str:
    """The carrier puts its bill before the platform of `holder`; the title's id once it is final.

    The endorsee is the one that the bill names.
    """
    platform = stage.world.platform_of(holder)
    body = {
        "document": bill.digest,
        "issueTo": {
            "partyName": stage.world.name(holder),
            "sendToPlatform": platform,
            "identifyingCodes": [
                {"codeListProvider": "W3C", "codeListName": "DID", "partyCode": did(holder)}
            ],
        },
    }
    carrier = stage.operators[bill.actor]
    await carrier.post("/v1/ebl/issuances", body)
    told: dict[str, Any] = {}

    async def look() -> bool:
        found = await carrier.get("/v1/ebl/issuances", reference=bill.number, side="carrier")
        told.update(found["issuances"][0])
        return bool(told["state"] == "issued" and await carrier.has(f"/v1/titles/{told['title']}"))

    issued = await eventually(look, deadline=ANSWER)
    stage.expectations.require(f"{platform} answers ISSU to bill {consignment}", bool(issued), told)
    title = str(told["title"])
    stage.titles[consignment] = title
    await stage.settled(consignment, bill.actor, title, "ISSUE", bill.number)
    return title


async def move(
    stage: Stage, consignment: str, actor: str, action: str, by: str, to: str | None = None
) -> None:
    """A party at `actor` does something with its bill; done when it is final, and told by PINT."""
    title = stage.titles[consignment]
    await stage.heard(actor, title, action)
    answer = await order(stage, actor, title, action, by, to)
    await done(stage, consignment, actor, action, by, answer)


async def order(
    stage: Stage, actor: str, title: str, action: str, by: str, to: str | None = None
) -> Mapping[str, Any]:
    """The node's first answer; raises ProblemError with the signed refusal of the arbiter."""
    body: dict[str, Any] = {"action": action, "by": did(by), "wait": WAIT}
    if to:
        body["to"] = did(to)
    answer: Mapping[str, Any] = await stage.operators[actor].post(
        f"/v1/ebl/bills/{title}/moves", body
    )
    return answer


async def done(
    stage: Stage, consignment: str, actor: str, action: str, by: str, answer: Mapping[str, Any]
) -> None:
    """Requires that what was ordered comes to its end: with RECE where another platform is told."""
    if "transfer" in answer:
        last = await _transfer(stage, actor, answer)
        code = last.get("responseCode")
        platform = last["platform"]
        stage.expectations.require(
            f"{action} of bill {consignment} is received by {platform}, signed RECE",
            (last["outcome"], code) == ("final", "RECE"),
            f"{last['outcome']} {last['state']} {code or last.get('code')}",
        )
        stage.screen.say("rece", actor=actor, platform=platform, action=action)
    await stage.settled(consignment, actor, stage.titles[consignment], action, by)


async def _transfer(stage: Stage, actor: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The transfer once it is decided, or as it is when that takes too long."""
    last = dict(answer)

    async def look() -> bool:
        if last["outcome"] == "pending":
            path = f"/v1/ebl/outgoing/{last['transfer']}"
            last.update(await stage.operators[actor].get(path))
        return bool(last["outcome"] != "pending")

    await eventually(look, deadline=ANSWER)
    return last


async def accept_surrender(stage: Stage, consignment: str, carrier: str, reference: str) -> None:
    """The carrier finds the surrender on its desk (SUR) and accepts it; SACC goes out by PINT."""
    operator = stage.operators[carrier]
    asked: list[Mapping[str, Any]] = []

    async def look() -> bool:
        found = await operator.get("/v1/ebl/surrenders", reference=reference, side="carrier")
        asked[:] = [one for one in found["surrenders"] if one["state"] == "asked"]
        return bool(asked)

    await eventually(look, deadline=ANSWER)
    stage.expectations.require(
        f"the surrender of bill {consignment} is before its carrier", len(asked) == 1, asked
    )
    request = asked[0]["surrenderRequestReference"]
    await operator.post(f"/v1/ebl/surrenders/{request}/answer", {"accept": True})
    await _told(stage, consignment, carrier, "SACC")
    await stage.settled(consignment, carrier, stage.titles[consignment], "SACC", carrier)


async def _told(stage: Stage, consignment: str, actor: str, action: str) -> None:
    """Requires a signed RECE of the notice of something that is final already."""
    seen: dict[str, Any] = {}

    async def look() -> bool:
        found = await stage.operators[actor].get("/v1/ebl/outgoing")
        title = stage.titles[consignment]
        for one in found["transfers"]:
            if (one["title"], one["action"]) == (title, action):
                seen.update(one)
        return seen.get("outcome") == "final"

    await eventually(look, deadline=FINALITY)
    stage.expectations.require(
        f"{action} of bill {consignment} is received by {seen.get('platform')}, signed RECE",
        seen.get("responseCode") == "RECE",
        seen,
    )
    stage.screen.say("rece", actor=actor, platform=seen["platform"], action=action)
