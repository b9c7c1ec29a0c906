"""Proofs of titles on a chain, refusals as evidence, and operations read back from call data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm import title_proof as evm_title_proof
from protocols.evm.input import read_input
from protocols.evm.keys import joint_address
from protocols.evm.proof import read_header
from protocols.evm.refusal import is_chain_refusal, read_refusal, verify_refusal
from protocols.evm.title import EvmOperation, account, sign_jointly
from protocols.evm.title_proof import (
    EvmTitleProof,
    no_voucher,
    of_known,
    read_proof,
    read_step,
    replay,
    step_text,
    verify_proof,
)
from protocols.evm.title_text import read_text
from protocols.members.arbiters import ValidatorEpoch
from protocols.title.machine import Ending, Kind, State
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from tests.support.evm_chain_titles import MEMBERS, TITLE, ChainTitle, moved
from tests.support.evm_world import signer
from tests.support.title_world import did


def known() -> evm_title_proof.Vouch:
    return of_known([read_header(step.event.header).hash for step in moved().steps])


def verified(proof: EvmTitleProof) -> evm_title_proof.ProvenEvmTitle:
    return verify_proof(proof, entry=moved().entry, members=MEMBERS, vouch=known())


def test_a_proof_leads_to_the_state_with_its_parties_names() -> None:
    proven = verified(read_proof(moved().proof().to_bytes()))
    state = proven.state
    assert (state.seq, state.state, state.issuer.did) == (3, State.LIVE, did("nhl"))
    assert state.possessor is not None
    assert state.holder is not None
    assert (state.possessor.did, state.holder.did) == (did("bank"), did("imp-a"))
    assert state.head == moved().world.control(TITLE).head
    assert [operation.kind for operation, _ in proven.operations] == [
        Kind.ISSUE,
        Kind.TRANSFER,
        Kind.ENDORSE,
    ]
    assert [place.block for place in proven.places] == sorted(p.block for p in proven.places)
    assert proven.at.timestamp() == proven.places[-1].time


def test_without_statements_parties_are_bare_accounts() -> None:
    proven = verified(replace(moved().proof(), keys=()))
    assert proven.state.issuer.did.startswith("did:pkh:eip155:1337:0x")


def altered(change: str) -> EvmTitleProof:
    proof = moved().proof()
    one, two, three = proof.steps
    steps = {
        "a step missing": (one, three),
        "the first missing": (two, three),
        "in another order": (one, three, two),
        "a step twice": (one, two, two),
        "another operation's event": (one, replace(two, event=three.event), three),
        "another operation": (one, replace(two, operation=three.operation), three),
        "another log": (one, replace(two, event=replace(two.event, log=1)), three),
    }
    return replace(proof, steps=steps[change])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("a step missing", "title_history_mismatch"),
        ("the first missing", "title_history_mismatch"),
        ("in another order", "title_history_mismatch"),
        ("a step twice", "title_history_mismatch"),
        ("another operation's event", "title_history_mismatch"),
        ("another operation", "title_history_mismatch"),
        ("another log", "evm_path_invalid"),
    ],
)
def test_a_history_that_is_not_whole_is_refused(change: str, code: str) -> None:
    with pytest.raises(RefusedError) as error:
        verified(altered(change))
    assert error.value.code == code


def test_r21_blocks_that_nobody_vouches_for_prove_nothing() -> None:
    for vouch in (no_voucher, of_known([bytes(32)])):
        with pytest.raises(RefusedError) as error:
            verify_proof(moved().proof(), entry=moved().entry, members=MEMBERS, vouch=vouch)
        assert error.value.code == "evm_block_unsealed"


def test_r5_where_validators_are_listed_only_their_seals_count() -> None:
    entry = replace(
        moved().entry, finality="qbft", validators=(ValidatorEpoch(0, (bytes([1]) * 20,)),)
    )
    with pytest.raises((RefusedError, MalformedError)) as error:
        verify_proof(moved().proof(), entry=entry, members=MEMBERS, vouch=known())
    # These headers carry no seals at all.
    assert error.value.code in {"evm_block_unsealed", "evm_proof_malformed"}


def test_r19_a_proof_of_another_arbiter_is_refused() -> None:
    with pytest.raises(RefusedError) as error:
        verified(replace(moved().proof(), arbiter=bytes(32)))
    assert error.value.code == "title_arbiter_unknown"
    elsewhere = replace(moved().entry, contract=bytes([5]) * 20)
    with pytest.raises(RefusedError):
        verify_proof(
            replace(moved().proof(), arbiter=elsewhere.id, keys=()),
            entry=elsewhere,
            members=MEMBERS,
            vouch=known(),
        )


@pytest.mark.parametrize(
    "change",
    [
        {"v": 1},
        {"more": 1},
        {"steps": []},
        {"keys": [1]},
        {"keys": "no list"},
        {"steps": [{"operation": "{}", "header": "%", "transaction": 0, "nodes": [], "log": 0}]},
    ],
)
def test_another_shape_is_malformed(change: dict[str, strict_json.JsonValue]) -> None:
    with pytest.raises(MalformedError):
        read_proof(strict_json.canonical(moved().proof().to_json() | change))


def test_only_the_canonical_form_is_read() -> None:
    data = moved().proof().to_bytes()
    with pytest.raises(MalformedError):
        read_proof(data.replace(b'{"arbiter"', b'{ "arbiter"', 1))


def test_a_step_reads_back() -> None:
    for step in moved().steps:
        assert read_step(step_text(step)) == step


def test_a_title_that_replaces_another_is_believed_by_its_event() -> None:
    # The contract looked at the title that is replaced; replaying must not ask for it again.
    made = ChainTitle()
    made.move(made.issue())
    issue = read_text(made.steps[0].operation)
    registry = made.entry.registry(MEMBERS.network)
    operation = registry.operation(issue, lambda key: account(1337, key))
    replaced = replace(operation, issuance=replace(operation.issuance, replaces=sha256(b"old")))
    assert replay(None, replaced, made.world.chain.now).replaces == sha256(b"old")


def test_what_the_machine_would_not_apply_is_no_history() -> None:
    proven = verified(moved().proof())
    again = proven.operations[1][0]
    with pytest.raises(RefusedError) as error:
        replay(proven.state, again, proven.places[-1].time)
    assert error.value.code == "title_history_mismatch"


def test_the_losers_evidence_is_the_event_of_the_refusal() -> None:
    made = ChainTitle()
    made.move(made.issue())
    late = made.sign(Kind.TRANSFER, "exp-a", "imp-a")
    made.move(made.sign(Kind.TRANSFER, "exp-a", "bank"))
    told = made.refuse(late, winner=sha256(b"winner"))
    text = told.to_text()
    assert is_chain_refusal(text)
    assert read_refusal(text) == told
    assert told.refused.code == "title_seq_conflict"
    block = read_header(told.event.header).hash
    verify_refusal(told, made.entry, of_known([block]))
    for wrong in (
        replace(told, arbiter=bytes(32)),
        replace(told, refused=replace(told.refused, code="title_ended")),
        replace(told, at=1),
    ):
        with pytest.raises(RefusedError):
            verify_refusal(wrong, made.entry, of_known([block]))
    with pytest.raises(RefusedError):
        verify_refusal(told, made.entry, no_voucher)
    sealed = replace(
        made.entry, finality="qbft", validators=(ValidatorEpoch(0, (bytes([1]) * 20,)),)
    )
    with pytest.raises((RefusedError, MalformedError)):
        verify_refusal(replace(told, arbiter=sealed.id), sealed, no_voucher)


# Call data.


def test_operations_read_back_from_every_kind_of_call() -> None:
    made = ChainTitle()
    issue = made.issue()
    transfer = made.sign(Kind.TRANSFER, "exp-a", "bank")
    offer = made.sign(Kind.OFFER, "exp-a", "bank", expires=made.world.chain.now + 9)
    end = made.sign(Kind.END, "nhl", ending=Ending.PAPER)
    for signed in (transfer, offer, end, issue):
        assert read_input(evm_calls.apply_one(signed)) == (signed,)
    batch = (transfer, issue, end, replace(issue, operation=issue.operation))
    assert read_input(evm_calls.apply_batch(batch)) == batch


def test_a_joint_holders_operation_reads_back() -> None:
    signers = tuple(signer(name) for name in ("bank", "imp-a"))
    members = tuple(sorted(each.address for each in signers))
    plain = ChainTitle().sign(Kind.TRANSFER, "exp-a", "bank").operation
    operation: EvmOperation = replace(plain, sender=joint_address(members))
    signed = sign_jointly(operation, ChainTitle().world.domain, signers)
    assert read_input(evm_calls.apply_one(signed)) == (signed,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(4),
        evm_calls.APPLY_ONE,
        evm_calls.APPLY_ONE + bytes(31),
        evm_calls.APPLY_ONE + bytes(7 * 32),
        evm_calls.APPLY + bytes(64),
        evm_calls.APPLY + bytes(64) + b"\xff" * 32,
        evm_calls.APPLY_ONE + bytes(32) + b"\xff" * 32 + bytes(5 * 32),
        evm_calls.APPLY_JOINT + bytes(7 * 32),
    ],
)
def test_other_call_data_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError) as error:
        read_input(data)
    assert error.value.code == "evm_input_malformed"


def test_another_encoding_of_the_same_operations_is_not_read() -> None:
    signed = ChainTitle().sign(Kind.TRANSFER, "exp-a", "bank")
    with pytest.raises(MalformedError):
        read_input(evm_calls.apply_batch([signed]) + bytes(32))
    data = bytearray(evm_calls.apply_one(signed))
    data[4 + 2 * 32] = 1  # a bit above the sender's address
    with pytest.raises(MalformedError):
        read_input(bytes(data))
