"""Evidence that a quorum cosigned two histories of one title (R21)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.title import fork as title_fork
from protocols.title.fork import History, TitleFork
from protocols.title.machine import Kind
from schemas.errors import RefusedError, TradeError
from tests.support.title_world import ARBITER, MEMBERS, World, issue, signed


def history(*to: str) -> History:
    """One history of the title; every world's witnesses sign with the same keys."""
    world, title = World(), issue().title
    world.run(signed(issue()))
    who = "exp-a"
    for one in to:
        world.go(Kind.TRANSFER, title, who, one)
        who = one
    return History(ARBITER.id, world.proof(title), tuple(world.operations[title]))


def test_r21_two_cosigned_histories_that_contradict_each_other_are_evidence() -> None:
    found = TitleFork(history("bank"), history("imp-a", "bank"))
    found.prove(MEMBERS)
    assert title_fork.read(found.to_bytes()) == found
    assert (found.title, found.arbiter) == (issue().title, ARBITER.id)
    assert len(found.digest) == 32


def test_a_history_that_goes_on_contradicts_nothing() -> None:
    for other in (history("bank", "imp-a"), history("bank")):
        with pytest.raises(RefusedError, match="title_not_contradicted"):
            TitleFork(history("bank"), other).prove(MEMBERS)


def test_r5_evidence_counts_under_listed_registries_with_whole_histories_only() -> None:
    one, other = history("bank"), history("imp-a")
    with pytest.raises(RefusedError, match="title_arbiter_unknown"):
        TitleFork(one, replace(other, arbiter=b"x" * 32)).prove(MEMBERS)
    with pytest.raises(RefusedError, match="title_history_mismatch"):
        TitleFork(one, replace(other, operations=one.operations)).prove(MEMBERS)


@pytest.mark.parametrize(
    "change",
    [
        (b'"type":"urn:pratique:title-fork"', b'"type":"x"'),
        (b'"histories":[', b'"histories":[{},'),
        (b'"history":[', b'"history":[1,'),
        (b'{"histories"', b'{ "histories"'),
    ],
)
def test_evidence_of_another_form_is_malformed(change: tuple[bytes, bytes]) -> None:
    data = TitleFork(history("bank"), history("imp-a")).to_bytes()
    assert change[0] in data
    with pytest.raises(TradeError):
        title_fork.read(data.replace(*change, 1))
