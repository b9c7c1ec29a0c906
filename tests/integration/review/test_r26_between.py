"""R26 between approving and signing: what changed meanwhile counts, and nothing gets stuck."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from node.documents.documents import find
from node.documents.orders import read_issue
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.review import approving, desk_policy, people, rows
from node.review.service import ReviewService, subject_of_application
from node.trust.service import TrustService
from protocols import approval
from schemas.errors import ConflictError, ForbiddenError, RefusedError, TradeError
from tests.support.approvers import Approver, approver
from tests.support.clocks import Leaping
from tests.support.desk import COO, body_of, certificate, make_desk, put_policy, subject_of_body
from tests.support.running import running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from node.review.rows import Application
    from node.runtime import Node

SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("review", ReviewService),
)
LIN, WU = approver("Lin Demo"), approver("Wu Demo")
PATIENCE = 60.0
ONE: dict[str, dict[str, Any]] = {COO: {"auto": False}}
TWO: dict[str, dict[str, Any]] = {COO: {"auto": False, "second": True}}


class Held:
    """Keeps the review from issuing until it is let go: the moment between the two."""

    def __init__(self, node: Node) -> None:
        self._service = node.review
        self._issue_some = node.review._issue_some
        self.hold()

    def hold(self) -> None:
        async def nothing() -> int:
            return 0

        self._service._issue_some = nothing  # type: ignore[method-assign] # held still

    def let_go(self) -> None:
        self._service._issue_some = self._issue_some  # type: ignore[method-assign] # goes on
        self._service.wake()


@pytest.fixture
def clock() -> Leaping:
    return Leaping()


@pytest.fixture
async def node(tmp_path: Path, clock: Leaping) -> AsyncIterator[Node]:
    home = make_desk(tmp_path)
    put_policy(home, ONE)
    async with running_node(home, clock=clock, services=SERVICES) as made:
        for each in (LIN, WU):
            await made.store.write(people.add, made, each.name, each.key)
        yield made


@pytest.fixture
def held(node: Node) -> Held:
    return Held(node)


async def applied(node: Node, payload: bytes) -> Application:
    (place,) = await node.review.submit("", None, [body_of(payload)])
    one = await node.store.read(rows.at, "", place)
    return await until(node, one.n, rows.MANUAL, rows.READY)


async def until(node: Node, n: int, *states: str) -> Application:
    end = time.monotonic() + PATIENCE
    while True:
        one: Application = await node.store.read(rows.require, n)
        if one.state in states:
            return one
        assert time.monotonic() < end, one
        await asyncio.sleep(0.02)


async def signed(node: Node, who: Approver, subject: approval.Subject, **more: Any) -> str:
    members = node.members.current
    assert members is not None
    version = desk_policy.policy_of(node).version
    return who.sign(subject, network=members.network, policy=version, **more)


async def decide(node: Node, one: Application, who: Approver, **more: Any) -> Application:
    text = await signed(node, who, subject_of_application(one), **more)
    return await node.review.decide(one.n, text)


async def issued(node: Node) -> list[str]:
    return [each.number for each in await node.store.read(find, type=COO)]


async def end(node: Node, who: Approver) -> None:
    await node.store.write(people.end, node, who.name)


@pytest.mark.parametrize("meanwhile", ["ended", "policy", "expired", "broken"])
async def test_r26_what_changed_between_approval_and_signing_sends_it_back(
    node: Node, held: Held, clock: Leaping, meanwhile: str
) -> None:
    one = await applied(node, certificate(1))
    past = {"at": datetime.now(UTC) - timedelta(hours=1), "term": timedelta(hours=2)}
    approved = await decide(node, one, LIN, **(past if meanwhile == "expired" else {}))
    assert approved.state == rows.APPROVED
    expected = f"approval_{meanwhile}"
    if meanwhile == "ended":
        await end(node, LIN)
        expected = "approval_person_ended"
    elif meanwhile == "policy":
        put_policy(node.home, TWO)
        expected = "approval_other_policy"
    elif meanwhile == "broken":
        (node.home.path / "review-policy.json").write_text("{")
    else:
        clock.leap(seconds=3600)
    held.let_go()
    if meanwhile == "broken":  # nothing is signed, and nothing is lost, until it can be read again
        with pytest.raises(RefusedError):
            await node.review._issue_some()
        assert (await node.store.read(rows.require, one.n)).state == rows.APPROVED
        put_policy(node.home, TWO)
        held.let_go()
        expected = "approval_other_policy"
    back = await until(node, one.n, rows.MANUAL)
    assert await issued(node) == []
    assert back.returned == expected
    assert [each["decision"] for each in back.decided] == ["approve", "returned"]
    assert '"REV-006"' in back.findings
    assert back.approvals == ()
    await decide(node, back, WU)
    if back.second:
        assert await issued(node) == []
        await decide(node, await until(node, one.n, rows.MANUAL), LIN)
    await until(node, one.n, rows.ISSUED)
    assert await issued(node) == ["CN-2026-000001"]


async def test_r26_a_first_approval_that_lapsed_is_replaced_by_somebody_elses(
    node: Node,
) -> None:
    put_policy(node.home, TWO)
    mei = approver("Mei Demo")
    await node.store.write(people.add, node, mei.name, mei.key)
    one = await applied(node, certificate(2))
    assert (await decide(node, one, LIN)).state == rows.MANUAL
    await end(node, LIN)
    waiting = await decide(node, one, WU)
    assert waiting.state == rows.MANUAL
    assert [each.get("lapsed") for each in waiting.decided] == ["approval_person_ended", None]
    await decide(node, waiting, mei)
    done = await until(node, one.n, rows.ISSUED)
    assert done.document is not None


async def admit(node: Node, who: Approver, *by: Approver) -> None:
    subject = approval.person_subject(who.name, who.key)
    texts = [await signed(node, each, subject) for each in by]
    await node.store.write(approving.add_person, node, who.name, who.key, texts)


async def test_r26_a_desk_is_founded_once_and_by_its_first_two_persons(node: Node) -> None:
    """Ending persons, which needs no approval, makes no room for others that nobody approved."""
    mei, zhao, sun = (approver(f"{name} Demo") for name in ("Mei", "Zhao", "Sun"))
    await admit(node, mei)  # one person suffices here for everything
    put_policy(node.home, TWO)
    with pytest.raises(ForbiddenError, match="approval_missing"):
        await admit(node, zhao, LIN)
    await admit(node, zhao, LIN, mei)
    for each in (LIN, WU, mei):
        await end(node, each)
    with pytest.raises(ForbiddenError, match="approval_missing"):
        await admit(node, sun, zhao)
    with pytest.raises(ForbiddenError, match="approval_person_ended"):
        await admit(node, sun, zhao, LIN)
    put_policy(node.home, TWO, binding=False)  # whoever writes the machine's files
    await admit(node, sun)
    put_policy(node.home, TWO)
    await admit(node, approver("Lin Demo", 2), zhao, sun)


async def test_r26_founding_needs_nobody_before_there_are_two(tmp_path: Path) -> None:
    home = make_desk(tmp_path)
    put_policy(home, TWO)
    async with running_node(home, services=SERVICES) as made:
        await admit(made, LIN)
        await end(made, LIN)
        await admit(made, approver("Lin Demo", 2))  # still alone
        await admit(made, WU)
        with pytest.raises(ForbiddenError, match="approval_missing"):
            await admit(made, approver("Mei Demo"))


async def test_r26_a_policy_that_changed_is_asked_again_before_anybody_decides(
    node: Node,
) -> None:
    one = await applied(node, certificate(3))
    put_policy(node.home, TWO)
    with pytest.raises(TradeError) as caught:
        await decide(node, one, LIN)
    assert caught.value.code in {"approval_other_policy", "application_not_open"}
    node.review.wake()
    async with asyncio.timeout(PATIENCE):
        while True:
            again = await until(node, one.n, rows.MANUAL)
            if again.second:
                break
            await asyncio.sleep(0.02)
    assert (await decide(node, again, LIN)).state == rows.MANUAL
    await decide(node, again, WU)
    await until(node, one.n, rows.ISSUED)


# -- batches -----------------------------------------------------------------------------------


NAME, COUNT = "october", 3


async def opened(node: Node, who: Approver, payloads: list[bytes]) -> None:
    items = b"".join(subject_of_body(body_of(each)).item for each in payloads)
    text = await signed(node, who, approval.batch_subject(NAME, items))
    await node.review.open_batch(NAME, len(payloads), items, text)


async def in_state(node: Node, state: str, count: int) -> dict[str, Any]:
    return await told_of(node, lambda told: bool(told["states"][state] == count))


async def told_of(node: Node, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while True:
        told: dict[str, Any] = await node.store.read(rows.progress, NAME)
        if wanted(told):
            return told
        assert time.monotonic() < end, told
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("meanwhile", ["ended", "policy"])
async def test_r26_a_batch_whose_signer_or_policy_is_gone_waits_for_another_signature(
    node: Node, held: Held, meanwhile: str
) -> None:
    put_policy(node.home, {})  # left to the rules: the signature under the batch is enough
    payloads = [certificate(10 + n) for n in range(COUNT)]
    await opened(node, LIN, payloads)
    await node.review.submit(NAME, 0, [body_of(each) for each in payloads])
    await in_state(node, rows.READY, COUNT)
    if meanwhile == "ended":
        await end(node, LIN)
        expected = "approval_person_ended"
    else:
        put_policy(node.home, {}, edition={"edition": "other"})
        expected = "approval_other_policy"
    held.let_go()
    await told_of(node, lambda told: bool(told["lapsed"]))
    told = await in_state(node, rows.READY, COUNT)
    assert (told["lapsed"], told["done"]) == (expected, False)
    assert await issued(node) == []
    await opened(node, WU, payloads)
    told = await in_state(node, rows.ISSUED, COUNT)
    assert (told["signer"], told["lapsed"], told["done"]) == ("Wu Demo", "", True)


async def test_r26_a_batch_signs_for_its_own_documents_and_for_what_needs_no_person(
    node: Node, held: Held
) -> None:
    payloads = [certificate(20 + n) for n in range(COUNT)]
    put_policy(node.home, {})
    await opened(node, LIN, payloads)
    with pytest.raises(ConflictError) as caught:
        await node.review.submit(NAME, 1, [body_of(certificate(99))])
    assert caught.value.code == "application_differs"
    with pytest.raises(ConflictError):  # who holds another signature signs for another batch
        await opened(node, WU, payloads)
    with pytest.raises(ConflictError):
        await opened(node, LIN, payloads[::-1])
    await node.review.submit(NAME, 0, [body_of(each) for each in payloads])
    await in_state(node, rows.READY, COUNT)
    # Somebody writes another document into the store at a place that was signed for.
    await node.store.write(_swap, certificate(99))
    held.let_go()
    await in_state(node, rows.ISSUED, COUNT - 1)
    told = await in_state(node, rows.MANUAL, 1)
    assert told["lapsed"] == ""
    assert "CN-2026-000099" not in await issued(node)


def _swap(conn: Any, payload: bytes) -> None:
    conn.exec_driver_sql("update review_applications set payload=? where place=1", (payload,))


async def test_r26_a_batch_signature_is_no_approval_where_a_person_has_to_look(
    node: Node,
) -> None:
    payloads = [certificate(30 + n) for n in range(COUNT)]
    await opened(node, LIN, payloads)  # the policy wants a person for each
    await node.review.submit(NAME, 0, [body_of(each) for each in payloads])
    await in_state(node, rows.MANUAL, COUNT)
    items = b"".join(subject_of_body(body_of(each)).item for each in payloads)
    text = await signed(node, LIN, approval.batch_subject(NAME, items))
    with pytest.raises(RefusedError) as caught:
        await node.documents.issue(read_issue(body_of(payloads[0], approvals=[text])))
    assert caught.value.code == "approval_other_act"
    assert await issued(node) == []
