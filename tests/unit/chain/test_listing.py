"""The contract for anchors in the settings beside the one in the member list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.anchors import Place
from ledger.chain_settings import read_finality
from node.anchor.listing import entry_of, mismatch
from protocols.evm.keys import checksum_text
from protocols.member_list import MemberList
from protocols.members.anchor_contracts import AnchorContractEntry, AnchorSender
from tests.support.title_world import member_list

ORIGIN = "node.example/log/1"
PLACE = Place(1337, bytes([7]) * 20, bytes([8]) * 32)
SENDER = AnchorSender(ORIGIN, bytes([1]) * 20)
OWN = entry_of(PLACE, read_finality("depth:3", ()), SENDER)


def listing(*entries: AnchorContractEntry) -> MemberList:
    return replace(member_list(), anchor_contracts=entries)


def test_no_list_and_a_list_without_contracts_contradict_nothing() -> None:
    assert mismatch(OWN, None) is None
    assert mismatch(OWN, listing()) is None


def test_the_same_contract_agrees_whether_our_log_is_named_yet_or_not() -> None:
    assert OWN.place.finality == "depth:3"
    assert mismatch(OWN, listing(OWN)) is None
    assert mismatch(OWN, listing(replace(OWN, senders=()))) is None
    stranger = AnchorSender("other.example/log/1", bytes([2]) * 20)
    assert mismatch(OWN, listing(replace(OWN, senders=(stranger,)))) is None


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (replace(OWN, place=replace(OWN.place, contract=bytes([6]) * 20)), "0x0606060606"),
        (replace(OWN, place=replace(OWN.place, chain_id=5)), "on chain 5"),
        (replace(OWN, place=replace(OWN.place, code_hash=bytes(32))), "the member list names"),
        (replace(OWN, place=replace(OWN.place, finality="finalized")), "says finalized"),
        (replace(OWN, senders=(AnchorSender(ORIGIN, bytes([2]) * 20),)), "the relayer is"),
    ],
)
def test_what_the_list_says_otherwise_is_told(listed: AnchorContractEntry, told: str) -> None:
    found = mismatch(OWN, listing(listed))
    assert found is not None
    assert told in found


def test_validators_pinned_in_the_settings_go_into_the_file_for_the_roots() -> None:
    named = [bytes([number]) * 20 for number in (3, 4)]
    text = "5:" + ",".join(map(checksum_text, named))
    (epoch,) = entry_of(PLACE, read_finality("qbft", [text]), SENDER).place.validators
    assert (epoch.start, epoch.validators) == (5, tuple(named))
