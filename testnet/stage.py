"""The verbs of the story: issue, send, await a verdict, move a title, decide a release.

Each verb acts through a node's operator API and notes what it saw as an expectation; whatever a
later step stands on is required, so that a broken guarantee ends the lane at the place it broke.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from protocols import base64url
from testnet.operator import ProblemError, eventually
from testnet.story import documents
from testnet.world import did

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from testnet.expectations import Expectations
    from testnet.operator import Operator
    from testnet.screen import Screen
    from testnet.story.documents import StoryDocument
    from testnet.world import World

ARRIVAL: Final = 15.0
FINALITY: Final = 15.0
DECISION: Final = 10.0


@dataclass(frozen=True, slots=True)
class Issued:
    """A document as its issuer's node knows it."""

    actor: str
    digest: str
    number: str
    type: str
    consignment: str


@dataclass(slots=True)
class Stage:
    """Everything the players share."""

    world: World
    operators: Mapping[str, Operator]
    screen: Screen
    expectations: Expectations
    chance: random.Random
    issued: list[Issued] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)

    def ucr(self, consignment: str) -> str:
        """The unique consignment reference of A, B or C."""
        return str(self.consignment(consignment)["ucr"])

    def consignment(self, consignment: str) -> Mapping[str, Any]:
        """The script of A, B or C."""
        found: Mapping[str, Any] = next(
            item for item in self.world.story["consignments"] if item["id"] == consignment
        )
        return found

    async def issue(
        self, consignment: str, key: str, to: Sequence[str], **variation: Any
    ) -> Issued:
        """Issues one document of the story and sends it to the nodes named in `to`."""
        made = documents.build(self.world.story, consignment, key, datetime.now(UTC), **variation)
        return await self.issue_made(consignment, made, to)

    async def issue_made(self, consignment: str, made: StoryDocument, to: Sequence[str]) -> Issued:
        """Issues a payload that was built before."""
        answer = await self.operators[made.issuer_actor].post(
            "/v1/documents",
            {
                "type": made.document_type,
                "consignment": made.consignment_ucr,
                "exportCountry": made.export_country,
                "importCountry": made.import_country,
                "mediaType": made.media_type,
                "payload": base64.b64encode(made.payload).decode(),
            },
        )
        issued = Issued(
            made.issuer_actor, answer["digest"], made.number, made.document_type, consignment
        )
        self.issued.append(issued)
        self.screen.say("issued", actor=issued.actor, document=issued.type, number=issued.number)
        if to:
            await self.send(issued, to)
        self.screen.step(consignment)
        return issued

    async def send(self, issued: Issued, to: Sequence[str]) -> None:
        """Hands the document to the outbox for each node."""
        receivers = list(to)
        self.chance.shuffle(receivers)
        await self.operators[issued.actor].post(
            f"/v1/documents/{issued.digest}/send", {"to": [did(actor) for actor in receivers]}
        )

    async def arrived(self, issued: Issued, at: Sequence[str], deadline: float = ARRIVAL) -> None:
        """Requires that every node in `at` holds the document and verified it."""
        verdicts = await asyncio.gather(
            *(self.verdict(actor, issued.digest, deadline) for actor in at)
        )
        for actor, verdict in zip(at, verdicts, strict=True):
            self.screen.say(
                "received",
                actor=actor,
                document=issued.type,
                number=issued.number,
                verdict=verdict,
            )
            self.expectations.require(
                f"{actor} verifies {issued.type} {issued.number}", verdict == "PASSED", verdict
            )

    async def payload(self, actor: str, issued: Issued) -> Mapping[str, Any]:
        """The content of a document in JSON as that node holds it."""
        held = await self.operators[actor].raw(
            f"/v1/documents/{issued.digest}", accept="application/vc+jwt"
        )
        credential = json.loads(base64url.decode(held.decode("ascii").split(".")[1]))
        found: Mapping[str, Any] = credential["credentialSubject"]["document"]
        return found

    async def verdict(self, actor: str, digest: str, deadline: float = ARRIVAL) -> str:
        """The verdict that a node gives a document, once it has one that is decided."""
        last = "did not arrive"

        async def look() -> str | None:
            nonlocal last
            try:
                held = await self.operators[actor].get(f"/v1/documents/{digest}")
            except ProblemError as problem:
                if problem.status == 404:
                    return None
                raise
            last = held.get("verdict") or last
            return last if last in {"PASSED", "FAILED"} else None

        return await eventually(look, deadline=deadline) or last

    async def issue_title(
        self,
        consignment: str,
        bill: Issued,
        holder: str,
        endorsee: str | None = None,
        arbiter: str = "log",
    ) -> str:
        """The carrier puts the bill's title into a registry; its id, once that is final.

        arbiter: `log` for the carrier's registry log, `evm` for the contract on the chain
        """
        body = {"document": bill.digest, "holder": did(holder), "arbiter": arbiter}
        if endorsee:
            body["endorsee"] = did(endorsee)
        answer = await self.operators[bill.actor].post("/v1/titles", body)
        title = str(answer["title"])
        self.titles[consignment] = title
        await self.settled(consignment, bill.actor, title, "ISSUE", bill.number)
        return title

    async def operate(
        self, consignment: str, actor: str, kind: str, by: str, to: str | None = None
    ) -> None:
        """A party hosted at `actor` operates on the consignment's title, until that is final."""
        title = self.titles[consignment]
        await self.heard(actor, title, kind)
        body = {"kind": kind, "by": did(by)}
        if to:
            body["to"] = did(to)
        await self.operators[actor].post(f"/v1/titles/{title}/operations", body)
        await self.settled(consignment, actor, title, kind, by)

    async def heard(self, actor: str, title: str, kind: str) -> None:
        """Waits until that node knows what the title's operations before this one made of it."""

        async def look() -> bool:
            try:
                shown = await self.operators[actor].get(f"/v1/titles/{title}")
            except ProblemError as problem:
                if problem.status != 404:
                    raise
                return False
            return bool(shown["final"]) and shown["state"]["seq"] >= self.seqs.get(title, 0)

        heard = await eventually(look, deadline=FINALITY)
        self.expectations.require(f"{actor} can go on with {kind}", bool(heard), heard)

    async def settled(
        self, consignment: str, actor: str, title: str, kind: str, number: str
    ) -> None:
        """Requires that the title is final at that node after the operation; notes its number."""

        async def look() -> bool:
            shown = await self.operators[actor].get(f"/v1/titles/{title}")
            if shown["final"]:
                self.seqs[title] = shown["state"]["seq"]
            return bool(shown["final"])

        final = await eventually(look, deadline=FINALITY)
        self.expectations.require(f"{kind} of title {consignment} is final", bool(final), final)
        self.screen.say("title", actor=actor, kind=kind, number=number)
        self.screen.step(consignment)

    async def refused_in_time(self, actor: str, title: str, order: Mapping[str, Any]) -> str:
        """Why an operation is refused: at once, or where its arbiter is a chain, later; "" if not.

        The code is the arbiter's.
        """
        operator = self.operators[actor]
        try:
            answer = await operator.post(f"/v1/titles/{title}/operations", order)
        except ProblemError as problem:
            return problem.code
        wanted = answer["operation"]["digest"]

        async def look() -> str | None:
            shown = await operator.get(f"/v1/titles/{title}")
            found = (
                one for one in shown.get("submitted", ()) if one["operation"]["digest"] == wanted
            )
            return next((one["code"] for one in found if one["status"] == "refused"), None)

        return await eventually(look, deadline=FINALITY) or ""

    async def release_is(
        self, consignment: str, actor: str, container: str, outcome: str
    ) -> Mapping[str, Any]:
        """Requires that the node's decision becomes `outcome`; the decision."""
        seen: dict[str, Any] = {}

        async def look() -> bool:
            shown = await self.operators[actor].get(
                f"/v1/releases/{container}", consignment=self.ucr(consignment)
            )
            seen.update(shown)
            return bool(shown["outcome"] == outcome)

        await eventually(look, deadline=DECISION)
        reasons = "; ".join(f"{item['id']} {item['reason']}" for item in unmet(seen))
        self.screen.say("release", actor=actor, container=container, outcome=seen.get("outcome"))
        self.expectations.require(
            f"{actor}: container {container} is {outcome}",
            seen.get("outcome") == outcome,
            f"{seen.get('outcome')}; {reasons}",
        )
        self.screen.step(consignment)
        return seen

    async def sign_release(self, consignment: str, actor: str, container: str) -> str:
        """The port signs the release order; its digest."""
        order = await self.operators[actor].post(
            f"/v1/releases/{container}/sign", {"consignment": self.ucr(consignment)}
        )
        self.screen.step(consignment)
        return str(order["digest"])

    async def refused(self, name: str, actor: str, act: Callable[[], Awaitable[Any]]) -> str:
        """Expects that an act is refused; the code."""
        try:
            await act()
        except ProblemError as problem:
            self.expectations.expect(name, 400 <= problem.status < 500, problem)
            self.screen.say("refused", actor=actor, what=name, code=problem.code)
            return problem.code
        self.expectations.expect(name, False, "it was accepted")
        return ""


def unmet(decision: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The conditions that keep a container from being released."""
    found = decision.get("conditions", ())
    return [item for item in found if item["blocking"] and item["state"] in {"unmet", "unknown"}]
