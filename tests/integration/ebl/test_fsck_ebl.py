"""FSCK-18 to 21 over bills issued and given back by real nodes: whole, then every damage told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, insert, select, update

from node import fsck
from node.documents.tables import documents
from node.ebl.switch_service import forget
from node.ebl.tables import calls, issuances, notifications, surrenders
from node.fsck import stored
from node.pint.tables import bills as pint_bills
from node.store.events import events
from node.title.tables import bills, titles
from node.trust.rows import put_list
from protocols.pint.issuance import read_request
from schemas import strict_json
from schemas.findings import Outcome
from tests.integration.ebl.ebl_network import (
    CARRIER,
    PLATFORM,
    REFERENCE,
    bill,
    eventually,
    issue_to,
    made,
    operator,
    put_up,
    reaches,
    running,
    surrender_reaches,
    title_is,
)
from tests.integration.ebl.foreign import Foreign, call, serving, write_down
from tests.integration.ebl.test_foreign_carrier import (
    REQUESTS,
    RESPONSES,
    SURRENDERS,
    asked,
    settings,
)
from tests.integration.ebl.test_foreign_platform import SETTINGS, WAVE, answer
from tests.integration.ebl.test_foreign_platform import request as surrender_request
from tests.support.network import did_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pytest
    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.member_list import ListedKey, MemberList

AREAS = ("FSCK-18", "FSCK-19", "FSCK-20", "FSCK-21")
TABLES = dict(zip(AREAS, (issuances, surrenders, calls, notifications), strict=True))
#: area, the statements that damage, words of what is told of it
Damage = tuple[str, Sequence[Any], str]


async def _examined(node: Node, damage: Damage | None, area: str) -> fsck.AreaResult:
    """What fsck says of the damaged store, which is whole again afterwards."""

    def look(conn: Connection) -> fsck.AreaResult:
        context = fsck.Context(node.home, node.keys)
        with conn.begin_nested() as savepoint:
            changed = [conn.execute(one).rowcount for one in damage[1]] if damage else [1]
            assert any(changed), damage
            found = fsck.examine(conn, context, area)
            savepoint.rollback()
        return found

    found: fsck.AreaResult = await node.store.write(look)
    return found


async def _whole(node: Node, *counts: int) -> None:
    for area, count in zip(AREAS, counts, strict=True):
        found = await _examined(node, None, area)
        assert (found.examined, found.damages) == (count, []), area


async def _all_told(node: Node, damages: Iterable[Damage]) -> None:
    for damage in damages:
        area, _, words = damage
        found = (await _examined(node, damage, area)).to_check()
        assert (found.id, found.outcome) == (area, Outcome.FAILED), damage
        told = found.evidence["damages"]
        named = (f"{TABLES[area].name} ", f"{TABLES[area].name}: ", "event ")
        assert any(one.startswith(named) and words in one for one in told), told


def _other(body: bytes, **changes: Any) -> bytes:
    """The body with members changed; a mapping changes members of the member."""
    told = orjson.loads(body)
    for name, value in changes.items():
        told[name] = told[name] | value if isinstance(value, dict) else value
    return strict_json.canonical(told)


def _forged(body: bytes) -> bytes:
    """The manifest with another signature."""
    text = read_request(body).manifest
    start, _, signature = text.rpartition(".")
    first = "A" if signature[0] != "A" else "B"
    return _other(body, issuanceManifestSignedContent=f"{start}.{first}{signature[1:]}")


async def _row(node: Node, table: Any) -> Mapping[str, Any]:
    def first(conn: Connection) -> Mapping[str, Any]:
        return dict(conn.execute(select(table).order_by(table.c.number)).mappings().first() or {})

    found: Mapping[str, Any] = await node.store.read(first)
    return found


def _of_issuances(row: Mapping[str, Any], side: str) -> Iterator[Damage]:
    body, area, change = row["body"], "FSCK-18", update(issuances)
    other = "platform" if side == "carrier" else "carrier"
    answer = orjson.loads(row["answer"])
    for values, words in (
        ({"body": b"{"}, "cannot be read: json_"),
        ({"body": body.replace(b'"document"', b'"Document"')}, "pint_message_malformed"),
        ({"body": _other(body, issueTo={"partyName": "Another"})}, "pint_not_as_issued"),
        ({"body": _other(body, document={"termsAndConditions": "."})}, "another transport"),
        ({"body": _forged(body)}, "bad_signature"),
        ({"created_at": 0}, "pint_key_not_valid"),
        ({"reference": "TDR-2"}, "another reference"),
        ({"sub_reference": "2"}, "another reference"),
        ({"checksum": bytes(32)}, "another transport document"),
        ({"counterpart": did_of("sg-port")}, "counterpart is" if side == "carrier" else "manifest"),
        ({"title": None}, "another title"),
        ({"title": bytes(32)}, "another title"),
        ({"side": other}, "counterpart is" if side == "platform" else "manifest"),
        ({"state": "lost"}, "there is no side"),
        ({"state": "pending"}, "the moment of its answer"),
        ({"state": "refused"}, "something else than refused"),
        ({"answer": None}, "its answer is missing"),
        ({"answer": "{}"}, "its answer cannot be read"),
        ({"answer": orjson.dumps(answer | {"issuanceResponseCode": "BREQ"}).decode()}, "else than"),
        ({"answered_at": None}, "the moment of its answer"),
    ):
        yield area, [change.values(**values)], words
    yield area, [delete(surrenders)], "no surrender of it was accepted"


def _of_surrenders(row: Mapping[str, Any]) -> Iterator[Damage]:
    area, change = "FSCK-19", update(surrenders)
    for values, words in (
        ({"body": b"[]"}, "cannot be read: json_"),
        ({"body": _other(row["body"], comments="Soon.")}, "something else than its columns"),
        ({"body": None}, "its request is lost"),
        ({"code": "AREQ"}, "something else than its columns"),
        ({"reason": "COD"}, "something else than its columns"),
        ({"comments": "x"}, "something else than its columns"),
        ({"request": "S-2"}, "something else than its columns"),
        ({"reference": "TDR-2"}, "of another bill"),
        ({"counterpart": "somebody"}, "of another bill or counterpart"),
        ({"issuance": 99}, "the issuance 99 that it is about is not here"),
        ({"party": "nobody"}, "its party"),
        ({"state": "accepting"}, "there is no side" if row["side"] == "platform" else "the moment"),
        ({"state": "rejected"}, "something else than rejected"),
        ({"answer": None}, "its answer is missing"),
        ({"answer": b"{}"}, "its answer cannot be read"),
        ({"answer": _other(row["answer"], surrenderRequestReference="S")}, "to another request"),
        ({"answered_at": None}, "the moment of its answer"),
    ):
        yield area, [change.values(**values)], words
    yield area, [update(issuances).values(state="issued")], "but the bill is issued"


def _of_calls(about: str, other: str) -> Iterator[Damage]:
    area, change = "FSCK-20", update(calls).where(calls.c.about == about)
    subject = "surrender" if about in {"surrender", "answer"} else "issuance"
    for values, words in (
        ({"subject": 99}, f"the {subject} 99 is not here"),
        ({"body": b"{}"}, "pint_message_malformed" if about == "notice" else "its body is not"),
        ({"counterpart": other}, "to another counterpart"),
        ({"about": "other"}, "there is no call about other"),
        ({"state": "asleep"}, "with a state asleep"),
        ({"path": "/v3/other"}, "goes elsewhere"),
        ({"method": "GET"}, "goes elsewhere"),
    ):
        yield area, [change.values(**values)], words


def _of_notifications(row: Mapping[str, Any], *, sent: bool) -> Iterator[Damage]:
    area = "FSCK-21"
    change = update(notifications).where(notifications.c.number == row["number"])
    for values, words in (
        ({"body": b"{}"}, "cannot be read: pint_message_malformed"),
        ({"body": _other(row["body"], id="e-2")}, "another event"),
        ({"event": "e-2"}, "another event"),
        ({"source": "https://elsewhere.example"}, "another event"),
        ({"reference": "TDR-2"}, "another event"),
        ({"status": "VOIDED"}, "another event"),
        ({"direction": "aside"}, "there is no direction aside"),
    ):
        yield area, [change.values(**values)], words
    if sent:
        yield area, [change.values(counterpart="nobody")], "was put before nobody"
        yield "FSCK-20", [delete(notifications)], "no notification that is kept"


async def test_what_members_keep_is_whole_and_every_damage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "PAGE", 2)
    async with running(made(tmp_path)) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        for node in (carrier, platform):
            members = node.members.current
            assert members is not None
            await node.store.write(put_list, members, 1)
        await put_up(carrier, bill())
        title = (await reaches(carrier, "issued"))["title"]
        await title_is(platform, title, "LIVE")
        wish = {"reference": REFERENCE, "code": "SREQ", "by": did_of("exp-a")}
        await operator(platform).apost("/v1/ebl/surrenders", wish)
        request = await surrender_reaches(carrier, "asked")
        await _whole(carrier, 1, 1, 3, 2)
        path = f"/v1/ebl/surrenders/{request['surrenderRequestReference']}/answer"
        await operator(carrier).apost(path, {"accept": True})
        await surrender_reaches(platform, "accepted")
        await _heard(platform, 3)
        await _whole(carrier, 1, 1, 5, 3)
        await _whole(platform, 1, 1, 2, 3)
        for node in (carrier, platform):
            side = "carrier" if node is carrier else "platform"
            await _all_told(node, _of_issuances(await _row(node, issuances), side))
            await _all_told(node, _of_surrenders(await _row(node, surrenders)))
            event = await _row(node, notifications)
            await _all_told(node, _of_notifications(event, sent=node is carrier))
        for about in ("issuance", "answer", "notice"):
            await _all_told(carrier, _of_calls(about, did_of("sg-port")))
        for about in ("response", "surrender"):
            await _all_told(platform, _of_calls(about, did_of("sg-port")))
        await _all_told(carrier, _gone({"issuance": 1, "answer": 1, "notice": 3}))
        await _all_told(platform, _gone({"response": 1, "surrender": 1}))
        await _what_it_rests_on(carrier, platform)
        await _a_key_that_fell_later_signed_all_the_same(platform)


def _gone(said: Mapping[str, int]) -> Iterator[Damage]:
    """Whole rows that are gone: seen by the events and by the rows that go with them."""
    all_of_them = sum(said.values())
    for about, count in said.items():
        area = {"issuance": 18, "response": 18, "notice": 21}.get(about, 19)
        lost = [delete(calls).where(calls.c.about == about)]
        yield f"FSCK-{area}", lost, "the call that carries"
        yield "FSCK-20", lost, f"rows written: {all_of_them}, here: {all_of_them - count}"
    yield "FSCK-18", [delete(issuances)], "is not in ebl_issuances"
    yield "FSCK-18", [delete(issuances)], "rows written: 1, here: 0"
    yield "FSCK-19", [delete(surrenders)], "is not in ebl_surrenders"
    yield "FSCK-19", [delete(surrenders)], "rows written: 1, here: 0"
    untold = update(events).where(events.c.kind.startswith("ebl-")).values(detail="{")
    yield "FSCK-18", [untold], "its detail cannot be read"


async def test_what_a_test_has_emptied_is_not_missed(tmp_path: Path) -> None:
    async with running(made(tmp_path)) as nodes:
        carrier = nodes[CARRIER]
        await put_up(carrier, bill())
        await reaches(carrier, "issued")
        emptied = ("FSCK-18", [delete(calls), delete(issuances)], "is not in ebl_issuances")
        await _all_told(carrier, [emptied])
        await carrier.store.write(forget, 1)
        await _whole(carrier, 0, 0, 0, 0)


async def _heard(platform: Node, count: int) -> None:
    async def all_of_them() -> bool:
        found = (await operator(platform).aget("/v1/ebl/notifications"))["notifications"]
        return len(found) == count

    await eventually(all_of_them)


async def _what_it_rests_on(carrier: Node, platform: Node) -> None:
    """The title, the document, the bill taken over: known here, or said to be missing."""
    area, change = "FSCK-18", update(issuances)
    untitled = (area, [delete(titles), delete(bills)], "is not known here")
    made_of: list[Damage] = [
        untitled,
        (area, [delete(documents)], "that it was made of is not here"),
        (area, [change.values(intent=None)], "how its title was to be issued"),
        (area, [change.values(intent='{"document":"00"}')], "how its title was to be issued"),
    ]
    await _all_told(carrier, made_of)
    alarm = {"kind": "alarm", "at": 2**52, "actor": did_of(PLATFORM)}
    refused = insert(events).values(detail=f'{{"reference":"{REFERENCE}"}}', **alarm)
    explained: Damage = (area, [*untitled[1], refused], "nothing: an alarm said why")
    assert (await _examined(carrier, explained, area)).damages == []
    await _all_told(
        platform,
        [untitled, (area, [delete(pint_bills)], "the bill that was taken over is not here")],
    )


async def _a_key_that_fell_later_signed_all_the_same(platform: Node) -> None:
    """Under the list of then it verifies; under the later one alone it would not."""
    then = platform.members.current
    assert then is not None
    nodes = tuple(replace(one, keys=tuple(map(_fallen, one.keys))) for one in then.nodes)
    later = replace(then, version=then.version + 1, nodes=nodes)

    def told(conn: Connection, *lists: MemberList) -> list[str]:
        known = {bytes([place]): one for place, one in enumerate(lists)}
        context = fsck.Context(platform.home, platform.keys, later, known)
        return fsck.examine(conn, context, "FSCK-18").damages

    assert await platform.store.read(told, then, later) == []
    (damage,) = await platform.store.read(told, later)
    assert damage == "ebl_issuances 1: its manifest does not verify: pint_key_unknown"


def _fallen(key: ListedKey) -> ListedKey:
    return replace(key, compromised_from=key.valid_from)


async def test_bills_of_and_for_those_outside_are_whole_and_their_signatures_are_held_to(
    tmp_path: Path,
) -> None:
    """Our carrier with a platform outside, and our platform with a carrier outside."""
    told: dict[str, Any] = SETTINGS | settings()
    network, wave, outside = made(tmp_path, **told), Foreign(), Foreign()
    write_down(network.homes[CARRIER], "WAVE", "platform", wave)
    write_down(network.homes[PLATFORM], "OUTC", "carrier", outside)
    async with serving(wave), serving(outside), running(network) as nodes:
        carrier, platform = nodes[CARRIER], nodes[PLATFORM]
        await put_up(carrier, bill(), issueTo=WAVE)
        said = {"transportDocumentReference": REFERENCE, "issuanceResponseCode": "ISSU"}
        assert (await call(carrier, "POST", RESPONSES, said))[0] == 204
        asked_back = surrender_request("S-1", "AREQ", reasonCode="COD", comments="To Antwerp.")
        assert (await call(carrier, "POST", SURRENDERS, asked_back))[0] == 204
        await answer(carrier, "S-1", accept=False, comment="Not on this voyage.")
        await _whole(carrier, 1, 1, 5, 3)
        refused, taken = issue_to("nobody"), issue_to()
        for to in (refused, taken):
            assert (await call(platform, "PUT", REQUESTS, asked(outside, bill(), to)))[0] == 204
        await _whole(platform, 2, 0, 2, 0)
        for node in (carrier, platform):
            forged = _forged((await _row(node, issuances))["body"])
            change = update(issuances).where(issuances.c.number == 1).values(body=forged)
            await _all_told(node, [("FSCK-18", [change], "does not verify: bad_signature")])
        # Whose certificates the operator no longer has cannot be told, what is inside can.
        (network.homes[PLATFORM].path / "counterparts.toml").write_text("")
        await _whole(platform, 2, 0, 2, 0)
