"""What the law asks of an electronic bill, as properties (UK ETDA 2023 s.2(2), MLETR 10–12).

T1 to T8 as numbered in the project's reference on trade documents. The same properties hold over
real nodes in tests/integration/title, and of the contract in tests/unit/evm/test_law.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.title.json_forms import operation_bytes, read_operation_bytes
from protocols.title.machine import Bill, Ending, Kind, State, TitleState, joint_party
from protocols.title.operation import read_operation, sign_operation
from protocols.title.proof import read_proof, verify_history, verify_proof
from protocols.title.registry import execute
from schemas.errors import TradeError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    World,
    ecdsa,
    issue,
    manifest,
    operation,
    party,
    signed,
)


def issued(**kwargs: object) -> tuple[World, bytes]:
    world = World()
    made = issue(**kwargs)
    world.run(signed(made))
    return world, made.title


def code_of(world: World, text: str) -> str:
    run = world.open()
    with pytest.raises(TradeError) as caught:
        run.apply(text)
    return caught.value.code


def test_t1_two_concurrent_transfers_from_one_head_have_exactly_one_winner_everywhere() -> None:
    world, title = issued()
    rivals = [
        signed(operation(Kind.TRANSFER, title, 1, "exp-a", to)) for to in ("bank", "financier-2")
    ]
    for order in (rivals, rivals[::-1]):
        here = World(world.registry, dict(world.states), list(world.entries))
        run = here.open()
        run.apply(order[0])
        with pytest.raises(TradeError, match="title_seq_conflict"):
            run.apply(order[1])
        here.commit(run)
        winner = read_operation(order[0]).operation.recipient
        elsewhere = execute(
            world.registry, here.entries[3:], {MEMBERS.digest: MEMBERS}.get, world.states.get
        )
        assert here.states[title].possessor == winner
        assert elsewhere.changed[title] == here.states[title]


def test_t2_the_holder_proves_control_offline() -> None:
    world, title = issued()
    world.go(Kind.TRANSFER, title, "exp-a", "bank")
    file = world.proof(title).to_bytes()
    proven = verify_proof(read_proof(file), arbiter=ARBITER, members=MEMBERS)
    assert proven.state.possessor == party("bank")
    assert proven.state.possessor.key == ecdsa("bank", "title").public().thumbprint()
    verify_history(proven.state, world.operations[title])


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ISSUE])
def test_t3_after_a_transfer_the_old_key_can_do_nothing(kind: Kind) -> None:
    world, title = issued(holder=None, bill=Bill.BLANK)
    world.go(Kind.TRANSFER, title, "exp-a", "bank")
    takes_recipient = kind in {Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
    made = operation(kind, title, 2, "exp-a", "imp-a" if takes_recipient else None)
    assert code_of(world, signed(made)) in {
        "title_not_possessor",
        "title_not_issuer",
        "title_state_forbids",
    }


def test_t4_a_copy_is_recognised_as_a_copy() -> None:
    world, title = issued()
    original = manifest()
    assert original.title() == title
    # The same document under a manifest of its own is another title, and one never issued.
    copy = replace(original, salt=b"c" * 32)
    assert copy.title() != title
    assert world.states.get(copy.title()) is None
    # The same manifest gives no second title, and the same operation no second issuance.
    assert code_of(world, signed(issue())) == "title_exists"
    assert code_of(world, signed(replace(issue(), title=b"c" * 32))) == "title_manifest_reused"


def ended(kind: Kind, ending: Ending) -> tuple[World, bytes]:
    world, title = issued()
    world.go(kind, title, "exp-a")
    world.go(Kind.ACCEPT_SURRENDER, title, "nhl")
    made = replace(operation(Kind.END, title, 3, "nhl"), ending=ending)
    world.run(signed(made))
    return world, title


def test_t5_an_amendment_is_visible_in_both_titles() -> None:
    world, old = ended(Kind.SURRENDER_FOR_AMENDMENT, Ending.AMENDED)
    made = issue(reference="NHLX0001-2", replaces=old)
    world.run(signed(made))
    assert world.states[old].ending is Ending.AMENDED
    assert world.states[made.title].replaces == old
    assert code_of(world, signed(issue(reference="X", replaces=old))) == "title_already_replaced"


def test_t6_a_switch_to_paper_kills_the_title_and_is_not_undone() -> None:
    world, title = ended(Kind.SURRENDER_FOR_AMENDMENT, Ending.PAPER)
    state = world.states[title]
    assert (state.state, state.possessor, state.ending) == (State.ENDED, None, Ending.PAPER)
    for kind in Kind:
        if kind is not Kind.ISSUE:
            takes = kind in {Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
            for who in ("exp-a", "nhl", "bank"):
                made = operation(kind, title, state.seq, who, "imp-a" if takes else None)
                assert code_of(world, signed(made)) == "title_ended"
    assert code_of(world, signed(issue())) == "title_exists"


def test_t7_reading_gives_no_control() -> None:
    world, title = issued()
    # Whoever holds the proof and every operation of the title still holds no key of the possessor.
    known: TitleState = verify_proof(world.proof(title), arbiter=ARBITER, members=MEMBERS).state
    made = operation(Kind.TRANSFER, title, known.seq, "financier-2", "imp-a")
    assert code_of(world, signed(made)) == "title_not_possessor"
    with pytest.raises(TradeError, match="title_key_mismatch"):
        signed(replace(made, sender=known.possessor), "financier-2")


OWNERS = ("bank", "imp-a")


def held_jointly() -> tuple[World, bytes]:
    world, title = issued(holder=None, bill=Bill.BLANK)
    both = joint_party(map(party, OWNERS))
    world.run(signed(replace(operation(Kind.TRANSFER, title, 1, "exp-a"), recipient=both)))
    assert world.states[title].possessor == both
    return world, title


def onward(title: bytes, *names: str, recipient: str = "financier-2") -> str:
    made = operation(Kind.TRANSFER, title, 2, "bank", recipient)
    made = replace(made, sender=joint_party(map(party, OWNERS)))
    keys = [ecdsa(name, "title") for name in names]
    return sign_operation(made, *keys)


def test_t8_joint_holders_are_one_party_and_act_only_all_together() -> None:
    world, title = held_jointly()
    for alone in OWNERS:
        assert code_of(world, signed(operation(Kind.TRANSFER, title, 2, alone, "financier-2"))) == (
            "title_not_possessor"
        )
        with pytest.raises(TradeError, match="title_key_mismatch"):
            onward(title, alone)
    world.run(onward(title, *OWNERS))
    assert world.states[title].possessor == party("financier-2")
    verify_history(world.states[title], world.operations[title])
    again = execute(World().registry, world.entries, {MEMBERS.digest: MEMBERS}.get, {}.get)
    assert again.changed == world.states


def test_t8_r3_one_joint_holder_signs_for_nobody_else() -> None:
    world, title = held_jointly()
    first, second = onward(title, *OWNERS).split("~")
    other = onward(title, *OWNERS, recipient="exp-a").split("~")[1]
    assert code_of(world, f"{first}~{first}") == "title_key_mismatch"
    assert code_of(world, f"{second}~{first}") == "title_key_mismatch"
    for text in (first, f"{first}~{second}~{second}", f"{first}~{other}"):
        assert code_of(world, text) == "title_operation_malformed"
    forged = ".".join([*second.split(".")[:2], first.split(".")[2]])
    assert code_of(world, f"{first}~{forged}") == "bad_signature"


def test_t8_the_state_names_every_joint_holder_and_each_one_is_listed() -> None:
    world, title = held_jointly()
    proven = verify_proof(
        read_proof(world.proof(title).to_bytes()), arbiter=ARBITER, members=MEMBERS
    )
    assert proven.state.possessor is not None
    assert set(proven.state.possessor.joint) == set(map(party, OWNERS))
    stranger = replace(party("bank"), key="A" * 43)
    made = operation(Kind.TRANSFER, title, 2, "bank")
    made = replace(
        made,
        sender=joint_party(map(party, OWNERS)),
        recipient=joint_party([stranger, party("exp-a")]),
    )
    text = sign_operation(made, *(ecdsa(name, "title") for name in OWNERS))
    assert code_of(world, text) == "title_recipient_not_listed"


def test_t8_joint_holders_are_two_to_four_different_parties() -> None:
    both = joint_party(map(party, OWNERS))
    assert joint_party(map(party, reversed(OWNERS))) == both
    for members in ([party("bank")], [party("bank")] * 2, [both, party("exp-a")], [both] * 5):
        with pytest.raises(TradeError, match="title_joint_malformed"):
            joint_party(members)
    with pytest.raises(TradeError, match="title_operation_malformed"):
        read_operation_bytes(
            operation_bytes(
                replace(
                    operation(Kind.TRANSFER, bytes(32), 1, "bank"),
                    recipient=replace(both, did=party("exp-a").did),
                )
            )
        )


def test_t8_a_joint_holder_is_never_the_carrier() -> None:
    world, title = issued()
    world.go(Kind.SURRENDER_FOR_AMENDMENT, title, "exp-a")
    with_carrier = joint_party([party("nhl"), party("bank")])
    made = replace(operation(Kind.ACCEPT_SURRENDER, title, 2, "nhl"), sender=with_carrier)
    keys = (ecdsa("nhl", "title"), ecdsa("bank", "title"))
    assert code_of(world, sign_operation(made, *keys)) == "title_not_issuer"
    first = replace(issue(reference="J"), sender=replace(with_carrier))
    assert code_of(world, sign_operation(first, *keys)) in {
        "title_issuer_not_listed",
        "title_not_issuer",
    }
