"""Keys of holders on a chain, and the statements that tell whose they are (R1, R20)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws
from protocols.digest import sha256
from protocols.evm.holder_keys import (
    TYP,
    HolderKey,
    address_of,
    bound,
    carrier_signer,
    hardened,
    master,
    party_of,
    read_statement,
    sign_statement,
    title_signer,
)
from protocols.evm.title import account
from protocols.title.machine import Party
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, UnavailableError
from tests.support.evm_chain_titles import ARBITER, MEMBERS, SEEDS, stated
from tests.support.title_world import did, ecdsa

TITLE, OTHER = sha256(b"a title"), sha256(b"another title")


def test_hardened_derivation_follows_the_vectors_of_bip_32() -> None:
    # BIP-32, test vector 1: m and m/0'.
    key, code = master(bytes(range(16)))
    assert key.hex() == "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"
    child, its_code = hardened(key, code, 0)
    assert child.hex() == "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"
    assert its_code.hex() == "47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141"


@pytest.mark.parametrize("seed", [b"", bytes(15), bytes(65)])
def test_a_seed_of_another_length_makes_no_key(seed: bytes) -> None:
    with pytest.raises(MalformedError) as error:
        master(seed)
    assert error.value.code == "evm_key_malformed"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_every_title_has_a_key_of_its_own(one: bytes, two: bytes) -> None:
    seed = SEEDS["bank"]
    same = title_signer(seed, one).address == title_signer(seed, two).address
    assert same == (one == two)
    assert title_signer(seed, one).address == title_signer(seed, one).address


def test_titles_that_differ_in_one_bit_have_different_keys() -> None:
    seed, number = SEEDS["bank"], int.from_bytes(TITLE, "big")
    near = {
        title_signer(seed, (number ^ 1 << bit).to_bytes(32, "big")).address for bit in range(256)
    }
    assert len(near | {title_signer(seed, TITLE).address, carrier_signer(seed).address}) == 258


@pytest.mark.parametrize("title", [TITLE, None])
def test_a_statement_reads_back_as_it_was_signed(title: bytes | None) -> None:
    statement, text = stated("nhl" if title is None else "bank", title)
    assert read_statement(text, ARBITER, MEMBERS) == statement
    assert address_of(statement.party) == statement.address


def test_r20_a_statement_of_somebody_else_is_refused() -> None:
    key = title_signer(SEEDS["bank"], TITLE)
    claimed = HolderKey(MEMBERS.network, ARBITER, did("bank"), key.address, TITLE)
    text = sign_statement(claimed, ecdsa("imp-a", "title"), key)
    with pytest.raises(RefusedError) as error:
        read_statement(text, ARBITER, MEMBERS)
    assert error.value.code == "title_key_mismatch"


def test_r20_nobody_claims_an_address_that_is_not_its_own() -> None:
    theirs = title_signer(SEEDS["bank"], TITLE)
    claimed = HolderKey(MEMBERS.network, ARBITER, did("imp-a"), theirs.address, TITLE)
    own = title_signer(SEEDS["imp-a"], TITLE)
    text = sign_statement(claimed, ecdsa("imp-a", "title"), own)
    with pytest.raises(RefusedError) as error:
        read_statement(text, ARBITER, MEMBERS)
    assert error.value.code == "bad_signature"


def test_r1_a_statement_for_another_arbiter_or_network_is_refused() -> None:
    _, text = stated("bank", TITLE)
    elsewhere = replace(ARBITER, contract=bytes(20))
    with pytest.raises(RefusedError) as error:
        read_statement(text, elsewhere, MEMBERS)
    assert error.value.code == "title_key_mismatch"
    with pytest.raises(RefusedError):
        read_statement(text, ARBITER, replace(MEMBERS, network=bytes(32)))


def test_a_key_that_is_not_listed_yet_may_be_listed_later() -> None:
    key = title_signer(sha256(b"stranger"), TITLE)
    claimed = HolderKey(MEMBERS.network, ARBITER, did("stranger"), key.address, TITLE)
    text = sign_statement(claimed, ecdsa("stranger", "title"), key)
    with pytest.raises(UnavailableError) as error:
        read_statement(text, ARBITER, MEMBERS)
    assert error.value.code == "registry_members_unknown"


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"more": 1}, {"proof": "zz"}, {"proof": "00" * 65}, {"address": "0x00"}],
)
def test_a_statement_of_another_shape_is_malformed(
    change: dict[str, strict_json.JsonValue],
) -> None:
    _, text = stated("bank", TITLE)
    body = strict_json.loads_object(jws.parse(text, typ=TYP).payload)
    signed = strict_json.canonical(body | change)
    altered = jws.sign(signed, typ=TYP, signer=ecdsa("bank", "title"))
    with pytest.raises(MalformedError):
        read_statement(altered, ARBITER, MEMBERS)


def test_an_address_is_named_only_for_its_title_and_never_for_two() -> None:
    bank, _ = stated("bank", TITLE)
    carrier, _ = stated("nhl", None)
    name = party_of([bank, carrier], TITLE, ARBITER.chain_id)
    assert name(bank.address) == bound(did("bank"), bank.address)
    assert name(carrier.address).did == did("nhl")
    stranger = account(ARBITER.chain_id, bank.address)
    assert party_of([bank], OTHER, ARBITER.chain_id)(bank.address) == stranger
    rival = replace(bank, did=did("imp-a"))
    assert party_of([bank, rival], TITLE, ARBITER.chain_id)(bank.address) == stranger


def test_a_party_of_a_log_has_no_address() -> None:
    with pytest.raises(MalformedError) as error:
        address_of(Party(did("bank"), ecdsa("bank", "title").public().thumbprint()))
    assert error.value.code == "evm_address_malformed"
