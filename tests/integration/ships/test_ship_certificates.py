"""Ship certificates between nodes: delegation withdrawn, window missed, number unknown, cut off."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from node.cli.main import _run as command
from node.operator import OperatorClient
from node.ships.tables import ship_numbers
from node.verification.offline import verify_file
from protocols.member_list import IssuerEntry
from schemas import registry
from schemas.errors import ConflictError
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

TYPE = "ship-certificate"
LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC)
SOCIETY, FLAG, STATE = "heron-class", "sg-flag", "nl-port"
RIGHT = IssuerEntry(did_of(FLAG), TYPE, "SG", LONG_AGO)
DELEGATION = replace(
    RIGHT, did=did_of(SOCIETY), delegated_by=did_of(FLAG), certificate_types=("IOPP", "ILL")
)


def change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
    return replace(draft, issuers=(RIGHT, DELEGATION))


def network(folder: Path) -> Made:
    member = Member(settings={"fetching": {"quiet": 0}})
    return make_network(
        folder,
        {
            SOCIETY: replace(member, roles=("issuer",), country="NO"),
            FLAG: replace(member, roles=("port",), country="SG"),
            STATE: replace(member, country="NL"),
        },
        change=change,
    )


def day(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def certificate(number: str, utn: str, **more: Any) -> bytes:
    """An IOPP certificate issued a year ago whose annual endorsement is due about today."""
    today = datetime.now(UTC).date()
    body = json.loads(registry.example(TYPE))
    until = date(today.year + 3, today.month, min(today.day, 28))
    window = {"kind": "ANNUAL", "dueFrom": day(-90), "dueUntil": day(80)}
    body |= {
        "number": number,
        "trackingNumber": utn,
        "issueDate": day(-370),
        "completionSurveyDate": day(-372),
        "validUntil": until.isoformat(),
        "endorsements": [window],
    }
    return json.dumps(body | more).encode()


def operator(node: Node) -> OperatorClient:
    return OperatorClient(node.local_url, node.token)


async def issue(node: Node, body: bytes) -> bytes:
    """Issue it; the document file."""
    order = {"payload": base64.b64encode(body).decode(), "type": TYPE}
    digest = (await operator(node).apost("/v1/documents", order))["digest"]
    accept = {"Accept": "application/octet-stream"}
    found = await operator(node).arequest("GET", f"/v1/documents/{digest}", headers=accept)
    return bytes(found.body)


async def verify(node: Node, file: bytes, at: datetime | None = None) -> dict[str, Any]:
    """Verdict, codes of the ship steps, and the report itself."""
    question: dict[str, Any] = {"file": base64.b64encode(file).decode()}
    if at is not None:
        question["at"] = at.isoformat()
    report = await operator(node).apost("/v1/verify", question)
    ship = {
        one["id"]: (one["outcome"], one.get("code"))
        for one in report["checks"]
        if one["id"].startswith("SHIP")
    }
    return {"verdict": report["verdict"], "rules": [f["rule"] for f in report["findings"]]} | ship


GOOD = dict.fromkeys(("SHIP-01", "SHIP-02", "SHIP-03"), ("PASSED", None))


async def test_r23_a_ship_certificate_is_worth_what_flag_window_and_register_say(
    tmp_path: Path,
) -> None:
    made = network(tmp_path)
    async with running_network(made) as nodes:
        society, state = nodes[SOCIETY], nodes[STATE]
        first = await issue(society, certificate("IOPP-1", "SG-HCS-26-0001-AAAA"))
        second = await issue(society, certificate("IOPP-2", "SG-HCS-26-0002-BBBB"))
        own = await issue(
            nodes[FLAG], certificate("IOPP-3", "SG-26-3", onBehalfOf="FLAG_ADMINISTRATION")
        )
        issued = datetime.now(UTC)
        for good in (first, own):
            found = await verify(state, good)
            assert found == {"verdict": "PASSED", "rules": []} | GOOD
        await _windows_and_types(society, state)
        await _by_commands(tmp_path, made, first)
        await _numbers(nodes)
        await _withdrawn(state, made, first, issued)
    await _cut_off(made, first, second)


async def _windows_and_types(society: Node, state: Node) -> None:
    """A window that passed unendorsed, and what the flag state did not delegate."""
    missed = certificate("IOPP-4", "SG-HCS-26-0004-DDDD")
    due = {"kind": "ANNUAL", "dueFrom": day(-260), "dueUntil": day(-100)}
    body = json.loads(missed)
    body["endorsements"] = [due, *body["endorsements"]]
    found = await verify(state, await issue(society, json.dumps(body).encode()))
    assert found["verdict"] == "FAILED"
    assert found["SHIP-01"] == ("FAILED", "ship_window_missed")
    assert "SHP-010" in found["rules"]
    kinds = {**json.loads(missed)["delegation"], "certificateTypes": ["IAPP"]}
    other = certificate("IAPP-1", "SG-HCS-26-0005-EEEE", certificateType="IAPP", delegation=kinds)
    found = await verify(state, await issue(society, other))
    assert found["SHIP-02"] == ("FAILED", "ship_not_delegated")
    pretended = certificate("IOPP-6", "SG-HCS-26-0006", onBehalfOf="FLAG_ADMINISTRATION")
    found = await verify(state, await issue(society, pretended))
    assert found["SHIP-02"] == ("FAILED", "ship_not_delegated")
    strange = certificate("IOPP-7", "SG-HCS-26-0007", flag="PA")
    found = await verify(
        state, await issue(society, strange.replace(b'"flag": "SG"', b'"flag": "PA"'))
    )
    assert found["SHIP-02"] == ("INDETERMINATE", "ship_delegations_unknown")


async def _numbers(nodes: dict[str, Node]) -> None:
    """The register answers anybody; what it never issued is no certificate; a number is unique."""
    society, state = nodes[SOCIETY], nodes[STATE]
    lost = await issue(society, certificate("IOPP-8", "SG-HCS-26-0008-HHHH"))
    gone = delete(ship_numbers).where(ship_numbers.c.number == "SG-HCS-26-0008-HHHH")
    await society.store.write(lambda conn: conn.execute(gone) and None)
    found = await verify(state, lost)
    assert (found["verdict"], found["SHIP-03"]) == ("FAILED", ("FAILED", "ship_number_unknown"))
    assert found["rules"] == ["SHP-012"]
    with pytest.raises(ConflictError) as taken:
        await issue(society, certificate("IOPP-9", "SG-HCS-26-0001-AAAA"))
    assert taken.value.code == "ship_number_taken"
    asked = await operator(state).aget("/v1/ship-certificates", number="SG-HCS-26-0001-AAAA")
    assert {one["register"]: one["says"] for one in asked["registers"]} == {
        did_of(STATE): "unknown",
        did_of(FLAG): "unknown",
        did_of(SOCIETY): "known",
    }


async def run(*arguments: object) -> int:
    """The exit code of a command as `pratique` runs it."""

    def told() -> int:
        with redirect_stdout(io.StringIO()):
            return command([str(one) for one in arguments])

    return await asyncio.to_thread(told)


async def _by_commands(folder: Path, made: Made, file: bytes) -> None:
    """Ask for a number, keep the answer, and verify with it where there is no node."""
    home, kept = ("--home", made.homes[STATE].path), folder / "paper.register.jwt"
    assert await run("ship-certificate", "SG-HCS-26-0001-AAAA", "--save", kept, *home) == 0
    assert await run("ship-certificate", "SG-HCS-26-0099", *home) == 1
    asked = ("SG-HCS-26-0099", "--register", "did:web:nobody.example")
    assert await run("ship-certificate", *asked, *home, "--json") == 3
    paper, trust = folder / "paper.json", folder / "trust.json"
    paper.write_bytes(file)
    assert await run("verify", paper, *home) == 0
    await run("trust", "export", "-o", trust, *home)
    for answer, outcome in ((kept, "PASSED"), (None, "INDETERMINATE")):
        if answer is None:
            kept.unlink()
        report = verify_file(paper, trust=trust, now=datetime.now(UTC))
        step = report.check("SHIP-03")
        assert step is not None
        assert step.outcome.value == outcome


async def _withdrawn(state: Node, made: Made, file: bytes, issued: datetime) -> None:
    """From the day of the withdrawal on the organisation vouches for nothing; --at says so."""
    until = datetime.now(UTC)
    ended = replace(DELEGATION, valid_until=until)
    state.members.replace(replace(made.members, issuers=(RIGHT, ended)))
    found = await verify(state, file)
    assert (found["verdict"], found["SHIP-02"]) == ("FAILED", ("FAILED", "ship_not_delegated"))
    assert found["rules"] == ["SHP-011"]
    assert (await verify(state, file, issued))["SHIP-02"] == ("PASSED", None)
    # So does the end of the administration's own right.
    over = replace(made.members, issuers=(replace(RIGHT, valid_until=until), DELEGATION))
    state.members.replace(over)
    assert (await verify(state, file))["SHIP-02"] == ("FAILED", "ship_not_delegated")
    state.members.replace(made.members)


async def _cut_off(made: Made, first: bytes, second: bytes) -> None:
    """What the register knew before still holds; what was never asked is open until it answers."""
    alone = replace(made, homes={STATE: made.homes[STATE]})
    async with running_network(alone) as nodes:
        found = await verify(nodes[STATE], second)
        assert found["verdict"] == "INDETERMINATE"
        assert found["SHIP-03"] == ("INDETERMINATE", "ship_register_silent")
        assert (await verify(nodes[STATE], first))["SHIP-03"] == ("PASSED", None)
        asked = await operator(nodes[STATE]).aget(
            "/v1/ship-certificates", number="SG-HCS-26-0002-BBBB", register=did_of(SOCIETY)
        )
        assert asked["registers"][0]["says"] == "silent"
    async with running_network(made) as nodes:
        assert await verify(nodes[STATE], second) == {"verdict": "PASSED", "rules": []} | GOOD
