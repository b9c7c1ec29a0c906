"""R21 as a property: witnesses cut off, answers lost, everybody restarting; nobody forks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import registry_store
from protocols import times
from protocols.log import checkpoint
from protocols.title.machine import Kind
from protocols.title.operation import read_operation
from tests.support.registry_network import QUORUM, RegistryNetwork
from tests.support.title_world import WITNESSES, issue, operation, party, signed

TRADERS = ("exp-a", "bank", "imp-a", "financier-2")
REFERENCES = ("NHLX0001", "NHLX0002")
NAMES = st.sets(st.sampled_from(WITNESSES))


class Partitions(RuleBasedStateMachine):
    """Two titles, conflicting transfers by whoever possesses them, an unreliable network."""

    titles: ClassVar[tuple[bytes, ...]] = tuple(issue(reference=one).title for one in REFERENCES)

    @initialize()
    def begin(self) -> None:
        """Both titles are issued."""
        self.network = RegistryNetwork()
        self.network.hand_in(*(signed(issue(reference=one)) for one in REFERENCES))
        self.network.gather()
        self.places: dict[tuple[bytes, int], bytes] = {}
        self.handed: list[str] = []

    @rule(reachable=NAMES, lossy=NAMES)
    def partition(self, reachable: set[str], lossy: set[str]) -> None:
        """The network falls into parts; of some the answers are lost."""
        self.network.reachable, self.network.lossy = reachable, lossy

    @precondition(lambda self: not self.network.outstanding)
    @rule(
        title=st.integers(0, 1),
        to=st.lists(st.sampled_from(TRADERS), min_size=1, max_size=3),
        minutes=st.sampled_from([1, 30, 600]),
        again=st.booleans(),
    )
    def transfer(self, title: int, to: list[str], minutes: int, again: bool) -> None:
        """Rival transfers of one title; old ones are handed in once more by another relay."""
        made = self.titles[title]
        state = registry_store.state_of(self.network.conn, "registry", made)
        assert state is not None
        who = next(name for name in TRADERS if party(name) == state.possessor)
        deadline = times.from_ms(self.network.now_ms) + timedelta(minutes=minutes)
        texts = [
            signed(replace(operation(Kind.TRANSFER, made, state.seq, who, one), deadline=deadline))
            for one in to
            if one != who
        ]
        self.handed += texts
        self.network.hand_in(*texts, *(self.handed[-4:] if again else ()))

    @rule()
    def gather(self) -> None:
        """Without a quorum nothing becomes final."""
        network, before = self.network, self.network.settled
        network.gather()
        if len(network.lines.get(network.registry.size, {})) < QUORUM:
            assert network.settled == before

    @rule(minutes=st.sampled_from([0.5, 3, 45]))
    def wait(self, minutes: float) -> None:
        """Time goes by."""
        self.network.later(minutes=minutes)

    @rule(name=st.sampled_from(WITNESSES))
    def restart_witness(self, name: str) -> None:
        """A witness loses its memory, not its database."""
        self.network.witnesses[name].restart()

    @rule()
    def restart_sequencer(self) -> None:
        """So does the sequencer."""
        self.network.restart()

    @precondition(lambda self: self.network.outstanding and len(self.network.free()) >= QUORUM)
    @rule()
    def restate(self) -> None:
        """As the sequencer does, when a quorum says that it has not cosigned the batch."""
        self.network.restate()

    @invariant()
    def one_history_is_final(self) -> None:
        """One operation for each (title, seq), for ever; nothing final is taken back."""
        network = getattr(self, "network", None)
        if network is None or not network.final:
            return
        last = network.final[network.settled].number
        for title in self.titles:
            found = registry_store.last_operation(network.conn, "registry", title, up_to_batch=last)
            assert found is not None
            texts = registry_store.history(network.conn, "registry", title, found.state.seq)
            for seq, text in enumerate(texts):
                digest = read_operation(text).operation.digest
                assert self.places.setdefault((title, seq), digest) == digest

    @invariant()
    def witnesses_hold_one_log(self) -> None:
        """What any two witnesses have cosigned is one log."""
        network = getattr(self, "network", None)
        for one in network.signed_heads().values() if network else ():
            head = checkpoint.parse_body(one.text)
            assert checkpoint.parse_body(network.note(head.size).split("\n\n")[0] + "\n") == head

    def teardown(self) -> None:
        """The network heals: everything becomes final, and everybody shows the same holder."""
        network = getattr(self, "network", None)
        if network is None:
            return
        network.reachable, network.lossy = set(WITNESSES), set()
        for _ in range(4):
            network.gather()
            if not network.outstanding:
                break
            network.later(minutes=2)
            network.gather()
            if network.outstanding and len(network.free()) >= QUORUM:
                network.restate()
        assert not network.outstanding
        network.gather()
        self.one_history_is_final()
        for title in self.titles:
            shown = {
                registry_store.state_of(one.conn, one.mirror.log, title)
                for one in network.witnesses.values()
            }
            assert shown == {registry_store.state_of(network.conn, "registry", title)}


Partitions.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestR21Partitions = Partitions.TestCase
