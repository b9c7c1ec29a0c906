"""T1 to T8 of the project's reference on trade documents, asked of the contract itself.

The same of the log arbiter is in tests/unit/title/test_law.py (UK ETDA 2023 s.2(2), MLETR 10-12).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Moved, Refused
from protocols.evm.keys import SoftwareEvmSigner, joint_address
from protocols.evm.proof import verify_event
from protocols.evm.title import (
    EvmOperation,
    Joint,
    SignedEvmOperation,
    sign_jointly,
    sign_operation,
)
from protocols.evm.title_text import EvmRegistry, is_text, to_text
from protocols.title.machine import NO_HEAD, Bill, Ending, Kind, State, next_head
from schemas.errors import TradeError
from tests.support.evm_world import EvmWorld, address, network, party_of, signer
from tests.support.title_world import NOTHING

TAKES = {Kind.TRANSFER, Kind.OFFER, Kind.ENDORSE, Kind.ENDORSE_TO_ORDER}
OWNERS = ("bank", "imp-a")


class Chain(EvmWorld):
    """One chain for the module; every test issues titles of its own."""

    issued = 0

    def issue(self, bill: Bill = Bill.TO_ORDER, replaces: bytes | None = None) -> EvmOperation:
        self.issued += 1
        made = EvmOperation(
            title=sha256(b"law %d" % self.issued),
            seq=0,
            kind=Kind.ISSUE,
            sender=address("nhl"),
            recipient=address("exp-a"),
            entry=sha256(b"manifest %d" % self.issued),
            deadline=self.chain.now + 10**6,
            bill=bill,
            holder=None if bill is Bill.BLANK else address("bank"),
            replaces=replaces,
        )
        self.last = made
        return made

    def new(self, bill: Bill = Bill.TO_ORDER) -> bytes:
        made = self.issue(bill)
        assert self.codes(self.sign(made)) == [""]
        return made.title

    def operation(
        self, kind: Kind, title: bytes, who: str, to: str | None = None, seq: int | None = None
    ) -> EvmOperation:
        return EvmOperation(
            title=title,
            seq=self.control(title).seq if seq is None else seq,
            kind=kind,
            sender=address(who),
            recipient=address(to) if to else None,
            entry=NOTHING,
            deadline=self.chain.now + 10**6,
            expires=self.chain.now + 1000 if kind is Kind.OFFER else 0,
            ending=Ending.DELIVERED if kind is Kind.END else None,
        )

    def signed(self, *args: object, **kwargs: object) -> SignedEvmOperation:
        return self.sign(self.operation(*args, **kwargs))

    def codes(self, *signed: SignedEvmOperation) -> list[str]:
        return [event.code if isinstance(event, Refused) else "" for event in self.send(*signed)]

    def go(self, *args: object, **kwargs: object) -> None:
        assert self.codes(self.signed(*args, **kwargs)) == [""]


@pytest.fixture(scope="module")
def chain() -> Chain:
    made = Chain()
    made.list_carriers()
    return made


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("together", [True, False])
def test_t1_two_concurrent_transfers_from_one_head_have_exactly_one_winner(
    chain: Chain, first: int, *, together: bool
) -> None:
    title = chain.new()
    names = ["bank", "financier-2"]
    rivals = [chain.signed(Kind.TRANSFER, title, "exp-a", to) for to in names]
    order = [rivals[first], rivals[1 - first]]
    codes = chain.codes(*order) if together else [*chain.codes(order[0]), *chain.codes(order[1])]
    assert codes == ["", "title_seq_conflict"]
    assert chain.control(title).possessor == address(names[first])


def test_t2_the_holder_proves_control_from_the_chain_alone(chain: Chain) -> None:
    title = chain.new()
    issued = chain.last.digest(chain.domain)
    signed = chain.signed(Kind.TRANSFER, title, "exp-a", "bank")
    proof = chain.prove(evm_calls.apply_one(signed))
    event = evm_calls.read_event(verify_event(proof, chain.registry).log)
    assert isinstance(event, Moved)
    assert (event.title, event.seq, event.recipient) == (title, 2, address("bank"))
    # The key behind that address answers a challenge, and no other does.
    challenge = sha256(b"who holds it?")
    assert signer("bank").sign_digest(challenge).canonical
    assert chain.control(title).head == next_head(next_head(NO_HEAD, issued), event.digest)


def test_t2_the_operations_themselves_are_the_whole_history(chain: Chain) -> None:
    title = chain.new()
    first = chain.sign(chain.last)
    second = chain.signed(Kind.TRANSFER, title, "exp-a", "bank")
    other = chain.signed(Kind.TRANSFER, title, "exp-a", "imp-a")
    assert chain.codes(second) == [""]
    state = chain.state(title, chain.last)
    assert state is not None
    here = EvmRegistry(network(), chain.arbiter)
    assert here.operation(second, party_of) == chain.model(second.operation)
    texts = [to_text(one) for one in (first, second)]
    assert all(map(is_text, texts))
    here.verify_history(state, texts)
    for wrong in (texts[:1], texts[1:], [], [texts[0], to_text(other)], [*texts, texts[1]]):
        with pytest.raises(TradeError, match="title_history_mismatch"):
            here.verify_history(state, wrong)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ISSUE])
def test_t3_after_a_transfer_the_old_key_can_do_nothing(chain: Chain, kind: Kind) -> None:
    title = chain.new(Bill.BLANK)
    chain.go(Kind.TRANSFER, title, "exp-a", "bank")
    made = chain.signed(kind, title, "exp-a", "imp-a" if kind in TAKES else None)
    assert chain.codes(made)[0] in {
        "title_not_possessor",
        "title_not_issuer",
        "title_state_forbids",
    }


def test_t4_a_copy_is_recognised_as_a_copy(chain: Chain) -> None:
    made = chain.issue()
    assert chain.codes(chain.sign(made)) == [""]
    assert chain.codes(chain.sign(made)) == ["title_exists"]
    assert chain.codes(chain.sign(replace(made, recipient=address("imp-a")))) == ["title_exists"]
    copy = sha256(b"a copy")
    assert chain.control(copy).state is State.NONE
    assert chain.codes(chain.signed(Kind.TRANSFER, copy, "exp-a", "bank", seq=1)) == [
        "title_never_issued"
    ]


def end(chain: Chain, kind: Kind, ending: Ending) -> bytes:
    title = chain.new()
    chain.go(kind, title, "exp-a")
    chain.go(Kind.ACCEPT_SURRENDER, title, "nhl-second")
    made = replace(chain.operation(Kind.END, title, "nhl"), ending=ending)
    assert chain.codes(chain.sign(made)) == [""]
    return title


def test_t5_an_amendment_is_visible_in_both_titles(chain: Chain) -> None:
    old = end(chain, Kind.SURRENDER_FOR_AMENDMENT, Ending.AMENDED)
    made = chain.issue(replaces=old)
    assert chain.codes(chain.sign(made)) == [""]
    before, after = chain.state(old, made), chain.state(made.title, made)
    assert before is not None
    assert after is not None
    assert (before.ending, after.replaces) == (Ending.AMENDED, old)
    assert chain.codes(chain.sign(chain.issue(replaces=old))) == ["title_already_replaced"]
    live = chain.new()
    assert chain.codes(chain.sign(chain.issue(replaces=live))) == ["title_replaces_unended"]
    foreign = replace(chain.issue(replaces=old), sender=address("other-carrier"))
    assert chain.codes(chain.sign(foreign)) == ["title_not_issuer"]


def test_t6_a_switch_to_paper_kills_the_title_and_is_not_undone(chain: Chain) -> None:
    title = end(chain, Kind.SURRENDER_FOR_AMENDMENT, Ending.PAPER)
    row = chain.control(title)
    assert (row.state, row.possessor) == (State.ENDED, None)
    tries = [
        chain.signed(kind, title, who, "imp-a" if kind in TAKES else None)
        for kind in Kind
        if kind is not Kind.ISSUE
        for who in ("exp-a", "nhl", "bank")
    ]
    assert set(chain.codes(*tries)) == {"title_ended"}
    assert chain.codes(chain.sign(replace(chain.issue(), title=title))) == ["title_exists"]
    assert chain.control(title) == row


def test_t7_reading_gives_no_control(chain: Chain) -> None:
    title = chain.new()
    known = chain.control(title)
    made = chain.operation(Kind.TRANSFER, title, "financier-2", "imp-a")
    assert chain.codes(chain.sign(made)) == ["title_not_possessor"]
    # Whoever knows everything but the key signs as somebody else.
    forged = replace(made, sender=known.possessor or b"")
    own = SoftwareEvmSigner(sha256(b"a thief"))
    stolen = SignedEvmOperation(forged, own.sign_digest(forged.digest(chain.domain)))
    assert chain.codes(stolen) == ["bad_signature"]
    assert chain.control(title) == known


def joint() -> bytes:
    return joint_address(tuple(sorted(map(address, OWNERS))))


def test_t8_joint_holders_are_one_party_and_act_only_all_together(chain: Chain) -> None:
    title = chain.new(Bill.BLANK)
    made = replace(chain.operation(Kind.TRANSFER, title, "exp-a"), recipient=joint())
    assert chain.codes(chain.sign(made)) == [""]
    onward = replace(chain.operation(Kind.TRANSFER, title, "bank", "financier-2"), sender=joint())
    for alone in OWNERS:
        single = replace(onward, sender=address(alone))
        assert chain.codes(chain.sign(single)) == ["title_not_possessor"]
        as_both = SignedEvmOperation(onward, signer(alone).sign_digest(onward.digest(chain.domain)))
        assert chain.codes(as_both) == ["bad_signature"]
    both = sign_jointly(onward, chain.domain, tuple(map(signer, OWNERS)))
    assert both.verify(chain.domain) == onward.digest(chain.domain)
    assert chain.codes(both) == [""]
    assert chain.control(title).possessor == address("financier-2")
    assert chain.codes(both) == ["title_seq_conflict"]


def test_t8_r3_one_joint_holder_signs_for_nobody_else(chain: Chain) -> None:
    title = chain.new(Bill.BLANK)
    made = replace(chain.operation(Kind.TRANSFER, title, "exp-a"), recipient=joint())
    assert chain.codes(chain.sign(made)) == [""]
    onward = replace(chain.operation(Kind.TRANSFER, title, "bank", "financier-2"), sender=joint())
    good = sign_jointly(onward, chain.domain, tuple(map(signer, OWNERS)))
    consent = good.consent
    assert isinstance(consent, Joint)
    one, two = consent.signatures
    members = consent.members
    wrong = [
        replace(consent, signatures=(one, one)),
        replace(consent, signatures=(two, one)),
        replace(consent, signatures=(one,)),
        replace(consent, members=members[::-1], signatures=(two, one)),
        replace(consent, members=(members[0], members[0]), signatures=(one, one)),
        replace(consent, members=members[:1], signatures=(one,)),
    ]
    for item in wrong:
        assert chain.codes(replace(good, consent=item)) == ["bad_signature"]
    issuing = replace(chain.issue(), sender=joint())
    signed = sign_jointly(issuing, chain.domain, tuple(map(signer, OWNERS)))
    assert chain.codes(signed) == ["bad_signature"]


def test_t8_a_wrong_key_signs_nothing(chain: Chain) -> None:
    made = chain.operation(Kind.TRANSFER, chain.new(), "exp-a", "bank")
    with pytest.raises(TradeError, match="title_key_mismatch"):
        sign_operation(made, chain.domain, signer("bank"))
    with pytest.raises(TradeError, match="title_key_mismatch"):
        sign_jointly(made, chain.domain, tuple(map(signer, OWNERS)))
