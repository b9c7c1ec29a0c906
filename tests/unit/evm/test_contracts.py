"""The contracts as deployed: their code, their gas, who governs them, anchors, and freezing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import contracts
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act, Anchored, Refused
from protocols.evm.keys import keccak256
from protocols.evm.title import EvmOperation, sign_operation, word
from protocols.title.machine import Bill, Kind
from testnet.bench.gas import measure, rows
from tests.support.evm_chain import CHAIN_ID
from tests.support.evm_world import EvmWorld, address, network, signer
from tests.support.title_world import NOTHING

HOUR = 3600
ROOT = Path(__file__).parents[3]


def issue(world: EvmWorld, number: int = 0, who: str = "nhl") -> EvmOperation:
    return EvmOperation(
        title=sha256(b"title %d" % number),
        seq=0,
        kind=Kind.ISSUE,
        sender=address(who),
        recipient=address("exp-a"),
        entry=sha256(b"manifest %d" % number),
        deadline=world.chain.now + 10**6,
        bill=Bill.BLANK,
    )


def transfer(world: EvmWorld, number: int, seq: int, who: str, to: str) -> EvmOperation:
    return EvmOperation(
        title=sha256(b"title %d" % number),
        seq=seq,
        kind=Kind.TRANSFER,
        sender=address(who),
        recipient=address(to),
        entry=NOTHING,
        deadline=world.chain.now + 10**6,
    )


def code_of(world: EvmWorld, operation: EvmOperation) -> str:
    event = world.send(world.sign(operation))[0]
    return event.code if isinstance(event, Refused) else ""


@pytest.fixture
def world() -> EvmWorld:
    return EvmWorld()


def test_gas_stays_within_its_goals() -> None:
    table = measure()
    goals = {
        "anchor": 40_000,
        "issue, of 100": 80_000,
        "transfer, of 100": 23_000,
        "transfer, single": 45_000,
    }
    assert {name: table[name] for name, goal in goals.items() if table[name] > goal} == {}
    documented = (ROOT / "docs" / "title-registry.md").read_text().splitlines()
    assert [row for row in rows(table) if row not in documented] == []


def test_r19_the_code_hash_follows_from_the_deployment(world: EvmWorld) -> None:
    code = contracts.title_registry_code(
        network=network(), chain_id=CHAIN_ID, contract=world.registry, delay=0
    )
    assert world.chain.code(world.registry) == code
    assert world.arbiter.code_hash == keccak256(code)
    anchors = contracts.load(contracts.ANCHORS)
    assert world.chain.code(world.anchors) == anchors.runtime
    assert keccak256(anchors.runtime) == anchors.runtime_hash


@pytest.mark.parametrize("name", [contracts.ANCHORS, contracts.TITLES])
def test_an_artefact_names_its_source_and_compiler(name: contracts.Name) -> None:
    made = contracts.load(name)
    source = contracts.source(name)
    assert made.source_sha256 == sha256(source)
    assert f"# pragma version {made.compiler.split()[1].split('+')[0]}" in source.decode()
    assert json.dumps([dict(item) for item in made.abi])


def test_a_carrier_issues_once_the_governors_listed_it(world: EvmWorld) -> None:
    assert code_of(world, issue(world)) == "title_issuer_not_listed"
    world.list_carriers()
    assert code_of(world, issue(world)) == ""
    assert code_of(world, issue(world, 1, "bank")) == "title_issuer_not_listed"


def test_an_act_takes_the_threshold_of_different_governors(world: EvmWorld) -> None:
    act = world.act(evm_calls.LIST, carrier=7, key=address("nhl"))
    one, two = world.signed_act(act)
    stranger = signer("bank").sign_digest(act.digest(world.domain))
    other = replace(act, carrier=8)
    for made, signatures in (
        (act, [one]),
        (act, [one, one]),
        (act, [two, one]),
        (act, sorted([one, stranger], key=lambda item: item.r)),
        (act, []),
        (other, [one, two]),
        (replace(act, nonce=1), world.signed_act(replace(act, nonce=1))),
    ):
        call = evm_calls.govern_call(made, signatures)
        assert not world.chain.transact(world.registry, call).ok
    call = evm_calls.govern_call(act, [one, two])
    assert world.chain.transact(world.registry, call).ok
    # And counts once.
    assert not world.chain.transact(world.registry, call).ok


def test_what_widens_power_waits_and_can_be_withdrawn() -> None:
    world = EvmWorld(delay=HOUR)
    first = world.act(evm_calls.LIST, carrier=7, key=address("nhl"))
    assert world.govern(evm_calls.LIST, carrier=7, key=address("nhl")).ok
    call = evm_calls.enact_call(first)
    assert not world.chain.transact(world.registry, call).ok
    second = world.act(evm_calls.LIST, carrier=8, key=address("bank"))
    assert world.govern(evm_calls.LIST, carrier=8, key=address("bank")).ok
    assert world.govern(evm_calls.WITHDRAW, successor=second.digest(world.domain)).ok
    world.chain.now += HOUR
    assert world.chain.transact(world.registry, call).ok
    assert not world.chain.transact(world.registry, call).ok
    assert not world.chain.transact(world.registry, evm_calls.enact_call(second)).ok
    assert code_of(world, issue(world)) == ""
    assert code_of(world, issue(world, 1, "bank")) == "title_issuer_not_listed"
    # Taking power away does not wait.
    assert world.govern(evm_calls.DELIST, carrier=7).ok
    assert code_of(world, issue(world, 2)) == "title_issuer_not_listed"


def test_new_governors_replace_the_old_with_all_they_proposed() -> None:
    world = EvmWorld(delay=HOUR)
    left = world.act(evm_calls.LIST, carrier=8, key=address("bank"))
    assert world.govern(evm_calls.LIST, carrier=8, key=address("bank")).ok
    names = sorted((address("exp-a"), address("imp-a")))
    change = world.act(evm_calls.GOVERN, number=2, governors=tuple(names))
    assert world.govern(evm_calls.GOVERN, number=2, governors=tuple(names)).ok
    world.chain.now += HOUR
    assert world.chain.transact(world.registry, evm_calls.enact_call(change)).ok
    assert not world.chain.transact(world.registry, evm_calls.enact_call(left)).ok
    assert not world.govern(evm_calls.DELIST, carrier=7).ok
    act = Act(world.acts, evm_calls.DELIST, carrier=7)
    signatures = [
        signer(name).sign_digest(act.digest(world.domain))
        for name in sorted(("exp-a", "imp-a"), key=address)
    ]
    call = evm_calls.govern_call(act, signatures)
    assert world.chain.transact(world.registry, call).ok


@pytest.mark.parametrize(
    ("keys", "threshold"),
    [(("bank", "bank"), 2), (("bank", "imp-a"), 1), (("bank",), 2), ((), 0)],
)
def test_governors_that_could_act_by_halves_are_not_installed(
    world: EvmWorld, keys: tuple[str, ...], threshold: int
) -> None:
    governing = contracts.Governing(tuple(map(address, keys)), threshold, 0)
    code = contracts.title_registry_creation(network(), governing)
    assert not world.chain.transact(None, code).ok


def test_r21_after_the_block_of_a_freeze_every_operation_is_void(world: EvmWorld) -> None:
    world.list_carriers()
    assert code_of(world, issue(world)) == ""
    height = world.chain.height
    past = world.govern(evm_calls.FREEZE, number=height, successor=sha256(b"the next arbiter"))
    assert not past.ok
    assert world.govern(
        evm_calls.FREEZE, number=height + 5, successor=sha256(b"the next arbiter")
    ).ok
    made = world.sign(transfer(world, 0, 1, "exp-a", "bank"))
    assert not any(isinstance(event, Refused) for event in world.send(made))
    while world.chain.height < height + 4:
        world.chain.transact(world.chain.address, b"")
    held = world.control(sha256(b"title 0"))
    onward = world.sign(transfer(world, 0, 2, "bank", "imp-a"))
    for data in (evm_calls.apply_one(onward), evm_calls.apply_batch([onward])):
        assert not world.chain.transact(world.registry, data).ok
    assert world.control(sha256(b"title 0")) == held
    ask = world.chain.call(world.registry, evm_calls.call(evm_calls.SUCCESSOR))
    assert ask == sha256(b"the next arbiter")
    # Nobody takes it back, or names another successor.
    assert not world.govern(evm_calls.FREEZE, number=height + 1000, successor=NOTHING).ok


def test_a_retired_key_speaks_for_its_carrier_no_more(world: EvmWorld) -> None:
    world.list_carriers()
    assert code_of(world, issue(world)) == ""
    surrender = replace(
        transfer(world, 0, 1, "exp-a", "bank"), kind=Kind.SURRENDER_FOR_AMENDMENT, recipient=None
    )
    assert code_of(world, surrender) == ""
    assert world.govern(evm_calls.RETIRE, key=address("nhl")).ok
    answer = replace(surrender, kind=Kind.REJECT_SURRENDER, seq=2, sender=address("nhl"))
    assert code_of(world, answer) == "title_not_issuer"
    assert code_of(world, replace(answer, sender=address("nhl-second"))) == ""
    # A key never changes its carrier, and an unknown kind of act does nothing.
    assert not world.govern(evm_calls.LIST, carrier=8, key=address("nhl-second")).ok
    assert not world.govern(evm_calls.LIST, carrier=0, key=address("bank")).ok
    assert not world.govern(evm_calls.LIST, carrier=2**16, key=address("bank")).ok
    assert not world.govern(9).ok


def test_r19_the_same_operation_counts_at_no_other_contract(world: EvmWorld) -> None:
    world.list_carriers()
    made = world.sign(issue(world))
    foreign = sign_operation(made.operation, keccak256(b"another domain"), signer("nhl"))
    event = world.send(foreign)[0]
    assert isinstance(event, Refused)
    assert event.code == "bad_signature"
    assert not isinstance(world.send(made)[0], Refused)


def anchor(world: EvmWorld, size: int, root: bytes, origin: bytes = sha256(b"log")) -> bool:
    data = evm_calls.call(evm_calls.ANCHOR, origin, word(size), root)
    return world.chain.transact(world.anchors, data).ok


def test_an_anchored_log_only_grows(world: EvmWorld) -> None:
    origin, root = sha256(b"log"), sha256(b"root")
    assert not anchor(world, 5, root)
    opened = evm_calls.call(evm_calls.OPEN, origin)
    assert world.chain.transact(world.anchors, opened).ok
    assert not world.chain.transact(world.anchors, opened).ok
    ask = evm_calls.call(evm_calls.LATEST, evm_calls.padded(world.chain.address), origin)
    size, empty, _ = evm_calls.read_latest(world.chain.call(world.anchors, ask))
    assert (size, empty) == (0, sha256(b""))
    data = evm_calls.call(evm_calls.ANCHOR, origin, word(5), root)
    done = world.chain.transact(world.anchors, data)
    assert evm_calls.read_event(done.logs[0]) == Anchored(origin, world.chain.address, 5, root)
    for worse in (5, 4, 0):
        assert not anchor(world, worse, sha256(b"another"))
    moment = world.chain.now
    assert anchor(world, 6, sha256(b"more"))
    answer = evm_calls.read_latest(world.chain.call(world.anchors, ask))
    assert answer[:2] == (6, sha256(b"more"))
    assert answer[2] > moment - 5


def test_nobody_anchors_in_anothers_row(world: EvmWorld) -> None:
    origin = sha256(b"log")
    world.chain.transact(world.anchors, evm_calls.call(evm_calls.OPEN, origin))
    ask = evm_calls.call(evm_calls.LATEST, evm_calls.padded(address("bank")), origin)
    assert evm_calls.read_latest(world.chain.call(world.anchors, ask)) == (0, bytes(32), 0)


def test_the_possessor_reads_as_the_owner_of_a_token(world: EvmWorld) -> None:
    world.list_carriers()
    assert code_of(world, issue(world)) == ""
    ask = evm_calls.selector("ownerOf(uint256)") + sha256(b"title 0")
    assert world.chain.call(world.registry, ask) == evm_calls.padded(address("exp-a"))
    for name, answer in (("replaced(bytes32)", 0), ("shipper_tag(bytes32)", None)):
        found = world.chain.call(world.registry, evm_calls.selector(name) + sha256(b"title 0"))
        wanted = int.from_bytes(address("exp-a")[:12], "big") if answer is None else answer
        assert evm_calls.read_number(found) == wanted
