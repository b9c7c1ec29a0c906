"""The faults of the story: each is injected for real, and what should catch it is looked for."""

from __future__ import annotations

import asyncio
import base64
import signal
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from protocols import base64url
from protocols.exchange import frames
from protocols.fields import Fields
from protocols.title.json_forms import read_state
from protocols.title.machine import Kind, Operation, Party
from protocols.title.operation import sign_operation
from schemas import strict_json
from testnet import balances, bills, origin
from testnet.operator import ProblemError, eventually
from testnet.stage import unmet
from testnet.world import did

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from testnet.run import Run
    from testnet.stage import Issued

OUTAGE: Final = 15.0
FAST_OUTAGE: Final = 3.0
PLATFORMS: Final = ("nhl", "nl-port", "sg-port")
#: What the first of two transfers is ahead; they are under way together for longer than that.
HEAD_START: Final = 0.3
TRUE_WEIGHT, FALSE_WEIGHT = b"26460", b"29460"


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault: its id in the story, whether it was caught, and what caught it."""

    id: str
    caught: bool
    seen: str

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {"id": self.id, "caught": self.caught, "seen": self.seen}


def _begin(run: Run, fault: str) -> None:
    run.stage.screen.say("fault", name=run.word(f"fault_{fault}"))


def _end(run: Run, fault: str, *, caught: bool, **seen: object) -> None:
    """Notes what was seen, as a sentence when it was caught and bare when it was not."""
    facts = ", ".join(f"{name}: {value}" for name, value in seen.items())
    told = run.word(f"seen_{fault}", **seen) if caught else run.word("seen_missed", facts=facts)
    run.faults[fault] = Injected(fault, caught, told)
    run.stage.expectations.expect(f"fault {fault} is caught", caught, told)
    if caught:
        run.stage.screen.say("caught", name=run.word(f"fault_{fault}"))


def _name(run: Run, actor: str) -> str:
    return run.stage.world.name(actor, run.lang)


# A document altered in transit and on a copy.


async def altered(run: Run) -> Issued:
    """The packing list of A is altered on the line before nl-customs; so is its receipt."""
    stage, relay = run.stage, run.relay
    _begin(run, "altered")
    relay.arm_request(_forge_weight)
    relay.arm_answer(_forge_receipt)
    packing = await stage.issue("A", "packing-list", ["nl-customs"])
    await stage.arrived(packing, ["nl-customs"])
    kept = await stage.operators["nl-customs"].raw(
        f"/v1/documents/{packing.digest}", accept="application/vc+jwt"
    )
    copy = _forged_document(kept)
    assert copy is not None
    report = await stage.operators["nl-customs"].post_bytes(
        "/v1/verify", copy, "application/vc+jwt"
    )
    told = strict_json.canonical(report)
    named = TRUE_WEIGHT in told and FALSE_WEIGHT in told
    stage.expectations.expect(
        "the altered copy fails and both weights are named",
        report["verdict"] == "FAILED" and named,
        told[:2000],
    )
    refused = bool(relay.answers) and all(400 <= status < 500 for status in relay.answers)
    failed = [item["id"] for item in report["checks"] if item["outcome"] == "FAILED"]
    _end(
        run,
        "altered",
        caught=relay.altered_requests == 1 and refused and report["verdict"] == "FAILED" and named,
        answers=", ".join(map(str, relay.answers)),
        checks=", ".join(failed),
        true=TRUE_WEIGHT.decode(),
        false=FALSE_WEIGHT.decode(),
    )
    return packing


def _forge_weight(batch: bytes) -> bytes | None:
    found = frames.decode(batch)
    forged = [_forged_document(frame.body) for frame in found]
    if not any(forged):
        return None
    pairs = zip(found, forged, strict=True)
    return frames.encode(replace(old, body=new) if new else old for old, new in pairs)


def _forged_document(file: bytes) -> bytes | None:
    head, _, rest = file.partition(b".")
    payload, _, signature = rest.partition(b".")
    try:
        text = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except ValueError:
        return None
    if TRUE_WEIGHT not in text or b'"packing-list"' not in text:
        return None
    forged = base64url.encode(text.replace(TRUE_WEIGHT, FALSE_WEIGHT)).encode()
    return b".".join((head, forged, signature))


def _forge_receipt(answer: bytes) -> bytes | None:
    """Another signature under the first receipt of the answer."""
    content = strict_json.loads_object(answer)
    receipts = content.get("receipts")
    if not isinstance(receipts, list) or not receipts or not isinstance(receipts[0], str):
        return None
    head, payload, signature = receipts[0].split(".")
    turned = base64url.encode(bytes(64 - len(b"forged")) + b"forged")
    assert turned != signature
    return strict_json.canonical(
        content | {"receipts": [f"{head}.{payload}.{turned}", *receipts[1:]]}
    )


# Two transfers of one bill, through two platforms, in the same second.


async def double_transfer(run: Run, bill: Issued) -> None:
    """exp-a offers one bill twice from one head: by PINT to the bank's platform, and with its bare
    key through another platform to a second financier. One wins, the same one everywhere."""
    stage, title = run.stage, run.stage.titles["A"]
    _begin(run, "double-transfer")
    shown = await stage.operators["nhl"].get(f"/v1/titles/{title}")
    rivals = {
        "bank": bills.order(stage, "nhl", title, "TRANSFER", by="exp-a", to="bank"),
        "financier-2": _relay(run, "sg-port", _offer(run, shown, "financier-2")),
    }
    order = list(rivals)
    stage.chance.shuffle(order)
    starts = (0.0, HEAD_START)
    acts = zip(order, starts, strict=True)
    answers = await asyncio.gather(*(_or_refusal(rivals[to], after) for to, after in acts))
    won = [to for to, answer in zip(order, answers, strict=True) if "refusal" not in answer]
    lost = [answer for answer in answers if "refusal" in answer]
    if lost and not _is_signed_conflict(lost[0]):
        # Its own node knew of the other offer by then, and refused it or built on it: what the
        # exporter signed on the old head is put before the arbiter itself.
        (late,) = (to for to in order if to not in won)
        lost = [await _or_refusal(_relay(run, "nl-port", _offer(run, shown, late)), 0.0)]
    chosen = await _chosen(run, title, PLATFORMS)
    caught = len(won) == 1 and len(lost) == 1 and set(chosen.values()) == {did(won[0])}
    _end(
        run,
        "double-transfer",
        caught=caught and _is_signed_conflict(lost[0]),
        winner=", ".join(_name(run, to) for to in won),
        loser=", ".join(_name(run, to) for to in order if to not in won),
        bill=bill.number,
        nodes=len(chosen),
        refusals=len(lost),
    )
    stage.expectations.require("exactly one transfer wins", caught, f"{won} {chosen}")
    stage.screen.step("A")
    if won[0] == "bank":
        await bills.done(stage, "A", "nhl", "TRANSFER", "exp-a", answers[order.index("bank")])
        return
    stage.screen.plan("A", 1)  # The story goes on with the bank, so the financier declines.
    await stage.operate("A", "sg-port", "DECLINE_OFFER", by="financier-2")
    await bills.move(stage, "A", "nhl", "TRANSFER", by="exp-a", to="bank")


def _is_signed_conflict(answer: Mapping[str, Any]) -> bool:
    """Whether the arbiter itself says, signed, that another operation took the place."""
    signed = answer.get("refusal", "").count(".") == 2
    return signed and answer.get("code") == "title_seq_conflict"


def _offer(run: Run, shown: Mapping[str, Any], to: str) -> str:
    world = run.stage.world
    signer = world.actors["nhl"].keys().parties()[did("exp-a")]
    state = read_state(Fields(shown["state"], "title_state_malformed"))
    recipient = run.members.party(did(to))
    assert recipient is not None
    operation = Operation(
        network=run.members.network,
        arbiter=bytes.fromhex(shown["arbiter"]),
        title=state.title,
        seq=state.seq,
        kind=Kind.OFFER,
        sender=Party(did("exp-a"), signer.public().thumbprint()),
        recipient=Party(did(to), recipient.keys[0].public.thumbprint()),
        entry=bytes(32),
        expires=datetime.now(UTC) + timedelta(hours=1),
        deadline=datetime.now(UTC) + timedelta(hours=1),
    )
    return sign_operation(operation, signer)


async def _relay(run: Run, actor: str, operation: str) -> Mapping[str, Any]:
    path = f"/v1/titles/{run.stage.titles['A']}/operations"
    answer: Mapping[str, Any] = await run.stage.operators[actor].post(
        path, {"operation": operation}
    )
    return answer


async def _or_refusal(act: Awaitable[Mapping[str, Any]], after: float) -> Mapping[str, Any]:
    """The answer, or the problem that carries the signed refusal; begun `after` seconds."""
    await asyncio.sleep(after)
    try:
        return await act
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return {"refusal": "", **problem.problem}


async def _chosen(run: Run, title: str, nodes: tuple[str, ...]) -> dict[str, str]:
    """To whom the bill goes by the word of each node, once all of them know the final state."""
    seen: dict[str, str] = {}

    async def look() -> bool:
        for actor in nodes:
            try:
                shown = await run.stage.operators[actor].get(f"/v1/titles/{title}")
            except ProblemError:
                return False
            state = shown["state"]
            offered = (state.get("offer") or {}).get("to")
            seen[actor] = (offered or state["possessor"])["did"] if shown["final"] else ""
        agree = len(set(seen.values())) == 1
        return agree and did("exp-a") not in seen.values() and all(seen.values())

    await eventually(look, deadline=10)
    return seen


# A certificate revoked between acceptance and gate-out.


async def phyto_revoked(run: Run, phyto: Issued, container: str) -> None:
    """Release flips to HOLD with reason and next step; the replacement turns it green again."""
    stage = run.stage
    _begin(run, "phyto-revoked")
    begin = time.monotonic()
    await stage.operators[phyto.actor].post(
        f"/v1/documents/{phyto.digest}/revoke", {"reason": "wrong treatment date"}
    )
    decision = await stage.release_is("A", "nl-port", container, "HOLD")
    seconds = time.monotonic() - begin
    lacking = unmet(decision)
    explained = bool(lacking) and all(item["reason"] and item["next"] for item in lacking)
    code = await stage.refused(
        "a release order on a revoked certificate",
        "nl-port",
        lambda: stage.sign_release("A", "nl-port", container),
    )
    replacement = await stage.issue(
        "A",
        "phytosanitary-certificate",
        ["nl-customs", "nl-port", "sg-port"],
        replaces=phyto.number,
    )
    await stage.arrived(replacement, ["nl-customs", "nl-port"])
    plant = await stage.issue(
        "A",
        "plant-health-decision",
        ["nl-port"],
        certificate=replacement.number,
        digests={replacement.number: replacement.digest},
        revision=2,
    )
    await stage.arrived(plant, ["nl-port"])
    await stage.release_is("A", "nl-port", container, "RELEASE")
    _end(
        run,
        "phyto-revoked",
        caught=explained and bool(code),
        seconds=f"{seconds:.1f}",
        conditions=", ".join(item["id"] for item in lacking),
        replacement=replacement.number,
        refusal=code,
    )


# A second declaration on a certificate that is used up.


async def over_use(run: Run, certificate: Issued) -> None:
    """The register refuses what is more than is left, and names the first use."""
    _begin(run, "over-use")
    script = run.stage.consignment("A")["write_off"]
    said = await balances.drawn_twice(run, certificate)
    first = said.get("firstUse", {})
    caught = (said["outcome"], first.get("quantity", {}).get("value"), said.get("left")) == (
        "REFUSED",
        str(script["drawn_kg"]),
        str(script["left_kg"]),
    )
    _end(
        run,
        "over-use",
        caught=caught,
        number=certificate.number,
        claim=f"{script['second_claim_kg']:,}",
        left=f"{script['left_kg']:,}",
        total=f"{script['total_kg']:,}",
        code=said.get("code", said["outcome"]),
        first=first.get("declaration", ""),
        drawn=f"{script['drawn_kg']:,}",
    )
    run.stage.screen.step("A")


# An input's certificate revoked after the good was cleared.


async def basis_lost(run: Run, signed: Issued, korean: Issued) -> None:
    """Whoever holds the signed evaluation is shown that its basis fell, and no document changes."""
    _begin(run, "basis-lost")
    seen = await origin.basis_lost(run, signed, korean)
    caught = (
        seen["flagged"] and not seen["revoked"] and (seen["before"], seen["now"]) == ("75", "30")
    )
    _end(
        run,
        "basis-lost",
        caught=caught,
        number=korean.number,
        before=seen["before"],
        now=seen["now"],
        nodes=seen["nodes"],
    )
    run.stage.screen.step("B")


# A node that is off for a while.


async def node_off(run: Run) -> None:
    """kz-rail is off while the documents of C are sent to it; it catches up in order."""
    stage = run.stage
    to = ["kz-rail"]
    first = await stage.issue("C", "aeo-status", to)
    invoice = await stage.issue("C", "commercial-invoice", to)
    await asyncio.gather(stage.arrived(first, to), stage.arrived(invoice, to))
    seconds = FAST_OUTAGE if run.fast else OUTAGE
    _begin(run, "node-off")
    stage.screen.say("node_off", actor="kz-rail", seconds=f"{seconds:g}")
    await run.switch_off("kz-rail", signal.SIGKILL)
    papers = [
        await stage.issue("C", key, to)
        for key in (
            "master-transport-document",
            "road-leg-note",
            "rail-consignment-note",
            "quality-certificate",
        )
    ]
    await asyncio.sleep(seconds)
    waiting = sum([await _waiting(run, actor) for actor in ("cn-rail", "cn-cert")])
    unwitnessed = await _newest_is_unwitnessed(run, "nl-port")
    await run.switch_on("kz-rail")
    stage.screen.say("node_on", actor="kz-rail")
    await asyncio.gather(*(stage.arrived(item, to, deadline=30) for item in papers))
    stage.expectations.expect(
        "with one of three witnesses off, nl-port's newest checkpoint is unwitnessed",
        unwitnessed,
        unwitnessed,
    )
    _end(
        run,
        "node-off",
        caught=waiting >= len(papers),
        name=_name(run, "kz-rail"),
        waiting=waiting,
    )


async def _waiting(run: Run, actor: str) -> int:
    answer = await run.stage.operators[actor].get("/v1/outbox", state="queued", limit="500")
    return sum(1 for row in answer["items"] if row["peer"] == did("kz-rail"))


async def _newest_is_unwitnessed(run: Run, actor: str) -> bool:
    """Whether the node says that its newest checkpoint lacks its witnesses (R17)."""
    shown = await run.stage.operators[actor].get("/v1/log")
    witnessed = (shown["witnessed"] or {}).get("size", 0)
    return bool(shown["signed"]["size"] > witnessed)


# A node that shows two histories.


async def two_heads(run: Run) -> None:
    """cn-rail's log signs two checkpoints of one size; its witnesses refuse and keep both."""
    stage = run.stage
    _begin(run, "two-heads")
    await run.switch_off("cn-rail", signal.SIGTERM)
    replies = await run.show_two_heads("cn-rail")
    refused = [reply for reply in replies if reply.status in {409, 422}]
    witnesses = sorted({reply.witness for reply in replies})
    both = [name for name in witnesses if _cosigned_both(replies, name)]

    async def marked() -> bool:
        return all([await _marks(run, actor, "cn-rail") for actor in stage.world.witnesses])

    known = bool(await eventually(marked, deadline=10))
    await run.switch_on("cn-rail")
    _end(
        run,
        "two-heads",
        caught=bool(refused) and not both and known,
        name=_name(run, "cn-rail"),
        refusals=len(refused),
        witnesses=len({reply.witness for reply in refused}),
        marked=known,
        cosigned=len(both),
    )
    stage.screen.step("C")


def _cosigned_both(replies: list[Any], witness: str) -> bool:
    heads = {reply.head for reply in replies if reply.witness == witness and reply.status == 200}
    return len(heads) == 2


async def _marks(run: Run, actor: str, marked: str) -> bool:
    shown = await run.stage.operators[actor].get("/v1/witness")
    return any(item["did"] == did(marked) for item in shown["marked"])
