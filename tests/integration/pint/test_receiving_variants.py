"""The same platform on another store, with a toolkit's older dialect, and under hostile hands."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from node.ebl.switches import SwitchedPeer
from node.pint import rows
from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.words import Action
from schemas import strict_json
from schemas.errors import TradeError
from tests.integration.pint.receiving_world import (
    Answer,
    Sender,
    bill,
    moved,
    platform,
    prepared,
    receiving,
)
from tests.support import pint_world as w
from tests.support.postgres import create_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.home import Home
    from protocols.member_list import MemberList

LIST = b"%PDF-1.7 packing list"


@pytest.fixture
def on_postgresql(tmp_path: Path, postgres_server: str) -> tuple[Home, MemberList]:
    url = create_database(postgres_server, f"pint{os.getpid()}")
    return prepared(tmp_path, store={"url": url})


async def test_postgresql_receives_as_sqlite_does(on_postgresql: tuple[Home, MemberList]) -> None:
    async with receiving(*on_postgresql) as sender:
        document = bill()
        texts = moved(document)
        envelope = w.pack(document, texts, supporting=[w.document_of(LIST)])
        started = await sender.post(envelope)
        reference = started.json["envelopeReference"]
        assert (await sender.finish(reference)).word == "MDOC"
        assert (await sender.put(reference, sha256(LIST), LIST)).status == 204
        ended = await sender.finish(reference)
        assert (ended.word, ended.signed.received) == ("RECE", (sha256(LIST),))
        assert (await sender.post(envelope)).word == "DUPE"
        other = bill("TDR-2")
        whole = w.pack(other, moved(other))
        answers = await asyncio.gather(*(sender.post(whole) for _ in range(4)))
        assert sorted(one.word for one in answers) == ["DUPE", "DUPE", "DUPE", "RECE"]
        agent = w.party("agent", "OUTS")
        away = w.act(Action.TRANSFER, w.BUYER, agent, minute=3)
        back = w.act(Action.TRANSFER, agent, w.BANK, minute=4)
        own = sender.node.keys.signer("platform")
        longer = [*texts, w.following(texts, "AWAY", [away]).sign(own)]
        longer.append(w.following(longer, "OUTS", [back]).sign(w.signer_of("OUTS")))
        assert (await sender.post(w.pack(document, longer, by="OUTS"))).word == "RECE"
        now = sender.node.clock.now_ms()
        assert await sender.node.store.write(rows.lapse, now + 1) == 0


# -- the toolkit's older dialect ---------------------------------------------------------------


def _older(document: dict[str, Any]) -> bytes:
    """As DCSA's toolkit sends: legacy words, ISSUE everywhere, the manifest at the root."""
    entry = w.first(document, registry=None)
    told = dict(entry.to_json())
    issuance = told.pop("issuanceManifestSignedContent")
    legacy = {"ISSUE": "ISSU", "TRANSFER": "TRNS"}
    told["transactions"] = [
        one.to_json() | {"action": legacy[one.action.value], "actionCode": "ISSUE"}
        for one in entry.transactions
    ]
    text = signed.sign(strict_json.canonical(told), signer=w.platform_key("HOME"))
    body = strict_json.loads_object(w.pack(document, [text]))
    return strict_json.canonical(body | {"issuanceManifestSignedContent": issuance})


async def test_r7_an_older_dialect_is_read_for_the_named_peer_alone(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        assert (await sender.post(_older(document))).word == "BENV"
        held = sender.node.switches.held
        held.tell(peers=[SwitchedPeer("FARR", beta=True)])
        assert (await sender.post(_older(document))).word == "BENV"
        held.tell(peers=[SwitchedPeer("HOME", beta=True)])
        assert (await sender.post(_older(document))).word == "RECE"
        assert (await sender.post(_older(document))).word == "DUPE"


async def test_r7_no_dialect_outside_test_networks(tmp_path: Path) -> None:
    home, members = prepared(tmp_path, test=False)
    async with receiving(home, members) as sender:
        with pytest.raises(TradeError, match="test_switch_refused"):
            sender.node.switches.held.tell(peers=[SwitchedPeer("HOME", beta=True)])
        document = bill()
        assert (await sender.post(_older(document))).word == "BENV"
        assert (await sender.post(w.pack(document, moved(document)))).word == "RECE"


# -- hostile hands -----------------------------------------------------------------------------

SEED, ROUNDS = 56, 40


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(7))]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _member(data: bytes, rng: random.Random) -> bytes:
    body = strict_json.loads_object(data)
    name = rng.choice(sorted(body))
    wrong = rng.choice(["", [], {}, None, 0, "a.b.c", [["x"]], 2**53 - 1])
    return strict_json.canonical(body | {name: wrong})


def _entries(data: bytes, rng: random.Random) -> bytes:
    body = strict_json.loads_object(data)
    chain: Any = body["envelopeTransferChain"]
    changed = rng.choice([chain * 2, chain[::-1] * 3, [*chain, "eyJ9.e30.AA"], [chain[0][:-8]]])
    return strict_json.canonical(body | {"envelopeTransferChain": changed})


HANDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _member, _entries)


async def test_no_altered_envelope_is_accepted_or_stands_in_the_right_ones_way(
    tmp_path: Path,
) -> None:
    rng = random.Random(SEED)
    async with platform(tmp_path) as sender:
        for number in range(ROUNDS):
            document = bill(f"TDR-{number}")
            right = w.pack(document, moved(document))
            wrong = rng.choice(HANDS)(right, rng)
            if wrong != right:
                _is_refused(await sender.post(wrong), number)
            assert (await _word(sender, right)) in {"RECE", "DUPE"}, number


def _is_refused(answer: Answer, number: int) -> None:
    assert answer.status in {200, 400, 409, 413, 422}, number
    if answer.body.startswith(b'"'):
        # A bit of an additional member or of white space may change nothing that anybody signed.
        assert answer.word in {"BENV", "BSIG", "DISE", "RECE"}, number
        if answer.word != "RECE":
            assert answer.signed.reason
    else:
        assert answer.error.errors, number


async def _word(sender: Sender, envelope: bytes) -> str:
    return (await sender.post(envelope)).word
