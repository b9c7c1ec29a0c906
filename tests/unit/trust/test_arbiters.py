"""Title arbiters on chains in the member list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.trust import wishes
from node.trust.views import read_wish
from protocols.fields import Fields
from protocols.members.anchor_contracts import AnchorContractEntry, AnchorSender
from protocols.members.arbiters import ArbiterEntry, ValidatorEpoch, read_arbiter
from protocols.members.changes import diff
from schemas.errors import MalformedError
from tests.support.title_world import draft, member_list

ENTRY = ArbiterEntry("chain-1", 1337, bytes([7]) * 20, bytes([8]) * 32, "finalized", 5)
SEALED = replace(
    ENTRY,
    name="sealed",
    finality="qbft",
    contract=bytes([6]) * 20,
    validators=(
        ValidatorEpoch(5, (bytes([1]) * 20, bytes([2]) * 20)),
        ValidatorEpoch(50, (bytes([3]) * 20,)),
    ),
)


def read(body: object) -> ArbiterEntry:
    assert isinstance(body, dict)
    return read_arbiter(Fields(body, "member_list_malformed"))


@pytest.mark.parametrize("entry", [ENTRY, SEALED])
def test_an_entry_reads_back(entry: ArbiterEntry) -> None:
    assert read(entry.to_json()) == entry


def test_validators_are_those_of_the_blocks_epoch() -> None:
    assert SEALED.validators_at(4) == frozenset()
    assert SEALED.validators_at(49) == {bytes([1]) * 20, bytes([2]) * 20}
    assert SEALED.validators_at(50) == {bytes([3]) * 20}
    assert ENTRY.validators_at(9) == frozenset()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "evm"},
        {"name": "log"},
        {"name": "Upper"},
        {"finality": "soon"},
        {"finality": "depth:"},
        {"finality": "qbft"},
        {"chainId": 0},
        {"contract": "0x00"},
        {"validators": [{"from": 0, "addresses": []}]},
        {"validators": [{"from": 0, "addresses": ["0x" + "00" * 20]}]},
    ],
)
def test_other_entries_are_malformed(change: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        read(ENTRY.to_json() | change)


@pytest.mark.parametrize("starts", [(50, 5), (5, 5)])
def test_epochs_begin_one_after_the_other(starts: tuple[int, int]) -> None:
    epochs = tuple(ValidatorEpoch(start, (bytes([1]) * 20,)) for start in starts)
    with pytest.raises(MalformedError):
        read(replace(SEALED, validators=epochs).to_json())


def test_a_list_names_arbiters_by_id_and_tells_what_changed() -> None:
    base = member_list()
    listed = member_list(draft().with_arbiter(ENTRY).with_arbiter(SEALED))
    assert listed.arbiter(ENTRY.id) == ENTRY
    assert listed.arbiter(bytes(32)) is None
    assert base.arbiters == ()
    told = diff(base, listed)
    assert sum("title arbiter" in line for line in told) == 2


def test_one_name_and_one_contract_stand_once() -> None:
    twice = replace(draft(), arbiters=(ENTRY, replace(SEALED, name=ENTRY.name)))
    with pytest.raises(MalformedError):
        member_list(twice)
    same = replace(draft(), arbiters=(ENTRY, replace(ENTRY, name="other")))
    with pytest.raises(MalformedError):
        member_list(same)


def test_contracts_are_listed_by_files_and_each_member_brings_its_sender() -> None:
    base = member_list()
    made = [
        AnchorContractEntry(replace(SEALED, name="anchors"), (AnchorSender(origin, address * 20),))
        for origin, address in (("a.example/log/1", b"\1"), ("b.example/log/1", b"\2"))
    ]
    body = {
        "arbiters": [ENTRY.to_json()],
        "anchorContracts": [one.to_json() for one in (*made, made[0])],
    }
    wish = read_wish(body)
    assert not wish.changes_nothing
    drafted = wishes.draft(base, wish, [], "did:web:node.example", base.issued_at)
    assert drafted.arbiters == (ENTRY,)
    (listed,) = drafted.anchor_contracts
    assert listed.senders == (*made[0].senders, *made[1].senders)
    # Senders of another contract are not taken along under its name.
    other = replace(made[0], place=replace(made[0].place, contract=bytes([9]) * 20))
    body = {"anchorContracts": [made[1].to_json(), other.to_json()]}
    (listed,) = wishes.draft(
        base, read_wish(body), [], "did:web:node.example", base.issued_at
    ).anchor_contracts
    assert listed == other


def test_who_seals_the_blocks_stands_in_what_roots_read_in_both_languages() -> None:
    base, listed = member_list(), member_list(draft().with_arbiter(SEALED))
    for lang, words in (("en", "on chain 1337, final by qbft"), ("zh", "链1337上的0x")):
        (line,) = [one for one in diff(base, listed, lang) if "sealed" in one]
        assert words in line
        assert "50: 0x" + "03" * 20 in line
