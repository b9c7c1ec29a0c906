"""What a node without a chain believes of a peer: sealed blocks, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from sqlalchemy import StaticPool, create_engine

from node.title import rows, tables
from node.title.evm_peers import EvmPeers
from protocols.evm.holder_keys import read_statement
from protocols.evm.keys import SoftwareEvmSigner
from protocols.evm.title_proof import EvmTitleProof, Step
from protocols.evm.title_text import read_text, to_text
from protocols.members.arbiters import ArbiterEntry, ValidatorEpoch
from protocols.seams import Answer
from protocols.title.machine import Kind
from protocols.title.registry_freeze import NO_FREEZES
from schemas.errors import UnavailableError
from tests.support.anchored import VALIDATORS, sealed
from tests.support.evm_chain_titles import MEMBERS, TITLE, ChainTitle, moved
from tests.support.title_world import did

SEALED = ArbiterEntry(
    **{
        name: getattr(moved().entry, name)
        for name in ("name", "chain_id", "contract", "code_hash", "start")
    },
    finality="qbft",
    validators=(ValidatorEpoch(0, tuple(sorted(each.address for each in VALIDATORS))),),
)


@dataclass
class Peer:
    """Every member answers the same; `asked` are the paths."""

    status: int
    body: dict[str, Any]
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def call(self, did: str, method: str, path: str, *_: Any, **__: Any) -> Answer:
        self.asked.append((did, method))
        if self.status == 0:
            raise UnavailableError("peer_unreachable", "no answer")
        status = self.status if method == "POST" else 200
        return Answer(status, orjson.dumps(self.body))


def peers(peer: Peer, entry: ArbiterEntry = SEALED, known: tuple[str, ...] = ()) -> EvmPeers:
    """A node without a chain that knows these statements of whose an address is."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables.keys.create(engine)
    with engine.begin() as conn:
        for text in known:
            rows.put_statement(conn, read_statement(text, moved().entry.arbiter, MEMBERS), text)

    async def read(function: Any, *arguments: Any) -> Any:
        with engine.connect() as conn:
            return function(conn, *arguments)

    silent = SimpleNamespace(debug=lambda *_, **__: None, warning=lambda *_, **__: None)
    node: Any = SimpleNamespace(
        did=did("sg-port"),
        client=peer,
        members=SimpleNamespace(current=replace(MEMBERS, arbiters=(entry,))),
        registry=SimpleNamespace(freezes=NO_FREEZES),
        store=SimpleNamespace(read=read),
        telemetry=SimpleNamespace(log=silent),
    )
    return EvmPeers(node)


def proof_by(signers: tuple[SoftwareEvmSigner, ...]) -> EvmTitleProof:
    proof = moved().proof()
    steps = tuple(
        Step(step.operation, replace(step.event, header=sealed(step.event.header, signers)))
        for step in proof.steps
    )
    return replace(proof, steps=steps)


def answer(proof: EvmTitleProof) -> dict[str, Any]:
    return {"proof": proof.to_json()}


async def test_r21_what_a_quorum_of_listed_validators_sealed_is_final_here() -> None:
    asked = peers(Peer(200, answer(proof_by(VALIDATORS[:3]))))
    news = await asked.fetch(SEALED, TITLE)
    assert news is not None
    assert (news.state.seq, news.state.possessor.did) == (3, did("bank"))
    assert asked.word(TITLE, 0) is None


async def test_whom_the_peer_cannot_name_is_named_by_what_is_known_here() -> None:
    proof = proof_by(VALIDATORS[:3])
    nameless = answer(replace(proof, keys=()))
    for known, possessor in (((), "did:pkh:"), (proof.keys, did("bank"))):
        news = await peers(Peer(200, nameless), known=known).fetch(SEALED, TITLE)
        assert news is not None
        assert news.state.possessor.did.startswith(possessor)


@pytest.mark.parametrize("signers", [VALIDATORS[:2], ()])
async def test_r21_blocks_with_too_few_seals_are_nothing_at_all(
    signers: tuple[SoftwareEvmSigner, ...],
) -> None:
    asked = peers(Peer(200, answer(proof_by(signers))))
    assert await asked.fetch(SEALED, TITLE) is None
    assert asked.word(TITLE, 0) is None


async def test_r21_where_no_validators_are_listed_it_is_the_word_of_a_peer() -> None:
    asked = peers(Peer(200, answer(moved().proof())), moved().entry)
    assert await asked.fetch(moved().entry, TITLE) is None
    word = asked.word(TITLE, 2)
    assert word is not None
    assert word.by == asked.good
    assert word.to_json()["final"] is False
    # It tells nothing to who knows as much.
    assert asked.word(TITLE, 3) is None


async def test_a_relayed_operation_is_final_by_its_proof_and_pending_by_word() -> None:
    text = moved().steps[-1].operation
    digest = read_text(text).operation.digest(moved().world.domain)
    proven = await peers(Peer(200, {"outcome": "final", **answer(proof_by(VALIDATORS))})).hand_in(
        SEALED, digest, text
    )
    assert proven is not None
    assert (proven.status, proven.news is not None) == ("final", True)
    for body in (
        {"outcome": "final", **answer(moved().proof())},
        {"outcome": "refused", "refusal": "{}"},
        {"outcome": "pending"},
    ):
        handed = await peers(Peer(200, body)).hand_in(SEALED, digest, text)
        assert handed is not None
        assert handed.error is not None
        assert handed.error.code == "title_relayed_by_peer"


async def test_r19_a_loser_is_told_only_when_the_winner_is_proven() -> None:
    late = ChainTitle(seq=2).sign(Kind.TRANSFER, "bank", "exp-a")
    digest = late.operation.digest(moved().world.domain)
    for signers, code in ((VALIDATORS, "title_seq_conflict"), ((), None)):
        asked = peers(Peer(409, answer(proof_by(signers))))
        handed = await asked.hand_in(SEALED, digest, to_text(late))
        error = handed.error if handed is not None else None
        assert (error.code if error is not None else None) == code


async def test_members_that_do_not_answer_are_left_alone_for_a_while() -> None:
    peer = Peer(0, {})
    asked = peers(peer)
    assert await asked.fetch(SEALED, TITLE) is None
    tried = {name for name, _ in peer.asked}
    assert did("sg-port") not in tried
    assert await asked.fetch(SEALED, TITLE) is None
    assert len(peer.asked) == len({name for name, _ in peer.asked})
    assert asked.good is None
